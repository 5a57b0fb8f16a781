"""The codec `prism`: its own promises, beside the contract that every codec keeps."""

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
from calotype.errors import BoundExceeded, CorruptFile, Desync, Unsupported
from calotype.image import Image
from calotype.options import EncodeOptions
from tools.fuzzing.bounds import KINDS, draw

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
    st.integers(0, 2**32 - 1), st.sampled_from(KINDS),
)  # fmt: skip
def test_any_image_comes_back(
    height: int, width: int, channels: int, depth: int, effort: int, seed: int, kind: str
) -> None:
    round_trip(draw(np.random.default_rng(seed), (height, width, channels), depth, kind), depth, effort)


@pytest.mark.parametrize("bound", [0, 2])
@pytest.mark.parametrize("effort", [1, 5, 7])
def test_threads_and_instructions_give_the_same_file(coffee: np.ndarray, effort: int, bound: int) -> None:
    pixels = coffee[:100, :150]
    files = {MODEL.encode(pixels, effort=effort, max_error=bound, threads=threads) for threads in (1, 2, 3)}
    decoded = calotype.decode(next(iter(files)))
    lib.prism_portable(1)
    try:
        files.add(MODEL.encode(pixels, effort=effort, max_error=bound, threads=1))
        (data,) = files
        np.testing.assert_array_equal(calotype.decode(data), decoded)
    finally:
        lib.prism_portable(0)
    assert np.abs(decoded.astype(int) - pixels).max() == bound


@pytest.mark.parametrize("bound", [0, 3])
def test_many_tiles_and_a_region(coffee: np.ndarray, monkeypatch: pytest.MonkeyPatch, bound: int) -> None:
    monkeypatch.setattr(prism, "TILE", 64)
    pixels = coffee[:150, :200]
    data = MODEL.encode(pixels, max_error=bound, threads=2)
    decoded = calotype.decode(data, threads=1)
    assert np.abs(decoded.astype(int) - pixels).max() == bound
    for threads in (1, 2):
        np.testing.assert_array_equal(calotype.decode(data, threads=threads), decoded)
        for x, y, width, height in [(0, 0, 200, 150), (63, 63, 2, 2), (199, 149, 1, 1), (10, 70, 150, 5)]:
            part = calotype.decode(data, region=(x, y, width, height), threads=threads)
            np.testing.assert_array_equal(part, decoded[y : y + height, x : x + width])


def test_a_photo_is_smaller_than_with_webp_and_more_effort_makes_it_smaller_still(coffee: np.ndarray) -> None:
    webp = io.BytesIO()
    PIL.Image.fromarray(coffee).save(webp, "WEBP", lossless=True, quality=100, method=6)
    quick, usual, best = (len(MODEL.encode(coffee, effort=effort)) for effort in (1, 5, 8))
    assert best < usual < 0.97 * quick
    assert usual < 0.95 * len(webp.getvalue())


@pytest.mark.parametrize("size", [(300, 200), (1100, 300)], ids=["one tile", "two tiles"])
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


# --- with a bound on the error ----------------------------------------------------------------------------------------


