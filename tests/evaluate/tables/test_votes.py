"""Ranks by votes: those of greatest likelihood, whatever the order of votes, and files that hold none."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from calotype.errors import CalotypeError
from calotype.evaluate.tables.votes import MEAN, Vote, elo, read_votes, standings


def vote(one: str, other: str, better: str | None, image: str = "i", voter: str = "v") -> Vote:
    return Vote(voter, "s", image, (one, other), (1.0, 2.0), better)


def test_two_codecs_have_the_difference_of_the_closed_form() -> None:
    """With symmetric additions the strengths are p and 1 / p, and n p^2 / (1 + p^2) + p / (1 + p) = wins + 1/2."""
    won = np.array([[0.0, 7.0], [3.0, 0.0]])
    first, second = elo(won)
    p = 10 ** ((first - MEAN) / 400)
    assert 10 * p**2 / (1 + p**2) + p / (1 + p) == pytest.approx(7.5)
    assert first + second == pytest.approx(2 * MEAN)


def test_ranks_have_the_greatest_likelihood() -> None:
    rng = np.random.default_rng(0)
    won = rng.integers(0, 9, (5, 5)) * (1 - np.eye(5))
    found = elo(won)

    def likelihood(ranks: np.ndarray, shift: float) -> float:
        p = 10 ** ((ranks + shift) / 400)
        pairs = won * np.log(p[:, None] / (p[:, None] + p))
        return float(pairs.sum() + np.log(np.sqrt(p) / (p + 1)).sum())

    shift = max(np.linspace(-MEAN - 100, -MEAN + 100, 2001), key=lambda shift: likelihood(found, shift))
    best = likelihood(found, shift)
    for _ in range(50):
        assert likelihood(found + rng.normal(0, 5, 5), shift) < best


def test_strengths_are_found_again() -> None:
    """From as many votes as the strengths say, with so many that the additional ones do not count."""
    ranks = np.array([1700.0, 1550.0, 1450.0, 1300.0])
    p = 10 ** (ranks / 400)
    won = 1e6 * p[:, None] / (p[:, None] + p) * (1 - np.eye(4))
    np.testing.assert_allclose(elo(won), ranks, atol=0.01)


def test_no_order_of_votes_and_of_the_two_codecs_changes_anything() -> None:
    votes = [vote("a", "b", "a", f"{k}") for k in range(6)] + [vote("b", "c", None), vote("c", "a", "c")]
    turned = [vote(v.codecs[1], v.codecs[0], v.better, v.image) for v in reversed(votes)]
    assert standings(turned) == standings(votes)


def test_standings_count_votes_and_draws() -> None:
    found = {each.codec: each for each in standings([vote("a", "b", "a"), vote("a", "b", None), vote("c", "b", "c")])}
    assert {name: (each.votes, each.won) for name, each in found.items()} == {
        "a": (2, 1.5), "b": (3, 0.5), "c": (1, 1.0),
    }  # fmt: skip
    assert [*found][-1] == "b"
    assert all(each.low <= each.elo <= each.high for each in found.values())
    assert all(map(math.isfinite, (each.high for each in found.values())))  # though c never lost
    assert standings([]) == []


def test_more_votes_narrow_the_interval_and_equal_codecs_are_not_told_apart() -> None:
    def width(count: int) -> float:
        votes = [vote("a", "b", "ab"[k % 2], f"{k}") for k in range(count)]
        first, second = standings(votes)
        assert first.elo == pytest.approx(second.elo)
        assert first.low < MEAN < first.high
        return first.high - first.low

    assert width(400) == pytest.approx(width(100) / 2, rel=0.2)


def test_intervals_are_about_those_of_the_binomial_distribution() -> None:
    """Of 200 votes of which 100 are won, 95 % of draws win 86 to 114: (400 / ln 10) * ln(114 / 86) / 2 = 24.5."""
    first, _ = standings([vote("a", "b", "ab"[k % 2], f"{k}") for k in range(200)])
    assert first.high - MEAN == pytest.approx(24.5, rel=0.15)


def file(path: Path, voter: str, votes: list[dict[str, object]], version: int = 1) -> Path:
    path.write_text(json.dumps({"format": "calotype-votes", "version": version, "voter": voter, "votes": votes}))
    return path


def entry(better: str | None, image: str = "i", **changed: object) -> dict[str, object]:
    return {"set": "s", "image": image, "codecs": ["a", "b"], "qualities": [1, 2], "better": better} | changed


def test_files_of_several_voters_and_the_same_twice(tmp_path: Path) -> None:
    first = file(tmp_path / "1.json", "v", [entry("a"), entry("b", "j")])
    again = file(tmp_path / "2.json", "v", [entry("b"), entry("b", "j")])  # saved again after taking one back
    other = file(tmp_path / "3.json", "w", [entry(None)])
    assert read_votes([first, again, other]) == [
        vote("a", "b", "b"), vote("a", "b", "b", "j"), vote("a", "b", None, voter="w"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        '{"format": "other", "version": 1, "voter": "v", "votes": []}',
        '{"format": "calotype-votes", "version": 2, "voter": "v", "votes": []}',
        '{"format": "calotype-votes", "version": 1, "voter": "v", "votes": [{"set": "s"}]}',
        json.dumps({"format": "calotype-votes", "version": 1, "voter": "v", "votes": [entry("c")]}),
        json.dumps({"format": "calotype-votes", "version": 1, "voter": "v", "votes": [entry("a", codecs=["a", "a"])]}),
        json.dumps({"format": "calotype-votes", "version": 1, "voter": "v", "votes": [entry("a", qualities=[1])]}),
    ],
)
def test_what_holds_no_votes_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "votes.json"
    path.write_text(text)
    with pytest.raises(CalotypeError, match="holds no votes"):
        read_votes([path])
