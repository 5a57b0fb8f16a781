"""Int8 analysis and synthesis: their arithmetic, what they cost in quality, and that no file depends on them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest

import calotype
from calotype import registry
from calotype.codec import Host
from calotype.codecs.vae import codec as vae
from calotype.errors import CorruptFile, Unsupported, WeightsNotFound
from calotype.image import Image, Pixels
from calotype.nets.int8 import MIDDLE, WEIGHT_MAX, Graph, fit, fit_signed, to_int8
from calotype.options import DecodeOptions, EncodeOptions
from calotype.runtime.onnx import OnnxNetwork
from calotype.runtime.torch import TorchNetwork
from calotype.runtime.weights import Weights, companion_path, pack_companion

Bytes = npt.NDArray[np.uint8]

SWIFT = Path(vae.__file__).parent / "weights" / "swift.calow"
COFFEE = Path(__file__).parents[3] / "samples" / "coffee.png"
LOSS_MAX = 0.05  # dB of PSNR at about 1 bpp, the project's promise
SIZE_DIFFERENCE = 0.01  # of small files: latents near the middle of two integers fall to either side


@pytest.fixture(scope="module")
def photo() -> Bytes:
    return np.asarray(PIL.Image.open(COFFEE).convert("RGB"))


@pytest.fixture(scope="module")
def weights() -> Weights:
    return Weights.open(SWIFT, int8=True)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A copy of the shipped model and its companion."""
    for path in (SWIFT, SWIFT.with_suffix(".toml"), companion_path(SWIFT)):
        shutil.copy(path, tmp_path)
    return tmp_path / SWIFT.name


def psnr(decoded: Pixels, pixels: Bytes) -> float:
    return -10 * np.log10(np.mean((decoded / 255.0 - pixels / 255.0) ** 2))


def test_weights_become_small_integers() -> None:
    weight = np.random.default_rng(0).normal(0, [[0.01], [3.0], [0.0]], (3, 50)).astype(np.float32)
    integers, scale = to_int8(weight)
    assert np.abs(integers).max(1).tolist() == [WEIGHT_MAX, WEIGHT_MAX, 0]
    assert (np.abs(integers * scale[:, None] - weight) <= scale[:, None] / 2 * 1.0001).all()


def test_weights_rounded_together_make_smaller_errors_of_sums() -> None:
    """Of inputs that resemble each other, as channels do."""
    rng = np.random.default_rng(4)
    common, own = rng.normal(0, 1, (2000, 6)) @ rng.normal(0, 1, (6, 24)), rng.normal(0, 0.1, (2000, 24))
    inputs = (common + own).astype(np.float32)
    weight = rng.normal(0, 1, (10, 24)).astype(np.float32)
    errors = []
    for moments in (None, inputs.T @ inputs):
        integers, scale = to_int8(weight, moments)
        assert np.abs(integers).max() <= WEIGHT_MAX
        errors.append(np.square(inputs @ (integers * scale[:, None] - weight).T).mean())
    assert errors[1] < errors[0] / 3
    integers, _ = to_int8(weight, np.zeros((24, 24), np.float32))  # nothing known of the inputs
    np.testing.assert_array_equal(integers, to_int8(weight)[0])


def test_steps_hold_the_ranges() -> None:
    rng = np.random.default_rng(1)
    below, above = rng.random(20).astype(np.float32) * 0.1, rng.random(20).astype(np.float32)
    step, zero = fit((below, above))
    assert (step * zero >= below * 0.999).all()
    assert (step * (255 - zero) >= above * 0.999).all()
    assert zero < 80  # most levels are for the larger side
    assert (fit_signed((below, above)) * 127 >= np.maximum(below, above) * 0.999).all()


