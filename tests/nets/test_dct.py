"""Starting transforms: orthonormal, of the blocks' size, strongest coefficients first."""

from __future__ import annotations

import pytest
import torch

from calotype.nets.dct import dct_stem


@pytest.mark.parametrize(("size", "width"), [(8, 192), (8, 60), (16, 320), (16, 768)])
def test_a_stem_is_orthonormal(size: int, width: int) -> None:
    kernel, spread = dct_stem(width, size)
    assert kernel.shape == (width, 3 * size**2)
    torch.testing.assert_close(kernel @ kernel.T, torch.eye(width), rtol=0, atol=1e-5)
    falling = spread.flatten()
    assert bool((falling[:-1] >= falling[1:]).all())


@pytest.mark.parametrize("size", [8, 16])
def test_plain_grey_is_its_first_coefficient(size: int) -> None:
    kernel, _ = dct_stem(10, size)
    found = kernel @ torch.full((3 * size**2,), 0.5)
    expected = torch.zeros(10)
    expected[0] = 0.5 * 3**0.5 * size
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
