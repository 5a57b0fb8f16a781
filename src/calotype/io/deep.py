"""More than 8 bits per channel, which Pillow would cut: their pixels pass through the libraries of `deep-colour`."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import IO

import numpy as np

from ..errors import CorruptFile, Unsupported
from ..image import Image, Pixels
from . import png, ppm
from .errors import decoding, encoding

INSTALL = "pip install 'calotype[deep-colour]'"
_DECODERS = {"PNG": "png_decode", "JPEG2000": "jpeg2k_decode", "AVIF": "avif_decode"}  # of imagecodecs


def library(name: str, why: str) -> ModuleType:
    """Imported. Raises `Unsupported`, which says what to install."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Unsupported(f"{why}; run: {INSTALL}") from None


def read_pixels(file: IO[bytes], format: str, bits: int, size: tuple[int, int]) -> tuple[Pixels, int]:
    """Pixels (height, width, channels) and their depth, of a file with 9 to 16 bits per channel.

    Raises
    ------
    Unsupported
        imagecodecs is missing.
    CorruptFile
        The file is damaged.
    """
    if format == "PPM":
        return ppm.read_pixels(file)
    codecs = library("imagecodecs", f"{bits} bits per channel would be cut to 8")
    file.seek(0)
    with decoding():
        data = png.bare(file) if format == "PNG" else file.read()
        pixels = np.asarray(getattr(codecs, _DECODERS[format])(data))
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[1::-1] != size:
        raise CorruptFile(f"damaged: it decodes to {pixels.dtype} of shape {pixels.shape}")
    if format == "PNG":
        return png.unscale(pixels, png.significant_bits(file))
    return pixels, bits


def encode_png(image: Image) -> bytes:
    """A PNG file of 16 bits per channel, without metadata."""
    codecs = library("imagecodecs", "colours of more than 8 bits are beyond Pillow")
    with encoding("PNG cannot be written"):
        return bytes(codecs.png_encode(np.ascontiguousarray(png.scale(image.pixels, image.depth)), level=2))
