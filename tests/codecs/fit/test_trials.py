"""Trials of latents: what they say of the loss is true, and it falls."""

from __future__ import annotations

import numpy as np
import pytest

from calotype.codecs.fit.architecture import FEATURE_GRIDS, Architecture
from calotype.codecs.fit.fitter import Fitter, Floats, Iteration
from calotype.codecs.fit.trials import REACH, Span, Trials, largest_around, pixels_of

RATE = 0.01
SHAPES = [
    Architecture.of("small", 70, 131, 3),
    Architecture.of("large", 97, 53, 1),
    Architecture(150, 3, 3, grids=9, neighbours=14, features=2, hidden=5),
    Architecture(1, 1, 3, grids=7, neighbours=13, features=3, hidden=7),
]
NAMES = ["small", "grey", "narrow", "one pixel"]


def fitter_of(architecture: Architecture) -> tuple[Fitter, Floats]:
    """Random latents before their rounding, networks and a picture, with weights."""
    a, random = architecture, np.random.default_rng(1)
    fitter = Fitter(random.random((a.height, a.width, a.channels)).astype(np.float32), a)
    fitter.aim(
        random.random((a.height, a.width, a.channels)).astype(np.float32),
        random.random((a.height, a.width)).astype(np.float32),
    )
    fitter.latents = [(1.5 * random.standard_normal(a.grid(k))).astype(np.float32) for k in range(a.grids)]
    return fitter, (0.15 * random.standard_normal(a.parameters)).astype(np.float32)


def loss_of(fitter: Fitter, parameters: Floats) -> float:
    loss, _ = fitter.iterate(Iteration(RATE, hard=1, only_loss=True), parameters)
    return loss.error / fitter.architecture.channels + RATE * loss.bits


@pytest.mark.parametrize("architecture", SHAPES, ids=NAMES)
def test_the_loss_falls_by_what_each_look_says_until_none_helps(architecture: Architecture) -> None:
    fitter, parameters = fitter_of(architecture)
    trials, before, looks = Trials(fitter, parameters, RATE), loss_of(fitter, parameters), 0
    first = before
    while not trials.exhausted:
        fell, looks = trials.look(), looks + 1
        now = loss_of(fitter, parameters)
        assert fell >= 0
        assert now == pytest.approx(before - fell, rel=2e-6)
        before = now
    assert all(np.array_equal(grid, np.round(grid)) for grid in fitter.latents)
    assert looks >= architecture.grids
    assert before < first


@pytest.mark.parametrize("architecture", SHAPES, ids=NAMES)
def test_a_latent_changes_nothing_outside_its_squares(architecture: Architecture) -> None:
    a = architecture
    fitter, parameters = fitter_of(a)
    latents = [np.floor(grid + np.float32(0.5)) for grid in fitter.latents]

    def places() -> tuple[Floats, list[Floats]]:
        fitter.iterate(Iteration(RATE, hard=1, only_loss=True), parameters)
        return fitter.errors, fitter.bits

    def changed(before: Floats, after: Floats, row: int, column: int, down: Span, across: Span) -> None:
        rows, columns = np.nonzero(before != after)
        for found, at, span in ((rows, row, down), (columns, column, across)):
            assert not len(found) or (at + span.first <= found.min() and found.max() <= at + span.last)

    fitter.latents = latents
    errors, bits = places()
    for k in range(a.grids):
        height, width = a.grid(k)
        for row, column in {(0, 0), (height // 2, width // 3), (height - 1, width - 1)}:
            moved = latents[k].copy()
            moved[row, column] += 1
            fitter.latents = [*latents[:k], moved, *latents[k + 1 :]]
            errors_now, bits_now = places()
            changed(errors, errors_now, row << k, column << k, pixels_of(k), pixels_of(k))
            changed(bits[k], bits_now[k], row, column, Span(0, REACH), Span(-REACH, REACH))
            for j in range(a.grids):
                inside = Span(0, (1 << k - j) - 1) if j < min(k, FEATURE_GRIDS) else Span(0, -1)
                if j != k:
                    changed(bits[j], bits_now[j], row << max(k - j, 0), column << max(k - j, 0), inside, inside)


def test_the_largest_around_is_that_of_a_square() -> None:
    plane = np.random.default_rng(1).random((9, 14))
    found = largest_around(plane, 3)
    for row, column in np.ndindex(plane.shape):
        square = plane[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4]
        assert found[row, column] == square.max()


def test_equal_promises_are_not_tried_side_by_side() -> None:
    """A picture of one colour: all slopes are the same, and still the loss falls by what is said."""
    architecture = Architecture.of("small", 40, 40, 3)
    parameters = np.full(architecture.parameters, 0.05, np.float32)
    fitter = Fitter(np.ones((40, 40, 3), np.float32), architecture)
    trials, before = Trials(fitter, parameters, RATE), loss_of(fitter, parameters)
    for _ in range(30):
        fell = trials.look()
        now = loss_of(fitter, parameters)
        assert now == pytest.approx(before - fell, rel=2e-6)
        before = now
