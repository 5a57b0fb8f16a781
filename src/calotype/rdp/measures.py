"""Measures of perception d(p_X, p_Y): the distances, and the sets d(p_X, p_Y) <= P as `solve` sees them.

With multipliers L(y) of p_Y(y) a bound P enters the dual as the support function of its set, sigma(L) = max {sum L(y)
r(y) : d(p_X, r) <= P}. Each set has variables w of its own, in which sigma is the least of an upper bound that is
convex in (L, w). All is in nats. Symbols that X never takes may be outputs all the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Perception = Literal["tv", "kl", "wasserstein"]


def variation(p: Array, r: Array) -> float:
    """Total variation: half the sum of |p - r|, at most 1."""
    return float(np.abs(p - r).sum() / 2)


def divergence(p: Array, r: Array) -> float:
    """Kullback and Leibler's D(p || r), in nats; infinite where r lacks a symbol of p."""
    seen = p > 0
    with np.errstate(divide="ignore"):
        return max(0.0, float(p[seen] @ np.log(p[seen] / r[seen])))


def wasserstein(p: Array, r: Array, places: Array) -> float:
    """Wasserstein-1 of distributions over `places` on a line: the area between their distribution functions."""
    order = np.argsort(places)
    return float(np.abs(np.cumsum((p - r)[order])[:-1]) @ np.diff(places[order]))


class Curvature(NamedTuple):
    """Second derivatives by L (m,) and w (k,); by L twice they are a diagonal."""

    by_ll: Array
    by_lw: Array
    by_ww: Array


class Near(ABC):
    """The distributions near enough to `prior`, p_X over all m symbols: their support function, from above.

    It is the least of `bound` over w where all of `slack` is above 0. gamma are multipliers of the slacks.
    """

    def __init__(self, prior: Array, limit: float):
        self.prior, self.limit = prior, limit

    @abstractmethod
    def start(self, multipliers: Array) -> Array:
        """Variables w that leave slack where L = `multipliers`."""

    @abstractmethod
    def slack(self, multipliers: Array, own: Array) -> Array:
        """What must stay above 0, linear in L and w."""

    @abstractmethod
    def bound(self, multipliers: Array, own: Array) -> float:
        """An upper bound of sigma(L), where there is slack."""

    @abstractmethod
    def gradient(self, multipliers: Array, own: Array, gamma: Array) -> tuple[Array, Array]:
        """Of bound - sum gamma slack, by L and by w. By L it is the distribution r of Y."""

    @abstractmethod
    def curvature(self, multipliers: Array, own: Array, weights: Array) -> Curvature:
        """Of bound, and of sum weights / 2 (change of slack)^2."""


class Equal(Near):
    """P = 0, whatever the measure: sigma(L) = sum p_X(y) L(y)."""

    def start(self, multipliers: Array) -> Array:
        return np.zeros(0)

    def slack(self, multipliers: Array, own: Array) -> Array:
        return np.zeros(0)

    def bound(self, multipliers: Array, own: Array) -> float:
        return float(self.prior @ multipliers)

    def gradient(self, multipliers: Array, own: Array, gamma: Array) -> tuple[Array, Array]:
        return self.prior, own

    def curvature(self, multipliers: Array, own: Array, weights: Array) -> Curvature:
        m = len(multipliers)
        return Curvature(np.zeros(m), np.zeros((m, 0)), np.zeros((0, 0)))


