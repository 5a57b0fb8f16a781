"""AVIF and JPEG 2000: what their boxes declare, wherever these stand."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from calotype.errors import CorruptFile, Unsupported
from calotype.image import Image

from .making import DEEP_GREY, DEEP_RGBA, GREY, RGB, RGBA, box, notes, read

FAR = 70_000  # bytes of something else that stand first


def avif(pixels: np.ndarray, depth: int = 8) -> bytes:
    codecs = pytest.importorskip("imagecodecs")
    return bytes(codecs.avif_encode(pixels, bitspersample=depth, level=100))


def jp2(pixels: np.ndarray, depth: int = 8, **options: Any) -> bytes:
    codecs = pytest.importorskip("imagecodecs")
    return bytes(codecs.jpeg2k_encode(pixels, bitspersample=depth, reversible=True, level=0, **options))


def behind(data: bytes, first: int, kind: bytes, *marks: bytes) -> bytes:
    """A file with a long box behind its first ones, full of what a search would find."""
    filler = b"".join(marks).ljust(FAR, b"\0")
    return data[:first] + box(kind, filler) + data[first:]


@pytest.mark.parametrize("depth", [10, 12])
def test_deep_avif_is_kept(depth: int) -> None:
    data = avif(DEEP_RGBA[..., :3] >> (16 - depth), depth)
    assert read(data).depth == depth


def test_the_depth_of_an_avif_is_read_from_its_boxes() -> None:
    """A box before them, with the bytes of a deep file's property, changes nothing."""
    data = avif(RGB)
    first = int.from_bytes(data[:4])
    image = read(behind_offsets(data, first))
    assert image.depth == 8


def behind_offsets(data: bytes, first: int) -> bytes:
    """As `behind`, at the end, as the places of items in an AVIF count from its start."""
    return data + box(b"free", b"av1C\x81\x00\x7c\x00".ljust(FAR, b"\0"))


def test_a_deep_avif_without_imagecodecs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = avif(DEEP_RGBA[..., :3] >> 6, 10)
    monkeypatch.setitem(__import__("sys").modules, "imagecodecs", None)
    with pytest.raises(Unsupported, match="10 bits per channel would be cut"):
        read(data)


def test_a_damaged_avif_is_called_so() -> None:
    data = avif(RGB)
    place = data.index(b"mdat")
    with pytest.raises(CorruptFile, match="damaged"):
        read(data[: place + 4] + bytes(len(data) - place - 4))
    with pytest.raises(CorruptFile):
        read(data[:100])


def test_numbers_of_a_colour_space_in_avif() -> None:
    data = avif(RGB)
    place = data.index(b"nclx")
    assert read(data).metadata.cicp is None
    changed = data[: place + 4] + struct.pack(">HH", 9, 16) + data[place + 8 :]
    assert read(changed).metadata.cicp == bytes((9, 16, 0, 1))


@pytest.mark.parametrize("pixels", [DEEP_GREY, DEEP_RGBA[..., :3], DEEP_RGBA, DEEP_RGBA[..., :2]])
@pytest.mark.parametrize("depth", [10, 12, 16])
def test_deep_jpeg_2000_is_kept(pixels: np.ndarray, depth: int) -> None:
    image = read(jp2(pixels >> (16 - depth), depth), exact=True)
    assert image.depth == depth
    np.testing.assert_array_equal(image.pixels.squeeze(), pixels >> (16 - depth))


@pytest.mark.parametrize(("pixels", "depth"), [(RGB, 8), (DEEP_RGBA[..., :3], 16)])
def test_the_depth_of_a_jp2_is_read_from_its_boxes(pixels: np.ndarray, depth: int) -> None:
    lie = b"\xff\x4f\xff\x51" + bytes(36) + struct.pack(">HBBB", 1, 15 if depth == 8 else 7, 1, 1)
    data = behind(jp2(pixels, depth), 12 + 20, b"uuid", bytes(16), lie)
    image = read(data, exact=True)
    assert image.depth == depth
    np.testing.assert_array_equal(image.pixels, pixels)


def test_a_bare_codestream_is_read() -> None:
    np.testing.assert_array_equal(read(jp2(RGB, codecformat="j2k")).pixels, RGB)
    assert read(jp2(DEEP_GREY, 16, codecformat="j2k")).depth == 16


def test_white_stays_white_in_small_depths() -> None:
    samples = np.tile(np.arange(16, dtype=np.uint8), (8, 1))
    image = read(jp2(samples, 4))
    np.testing.assert_array_equal(image.pixels[..., 0], samples * 17)


def test_signed_samples_and_many_bands_are_refused() -> None:
    with pytest.raises(Unsupported, match="signed"):
        read(jp2(GREY.view(np.int8)))
    with pytest.raises(Unsupported, match="5 bands"):
        read(jp2(np.dstack([GREY] * 5)))


def test_blocks_of_a_jp2_are_kept() -> None:
    data = jp2(RGB)
    xmp = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
    exif = b"II*\0\x08\0\0\0" + bytes(6)
    further = box(b"uuid", xmp + b"<x/>") + box(b"uuid", b"JpgTiffExif->JP2" + exif)
    header = data.index(b"jp2h") - 4
    colours = data.index(b"colr")
    length = int.from_bytes(data[colours - 4 : colours])
    profile = box(b"colr", b"\2\0\0" + b"profile")
    size = int.from_bytes(data[header : header + 4])
    inner = data[header + 8 : colours - 4] + profile + data[colours - 4 + length : header + size]
    made = data[:header] + further + box(b"jp2h", inner) + data[header + size :]
    metadata = read(made).metadata
    assert (metadata.icc, metadata.exif, metadata.xmp) == (b"profile", exif, b"<x/>")


def test_premultiplied_alpha_of_a_jp2() -> None:
    data = jp2(RGBA)
    header = data.index(b"jp2h") - 4
    size = int.from_bytes(data[header : header + 4])
    kinds = [(0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 2, 0)]  # channel, its type (2: opacity, multiplied in), its colour
    definitions = box(b"cdef", struct.pack(">H", 4) + b"".join(struct.pack(">HHH", *kind) for kind in kinds))
    inner = data[header + 8 : header + size].replace(b"cdef", b"xdef")
    first = int.from_bytes(inner[:4])  # ihdr stays the first
    data = data[:header] + box(b"jp2h", inner[:first] + definitions + inner[first:]) + data[header + size :]
    with pytest.raises(Unsupported, match="premultiplied"):
        read(data, exact=True)
    with notes() as said:
        assert isinstance(read(data), Image)
    assert ["premultiplied" in text for text in said] == [True]
