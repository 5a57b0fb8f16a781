from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from calotype.errors import Unsupported
from calotype.target import (
    CLOSE_ENOUGH,
    MAX_ENCODES,
    first_reaching,
    largest_of,
    largest_within,
    smallest_reaching,
)

CURVES: dict[str, Callable[[float], float]] = {
    "exponential": lambda q: 1000 * math.exp(0.04 * q),
    "steep end": lambda q: 2000 + 10 * math.exp(0.09 * q),
    "straight": lambda q: 500 + 1000 * q,
    "late": lambda q: 3000 + 30 * max(q - 40, 0) ** 2,
    "steps": lambda q: 1000 * (1 + q // 7),
}


class Model:
    """A codec whose files have the size of a curve."""

    def __init__(self, curve: Callable[[float], float]) -> None:
        self.curve, self.asked = curve, list[float]()

    def __call__(self, quality: float) -> bytes:
        assert 0 <= quality <= 100
        self.asked.append(quality)
        return bytes(int(self.curve(quality)))


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("share", [0, 0.01, 0.2, 0.5, 0.83, 0.999, 1, 1.5])
def test_close_to_the_target_and_never_above(curve: str, share: float) -> None:
    model = Model(CURVES[curve])
    sizes = [len(model(q)) for q in (0, 100)]
    target = int(sizes[0] + share * (sizes[1] - sizes[0]))
    model.asked.clear()
    size = len(largest_within(model, target))
    assert size <= target
    assert len(model.asked) <= MAX_ENCODES
    reachable = max(int(CURVES[curve](q / 100)) for q in range(10001) if int(CURVES[curve](q / 100)) <= target)
    assert size >= CLOSE_ENOUGH * reachable - 1


def test_usual_curves_need_few_files() -> None:
    model = Model(CURVES["exponential"])
    largest_within(model, 20_000)
    assert len(model.asked) <= 4


def test_too_small_a_target_is_refused_with_the_smallest_size() -> None:
    model = Model(CURVES["exponential"])
    with pytest.raises(Unsupported, match="1,000 bytes, above 999"):
        largest_within(model, 999)
    assert model.asked[-1] == 0


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.77, 1])
@pytest.mark.parametrize("curve", ["straight", "bent", "steps"])
def test_the_smallest_file_that_is_good_enough(curve: str, share: float) -> None:
    decibels: dict[str, Callable[[float], float]] = {
        "straight": lambda q: 26 + 0.15 * q,
        "bent": lambda q: 25 + 1.5 * math.sqrt(q),
        "steps": lambda q: 26 + 0.15 * (q // 5) * 5,
    }
    asked: list[float] = []

    def size(quality: float) -> int:
        return int(1000 * math.exp(0.03 * quality))

    def encode(quality: float) -> tuple[bytes, float]:
        asked.append(quality)
        return bytes(size(quality)), decibels[curve](quality)

    low, high = decibels[curve](0), decibels[curve](100)
    target = low + share * (high - low)
    found = len(smallest_reaching(encode, target))
    assert len(asked) <= MAX_ENCODES
    assert max(decibels[curve](quality) for quality in asked if size(quality) == found) >= target
    good = [step / 10 for step in range(1001) if decibels[curve](step / 10) >= target]
    assert found <= 1.03 * size(good[0])


def test_what_no_quality_reaches_is_said() -> None:
    with pytest.raises(Unsupported, match=r"the best file of this model has 41.00 dB, below 50"):
        smallest_reaching(lambda quality: (b"x", 26 + 0.15 * quality), 50)


def test_of_given_files_the_largest_that_fits_is_taken() -> None:
    files = [bytes(9), bytes(6), bytes(4)]
    assert [len(largest_of(files, target)) for target in (10, 9, 8, 4)] == [9, 9, 6, 4]
    with pytest.raises(Unsupported, match="smallest file of this model has 4 bytes, above 3"):
        largest_of(files, 3)


def test_of_given_files_the_first_that_is_good_enough_is_taken() -> None:
    files = [(b"poor", 20.0), (b"fair", 30.0), (b"good", 40.0)]
    assert [first_reaching(files, target) for target in (10, 20, 20.1, 40)] == [b"poor", b"poor", b"fair", b"good"]
    with pytest.raises(Unsupported, match=r"has 40\.00 dB, below 41"):
        first_reaching(files, 41)
