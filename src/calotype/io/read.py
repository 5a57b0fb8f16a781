"""Image files -> `Image`: what the file declares, then its pixels, then its metadata."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import IO, TYPE_CHECKING

import numpy as np

from ..errors import CorruptFile, LimitExceeded, Unsupported
from ..image import Image
from ..options import DEFAULT_MAX_PIXELS
from . import avif, deep, jp2, jpeg, png, ppm, tiff
from .declared import Declared
from .errors import about, decoding, note
from .pillow import convert, from_pillow, metadata_of, refuse_conversion

if TYPE_CHECKING:
    from PIL import Image as Pillow

READ_FORMATS = (
    "PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000", "QOI", "TGA",
)  # fmt: skip
# Only formats whose bit depth we can tell, and none that starts other programs (EPS).

_DECLARED: dict[str, Callable[[IO[bytes]], Declared]] = {
    "PNG": png.declared,
    "JPEG": jpeg.declared,
    "PPM": ppm.declared,
    "AVIF": avif.declared,
    "JPEG2000": jp2.declared,
}
_OTHERS = {
    (0, b"\xff\x0a"): "JPEG XL",
    (4, b"JXL "): "JPEG XL",
    (4, b"ftyphei"): "HEIC",
    (4, b"ftyphev"): "HEIC",
    (4, b"ftypmif1"): "HEIF",
    (0, b"8BPS"): "Photoshop's PSD",
    (0, b"\x76\x2f\x31\x01"): "OpenEXR",
    (0, b"#?RADIANCE"): "Radiance HDR",
}  # place and signature of intact files that nothing here reads


def read_image(
    file: str | os.PathLike[str] | IO[bytes], max_pixels: int | None = DEFAULT_MAX_PIXELS, exact: bool = False
) -> Image:
    """Read an image with its metadata.

    Grey, grey with alpha, RGB and RGBA keep their mode, and 9 to 16 bits their depth (colours need the extra
    `deep-colour`). Palettes become RGB or RGBA. CMYK becomes RGB, by its colour profile if there is one, and
    premultiplied alpha becomes straight.

    Parameters
    ----------
    file
        A path, or a file open for reading.
    max_pixels
        Refuse images with more; None is no limit.
    exact
        Refuse what can only be read by a conversion that cannot be undone.

    Raises
    ------
    CorruptFile
        Not an image of a known format, or a damaged one.
    Unsupported
        An animation, floating point, more bands than grey or RGB and alpha; more bits than can be kept; a conversion
        that `exact` excludes.
    LimitExceeded
        More than `max_pixels` pixels; noticed before they are decoded.
    OSError
        The file cannot be read.

    Warns
    -----
    CalotypeWarning
        Something was converted or left out, as viewers do.
    """
    if not isinstance(file, (str, os.PathLike)):
        with about(str(getattr(file, "name", "input"))):
            return _read(BytesIO(file.read()), max_pixels, exact)
    with open(file, "rb") as opened, about(os.fspath(file)):
        return _read(opened, max_pixels, exact)


def _read(file: IO[bytes], max_pixels: int | None, exact: bool) -> Image:
    def check(width: int, height: int, frames: int) -> None:
        _check(width, height, frames, max_pixels)

    start = file.read(16)
    if start.startswith(tiff.SIGNATURES):
        return tiff.read(file, check, exact)
    declared, opened = _open(file, start)
    with decoding():  # some look for frames only when they are asked how many there are
        frames = 1 if opened.format == "MPO" else getattr(opened, "n_frames", 1)
    check(*opened.size, frames)
    refuse_conversion(declared.converted, exact)
    for text in declared.notes:
        note(text)
    with decoding():
        opened.load()  # in any case: metadata may follow the pixels
        if declared.transparent is not None:
            opened.info["transparency"] = declared.transparent
        image = from_pillow(opened, exact) if declared.bits <= 8 else _deep(file, opened, declared)
    if declared.bits < 8 and opened.format == "JPEG2000":  # Pillow only shifts them: white would be grey
        samples = (image.pixels >> (8 - declared.bits)).astype(np.uint8)
        image = replace(image, pixels=png.scale(samples, declared.bits))
    return Image(image.pixels, image.depth, image.metadata.under(declared.metadata))


def _deep(file: IO[bytes], opened: Pillow.Image, declared: Declared) -> Image:
    """An image of more than 8 bits per channel, of which Pillow only gives the metadata; but for grey PNG."""
    assert opened.format is not None
    if opened.format == "PNG" and opened.mode.startswith("I") and "transparency" not in opened.info:
        grey = convert(opened)  # which Pillow reads whole
        pixels, depth = png.unscale(grey.pixels, png.significant_bits(file))
        return Image(pixels, depth, grey.metadata)
    if opened.mode == "CMYK":
        raise Unsupported(f"CMYK of {declared.bits} bits has no place here; convert it to RGB first")
    pixels, depth = deep.read_pixels(file, opened.format, declared.bits, opened.size)
    return Image(pixels, depth, metadata_of(opened))


def _open(file: IO[bytes], start: bytes) -> tuple[Declared, Pillow.Image]:
    """What the file declares, and what `PIL.Image.open` would give, without its limit on pixels, a global setting."""
    from PIL import Image as Pillow

    Pillow.preinit()
    if not set(READ_FORMATS) <= set(Pillow.OPEN):
        Pillow.init()
    for (place, signature), name in _OTHERS.items():
        if start[place:].startswith(signature):
            raise Unsupported(f"{name} is not read; convert it to PNG first")
    for format in READ_FORMATS:
        factory, accepts = Pillow.OPEN.get(format, (None, None))
        if factory is None or (accepts is not None and accepts(start) is not True):
            continue
        try:
            with decoding():
                declared = _DECLARED[format](file) if format in _DECLARED else Declared()
                file.seek(0)
                return declared, factory(file, "")
        except CorruptFile:
            if accepts is not None:  # its first bytes say that it is of this format
                raise
    raise CorruptFile(f"this is not an intact image of a known format ({', '.join(READ_FORMATS)})")


def _check(width: int, height: int, frames: int, max_pixels: int | None) -> None:
    """Refuse what is too large or more than one image, before the pixels are decoded."""
    pixels = width * height
    if max_pixels is not None and pixels > max_pixels:
        raise LimitExceeded(
            f"{pixels:,} pixels are more than the limit of {max_pixels:,}; "
            "raise max_pixels (--max-pixels) if you trust it"
        )
    if frames > 1:
        raise Unsupported(f"{frames} frames or pages; extract one image first")
