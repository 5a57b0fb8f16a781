"""Efforts of `vae`: rounding, and latents refined for one picture, on a small untrained model."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest

from calotype.codec import Chunk, Host, Payload
from calotype.codecs.vae import codec as vae
from calotype.codecs.vae.layout import Layout
from calotype.errors import CorruptFile, Unsupported
from calotype.image import Image
from calotype.options import DecodeOptions, EncodeOptions
from calotype.runtime.weights import Weights
from calotype.tiling import Grid

Bytes = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def photo() -> Bytes:
    """Smooth colours, an edge and some texture; of odd size."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:75, :131] / 20
    waves = np.stack([np.sin(x + y), np.cos(x - 2 * y), np.sin(0.5 * x)], -1) + (y > x)[..., None]
    return np.clip(128 + 60 * waves + rng.normal(0, 9, waves.shape), 0, 255).astype(np.uint8)


def encode(codec: vae.VAECodec, pixels: Bytes, effort: int | None) -> Payload:
    return codec.encode(Image.from_array(pixels), EncodeOptions(quality=60, effort=effort, threads=1))


def cost(codec: vae.VAECodec, pixels: Bytes, payload: Payload) -> float:
    """Bits, and what the error of all samples that can be seen is worth."""
    image = Image.from_array(pixels)
    error = (codec.decode(payload, DecodeOptions()).pixels / 255 - image.pixels / 255) ** 2
    if image.channels in (2, 4):
        error = error[..., :-1] * (image.pixels[..., -1:] > 0)
    worth = codec._error_worth(codec._position(60)) * 3 / error.shape[-1]
    return payload.bits + worth * float(error.sum())


def test_effort_1_rounds_to_the_nearest_and_the_next_ones_weigh_bits(codec: vae.VAECodec, photo: Bytes) -> None:
    usual = encode(codec, photo, None)
    assert encode(codec, photo, 5) == encode(codec, photo, 6) == usual
    assert encode(codec, photo, 2) == encode(codec, photo, 4)
    assert encode(codec, photo, 1).bits > encode(codec, photo, 2).bits


def test_a_filter_brings_the_image_nearer_and_costs_little(codec: vae.VAECodec, photo: Bytes) -> None:
    blurred = PIL.Image.fromarray(photo).resize((262, 150), PIL.Image.Resampling.BICUBIC)
    pixels = np.asarray(blurred)
    without, filtered = (encode(codec, pixels, effort) for effort in (4, 5))
    assert Layout.parse(filtered.chunks).latents == Layout.parse(without.chunks).latents
    assert len(Layout.parse(filtered.chunks).taps) == 36
    assert cost(codec, pixels, filtered) < cost(codec, pixels, without)


def test_a_damaged_filter_is_refused(codec: vae.VAECodec, photo: Bytes) -> None:
    payload = encode(codec, photo, 4)
    for taps in (b"", bytes(12), bytes(35)):
        with pytest.raises(CorruptFile, match="filter"):
            codec.decode(replace(payload, chunks=(*payload.chunks, Chunk("F", taps))), DecodeOptions())
    with pytest.raises(CorruptFile, match="filter"):
        codec.decode(replace(payload, chunks=(*payload.chunks, Chunk("F", bytes(36))), wire_version=1), DecodeOptions())


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_refined_latents_cost_less(codec: vae.VAECodec, photo: Bytes, channels: int) -> None:
    pixels = photo[..., :channels] if channels in (1, 3) else photo[..., : channels - 1]
    if channels in (2, 4):
        alpha = np.full((*photo.shape[:2], 1), 255, np.uint8)
        alpha[20:60, 40:100] = 0
        pixels = np.concatenate([pixels, alpha], -1)
    usual, refined = (cost(codec, pixels, encode(codec, pixels, effort)) for effort in (5, 7))
    assert refined < 0.995 * usual


def test_steps_that_lead_nowhere_change_nothing(
    codec: vae.VAECodec, photo: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from calotype.codecs.vae import refine

    for name, value in (("STEP_FIRST", -50.0), ("STEP_LAST", -50.0), ("STRIDE_MAX", 50.0)):
        monkeypatch.setattr(refine, name, value)
    assert encode(codec, photo, 7) == encode(codec, photo, 5)


def test_a_picture_is_refined_tile_by_tile_and_always_alike(
    codec: vae.VAECodec, weights: Weights, photo: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vae, "TILE", 64)
    pixels = photo[:60, :120]
    payload = encode(codec, pixels, 7)
    assert len(Layout.parse(payload.chunks).latents) == 2
    assert payload == encode(vae.VAECodec(Host(weights)), pixels, 7)
    assert cost(codec, pixels, payload) < 0.995 * cost(codec, pixels, encode(codec, pixels, 5))


def test_bits_are_counted_with_an_effort(codec: vae.VAECodec, photo: Bytes) -> None:
    counted = codec.count_bits(Image.from_array(photo), EncodeOptions(quality=60, effort=7))
    assert counted == pytest.approx(encode(codec, photo, 7).bits, rel=0.005)


def test_what_nobody_sees_does_not_count() -> None:
    alpha = np.full((70, 100, 1), 255, np.uint8)
    alpha[:10] = 0
    image = Image.from_array(np.concatenate([np.zeros((70, 100, 3), np.uint8), alpha], -1))
    padded = Grid(70, 100, 1024).padded(64)
    window = vae._window(image, padded, padded.tile(0, 0), 64)
    assert window.seen.shape == (128, 128)
    np.testing.assert_array_equal(np.argwhere(window.seen).min(0), (10, 0))
    np.testing.assert_array_equal(np.argwhere(window.seen).max(0), (69, 99))


@pytest.mark.parametrize("missing", ["torch", "onnx"])
def test_without_pytorch_the_other_efforts_are_named(
    weights: Weights, photo: Bytes, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = vae.VAECodec(Host(weights))
    monkeypatch.delitem(sys.modules, "calotype.codecs.vae.refine", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(Unsupported, match=rf"{missing} is not installed; run: pip install 'calotype\[gpu\]', .* 6"):
        encode(codec, photo, 8)
    assert encode(codec, photo, 6).bits
