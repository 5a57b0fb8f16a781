"""MS-SSIM to be trained for is the one that is measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from calotype.errors import Unsupported
from calotype.evaluate.measure.ms_ssim import ms_ssim as measured
from calotype.nets.ms_ssim import ms_ssim


def test_it_is_the_one_that_is_measured() -> None:
    rng = np.random.default_rng(0)
    waves = np.sin(np.mgrid[:192, :256].sum(0)[..., None] / (3, 7, 20))
    images = [
        np.clip(128 + 80 * waves + rng.normal(0, sigma, waves.shape), 0, 255).astype(np.uint8) for sigma in (3, 20)
    ]
    a, b = (torch.tensor(image).permute(2, 0, 1)[None].double() / 255 for image in images)
    assert float(ms_ssim(a, b)) == pytest.approx(measured(*images), abs=1e-9)
    assert ms_ssim(torch.cat((a, b)), torch.cat((a, a))).tolist() == pytest.approx([1, float(ms_ssim(b, a))])


def test_images_without_anything_in_common_have_a_gradient() -> None:
    a = torch.rand(1, 3, 176, 176, generator=torch.manual_seed(0), requires_grad=True)
    ms_ssim(a, 1 - a.detach()).sum().backward()  # type: ignore[no-untyped-call]
    assert a.grad is not None
    assert bool(a.grad.isfinite().all())


@pytest.mark.parametrize("shape", [(160, 256), (256, 168)])
def test_sides_that_do_not_fit_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(Unsupported, match="multiples of 16 above 160"):
        ms_ssim(torch.zeros(1, 3, *shape), torch.zeros(1, 3, *shape))