def test_a_bound_saves_more_than_coding_samples_that_were_quantised_before(coffee: np.ndarray) -> None:
    for effort in (1, 5):
        sizes = [len(MODEL.encode(coffee, effort=effort))]
        for bound in (1, 2, 4):
            sizes.append(len(MODEL.encode(coffee, max_error=bound, effort=effort)))
            quantised = ((coffee.astype(int) + bound) // (2 * bound + 1)).astype(np.uint8)
            assert sizes[-1] < len(MODEL.encode(quantised, effort=effort))
        assert sizes[1] < 0.7 * sizes[0]
        assert sizes == sorted(sizes, reverse=True)


def test_files_have_the_version_that_first_had_what_is_in_them(coffee: np.ndarray) -> None:
    pixels = coffee[:60, :60]
    versions = [calotype.info(MODEL.encode(pixels, max_error=bound)).wire_version for bound in (None, 0, 1)]
    assert versions == [1, 1, 3]
    assert MODEL.encode(pixels, max_error=0) == MODEL.encode(pixels, lossless=True)


@pytest.mark.parametrize(("depth", "bound"), [(8, 256), (1, 2), (12, 4096)])
def test_a_bound_beyond_all_values_is_refused(depth: int, bound: int) -> None:
    pixels = np.zeros((4, 4, 1), np.uint8 if depth <= 8 else np.uint16)
    with pytest.raises(Unsupported, match=f"of images with {depth} bits it must be 0 to {bound - 1}$"):
        MODEL.encode(Image(pixels, depth), max_error=bound)
    assert MODEL.encode(Image(pixels, depth), max_error=bound - 1)


def test_models_without_a_bound_name_the_one_that_has_it(coffee: np.ndarray) -> None:
    with pytest.raises(Unsupported, match=r"vae.swift takes no max_error; leave it out, .*prism.photo"):
        calotype.encode(coffee, model="vae.swift", max_error=2)
    assert calotype.info(calotype.encode(coffee[:50, :50], max_error=2)).model == "prism.photo"


def test_what_repeats_itself_stays_exact_where_that_is_smaller() -> None:
    image = PIL.Image.new("RGB", (400, 300), "white")
    draw = PIL.ImageDraw.Draw(image)
    for row in range(0, 300, 12):
        draw.text((5, row), 4 * "the same words again and again, as on a page ", fill=(20, 20, row % 256))
    data = MODEL.encode(np.asarray(image), max_error=1)
    assert len(data) <= len(MODEL.encode(np.asarray(image))) + 8  # what is promised
    assert calotype.info(data).largest_error == 0


def test_sixteen_bits_that_are_eight_stay_exact_where_that_is_smaller(coffee: np.ndarray) -> None:
    wide = coffee[:96, :128].astype(np.uint16) * 257
    files = [MODEL.encode(wide, max_error=bound) for bound in (0, 100, 1000)]
    assert len(files[1]) <= len(files[0]) + 8
    assert len(files[2]) < 0.5 * len(files[0])
    assert calotype.info(files[1]).largest_error == 0


def test_the_grid_is_taken_where_colours_lie_on_one(coffee: np.ndarray) -> None:
    lattice = (coffee[:100, :100].astype(int) // 3 * 3).clip(0, 255).astype(np.uint8)
    lattice[0, :9], lattice[1, :9] = 1, 254  # so that not all values are on it, and none is far from the next
    lattice[2, :86, 0] = lattice[2, :86, 1] = lattice[2, :86, 2] = np.arange(86) * 3 + 1
    lattice[3, :86, 0] = lattice[3, :86, 1] = lattice[3, :86, 2] = np.arange(86) * 3
    usual, tried = (MODEL.encode(lattice, max_error=1, effort=effort) for effort in (6, 7))
    assert len(tried) < 0.97 * len(usual)


def test_nothing_is_written_that_breaks_its_bound(coffee: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = planes.Plane.finish

    def spoil(plane: planes.Plane) -> bytes:
        plane._held[0][3, 3] ^= 64  # as if the kernel had found another value
        return honest(plane)

    monkeypatch.setattr(planes.Plane, "finish", spoil)
    with pytest.raises(BoundExceeded, match="above 2; nothing is written"):
        MODEL.encode(coffee[:40, :40], max_error=2)


@pytest.mark.parametrize("change", [(3, 2), (4, 0), (4, 9), (4, 200)])
def test_a_tile_with_a_bound_that_cannot_be_is_refused(change: tuple[int, int]) -> None:
    place, value = change
    tile = layout.CodedPlanes(5, 0, layout.Bound(2), [layout.CodedPlane(layout.Values(0, 7), b"")])
    body = bytearray(tile.pack())
    assert layout.CodedPlanes.parse(bytes(body), 3, 1).bound == layout.Bound(2)
    body[place] = value
    with pytest.raises(CorruptFile):
        layout.CodedPlanes.parse(bytes(body), 3, 1)
    sparse = layout.CodedPlane(layout.Values(0, 7, np.array([0, 7], np.uint16)), b"")
    with pytest.raises(CorruptFile, match="a map of its values beside a bound"):
        layout.CodedPlanes.parse(layout.CodedPlanes(5, 0, layout.Bound(2), [sparse]).pack(), 3, 1)


def test_a_webp_tile_of_another_size_is_refused_however_large() -> None:
    """Pillow has a limit of its own on pixels, which it raises in its own way."""
    rgb = PIL.Image.fromarray(np.zeros((4, 4, 3), np.uint8))
    stream = io.BytesIO()
    rgb.save(stream, "WEBP", lossless=True)
    data = bytearray(stream.getvalue())
    place = data.index(b"VP8L") + 9
    data[place : place + 4] = b"\xff\xff\xff\x0f"  # 14 bits of either side
    with pytest.raises(CorruptFile, match="WebP"):
        prism._decode_webp(bytes(data), (4, 4, 3))
