from __future__ import annotations

import struct
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from calotype.errors import Unsupported
from calotype.image import Image, Metadata
from calotype.io import colour, encode_image

from .making import DEEP_GREY, DEEP_RGBA, GREY, RGB, chunk, chunks_of, notes, png, read, samples, saved, with_chunk


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("value", [0, 1, 2, 7, 15])
def test_a_transparent_grey_of_any_depth(depth: int, value: int) -> None:
    """W3C PNG, 11.3.1.1: the sample value counts, of so many bits as the samples have."""
    if depth == 16:
        pytest.importorskip("imagecodecs")
    levels = np.arange(16) % (1 << depth)
    bits = (levels[:, None] >> np.arange(depth - 1, -1, -1) & 1).astype(np.uint8)
    image = read(png(b"\0" + np.packbits(bits).tobytes(), 16, 1, depth, 0, chunk(b"tRNS", struct.pack(">H", value))))
    assert image.mode == "LA"
    wanted = value if depth >= 4 else value & (1 << depth) - 1
    np.testing.assert_array_equal(image.pixels[0, :, 1] == 0, levels == wanted)
    most = (1 << image.depth) - 1
    np.testing.assert_array_equal(image.pixels[0, :, 0], levels * most // ((1 << depth) - 1))


def test_transparent_deep_colours() -> None:
    pytest.importorskip("imagecodecs")
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in DEEP_RGBA[..., :3])
    key = struct.pack(">3H", *DEEP_RGBA[2, 3, :3].tolist())
    image = read(png(rows, 11, 9, 16, 2, chunk(b"tRNS", key)))
    np.testing.assert_array_equal(image.pixels[..., :3], DEEP_RGBA[..., :3])
    assert (image.pixels[..., 3] == 0).sum() == 1
    assert image.pixels[2, 3, 3] == 0


@pytest.mark.parametrize(
    ("kind", "body", "name"),
    [
        (b"cICP", bytes((9, 16, 0, 1)), "cicp"),
        (b"gAMA", struct.pack(">I", 100_000), "gamma"),
        (b"cHRM", struct.pack(">8I", *range(30_000, 38_000, 1000)), "gamma"),
        (b"pHYs", struct.pack(">IIB", 11_811, 11_811, 1), "density"),
        (b"pHYs", struct.pack(">IIB", 2, 1, 0), "density"),
    ],
)
def test_chunks_that_say_what_pixels_mean_come_back(kind: bytes, body: bytes, name: str) -> None:
    image = read(with_chunk(saved(RGB, "PNG"), kind, body))
    assert getattr(image.metadata, name) is not None
    assert chunks_of(encode_image(image, "PNG"))[kind] == body


def test_gamma_does_not_count_beside_a_profile() -> None:
    plain = with_chunk(saved(RGB, "PNG"), b"gAMA", struct.pack(">I", 100_000))
    assert read(with_chunk(plain, b"sRGB", b"\0")).metadata.gamma is None
    assert read(with_chunk(plain, b"cICP", bytes((9, 16, 0, 1)))).metadata.gamma is None


@pytest.mark.parametrize("format", ["TIFF", "WEBP", "BMP", "PPM", "JPEG"])
def test_formats_without_a_place_say_so(format: str) -> None:
    with notes() as said:
        encode_image(Image(RGB, metadata=Metadata(cicp=bytes((9, 16, 0, 1)))), format)
    assert said == [f"{format} has no place for its cICP; left out"]
    with notes() as said:
        encode_image(Image(RGB, metadata=Metadata(gamma=struct.pack(">I", 100_000))), format)
    assert said == (
        [] if format in ("TIFF", "WEBP", "JPEG") else [f"{format} has no place for its gAMA and cHRM; left out"]
    )


