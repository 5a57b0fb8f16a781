"""From timings to speeds: medians, and ratios within a round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .rows import Timing

REFERENCES = ("avif-444-s6", "jxl-e7", "jxl-lossless-e7")  # timed beside our models, to compare with


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


def speeds(timings: Sequence[Timing]) -> list[Speed]:
    """Speeds by number of cores, then in the order in which codecs were timed."""
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
    """How many times as fast as the others, on the same image in the same round."""
    theirs = {(t.set, t.image, t.round): t for t in others}
    pairs = [(theirs[turn], t) for t in own if (turn := (t.set, t.image, t.round)) in theirs]
    return statistics.median([float(getattr(other, clock) / getattr(t, clock)) for other, t in pairs])
