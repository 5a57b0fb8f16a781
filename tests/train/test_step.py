"""A step against the plain optimiser: one objective, several, gradients that are not finite, states."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from calotype.errors import CalotypeError
from calotype.train.group import Group
from calotype.train.step import Step
from tests.train.toys import Duel, Line, critic_loss, duel, generator_loss, line, line_loss

RATES = torch.tensor([0.25, 0.75])


def crops_of(value: float) -> Tensor:
    return torch.full((2, 3, 4, 4), value)


def line_step(model: Line, average: Line | None = None) -> Step[Line]:
    return Step(line(model), model, average or Line(), Group("cpu"))


def plain(parameters: list[Any], rate: float) -> torch.optim.AdamW:
    return torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)


def test_a_step_is_adamw_and_the_average_follows() -> None:
    model, average, expected = Line(), Line(), Line()
    step = line_step(model, average)
    optimiser = plain([expected.w], 0.1)
    followed, losses = 1.0, []
    for k in range(5):
        crops = crops_of(0.1 * k)
        step(crops, RATES, 0.1, 0.3)
        optimiser.zero_grad()
        loss, _ = line_loss(expected, crops, RATES)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(expected.parameters(), 1.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        followed += 0.3 * (float(expected.w.detach()) - followed)
    torch.testing.assert_close(model.w, expected.w)
    assert float(average.w.detach()) == pytest.approx(followed, rel=1e-5)
    figures, skipped = step.read()
    assert list(figures) == ["loss", "w", "rates", "norm"]
    assert figures["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert figures["rates"] == 0.5
    assert skipped == 0
    assert step.read()[0]["loss"] == 0  # nothing since


def test_each_objective_moves_its_own_parameters_in_turn() -> None:
    model, expected = Duel(), Duel()
    step = Step(duel(model), model, Duel(), Group("cpu"))
    generator, critic = plain([expected.made], 0.1), plain([expected.judge], 0.05)
    for k in range(4):
        crops = crops_of(0.2 * k)
        step(crops, RATES, 0.1, 0.1)
        for optimiser, loss in ((generator, generator_loss), (critic, critic_loss)):
            expected.zero_grad()
            loss(expected, crops, RATES)[0].backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    torch.testing.assert_close(model.made, expected.made)
    torch.testing.assert_close(model.judge, expected.judge)
    assert float(model.made) != Duel().made
    assert float(model.judge) != Duel().judge
    assert list(step.read()[0]) == ["loss", "made", "norm", "critic_loss", "critic_judge", "critic_norm"]


def test_a_step_without_a_finite_gradient_moves_nothing() -> None:
    model = Line()
    step = line_step(model)
    step(crops_of(0.0), RATES, 0.1, 0.1)
    before = float(model.w.detach())
    step(crops_of(torch.nan), RATES, 0.1, 0.1)
    assert float(model.w.detach()) == before
    step(crops_of(0.0), RATES, 0.1, 0.1)
    assert float(model.w.detach()) < before
    figures, skipped = step.read()
    assert skipped == 1
    assert np.isfinite(figures["loss"])


def test_only_the_objective_without_a_finite_gradient_is_left_out() -> None:
    model = Duel()
    step = Step(duel(model), model, Duel(), Group("cpu"))
    step(crops_of(torch.nan), RATES, 0.1, 0.1)  # which the generator does not see
    assert float(model.judge) == pytest.approx(0.1)
    assert float(model.made) != 0.5
    assert step.read()[1] == 1


def test_a_step_goes_on_from_its_state_and_from_older_ones() -> None:
    first, model = Line(), Line()
    step = line_step(first)
    for _ in range(3):
        step(crops_of(0.0), RATES, 0.1, 0.1)
    state = copy.deepcopy(step.state())
    assert state.keys() == {"optimiser", "skipped"}
    older: Any = state["optimiser"]
    older["param_groups"][0] |= {"fused": None, "lr": 0.3}
    again = line_step(model)
    model.load_state_dict(first.state_dict())
    again.restore({"optimiser": older, "skipped": 4, "step": 3, "elapsed": 1.0})
    for one in (step, again):
        one(crops_of(0.0), RATES, 0.05, 0.1)
    torch.testing.assert_close(model.w, first.w)
    assert again.read()[1] == 4


def test_all_optimisers_go_on_from_their_state() -> None:
    first, model = Duel(), Duel()
    step, again = (Step(duel(one), one, Duel(), Group("cpu")) for one in (first, model))
    for k in range(3):
        step(crops_of(0.2 * k), RATES, 0.1, 0.1)
    state = copy.deepcopy(step.state())  # as from a file
    model.load_state_dict(first.state_dict())
    again.restore(state)
    for one in (step, again):
        one(crops_of(0.9), RATES, 0.1, 0.1)
    torch.testing.assert_close(model.state_dict(), first.state_dict())
    with pytest.raises(CalotypeError, match="no optimiser of 'critic'"):
        again.restore({"optimiser": state["optimiser"], "skipped": 0})
