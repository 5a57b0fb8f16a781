"""Mixtures of logistics in training: bits and gradients of the plain formula; a head that starts as it says."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from calotype.coding.units import LOCATION_UNIT, SCALES_PER_OCTAVE, WEIGHT_STEPS
from calotype.nets.fixed_point import ACTIVATION_MAX
from calotype.nets.mixture import MixtureHead, mixture_bits


def plain_bits(symbols: Tensor, location: Tensor, scale: Tensor, weight: Tensor, count: int) -> Tensor:
    """`mixture_bits` as one would write it down; gradients are PyTorch's."""
    distance = symbols[:, :, None] - location / 64
    sharpness = torch.exp2(3 - scale / 8)
    upper, lower = (torch.sigmoid((distance + edge) * sharpness) for edge in (0.5, -0.5))
    first, last = symbols[:, :, None] <= 0, symbols[:, :, None] >= count - 1
    inside = torch.where(last, 1.0, upper) - torch.where(first, 0.0, lower)
    probability = (inside * torch.softmax(weight * np.log(2) / 4, 2)).sum(2)
    return torch.stack([16 - torch.log2(probability * (2**16 - count) + 1), -torch.log2(probability)])


def test_gradients_of_bits_are_those_of_the_plain_formula() -> None:
    rng = torch.Generator().manual_seed(0)
    shape = (2, 3, 4, 5, 6)
    symbols = torch.randint(0, 25, (2, 3, 5, 6), generator=rng).double()
    symbols[:, :, 0], symbols[:, :, 1] = 0, 24  # tails
    location = 64 * (symbols[:, :, None] + torch.randn(shape, generator=rng).double())
    scale, weight = (top * torch.rand(shape, generator=rng).double() for top in (50, 63))
    given = symbols.requires_grad_(), location.requires_grad_(), scale.requires_grad_(), weight.requires_grad_()
    wanted, found = plain_bits(*given, 25), mixture_bits(*given, 25)
    torch.testing.assert_close(found, wanted)
    which = torch.rand(found.shape, generator=rng).double()
    pairs = zip(*(torch.autograd.grad((bits * which).sum(), given) for bits in (found, wanted)), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other)


def test_a_head_starts_where_it_is_told() -> None:
    torch.manual_seed(0)
    head = MixtureHead(6, 4, channels=3, components=5, narrowest=0.5, coefficients=(60.0, 4.0))
    features = torch.randint(ACTIVATION_MAX + 1, (1, 6, 8, 9)).float() / 64
    location, scale, weight, coefficient = head(features.round())
    assert location.shape == scale.shape == weight.shape == (1, 15, 8, 9)
    assert coefficient.shape == (1, 10, 8, 9)
    widths = 2 ** (scale.reshape(3, 5, -1).mean((0, 2)) / SCALES_PER_OCTAVE - 3)
    np.testing.assert_allclose(widths.detach(), [0.5, 1, 2, 4, 8], rtol=0.15)
    assert (location.abs() < LOCATION_UNIT / 2).all()
    np.testing.assert_allclose(weight.mean().detach(), WEIGHT_STEPS / 2, atol=2)
    np.testing.assert_allclose(coefficient.reshape(2, -1).mean(1).detach(), [60, 4], atol=2)
    assert len(MixtureHead(6, 4, channels=5, components=2, narrowest=0.25)(features.round())) == 3
