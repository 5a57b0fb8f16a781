"""Training that leads nowhere is told, once to the user and in every line of the log."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch

from calotype.errors import CalotypeWarning
from calotype.nets.objective import ACCURACY, Figures, Objective
from calotype.train import loop
from calotype.train.collapse import ACCURACY_MAX, LINES, Watch
from calotype.train.loop import Run, train
from calotype.train.schedule import Schedule
from tests.train.toys import Clock, Duel, Thumbnail, ThumbnailTraining, duel, thumbnail_loss

GOOD, BAD = {"critic_accuracy": 0.7}, {"critic_accuracy": 0.99}


def looks(watch: Watch, lines: list[dict[str, float]], first: int = 1) -> list[str | None]:
    return [watch.look(figures, 50 * number, 0) for number, figures in enumerate(lines, first)]


def test_a_critic_that_has_won_is_told_of_once() -> None:
    watch = Watch(duel(Duel()))
    with pytest.warns(CalotypeWarning, match="the critic tells all apart") as told:
        found = looks(watch, [BAD] * LINES + [GOOD] + [BAD] * LINES)
    sign = f"critic_accuracy above {ACCURACY_MAX} in {LINES} lines"
    before = [None] * (LINES - 1)
    assert found == [*before, sign, None, *before, sign]
    assert len(told) == 1


def test_chance_and_the_first_objective_are_no_signs() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watch = Watch(duel(Duel()))
        assert set(looks(watch, [BAD, BAD, GOOD] * LINES + [{ACCURACY: 1.0, "other_accuracy": 1.0}] * 2 * LINES)) == {
            None
        }


def test_steps_that_are_all_left_out_are_told_of() -> None:
    watch = Watch(duel(Duel()))
    with pytest.warns(CalotypeWarning, match="lower --rate"):
        found = [watch.look({}, 100 + 50 * number, 7 + 50 * number) for number in range(LINES + 1)]
    assert found == [*[None] * LINES, f"no finite gradient in {LINES} lines"]


class Lost(ThumbnailTraining):
    """A pair whose critic has won from the start."""

    def objectives(self, model: Thumbnail) -> list[Objective[Thumbnail]]:
        def criticise(model: Thumbnail, x: torch.Tensor, rates: torch.Tensor) -> tuple[torch.Tensor, Figures]:
            return thumbnail_loss(model, x, rates)[0], {ACCURACY: torch.ones(())}

        return [Objective(thumbnail_loss, [model.pixels]), Objective(criticise, [model.pixels], "critic")]


def test_the_log_says_so(clock: Clock, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "codec_training", lambda model: (Lost(), "any"))
    with pytest.warns(CalotypeWarning, match="training has collapsed") as told:
        train(Run("deflate.tiny", [images], tmp_path, Schedule(LINES + 2, batch=1, crop=64, late_crop=64), log_every=1))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert ["collapsed" in line for line in lines if "loss" in line] == [False] * (LINES - 1) + [True] * 3
    assert len(told) == 1
