from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from calotype.errors import Unsupported
from calotype.evaluate.metrics import compare, ms_ssim, psnr
from calotype.image import Image

FLOAT32 = 2e-6  # the other implementation computes in float32


def test_psnr_by_hand() -> None:
    a = np.zeros((2, 2, 3), np.uint8)
    b = a.copy()
    b[0, 0, 0] = 12  # mean squared error 144 / 12 = 12
    assert psnr(a, b) == pytest.approx(10 * math.log10(255**2 / 12), rel=1e-12)
    assert psnr(a, a) == math.inf


@pytest.mark.parametrize(("height", "width", "channels"), [(161, 161, 3), (200, 331, 3), (177, 256, 1)])
@pytest.mark.parametrize("noise", [2, 60])
def test_ms_ssim_equals_pytorch_msssim(
    picture: Callable[..., np.ndarray], height: int, width: int, channels: int, noise: float
) -> None:
    torch = pytest.importorskip("torch")
    other = pytest.importorskip("pytorch_msssim")
    a = picture(height, width, channels)
    b = np.clip(a + np.random.default_rng(1).normal(0, noise, a.shape), 0, 255).astype(np.uint8)
    tensors = [torch.from_numpy(x).permute(2, 0, 1)[None].float() for x in (a, b)]
    expected = float(other.ms_ssim(*tensors, data_range=255))
    assert ms_ssim(a, b) == pytest.approx(expected, abs=FLOAT32)
    assert 0.5 < expected < 0.9995


def test_ms_ssim_of_equal_pictures(picture: Callable[..., np.ndarray]) -> None:
    a = picture(170, 161, 3)
    assert ms_ssim(a, a) == pytest.approx(1, abs=1e-12)


def test_compare(picture: Callable[..., np.ndarray]) -> None:
    a = picture(170, 180, 4)
    b = a.copy()
    b[..., 3] ^= 64
    found = compare(Image(a), Image(b))
    assert (found.psnr, found.largest_error) == (math.inf, 64)
    assert found.ms_ssim == pytest.approx(1, abs=1e-12)
    b[3, 4, 1] = 255 - b[3, 4, 1]
    assert compare(Image(a), Image(b)).psnr == pytest.approx(psnr(a[..., :3], b[..., :3]))


def test_small_pictures_have_no_ms_ssim(photo: np.ndarray) -> None:
    assert compare(Image(photo), Image(photo)).ms_ssim is None
    with pytest.raises(Unsupported, match="161"):
        ms_ssim(photo, photo)


def test_sixteen_bits() -> None:
    a = np.zeros((3, 3, 1), np.uint16)
    b = np.full((3, 3, 1), 65535, np.uint16)
    found = compare(Image(a, 16), Image(b, 16))
    assert (found.psnr, found.largest_error) == (0, 65535)


def test_pictures_that_differ_in_kind_are_refused(photo: np.ndarray) -> None:
    with pytest.raises(Unsupported, match="40 RGB"):
        compare(Image(photo), Image(photo[..., :1]))
