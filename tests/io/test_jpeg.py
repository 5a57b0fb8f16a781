from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Pillow

from calotype.errors import Unsupported
from calotype.image import Image, Metadata
from calotype.io import encode_image

from .making import GREY, RGB, notes, read, saved


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def with_segment(data: bytes, marker: int, body: bytes) -> bytes:
    """A JPEG file with one more segment behind its JFIF one."""
    return data[:20] + segment(marker, body) + data[20:]


def test_cmyk_is_refused_where_every_value_counts() -> None:
    out = BytesIO()
    Pillow.fromarray(RGB).convert("CMYK").save(out, "JPEG")
    with pytest.raises(Unsupported, match="CMYK"):
        read(out.getvalue(), exact=True)
    with notes() as said:
        assert read(out.getvalue()).mode == "RGB"
    assert ["CMYK" in text for text in said] == [True]


@pytest.mark.parametrize("density", [(300, 300), (72, 72), (300, 150)])
def test_densities_come_back(density: tuple[int, int]) -> None:
    image = read(saved(RGB, "JPEG", dpi=density))
    for format in ("JPEG", "PNG", "TIFF", "BMP"):
        shown = Pillow.open(BytesIO(encode_image(image, format))).info["dpi"]
        assert tuple(map(round, shown)) == density
    assert read(saved(RGB, "JPEG")).metadata == Metadata()


def test_the_shape_of_pixels_comes_back() -> None:
    data = bytearray(saved(RGB, "JPEG"))
    struct.pack_into(">BHH", data, 13, 0, 2, 1)
    image = read(bytes(data))
    assert Pillow.open(BytesIO(encode_image(image, "JPEG"))).info["jfif_density"] == (2, 1)
    assert Pillow.open(BytesIO(encode_image(image, "PNG"))).info["aspect"] == (2, 1)


def test_a_density_in_exif_alone_stays_there() -> None:
    exif = Pillow.Exif()
    exif[282], exif[283], exif[296] = 300.0, 300.0, 2
    image = read(saved(RGB, "JPEG", exif=exif))
    assert image.metadata.density is None
    assert image.metadata.exif is not None


def test_further_images_are_told_of() -> None:
    out = BytesIO()
    frames = [Pillow.fromarray(pixels) for pixels in (RGB, RGB[::-1])]
    frames[0].save(out, "MPO", save_all=True, append_images=frames[1:])
    with notes() as said:
        assert read(out.getvalue()).pixels.shape == RGB.shape
    assert ["2 images" in text for text in said] == [True]
    gain_map = with_segment(out.getvalue(), 0xE1, b'http://ns.adobe.com/xap/1.0/\0<x hdrgm:Version="1.0"/>')
    with notes() as said:
        assert read(gain_map).pixels.shape == RGB.shape
    assert ["2 images" in text for text in said] == [True]
    with notes() as said:
        read(saved(RGB, "JPEG"))
    assert said == []


def test_an_extension_of_xmp_is_told_of() -> None:
    data = with_segment(saved(RGB, "JPEG"), 0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40))
    with notes() as said:
        read(data)
    assert ["XMP" in text for text in said] == [True]


@pytest.mark.parametrize(("marker", "bits", "words"), [(0xC1, 12, "12 bits"), (0xC3, 8, "SOF3"), (0xF7, 8, "SOF55")])
def test_other_kinds_of_jpeg_are_not_called_damaged(marker: int, bits: int, words: str) -> None:
    data = bytearray(saved(RGB, "JPEG"))
    place = data.index(b"\xff\xc0")
    data[place + 1], data[place + 4] = marker, bits
    with pytest.raises(Unsupported, match=words):
        read(bytes(data))


def test_metadata_that_is_too_long_is_left_out_and_told() -> None:
    exif = Pillow.Exif()
    exif[0x0112], exif[0x010E] = 6, "x" * 70_000
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    image = Image(RGB, metadata=Metadata(exif=block, xmp=b"<x/>".ljust(70_000)))
    with notes() as said:
        data = encode_image(image, "JPEG")
    assert ["too long for JPEG" in text for text in said] == [True, True]
    opened = Pillow.open(BytesIO(data))
    assert dict(opened.getexif()) == {0x0112: 6}
    assert "xmp" not in opened.info
    with notes() as said:
        assert read(encode_image(image, "PNG")).metadata == image.metadata
    assert said == []


def test_long_profiles_are_cut_into_segments() -> None:
    profile = np.random.default_rng(3).bytes(200_000)
    profile = profile[:16] + b"GRAY" + profile[20:]
    data = encode_image(Image(GREY[..., None], metadata=Metadata(icc=profile)), "JPEG")
    assert Pillow.open(BytesIO(data)).info["icc_profile"] == profile
    with notes() as said:
        encode_image(Image(GREY[..., None], metadata=Metadata(icc=profile * 100)), "JPEG")
    assert ["too long" in text for text in said] == [True]
