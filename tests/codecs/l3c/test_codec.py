"""The `l3c` codec on small untrained models, beside the contract that every codec keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from calotype.codec import Host, Payload
from calotype.codecs.l3c import codec as l3c
from calotype.codecs.l3c.coarsest import code_coarsest
from calotype.codecs.l3c.digits import are_exact, digits_of, samples_of
from calotype.codecs.l3c.freeze import freeze, thaw
from calotype.codecs.l3c.layout import TILES
from calotype.codecs.l3c.networks import L3C
from calotype.codecs.l3c.recipe import Recipe
from calotype.codecs.l3c.samples import Interpolation
from calotype.codecs.l3c.training import bits
from calotype.codecs.l3c.units import LEVEL_MAX, STRIDE, VALUE_UNIT
from calotype.coding import BitCounter
from calotype.coding.planes import pack_colours
from calotype.errors import CalotypeError, CorruptFile, Desync, Unsupported
from calotype.image import Image
from calotype.options import DecodeOptions, EncodeOptions
from calotype.runtime.engine import Network
from calotype.runtime.weights import Weights
from tests import specimens
from tests.codecs.l3c import specimen

Bytes = npt.NDArray[np.uint8]

SAMPLES = specimen.RECIPES["samples"]
NEAR = 1e-3  # of the code length: what the training's floating point and the coder's table may differ by


@pytest.fixture(autouse=True)
def networks_only(monkeypatch: pytest.MonkeyPatch) -> None:
    specimen.prepare(monkeypatch)


@pytest.fixture(scope="module", params=specimen.RECIPES)
def weights(request: pytest.FixtureRequest) -> Weights:
    return specimens.weights(f"l3c.{request.param}")


@pytest.fixture(scope="module")
def codec(weights: Weights) -> l3c.L3CCodec:
    return l3c.L3CCodec(Host(weights))


@pytest.fixture(scope="module")
def photo() -> Bytes:
    """Smooth colours, some of them saturated, with texture."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:130, :171] / 40
    waves = np.stack([np.sin(x + y), np.cos(x - 2 * y), np.sin(0.5 * x)], -1)
    return np.clip(128 + 120 * waves + rng.normal(0, 6, waves.shape), 0, 255).astype(np.uint8)


def records_of(payload: Payload) -> list[bytes]:
    (chunk,) = payload.chunks
    return TILES.parse(chunk.body)[1]


def encode(codec: l3c.L3CCodec, pixels: Bytes, **options: Any) -> Payload:
    return codec.encode(Image.from_array(pixels), EncodeOptions(**options))


@pytest.mark.parametrize("kind", ["photo", "noise", "saturated"])
def test_digits_tell_samples(photo: Bytes, kind: str) -> None:
    """Exactly wherever they say so; far chromas may be beyond them."""
    rng = np.random.default_rng(1)
    pixels: dict[str, np.ndarray] = {
        "photo": photo,
        "noise": rng.integers(0, 256, photo.shape),
        "saturated": rng.choice([0, 255], photo.shape),
    }
    samples = pixels[kind].astype(np.int32).transpose(2, 0, 1)
    guesses = np.clip(samples + rng.integers(-30, 31, samples.shape), 0, 255)
    for expected in (guesses, np.full_like(samples, 128)):
        levels = digits_of(samples, expected)
        assert np.abs(levels).max() <= LEVEL_MAX
        wrong = (np.stack(samples_of(levels, expected)) != samples).any(0)
        assert not (wrong & are_exact(levels)).any()
        if kind == "photo" and expected is guesses:
            assert are_exact(levels).mean() > 0.95


def test_interpolation_keeps_samples_and_slopes() -> None:
    y, x = np.mgrid[:24, :32].astype(np.float32)
    slope = torch.from_numpy(np.stack([16 * x, -32 * y, 8 * (x + y)]))[None]
    finer = Interpolation(VALUE_UNIT)(slope)
    np.testing.assert_array_equal(finer[..., ::2, ::2], slope)
    inner = finer[..., 4:-4, 4:-4]
    wanted = torch.nn.functional.interpolate(slope, size=(47, 63), mode="bilinear", align_corners=True)[..., 4:-3, 4:-3]
    assert (inner - wanted).abs().max() <= 1  # rounded down


