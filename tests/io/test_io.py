from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from calotype.errors import CorruptFile, LimitExceeded, Unsupported
from calotype.image import Image, Metadata, empty
from calotype.io import encode_image, from_pillow, read_image, to_pillow, write_bytes, write_image

EXIF = Pillow.Exif()
EXIF[0x0112] = 6  # orientation: turn right
EXIF[0x010F] = "Maker"
METADATA = Metadata(
    icc=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    exif=EXIF.tobytes().removeprefix(b"Exif\0\0"),
    xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>\xc3\xa4</x:xmpmeta>",
)


def metadata_of(channels: int) -> Metadata:
    """With a profile that suits the pixels."""
    assert METADATA.icc is not None
    space = b"GRAY" if channels < 3 else b"RGB "
    return replace(METADATA, icc=METADATA.icc[:16] + space + METADATA.icc[20:])


Texture = Callable[..., np.ndarray]


def saved(image: Pillow.Image, format: str, **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, format, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_modes_come_back_with_metadata(tmp_path: Path, texture: Texture, channels: int, ending: str) -> None:
    pixels = texture(11, 13, channels)
    metadata = metadata_of(channels)
    if ending == "tif":  # Pillow turns TIFF pixels as Exif says when it reads them
        metadata = replace(metadata, exif=None)
    write_image(tmp_path / f"a.{ending}", Image(pixels, metadata=metadata))
    image = read_image(tmp_path / f"a.{ending}")
    np.testing.assert_array_equal(image.pixels, pixels)
    assert image.metadata == metadata
    assert os.listdir(tmp_path) == [f"a.{ending}"]


@pytest.mark.parametrize(
    ("ending", "channels"), [("webp", 3), ("webp", 4), ("bmp", 1), ("bmp", 3), ("ppm", 3), ("pgm", 1)]
)
def test_other_exact_formats(tmp_path: Path, texture: Texture, ending: str, channels: int) -> None:
    pixels = texture(11, 13, channels)
    pixels[:3, :3, -1] = 0  # transparent pixels keep their colours
    write_image(tmp_path / f"a.{ending}", Image(pixels, metadata=METADATA))
    image = read_image(tmp_path / f"a.{ending}")
    shown = pixels if ending == "webp" else pixels.swapaxes(0, 1)[:, ::-1]  # no place for the orientation
    np.testing.assert_array_equal(image.pixels, shown)
    assert image.metadata.icc == (METADATA.icc if ending == "webp" else None)
    assert image.metadata.exif == (METADATA.exif if ending == "webp" else None)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg(tmp_path: Path, texture: Texture, channels: int) -> None:
    pixels = texture(40, 50, channels)
    write_image(tmp_path / "a.jpg", Image(pixels, metadata=metadata_of(channels)))
    image = read_image(tmp_path / "a.jpg")
    assert image.pixels.shape == pixels.shape
    assert np.abs(image.pixels.astype(int) - pixels).mean() < 4  # mostly what JPEG makes of the noise
    assert image.metadata == metadata_of(channels)


def test_orientation_is_kept_and_not_applied(texture: Texture) -> None:
    pixels = texture(8, 24, 3)
    image = read_image(saved(Pillow.fromarray(pixels), "PNG", exif=EXIF))
    np.testing.assert_array_equal(image.pixels, pixels)
    assert image.metadata.exif is not None
    exif = Pillow.Exif()
    exif.load(image.metadata.exif)
    assert exif[0x0112] == 6


def test_tiff_exif_holds_no_structure(texture: Texture) -> None:
    exif = Pillow.Exif()
    exif[0x010F] = "Maker"
    image = read_image(saved(Pillow.fromarray(texture(8, 9, 3)), "TIFF", exif=exif))
    kept = Pillow.Exif()
    kept.load(image.metadata.exif or b"")
    assert dict(kept) == {0x010F: "Maker"}


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_stays(tmp_path: Path, format: str) -> None:
    deep = np.arange(0, 65536, 577, dtype=np.uint16).reshape(-1, 19)
    image = read_image(saved(Pillow.fromarray(deep), format))
    assert image.depth == 16
    np.testing.assert_array_equal(image.pixels[..., 0], deep)
    path = tmp_path / f"a.{ {'PNG': 'png', 'TIFF': 'tif', 'PPM': 'pgm'}[format] }"
    write_image(path, image)
    np.testing.assert_array_equal(read_image(path).pixels, image.pixels)


@pytest.fixture(scope="module")
def deep_pixels() -> np.ndarray:
    """(30, 41, 4) samples of 16 bits."""
    return np.random.default_rng(5).integers(0, 65536, (30, 41, 4), dtype=np.uint16)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_sixteen_bit_colours_come_back_from_png(tmp_path: Path, deep_pixels: np.ndarray, channels: int) -> None:
    pytest.importorskip("imagecodecs")
    image = Image(deep_pixels[..., :channels], 16, metadata_of(channels))
    write_image(tmp_path / "a.png", image)
    again = read_image(tmp_path / "a.png")
    assert again.depth == 16
    np.testing.assert_array_equal(again.pixels, image.pixels)
    assert again.metadata == image.metadata


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib", "predictor": True},
        {"compression": "lzw", "rowsperstrip": 7},
        {"planarconfig": "separate"},
        {"byteorder": ">", "tile": (16, 16)},
    ],
)
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_colours_are_read_from_tiff(
    deep_pixels: np.ndarray, channels: int, options: dict[str, Any]
) -> None:
    pytest.importorskip("imagecodecs")
    tifffile = pytest.importorskip("tifffile")
    pixels, file = deep_pixels[..., :channels], io.BytesIO()
    stored = np.moveaxis(pixels, -1, 0) if options.get("planarconfig") == "separate" else pixels
    alpha = ["unassalpha"] if channels == 4 else None
    tifffile.imwrite(file, stored, photometric="rgb", extrasamples=alpha, iccprofile=b"profile", **options)
    image = read_image(io.BytesIO(file.getvalue()))
    assert (image.depth, image.metadata.icc) == (16, b"profile")
    np.testing.assert_array_equal(image.pixels, pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sixteen_bit_tiff_is_turned_as_eight_bit_ones_are(deep_pixels: np.ndarray, orientation: int) -> None:
    pytest.importorskip("imagecodecs")
    tifffile = pytest.importorskip("tifffile")

    def read(pixels: np.ndarray) -> Image:
        file, tag = io.BytesIO(), (274, "H", 1, orientation, True)
        tifffile.imwrite(file, pixels, photometric="rgb", extratags=[tag])
        return read_image(io.BytesIO(file.getvalue()))

    deep, plain = read(deep_pixels[..., :3]), read((deep_pixels[..., :3] >> 8).astype(np.uint8))
    np.testing.assert_array_equal(deep.pixels >> 8, plain.pixels)
    assert deep.metadata == plain.metadata


def test_sixteen_bit_colours_of_other_kinds_are_refused(deep_pixels: np.ndarray) -> None:
    pytest.importorskip("imagecodecs")
    tifffile = pytest.importorskip("tifffile")
    premultiplied, inks = io.BytesIO(), io.BytesIO()
    tifffile.imwrite(premultiplied, deep_pixels, photometric="rgb", extrasamples=["assocalpha"])
    tifffile.imwrite(inks, deep_pixels, photometric="separated")
    for data in (premultiplied.getvalue(), inks.getvalue()):
        with pytest.raises(Unsupported, match=r"16-bit (RGB|CMYK), 4 bands"):
            read_image(io.BytesIO(data))
    with pytest.raises(Unsupported, match="write PNG instead"):
        encode_image(Image(deep_pixels, 16), "WEBP")


def test_damaged_sixteen_bit_colours_are_told(deep_pixels: np.ndarray) -> None:
    pytest.importorskip("imagecodecs")
    data = encode_image(Image(deep_pixels, 16), "PNG")
    for damaged in (data[:900], data[:3000] + bytes(40) + data[3040:]):
        with pytest.raises(CorruptFile):
            read_image(io.BytesIO(damaged))
    with pytest.raises(LimitExceeded):
        read_image(io.BytesIO(data), max_pixels=100)


def test_without_imagecodecs_sixteen_bit_colours_are_refused_not_reduced(
    deep_pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("imagecodecs")
    image = Image(deep_pixels, 16)
    data = encode_image(image, "PNG")
    assert Pillow.open(io.BytesIO(data)).mode == "RGBA"  # Pillow would reduce it and not say so
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(Unsupported, match="pip install"):
        read_image(io.BytesIO(data))
    with pytest.raises(Unsupported, match="pip install"):
        encode_image(image, "PNG")


@pytest.mark.parametrize("value", [np.float32(0.5), np.int32(-1)])
def test_other_numbers_are_refused(value: np.generic) -> None:
    image = Pillow.fromarray(np.full((3, 4), value))
    with pytest.raises(Unsupported, match=r"not 8- or 16-bit|floating point"):
        read_image(saved(image, "TIFF"))


def test_palette(texture: Texture) -> None:
    flat = Pillow.fromarray(texture(9, 8, 3)).quantize(16)
    image = read_image(saved(flat, "PNG"))
    np.testing.assert_array_equal(image.pixels, np.asarray(flat.convert("RGB")))
    image = read_image(saved(flat, "PNG", transparency=3))
    assert image.mode == "RGBA"
    np.testing.assert_array_equal(image.pixels[..., 3] == 0, np.asarray(flat) == 3)


def test_transparent_colour_becomes_alpha(texture: Texture) -> None:
    pixels = texture(9, 8, 3)
    image = read_image(saved(Pillow.fromarray(pixels), "PNG", transparency=tuple(map(int, pixels[2, 3]))))
    assert image.mode == "RGBA"
    assert image.pixels[2, 3, 3] == 0
    grey = read_image(saved(Pillow.fromarray(pixels[..., 0]), "PNG", transparency=int(pixels[2, 3, 0])))
    assert (grey.mode, grey.pixels[2, 3, 1]) == ("LA", 0)


def test_black_and_white() -> None:
    bits = np.eye(9, dtype=bool)
    image = read_image(saved(Pillow.fromarray(bits), "PNG"))
    np.testing.assert_array_equal(image.pixels[..., 0], bits * np.uint8(255))


def test_cmyk_uses_its_profile_up(texture: Texture) -> None:
    inks = Pillow.fromarray(texture(9, 8, 3)).convert("CMYK")
    image = read_image(saved(inks, "TIFF", icc_profile=METADATA.icc))  # does not fit: RGB
    np.testing.assert_array_equal(image.pixels, np.asarray(inks.convert("RGB")))
    assert image.metadata.icc is None


def test_animations_are_refused(texture: Texture) -> None:
    frames = [Pillow.fromarray(texture(9, 8, 3, seed)) for seed in range(3)]
    for format in ("GIF", "PNG", "WEBP", "TIFF"):
        file = saved(frames[0], format, save_all=True, append_images=frames[1:])
        with pytest.raises(Unsupported, match="3 frames"):
            read_image(file)


def test_a_phone_s_multi_picture_is_one_photo(texture: Texture) -> None:
    frames = [Pillow.fromarray(texture(9, 8, 3, seed)) for seed in range(2)]
    file = saved(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert read_image(file).pixels.shape == (9, 8, 3)


def test_limit_is_ours_and_not_pillow_s(monkeypatch: pytest.MonkeyPatch, texture: Texture) -> None:
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 10)
    file = saved(Pillow.fromarray(texture(20, 30, 3)), "PNG")
    assert read_image(file, max_pixels=600).width == 30
    file.seek(0)
    with pytest.raises(LimitExceeded, match="600 pixels are more than the limit of 599"):
        read_image(file, max_pixels=599)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM"])
def test_cut_files_are_corrupt_with_their_path(tmp_path: Path, texture: Texture, format: str) -> None:
    data = saved(Pillow.fromarray(texture(40, 50, 3)), format).getvalue()
    for length in (0, 1, 10, len(data) // 4, len(data) // 2):
        path = tmp_path / f"cut-{length}"
        path.write_bytes(data[:length])
        with pytest.raises(CorruptFile, match=str(path)):
            read_image(path)


def test_text_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(CorruptFile, match="known format"):
        read_image(tmp_path / "a.png")


def test_a_missing_file_is_the_system_s_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "shape", "depth"),
    [
        ("a.jpg", (4, 4, 4), 8),
        ("a.jpg", (4, 4, 2), 8),
        ("a.bmp", (4, 4, 4), 8),
        ("a.ppm", (4, 4, 2), 8),
        ("a.webp", (4, 4, 1), 16),
        ("a.jpg", (4, 4, 3), 16),
        ("a.png", (2, 4, 4, 3), 16),
        ("a.webp", (4, 4, 1), 10),
        ("a.png", (2, 4, 4, 3), 8),
        ("a.jxl", (4, 4, 3), 8),
        ("a", (4, 4, 3), 8),
        ("a.webp", (1, 20000, 3), 8),
    ],
)
def test_what_a_format_cannot_hold_is_refused(tmp_path: Path, name: str, shape: tuple[int, ...], depth: int) -> None:
    image = Image(empty(shape, depth) * 0, depth)
    with pytest.raises(Unsupported):
        write_image(tmp_path / name, image)
    assert os.listdir(tmp_path) == []


def test_pillow_images_come_back(texture: Texture) -> None:
    image = Image(texture(5, 6, 4), metadata=METADATA)
    again = from_pillow(to_pillow(image))
    np.testing.assert_array_equal(again.pixels, image.pixels)
    assert again.metadata == METADATA


def test_lab_is_refused() -> None:
    with pytest.raises(Unsupported, match="LAB"):
        from_pillow(Pillow.new("LAB", (3, 3)))


class TestWriteBytes:
    def test_keeps_what_was_there_on_failure(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "a"
        path.write_bytes(b"old")

        def fail(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "replace", fail)
        with pytest.raises(KeyboardInterrupt):
            write_bytes(path, b"new")
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["a"]

    def test_does_not_overwrite_unless_asked(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        write_bytes(path, b"1", overwrite=False)
        with pytest.raises(FileExistsError):
            write_bytes(path, b"2", overwrite=False)
        assert path.read_bytes() == b"1"
        write_bytes(path, b"3")
        assert path.read_bytes() == b"3"
        assert os.listdir(tmp_path) == ["a"]

    def test_threads_that_write_keep_the_mask(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before, umask = os.umask(0o027), os.umask

        def slow(mask: int) -> int:
            old = umask(mask)
            time.sleep(0.002)  # lets another thread in
            return old

        monkeypatch.setattr(os, "umask", slow)
        try:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda place: write_bytes(tmp_path / str(place), b"x"), range(40)))
            assert umask(0o027) == 0o027
        finally:
            umask(before)
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}

    def test_permissions_are_those_of_a_new_file_or_the_old(self, tmp_path: Path) -> None:
        before = os.umask(0o027)
        try:
            write_bytes(tmp_path / "a", b"1")
        finally:
            os.umask(before)
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
        (tmp_path / "a").chmod(0o604)
        write_bytes(tmp_path / "a", b"2")
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o604

    def test_follows_links_and_pipes(self, tmp_path: Path) -> None:
        (tmp_path / "to").write_bytes(b"1")
        (tmp_path / "link").symlink_to("to")
        write_bytes(tmp_path / "link", b"2")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "to").read_bytes() == b"2"
        write_bytes("/dev/null", b"3")
        assert not Path("/dev/null").is_file()
