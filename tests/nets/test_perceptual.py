"""LPIPS: the sum worked out again by other means, and what a loss needs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from calotype.errors import WeightsNotFound
from calotype.nets.perceptual import BACKBONE, FIRES, LINEAR, SCALE, SHIFT, Lpips

WIDTHS = (64, 128, 256, 384, 384, 512, 512)  # of the features, Iandola et al. 2016, table 1


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of the right shapes."""
    folder, random = tmp_path_factory.mktemp("perceptual"), np.random.default_rng(0)
    arrays = {"features.0.weight": (64, 3, 3, 3), "features.0.bias": (64,), "classifier.1.bias": (10,)}
    for index, (inputs, squeezed, expanded) in FIRES.items():
        for part, shape in {
            "squeeze": (squeezed, inputs, 1, 1),
            "expand1x1": (expanded, squeezed, 1, 1),
            "expand3x3": (expanded, squeezed, 3, 3),
        }.items():
            arrays |= {f"features.{index}.{part}.weight": shape, f"features.{index}.{part}.bias": shape[:1]}
    backbone = {name: random.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape) for name, shape in arrays.items()}
    halves: dict[str, Any] = {name: array.astype(np.float16) for name, array in backbone.items()}
    np.savez(folder / BACKBONE, **halves)
    lines: dict[str, Any] = {f"lin{k}": random.random(width).astype(np.float32) for k, width in enumerate(WIDTHS)}
    np.savez(folder / LINEAR, **lines)
    return folder


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.rand(2, 3, 70, 64), torch.rand(2, 3, 70, 64)


def _convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int = 1) -> np.ndarray:
    pad = 1 if weight.shape[-1] == 3 and stride == 1 else 0
    size = weight.shape[-1]
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2))
    return np.einsum("chwij,ocij->ohw", windows[:, ::stride, ::stride], weight) + bias[:, None, None]


def _pool(x: np.ndarray) -> np.ndarray:
    """3x3 every 2, counting a last window that is not whole."""
    extra = [(0, (side - 3) % 2) for side in x.shape[1:]]
    x = np.pad(x, ((0, 0), *extra), constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))[:, ::2, ::2].max(axis=(3, 4))


def _by_numpy(folder: Path, a: np.ndarray, b: np.ndarray) -> float:
    """Zhang et al. 2018, eq. 1, on (3, h, w) arrays."""
    net = {name: array.astype(np.float64) for name, array in np.load(folder / BACKBONE).items()}
    linear = np.load(folder / LINEAR)

    def features(x: np.ndarray) -> list[np.ndarray]:
        x = (2 * x - 1 - np.array(SHIFT)[:, None, None]) / np.array(SCALE)[:, None, None]
        x = np.maximum(_convolve(x, net["features.0.weight"], net["features.0.bias"], 2), 0)
        found = [x]
        for index in range(2, 13):
            if index in FIRES:
                parts = {p: [net[f"features.{index}.{p}.{w}"] for w in ("weight", "bias")] for p in
                         ("squeeze", "expand1x1", "expand3x3")}  # fmt: skip
                x = np.maximum(_convolve(x, *parts["squeeze"]), 0)
                x = np.maximum(
                    np.concatenate([_convolve(x, *parts["expand1x1"]), _convolve(x, *parts["expand3x3"])]), 0
                )
            else:
                x = _pool(x)
            if index in (4, 7, 9, 10, 11, 12):
                found.append(x)
        return found

    total = 0.0
    for k, (x, y) in enumerate(zip(features(a), features(b), strict=True)):
        unit = [z / (np.sqrt((z * z).sum(axis=0, keepdims=True)) + 1e-10) for z in (x, y)]
        total += float((linear[f"lin{k}"][:, None, None] * (unit[0] - unit[1]) ** 2).sum(axis=0).mean())
    return total


def test_it_is_the_papers_sum(random_weights: Path, images: tuple[torch.Tensor, torch.Tensor]) -> None:
    found = Lpips(random_weights)(*images)
    assert found.shape == (2,)
    for k, value in enumerate(found):
        expected = _by_numpy(random_weights, *(x[k].double().numpy() for x in images))
        assert float(value) == pytest.approx(expected, rel=1e-4)  # float32


def test_it_is_a_loss(random_weights: Path, images: tuple[torch.Tensor, torch.Tensor]) -> None:
    lpips, (a, b) = Lpips(random_weights), images
    assert not any(parameter.requires_grad for parameter in lpips.parameters())
    a.requires_grad_()
    lpips(a, b).mean().backward()
    assert a.grad is not None
    assert torch.isfinite(a.grad).all()
    assert float(a.grad.abs().max()) > 0
    assert float(lpips(b, b).abs().max()) == 0
    torch.testing.assert_close(lpips(a, b), lpips(b, a))


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_the_gradient_is_finite_where_all_features_are_zero(random_weights: Path) -> None:
    lpips = Lpips(random_weights)
    for name, bias in lpips.named_parameters():
        if name.endswith("bias"):
            bias.fill_(-100)
    a = torch.rand(1, 3, 64, 64, requires_grad=True)
    with torch.autograd.detect_anomaly(check_nan=True):
        lpips(a, torch.rand(1, 3, 64, 64)).sum().backward()
    assert a.grad is not None
    assert float(a.grad.abs().max()) == 0


def test_weights_that_are_absent_are_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFound, match="squeezenet"):
        Lpips(tmp_path)


@pytest.fixture(scope="module")
def real_weights() -> Path:
    folder = Path(os.environ.get("CALOTYPE_DATA", "nowhere"), "..", "perceptual")
    if not (folder / BACKBONE).is_file():
        pytest.skip("CALOTYPE_DATA names no folder with ../perceptual beside it")
    return folder


def test_a_published_value_comes_out(real_weights: Path) -> None:
    """TorchMetrics' documentation, functional LPIPS with `net_type='squeeze'` and this seed: 0.1008."""
    torch.manual_seed(123)
    a, b = torch.rand(10, 3, 100, 100), torch.rand(10, 3, 100, 100)
    assert float(Lpips(real_weights)(a, b).mean()) == pytest.approx(0.1008, abs=1e-4)


def test_the_real_weights_fit(real_weights: Path) -> None:
    grey = torch.full((1, 3, 64, 64), 0.5)
    noisy = grey + 0.1 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    value = float(Lpips(real_weights)(grey, noisy))
    arrays = [x[0].double().numpy() for x in (grey, noisy)]
    assert value == pytest.approx(_by_numpy(real_weights, *arrays), rel=1e-4)
    assert 0.1 < value < 2
