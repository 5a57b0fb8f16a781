"""Distortion against perception: files decoded at several values of realism, and others at the same bytes. Pure.

Blau and Michaeli 2018, "The perception-distortion tradeoff": at a given rate one is bought with the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from .series import Point
from .summary import ImageSet
from .survey import along, finite

LEFT_OUT = {"largest_error"}  # says nothing of either

Distances = Mapping[tuple[str, str, float], Mapping[str, float]]
"""Of the patches of a set of images, by metric; for set, codec and quality."""


class Look(NamedTuple):
    """How a codec in the tables decodes."""

    model: str
    realism: float


@dataclass(frozen=True)
class Line:
    """A codec at a rate."""

    title: str
    realism: float | None
    """None of codecs that have no choice."""
    bpp: float
    values: Mapping[str, float | None]
    """Metrics by name; None where a curve does not reach the rate."""


@dataclass(frozen=True)
class Group:
    """What has the same bytes."""

    model: str
    quality: float
    looks: tuple[Line, ...]
    """The model's files by rising realism."""
    others: tuple[Line, ...]
    """Other codecs, along their own curves at that rate."""


def groups(measured: ImageSet, looks: Mapping[str, Look], distances: Distances) -> list[Group]:
    """By model and quality; metrics are means over images, but distances of patches are of all of them as one set."""
    points = {
        codec: [
            replace(point, metrics={**point.metrics, **distances.get((measured.name, codec, point.quality), {})})
            for point in series.points
        ]
        for codec, series in measured.series.items()
    }
    names = sorted({name for each in points.values() for point in each for name in point.metrics} - LEFT_OUT)
    found = []
    for model in dict.fromkeys(look.model for look in looks.values()):
        own = sorted((look.realism, codec) for codec, look in looks.items() if look.model == model)
        for quality in sorted({point.quality for _, codec in own for point in points.get(codec, ())}):
            lines = [
                Line(model, realism, point.bpp, {name: finite(point.metrics.get(name)) for name in names})
                for realism, codec in own
                for point in points.get(codec, ())
                if point.quality == quality
            ]
            others = [
                _at(measured.series[codec].title, points[codec], lines[0].bpp, names)
                for codec in points
                if codec not in looks and points[codec] and measured.series[codec].kind == "lossy"
            ]
            found.append(Group(model, quality, tuple(lines), tuple(others)))
    return found


def _at(title: str, points: Sequence[Point], bpp: float, names: Sequence[str]) -> Line:
    """A codec at a rate along its own curve."""
    curves = {name: [(point.bpp, point.metrics.get(name, math.nan)) for point in points] for name in names}
    return Line(title, None, bpp, {name: along(curve, bpp) for name, curve in curves.items()})
