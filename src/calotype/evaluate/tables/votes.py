"""Votes of people for one of two decoded pictures, and how codecs rank by them.

The ranking is that of Elo in the form that does not depend on the order of votes: the strengths p of Bradley and Terry
(1952), under which a codec is preferred to another with probability p_i / (p_i + p_j), of greatest likelihood, on Elo's
scale of 400 log10 p; the mean of all codecs is 1500. "Can't tell" is half a vote for each. So that a codec that won
always has a finite rank, each has one vote more, a draw with a codec of the strength 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import CalotypeError

FORMAT, VERSION = "calotype-votes", 1
MEAN, SCALE = 1500.0, 400 / math.log(10)  # Elo 1978
ROUNDS, SETTLED = 10_000, 1e-10  # of the search for strengths: at most, and the change of an exponent that ends it
REPLICATES = 1000
CONFIDENCE = 95.0  # percent

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Vote:
    """One answer to which of two pictures looks more like the original."""

    voter: str
    set: str
    image: str
    codecs: tuple[str, str]
    qualities: tuple[float, float]
    better: str | None
    """One of `codecs`; None: the voter could not tell."""

    @property
    def question(self) -> tuple[Any, ...]:
        """What was asked of whom; a voter answers once."""
        return self.voter, self.set, self.image, frozenset(zip(self.codecs, self.qualities, strict=True))


@dataclass(frozen=True)
class Standing:
    """One codec's rank."""

    codec: str
    elo: float
    low: float
    """Of the interval that holds `CONFIDENCE` percent of what votes drawn again from these votes give, ..."""
    high: float
    """... and its other end."""
    votes: int
    """In how many the codec was one of two."""
    won: float
    """How many of them, draws as halves."""


def read_votes(paths: Iterable[Path]) -> list[Vote]:
    """The votes of files that the voting page saved; of two answers to one question the last one.

    Raises
    ------
    CalotypeError
        A file holds no votes.
    """
    votes = [vote for path in paths for vote in _read(path)]
    return list({vote.question: vote for vote in votes}.values())


def _read(path: Path) -> list[Vote]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if (found["format"], found["version"]) != (FORMAT, VERSION):
            raise ValueError(f"{found['format']} {found['version']}")
        return [_vote(str(found["voter"]), entry) for entry in found["votes"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CalotypeError(f"{path} holds no votes of the voting page of a report: {error!r}") from None


def _vote(voter: str, entry: dict[str, Any]) -> Vote:
    (one, other), (first, second) = entry["codecs"], entry["qualities"]
    better = entry["better"]
    if one == other or better not in (None, one, other):
        raise ValueError(f"a vote for {better} of {one} and {other}")
    return Vote(
        voter, str(entry["set"]), str(entry["image"]), (str(one), str(other)), (float(first), float(second)), better
    )


def standings(votes: Sequence[Vote], replicates: int = REPLICATES, seed: int = 0) -> list[Standing]:
    """Codecs by their rank, the best first, with intervals by bootstrap over votes; equal votes give equal figures."""
    if not votes:
        return []
    codecs = sorted({codec for vote in votes for codec in vote.codecs})
    place = {codec: number for number, codec in enumerate(codecs)}
    outcomes = []
    for vote in votes:
        one, other = sorted(vote.codecs)
        outcomes.append((place[one], place[other], 0.5 if vote.better is None else float(vote.better == one)))
    different = sorted(set(outcomes))
    counts = np.array([outcomes.count(outcome) for outcome in different])
    drawn = np.random.default_rng(seed).multinomial(len(votes), counts / len(votes), replicates)
    won = _won(different, np.concatenate([counts[None], drawn]), len(codecs))
    found, *again = elo(won)
    low, high = np.percentile(again, [50 - CONFIDENCE / 2, 50 + CONFIDENCE / 2], axis=0) if again else (found, found)
    played = won[0] + won[0].T
    order = sorted(range(len(codecs)), key=lambda number: -found[number])
    return [
        Standing(
            codecs[k], float(found[k]), float(low[k]), float(high[k]), round(played[k].sum()), float(won[0, k].sum())
        )
        for k in order
    ]


def _won(outcomes: Sequence[tuple[int, int, float]], counts: npt.NDArray[np.integer[Any]], codecs: int) -> Floats:
    """How often the row's codec was preferred to the column's, (..., k, k), from how often each outcome was."""
    won = np.zeros((*counts.shape[:-1], codecs, codecs))
    for number, (one, other, part) in enumerate(outcomes):
        won[..., one, other] += part * counts[..., number]
        won[..., other, one] += (1 - part) * counts[..., number]
    return won


def elo(won: Floats) -> Floats:
    """Ranks (..., k) from how often the row's codec was preferred to the column's (..., k, k).

    Found by the steps p_i <- w_i / sum_j n_ij / (p_i + p_j), which raise the likelihood (Hunter 2004, "MM algorithms
    for generalized Bradley-Terry models", eq. 3). Only the additional draws know of the exponents' mean, which these
    steps are slow to find; so each is followed by one of Newton's for it.
    """
    played = won + won.swapaxes(-1, -2)
    wins = won.sum(-1) + 0.5
    exponents = np.zeros(wins.shape)
    for _ in range(ROUNDS):
        p = np.exp(exponents)
        tries = (played / (p[..., :, None] + p[..., None, :])).sum(-1) + 1 / (p + 1)
        before, exponents = exponents, np.log(wins / tries)
        odds = 1 / (1 + np.exp(-exponents))
        exponents = exponents + ((0.5 - odds).sum(-1) / (odds * (1 - odds)).sum(-1))[..., None]
        if np.abs(exponents - before).max() < SETTLED:
            break
    ranks: Floats = MEAN + SCALE * (exponents - exponents.mean(-1, keepdims=True))
    return ranks
