"""What people use today, behind one interface: an image and a rung of a ladder in, a whole file out."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import Unsupported
from .avif import Avif
from .flif import Flif
from .heic import Heic
from .jpeg import Jpeg
from .jpeg2000 import Jpeg2000, Jpeg2000Lossless
from .jpegls import JpegLs, JpegLsGreen, JpegLsNearGreen
from .jpegxl import JpegXL, JpegXLLossless, JpegXLNear
from .png import DeepPng, Png
from .rival import BOUNDS, EXACT, Kind, Ladder, Rival, Rung, Takes, rungs
from .webp import WebP, WebPLossless

__all__ = [
    "BOUNDS", "EXACT", "GROUPS", "RIVALS", "Kind", "Ladder", "Rival", "Rung", "Takes", "find_rivals", "rungs",
]  # fmt: skip

RIVALS: tuple[Rival, ...] = (
    Jpeg("4:2:0"),
    Jpeg("4:4:4"),
    WebP(),
    Avif("4:4:4", 6),
    Avif("4:4:4", 4),
    Avif("4:2:0", 6),
    Avif("4:2:0", 4),
    Heic(),
    JpegXL(3),
    JpegXL(5),
    JpegXL(7),
    JpegXL(9),
    Jpeg2000(),
    Png(),
    DeepPng(),
    WebPLossless(),
    JpegXLLossless(3),
    JpegXLLossless(5),
    JpegXLLossless(7),
    JpegXLLossless(9),
    JpegLs(),
    JpegLsGreen(),
    Jpeg2000Lossless(),
    Flif(),
    JpegXLNear(7),
    JpegXLNear(9),
    JpegLs(near=True),
    JpegLsNearGreen(),
)


def _names(kind: Kind, depth: int = 8) -> tuple[str, ...]:
    return tuple(rival.name for rival in RIVALS if rival.kind == kind and depth in rival.takes.depths)


GROUPS: dict[str, tuple[str, ...]] = {
    "usual": ("jpeg-420", "webp", "avif-444-s6", "jxl-e7", "jpeg2000"),
    "lossy": _names("lossy"),
    "lossless": _names("lossless"),
    "lossless-16": _names("lossless", depth=16),
    "near-lossless": _names("near-lossless"),
    "all": tuple(rival.name for rival in RIVALS),
}


def find_rivals(names: Sequence[str]) -> tuple[Rival, ...]:
    """Look up rivals and groups of rivals by name; in order, each rival once.

    Raises
    ------
    Unsupported
        A name is neither a rival's nor a group's.
    """
    rivals = {rival.name: rival for rival in RIVALS}
    if unknown := [name for name in names if name not in rivals and name not in GROUPS]:
        raise Unsupported(
            f"no rival is called {', '.join(unknown)}; there are {', '.join(rivals)}; groups are {', '.join(GROUPS)}"
        )
    members = [member for name in names for member in GROUPS.get(name, (name,))]
    return tuple(rivals[member] for member in dict.fromkeys(members))
