"""From rows to what people compare: means over pictures, curves, Bjøntegaard differences.

Pure: values in, values out. A curve is a list of (bpp, quality), see `bd`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ..errors import CalotypeError, Unsupported
from .bd import Curve, bd_psnr, bd_rate, envelope, psnr_overlap
from .published import HYPERPRIOR, SET, VTM, Published, load_published
from .rows import FILES, ROWS, TIMINGS, Row, Timing, read_table

LOSSLESS_REFERENCE = "jxl-lossless-e7"
JPEG = "jpeg"  # the better of both subsamplings at each PSNR
BOTH_JPEGS = ("jpeg-420", "jpeg-444")
ORIGINAL = "original.png"  # beside the coded files of a picture
ANCHORS = (VTM, HYPERPRIOR, JPEG, *BOTH_JPEGS, "webp", "avif-444-s6", "heic-444", "jxl-e7", "jpeg2000")  # in this order


@dataclass(frozen=True)
class Point:
    """Means over the pictures at one quality; PSNR is the mean of the pictures' PSNR in dB, as the field does it."""

    quality: float
    bpp: float
    bpsp: float
    """Bits per sub-pixel: of each of the three colour samples."""
    metrics: Mapping[str, float]
    """Means, but of `largest_error` the largest."""
    encode_seconds: float
    decode_seconds: float
    bpp_ideal: float | None = None


@dataclass(frozen=True)
class Series:
    """One codec over one set of pictures."""

    codec: str
    title: str
    kind: str
    own: bool
    version: str
    digest: str | None
    rows: tuple[Row, ...] = field(repr=False)
    """Those that worked."""
    failures: tuple[Row, ...] = field(default=(), repr=False)
    pictures: frozenset[str] = frozenset()
    """All that its points must be means of."""

    @cached_property
    def points(self) -> list[Point]:
        """By rising rate. Qualities at which a picture failed or is not done are left out: no mean of other pictures.

        Pictures that could not be read fail for all codecs alike, so they change nothing.
        """
        by_quality: dict[float, list[Row]] = {}
        for row in self.rows:
            by_quality.setdefault(row.quality, []).append(row)
        whole = {quality: rows for quality, rows in by_quality.items() if {r.picture for r in rows} >= self.pictures}
        points = [_mean(quality, rows) for quality, rows in whole.items()]
        return sorted(points, key=lambda point: point.bpp)

    def curve(self, metric: str = "psnr") -> Curve:
        """(bpp, metric) by rising rate, where the metric is finite; of MS-SSIM and other shares of 1 as they are."""
        found = [(point.bpp, point.metrics[metric]) for point in self.points if metric in point.metrics]
        return [(bpp, value) for bpp, value in found if math.isfinite(value)]

    def nearest(self, bpp: float, picture: str | None = None) -> Point | Row:
        """The operating point, or the row of one picture, whose rate is nearest to `bpp` as a ratio."""
        found: Iterable[Point | Row] = self.points
        if picture is not None:
            found = (row for row in self.rows if row.picture == picture)
        return min(found, key=lambda entry: abs(math.log(entry.bpp / bpp)))


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
class PictureSet:
    """What was measured on one set of pictures."""

    name: str
    series: Mapping[str, Series]
    """By codec, in the order in which they were asked for."""
    published: Mapping[str, Published]
    """By name; empty for sets that nothing was published for."""

    @property
    def pictures(self) -> list[str]:
        return sorted({row.picture for series in self.series.values() for row in series.rows})

    def of_kind(self, kind: str) -> list[Series]:
        return [series for series in self.series.values() if series.kind == kind and series.points]

    def anchors(self) -> dict[str, tuple[str, Curve]]:
        """Title and PSNR curve of each of `ANCHORS` that is there."""
        jpegs = [self.series[name].curve() for name in BOTH_JPEGS if name in self.series]
        found: dict[str, tuple[str, Curve]] = {}
        for name in ANCHORS:
            if name in self.published:
                found[name] = self.published[name].title, self.published[name].curve()
            elif name in self.series:
                found[name] = self.series[name].title, self.series[name].curve()
            elif name == JPEG and len(jpegs) == len(BOTH_JPEGS):
                found[name] = "JPEG, the better of 4:2:0 and 4:4:4 at each PSNR", envelope(*jpegs)
        return found

    def differences(self, codec: str) -> list[Difference]:
        """Of one codec to each anchor that its curve overlaps with."""
        curve = self.series[codec].curve()
        found = []
        for name, (title, anchor) in self.anchors().items():
            if name == codec:
                continue
            try:
                found.append(_difference(codec, curve, name, title, anchor))
            except Unsupported:
                continue
        return found


@dataclass(frozen=True)
class Speed:
    """Medians of one codec on so many cores; ratios are medians of ratios within a round, so a slow minute cancels."""

    codec: str
    title: str
    kind: str
    own: bool
    cores: int
    bpp: float
    encode: float
    """Megapixels a second."""
    decode: float
    start_seconds: float
    encode_peak_bytes: int
    decode_peak_bytes: int
    encode_ratio: Mapping[str, float]
    """How many times as fast as another codec of its kind on as many cores, by the other's name."""
    decode_ratio: Mapping[str, float]


