"""Arithmetic is counted, and compared with a matrix product's."""

from __future__ import annotations

import torch

from calotype.train.throughput import count_operations, matrix_product_speed


def test_operations_are_counted() -> None:
    layer = torch.nn.Conv2d(4, 8, 3, padding=1)
    x = torch.rand(2, 4, 10, 12, requires_grad=True)
    forward = 2 * 2 * 8 * 4 * 9 * 10 * 12
    assert count_operations(lambda: layer(x)) == forward
    assert count_operations(lambda: layer(x).sum().backward()) == 3 * forward
    assert matrix_product_speed(torch.device("cpu")) > 0