def test_layers_compute_what_they_should() -> None:
    """Against NumPy, where every step of 1 and every weight is an integer already."""
    rng = np.random.default_rng(2)
    x = rng.integers(-20, 20, (1, 16, 6, 8)).astype(np.float32)
    dense = rng.integers(-5, 6, (16, 16)).astype(np.float32)
    kernel = rng.integers(-1, 2, (16, 1, 3, 3)).astype(np.float32)
    dense[:, 0] = kernel[:, 0, 0, 0] = WEIGHT_MAX  # so that the scale is 1
    kernel[:, 0, 1, 1] = 0
    bias = rng.integers(-9, 10, 16).astype(np.float32)
    graph = Graph()
    hidden = graph.quantise(graph.op("Transpose", "x", perm=[0, 2, 3, 1]), MIDDLE)
    y = graph.dense_int8(hidden, MIDDLE, dense, bias)
    network = OnnxNetwork(graph.build({"x": [1, 16, "h", "w"]}, y, "y"), 1)
    expected = np.einsum("oc,bchw->bhwo", dense, x) + bias
    np.testing.assert_allclose(network(x=x)[0], expected, rtol=1e-6)

    graph = Graph()
    hidden = graph.quantise(graph.op("Transpose", "x", perm=[0, 2, 3, 1]), MIDDLE)
    y = graph.depthwise_int8(hidden, MIDDLE, kernel, bias, 100)
    y = graph.op("DequantizeLinear", y, graph.constant(1.0), graph.constant(100, np.uint8))
    network = OnnxNetwork(graph.build({"x": [1, 16, "h", "w"]}, y, "y"), 1)
    x = rng.integers(-1, 2, x.shape).astype(np.float32)
    padded = np.pad(x[0], ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    expected = np.einsum("chwij,cij->hwc", windows, kernel[:, 0]) + bias
    np.testing.assert_array_equal(network(x=x)[0][0], np.clip(expected, -100, 155))


@pytest.mark.parametrize("quality", [30, 60, 75])
def test_photos_lose_next_to_nothing(photo: Bytes, quality: float) -> None:
    slow, fast = calotype.load("vae.swift", precision="float"), calotype.load("vae.swift", precision="int8")
    files = [model.encode(photo, quality, threads=1) for model in (slow, fast)]
    assert abs(len(files[1]) / len(files[0]) - 1) < SIZE_DIFFERENCE
    before = psnr(slow.decode(files[0]), photo)
    assert not np.array_equal(fast.decode(files[0]), slow.decode(files[0]))  # else int8 was not used
    for data in files:
        for model in (slow, fast):
            assert psnr(model.decode(data, threads=1), photo) > before - LOSS_MAX


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 0, 0), (255, 255, 255)])
def test_plain_extreme_colours_stay(colour: tuple[int, int, int]) -> None:
    """No activation of theirs is clipped; clipping changed pure green by up to 17 levels."""
    pixels = np.full((64, 64, 3), colour, np.uint8)
    data = calotype.load("vae.swift", precision="int8").encode(pixels, 60)
    decoded = [
        calotype.load("vae.swift", precision=precision).decode(data).astype(int) for precision in ("float", "int8")
    ]
    assert np.abs(decoded[1] - decoded[0]).max() <= 4


def test_latents_are_the_same_either_way(weights: Weights, photo: Bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = vae.VAECodec(Host(weights)).encode(Image.from_array(photo), EncodeOptions(50, threads=1))
    seen = []
    transmit = vae.VAECodec._transmit

    def spy(*arguments: Any) -> Any:
        seen.append(transmit(*arguments))
        return seen[-1]

    monkeypatch.setattr(vae.VAECodec, "_transmit", spy)
    alone = Weights.open(SWIFT)
    assert weights.digest == alone.digest
    codecs = [vae.VAECodec(Host(weights)), vae.VAECodec(Host(alone)), vae.VAECodec(Host(weights, TorchNetwork))]
    images = [codec.decode(payload, DecodeOptions(threads=1)).pixels.astype(int) for codec in codecs]
    for latents in seen[1:]:
        np.testing.assert_array_equal(latents, seen[0])
    assert np.abs(images[2] - images[1]).max() <= 1  # the torch engine runs the float networks


def test_the_companion_is_used_where_it_is_faster(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = registry.find(installed)
    plain, fast = (registry.open_codec(card, precision=precision) for precision in ("float", "int8"))
    assert plain is not fast
    for machine, expected in (("x86_64", fast), ("AMD64", fast), ("arm64", plain)):
        monkeypatch.setattr("platform.machine", lambda name=machine: name)
        assert registry.open_codec(card) is expected
    for wanted, expected in (("float", plain), ("int8", fast)):
        monkeypatch.setenv(registry.PRECISION, wanted)
        assert registry.open_codec(card) is expected
    assert registry.open_codec(card, precision="float") is plain  # an argument counts more
    with pytest.raises(Unsupported, match="float16"):
        calotype.load(installed, precision="float16")


def test_without_a_companion_float_runs(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    companion_path(installed).unlink()
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    card = registry.find(installed)
    assert registry.open_codec(card) is registry.open_codec(card, precision="float")
    with pytest.raises(WeightsNotFound, match="calotype quantise"):
        calotype.load(installed, precision="int8")


@pytest.mark.parametrize("part", ["start", "directory", "network", "end"])
def test_a_damaged_companion_is_named(installed: Path, photo: Bytes, part: str) -> None:
    path = companion_path(installed)
    data = bytearray(path.read_bytes())
    if part == "end":
        del data[-100:]
    else:
        place = {"start": 0, "directory": data.rindex(b"PK\x01\x02"), "network": len(data) - len(data) // 4}[part]
        data[place : place + 64] = bytes(64)
    path.write_bytes(data)
    pixels = photo[:64, :64]
    coded = calotype.load(installed, precision="float").encode(pixels)
    with pytest.raises(CorruptFile, match=r"\.int8\.calow"):
        [
            calotype.load(installed, precision="int8").decode(coded),
            calotype.load(installed, precision="int8").encode(pixels),
        ]


def test_a_companion_of_other_weights_is_refused(installed: Path, weights: Weights) -> None:
    other = Weights(weights.data + b"0", "other")
    companion_path(installed).write_bytes(pack_companion(other.digest, {"synthesis": b""}))
    with pytest.raises(CorruptFile, match=f"belongs to weights {other.digest.hex()}.*calotype quantise"):
        calotype.load(installed, precision="int8")


def test_int8_needs_neither_torch_nor_onnx() -> None:
    program = (
        "import sys, numpy, calotype\n"
        "model = calotype.load('vae.swift', precision='int8')\n"
        "model.decode(model.encode(numpy.zeros((64, 64, 3), numpy.uint8)))\n"
        "assert not {'torch', 'onnx'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
