"""Figures of a validation, which one can work out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from calotype.nets.objective import Figures, Objective
from calotype.train.validate import AT_ONCE, validate
from tests.train.toys import Thumbnail, ThumbnailTraining


class Rated(ThumbnailTraining):
    """A lossy codec's figures of images of one value."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, bool]] = []

    def validation_rates(self, model: nn.Module) -> tuple[float, ...]:  # type: ignore[override]
        return 0.25, 0.75

    def objectives(self, model: Thumbnail) -> list[Objective[Thumbnail]]:
        return [Objective(self.loss, [])]

    def loss(self, model: nn.Module, x: Tensor, rates: Tensor) -> tuple[Tensor, Figures]:
        self.seen.append((len(x), torch.is_grad_enabled()))
        bpp = x.mean() + rates.mean()
        return 2 * bpp, {"bpp": bpp, "psnr": 30 + 10 * bpp}


def test_validation_gives_a_curve_over_all_images() -> None:
    images = torch.full((2 * AT_ONCE + 1, 3, 8, 8), 51, dtype=torch.uint8)
    images[-1] = 102
    mean = (0.2 * 2 * AT_ONCE + 0.4) / len(images)
    rated = Rated()
    found = validate(rated, Thumbnail(), images, lossless=False)
    expected = [[mean + rate, 30 + 10 * (mean + rate)] for rate in (0.25, 0.75)]
    np.testing.assert_allclose(found["validation_curve"], expected, atol=2e-4)
    assert found["validation_loss"] == pytest.approx(2 * (mean + 0.5), abs=1e-4)
    assert rated.seen == [(AT_ONCE, False), (AT_ONCE, False), (1, False)] * 2


def test_lossless_codecs_have_no_curve() -> None:
    images = torch.full((2, 3, 8, 8), 51, dtype=torch.uint8)
    found = validate(Rated(), Thumbnail(), images, lossless=True)
    assert found.keys() == {"validation_loss", "validation_bpp", "validation_psnr"}
