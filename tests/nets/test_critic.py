"""A critic and its losses."""

from __future__ import annotations

import math

import pytest
import torch

from calotype.nets.critic import Critic, critic_loss, deception
from calotype.nets.objective import ACCURACY


def test_no_layer_stretches_by_more_than_one() -> None:
    torch.manual_seed(0)
    critic = Critic(8, 8)
    x, y = torch.rand(2, 3, 64, 32), torch.randn(2, 8, 4, 2)
    for _ in range(20):  # each brings the norms nearer
        assert critic(x, y).shape == (2, 1, 7, 3)
    layers = [layer for layer in critic.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in layers] == [12, 8, 16, 32, 64, 1]
    for layer in layers:
        stretch = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)
        assert float(stretch) == pytest.approx(1, abs=0.02)


def test_losses_of_a_critic_that_knows_nothing() -> None:
    class Undecided(Critic):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return 0 * super().forward(x, y)

    x, y = torch.rand(2, 3, 32, 32), torch.randn(2, 4, 2, 2)
    critic = Undecided(4, 4)
    assert float(critic_loss(critic, x, x, y)[0].detach()) == pytest.approx(2 * math.log(2))
    torch.testing.assert_close(deception(critic, x, y), torch.full((2,), math.log(2)))


def test_a_critic_learns_and_is_deceived() -> None:
    torch.manual_seed(0)
    critic = Critic(4, 4)
    real, y = torch.rand(2, 3, 32, 32), torch.randn(2, 4, 2, 2)
    decoded = torch.full_like(real, 0.5, requires_grad=True)
    optimiser = torch.optim.Adam(critic.parameters(), lr=1e-2)
    for _ in range(30):
        loss, figures = critic_loss(critic, real, decoded, y)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert decoded.grad is None
    assert float(figures[ACCURACY]) > 0.8
    before = deception(critic, decoded, y).sum()
    (gradient,) = torch.autograd.grad(before, decoded)
    after = deception(critic, decoded - 0.1 * gradient.sign(), y).sum()
    assert float(after.detach()) < float(before.detach())
