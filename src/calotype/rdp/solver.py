"""R(D, P) of a discrete source, by an interior-point method on its dual.

R(D, P) is the least I(X; Y) over channels q(y|x) with E d(X, Y) <= D and d(p_X, p_Y) <= P (Blau and Michaeli 2019), a
convex problem of n m probabilities. Its dual has a multiplier s >= 0 of the distortion and one, mu(x), for each row of
the channel:

    R(D, P) = max  sum p(x) mu(x) - s D - sigma(L),    L(y) = log sum_x p(x) exp(mu(x) - s d(x, y)),

where sigma is the support function of the distributions that are near enough to p_X (`measures`). Without the third
term it is Berger's dual of the rate-distortion function. It follows from I(X; Y) being the least of E log q(y|x) / r(y)
over r: with multipliers lambda(y) of r, the least over channels is sum p mu as long as L(y) <= lambda(y), and sigma
rises with lambda.

So there are n + 1 variables, and a few of the measure, and every value of the dual is a bound from below. A primal-dual
interior-point method solves it (Boyd and Vandenberghe 2004, sec. 11.7, with slacks of their own): Newton steps towards
gamma * slack = 1 / t, gamma being the multipliers of the slacks, while t grows. At its end the gradient is zero, which
says that q(y|x) = r(y) exp(mu(x) - s d(x, y) - L(y)), with r the derivative of sigma by L, has rows that sum to one, r
as the distribution of its output, and keeps both bounds; and its rate is sum gamma * slack above the dual. Letters: as
above.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from ..errors import CalotypeError, Unsupported
from .measures import Array, Near, Perception, divergence, near, variation, wasserstein

GAP = 1e-7  # nats between the channel's rate and the dual
TOLERANCE = 1e-8  # of probabilities, and of D as a part of the range of d
DISTORTIONS, PERCEPTIONS = 25, 8  # of a grid that is not given
LARGEST_ALPHABET = 512  # the Newton system is dense; such a one takes minutes
_LN2 = float(np.log(2))
_STEPS = 300  # it takes 15 to 60
_TINY = 1e-14  # keeps systems regular
_FORBIDDEN = 1e5  # nats that a pair costs which a bound of the least D rules out
_NONE = "no channel keeps both bounds; raise D or P"


@dataclass(frozen=True)
class Source:
    """A discrete source, and how far its symbols are from each other.

    Raises
    ------
    Unsupported
        Probabilities that are none, or shapes that do not fit.
    """

    probabilities: ArrayLike
    """p(x), shape (n,): 0 or more, of sum 1."""
    distortion: ArrayLike | Literal["hamming", "squared", "absolute"] = "hamming"
    """d(x, y), shape (n, n), any finite numbers; or a name: 1 where symbols differ, or the squared or absolute
    difference of their places."""
    places: ArrayLike | None = None
    """Where symbols lie on a line, shape (n,), for distortions by name and Wasserstein distances. Default: 0, 1, 2
    ..."""
    p: Array = field(init=False, repr=False)
    """The probabilities, as an array."""
    d: Array = field(init=False, repr=False)
    """The distortions, as a matrix."""
    at: Array = field(init=False, repr=False)
    """The places, as an array."""

    def __post_init__(self) -> None:
        p = _numbers(self.probabilities, "probabilities", 1)
        n = len(p)
        if not 2 <= n <= LARGEST_ALPHABET:
            raise Unsupported(f"a source of {n} symbols; 2 to {LARGEST_ALPHABET} are taken")
        if p.min() < 0 or abs(p.sum() - 1) > 1e-6:
            raise Unsupported(
                f"probabilities of sum {p.sum():.9g}, the least {p.min():.3g}; they sum to 1, none below 0"
            )
        at = np.arange(n, dtype=np.float64) if self.places is None else _numbers(self.places, "places", 1)
        if len(at) != n:
            raise Unsupported(f"{len(at)} places for {n} symbols; give one for each")
        away = np.abs(at[:, None] - at)
        if isinstance(self.distortion, str):
            named = {"hamming": 1 - np.eye(n), "squared": away**2, "absolute": away}
            if self.distortion not in named:
                raise Unsupported(f"no distortion is called {self.distortion!r}; there are {', '.join(named)}")
            d = named[self.distortion]
        else:
            d = _numbers(self.distortion, "distortions", 2)
        if d.shape != (n, n):
            raise Unsupported(f"distortions of shape {d.shape} for {n} symbols; {(n, n)} is needed")
        for name, value in (("p", p / p.sum()), ("d", d), ("at", at)):
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Solution:
    """A point of R(D, P), with the channel that reaches it and a proof that none is much better."""

    rate: float
    """I(X; Y) of the channel, in bits: R(D, P) is not above, but for what the channel exceeds the bounds by."""
    lower: float
    """R(D, P) is not below, in bits, whatever the channel: a value of the dual problem."""
    channel: Array
    """q(y|x), shape (n, n), a row for each x. A symbol that never comes has p_Y as its row."""
    distortion: float
    """E d(X, Y) of the channel; it may exceed D by 1e-7 of the range of d."""
    perception: float
    """d(p_X, p_Y) of the channel; bits if it is a divergence. It may exceed P by 1e-8."""

    @property
    def gap(self) -> float:
        """Bits by which the rate may be too high, 0 or more."""
        return self.rate - self.lower


def solve(source: Source, distortion: float, perception: float = np.inf, measure: Perception = "tv") -> Solution:
    """Compute R(D, P) of a discrete source, to 1e-6 bits.

    Parameters
    ----------
    source
        Probabilities and distortions.
    distortion
        D, the bound on E d(X, Y).
    perception
        P, the bound on d(p_X, p_Y). Infinite, there is none, and R is the rate-distortion function.
    measure
        What d(p_X, p_Y) is: "tv", total variation, 0 to 1; "kl", D(p_X || p_Y) in bits; "wasserstein", Wasserstein-1
        between the source's places, in their unit.

    Raises
    ------
    Unsupported
        No channel keeps both bounds; D is not finite or P below 0; there is no such measure.
    CalotypeError
        The digits were not reached: a channel keeps the bounds, but hardly.
    """
    if measure not in get_args(Perception):
        raise Unsupported(f"no measure is called {measure!r}; there are {', '.join(get_args(Perception))}")
    if not np.isfinite(distortion):
        raise Unsupported(f"D = {distortion}: it must be finite")
    if not perception >= 0:
        raise Unsupported(f"P = {perception}: a distance of distributions is 0 or more")
    if measure == "kl" and 0 < perception < np.inf:  # a bound that does not bind leaves `Diverging` no optimum
        free = solve(source, distortion)
        far = distance(source, source.p @ free.channel, measure)
        if far <= perception:
            return replace(free, perception=far)
    limit = perception * _LN2 if measure == "kl" else perception
    dual = _Dual(source, distortion, near(source.p, source.at, measure, limit))
    with np.errstate(all="ignore"):  # what overflows is noticed
        z, gamma = _follow(dual)
    inner = dual.channel(z, gamma)
    output = dual.p @ inner
    rate = max(0.0, _information(dual.p, inner))
    channel = np.tile(output, (len(source.p), 1))
    channel[source.p > 0] = inner
    reached = float(source.p @ (channel * source.d).sum(axis=1))
    if reached > distortion + 10 * TOLERANCE * np.ptp(source.d):  # what was forbidden had to be used
        raise Unsupported(_NONE)
    return Solution(
        rate=rate / _LN2,
        lower=min(max(dual.value(z), 0.0), rate) / _LN2,
        channel=channel,
        distortion=reached,
        perception=distance(source, output, measure),
    )


def grid(
    source: Source, measure: Perception = "tv", distortions: Sequence[float] = (), perceptions: Sequence[float] = ()
) -> tuple[list[float], list[float]]:
    """Bounds D and P over which R(D, P) changes, in place of those that are not given.

    D goes evenly from that of the source itself to that of an independent copy, where R is 0 for all P. P goes evenly
    from 0 to the largest distance that the rate-distortion function's channels have at these D, and there is none last.
    """
    same, independent = float(source.p @ np.diag(source.d)), float(source.p @ source.d @ source.p)
    d = list(distortions) or np.linspace(same, independent, DISTORTIONS).tolist()
    if perceptions:
        return d, list(perceptions)
    reached = [distance(source, source.p @ solve(source, limit).channel, measure) for limit in d]
    farthest = max(filter(np.isfinite, reached))
    return d, [*dict.fromkeys(np.linspace(0, farthest, PERCEPTIONS).tolist()), np.inf]


def distance(source: Source, output: Array, measure: Perception) -> float:
    """d(p_X, p_Y) for p_Y = `output` (n,): of 1, in bits, or in the unit of the places."""
    if measure == "tv":
        return variation(source.p, output)
    if measure == "kl":
        return divergence(source.p, output) / _LN2
    return wasserstein(source.p, output, source.at)


def _information(p: Array, channel: Array) -> float:
    """I(X; Y), in nats."""
    joint = p[:, None] * channel
    some = joint > 0
    independent = p[:, None] * joint.sum(axis=0)
    return float((joint[some] * np.log(joint[some] / independent[some])).sum())


def _numbers(values: ArrayLike, what: str, dimensions: int) -> Array:
    try:
        found = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise Unsupported(f"{what} that are no numbers") from None
    if found.ndim != dimensions or not np.isfinite(found).all():
        raise Unsupported(f"{what}: {dimensions} dimension(s) of finite numbers are needed")
    return found


class _Dual:
    """The dual over z = (s, mu, w), where w are variables of the measure, and gamma, multipliers of its slacks."""

    def __init__(self, source: Source, distortion: float, outputs: Near):
        rows = source.p > 0
        self.p, d = source.p[rows], source.d[rows]
        lowest = d.min(axis=1, keepdims=True)  # rates stay as they are when rows are shifted and all is scaled
        scale = float((d - lowest).max()) or 1.0
        least = float(self.p @ lowest[:, 0])
        self.d, self.limit = (d - lowest) / scale, (distortion - least) / scale
        self.outputs, self._first = outputs, len(self.p) + 1  # of w
        self._log_p = np.repeat(np.log(self.p)[:, None], len(source.p), axis=1)
        if self.limit < -TOLERANCE:
            raise Unsupported(f"D = {distortion:g}: no channel has a distortion below {least:g}")
        if self.limit <= TOLERANCE:  # s would be infinite: what costs anything is forbidden instead
            self._log_p[self.d > TOLERANCE] -= _FORBIDDEN
            self.d, self.limit = np.zeros_like(self.d), 1.0

    def start(self) -> tuple[Array, Array, Array]:
        """z, slack and gamma."""
        z = np.zeros(self._first)
        z[0] = 1
        z = np.concatenate([z, self.outputs.start(self.multipliers(z)[0])])
        slack = self.slack(z)
        return z, slack, 1 / (len(slack) * slack)

    def multipliers(self, z: Array) -> tuple[Array, Array]:
        """L (m,), and its derivatives by mu (n, m): the distribution of x for each y."""
        exponents = self._log_p + z[1 : self._first, None] - z[0] * self.d
        largest = exponents.max(axis=0)
        weights = np.exp(exponents - largest)
        sums = weights.sum(axis=0)
        return largest + np.log(sums), weights / sums

    def slack(self, z: Array) -> Array:
        """What must stay above 0."""
        return np.append(self.outputs.slack(self.multipliers(z)[0], z[self._first :]), z[0])

    def value(self, z: Array) -> float:
        """A bound of the rate from below, in nats."""
        linear = self.p @ z[1 : self._first] - z[0] * self.limit
        return float(linear - self.outputs.bound(self.multipliers(z)[0], z[self._first :]))

    def gradient(self, z: Array, gamma: Array) -> Array:
        """Of -value - sum gamma slack."""
        multipliers, x_of_y = self.multipliers(z)
        output, by_w = self.outputs.gradient(multipliers, z[self._first :], gamma[:-1])
        by_s = self.limit - (x_of_y * self.d).sum(axis=0) @ output - gamma[-1]
        return np.concatenate([[by_s], x_of_y @ output - self.p, by_w])

    def step(self, t: float, z: Array, slack: Array, gamma: Array) -> tuple[Array, Array, Array]:
        """Newton's step of z, slack and gamma towards no gradient, the slack of z, and gamma * slack = 1 / t."""
        multipliers, x_of_y = self.multipliers(z)
        own, weights = z[self._first :], gamma / slack
        missing = self.slack(z) - slack
        output, _ = self.outputs.gradient(multipliers, own, gamma[:-1])
        curved = self.outputs.curvature(multipliers, own, weights[:-1])
        mean = (x_of_y * self.d).sum(axis=0)
        away = x_of_y * (self.d - mean)
        jacobian = np.vstack([-mean, x_of_y])  # of L by (s, mu)
        # The second derivative of L(y) is the covariance of (-d(x, y), indicators of x) under the distribution of x.
        inner = (jacobian * curved.by_ll) @ jacobian.T
        inner[0, 0] += (away * (self.d - mean)).sum(axis=0) @ output + weights[-1]
        inner[0, 1:] -= away @ output
        inner[1:, 0] = inner[0, 1:]
        inner[1:, 1:] += np.diag(x_of_y @ output) - (x_of_y * output) @ x_of_y.T
        inner[1:, 1:] += np.outer(self.p, self.p)  # one number added to all of mu changes nothing: of these, no step
        cross = jacobian @ curved.by_lw
        goal = 1 / (t * slack) - weights * missing
        change = _solve(np.block([[inner, cross], [cross.T, curved.by_ww]]), -self.gradient(z, goal))
        rise = np.append(self.outputs.slack(change[: self._first] @ jacobian, change[self._first :]), change[0])
        return change, missing + rise, goal - gamma - weights * rise

    def channel(self, z: Array, gamma: Array) -> Array:
        """q(y|x), (n, m): r(y) times the distribution of x for y, over p(x)."""
        multipliers, x_of_y = self.multipliers(z)
        joint = x_of_y * self.outputs.gradient(multipliers, z[self._first :], gamma[:-1])[0]
        rows: Array = joint / joint.sum(axis=1, keepdims=True)
        return rows


