"""One codec over one set of images: means over the images at each quality, and curves through them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from .bd import Curve
from .rows import Row


@dataclass(frozen=True)
class Point:
    """Means over the images at one quality; PSNR is the mean of the images' PSNR in dB, as the field does it."""

    quality: float
    bpp: float
    bpsp: float
    """Bits per sub-pixel: a sample of any channel and view."""
    metrics: Mapping[str, float]
    """Means, but of `largest_error` the largest."""
    encode_seconds: float
    decode_seconds: float
    bpp_ideal: float | None = None


@dataclass(frozen=True)
class Series:
    """One codec over one set of images."""

    codec: str
    title: str
    kind: str
    own: bool
    version: str
    digest: str | None
    rows: tuple[Row, ...] = field(repr=False)
    """Those that worked."""
    failures: tuple[Row, ...] = field(default=(), repr=False)
    """Those that did not."""
    refusals: tuple[Row, ...] = field(default=(), repr=False)
    """Those of images that the codec does not take."""
    images: frozenset[str] = frozenset()
    """All that its points must be means of."""

    @cached_property
    def points(self) -> list[Point]:
        """Means by rising rate. Left out is a quality at which an image failed, is not done or is not taken.

        Else it would be a mean of other images than those of its neighbours. Images that could not be read fail for
        all codecs alike, so they change nothing.
        """
        by_quality: dict[float, list[Row]] = {}
        for row in self.rows:
            by_quality.setdefault(row.quality, []).append(row)
        whole = {quality: rows for quality, rows in by_quality.items() if {r.image for r in rows} >= self.images}
        points = [_mean(quality, rows) for quality, rows in whole.items()]
        return sorted(points, key=lambda point: point.bpp)

    def curve(self, metric: str = "psnr") -> Curve:
        """(bpp, metric) by rising rate, where the metric is finite; of MS-SSIM and other shares of 1 as they are."""
        found = [(point.bpp, point.metrics[metric]) for point in self.points if metric in point.metrics]
        return [(bpp, value) for bpp, value in found if math.isfinite(value)]

    def nearest(self, bpp: float) -> Point:
        """The point whose rate is nearest to `bpp` as a ratio."""
        return min(self.points, key=lambda point: abs(math.log(point.bpp / bpp)))


def series(rows: Sequence[Row], images: frozenset[str] | None = None) -> Series:
    """Rows of one codec, at least one; points are means over `images`, or over those that the rows are of."""
    latest = rows[-1]
    return Series(
        codec=latest.codec,
        title=latest.title,
        kind=latest.kind,
        own=latest.own,
        version=latest.version,
        digest=latest.digest,
        rows=tuple(row for row in rows if row.error is None),
        failures=tuple(row for row in rows if row.error is not None and row.applicable),
        refusals=tuple(row for row in rows if not row.applicable),
        images=frozenset(row.image for row in rows if row.width is not None) if images is None else images,
    )


def _mean(quality: float, rows: Sequence[Row]) -> Point:
    ideal = [row.ideal_bits / row.pixels for row in rows if row.ideal_bits is not None]
    common = [name for name in rows[0].metrics if all(name in row.metrics for row in rows)]
    join = {"largest_error": max}
    return Point(
        quality=quality,
        bpp=statistics.fmean(row.bpp for row in rows),
        bpsp=statistics.fmean(row.bpsp for row in rows),
        metrics={name: join.get(name, statistics.fmean)([row.metrics[name] for row in rows]) for name in common},
        encode_seconds=statistics.fmean(row.encode_seconds or 0 for row in rows),
        decode_seconds=statistics.fmean(row.decode_seconds or 0 for row in rows),
        bpp_ideal=statistics.fmean(ideal) if ideal else None,
    )
