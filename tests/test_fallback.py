"""Images that the default model is not for become lossless files where those are smaller, or the lossy ones too bad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageDraw
import pytest

import calotype
from calotype.coding.screen import repeats_itself
from calotype.errors import Unsupported

COFFEE = Path(__file__).parents[1] / "samples" / "coffee.png"
Pixels = npt.NDArray[Any]


def text() -> Pixels:
    page = PIL.Image.new("RGB", (320, 200), "white")
    draw = PIL.ImageDraw.Draw(page)
    for line in range(12):
        draw.text((5, 5 + 15 * line), f"The quick brown fox jumps over the lazy dog {line}", (line * 10, 0, 80))
    return np.asarray(page)


def screens() -> dict[str, Pixels]:
    y, x = np.mgrid[:128, :160]
    checker = (x + y) % 2
    dither = np.where(x / 160 + np.random.default_rng(0).uniform(-0.5, 0.5, x.shape) > 0.5, 255, 0)
    return {
        "text": text(),
        "checker": np.stack([255 * checker] * 3, -1).astype(np.uint8),
        "red and green": np.stack([255 * checker, 255 * (1 - checker), 0 * x], -1).astype(np.uint8),
        "dither": dither[..., None].astype(np.uint8),
        "strip": np.random.default_rng(1).integers(0, 256, (1500, 1, 3), np.uint8),
    }


def psnr(a: Pixels, b: Pixels) -> float:
    error = float(np.mean((a.astype(float) - b) ** 2))
    return 99.0 if error == 0 else 10 * np.log10(255**2 / error)


@pytest.mark.parametrize("name", screens())
def test_lossy_files_are_no_larger_than_lossless_ones(name: str) -> None:
    """Size and PSNR never fall as quality grows."""
    pixels = screens()[name]
    exact = len(calotype.encode(pixels, lossless=True))
    sizes, qualities = [], []
    for quality in (0, 30, 60, 100):
        data = calotype.encode(pixels, quality)
        sizes.append(len(data))
        qualities.append(psnr(calotype.decode_image(data).pixels, np.atleast_3d(pixels)))
    assert max(sizes) <= exact
    assert sizes == sorted(sizes)
    assert qualities == sorted(qualities)
    assert qualities[-1] > 36


def test_an_effort_is_handed_on_to_the_lossless_model() -> None:
    pixels = text()
    quick = calotype.encode(pixels, effort=2)
    assert quick == calotype.encode(pixels, lossless=True, effort=2)
    assert quick != calotype.encode(pixels)


def test_a_target_is_reached_by_whatever_reaches_it() -> None:
    pixels = text()
    exact = calotype.encode(pixels, lossless=True)
    assert calotype.encode(pixels, target_bytes=len(exact)) == exact
    assert calotype.encode(pixels, target_bytes=10**6) == exact
    smaller = calotype.encode(pixels, target_bytes=len(exact) // 2)  # which only loss gives
    assert len(smaller) <= len(exact) // 2
    assert not calotype.load(calotype.info(smaller).model).info.lossless
    with pytest.raises(Unsupported, match=f"smallest file .* above 100; without loss it has {len(exact):,}"):
        calotype.encode(pixels, target_bytes=100)


def test_photographs_stay_lossy_at_any_quality() -> None:
    photo = calotype.read(COFFEE).pixels[:160, :200]
    for quality in (0, None, 100):
        data = calotype.encode(photo, quality)
        assert data == calotype.encode(photo, quality, model="vae.swift")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_noise_is_no_screen_and_no_file_outgrows_its_samples(channels: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 80, channels), np.uint8)
    lossy = calotype.encode(noise, 50)
    assert calotype.info(lossy).codec == "vae"
    header = 60  # of the file, its chunk and its tile
    assert len(lossy) <= noise.nbytes + header
    assert len(calotype.encode(noise, 100)) <= noise.nbytes + header
    assert len(calotype.encode(noise, lossless=True)) <= noise.nbytes + header
    deep = np.random.default_rng(0).integers(0, 65536, (64, 80, channels), np.uint16)
    exact = calotype.encode(deep, lossless=True)
    assert len(exact) <= deep.nbytes + header
    np.testing.assert_array_equal(calotype.decode_image(exact).pixels, deep)


def test_a_model_that_is_named_codes_everything() -> None:
    data = calotype.encode(text(), 20, model="vae.swift")
    assert calotype.info(data).model == "vae.swift"
    assert calotype.load().exact == calotype.load(lossless=True).card
    assert calotype.load("vae.swift").exact is None


def test_metadata_stays() -> None:
    metadata = calotype.Metadata(xmp=b"<x/>")
    assert calotype.decode_image(calotype.encode(calotype.Image(text(), metadata=metadata))).metadata == metadata


def test_screens_are_told_from_photos(texture: Callable[..., Pixels]) -> None:
    photo = calotype.read(COFFEE).pixels
    assert not repeats_itself(photo, photo.nbytes // 3)
    assert repeats_itself(text(), 5000)
    assert not repeats_itself(texture(1, 1, 3), 1)