SRGB_PLACES = struct.pack(">8I", 31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
ADOBE_PLACES = struct.pack(">8I", 31_270, 32_900, 64_000, 33_000, 21_000, 71_000, 15_000, 6_000)


@pytest.mark.parametrize("format", ["TIFF", "WEBP", "JPEG"])
def test_gamma_becomes_a_profile_where_there_are_profiles_only(format: str) -> None:
    """Linear light: half of it is 188 of sRGB's 255."""
    for channels in (1, 3):
        pixels = np.full((8, 8, channels), 128, np.uint8)
        made = encode_image(Image(pixels, metadata=Metadata(gamma=struct.pack(">I", 100_000))), format)
        opened = Pillow.open(BytesIO(made))
        profile = ImageCms.ImageCmsProfile(BytesIO(opened.info["icc_profile"]))
        shown = ImageCms.profileToProfile(opened, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
        assert shown is not None
        np.testing.assert_allclose(np.asarray(shown)[4, 4], 188, atol=2)


def test_a_profile_has_the_primaries_that_were_said() -> None:
    """Adobe RGB's green is more than sRGB has; its white is white."""
    made = colour.profile(struct.pack(">I", 45_455) + ADOBE_PLACES, grey=False)
    assert made is not None
    found = ImageCms.ImageCmsProfile(BytesIO(made)).profile
    colorants = np.array([found.red_colorant, found.green_colorant, found.blue_colorant], float)[:, 0]  # XYZ
    np.testing.assert_allclose(colorants[1], (0.2051, 0.6257, 0.0608), atol=2e-3)  # as in ICC's AdobeRGB1998
    np.testing.assert_allclose(colorants.sum(axis=0), (0.9642, 1, 0.8249), atol=1e-3)


def test_what_goes_without_saying_needs_no_profile() -> None:
    for gamma in (struct.pack(">I", 45_455), struct.pack(">I", 45_455) + SRGB_PLACES, bytes(4) + SRGB_PLACES):
        with notes() as said:
            made = encode_image(Image(RGB, metadata=Metadata(gamma=gamma)), "TIFF")
        assert (said, Pillow.open(BytesIO(made)).info.get("icc_profile")) == ([], None)
    for nonsense in (bytes(36), struct.pack(">9I", 1, *[0] * 8), struct.pack(">9I", 1, *[1] * 8)):
        encode_image(Image(RGB, metadata=Metadata(gamma=nonsense)), "TIFF")


@pytest.mark.parametrize("depth", range(9, 16))
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_depths_are_scaled_and_come_back(depth: int, channels: int) -> None:
    pytest.importorskip("imagecodecs")
    pixels = samples(DEEP_RGBA[..., :channels], depth)
    pixels[0, 0] = (1 << depth) - 1
    data = encode_image(Image(pixels, depth), "PNG")
    assert chunks_of(data)[b"sBIT"] == bytes((depth,)) * channels
    image = read(data)
    assert image.depth == depth
    np.testing.assert_array_equal(image.pixels, pixels)
    if channels == 1:
        assert np.asarray(Pillow.open(BytesIO(data)))[0, 0] == 65535


@pytest.mark.parametrize("depth", range(1, 8))
def test_small_depths_are_scaled(depth: int) -> None:
    levels = np.arange(1 << depth, dtype=np.uint8)[None, :, None]
    shown = np.asarray(Pillow.open(BytesIO(encode_image(Image(levels, depth), "PNG"))))
    assert (shown.min(), shown.max()) == (0, 255)
    np.testing.assert_allclose(shown, levels[..., 0] * (255 / ((1 << depth) - 1)), atol=1)


@pytest.mark.parametrize("depth", [12, 16])
def test_deep_grey_needs_no_further_library(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    image = Image(samples(DEEP_GREY, depth)[..., None], depth)
    again = read(encode_image(image, "PNG"))
    assert again.depth == depth
    np.testing.assert_array_equal(again.pixels, image.pixels)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    if depth == 16:
        np.testing.assert_array_equal(read(encode_image(image, "TIFF")).pixels, image.pixels)
    np.testing.assert_array_equal(read(encode_image(image, "PPM")).pixels, image.pixels)


def test_samples_that_were_not_scaled_stay() -> None:
    pytest.importorskip("imagecodecs")
    image = read(with_chunk(saved(DEEP_GREY, "PNG"), b"sBIT", b"\x0c"))
    assert image.depth == 16
    np.testing.assert_array_equal(image.pixels[..., 0], DEEP_GREY)


def test_a_profile_of_other_pixels_is_left_out() -> None:
    profile = bytes(16) + b"RGB " + bytes(108)
    for format in ("PNG", "JPEG", "TIFF"):
        with notes() as said:
            data = encode_image(Image(GREY[..., None], metadata=Metadata(icc=profile)), format)
        assert ["ICC profile" in text for text in said] == [True]
        assert "icc_profile" not in Pillow.open(BytesIO(data)).info
        with notes() as said:
            encode_image(Image(RGB, metadata=Metadata(icc=profile)), format)
        assert said == []


def test_a_damaged_profile_is_told() -> None:
    with notes() as said:
        assert read(with_chunk(saved(RGB, "PNG"), b"iCCP", b"x\0\0abc")).metadata.icc is None
    assert said == ["its ICC profile is damaged; left out"]


def test_nonsense_in_chunks_is_no_reason_to_fail() -> None:
    for kind in (b"cICP", b"sBIT"):
        np.testing.assert_array_equal(read(with_chunk(saved(RGB, "PNG"), kind, b"\1")).pixels, RGB)
    broken = Metadata(cicp=b"1", gamma=b"2", density=b"3")  # from a hostile .calo file
    assert encode_image(Image(RGB, metadata=broken), "PNG") == encode_image(Image(RGB), "PNG")


def test_views_and_floats_are_refused() -> None:
    with pytest.raises(Unsupported, match="one view"):
        encode_image(Image(np.stack([RGB, RGB])), "PNG")
