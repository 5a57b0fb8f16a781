"""A page on which people say which of two decoded pictures looks more like the original; and their votes as a table.

It is for all pairs of codecs at about equal bytes. Votes stay in the browser until they are saved to a file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from string import Template
from typing import Any

from ..tables.votes import CONFIDENCE, FORMAT, VERSION, Standing
from . import markup
from .markdown import table

PAGE = "vote.html"
ABOUT = 2.0  # times the rate asked for: how far above or below it a file may be
EQUAL = 1.1  # times the bytes of the other file

Shown = Mapping[str, Any]
"""An image of `viewer.shown_images`."""


def trials(images: Sequence[Shown], at: float) -> list[dict[str, Any]]:
    """What to vote on: of each image and two codecs the files nearest to each other in size, at about `at` bpp.

    Left out are pairs of which one is more than a tenth larger than the other, and files of less than half the rate or
    more than twice.
    """
    found = []
    for image in images:
        original, *coded = image["shown"]
        near = [one for one in coded if 1 / ABOUT <= one["bpp"] / at <= ABOUT]
        codecs: dict[str, list[Shown]] = {}
        for one in near:
            codecs.setdefault(one["codec"], []).append(one)
        for first, second in combinations(codecs.values(), 2):
            pair = min(product(first, second), key=lambda pair: (_apart(pair), _off(pair, at)))
            if _apart(pair) <= math.log(EQUAL):
                found.append(
                    {name: image[name] for name in ("set", "name", "width", "height")}
                    | {"original": original["file"], "shown": [_entry(one) for one in pair]}
                )
    return found


def _apart(pair: tuple[Shown, Shown]) -> float:
    return abs(math.log(pair[0]["bytes"] / pair[1]["bytes"]))


def _off(pair: tuple[Shown, Shown], at: float) -> float:
    return sum(abs(math.log(one["bpp"] / at)) for one in pair)


def _entry(one: Shown) -> dict[str, Any]:
    return {name: one[name] for name in ("codec", "quality", "bytes", "file")}


def vote_page(asked: Sequence[Mapping[str, Any]], title: str) -> str:
    """The page; it names the images' files, so it lies where they are named from."""
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    data = {"id": digest, "format": FORMAT, "version": VERSION, "trials": asked}
    return Template(markup.asset("vote.html")).substitute(
        title=markup.text(title),
        style=markup.asset("report.css") + markup.asset("vote.css"),
        script=markup.asset("vote.js"),
        data=markup.as_json(data),
    )


def standings_table(found: Sequence[Standing]) -> str:
    """In Markdown, the best codec first."""
    head = ("codec", "Elo", f"{CONFIDENCE:g} % interval", "votes", "preferred, draws as halves")
    lines = (
        (each.codec, f"{each.elo:.0f}", f"{each.low:.0f} to {each.high:.0f}", each.votes, f"{each.won:g}")
        for each in found
    )
    return table(head, lines)
