"""What libraries raise never reaches the user as it is."""

from __future__ import annotations

import contextlib
import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Pillow

from calotype.errors import CalotypeError, CorruptFile, LimitExceeded, Unsupported
from calotype.io import read_image
from calotype.io.errors import decoding

from .making import DEEP_GREY, RGB, read, saved


@pytest.mark.parametrize(
    "error",
    [RuntimeError("x"), SyntaxError("x"), KeyError(1), struct.error("x"), EOFError(), AssertionError(), OSError("x"),
     ZeroDivisionError(), OverflowError()],
)  # fmt: skip
def test_whatever_is_raised_says_that_the_file_is_damaged(error: Exception) -> None:
    with pytest.raises(CorruptFile, match="damaged: "), decoding():
        raise error


def test_limits_disks_and_memory_are_not_damage() -> None:
    with pytest.raises(LimitExceeded), decoding():
        raise Pillow.DecompressionBombError("many pixels")
    with pytest.raises(PermissionError), decoding():
        raise PermissionError(13, "no")
    with pytest.raises(MemoryError), decoding():
        raise MemoryError


FORMATS = ["PNG", "JPEG", "WEBP", "GIF", "BMP", "PPM", "JPEG2000", "AVIF", "QOI", "TGA"]  # TIFF has a second reader


@pytest.mark.parametrize("format", FORMATS)
def test_a_plug_in_s_mistake_names_the_file(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Pillow.init()
    if format not in Pillow.SAVE:
        pytest.skip(f"this Pillow has no {format}")
    data = saved(RGB, format)

    def fail(*_: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(type(Pillow.open(BytesIO(data))), "load", fail)
    file = BytesIO(data)
    file.name = "photo.img"
    with pytest.raises(CorruptFile, match=r"^photo\.img: damaged: a mistake$"):
        read_image(file)


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"8BPS", "PSD"),
    ],
)
def test_formats_that_are_not_read_are_not_called_damaged(start: bytes, name: str) -> None:
    with pytest.raises(Unsupported, match=name):
        read(start + bytes(64))


def test_odd_bytes_are_refused_or_read() -> None:
    """Bytes changed, cut and put in: whatever comes of it is an image or one of our errors."""
    random = np.random.default_rng(11)
    seeds = [saved(RGB, format) for format in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM")]
    seeds += [saved(DEEP_GREY, "PNG"), saved(DEEP_GREY, "TIFF")]
    for data in seeds:
        for _ in range(60):
            odd = bytearray(data)
            for place in random.integers(0, min(len(odd), 400), random.integers(1, 5)):
                odd[place] = random.integers(256)
            if random.random() < 0.2:
                del odd[random.integers(len(odd)) :]
            with contextlib.suppress(CalotypeError):
                read_image(BytesIO(bytes(odd)), max_pixels=1_000_000)


def test_frames_that_cannot_be_counted_are_damage() -> None:
    """Pillow looks through an animation only when it is asked how long it is."""
    picture = Pillow.fromarray(RGB)
    data = saved(RGB, "GIF", save_all=True, append_images=[picture.rotate(90), picture.rotate(180)])
    refused = 0
    for size in range(len(data)):
        try:
            read(data[:size])
        except CalotypeError:
            refused += 1
    assert refused > len(data) / 2
