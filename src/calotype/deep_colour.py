"""Colours of 16 bits in PNG and TIFF files, which Pillow would cut to 8: their pixels pass through imagecodecs."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import CorruptFile, Unsupported

if TYPE_CHECKING:
    from PIL import Image as Pillow

Pixels = npt.NDArray[np.uint16]

FORMATS = {"PNG", "TIFF"}  # that can be read; only PNG is written
INSTALL = "pip install 'calotype[deep-colour]'"
# TIFF 6.0 tags, and the values that stand for plain pixels
_PHOTOMETRIC, _RGB = 262, 2
_SAMPLE_FORMAT, _UNSIGNED = 339, 1
_EXTRA_SAMPLES, _ALPHA = 338, 2  # not premultiplied
_PLANES, _SEPARATE = 284, 2
_ORIENTATION = 274  # where row 0 and column 0 are: Pillow turns a TIFF's pixels so that they are above and left
_TURN: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x.swapaxes(0, 1)[:, ::-1],
    7: lambda x: x.swapaxes(0, 1)[::-1, ::-1],
    8: lambda x: x.swapaxes(0, 1)[::-1],
}
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER_BYTES = len(_PNG_SIGNATURE) + 25  # with chunk IHDR


def read_pixels(data: bytes, picture: Pillow.Image) -> Pixels:
    """Pixels (h, w, 2 to 4) of a file of 16 bits per channel that Pillow has opened, and would cut.

    Raises
    ------
    Unsupported
        imagecodecs is missing, or the pixels are of another kind, such as CMYK or floats.
    CorruptFile
        The file is damaged.
    """
    codecs = _imagecodecs("16 bits per channel would be cut to 8")
    tiff = picture.format == "TIFF"
    if "transparency" in picture.info or (tiff and not _is_plain(picture)):
        raise Unsupported("such pixels of 16 bits per channel have no place here; convert them to RGB or RGBA first")
    try:
        pixels = np.asarray((codecs.tiff_decode if tiff else codecs.png_decode)(data))
    except (RuntimeError, ValueError) as error:
        raise CorruptFile(str(error)) from None
    if tiff:
        tags: Any = picture.tag_v2  # type: ignore[attr-defined]
        pixels = np.moveaxis(pixels, 0, -1) if tags.get(_PLANES) == _SEPARATE else pixels
        pixels = _TURN[tags.get(_ORIENTATION, 1)](pixels)
    if pixels.dtype != np.uint16 or pixels.shape[:2] != (picture.height, picture.width) or pixels.ndim != 3:
        raise CorruptFile(f"decoded to {pixels.dtype} of shape {pixels.shape}")
    return np.ascontiguousarray(pixels)


def encode_png(pixels: Pixels, like: bytes) -> bytes:
    """A PNG file of pixels (h, w, 2 to 4), with the metadata of another PNG file."""
    codecs = _imagecodecs("16-bit colours are beyond Pillow")
    data: bytes = codecs.png_encode(np.ascontiguousarray(pixels), level=2)
    return data[:_PNG_HEADER_BYTES] + _ancillary_chunks(like) + data[_PNG_HEADER_BYTES:]


def _ancillary_chunks(png: bytes) -> bytes:
    """All chunks between header and pixels: of a PNG without palette, its metadata."""
    end = png.index(b"IDAT", _PNG_HEADER_BYTES) - 4
    return png[_PNG_HEADER_BYTES:end]


def _is_plain(picture: Pillow.Image) -> bool:
    """Whether a TIFF holds RGB or RGBA and nothing else."""
    tags: Any = picture.tag_v2  # type: ignore[attr-defined]
    return (
        tags.get(_PHOTOMETRIC) == _RGB
        and tags.get(_ORIENTATION, 1) in _TURN
        and set(tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))) == {_UNSIGNED}
        and tuple(tags.get(_EXTRA_SAMPLES, ())) == ((_ALPHA,) if picture.mode == "RGBA" else ())
    )


def _imagecodecs(why: str) -> ModuleType:
    try:
        import imagecodecs
    except ImportError:
        raise Unsupported(f"{why}; run: {INSTALL}") from None
    return imagecodecs
