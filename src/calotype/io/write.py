"""`Image` -> image files. What a format cannot hold is refused, or left out with a warning where it is metadata."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import Unsupported
from ..image import Image, Metadata, Pixels
from . import colour, deep, density, exif, jpeg, png, ppm, tiff
from .errors import encoding, note
from .files import write_bytes
from .pillow import info_of, refuse_views

WRITE_FORMATS = {
    ".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP", ".bmp": "BMP",
    ".ppm": "PPM", ".pgm": "PPM", ".pnm": "PPM", ".jpg": "JPEG", ".jpeg": "JPEG",
}  # fmt: skip
IMAGE_ENDINGS = frozenset(WRITE_FORMATS) | {".gif", ".avif", ".jp2", ".qoi", ".tga"}

_NAMES = {
    "icc": "ICC profile", "exif": "Exif", "xmp": "XMP", "cicp": "cICP", "gamma": "gAMA and cHRM",
    "density": "pixel density",
}  # fmt: skip
_SIZES = {"cicp": (4,), "gamma": (4, 36), "density": (9,)}  # bytes; others have any size
_SPACES = {b"GRAY": (1, 2), b"RGB ": (3, 4)}  # of an ICC profile -> channels


def write_image(file: str | os.PathLike[str] | IO[bytes], image: Image, format: str | None = None) -> None:
    """Write an image with its metadata; a path is written whole or not at all.

    The format follows from the path's ending: png, tif, webp (lossless), bmp, ppm, pgm, jpg (quality 95). Metadata that
    has no place in it is left out with a warning.

    Raises
    ------
    Unsupported
        The format is unknown or cannot hold these pixels.

    Warns
    -----
    CalotypeWarning
        Metadata was left out.
    """
    if isinstance(file, (str, os.PathLike)):
        write_bytes(file, encode_image(image, format or format_of(file)))
    else:
        file.write(encode_image(image, format or "PNG"))


def format_of(path: str | os.PathLike[str]) -> str:
    """Pillow's name of the format that a file's ending stands for."""
    ending = Path(path).suffix.lower()
    if ending not in WRITE_FORMATS:
        raise Unsupported(f"cannot write {os.fspath(path)!r}; possible endings: {', '.join(WRITE_FORMATS)}")
    return WRITE_FORMATS[ending]


def encode_image(image: Image, format: str) -> bytes:
    """Bytes of an image file in one of the formats of `WRITE_FORMATS`."""
    format = format.upper()
    if format not in FORMATS:
        raise Unsupported(f"cannot write the format {format!r}; possible: {', '.join(FORMATS)}")
    refuse_views(image)
    holds = FORMATS[format]
    if image.mode not in holds.modes or image.depth not in holds.depths:
        raise Unsupported(f"{format} cannot hold {image.depth}-bit {image.mode} pixels; write PNG instead")
    pixels, block = image.pixels, image.metadata.exif
    if block is not None and "exif" not in holds.metadata:  # it can no longer say how the image is to be turned
        pixels = exif.turned(pixels, exif.orientation(block))
    return holds.encode(Image(pixels, image.depth, _fitting(image, format)))


def _encode_png(image: Image) -> bytes:
    if image.depth > 8 and image.channels > 1:
        plain = deep.encode_png(image)
    else:
        plain = _with_pillow(png.scale(image.pixels, image.depth), "PNG", compress_level=2)
        # level 2: a third of the default's time, about a tenth larger
    chunks = [] if image.depth in (8, 16) else [png.significance(image.depth, image.channels)]
    return png.with_chunks(plain, [*chunks, *png.metadata_chunks(image.metadata)])


def _encode_jpeg(image: Image) -> bytes:
    plain = _with_pillow(
        image.pixels, "JPEG", quality=95, subsampling="4:4:4"
    )  # not visibly worse than the decoded image
    return jpeg.with_metadata(plain, image.metadata)


def _encode_webp(image: Image) -> bytes:
    return _with_pillow(image.pixels, "WEBP", lossless=True, exact=True, **info_of(image.metadata))


def _encode_bmp(image: Image) -> bytes:
    inches = density.in_inches(image.metadata.density)
    return _with_pillow(image.pixels, "BMP", **({} if inches is None else {"dpi": inches}))


def _with_pillow(pixels: Pixels, format: str, **options: Any) -> bytes:
    from PIL import Image as Pillow

    out = BytesIO()
    height, width, channels = pixels.shape
    with encoding(f"{format} cannot hold these {width}x{height} pixels"):
        plain = np.ascontiguousarray(pixels[..., 0] if channels == 1 else pixels)
        Pillow.fromarray(plain).save(out, format, **options)
    return out.getvalue()


@dataclass(frozen=True)
class Holds:
    """What a format has a place for, and how it is written."""

    encode: Callable[[Image], bytes]
    modes: frozenset[str]
    depths: range
    metadata: frozenset[str]
    """Fields of `Metadata`."""


_ANY, _OPAQUE = frozenset({"L", "LA", "RGB", "RGBA"}), frozenset({"L", "RGB"})
_BLOCKS = frozenset({"icc", "exif", "xmp"})
FORMATS = {
    "PNG": Holds(_encode_png, _ANY, range(1, 17), _BLOCKS | {"cicp", "gamma", "density"}),
    "TIFF": Holds(tiff.encode, _ANY, range(1, 17), _BLOCKS | {"density"}),
    "WEBP": Holds(_encode_webp, _ANY, range(8, 9), _BLOCKS),
    "BMP": Holds(_encode_bmp, _OPAQUE, range(8, 9), frozenset({"density"})),
    "PPM": Holds(ppm.encode, _OPAQUE, range(1, 17), frozenset()),
    "JPEG": Holds(_encode_jpeg, _OPAQUE, range(8, 9), _BLOCKS | {"density"}),
}


def _fitting(image: Image, format: str) -> Metadata:
    """The metadata that the format has a place for and that is sound; tells of what is left out."""
    blocks = {entry.name: getattr(image.metadata, entry.name) for entry in fields(Metadata)}
    blocks = {name: block for name, block in blocks.items() if block is not None}
    blocks = {name: block for name, block in blocks.items() if len(block) in _SIZES.get(name, (len(block),))}
    if "gamma" in blocks and "gamma" not in FORMATS[format].metadata:
        _as_profile(blocks, format, image.channels)
    kept: dict[str, bytes] = {}
    for name, block in blocks.items():
        if name not in FORMATS[format].metadata:
            note(f"{format} has no place for its {_NAMES[name]}; left out")
        elif name != "icc" or _suits(block, 3 if format == "WEBP" else image.channels, format):
            kept[name] = block
    if "exif" in kept:
        block = exif.checked(kept.pop("exif"))
        kept |= {} if block is None else {"exif": block}
    return Metadata(**kept)


def _as_profile(blocks: dict[str, bytes], format: str, channels: int) -> None:
    """Say by an ICC profile what gAMA and cHRM say, unless it goes without saying or one counts more."""
    gamma = blocks["gamma"]
    if {"icc", "cicp"} & blocks.keys() or colour.is_srgb(gamma):
        del blocks["gamma"]
    elif "icc" in FORMATS[format].metadata:
        made = colour.profile(gamma, grey=channels < 3 and format != "WEBP")
        if made is not None:
            blocks["icc"] = made
            del blocks["gamma"]


def _suits(profile: bytes, channels: int, format: str) -> bool:
    """Whether a profile is of the kind of the pixels: readers refuse an RGB profile on grey, and the reverse."""
    space = profile[16:20]  # ICC.1, 7.2: data colour space
    if channels in _SPACES.get(space, (channels,)) and space not in (b"CMYK", b"Lab "):
        return True
    note(f"its ICC profile is of {space.decode('latin-1').strip()}, not of such pixels; left out of the {format}")
    return False
