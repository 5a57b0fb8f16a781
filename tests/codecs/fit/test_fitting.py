"""Fitting: gradients against PyTorch, rounding, what seeds and threads do, and that the loss falls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from calotype.codecs.fit import fitting
from calotype.codecs.fit._kernel import lib
from calotype.codecs.fit.architecture import Architecture
from calotype.codecs.fit.fitter import Fitter, Floats, Iteration, Loss
from calotype.codecs.fit.fitting import Fitted, Start, cold_start, fit
from calotype.codecs.fit.network import GROUPS, bits_slope, places

FLOAT32 = 2e-5  # of the largest gradient of its kind: sums of many float32 products
WIDEST = 2
RATE = 0.01


@pytest.fixture(params=[0, WIDEST], ids=["portable", "widest"])
def instructions(request: pytest.FixtureRequest) -> Iterator[None]:
    lib.fitter_widest(request.param)
    yield
    lib.fitter_widest(WIDEST)


def some(architecture: Architecture) -> tuple[Floats, list[Floats], Floats]:
    """A picture, latents and parameters, random."""
    a, random = architecture, np.random.default_rng(1)
    picture = random.random((a.height, a.width, a.channels)).astype(np.float32)
    latents = [(1.5 * random.standard_normal(a.grid(k))).astype(np.float32) for k in range(a.grids)]
    return picture, latents, (0.15 * random.standard_normal(a.parameters)).astype(np.float32)


def smooth(height: int, width: int) -> Floats:
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    waves = [0.5 + 0.3 * np.sin(rows / 9 + i) * np.cos(columns / (7 + i)) for i in range(3)]
    return np.stack(waves, -1).astype(np.float32)


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture.of("small", 70, 131, 3),
        Architecture.of("medium", 64, 64, 1),
        Architecture.of("large", 97, 53, 3),
        Architecture(150, 3, 3, grids=9, neighbours=5, features=1, hidden=5),
        Architecture(1, 1, 3, grids=7, neighbours=13, features=3, hidden=7),
    ],
    ids=["small", "grey", "large", "narrow", "one pixel"],
)
@pytest.mark.parametrize("hard", [0, 0.4, 1])
@pytest.mark.usefixtures("instructions")
def test_gradients_are_those_of_pytorch(architecture: Architecture, hard: float) -> None:
    torch = pytest.importorskip("torch")
    from calotype.codecs.fit.torch_fitter import TorchFitter

    picture, latents, parameters = some(architecture)
    weight = np.random.default_rng(3).random(picture.shape[:2]).astype(np.float32)
    iteration = Iteration(
        RATE, hard=hard, temperature=0.3, noise=0.2, seed=7, step=0.1, correction=(0.1, 0.001), epsilon=0.05
    )
    fitters: list[Fitter | TorchFitter] = [
        Fitter(picture, architecture, threads=2),
        TorchFitter(picture, architecture, "cpu", torch.float64),
    ]
    for each in fitters:
        each.latents = latents
        each.aim(picture, weight)
    (loss, gradient), (wanted, slope) = (each.iterate(iteration, parameters) for each in fitters)

    assert loss.bits == pytest.approx(wanted.bits, rel=FLOAT32)
    assert loss.error == pytest.approx(wanted.error, rel=FLOAT32)
    found = {name: gradient[at] for name, at in architecture.slices.items()}
    expected = {name: slope[at] for name, at in architecture.slices.items()}
    for values, each in zip((found, expected), fitters, strict=True):
        values |= {f"gradient {k}": grid for k, grid in enumerate(each.gradient)}
        values |= {f"moved {k}": grid for k, grid in enumerate(each.latents)}
        values |= {f"rounded {k}": grid for k, grid in enumerate(each.rounded)}
        values |= {f"bits {k}": grid for k, grid in enumerate(each.bits)}
        values |= {"output": each.output, "errors": each.errors}
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=FLOAT32 * np.abs(value).max() + 1e-12, err_msg=name)


@pytest.mark.usefixtures("instructions")
def test_the_loss_alone_is_that_of_whole_iterations() -> None:
    architecture = Architecture.of("small", 70, 45, 3)
    picture, latents, parameters = some(architecture)
    fitter = Fitter(picture, architecture)
    fitter.latents = latents
    for hard in (0, 0.4, 1):
        iteration = Iteration(RATE, hard=hard, noise=0.2, seed=7)
        alone, _ = fitter.iterate(replace(iteration, only_loss=True, step=1.0), parameters)
        for found, latent in zip(fitter.latents, latents, strict=True):
            np.testing.assert_array_equal(found, latent)
        assert alone == fitter.iterate(iteration, parameters)[0]
        assert sum(float(grid.sum(dtype=np.float64)) for grid in fitter.bits) == pytest.approx(alone.bits)
        assert float(fitter.errors.sum(dtype=np.float64)) == pytest.approx(alone.error)


@pytest.mark.usefixtures("instructions")
def test_hard_rounding_is_rounding() -> None:
    architecture = Architecture.of("small", 70, 45, 3)
    picture, latents, parameters = some(architecture)
    fitter = Fitter(picture, architecture)
    fitter.latents = latents
    fitter.iterate(Iteration(RATE, hard=1, step=1.0), parameters)
    for found, rounded, latent in zip(fitter.latents, fitter.rounded, latents, strict=True):
        np.testing.assert_array_equal(found, latent)  # hard rounding moves nothing
        np.testing.assert_array_equal(rounded, np.floor(latent + 0.5))


@pytest.mark.usefixtures("instructions")
def test_a_share_is_rounded_hard_another_one_each_time() -> None:
    architecture = Architecture.of("small", 128, 128, 3)
    picture, latents, parameters = some(architecture)
    fitter = Fitter(picture, architecture)

    def hard(share: float, seed: int) -> NDArray[np.bool_]:
        fitter.latents = latents
        fitter.iterate(Iteration(RATE, hard=share, noise=0.2, seed=seed), parameters)
        rounded = fitter.rounded[0] == np.floor(latents[0] + 0.5)
        assert not fitter.gradient[0][rounded].any()
        return rounded

    assert not hard(0, 1).any()
    first, second = hard(0.3, 1), hard(0.3, 2)
    for found in (first, second):
        assert found.mean() == pytest.approx(0.3, abs=0.015)  # its deviation is .0036
    assert (first & second).mean() == pytest.approx(0.09, abs=0.015)
    assert (first[1:] & first[:-1]).mean() == pytest.approx(0.09, abs=0.015)
    assert (first[:, 1:] & first[:, :-1]).mean() == pytest.approx(0.09, abs=0.015)


@pytest.mark.usefixtures("instructions")
def test_noise_has_the_deviation_asked_for_and_is_another_for_each_seed() -> None:
    architecture = Architecture.of("small", 256, 256, 1)
    fitter = Fitter(np.zeros((256, 256, 1), np.float32), architecture)
    parameters = np.zeros(architecture.parameters, np.float32)

    def rounded(seed: int) -> Floats:
        # Zero stays where it is when soft-rounded; at a high temperature rounding is nearly nothing.
        fitter.iterate(Iteration(RATE, temperature=100.0, noise=0.2, seed=seed), parameters)
        return fitter.rounded[0]

    first, second = rounded(1), rounded(2)
    for noise in (first, second):
        assert abs(noise.mean()) < 0.005  # its deviation is .2 / 256
        assert noise.std() == pytest.approx(0.2, rel=0.02)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(first[:, :-1].ravel(), first[:, 1:].ravel())[0, 1]) < 0.02


def test_adam_moves_latents_by_its_formula() -> None:
    architecture = Architecture.of("small", 70, 45, 3)
    picture, latents, parameters = some(architecture)
    fitter = Fitter(picture, architecture)
    fitter.latents = latents
    iteration = Iteration(RATE, step=0.1, correction=(0.1, 0.001), epsilon=5 * RATE)
    fitter.iterate(iteration, parameters)
    for found, gradient, latent in zip(fitter.latents, fitter.gradient, latents, strict=True):
        expected = latent - 0.1 * gradient / (np.abs(gradient) + 5 * RATE)  # the first step
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_sparse_gradients_of_networks_are_right_on_average() -> None:
    architecture = Architecture.of("small", 256, 256, 1)
    picture, latents, parameters = some(architecture)
    fitter = Fitter(picture, architecture)
    fitter.latents = latents

    def gradient(stride: int, seed: int) -> Floats:
        return fitter.iterate(Iteration(RATE, temperature=0.3, stride=stride, seed=seed), parameters)[1]

    whole = gradient(1, 0)
    mean = np.mean([gradient(4, seed) for seed in range(4)], axis=0)
    np.testing.assert_allclose(mean, whole, rtol=0, atol=1e-4 * np.abs(whole).max())


def test_the_slope_of_parameters_is_that_of_their_bits() -> None:
    architecture = Architecture.of("small", 20, 20, 3)
    parameters = some(architecture)[2].astype(np.float64)

    def bits(vector: NDArray[np.float64]) -> float:
        """At the best scale of each group, in units of its step: log2(2 e b) for each number."""
        groups = [np.concatenate([vector[place] for place in places(architecture, name)]) for name in GROUPS]
        return sum(len(group) * float(np.log2(2 * np.e * np.abs(group).mean())) for group in groups)

    slope, each = bits_slope(architecture, parameters.astype(np.float32)), np.eye(architecture.parameters) * 1e-6
    expected = [(bits(parameters + one) - bits(parameters - one)) / 2e-6 for one in each]
    np.testing.assert_allclose(slope, expected, rtol=1e-3, atol=1e-3)


def assert_equal(a: Fitted, b: Fitted) -> None:
    np.testing.assert_array_equal(a.parameters, b.parameters)
    for one, other in zip(a.latents, b.latents, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (a.rate_bits, a.mse) == (b.rate_bits, b.mse)


def test_threads_change_nothing_and_seeds_do() -> None:
    architecture, picture = Architecture.of("small", 150, 90, 3), smooth(150, 90)
    first = fit(picture, architecture, 1e-3, steps=20)
    assert_equal(first, fit(picture, architecture, 1e-3, steps=20))
    assert_equal(first, fit(picture, architecture, 1e-3, steps=20, threads=3))
    assert np.any(first.parameters != fit(picture, architecture, 1e-3, steps=20, seed=1).parameters)


def test_the_loss_falls_and_goes_on_falling_from_where_it_stood() -> None:
    architecture, picture, lmbda = Architecture.of("small", 96, 80, 3), smooth(96, 80), 1e-3

    def loss(found: Fitted) -> float:
        return found.mse + lmbda * found.rate_bits / (96 * 80)

    cold = cold_start(architecture, 0)
    short, long = (fit(picture, architecture, lmbda, steps=steps, start=cold) for steps in (20, 200))
    assert loss(long) < 0.3 * loss(short)
    assert loss(fit(picture, architecture, lmbda, steps=50, start=short.start)) < loss(short)
    assert long.mse < picture.var()
    assert all(np.abs(grid).max() <= lib.FITTER_LATENT_MAX for grid in long.latents)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Iteration]:
    """All iterations, as they are made."""
    seen: list[Iteration] = []
    iterate = Fitter.iterate

    def recorded(fitter: Fitter, iteration: Iteration, parameters: Floats) -> tuple[Loss, Floats]:
        seen.append(iteration)
        return iterate(fitter, iteration, parameters)

    monkeypatch.setattr(Fitter, "iterate", recorded)
    return seen


def test_long_runs_end_cooler_and_with_a_smaller_epsilon(
    made: list[Iteration], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "SHORT", 20)
    monkeypatch.setattr(fitting, "LONG", 80)

    def last_soft(steps: int) -> Iteration:
        made.clear()
        fit(smooth(16, 16), Architecture.of("small", 16, 16, 3), RATE, steps)
        return [iteration for iteration in made if iteration.hard < 1][-1]

    short, middle, long = last_soft(20), last_soft(40), last_soft(80)
    assert short.epsilon == pytest.approx(fitting.EPSILON[0] * RATE)
    assert middle.epsilon == pytest.approx(np.sqrt(short.epsilon * long.epsilon))
    assert long.epsilon == pytest.approx(fitting.EPSILON[1] * RATE)
    assert fitting.COOLEST[0] <= short.temperature < 0.15
    assert fitting.COOLEST[1] <= long.temperature < 0.09 < middle.temperature


def test_more_and_more_is_rounded_hard_then_latents_are_tried_then_networks_move(made: list[Iteration]) -> None:
    steps = 400
    fit(smooth(64, 64), Architecture.of("small", 64, 64, 3), RATE, steps)
    soft = [iteration.hard for iteration in made if iteration.hard < 1]
    half = round(len(soft) * fitting.HARD_FROM)
    assert len(soft) == pytest.approx(steps * (1 - fitting.TRIED - fitting.LAST), abs=1)
    assert not any(soft[:half])
    assert soft[half:] == sorted(soft[half:])
    assert soft[-1] == pytest.approx(fitting.HARD_TO, abs=0.01)
    rest = [iteration.only_loss for iteration in made[len(soft) :]]
    looks = [i for i, look in enumerate(rest) if look]
    assert 7 <= len(looks) <= steps * fitting.TRIED  # each grid at least once
    assert looks[0] == 1  # slopes are taken before
    assert len(rest) - 1 - looks[-1] >= steps * fitting.LAST


def test_steps_grow_from_small_ones_unless_nothing_is_known(made: list[Iteration]) -> None:
    architecture, steps = Architecture.of("small", 16, 16, 3), 1000 * fitting.GENTLE[1]
    for start, growing in ((None, True), (cold_start(architecture, 0), False)):
        made.clear()
        with pytest.raises(KeyboardInterrupt):
            fit(smooth(16, 16), architecture, RATE, steps, start=start, progress=stop_after(fitting.GENTLE[1]))
        sizes = [iteration.step / fitting.LATENT_STEP for iteration in made]
        expected = [(i + 1) / fitting.GENTLE[1] if growing else 1 for i in range(fitting.GENTLE[1])]
        assert sizes == pytest.approx(expected, rel=1e-3)


def test_steps_grow_in_a_part_of_short_runs(made: list[Iteration]) -> None:
    fit(smooth(16, 16), Architecture.of("small", 16, 16, 3), RATE, 50)
    shares = [iteration.step / fitting.LATENT_STEP for iteration in made[:10]]
    assert shares == pytest.approx([(i + 1) / 10 for i in range(10)], rel=0.1)


def stop_after(count: int) -> fitting.Listener:
    def listen(done: int, total: int) -> None:
        if done == count:
            raise KeyboardInterrupt

    return listen


def test_what_progress_raises_ends_the_work() -> None:
    told: list[tuple[int, int]] = []

    def listen(done: int, total: int) -> None:
        told.append((done, total))
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(smooth(20, 20), Architecture.of("small", 20, 20, 3), 1e-3, steps=100, progress=listen)
    assert told == [(1, 100), (2, 100), (3, 100)]


@pytest.mark.parametrize(("seconds", "wanted"), [(100, 100 - fitting.AS_LONG_AS_WRITING), (1, fitting.LEAST)])
def test_a_time_is_kept_by_the_clock(seconds: float, wanted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    passed = 0

    class Slow(Fitter):
        """Each iteration takes a second."""

        def iterate(self, iteration: Iteration, parameters: Floats) -> tuple[Loss, Floats]:
            nonlocal passed
            passed += 1
            return super().iterate(iteration, parameters)

    told: list[tuple[int, int]] = []
    monkeypatch.setattr(fitting, "Fitter", Slow)
    monkeypatch.setattr(time, "monotonic", lambda: float(passed))
    fit(
        smooth(20, 20), Architecture.of("small", 20, 20, 3), 1e-3, steps=9, seconds=seconds,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert 0 <= passed - wanted <= 2  # trials take slopes now and then, and the last one looks what was reached
    assert told == sorted(told)
    assert told[-1] == (1000, 1000)


def test_shapes_that_do_not_fit_are_refused() -> None:
    architecture = Architecture.of("small", 20, 20, 3)
    with pytest.raises(ValueError, match="picture"):
        fit(smooth(20, 21), architecture, 1e-3, steps=1)
    with pytest.raises(ValueError, match="parameters"):
        fit(smooth(20, 20), architecture, 1e-3, steps=1, start=Start(np.zeros(3, np.float32)))
