from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from calotype.errors import CorruptFile, Unsupported
from calotype.image import Image, Metadata
from calotype.io import encode_image

from .making import DEEP_GREY, DEEP_RGBA, GREY, RGB, RGBA, notes, read, samples, tiff


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize(
    ("channels", "photometric", "extra"),
    [(2, "minisblack", 1), (4, "rgb", 1), (5, "rgb", 2), (6, "rgb", 3), (12, "minisblack", 11)],
)
def test_bands_without_a_meaning_are_refused(channels: int, photometric: str, extra: int, planes: str) -> None:
    pixels = np.stack([GREY] * channels, axis=-1 if planes == "contig" else 0)
    kinds = ["unspecified"] * extra
    data = tiff(pixels, photometric=photometric, extrasamples=kinds, planarconfig=planes)
    with pytest.raises(Unsupported, match=f"{channels} bands, of which {extra} are neither colour nor alpha"):
        read(data)


def test_a_band_beside_alpha_is_refused() -> None:
    data = tiff(np.dstack([RGBA, GREY]), photometric="rgb", extrasamples=["unassalpha", "unspecified"])
    with pytest.raises(Unsupported, match="5 bands"):
        read(data)


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("pixels", [RGBA[..., :2], DEEP_RGBA[..., :2], DEEP_RGBA])
def test_alpha_stays(pixels: np.ndarray, planes: Any) -> None:
    stored = pixels if planes == "contig" else np.moveaxis(pixels, -1, 0)
    photometric = "rgb" if pixels.shape[-1] == 4 else "minisblack"
    data = tiff(stored, photometric=photometric, extrasamples=["unassalpha"], planarconfig=planes)
    np.testing.assert_array_equal(read(data, exact=True).pixels, pixels)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("pixels", [GREY, DEEP_GREY])
def test_white_is_zero(pixels: np.ndarray, order: str) -> None:
    image = read(tiff(pixels, photometric="miniswhite", byteorder=order))
    np.testing.assert_array_equal(image.pixels[..., 0], np.iinfo(pixels.dtype).max - pixels)


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32])
def test_negative_numbers_are_refused_and_others_kept(kind: type[np.signedinteger[Any]]) -> None:
    positive = (GREY >> 1).astype(kind)
    np.testing.assert_array_equal(read(tiff(positive)).pixels[..., 0], positive)
    with pytest.raises(Unsupported, match=r"signed integers|mode I"):
        read(tiff(-positive))


@pytest.mark.parametrize("depth", range(9, 16))
def test_depths_stay(depth: int) -> None:
    pixels = DEEP_GREY >> (16 - depth)
    image = read(tiff(pixels, bitspersample=depth, photometric="minisblack"))
    assert image.depth == depth
    np.testing.assert_array_equal(image.pixels[..., 0], pixels)
    colours = DEEP_RGBA[..., :3] >> (16 - depth)
    image = read(tiff(colours, bitspersample=depth, photometric="rgb"))
    assert (image.depth, image.mode) == (depth, "RGB")
    np.testing.assert_array_equal(image.pixels, colours)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.complex64])
def test_intact_files_of_other_numbers_are_not_called_damaged(kind: Any) -> None:
    with pytest.raises(Unsupported, match=r"floating point|complex"):
        read(tiff(GREY.astype(kind)))


def test_premultiplied_alpha_is_refused_where_every_value_counts() -> None:
    for pixels in (RGBA, RGBA[..., :2]):
        photometric = "rgb" if pixels.shape[-1] == 4 else "minisblack"
        data = tiff(pixels, photometric=photometric, extrasamples=["assocalpha"], planarconfig="contig")
        with pytest.raises(Unsupported, match="premultiplied alpha"):
            read(data, exact=True)
        with notes() as said:
            assert read(data).channels == pixels.shape[-1]
        assert ["premultiplied alpha" in text for text in said] == [True]


def test_cmyk_is_refused_where_every_value_counts() -> None:
    for pixels in (RGBA, DEEP_RGBA):
        with pytest.raises(Unsupported, match="CMYK"):
            read(tiff(pixels, photometric="separated"), exact=True)
    with notes() as said:
        assert read(tiff(RGBA, photometric="separated")).mode == "RGB"
    assert ["CMYK" in text for text in said] == [True]


