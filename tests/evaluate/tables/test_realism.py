"""Looks of the same files side by side, and other codecs at the same bytes."""

from __future__ import annotations

import math
from typing import Any

import pytest

pytest.importorskip("scipy")

from calotype.evaluate.tables.realism import Look, groups
from calotype.evaluate.tables.rows import Row
from calotype.evaluate.tables.summary import summarise

LOOKS = {f"m@realism={value:g}": Look("m", value) for value in (1.0, 0.0)}


def row(codec: str, quality: float, bpp: float, **metrics: float) -> Row:
    return Row(
        set="s", image="i", codec=codec, title=f"title of {codec}", kind="lossy", own="@" in codec, ending=".x",
        version="1", digest=None, quality=quality, device="cpu", threads=1, jobs=1, processor="p", width=100, height=80,
        bytes=round(bpp * 1000), metrics=metrics,
    )  # fmt: skip


def found() -> list[Any]:
    rows = [
        row(codec, quality, quality / 100, psnr=quality - look.realism, lpips_squeeze=1 / quality, largest_error=3.0)
        for codec, look in LOOKS.items()
        for quality in (20, 40)
    ]
    rows += [row("jpeg", quality, bpp, psnr=10 * math.log(bpp)) for quality, bpp in ((1, 0.1), (2, 0.3))]
    distances = {("s", "m@realism=1", 20.0): {"frechet_squeeze": 7.0}, ("t", "m@realism=0", 20.0): {"psnr": 99.0}}
    return groups(summarise(rows, {})["s"], LOOKS, distances)


def test_looks_rise_and_have_the_figures_of_their_rows() -> None:
    low, high = found()
    assert (low.model, low.quality, high.quality) == ("m", 20, 40)
    assert [(line.title, line.realism, line.bpp) for line in low.looks] == [("m", 0.0, 0.2), ("m", 1.0, 0.2)]
    assert [line.values["psnr"] for line in low.looks] == [20, 19]
    assert [line.values["frechet_squeeze"] for line in (*low.looks, *high.looks)] == [None, 7.0, None, None]
    assert "largest_error" not in low.looks[0].values


def test_others_are_met_at_the_same_bytes_and_not_beyond_their_own() -> None:
    low, high = found()
    (near,), (beyond,) = low.others, high.others
    assert (near.title, near.realism, near.bpp) == ("title of jpeg", None, 0.2)
    assert near.values["psnr"] == pytest.approx(10 * math.log(0.2))
    assert near.values["lpips_squeeze"] is None
    assert beyond.values["psnr"] is None
