"""Small image files for tests, made chunk by chunk and tag by tag where no library would write them."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from calotype.errors import CalotypeWarning
from calotype.image import Image, Pixels
from calotype.io import read_image

RANDOM = np.random.default_rng(7)
GREY = RANDOM.integers(0, 256, (9, 11), dtype=np.uint8)
RGB = RANDOM.integers(0, 256, (9, 11, 3), dtype=np.uint8)
RGBA = RANDOM.integers(0, 256, (9, 11, 4), dtype=np.uint8)
DEEP_GREY = RANDOM.integers(0, 65536, (9, 11), dtype=np.uint16)
DEEP_RGBA = RANDOM.integers(0, 65536, (9, 11, 4), dtype=np.uint16)


def read(data: bytes, exact: bool = False) -> Image:
    return read_image(BytesIO(data), exact=exact)


def saved(pixels: np.ndarray, format: str, **options: Any) -> bytes:
    """By Pillow."""
    out = BytesIO()
    Pillow.fromarray(pixels).save(out, format, **options)
    return out.getvalue()


def samples(pixels: np.ndarray, depth: int) -> Pixels:
    """The highest bits of 16."""
    cut = pixels >> (16 - depth)
    return cut.astype(np.uint8) if depth <= 8 else cut.astype(np.uint16)


def tiff(pixels: np.ndarray, **options: Any) -> bytes:
    """By tifffile."""
    tifffile = pytest.importorskip("tifffile")
    out = BytesIO()
    tifffile.imwrite(out, pixels, **options)
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """Of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(rows: bytes, width: int, height: int, depth: int, colours: int, *chunks: bytes) -> bytes:
    """A PNG file of rows with their filter bytes."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0))
    end = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + end


def with_chunk(data: bytes, kind: bytes, body: bytes) -> bytes:
    """A PNG file with one more chunk behind its header."""
    return data[:33] + chunk(kind, body) + data[33:]


def chunks_of(data: bytes) -> dict[bytes, bytes]:
    """Of a PNG file."""
    found, place = {}, 8
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        found[kind] = data[place + 8 : place + 8 + length]
        place += length + 12
    return found


def box(kind: bytes, body: bytes) -> bytes:
    """Of an AVIF or JP2 file."""
    return struct.pack(">I4s", len(body) + 8, kind) + body


@contextmanager
def notes() -> Iterator[list[str]]:
    """What is warned of within."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CalotypeWarning)
        yield said
    said += [str(warning.message) for warning in caught]
