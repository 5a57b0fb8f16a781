"""Tries what image files can hold, combination by combination: the tables of formats.md. A test runs it, too."""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from calotype.errors import CalotypeWarning, Unsupported
from calotype.image import MODES, Image, Metadata, pixel_type
from calotype.io import encode_image, exif, read_image

PAGE = Path(__file__).with_name("formats.md")
FORMATS = ("PNG", "TIFF", "WEBP", "JPEG", "BMP", "PPM")
CHANNELS = tuple(MODES)
DEPTHS = (8, 10, 12, 16)
ORIENTATIONS = range(1, 9)
BLOCKS = tuple(entry.name for entry in fields(Metadata))
TOGETHER = tuple(name for name in BLOCKS if name != "gamma")  # which counts only where no ICC profile is
NAMES = {
    "icc": "ICC profile", "exif": "Exif", "xmp": "XMP", "cicp": "cICP", "gamma": "gAMA, cHRM", "density": "density",
}  # fmt: skip
CLOSE = 24  # levels of 255 that JPEG of quality 95 may be off on smooth waves
SIZE = (6, 9)


class Case(NamedTuple):
    """One combination."""

    format: str
    channels: int
    depth: int
    orientation: int
    blocks: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of it."""

    refused: str | None = None
    """The reason."""
    same: bool = False
    """Every sample, as a viewer shows it."""
    as_rgb: bool = False
    """Grey became RGB."""
    close: bool = False
    """Nearly every sample."""
    kept: frozenset[str] = frozenset()
    """Blocks of metadata that came back byte for byte."""
    told: frozenset[str] = frozenset()
    """Blocks that were left out with a warning."""
    profiled: bool = False
    """What gAMA and cHRM say became an ICC profile."""

    @property
    def word(self) -> str:
        """For the table."""
        if self.refused:
            return "refused"
        if not self.same:
            return "close" if self.close else "wrong"
        return "same, as RGB" if self.as_rgb else "same"


def cases() -> Iterator[Case]:
    """Every mode, format, depth and orientation, with no other metadata, with each kind of it and with all of it."""
    for format, channels, depth in product(FORMATS, CHANNELS, DEPTHS):
        for orientation, blocks in product(ORIENTATIONS, ((), TOGETHER)):
            yield Case(format, channels, depth, orientation, blocks)
        for block in BLOCKS:
            yield Case(format, channels, depth, 1, (block,))


@cache
def attempt(case: Case) -> Outcome:
    """Write it and read it."""
    image = make(case)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CalotypeWarning)
        try:
            again = read_image(BytesIO(encode_image(image, case.format)), exact=True)
        except Unsupported as error:
            return Outcome(refused=str(error))
    said = " ".join(str(warning.message) for warning in caught)
    before, after = shown(image).astype(int), shown(again).astype(int)
    as_rgb = image.channels < 3 <= again.channels
    if as_rgb:
        before = np.concatenate([before[..., :1]] * 3 + [before[..., 1:]], axis=-1)
    alike = before.shape == after.shape and image.depth == again.depth
    told = {name for name in case.blocks if NAMES[name].partition(",")[0] in said}
    kept = {name for name in case.blocks if getattr(again.metadata, name) == getattr(image.metadata, name)}
    return Outcome(
        same=alike and np.array_equal(before, after),
        as_rgb=as_rgb,
        close=alike and int(np.abs(before - after).max()) <= CLOSE,
        kept=frozenset(kept),
        told=frozenset(told),
        profiled=again.metadata.icc is not None and "icc" not in case.blocks,
    )


def make(case: Case) -> Image:
    """A small image of smooth waves."""
    height, width = SIZE
    y, x, c = np.ogrid[:height, :width, : case.channels]
    waves = (np.sin(x / 3 + c) + np.cos(y / 3 - c)) / 4 + 0.5
    pixels = np.round(waves * ((1 << case.depth) - 1)).astype(pixel_type(case.depth))
    blocks = {name: block for name, block in _blocks(case.channels, case.orientation).items() if name in case.blocks}
    if case.orientation != 1:
        blocks["exif"] = _blocks(case.channels, case.orientation)["exif"]
    return Image(pixels, case.depth, Metadata(**blocks))


def shown(image: Image) -> np.ndarray:
    """As a viewer turns it."""
    block = image.metadata.exif
    return exif.turned(image.pixels, 1 if block is None else exif.orientation(block))


@cache
def _blocks(channels: int, orientation: int) -> dict[str, bytes]:
    from PIL.Image import Exif

    tags = Exif()
    if orientation != 1:
        tags[0x0112] = orientation
    tags[0x010F] = "Maker"
    tags.get_ifd(0x8769)[0x9003] = "2026:11:25 12:00:00"
    tags.get_ifd(0x8825)[1] = "N"
    space = b"GRAY" if channels < 3 else b"RGB "
    return {
        "icc": bytes(16) + space + bytes(108),
        "exif": tags.tobytes().removeprefix(b"Exif\0\0"),
        "xmp": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
        "cicp": bytes((9, 16, 0, 1)),
        "gamma": struct.pack(">9I", 100_000, 31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000),
        "density": struct.pack(">IIB", 11_811, 11_811, 1),
    }


def fill(page: str) -> str:
    """The page with present tables, each behind a comment that names it, and the present count of combinations."""
    found = {case: attempt(case) for case in cases()}
    page = re.sub(r"[\d,]+ combinations", f"{len(found):,} combinations", page)
    for name, table in (("pixels", _pixel_table(found)), ("metadata", _metadata_table(found))):
        page = re.sub(rf"(<!-- table: {name} -->\n).*?(?=\n\n)", rf"\g<1>{table}", page, flags=re.DOTALL)
    return page


def _pixel_table(found: dict[Case, Outcome]) -> str:
    rows = ["| format | bits | " + " | ".join(MODES.values()) + " |", "| --- | --- |" + " --- |" * len(MODES)]
    for format, depth in product(FORMATS, DEPTHS):
        cells = [_pixels(found, format, channels, depth) for channels in CHANNELS]
        rows.append(f"| {format} | {depth} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _pixels(found: dict[Case, Outcome], format: str, channels: int, depth: int) -> str:
    words = {
        outcome.word
        for case, outcome in found.items()
        if (case.format, case.channels, case.depth) == (format, channels, depth)
    }
    return " and ".join(sorted(words))


def _metadata_table(found: dict[Case, Outcome]) -> str:
    rows = ["| format | " + " | ".join(NAMES[name] for name in BLOCKS) + " |", "| --- |" + " --- |" * len(BLOCKS)]
    for format in FORMATS:
        cells = [_block(found, format, name) for name in BLOCKS]
        rows.append(f"| {format} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _block(found: dict[Case, Outcome], format: str, name: str) -> str:
    words = {
        "kept" if name in outcome.kept else "as ICC profile" if outcome.profiled else "note"
        for case, outcome in found.items()
        if case.format == format and case.blocks == (name,) and outcome.refused is None
    }
    return " and ".join(sorted(words))
