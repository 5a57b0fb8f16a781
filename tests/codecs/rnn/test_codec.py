"""The `rnn` codec on a small untrained model, beside the contract that every codec keeps."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import calotype
from calotype.codec import Chunk, Host
from calotype.codecs.rnn import codec as rnn
from calotype.codecs.rnn.adapt import adapt, adapts
from calotype.codecs.rnn.codec import RNNCodec
from calotype.codecs.rnn.recipe import Recipe
from calotype.errors import CorruptFile, Desync, PartialFile, Unsupported, UnsupportedFile
from calotype.image import Image, psnr
from calotype.options import DecodeOptions, EncodeOptions, Region
from calotype.runtime.weights import Weights
from tests import specimens

Texture = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[calotype.Model]:
    with pytest.MonkeyPatch.context() as patch:
        specimens.install("rnn.small", tmp_path_factory.mktemp("specimen"), patch)
        yield calotype.load("rnn.small")


@pytest.fixture(scope="module")
def weights() -> Weights:
    return specimens.weights("rnn.small")


@pytest.fixture(scope="module")
def codec(weights: Weights) -> RNNCodec:
    return RNNCodec(Host(weights))


def layers_of(data: bytes) -> list[int]:
    """Bytes of each iteration."""
    return [size for tag, size in calotype.info(data).chunks if tag == "I"]


@pytest.mark.parametrize(
    ("quality", "iterations"), [(0, 1), (6.25, 1), (6.3, 2), (50, 8), (None, 8), (93.8, 16), (100, 16)]
)
def test_quality_is_a_number_of_iterations(
    model: calotype.Model, photo: np.ndarray, quality: float | None, iterations: int
) -> None:
    assert len(layers_of(model.encode(photo, quality))) == iterations


def test_a_worse_file_is_the_beginning_of_a_better_one(model: calotype.Model, photo: np.ndarray) -> None:
    """Chunk by chunk; only the mark of the last one differs, and its checksum."""
    worse, better = (calotype.container.unpack(model.encode(photo, quality))[1] for quality in (20, 80))
    assert len(worse) == 4
    assert better[:4] == worse


@pytest.mark.parametrize(("name", "quality"), [("rnn.small", 30), ("rnn.refined", 50)])
def test_a_cut_anywhere_decodes_to_what_is_complete(
    name: str, quality: float, texture: Texture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specimens.install(name, tmp_path, monkeypatch)
    data = calotype.encode(texture(20, 20, 3), quality, model=name)
    with pytest.raises(CorruptFile, match="cut off"):
        calotype.decode(data[:20])
    ends: list[int] = []
    images = [calotype.decode(data, layers=count + 1) for count in range(len(layers_of(data)))]
    for length in range(len(data)):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", PartialFile)
            try:
                part = calotype.decode(data[:length])
            except CorruptFile:
                assert not ends  # before the first iteration is complete
                continue
            (warning,) = said
            again = calotype.decode(data, max_bytes=length)
        count = int(str(warning.message).split("layers, ")[1].split()[0])
        if count > len(ends):
            ends.append(length)
        assert count == len(ends)
        np.testing.assert_array_equal(part, images[count - 1])
        np.testing.assert_array_equal(again, images[count - 1])
    assert len(ends) == len(images) - 1 > 2  # of the last one, nothing is cut off


def test_a_size_keeps_as_many_iterations_as_fit(model: calotype.Model, photo: np.ndarray) -> None:
    whole = model.encode(photo, 100)
    sizes = [len(model.encode(photo, 100 * (number + 1) / 16)) for number in range(16)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == len(whole)
    for number in (0, 6, 14):
        for spare in (0, sizes[number + 1] - sizes[number] - 1):
            assert len(model.encode(photo, target_bytes=sizes[number] + spare)) == sizes[number]
    bpp = 8 * (sizes[4] + 0.5) / photo[..., 0].size
    assert len(model.encode(photo, target_bpp=bpp)) == sizes[4]
    with pytest.raises(Unsupported, match=f"smallest file of this model has {sizes[0]:,} bytes"):
        model.encode(photo, target_bytes=sizes[0] - 1)


def test_a_psnr_takes_as_few_iterations_as_reach_it(model: calotype.Model, photo: np.ndarray) -> None:
    image = Image(photo)
    found = [psnr(image, model.decode_image(model.encode(photo, 100 * (number + 1) / 16))) for number in range(16)]
    data = model.encode(photo, target_psnr=found[3] + 0.001)
    assert len(layers_of(data)) == 5
    with pytest.raises(Unsupported, match=f"best file of this model has {found[-1]:.2f} dB"):
        model.encode(photo, target_psnr=60)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_many_tiles_and_a_region(
    model: calotype.Model, texture: Texture, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rnn, "TILE", 64)
    pixels = texture(150, 200, channels)
    data = model.encode(pixels, 30, threads=2)
    whole = calotype.decode(data, threads=1)
    assert whole.shape == (pixels.shape if channels > 1 else pixels.shape[:2])
    for x, y, width, height in [(0, 0, 200, 150), (63, 63, 2, 2), (199, 149, 1, 1), (10, 70, 150, 5)]:
        part = calotype.decode(data, region=(x, y, width, height), threads=2)
        np.testing.assert_array_equal(part, whole[y : y + height, x : x + width])


def test_damage_that_checksums_do_not_see_is_noticed(codec: RNNCodec, photo: np.ndarray) -> None:
    payload = codec.encode(Image(photo), EncodeOptions(quality=10))
    first, *others = payload.chunks

    def decode(*chunks: Chunk) -> None:
        codec.decode(replace(payload, chunks=chunks), DecodeOptions())

    wrong = bytearray(others[0].body)
    wrong[0] ^= 1  # of the seal
    with pytest.raises(Desync, match="iteration 1 decoded to other values"):
        decode(first, Chunk("I", bytes(wrong)))
    with pytest.raises(CorruptFile, match="17 iterations"):
        decode(first, *16 * others[:1])
    with pytest.raises(CorruptFile, match="0 pixels"):
        decode(Chunk("I", b"\0" + first.body[1:]))
    with pytest.raises(CorruptFile, match="alpha plane"):
        decode(Chunk("I", first.body[:1] + b"\x01x" + first.body[2:]))
    with pytest.raises(CorruptFile, match="no iterations"):
        decode()
    with pytest.raises(UnsupportedFile, match="'K'"):
        decode(first, Chunk("K", b""))


def test_what_predicts_bits_learns_from_images(weights: Weights, texture: Texture) -> None:
    """And then codes the same bits in fewer bytes."""
    taught = Weights(adapt(weights, (texture(64, 96, 3, seed) for seed in range(1, 4))), "rnn.taught")
    assert adapts(weights)  # so files of the one are never taken for files of the other
    assert taught.digest != weights.digest
    assert {name: taught.network(name) for name in taught.networks} == {
        name: weights.network(name) for name in weights.networks
    }
    image = Image(texture(64, 96, 3))
    before, after = (RNNCodec(Host(each)) for each in (weights, taught))
    sizes = [codec.encode(image, EncodeOptions()).bits for codec in (before, after)]
    assert sizes[1] < 0.9 * sizes[0]
    payload = after.encode(image, EncodeOptions())
    decoded = after.decode(payload, DecodeOptions()).pixels
    np.testing.assert_array_equal(decoded, before.decode(before.encode(image, EncodeOptions()), DecodeOptions()).pixels)


def test_recipes_that_do_not_fit_together_are_refused() -> None:
    small = Recipe.load("compact")
    for changed, message in (
        ({"encoder": (8, 8)}, "each unit needs its stride"),
        ({"decoder_strides": (3,)}, "do not divide"),
        ({"decoder_strides": (2,)}, "which both networks must have alike"),
        ({"refinements": 16}, "16 of 16 iterations cannot refine"),
        ({"surface_stride": 8, "encoder_strides": (2,), "reconstruction": "additive"}, "what refines are coefficients"),
    ):
        with pytest.raises(Unsupported, match=message):
            replace(small, **changed)


def test_coefficients_are_told_after_the_networks_iterations(texture: Texture, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one tile or in many, and also where a region is asked for; each pass brings the image nearer."""
    monkeypatch.setattr(rnn, "TILE", 64)
    codec = RNNCodec(Host(specimens.weights("rnn.refined")))
    image = Image(texture(70, 150, 3))
    payload = codec.encode(image, EncodeOptions(quality=100))
    assert len(payload.chunks) == 8
    parts = [replace(payload, chunks=payload.chunks[:count]) for count in range(1, 9)]
    decoded = [codec.decode(part, DecodeOptions()) for part in parts]
    found = [psnr(image, each) for each in decoded]
    assert (np.diff(found[2:]) > 0).all()
    assert found[-1] > found[1] + 3
    region = codec.decode(payload, DecodeOptions(region=Region(60, 10, 20, 55))).pixels
    np.testing.assert_array_equal(region, decoded[-1].pixels[10:65, 60:80])
    wrong = bytearray(payload.chunks[-1].body)
    wrong[0] ^= 1  # of the seal
    with pytest.raises(Desync, match="iteration 7 decoded to other values"):
        codec.decode(replace(payload, chunks=(*payload.chunks[:-1], Chunk("I", bytes(wrong)))), DecodeOptions())


def test_tables_of_coefficients_are_counted_on_images(texture: Texture) -> None:
    weights = specimens.weights("rnn.refined")
    taught = Weights(adapt(weights, [texture(64, 96, 3, 1)]), "rnn.taught")
    image = Image(texture(64, 96, 3))
    sizes = [
        sum(len(c.body) for c in RNNCodec(Host(each)).encode(image, EncodeOptions(quality=100)).chunks[2:])
        for each in (weights, taught)
    ]
    assert sizes[1] < 0.9 * sizes[0]


def test_no_chunk_makes_a_photo_worse() -> None:
    """Quality never falls by more than 0.1 dB from one iteration to the next: the shipped model."""
    if "rnn.compact" not in (model.name for model in calotype.list_models()):
        pytest.skip("rnn.compact is not installed: train and export it (docs/howto/train.md)")
    image = calotype.read(Path(__file__).parents[3] / "samples/coffee.png")
    data = calotype.load("rnn.compact").encode(image, 100)
    found = [psnr(image, calotype.decode_image(data, layers=count)) for count in range(1, 17)]
    assert (np.diff(found) > -0.1).all()
    assert found[-1] > found[0] + 5
