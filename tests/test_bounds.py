"""The bound on the error, over cases that `tools/fuzz.py bounds` tries by the hundred thousand; here a few seconds."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

import calotype
from calotype.image import Image
from tools.fuzzing.bounds import MODES, Target, check, look_into

CASES = 200


def test_no_sample_is_further_off_than_was_asked_for() -> None:
    """Whatever the image, mode, effort and bound, the instructions and the threads; by both codecs."""
    target = Target()
    outcomes = Counter(target.make(Random(seed))[1]() for seed in range(CASES))
    assert outcomes.total() == CASES
    for mode in MODES:
        assert outcomes[f"prism, {mode}: off, within the bound"] > 0
    assert any(outcome.startswith("nearlossless") for outcome in outcomes)


def test_a_broken_promise_is_found() -> None:
    pixels = np.random.default_rng(0).integers(20, 200, (9, 9, 4), np.uint8)
    data = calotype.encode(pixels, max_error=3)
    found = calotype.decode_image(data)
    assert check(Image(pixels), 3, found) == 3
    look_into(data, 3, 3, found, Random(0))
    for error in (2, 4):
        with pytest.raises(AssertionError, match="largest error 3"):
            look_into(data, 3, error, found, Random(0))
    for channel, off, message in ((0, 4, "off by 4 where the bound is 3"), (3, 1, "alpha is not exact")):
        wrong = pixels.copy()
        wrong[3, 3, channel] += off
        with pytest.raises(AssertionError, match=message):
            check(Image(pixels), 3, Image(wrong))
