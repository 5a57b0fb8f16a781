"""Similarity as something to fit for: its slope against PyTorch, and the weights that stand for it."""

from __future__ import annotations

import numpy as np
import pytest

from calotype.codecs.fit.fitter import Floats
from calotype.codecs.fit.similarity import PLAIN, WINDOW, Similarity, blur, spread

FLOAT32 = 5e-4  # of the largest slope: variances are differences of means in float32


def pictures(height: int, width: int) -> tuple[Floats, Floats]:
    """One of waves, flat on its left, and the same with noise."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    waves = [0.5 + (columns > width / 2) * 0.3 * np.sin(rows / 2 + i) * np.cos(columns / (3 + i)) for i in range(3)]
    picture = np.stack(waves, -1).astype(np.float32)
    return picture, (picture + 0.05 * random.standard_normal(picture.shape)).astype(np.float32)


def test_spreading_is_the_transpose_of_blurring() -> None:
    random = np.random.default_rng(1)
    x, y = random.random((2, 20, 30)).astype(np.float32), random.random((2, 10, 20)).astype(np.float32)
    assert (blur(x) * y).sum() == pytest.approx((x * spread(y)).sum(), rel=1e-4)


def test_its_slope_is_that_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    from calotype.nets.ms_ssim import ms_ssim

    picture, noisy = pictures(192, 208)
    similarity = Similarity(picture)
    slope = similarity.slope(noisy)

    found = torch.tensor(noisy.transpose(2, 0, 1)[:, None], dtype=torch.float64, requires_grad=True)
    wanted = torch.tensor(picture.transpose(2, 0, 1)[:, None], dtype=torch.float64)
    (PLAIN / 3 * (found - wanted).square().sum()).backward()
    plain = found.grad.clone()
    found.grad = None
    (-ms_ssim(found, wanted).log().mean()).backward()  # type: ignore[no-untyped-call]
    of_plain, of_similarity = (g.numpy()[:, 0].transpose(1, 2, 0) for g in (plain, found.grad))
    rest = slope - of_plain
    factor = float((rest * of_similarity).sum() / np.square(of_similarity).sum())
    assert factor > 0
    np.testing.assert_allclose(rest, factor * of_similarity, rtol=0, atol=FLOAT32 * np.abs(rest).max())


def test_noise_weighs_more_where_the_picture_is_flat() -> None:
    weight = Similarity(pictures(192, 208)[0]).weight
    assert weight[:, 20:80].min() > 3 * weight[:, 130:190].max()


@pytest.mark.parametrize("shape", [(WINDOW, WINDOW, 1), (WINDOW, 300, 3), (45, 23, 3)])
def test_small_and_odd_pictures_have_the_scales_that_fit(shape: tuple[int, int, int]) -> None:
    picture = np.random.default_rng(2).random(shape).astype(np.float32)
    similarity = Similarity(picture)
    assert np.abs(similarity.slope(picture)).max() < 1e-3 * np.abs(similarity.slope(picture * 0.8)).max()
    assert similarity.weight.shape == shape[:2]
    assert (similarity.weight > 0).all()


def test_a_picture_without_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="no window"):
        Similarity(np.zeros((WINDOW - 1, 50, 3), np.float32))
