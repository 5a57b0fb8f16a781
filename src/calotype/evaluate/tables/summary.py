"""From rows to sets of images: the curves of all codecs on each, and their Bjøntegaard differences.

Pure: values in, values out. A curve is a list of (bpp, quality), see `bd`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import Unsupported
from .bd import Curve, bd_psnr, bd_rate, envelope, psnr_overlap
from .published import HYPERPRIOR, SET, VTM, Published
from .rows import Row
from .series import Point, Series, series

LOSSLESS_REFERENCE = "jxl-lossless-e7"
JPEG = "jpeg"  # the better of both subsamplings at each PSNR
BOTH_JPEGS = ("jpeg-420", "jpeg-444")
ANCHORS = (VTM, HYPERPRIOR, JPEG, *BOTH_JPEGS, "webp", "avif-444-s6", "heic-444", "jxl-e7", "jpeg2000")  # in this order


@dataclass(frozen=True)
class Difference:
    """How a codec's curve lies to an anchor's; negative rates and positive decibels are better than the anchor."""

    codec: str
    anchor: str
    anchor_title: str
    rate: float
    """BD-rate in percent, PCHIP."""
    rate_akima: float
    decibels: float
    """BD-PSNR."""
    low: float
    """PSNR in dB from which on both curves reach, ..."""
    high: float
    """... and up to which."""


@dataclass(frozen=True)
class ImageSet:
    """What was measured on one set of images."""

    name: str
    series: Mapping[str, Series]
    """Series by codec, in the order in which codecs were asked for."""
    published: Mapping[str, Published]
    """Published curves by name; empty for sets that nothing was published for."""

    @property
    def images(self) -> list[str]:
        return sorted({row.image for series in self.series.values() for row in series.rows})

    def of_kind(self, kind: str) -> list[Series]:
        return [series for series in self.series.values() if series.kind == kind and series.points]

    def near_lossless(self) -> tuple[list[str], list[tuple[Series, list[str]]]]:
        """The error bounds measured, and each near-lossless codec's bpsp and PSNR at them; "" where it has no point."""
        found = self.of_kind("near-lossless")
        bounds = sorted({point.quality for series in found for point in series.points})
        rows = []
        for each in found:
            by_bound = {point.quality: _at_bound(point) for point in each.points}
            rows.append((each, [by_bound.get(bound, "") for bound in bounds]))
        return [f"{bound:g}" for bound in bounds], rows

    def anchors(self) -> dict[str, tuple[str, Curve]]:
        """Title and PSNR curve of each of `ANCHORS` that is there and has points."""
        curves = {name: (each.title, each.curve()) for name, each in self.series.items()}
        curves |= {name: (entry.title, entry.curve()) for name, entry in self.published.items()}
        jpegs = [curves[name][1] for name in BOTH_JPEGS if name in curves]
        if len(jpegs) == len(BOTH_JPEGS) and all(jpegs):
            curves[JPEG] = "JPEG, the better of 4:2:0 and 4:4:4 at each PSNR", envelope(*jpegs)
        return {name: curves[name] for name in ANCHORS if name in curves and curves[name][1]}

    def differences(self, codec: str) -> list[Difference]:
        """Differences of one codec to each anchor that its curve overlaps with."""
        curve = self.series[codec].curve()
        if not curve:
            return []
        found = []
        for name, (title, anchor) in self.anchors().items():
            if name == codec:
                continue
            try:
                found.append(_difference(codec, curve, name, title, anchor))
            except Unsupported:
                continue
        return found


def summarise(rows: Sequence[Row], published: Mapping[str, Published]) -> dict[str, ImageSet]:
    """Rows by set and codec. Published curves go with the set that they are of, if it is whole."""
    sets = {}
    for name in dict.fromkeys(row.set for row in rows):
        of_set = [row for row in rows if row.set == name]
        images = frozenset(row.image for row in of_set if row.width is not None)
        codecs = dict.fromkeys(row.codec for row in of_set)
        by_codec = {codec: series([row for row in of_set if row.codec == codec], images) for codec in codecs}
        whole = (name, len({row.image for row in of_set})) == SET
        sets[name] = ImageSet(name, by_codec, published if whole else {})
    return sets


def _at_bound(point: Point) -> str:
    """Its bpsp and PSNR; and the largest error, where that is not the bound itself."""
    psnr, error = point.metrics.get("psnr"), point.metrics.get("largest_error")
    quality = "" if psnr is None else f" ({psnr:.2f} dB)"
    return f"{point.bpsp:.3f}{quality}" + ("" if error in (None, point.quality) else f", off by {error:g}")


def _difference(codec: str, curve: Curve, name: str, title: str, anchor: Curve) -> Difference:
    low, high = psnr_overlap(curve, anchor)
    return Difference(
        codec=codec,
        anchor=name,
        anchor_title=title,
        rate=bd_rate(curve, anchor),
        rate_akima=bd_rate(curve, anchor, method="akima"),
        decibels=bd_psnr(curve, anchor),
        low=low,
        high=high,
    )
