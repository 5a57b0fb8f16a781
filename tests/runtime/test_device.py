"""Networks on a device: the same integers as ONNX Runtime, the same files, and clear words where there is no device.

What needs a GPU is marked and skipped without one; the arithmetic that exact networks use there runs here on the
processor.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

import calotype
from calotype import registry
from calotype.errors import Unsupported
from calotype.nets.fixed_point import ACTIVATION_MAX
from calotype.runtime import torch as torch_engine
from calotype.runtime.onnx import OnnxNetwork
from calotype.runtime.torch import TorchNetwork
from calotype.runtime.weights import Weights

MODEL = "vae.swift"
FLOAT_TOLERANCE = 1  # of 255, between engines
EXACT = {"hyper_synthesis": 4, "context0": 5, "context1": 5, "context2": 5, "context3": 5}  # and their convolutions
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(autouse=True)
def _skip_without_gpu(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture(scope="module")
def weights() -> Weights:
    path = registry.find(MODEL).weights
    assert path is not None
    return Weights.open(path)


def integers(network: bytes, largest: int, seed: int) -> dict[str, np.ndarray]:
    """Random whole numbers for each input, up to the largest that may be."""
    rng = np.random.default_rng(seed)
    inputs = {}
    for value in onnx.load_from_string(network).graph.input:
        channels = value.type.tensor_type.shape.dim[1].dim_value
        low = 0 if value.name in ("features", "rate") else -largest
        inputs[value.name] = rng.integers(low, largest + 1, (1, channels, 11, 14)).astype(np.float32)
    return inputs


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("largest", [3, 60, ACTIVATION_MAX])
def test_exact_networks_give_onnxruntimes_integers(weights: Weights, name: str, largest: int, device: str) -> None:
    data = weights.network(name)
    inputs = integers(data, largest, seed=largest)
    expected = OnnxNetwork(data, 1)(**inputs)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for actual, wanted in zip(TorchNetwork(data, device=device)(**inputs), expected, strict=True):
                np.testing.assert_array_equal(actual, wanted)
    finally:
        torch.set_num_threads(before)
    assert all(np.unique(wanted).size > 5 for wanted in expected)


def test_weights_that_a_graph_works_out_are_those_of_onnxruntime() -> None:
    """As GDN does: the largest of some numbers, with axes put in, is what a convolution multiplies by."""
    rng, make = np.random.default_rng(0), onnx.helper
    arrays = {
        "gamma": rng.normal(0, 1, (3, 2)).astype(np.float32),
        "bound": np.float32(0.1),
        "other": rng.normal(0, 0.1, (1, 2)).astype(np.float32),
        "axes": np.array([-1, 2]),
    }
    nodes = [
        make.make_node("Max", ["gamma", "bound", "other"], ["largest"]),
        make.make_node("Unsqueeze", ["largest", "axes"], ["weight"]),
        make.make_node("Conv", ["x", "weight"], ["y"]),
    ]
    values = [
        make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, n, 4, 5]) for name, n in (("x", 2), ("y", 3))
    ]
    constants = [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    graph = make.make_graph(nodes, "gdn", values[:1], values[1:], constants)
    data = make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=10).SerializeToString()
    x = rng.normal(0, 1, (1, 2, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(TorchNetwork(data)(x=x), OnnxNetwork(data, 1)(x=x), rtol=1e-5, atol=1e-6)


def test_settings_of_the_process_change_no_integer(weights: Weights) -> None:
    data = weights.network("context1")
    inputs = integers(data, ACTIVATION_MAX, seed=1)
    expected = OnnxNetwork(data, 1)(**inputs)
    torch.set_float32_matmul_precision("medium")
    try:
        for actual, wanted in zip(TorchNetwork(data)(**inputs), expected, strict=True):
            np.testing.assert_array_equal(actual, wanted)
    finally:
        torch.set_float32_matmul_precision("highest")


def test_only_convolutions_of_whole_numbers_are_exact_ones(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    exact = torch_engine._exact_conv

    def counted(*given: Any) -> torch.Tensor:
        calls.append(given)
        return exact(*given)

    monkeypatch.setattr(torch_engine, "_exact_conv", counted)
    for name, convolutions in EXACT.items():
        calls.clear()
        data = weights.network(name)
        TorchNetwork(data)(**integers(data, 5, 0))
        assert len(calls) == convolutions
    calls.clear()
    TorchNetwork(weights.network("analysis"))(
        x=np.zeros((1, 3, 64, 64), np.float32), scale=np.ones((1, 192, 1, 1), np.float32)
    )
    assert not calls


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "groups"),
    [((1, 1), 1, 0, 1, 1), ((3, 3), 1, 1, 1, 1), ((3, 3), 1, 1, 1, 6), ((3, 5), 2, (1, 2), 1, 3), ((3, 3), 1, 2, 2, 2)],
)
def test_exact_convolution_is_a_convolution(
    kernel: tuple[int, int], stride: int, padding: int | tuple[int, int], dilation: int, groups: int
) -> None:
    """Operators of every shape, beside PyTorch's own in float64."""
    torch.manual_seed(0)
    x = torch.randint(0, ACTIVATION_MAX + 1, (2, 6, 9, 11)).float()
    weight = torch.randint(-255, 256, (12, 6 // groups, *kernel)).float()
    bias = torch.randint(-5000, 5000, (12,)).float()
    pair = [padding, padding] if isinstance(padding, int) else list(padding)
    attributes = {
        "strides": [stride, stride], "pads": pair * 2, "dilations": [dilation, dilation], "group": groups,
    }  # fmt: skip
    wanted = torch.nn.functional.conv2d(x.double(), weight.double(), bias.double(), stride, padding, dilation, groups)
    assert wanted.abs().max() < 2**24
    torch.testing.assert_close(torch_engine._exact_conv(attributes, x, weight, bias), wanted.float(), rtol=0, atol=0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [(70, 90), (128, 192)], ids=str)
def test_files_cross_engines(device: str, size: tuple[int, int], texture: Callable[..., np.ndarray]) -> None:
    """What one engine wrote the other reads: a wrong integer would be a `Desync`."""
    pixels = texture(*size, 3)
    plain, there = calotype.load(MODEL, precision="float"), calotype.load(MODEL, device=device)
    for data in (plain.encode(pixels, 70), there.encode(pixels, 70)):
        expected = plain.decode(data)
        for decoded in (there.decode(data), calotype.decode(data, device=device)):
            assert np.abs(decoded.astype(int) - expected).max() <= FLOAT_TOLERANCE
    sizes = [len(model.encode(pixels, 70)) for model in (plain, there)]
    assert abs(sizes[0] / sizes[1] - 1) < 0.01


@pytest.mark.parametrize("device", DEVICES)
def test_a_batch_on_a_device(device: str, texture: Callable[..., np.ndarray]) -> None:
    images = [texture(70 + place, 90, 3, place) for place in range(4)]
    model = calotype.load(MODEL, device=device)
    files = model.encode_batch(images, 60, threads=2)
    assert files == [model.encode(image, 60) for image in images]
    for decoded, data in zip(model.decode_batch(files, threads=2), files, strict=True):
        np.testing.assert_array_equal(decoded, model.decode(data))


def test_a_full_gpu_costs_one_image(texture: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    run, calls = TorchNetwork._run, []

    def fail_once(self: TorchNetwork, inputs: dict[str, torch.Tensor]) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(self, inputs)

    monkeypatch.setattr(TorchNetwork, "_run", fail_once)
    images = [texture(20, 30, 3, seed) for seed in range(2)]
    with pytest.raises(calotype.BatchFailed, match="image 0: the memory of cpu is full") as caught:
        calotype.load(MODEL, device="cpu").encode_batch(images, threads=1)
    assert [data is None for data in caught.value.results] == [True, False]


def test_models_are_kept_per_device() -> None:
    plain, torch_model = calotype.load(MODEL), calotype.load(MODEL, device="cpu")
    assert plain.codec is not torch_model.codec
    assert calotype.load(MODEL, device="cpu:0").codec is torch_model.codec
    assert calotype.load(MODEL).codec is plain.codec
    assert (plain.device, torch_model.device) == (None, "cpu")


@pytest.mark.parametrize(
    ("device", "words"),
    [("nonsense", "cuda:1 and so on"), ("meta", "cpu and cuda"), ("cuda:99", "no device 'cuda:99'")],
)
def test_no_such_device(device: str, words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        calotype.load(MODEL, device=device)


def test_without_pytorch_the_next_step_is_named(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport calotype\ncalotype.load(device='cuda')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Unsupported" in done.stderr
    assert "pip install 'calotype[gpu]'" in done.stderr


def test_a_device_takes_no_int8() -> None:
    with pytest.raises(Unsupported, match="leave out the device"):
        calotype.load(MODEL, device="cpu", precision="int8")
