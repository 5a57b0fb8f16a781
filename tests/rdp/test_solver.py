"""R(D, P) against its closed form, against other methods, and against what is proved of it."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest

from calotype.errors import CalotypeError, Unsupported
from calotype.rdp import Solution, Source, bernoulli, grid, solve
from calotype.rdp.measures import Perception, divergence, variation, wasserstein

Array = npt.NDArray[np.float64]

SOLVED = 1e-6  # bits; the solver promises 2e-7
MEASURES: tuple[Perception, ...] = ("tv", "kl", "wasserstein")


def random_source(seed: int, n: int, distortion: str = "squared") -> Source:
    return Source(np.random.default_rng(seed).dirichlet(np.ones(n)), distortion)


def independent(source: Source) -> float:
    """The distortion of an independent copy."""
    return float(source.p @ source.d @ source.p)


def entropy(p: float) -> float:
    return float(-p * np.log2(p) - (1 - p) * np.log2(1 - p))


def information(joint: Array) -> float:
    """I(X; Y) in bits, by its definition."""
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    some = joint > 1e-300
    return float((joint[some] * np.log2(joint[some] / product[some])).sum())


def check(source: Source, point: Solution, distortion: float, perception: float, measure: Perception) -> None:
    """What a solution says of itself is what its channel does, and the channel keeps the bounds."""
    p, joint = source.p, source.p[:, None] * point.channel
    np.testing.assert_allclose(point.channel.sum(axis=1), 1, atol=1e-9)
    assert point.channel.min() >= 0
    assert point.rate == pytest.approx(information(joint), abs=1e-9)
    assert point.distortion == pytest.approx((joint * source.d).sum(), abs=1e-9)
    assert point.distortion <= distortion + 2e-7 * np.ptp(source.d)
    r = joint.sum(axis=0)
    reached = {
        "tv": variation(p, r),
        "kl": divergence(p, r) / np.log(2),
        "wasserstein": wasserstein(p, r, source.at),
    }[measure]
    assert point.perception == pytest.approx(reached, abs=1e-9)
    assert reached <= perception + 1e-7
    assert 0 <= point.gap <= SOLVED


# --- the Bernoulli source -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.8])
def test_the_closed_form_of_the_bernoulli_source(p: float) -> None:
    source = Source([1 - p, p])
    for distortion in (0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.42):
        for perception in (0, 0.001, 0.02, 0.1, 0.3, np.inf):
            point = solve(source, distortion, perception)
            check(source, point, distortion, perception, "tv")
            assert point.rate == pytest.approx(bernoulli(p, distortion, perception), abs=SOLVED)


def every_channel(p: float, count: int) -> tuple[Array, Array]:
    """P(X=0, Y=1) and P(X=1, Y=0) of `count` x `count` channels of a Bernoulli source."""
    steps = np.linspace(0, 1, count)
    a, b = np.meshgrid(steps * (1 - p), steps * p, indexing="ij")
    return a, b


@pytest.mark.parametrize("measure", MEASURES)
def test_no_channel_of_a_fine_grid_is_better(measure: Perception) -> None:
    """All channels of the Bernoulli source have two probabilities, so that they can be tried one by one."""
    p, count = 0.3, 801
    a, b = every_channel(p, count)
    joint = np.stack([1 - p - a, a, b, p - b])
    r = p + a - b
    with np.errstate(divide="ignore", invalid="ignore"):
        plogp = [np.where(part > 0, part * np.log2(part), 0) for part in (*joint, r, 1 - r)]
        rates = entropy(p) - plogp[4] - plogp[5] + sum(plogp[:4])
        kl = p * np.log2(p / r) + (1 - p) * np.log2((1 - p) / (1 - r))
    distance = kl if measure == "kl" else abs(r - p)
    for distortion, perception in ((0.1, 0.01), (0.1, 0.04), (0.25, 0.02), (0.25, 0.1)):
        point = solve(Source([1 - p, p]), distortion, perception, measure)
        best = rates[(a + b <= distortion) & (distance <= perception)].min()
        assert point.lower <= best + 1e-9
        assert point.rate == pytest.approx(best, abs=5e-3)  # the grid's channels are 1/800 apart


def test_the_closed_form_is_continuous_where_its_cases_meet() -> None:
    p, perception = 0.2, 0.05
    first = perception / (1 - 2 * p + 2 * perception)
    last = 2 * p * (1 - p) - (1 - 2 * p) * perception
    for place in (first, last):
        below, above = (bernoulli(p, place + step, perception) for step in (-1e-9, 1e-9))
        assert below == pytest.approx(above, abs=1e-7)
    assert bernoulli(p, first / 2, perception) == pytest.approx(entropy(p) - entropy(first / 2))
    assert bernoulli(p, last - 0.01, perception) > 0


# --- without a bound on perception, and with perfect realism --------------------------------------------------------


def blahut_arimoto(source: Source, slope: float) -> tuple[float, float]:
    """A point (D, R) of the rate-distortion function, where its slope is that (Blahut 1972)."""
    kernel, r = np.exp(-slope * source.d), np.full(len(source.p), 1 / len(source.p))
    for _ in range(20000):
        channel = kernel * r
        channel /= channel.sum(axis=1, keepdims=True)
        r = source.p @ channel
    joint = source.p[:, None] * channel
    return float((joint * source.d).sum()), information(joint)


@pytest.mark.parametrize("n", [3, 6])
def test_the_rate_distortion_function(n: int) -> None:
    source = random_source(n, n)
    for slope in (0.3, 1, 4):
        distortion, rate = blahut_arimoto(source, slope)
        for measure in MEASURES:
            point = solve(source, distortion, measure=measure)
            check(source, point, distortion, np.inf, measure)
            assert point.rate == pytest.approx(rate, abs=1e-4)


def test_the_rate_distortion_function_of_equal_symbols() -> None:
    """R(D) = log n - h(D) - D log(n - 1)."""
    n, distortion = 5, 0.3
    rate = np.log2(n) - entropy(distortion) - distortion * np.log2(n - 1)
    assert solve(Source(np.full(n, 1 / n)), distortion).rate == pytest.approx(rate, abs=SOLVED)


def test_perfect_realism_is_entropic_transport() -> None:
    """At P = 0 both distributions are given: the best joint one is found by scaling rows and columns (Sinkhorn)."""
    source, slope = random_source(1, 5), 1.5
    joint = source.p[:, None] * source.p * np.exp(-slope * source.d)
    for _ in range(2000):
        joint *= (source.p / joint.sum(axis=1))[:, None]
        joint *= source.p / joint.sum(axis=0)
    distortion = float((joint * source.d).sum())
    for measure in MEASURES:
        point = solve(source, distortion, 0, measure)
        check(source, point, distortion, 0, measure)
        assert point.rate == pytest.approx(information(joint), abs=SOLVED)


@pytest.mark.parametrize("seed", range(6))
def test_perfect_realism_costs_at_most_twice_the_squared_error(seed: int) -> None:
    """R(2 D, 0) <= R(D, inf) (Blau and Michaeli 2019)."""
    random = np.random.default_rng(seed)
    n = int(random.integers(2, 9))
    source = Source(random.dirichlet(np.ones(n)), "squared", np.sort(random.normal(size=n)))
    for part in (0.02, 0.1, 0.3, 0.45):
        distortion = part * independent(source)
        assert solve(source, 2 * distortion, 0).rate <= solve(source, distortion).rate + SOLVED


# --- in general -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("n", [2, 4, 9])
def test_solutions_are_proved_to_be_the_best(n: int, measure: Perception) -> None:
    for seed, distortion in itertools.product(range(2), ("hamming", "squared")):
        source = random_source(10 * n + seed, n, distortion)
        for part, perception in itertools.product((0, 1e-3, 0.1, 0.5, 0.9), (0, 1e-3, 0.03, 0.3)):
            bound = part * independent(source)
            check(source, solve(source, bound, perception, measure), bound, perception, measure)


def test_any_matrix_of_distortions_is_taken() -> None:
    """Negative ones, unlike ones there and back, and symbols that never come."""
    random = np.random.default_rng(3)
    p = random.dirichlet(np.ones(5))
    p[2] = 0
    p /= p.sum()
    source = Source(p, random.normal(size=(5, 5)))
    least = float(source.p @ source.d.min(axis=1))
    for measure in MEASURES:
        bound = 0.5 * least + 0.5 * independent(source)
        point = solve(source, bound, 0.2, measure)
        check(source, point, bound, 0.2, measure)
        shifted = solve(Source(p, 3 * source.d + 1), 3 * bound + 1, 0.2, measure)
        assert shifted.rate == pytest.approx(point.rate, abs=SOLVED)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_rate_falls_and_is_convex_in_both_bounds(measure: Perception) -> None:
    source = random_source(7, 4, "absolute")
    distortions = np.linspace(0, independent(source), 7)
    perceptions = np.linspace(0, 0.3, 7)
    rates = np.array([[solve(source, d, p, measure).rate for p in perceptions] for d in distortions])
    assert (np.diff(rates, axis=0) <= SOLVED).all()
    assert (np.diff(rates, axis=1) <= SOLVED).all()
    assert (np.diff(rates, 2, axis=0) >= -4 * SOLVED).all()
    assert (np.diff(rates, 2, axis=1) >= -4 * SOLVED).all()
    middle = (rates[:-2, :-2] + rates[2:, 2:]) / 2 - rates[1:-1, 1:-1]
    assert (middle >= -4 * SOLVED).all()
    assert rates[0, 0] - rates[-1, -1] > 0.5
    np.testing.assert_allclose(rates[-1], 0, atol=SOLVED)  # an independent copy is enough


def test_wasserstein_is_measured_between_the_places() -> None:
    p, r, places = np.array([0.5, 0.5, 0]), np.array([0, 0.5, 0.5]), np.array([3.0, 1, 7])
    assert wasserstein(p, r, places) == pytest.approx(0.5 * 4)  # half of all goes from 3 to 7
    near, far = (Source([0.6, 0.4], "hamming", [0, width]) for width in (1, 10))
    at = solve(near, 0.1, 0.01, "wasserstein")
    assert solve(far, 0.1, 0.1, "wasserstein").rate == pytest.approx(at.rate, abs=SOLVED)
    assert solve(near, 0.1, 0.01, "tv").rate == pytest.approx(at.rate, abs=SOLVED)


def test_divergences_are_bits() -> None:
    source = Source([0.3, 0.7])
    free = solve(source, 0.2, measure="kl")
    r = source.p @ free.channel
    assert free.perception == pytest.approx(float(source.p @ np.log2(source.p / r)), abs=1e-12)
    half = solve(source, 0.2, free.perception / 2, "kl")
    assert half.perception == pytest.approx(free.perception / 2, abs=1e-6)  # the bound is used up
    assert half.rate > free.rate + 1e-4


def test_a_grid_that_is_not_given() -> None:
    source = Source([0.1, 0.9])
    distortions, perceptions = grid(source)
    assert distortions[0] == 0
    assert distortions[-1] == pytest.approx(0.18)
    assert perceptions[0] == 0
    assert perceptions[-2] == pytest.approx(0.1, abs=5e-3)  # a rate of 0 makes all symbols the likely one
    assert np.isinf(perceptions[-1])
    assert grid(source, "tv", [0.1], [0.2]) == ([0.1], [0.2])


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([0.5, 0.6],), "sum 1.1"),
        (([1.5, -0.5],), "none below 0"),
        (([1.0],), "1 symbols"),
        (([[0.5, 0.5]],), "1 dimension"),
        ((["a", "b"],), "no numbers"),
        (([0.5, np.nan],), "finite"),
        (([0.5, 0.5], np.zeros((2, 3))), "shape"),
        (([0.5, 0.5], [[0, np.inf], [1, 0]]), "finite"),
        (([0.5, 0.5], "cosine"), "cosine"),
        (([0.5, 0.5], "squared", [1, 2, 3]), "3 places"),
        ((np.full(600, 1 / 600),), "600 symbols"),
    ],
)
def test_sources_that_are_none(arguments: tuple[object, ...], words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        Source(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("distortion", "perception", "measure", "words"),
    [
        (-0.1, 0.1, "tv", "no channel has a distortion below 0"),
        (np.nan, 0.1, "tv", "D = nan"),
        (np.inf, 0.1, "tv", "D = inf"),
        (0.1, -0.1, "tv", "P = -0.1"),
        (0.1, np.nan, "tv", "P = nan"),
        (0.1, 0.1, "fid", "fid"),
    ],
)
def test_bounds_that_are_none(distortion: float, perception: float, measure: Perception, words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        solve(Source([0.5, 0.5]), distortion, perception, measure)


@pytest.mark.parametrize("measure", MEASURES)
def test_bounds_that_no_channel_keeps_together(measure: Perception) -> None:
    """The distortion wants all outputs to be 0, the bound on perception half of them to be 1: D >= (1 / 2 - P) / 2."""
    source = Source([0.5, 0.5], [[0, 1], [0, 1]])
    with pytest.raises(Unsupported, match="no channel keeps both"):
        solve(source, 0.1, 0.01, measure)
    assert solve(source, 0.5, 0.01, measure).rate == pytest.approx(0, abs=SOLVED)


def test_bounds_that_hardly_any_channel_keeps_are_refused_or_solved() -> None:
    source = Source([0.5, 0.5], [[0, 1], [0, 1]])
    for distance in (0, 1e-12, 1e-7, 1e-4):
        try:
            point = solve(source, 0.4 + distance, 0.1)
        except CalotypeError:
            continue
        check(source, point, 0.4 + distance, 0.1, "tv")


def test_theory_needs_neither_torch_nor_scipy() -> None:
    code = (
        "import sys, calotype.rdp as r; r.solve(r.Source([.3, .7]), .1, .1); print({'torch', 'scipy'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