def _solve(hessian: Array, right: Array) -> Array:
    """Scaled to a diagonal of ones, as entries are many powers of ten apart, and refined once."""
    scale = 1 / np.sqrt(np.maximum(np.diag(hessian), _TINY))
    scaled, right = hessian * scale * scale[:, None], right * scale
    try:
        inverse = np.linalg.inv(scaled + _TINY * np.eye(len(right)))
    except np.linalg.LinAlgError:
        return np.full(len(right), np.nan)
    found = inverse @ right
    found += inverse @ (right - scaled @ found)
    step: Array = scale * found
    return step


def _follow(dual: _Dual) -> tuple[Array, Array]:
    """The optimum, z and gamma.

    No rate exceeds the source's entropy. A dual above it proves that no channel keeps both bounds.
    """
    entropy = float(-dual.p @ np.log(dual.p))
    z, slack, gamma = dual.start()
    length = 1.0
    for _ in range(_STEPS):
        gap = float(gamma @ slack)
        errors = np.append(dual.gradient(z, gamma), dual.slack(z) - slack)
        if not np.isfinite(errors).all():
            break
        if gap < GAP and np.abs(errors).max() < TOLERANCE:
            return z, gamma
        aim = max(0.1, (1 - length) ** 2)  # where steps were short, back to the middle of the path first
        changes = dual.step(len(gamma) / max(aim * gap, GAP / 10), z, slack, gamma)
        length = min(1.0, 0.99 * _room(slack, changes[1]), 0.99 * _room(gamma, changes[2]))
        length = min(length, z[0] / max(abs(changes[0][0]), _TINY))  # s at most doubles: it is exponents that it scales
        z, slack, gamma = (old + length * change for old, change in zip((z, slack, gamma), changes, strict=True))
        if dual.value(z) > entropy + GAP:
            raise Unsupported(_NONE)
    raise CalotypeError(
        "R(D, P) was not found to the digits promised, as bounds that hardly any channel keeps do; raise D or P"
    )


def _room(values: Array, changes: Array) -> float:
    """How much of the changes can be made until a value is 0."""
    falls = changes < 0
    return float((values[falls] / -changes[falls]).min(initial=np.inf))
