"""The lossless codec `prism`: its own promises, beside the contract that every codec keeps."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import calotype
import calotype.container
from calotype.codecs.prism import codec as prism
from calotype.codecs.prism import layout, planes
from calotype.codecs.prism._kernel import lib
from calotype.errors import CorruptFile, Desync, Unsupported
from calotype.image import Image
from calotype.options import EncodeOptions

SAMPLE = Path(__file__).parents[3] / "samples/coffee.png"
MODEL = calotype.load(lossless=True)
EFFORTS = sorted(MODEL.info.efforts)


@pytest.fixture(scope="module")
def coffee() -> np.ndarray:
    """Part of a real photo, (240, 320, 3)."""
    with PIL.Image.open(SAMPLE) as image:
        return np.asarray(image.convert("RGB"))[100:340, 150:470]


def round_trip(pixels: np.ndarray, depth: int = 8, effort: int | None = None, threads: int = 1) -> bytes:
    image = Image(pixels if pixels.ndim == 3 else pixels[..., None], depth)
    data = MODEL.encode(image, effort=effort, threads=threads)
    decoded = calotype.decode_image(data, threads=threads)
    np.testing.assert_array_equal(decoded.pixels, image.pixels)
    assert decoded.depth == depth
    return data


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_effort_is_lossless(texture: Callable[..., np.ndarray], effort: int, channels: int) -> None:
    round_trip(texture(45, 70, channels), effort=effort)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.integers(1, 16), st.sampled_from(EFFORTS),
    st.integers(0, 2**32 - 1), st.sampled_from(["noise", "flat", "extremes", "ramp", "sparse"]),
)  # fmt: skip
def test_any_image_comes_back(
    height: int, width: int, channels: int, depth: int, effort: int, seed: int, kind: str
) -> None:
    random, top = np.random.default_rng(seed), (1 << depth) - 1
    shape = height, width, channels
    drawn: dict[str, Callable[[], np.ndarray]] = {
        "noise": lambda: random.integers(0, top + 1, shape),
        "flat": lambda: np.broadcast_to(random.integers(0, top + 1, channels), shape),
        "extremes": lambda: random.integers(0, 2, shape) * top,
        "ramp": lambda: (np.arange(height * width * channels) * random.integers(1, 9)).reshape(shape) % (top + 1),
        "sparse": lambda: random.integers(0, top + 1, 5)[random.integers(0, 5, shape)],
    }
    round_trip(drawn[kind]().astype(np.uint8 if depth <= 8 else np.uint16), depth, effort)


@pytest.mark.parametrize("effort", [1, 5, 7])
def test_threads_and_instructions_give_the_same_file(coffee: np.ndarray, effort: int) -> None:
    pixels = coffee[:100, :150]
    files = {MODEL.encode(pixels, effort=effort, threads=threads) for threads in (1, 2, 3)}
    lib.prism_portable(1)
    try:
        files.add(MODEL.encode(pixels, effort=effort, threads=1))
        (data,) = files
        np.testing.assert_array_equal(calotype.decode(data), pixels)
    finally:
        lib.prism_portable(0)


def test_many_tiles_and_a_region(coffee: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prism, "TILE", 64)
    pixels = coffee[:150, :200]
    data = MODEL.encode(pixels, threads=2)
    for threads in (1, 2):
        np.testing.assert_array_equal(calotype.decode(data, threads=threads), pixels)
        for x, y, width, height in [(0, 0, 200, 150), (63, 63, 2, 2), (199, 149, 1, 1), (10, 70, 150, 5)]:
            part = calotype.decode(data, region=(x, y, width, height), threads=threads)
            np.testing.assert_array_equal(part, pixels[y : y + height, x : x + width])


def test_a_photo_is_smaller_than_with_webp_and_more_effort_makes_it_smaller_still(coffee: np.ndarray) -> None:
    webp = io.BytesIO()
    PIL.Image.fromarray(coffee).save(webp, "WEBP", lossless=True, quality=100, method=6)
    quick, usual, best = (len(MODEL.encode(coffee, effort=effort)) for effort in (1, 5, 8))
    assert best < usual < 0.97 * quick
    assert usual < 0.95 * len(webp.getvalue())


@pytest.mark.parametrize("size", [(400, 300), (1300, 1100)])
def test_drawn_images_are_no_larger_than_webp(size: tuple[int, int]) -> None:
    image = PIL.Image.new("RGB", size, "white")
    draw = PIL.ImageDraw.Draw(image)
    for row in range(0, size[1], 12):
        draw.text((5, row), 4 * "the same words again and again, as on a page ", fill=(20, 20, row % 256))
    pixels, webp = np.asarray(image), io.BytesIO()
    image.save(webp, "WEBP", lossless=True, quality=100, method=6)
    data = round_trip(pixels)
    assert len(data) <= len(webp.getvalue()) + 48  # our header and checksums
    for channels in (pixels[..., 0], np.dstack([pixels, pixels[..., 0]]), np.dstack([pixels[..., 0], pixels[..., 1]])):
        round_trip(channels)


def test_a_pattern_without_flat_parts_is_no_larger_than_webp() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (16, 16, 3), np.uint8)
    pixels, webp = np.tile(noise, (20, 20, 1)), io.BytesIO()
    PIL.Image.fromarray(pixels).save(webp, "WEBP", lossless=True, quality=100, method=6)
    assert len(round_trip(pixels)) <= len(webp.getvalue()) + 48


def test_colours_under_full_transparency_are_kept() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 4), np.uint8)
    pixels[:, 5:, :] = pixels[:1, 5:6, :]  # flat enough to try WebP
    pixels[..., 3] = 0
    round_trip(pixels)


def test_sixteen_bits_that_are_eight_cost_no_more_than_eight(coffee: np.ndarray) -> None:
    eight = coffee[:96, :128]
    wide = round_trip(eight.astype(np.uint16) * 257, 16)
    assert len(wide) < 1.06 * len(round_trip(eight))


def test_a_wrong_pixel_is_noticed(coffee: np.ndarray) -> None:
    payload = MODEL.codec.encode(Image(coffee[:40, :40]), EncodeOptions())
    (chunk,) = payload.chunks
    side, (record,), _ = layout.TILES.parse(chunk.body)
    chunk = layout.TILES.pack(side, [bytes([record[0] ^ 1]) + record[1:]])
    header, _ = calotype.container.unpack(MODEL.encode(coffee[:40, :40]))
    with pytest.raises(Desync, match="other values"):
        calotype.decode(calotype.container.pack(header, [chunk]))


@pytest.mark.parametrize("effort", [1, 5])
def test_a_stream_too_short_or_too_long_is_refused(effort: int) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (20, 20)).astype(np.uint16)
    plane = planes.Plane(samples, 8, 0, 255, [], effort)
    planes.code([plane], 1)
    stream = plane.finish()

    def decode(stream: bytes) -> np.ndarray:
        decoded = np.empty_like(samples)
        plane = planes.Plane(decoded, 8, 0, 255, [], effort, stream)
        planes.code([plane], 1)
        plane.finish()
        return decoded

    np.testing.assert_array_equal(decode(stream), samples)
    for wrong in (b"", stream[: len(stream) // 2], stream + b"more"):
        with pytest.raises(CorruptFile):
            decode(wrong)


def test_what_a_failed_thread_raises_arrives(coffee: np.ndarray) -> None:
    """And no thread waits for ever for rows that never come."""
    samples = [np.ascontiguousarray(coffee[:200, :200, c], np.uint16) for c in range(3)]
    coded: list[planes.Plane] = []
    for plane in samples:
        coded.append(planes.Plane(plane, 8, 0, 255, coded[::-1], 5))
    planes.code(coded, 2)
    streams = [plane.finish() for plane in coded]
    streams[0] = streams[0][:100]
    decoded: list[planes.Plane] = []
    for plane, stream in zip(samples, streams, strict=True):
        decoded.append(planes.Plane(np.empty_like(plane), 8, 0, 255, decoded[::-1], 5, stream))
    with pytest.raises(CorruptFile, match="ends too early"):
        planes.code(decoded, 2)


def test_wrong_efforts_and_lossy_models_are_refused(coffee: np.ndarray) -> None:
    with pytest.raises(Unsupported, match="effort 10: it must be 1 to 9"):
        MODEL.encode(coffee, effort=10)
    with pytest.raises(Unsupported, match="takes no effort"):
        calotype.encode(coffee, model="l3c.compact", effort=5)
    with pytest.raises(Unsupported, match="is not lossless"):
        calotype.encode(coffee, model="vae.swift", lossless=True)
    with pytest.raises(Unsupported, match="is not lossless"):
        calotype.encode(coffee, model=calotype.load(), lossless=True)