@pytest.mark.slow
def test_a_fresh_model_predicts_gradients() -> None:
    """Nothing is trained, and a plane in a slope costs little: the interpolation does its part."""
    y, x = np.mgrid[:64, :64]
    slope = np.stack([60 + x + y // 2, 40 + 2 * x, 200 - y], -1).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, slope.shape, np.uint8)
    codec = l3c.L3CCodec(Host(Weights(freeze(L3C(SAMPLES)), "fresh")))
    sizes = []
    for pixels in (slope, noise):
        counter = BitCounter()
        codec._transmit(counter, pixels, 64, 64, 1)
        sizes.append(counter.bits / pixels.size)
    assert sizes[0] < 5.5 < 8 < sizes[1]


def test_training_counts_the_coders_bits(weights: Weights, codec: l3c.L3CCodec, photo: Bytes) -> None:
    """Straight-through layers, the floating-point mixture and the colours' moved locations are those of the coder."""
    model = specimen.build(Recipe.from_dict(weights.recipe, "specimen")).eval()
    pixels = photo[:128, :168]
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        *scales, coarsest = (float(part[0]) for part in bits(model, x))
    if model.recipe.joint:  # there training counts values as equally likely, which the coder does not
        counter, samples = BitCounter(), pixels[::STRIDE, ::STRIDE].transpose(2, 0, 1)
        code_coarsest(counter, samples, samples.shape[1:])
        assert counter.bits < coarsest
        coarsest = counter.bits
    trained = sum(scales) + coarsest
    counted = codec.count_bits(Image(pixels), EncodeOptions())
    assert abs(trained / (counted - 8 * 8) - 1) < NEAR  # less hash, length and the stream's ends


def test_drawings_and_noise_take_another_way(codec: l3c.L3CCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flat areas become far smaller than a network can say, and noise does not grow."""
    monkeypatch.setattr(l3c, "pack_colours", pack_colours)
    drawing = np.zeros((100, 120, 3), np.uint8)
    drawing[20:60, 30:90] = 250, 10, 60
    noise = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    for pixels, largest in ((drawing, 400), (noise, 1.01 * noise.size)):
        payload = encode(codec, pixels)
        assert records_of(payload)[0][4] == l3c.SCREEN
        assert len(payload.chunks[0].body) < largest
        assert codec.count_bits(Image(pixels), EncodeOptions()) == 8 * len(payload.chunks[0].body)
        np.testing.assert_array_equal(codec.decode(payload, DecodeOptions()).pixels, pixels)
        assert pack_colours(pixels, len(payload.chunks[0].body) - 20) is None


def test_other_parameters_are_a_desync(codec: l3c.L3CCodec, photo: Bytes) -> None:
    """A decoder that would go wrong says so: here one scale is off by one."""
    payload = encode(codec, photo)
    get = codec._networks.get

    class Wrong:
        def get(self, name: str, threads: int) -> Network:
            network = get(name, threads)
            if name != "stage1":
                return network
            return lambda **inputs: [output + (number == 2) for number, output in enumerate(network(**inputs))]

    broken = l3c.L3CCodec.__new__(l3c.L3CCodec)
    broken.__dict__ |= codec.__dict__ | {"_networks": Wrong()}
    with pytest.raises((Desync, CorruptFile)):
        broken.decode(payload, DecodeOptions())


def test_pixels_are_hashed(codec: l3c.L3CCodec, photo: Bytes) -> None:
    """A stream that decodes well, to other pixels than the hash is of."""
    payload, other = (encode(codec, pixels) for pixels in (photo, photo[::-1]))
    first, second = records_of(payload), records_of(other)
    mixed = TILES.pack(l3c.TILE, [first[0][:4] + second[0][4:]])
    with pytest.raises(Desync, match="tile 0,0"):
        codec.decode(Payload(payload.shape, 8, (mixed,)), DecodeOptions())


def test_damage_within_a_checksum_is_refused(codec: l3c.L3CCodec, photo: Bytes) -> None:
    payload = encode(codec, photo[:40, :40])
    (chunk,) = payload.chunks
    rng = np.random.default_rng(5)
    for place in rng.integers(1, len(chunk.body), 40):
        body = bytearray(chunk.body)
        body[place] ^= 1 << rng.integers(8)
        with pytest.raises(CalotypeError):
            codec.decode(Payload(payload.shape, 8, (chunk._replace(body=bytes(body)),)), DecodeOptions())
    for side in (0, 17):
        changed = bytes([side]) + chunk.body[1:]
        with pytest.raises(CorruptFile, match="tiles of"):
            codec.decode(Payload(payload.shape, 8, (chunk._replace(body=changed),)), DecodeOptions())


def test_weights_thaw_into_the_same_model(weights: Weights, photo: Bytes) -> None:
    again = Weights(freeze(thaw(weights)), "again")
    assert again.recipe == weights.recipe
    assert encode(l3c.L3CCodec(Host(again)), photo) == encode(l3c.L3CCodec(Host(weights)), photo)


def test_recipes_refuse_what_they_cannot_be() -> None:
    with pytest.raises(Unsupported, match="unknown key 'fetures'"):
        Recipe.from_dict(SAMPLES.to_dict() | {"fetures": 3}, "here.toml")
    with pytest.raises(Unsupported, match="mixtures, not 11"):
        Recipe.from_dict(SAMPLES.to_dict() | {"mixtures": 11}, "here.toml")
    with pytest.raises(Unsupported, match="no recipe 'papper'"):
        Recipe.load("papper")


def test_the_papers_recipe_has_its_size() -> None:
    """5.0 million parameters in the paper."""
    count = sum(parameter.numel() for parameter in L3C(Recipe.load("paper")).parameters())
    assert 4.5e6 < count < 5.5e6
