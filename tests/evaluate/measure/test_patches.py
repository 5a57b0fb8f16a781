"""Distances of patches: their geometry, and both distances worked out by other means."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg

from calotype.errors import Unsupported, WeightsNotFound
from calotype.evaluate.measure.metrics import METRICS, find_metrics
from calotype.evaluate.measure.patches import SIDE, cut_patches, describe, frechet, kernel
from calotype.image import Image
from calotype.nets.perceptual import BACKBONE


def sets(seed: int, counts: tuple[int, int] = (40, 30), width: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a, b = (rng.normal(0, 1, (count, width)) @ rng.normal(0, 1, (width, width)) for count in counts)
    return a, b + 1


@pytest.mark.parametrize(("height", "width", "count"), [(512, 768, 8), (768, 512, 8), (256, 256, 1), (255, 900, 0)])
def test_patches_lie_as_in_the_paper(height: int, width: int, count: int) -> None:
    """Of Kodak's size two rows of three, and between them one row of two."""
    pixels = np.arange(height * width, dtype=np.int32).reshape(height, width, 1)
    patches = cut_patches(pixels)
    assert [patch.shape for patch in patches] == [(SIDE, SIDE, 1)] * count
    corners = {divmod(int(patch[0, 0, 0]), width) for patch in patches}
    assert len(corners) == count
    assert all(y % (SIDE // 2) == 0 and x % SIDE == y % SIDE for y, x in corners)


@pytest.mark.parametrize("counts", [(40, 30), (5, 4)])
def test_frechet_is_the_formula(counts: tuple[int, int]) -> None:
    """With the root of the product of covariances; of few patches these are singular."""
    a, b = sets(0, counts)
    covariances = [np.cov(x, rowvar=False) for x in (a, b)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1] + 1e-12 * np.eye(6)).real
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet(a, b) == pytest.approx(expected, rel=1e-4)  # the root of a singular matrix has few digits
    assert frechet(a, b) == pytest.approx(frechet(b, a))
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)


def test_kernel_is_the_mean_over_pairs() -> None:
    a, b = sets(1)

    def mean(x: np.ndarray, y: np.ndarray, same: bool) -> float:
        pairs = itertools.permutations(x, 2) if same else itertools.product(x, y)
        return float(np.mean([(p @ q / 6 + 1) ** 3 for p, q in pairs]))

    assert kernel(a, b) == pytest.approx(mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False))
    assert kernel(a, b) == pytest.approx(kernel(b, a))


def test_kernel_is_unbiased() -> None:
    """Halves of one set are on average no distance apart, however small they are."""
    rng = np.random.default_rng(2)
    found = [kernel(rng.normal(0, 1, (4, 5)), rng.normal(0, 1, (4, 5))) for _ in range(2000)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))


@pytest.fixture
def folder() -> Path:
    found = Path(os.environ.get("CALOTYPE_DATA", "nowhere"), "..", "perceptual")
    if not (found / BACKBONE).is_file():
        pytest.skip("CALOTYPE_DATA names no folder with ../perceptual beside it")
    return found


def test_metrics_take_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALOTYPE_DATA")
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (384, 384, 3), dtype=np.uint8)
    other = np.clip(pixels + rng.normal(0, 20, pixels.shape), 0, 255).astype(np.uint8)
    a, b = Image.from_array(pixels), Image.from_array(other)
    for metric in find_metrics(["lpips", "frechet_squeeze", "kernel_squeeze"], folder):
        found, same, turned = metric.measure(a, b), metric.measure(a, a), metric.measure(b, a)
        assert found is not None
        assert same is not None
        assert found > 100 * abs(same) or metric.name == "kernel_squeeze"  # unbiased: it may fall below zero
        assert found == pytest.approx(turned, rel=1e-3)
    assert METRICS["frechet_squeeze"].measure(*(Image.from_array(x[:300, :300]) for x in (pixels, other))) is None


def test_features_do_not_depend_on_the_number_of_patches(folder: Path) -> None:
    patches = cut_patches(np.random.default_rng(4).integers(0, 256, (SIDE, 9 * SIDE, 3), dtype=np.uint8))
    together = describe(patches, folder=folder)
    assert together.shape == (9, 512)
    np.testing.assert_allclose(together[8], describe(patches[8:], folder=folder)[0], rtol=1e-3, atol=1e-3)


def test_weights_that_are_absent_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALOTYPE_DATA", raising=False)
    with pytest.raises(Unsupported, match=r"lpips cannot be measured: LPIPS needs a folder .* set CALOTYPE_DATA"):
        find_metrics(["lpips"])
    with pytest.raises(Unsupported, match=r"squeezenet1_1\.npz is not there"):
        find_metrics(["frechet_squeeze"], tmp_path)
    with pytest.raises(WeightsNotFound, match="not there"):
        describe([np.zeros((SIDE, SIDE, 3), np.uint8)], folder=tmp_path)