class Transported(Near):
    """Wasserstein-1 with costs c(x, y); with c = 1 for x != y it is total variation.

    By the duality of transport, sigma(L) = min eta P + sum p(x) v(x) over eta >= 0 and v(x) >= L(y) - eta c(x, y).
    gamma is a plan that moves p_X to p_Y; w is (eta, v).
    """

    def __init__(self, prior: Array, limit: float, costs: Array):
        super().__init__(prior, limit)
        rows = prior > 0
        self._weights, self._costs = prior[rows], costs[rows]

    def start(self, multipliers: Array) -> Array:
        return np.concatenate([[1.0], np.full(len(self._weights), multipliers.max() + 1)])

    def slack(self, multipliers: Array, own: Array) -> Array:
        return np.append(own[1:, None] + own[0] * self._costs - multipliers, own[0])

    def bound(self, multipliers: Array, own: Array) -> float:
        return float(own[0] * self.limit + self._weights @ (multipliers - own[0] * self._costs).max(axis=1))

    def gradient(self, multipliers: Array, own: Array, gamma: Array) -> tuple[Array, Array]:
        plan = gamma[:-1].reshape(self._costs.shape)
        by_eta = self.limit - gamma[-1] - (plan * self._costs).sum()
        return plan.sum(axis=0), np.concatenate([[by_eta], self._weights - plan.sum(axis=1)])

    def curvature(self, multipliers: Array, own: Array, weights: Array) -> Curvature:
        plan = weights[:-1].reshape(self._costs.shape)
        paid = plan * self._costs
        by_ww = np.diag(np.concatenate([[weights[-1] + (paid * self._costs).sum()], plan.sum(axis=1)]))
        by_ww[0, 1:] = by_ww[1:, 0] = paid.sum(axis=1)
        return Curvature(plan.sum(axis=0), -np.vstack([paid.sum(axis=0), plan]).T, by_ww)


class Diverging(Near):
    """D(p_X || p_Y) <= P, in nats, P > 0.

    The Lagrangian of sigma is largest at r = kappa p / omega, which leaves
    sigma(L) = min beta + kappa (P - 1) + kappa log kappa - kappa sum p(y) log omega(y) over kappa >= 0, omega >= 0 and
    omega(y) <= beta - L(y). gamma of the last one is r; w is (kappa, beta, omega).
    """

    def start(self, multipliers: Array) -> Array:
        return np.concatenate([[1.0, multipliers.max() + 2], np.ones(len(multipliers))])

    def slack(self, multipliers: Array, own: Array) -> Array:
        kappa, beta, omega = own[0], own[1], own[2:]
        return np.concatenate([beta - multipliers - omega, omega, [kappa]])

    def bound(self, multipliers: Array, own: Array) -> float:
        kappa = own[0]
        beta = max(own[1], multipliers.max() + own[2:].min())
        return float(beta + kappa * (self.limit - 1 + np.log(kappa) - self.prior @ np.log(beta - multipliers)))

    def gradient(self, multipliers: Array, own: Array, gamma: Array) -> tuple[Array, Array]:
        kappa, omega = own[0], own[2:]
        m = len(omega)
        output = gamma[:m]
        by_kappa = self.limit + np.log(kappa) - self.prior @ np.log(omega) - gamma[-1]
        by_omega = output - kappa * self.prior / omega - gamma[m:-1]
        return output, np.concatenate([[by_kappa, 1 - output.sum()], by_omega])

    def curvature(self, multipliers: Array, own: Array, weights: Array) -> Curvature:
        kappa, omega = own[0], own[2:]
        m = len(omega)
        first, rate = weights[:m], self.prior / omega
        by_ww = np.diag(
            np.concatenate([[1 / kappa + weights[-1], first.sum()], first + kappa * rate / omega + weights[m:-1]])
        )
        by_ww[0, 2:] = by_ww[2:, 0] = -rate
        by_ww[1, 2:] = by_ww[2:, 1] = -first
        return Curvature(first, np.column_stack([np.zeros(m), -first, np.diag(first)]), by_ww)


def near(prior: Array, places: Array, perception: Perception, limit: float) -> Near:
    """The set of a measure and P = `limit`, in nats where the measure is a divergence."""
    if limit == 0:
        return Equal(prior, limit)
    if perception == "tv" or np.isinf(limit):
        return Transported(prior, min(limit, 1.0), 1 - np.eye(len(prior)))  # 1 is no bound
    if perception == "wasserstein":
        return Transported(prior, limit, np.abs(places[:, None] - places))
    return Diverging(prior, limit)