def test_a_palette_of_deep_colours() -> None:
    tifffile = pytest.importorskip("tifffile")
    for low, exact in ((0, True), (257, True), (256 + 9, False)):
        colours = (np.arange(256) * (256 if low == 0 else 1) * max(low, 1) % 65536).astype(np.uint16)
        out = BytesIO()
        tifffile.imwrite(out, GREY, photometric="palette", colormap=np.stack([colours] * 3))
        if exact:
            np.testing.assert_array_equal(read(out.getvalue(), exact=True).pixels[..., 0], GREY)
            continue
        with pytest.raises(Unsupported, match="palette"):
            read(out.getvalue(), exact=True)
        with notes() as said:
            read(out.getvalue())
        assert ["palette" in text for text in said] == [True]


def test_a_raw_file_is_more_than_its_preview() -> None:
    tifffile = pytest.importorskip("tifffile")
    out = BytesIO()
    with tifffile.TiffWriter(out) as file:
        file.write(RGB, photometric="rgb", subifds=1, subfiletype=1)
        file.write(DEEP_GREY, subfiletype=0)
    with pytest.raises(Unsupported, match="raw file"):
        read(out.getvalue())


@pytest.mark.parametrize(("unit", "value", "inch"), [("INCH", 300, 300), ("CENTIMETER", 100, 254), ("NONE", 1, None)])
def test_densities(unit: str, value: int, inch: int | None) -> None:
    image = read(tiff(RGB, photometric="rgb", resolution=(value, value), resolutionunit=unit))
    again = Pillow.open(BytesIO(encode_image(image, "TIFF")))
    assert again.info.get("dpi") == ((1, 1) if inch is None else (inch, inch))  # Pillow's word for no density is 1
    assert (image.metadata.density is None) == (inch is None)


@pytest.mark.parametrize("big", [False, True])
def test_exif_of_a_tiff_is_a_block_of_its_own(big: bool) -> None:
    image = read(tiff(RGB, photometric="rgb", bigtiff=big, software="Maker"))
    assert image.metadata.exif is not None
    assert image.metadata.exif[:4] == b"II*\0"
    kept = Pillow.Exif()
    kept.load(image.metadata.exif)
    assert kept[305] == "Maker"
    assert 256 not in kept
    for format in ("PNG", "TIFF", "JPEG"):
        assert Pillow.open(BytesIO(encode_image(image, format))).getexif()[305] == "Maker"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("depth", range(1, 17))
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_what_is_written_is_read_by_others(channels: int, depth: int, order: str) -> None:
    tifffile = pytest.importorskip("tifffile")
    pixels = samples(DEEP_RGBA[..., :channels], depth)
    exif = (b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08") + bytes(6)
    data = encode_image(Image(pixels, depth, Metadata(exif=exif)), "TIFF")
    assert data[:2] == exif[:2]
    other = tifffile.imread(BytesIO(data)).reshape(pixels.shape)
    np.testing.assert_array_equal(other, pixels)
    if depth >= 8:
        image = read(data)
        assert image.depth == depth
        np.testing.assert_array_equal(image.pixels, pixels)


def test_strips_are_many_where_the_image_is_large() -> None:
    pixels = np.tile(RGB, (80, 90, 1))
    data = encode_image(Image(pixels), "TIFF")
    np.testing.assert_array_equal(np.asarray(Pillow.open(BytesIO(data))), pixels)


def test_every_cut_is_told() -> None:
    data = tiff(DEEP_RGBA, photometric="rgb", extrasamples=["unassalpha"])
    for length in (4, 8, 20, 100, len(data) - 40):
        with pytest.raises(CorruptFile):
            read(data[:length])


def test_a_chain_of_pages_may_be_a_loop_or_lead_nowhere() -> None:
    data = bytearray(tiff(GREY, photometric="minisblack", metadata=None))
    offset = int.from_bytes(data[4:8], "little")
    end = offset + 2 + 12 * int.from_bytes(data[offset : offset + 2], "little")
    for following in (data[4:8], b"\xff\xff\xff\x7f"):
        data[end : end + 4] = following
        np.testing.assert_array_equal(read(bytes(data)).pixels[..., 0], GREY)
