from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from calotype.image import Image, Metadata
from calotype.io import encode_image

from .making import RGB, notes, read, saved


def camera(order: str = "<") -> bytes:
    """A block as cameras write them: sub-directories, a position, a maker's note."""
    exif = Pillow.Exif()
    exif.endian = order
    exif[0x010F], exif[0x0110] = "Maker", "Model"
    details = exif.get_ifd(0x8769)
    details[0x9003], details[0x829A], details[0x927C] = "2026:11:25 12:00:00", 0.01, b"note" * 30
    place = exif.get_ifd(0x8825)
    place[1], place[2] = "N", (52.0, 31.0, 12.5)
    return exif.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_sub_directories_come_back(format: str, order: str) -> None:
    block = camera(order)
    data = encode_image(Image(RGB, metadata=Metadata(exif=block)), format)
    for shown in (Pillow.open(BytesIO(data)).getexif(), loaded(read(data).metadata.exif)):
        assert shown[0x010F] == "Maker"
        assert shown.get_ifd(0x8769)[0x9003] == "2026:11:25 12:00:00"
        assert shown.get_ifd(0x8769)[0x927C] == b"note" * 30
        assert shown.get_ifd(0x8825)[2] == (52.0, 31.0, 12.5)
    if format != "TIFF":
        assert read(data).metadata.exif == block


def loaded(block: bytes | None) -> Pillow.Exif:
    assert block is not None
    exif = Pillow.Exif()
    exif.load(block)
    return exif


@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG", "WEBP"])
@pytest.mark.parametrize("block", [b"nonsense", b"II+\0\x08\0\0\0" + bytes(20), b"MM\0*", b"II*\0\xff\xff\xff\xff"])
def test_blocks_that_nobody_reads_are_never_written(format: str, block: bytes) -> None:
    with notes() as said:
        data = encode_image(Image(RGB, metadata=Metadata(exif=block)), format)
    assert said == ["its Exif is damaged; left out"]
    assert data == encode_image(Image(RGB), format)


@pytest.mark.parametrize("tail", ["", "ab", "00 zz garbage", "\0" * 9])
@pytest.mark.parametrize("key", ["Raw profile type exif", "Raw profile type APP1"])
def test_a_raw_profile_ends_where_it_says(key: str, tail: str) -> None:
    block = b"Exif\0\0" + camera()
    digits = block.hex()
    lines = "\n".join(digits[start : start + 72] for start in range(0, len(digits), 72))
    text = PngInfo()
    text.add_text(key, f"\nexif\n{len(block):8d}\n{lines}{tail}")
    image = read(saved(RGB, "PNG", pnginfo=text))
    assert image.metadata.exif == camera()


def test_an_orientation_stays_in_jpeg_and_png_and_turns_nothing() -> None:
    for orientation in range(1, 9):
        exif = Pillow.Exif()
        exif[0x0112] = orientation
        block = exif.tobytes().removeprefix(b"Exif\0\0")
        for format in ("PNG", "JPEG", "WEBP"):
            again = read(encode_image(Image(RGB, metadata=Metadata(exif=block)), format))
            assert (again.metadata.exif, again.pixels.shape) == (block, RGB.shape)
