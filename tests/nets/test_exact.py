"""Exact layers: the same integers in training form, frozen, on ONNX Runtime and on PyTorch; the bound and its proof."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from calotype.errors import CalotypeError
from calotype.nets.exact import ACTIVATION, INDEX, SIGNED, ExactConv, FrozenExactConv, Output, halves, largest_sum
from calotype.nets.export import frozen, initializers, to_onnx
from calotype.nets.fixed_point import ACTIVATION_MAX, EXACT_LIMIT, WEIGHT_MAX
from calotype.runtime.onnx import OnnxNetwork
from calotype.runtime.torch import TorchNetwork


class Exact(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            ExactConv(8, 32, 3), ExactConv(32, 64), nn.PixelShuffle(2), ExactConv(16, 16, 3, groups=16)
        )
        self.mean = ExactConv(16, 8, output=SIGNED)
        self.index = ExactConv(16, 8, output=INDEX, bias=8.0)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.layers(halves(x))
        return self.mean(hidden), self.index(hidden)


@pytest.fixture(scope="module")
def exact() -> Exact:
    torch.manual_seed(1)
    module = Exact()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(3)
    return module


@pytest.fixture(scope="module")
def integers() -> np.ndarray:
    return np.random.default_rng(2).integers(-ACTIVATION_MAX, ACTIVATION_MAX, (1, 4, 12, 20)).astype(np.float32)


def reference(layer: ExactConv, x: np.ndarray) -> np.ndarray:
    """The layer in 64-bit integers, tap by tap."""
    weight, bias = (t.detach().numpy().astype(np.int64) for t in layer.integers())
    channels_out, depth, kernel, _ = weight.shape
    margin = kernel // 2
    padded = np.pad(x.astype(np.int64), ((0, 0), (margin, margin), (margin, margin)))
    total = np.broadcast_to(bias[:, None, None], (channels_out, *x.shape[1:])).copy()
    for out in range(channels_out):
        first = out // (channels_out // layer.groups) * depth
        for dy in range(kernel):
            for dx in range(kernel):
                window = padded[first : first + depth, dy : dy + x.shape[1], dx : dx + x.shape[2]]
                total[out] += np.tensordot(weight[out, :, dy, dx], window, 1)
    return np.clip(total >> layer.shift, layer.low, layer.high)


@pytest.mark.parametrize(("kernel", "groups", "output"), [(3, 1, ACTIVATION), (1, 1, SIGNED), (3, 8, INDEX)])
def test_layer_is_integer_arithmetic(kernel: int, groups: int, output: Output) -> None:
    torch.manual_seed(kernel)
    layer = ExactConv(8, 16, kernel, groups=groups, output=output)
    x = np.random.default_rng(3).integers(0, ACTIVATION_MAX + 1, (8, 9, 7))
    expected = reference(layer, x)
    assert len(np.unique(expected)) > 5
    np.testing.assert_array_equal(layer(torch.from_numpy(x[None]).float())[0].detach().numpy(), expected)


def test_engines_give_the_integers_of_training(exact: Exact, integers: np.ndarray) -> None:
    expected = [y.detach().numpy() for y in exact(torch.from_numpy(integers))]
    network = to_onnx(frozen(exact), {"x": torch.from_numpy(integers)}, ["mean", "index"])
    for engine in (OnnxNetwork, TorchNetwork):
        for threads in (1, 2):
            for actual, wanted in zip(engine(network, threads)(x=integers), expected, strict=True):
                np.testing.assert_array_equal(actual, wanted)
    assert np.abs(expected[0]).max() > 100
    assert np.unique(expected[1]).size > 10


def test_exported_network_takes_other_sizes(exact: Exact, integers: np.ndarray) -> None:
    network = OnnxNetwork(to_onnx(frozen(exact), {"x": torch.zeros(1, 4, 6, 10)}, ["mean", "index"]))
    mean, _ = network(x=integers)
    np.testing.assert_array_equal(mean, exact(torch.from_numpy(integers))[0].detach().numpy())


def test_bound_holds_for_any_parameters() -> None:
    layer = ExactConv(512, 4, 3)
    with torch.no_grad():
        layer.weight.normal_(std=5)
        layer.bias.normal_(std=50)
    weight, bias = layer.integers()
    assert weight.abs().max() <= WEIGHT_MAX
    assert largest_sum(weight, bias, layer.shift) < EXACT_LIMIT


def test_proof_refuses_sums_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = ExactConv(512, 4, 3)
    monkeypatch.setattr(layer, "integers", lambda: (torch.full((4, 512, 3, 3), 100.0), torch.zeros(4)))
    with pytest.raises(CalotypeError, match="2\\^24"):
        FrozenExactConv(layer)


def test_gradients_reach_every_parameter(exact: Exact, integers: np.ndarray) -> None:
    exact.zero_grad()
    mean, index = exact(torch.from_numpy(integers))
    (mean.sum() + index.sum()).backward()
    for name, parameter in exact.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_parameters_come_back_from_the_export(exact: Exact) -> None:
    network = to_onnx(frozen(exact), {"x": torch.zeros(1, 4, 6, 10)}, ["mean", "index"])
    back = Exact()
    state = back.state_dict()
    found = {name: value for name, value in initializers(network).items() if name in state}
    assert {name for name in state if name.endswith("weight")} <= found.keys()
    back.load_state_dict(state | found)
    for (name, before), after in zip(exact.named_modules(), back.modules(), strict=True):
        if isinstance(before, ExactConv):
            assert isinstance(after, ExactConv)
            torch.testing.assert_close(after.integers()[0], before.integers()[0], rtol=0, atol=0, msg=name)
