"""Muon: momentum whose matrices are made orthogonal before a step, so that all their directions move alike.

Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; steps are scaled as in Liu et al. 2025,
"Muon is scalable for LLM training", sec. 2.2, so that AdamW's learning rate suits both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

MOMENTUM = 0.95
ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic: singular values 0.001 .. 1 come to about 0.7 .. 1.2
SIZE = 0.2  # root mean square of a step at rate 1, about that of AdamW


class Muon:
    """Moves the filters of convolutions, each as a matrix of outputs by inputs; those of a shape go together.

    Nothing in a step waits for the device.
    """

    def __init__(self, weights: Iterable[Tensor], rate: Tensor):
        self._rate = rate
        self._groups: dict[tuple[int, int], list[Tensor]] = {}
        for weight in weights:
            self._groups.setdefault((len(weight), weight[0].numel()), []).append(weight)
        self._momenta = {
            shape: torch.zeros(len(group), *shape, device=rate.device) for shape, group in self._groups.items()
        }

    @torch.no_grad()
    def step(self, broken: Tensor) -> None:
        """Take a step from the gradients, or none where `broken` is true."""
        for shape, weights in self._groups.items():
            momenta = self._momenta[shape]
            gradients = torch.stack([_matrix(weight.grad) for weight in weights])
            gradients.masked_fill_(broken, 0.0)
            momenta.mul_(MOMENTUM + (1 - MOMENTUM) * broken).add_(gradients)
            steps = orthogonal(gradients + MOMENTUM * momenta) * (self._rate * ~broken * -SIZE * max(shape) ** 0.5)
            torch._foreach_add_(weights, [step.view_as(weight) for step, weight in zip(steps, weights, strict=True)])

    def state(self) -> list[Tensor]:
        return list(self._momenta.values())

    def restore(self, state: Sequence[Tensor]) -> None:
        """Go on from `state`. Raises `ValueError` if it is that of other matrices."""
        for momenta, saved in zip(self._momenta.values(), state, strict=True):
            if momenta.shape != saved.shape:
                raise ValueError(f"momenta of shape {tuple(saved.shape)} for matrices of shape {tuple(momenta.shape)}")
            momenta.copy_(saved)


def orthogonal(matrices: Tensor) -> Tensor:
    """(n, rows, columns) -> about U V^T of each one's singular value decomposition U S V^T (Newton-Schulz).

    Computed in bfloat16 on a GPU, where that is exact enough and many times as fast.
    """
    x: Tensor = matrices.bfloat16() if matrices.is_cuda else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    wide = x.shape[1] <= x.shape[2]
    x = x if wide else x.mT
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x if wide else x.mT).to(matrices.dtype)


def _matrix(gradient: Tensor | None) -> Tensor:
    assert gradient is not None
    return gradient.flatten(1)
