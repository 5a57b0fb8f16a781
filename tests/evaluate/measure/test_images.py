"""Image files: in order, by name, with their views; and what is converted when it is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as Pillow

from calotype.errors import CalotypeError, Unsupported
from calotype.evaluate.measure.images import find_images, to_rgb
from calotype.image import Image

Texture = Callable[..., npt.NDArray[np.uint8]]


def test_images_come_in_order(small_set: Path, tmp_path: Path) -> None:
    assert [(image.set, image.name) for image in find_images([small_set])] == [("small", "a"), ("small", "b")]
    assert [image.name for image in find_images([small_set / "b.png", small_set / "a.png"])] == ["b", "a"]
    with pytest.raises(CalotypeError, match="no images"):
        find_images([tmp_path])
    with pytest.raises(CalotypeError, match="no images"):
        find_images([tmp_path / "none.png"])
    with pytest.raises(CalotypeError, match="small/a"):
        find_images([small_set, small_set / "a.png"])


def test_hashes_are_of_samples(small_set: Path, tmp_path: Path) -> None:
    (file,) = find_images([small_set / "a.png"])
    pixels = file.image.pixels
    expected = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:16]
    assert file.hash == expected
    Pillow.fromarray(pixels).save(tmp_path / "other.bmp")
    assert find_images([tmp_path / "other.bmp"])[0].hash == expected


def test_images_stay_as_they_are(texture: Texture, tmp_path: Path) -> None:
    for channels, mode in enumerate(("L", "LA", "RGB", "RGBA"), start=1):
        pixels = texture(5, 7, channels)
        Pillow.fromarray(pixels[..., 0] if channels == 1 else pixels).save(tmp_path / f"{mode}.png")
        (file,) = find_images([tmp_path / f"{mode}.png"])
        np.testing.assert_array_equal(file.image.pixels, pixels)
        (file,) = find_images([tmp_path / f"{mode}.png"], rgb=True)
        assert file.image.mode == "RGB"
    deep = texture(5, 7, 1)[..., 0].astype(np.uint16) * 257 + 3
    Pillow.fromarray(deep).save(tmp_path / "deep.png")
    (file,) = find_images([tmp_path / "deep.png"])
    assert file.image.depth == 16
    np.testing.assert_array_equal(file.image.pixels[..., 0], deep)


def test_files_in_order_are_views(texture: Texture, tmp_path: Path) -> None:
    views = [texture(6, 8, 3, seed=seed) for seed in range(4)]
    for k, pixels in enumerate(views):
        Pillow.fromarray(pixels).save(tmp_path / f"{k}.png")
    pairs = find_images([tmp_path], (2,))
    assert [pair.name for pair in pairs] == ["0", "2"]
    np.testing.assert_array_equal(pairs[1].image.pixels, np.stack(views[2:]))
    (field,) = find_images([tmp_path], (2, 2))
    assert field.image.pixels.shape == (2, 2, 6, 8, 3)
    with pytest.raises(CalotypeError, match="3 views each"):
        find_images([tmp_path], (3,))
    Pillow.fromarray(texture(6, 9, 3)).save(tmp_path / "1.png")
    with pytest.raises(Unsupported, match="view 1 is not like view 0"):
        _ = find_images([tmp_path], (4,))[0].image


def test_every_mode_becomes_rgb(texture: Texture) -> None:
    for channels in (1, 2, 3, 4):
        pixels = texture(5, 7, channels)
        colours = pixels[..., :3] if channels > 2 else np.repeat(pixels[..., :1], 3, axis=-1)
        np.testing.assert_array_equal(to_rgb(Image.from_array(pixels)).pixels, colours)
    deep = np.array([[[0], [128], [129], [65535]]], np.uint16)  # 257 to a level: 128 rounds down, 129 up
    np.testing.assert_array_equal(to_rgb(Image(deep, depth=16)).pixels[0, :, 0], [0, 0, 1, 255])