@dataclass(frozen=True)
class Bench:
    """A folder that `calotype bench` wrote."""

    folder: Path
    sets: Mapping[str, PictureSet]
    timings: Sequence[Timing]

    @property
    def rows(self) -> list[Row]:
        return [row for each in self.sets.values() for series in each.series.values() for row in series.rows]

    def file(self, row: Row) -> Path:
        """Where the coded file of a row lies, if it was kept."""
        return file_of(self.folder, row)

    def original(self, row: Row) -> Path:
        """Where the picture lies, as a PNG, if files were kept."""
        return self.file(row).with_name(ORIGINAL)


def file_of(folder: Path, row: Row) -> Path:
    return folder / FILES / row.set / row.picture / f"{row.codec}@{row.quality:g}{row.ending}"


def load_bench(folder: Path, published: Path | None = None) -> Bench:
    """Read what `calotype bench` wrote.

    Parameters
    ----------
    published
        File of published curves. None: found by CALOTYPE_DATA, or left out.

    Raises
    ------
    CalotypeError
        The folder holds no bench, or the named file is not there.
    """
    if not (folder / ROWS).is_file():
        raise CalotypeError(f"{folder} holds no {ROWS}; run: calotype bench IMAGES --out {folder}")
    rows = read_table(folder / ROWS, Row)
    timings = read_table(folder / TIMINGS, Timing) if (folder / TIMINGS).is_file() else []
    return Bench(folder, summarise(rows, _published(published)), timings)


def summarise(rows: Sequence[Row], published: Mapping[str, Published]) -> dict[str, PictureSet]:
    """Rows by set and codec. Published curves go with the set that they are of, if it is whole."""
    sets = {}
    for name in dict.fromkeys(row.set for row in rows):
        of_set = [row for row in rows if row.set == name]
        pictures = frozenset(row.picture for row in of_set if row.width is not None)
        by_codec = {codec: series([row for row in of_set if row.codec == codec], pictures) for codec in _codecs(of_set)}
        whole = (name, len({row.picture for row in of_set})) == SET
        sets[name] = PictureSet(name, by_codec, published if whole else {})
    return sets


def speeds(timings: Sequence[Timing]) -> list[Speed]:
    """By number of cores, then in the order in which codecs were timed."""
    groups: dict[tuple[int, str], list[Timing]] = {}
    for timing in timings:
        groups.setdefault((timing.cores, timing.codec), []).append(timing)
    found = []
    for (cores, codec), own in sorted(groups.items(), key=lambda item: item[0][0]):
        others = {
            other: them
            for (count, other), them in groups.items()
            if count == cores and other != codec and them[0].kind == own[0].kind
        }
        found.append(
            Speed(
                codec=codec,
                title=own[0].title,
                kind=own[0].kind,
                own=own[0].own,
                cores=cores,
                bpp=8 * sum(t.bytes for t in own) / sum(1e6 * t.megapixels for t in own),
                encode=statistics.median(t.megapixels / t.encode_seconds for t in own),
                decode=statistics.median(t.megapixels / t.decode_seconds for t in own),
                start_seconds=statistics.median(t.start_seconds for t in own),
                encode_peak_bytes=max(t.encode_peak_bytes for t in own),
                decode_peak_bytes=max(t.decode_peak_bytes for t in own),
                encode_ratio={name: _ratio(own, them, "encode_seconds") for name, them in others.items()},
                decode_ratio={name: _ratio(own, them, "decode_seconds") for name, them in others.items()},
            )
        )
    return found


def _ratio(own: Sequence[Timing], others: Sequence[Timing], clock: str) -> float:
    """How many times as fast as the others, on the same picture in the same round."""
    theirs = {(t.set, t.picture, t.round): t for t in others}
    pairs = [(theirs[turn], t) for t in own if (turn := (t.set, t.picture, t.round)) in theirs]
    return statistics.median([float(getattr(other, clock) / getattr(t, clock)) for other, t in pairs])


def _published(path: Path | None) -> Mapping[str, Published]:
    try:
        return load_published(path)
    except CalotypeError:
        if path is not None:
            raise
        return {}


def _codecs(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(row.codec for row in rows))


def series(rows: Sequence[Row], pictures: frozenset[str] | None = None) -> Series:
    """Rows of one codec, at least one; points are means over `pictures`, or over those that the rows are of."""
    latest = rows[-1]
    return Series(
        codec=latest.codec,
        title=latest.title,
        kind=latest.kind,
        own=latest.own,
        version=latest.version,
        digest=latest.digest,
        rows=tuple(row for row in rows if row.error is None),
        failures=tuple(row for row in rows if row.error is not None),
        pictures=frozenset(row.picture for row in rows if row.width is not None) if pictures is None else pictures,
    )


def _mean(quality: float, rows: Sequence[Row]) -> Point:
    bpp = statistics.fmean(row.bpp for row in rows)
    ideal = [row.ideal_bits / row.pixels for row in rows if row.ideal_bits is not None]
    common = [name for name in rows[0].metrics if all(name in row.metrics for row in rows)]
    join = {"largest_error": max}
    return Point(
        quality=quality,
        bpp=bpp,
        bpsp=bpp / 3,
        metrics={name: join.get(name, statistics.fmean)([row.metrics[name] for row in rows]) for name in common},
        encode_seconds=statistics.fmean(row.encode_seconds or 0 for row in rows),
        decode_seconds=statistics.fmean(row.decode_seconds or 0 for row in rows),
        bpp_ideal=statistics.fmean(ideal) if ideal else None,
    )


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
