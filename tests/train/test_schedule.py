"""Learning rate, crops and average over the time of a run."""

from __future__ import annotations

import math

import pytest

from calotype.errors import Unsupported
from calotype.train.schedule import WHOLE, Schedule


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    schedule = Schedule(1000.0, rate=1.0)
    rates = [schedule.learning_rate(t, step=10_000) for t in range(0, 1001, 10)]
    assert rates[0] == 0
    assert rates[50] == pytest.approx(0.5)  # a cosine
    assert max(rates) > 0.99
    assert rates[-1] == pytest.approx(0)
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert schedule.learning_rate(500.0, step=1) < 0.02


def test_learning_rate_is_constant_until_it_falls() -> None:
    schedule = Schedule(36_000.0, rate=1.0, anneal=0.1)
    assert schedule.learning_rate(60.0, 10_000) == pytest.approx(0.5)  # warm after two minutes, not after six
    assert {schedule.learning_rate(t, 10_000) for t in (120.0, 1000.0, 32_400.0)} == {1.0}
    falling = [schedule.learning_rate(t, 10_000) for t in (33_300.0, 34_200.0, 36_000.0)]
    assert falling == pytest.approx([0.5 * (1 + math.cos(math.pi / 4)), 0.5, 0.0])


def test_late_crops_are_large_where_the_batch_allows() -> None:
    assert Schedule(100.0, batch=3).late_crop == 256  # as one processor has it: one crop would be one rate a step
    assert Schedule(100.0, batch=16).late_crop == 384
    gpu = Schedule(100.0, batch=32)
    assert [gpu.crops(t) for t in (0.0, 84.9, 85.1, 100.0)] == [(32, 256), (32, 256), (8, 512), (8, 512)]
    assert Schedule(100.0, batch=32, late_crop=384).crops(90.0) == (14, 384)
    assert [Schedule(100.0, batch=2, crop=WHOLE).crops(t) for t in (0.0, 90.0)] == [(2, WHOLE)] * 2


def test_the_average_spans_few_steps_at_first() -> None:
    schedule = Schedule(1.0, average=200)
    assert [schedule.follow(step) for step in (0, 50, 1_000_000)] == pytest.approx([49 / 50, 49 / 100, 1 / 200])


@pytest.mark.parametrize(
    ("choice", "message"), [({"rescale": 1.2}, "factor"), ({"anneal": 0.0}, "falls"), ({"average": 0}, "spans")]
)
def test_impossible_choices_are_refused(choice: dict[str, float], message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        Schedule(1.0, **choice)  # type: ignore[arg-type]
