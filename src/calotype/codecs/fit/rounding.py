"""Which network an encoder writes: how finely each group of parameters is rounded, by what it costs and spoils.

The cost is that of the fit itself: squared error of samples in [0, 1], the mean of channels summed over pixels, and
lambda times bits, both of what a decoder will find. Groups of the context network cost bits only, all others decide
pixels only, so that each kind is tried by its own half of the decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from ...errors import CorruptFile
from .architecture import Architecture
from .fitting import Aim
from .network import CONTEXT, GROUPS, PICTURE, STATE_BITS_MAX, Decoder, Floats, Latents, Network, Rounded
from .stream import Stream

START = {  # bits that are tried first: usual ones of photographs
    "features": 6, "states": 6, "state biases": 6, "distribution": 6, "distribution biases": 5, "taps": 7, "hidden": 8,
    "hidden biases": 6, "output": 8, "output biases": 9, "straight": 9, "residual": 7, "residual biases": 9,
}  # fmt: skip
START_STATE_BITS = 8
ROUNDS = 2
PATIENCE = 2  # steps that may fail before a direction is given up
# What the kernel takes, rounded as at START: rows of weights by the sum of their magnitudes, each weight, each bias.
ROWS = (
    (("F0",), 56.0), (("F1",), 56.0), (("F2",), 56.0), (("A1",), 56.0), (("A2",), 56.0), (("A3", "L"), 56.0),
    (("taps",), 7.0), (("B1",), 200.0), (("B2", "M"), 100.0), (("R1",), 400.0), (("R2",), 400.0),
)  # fmt: skip
WEIGHTS = {"taps": 3.9, "B1": 120.0, "B2": 60.0, "M": 60.0, "R1": 200.0, "R2": 200.0}
WEIGHT_MOST = 30.0  # of others
BIASES = {"a1": 2000.0, "a2": 2000.0, "b": 2000.0, "c1": 2000.0, "c2": 900.0, "r1": 100.0, "r2": 100.0}

Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Cost = Callable[[dict[str, int], int], float]  # by bits of the groups, and state bits


class Rounding:
    """The search for one tile."""

    def __init__(
        self,
        architecture: Architecture,
        parameters: Floats,
        latents: Latents,
        pixels: Samples,
        depth: int,
        lmbda: float,
        aim: Aim | None = None,
    ) -> None:
        """Prepare; `pixels` (h, w, channels) are what the tile should be, `aim` says what else they should be like."""
        self._architecture, self._latents, self._depth, self._lmbda = architecture, latents, depth, lmbda
        self._parameters = tame(architecture, parameters)
        self._wanted, self._aim = pixels.astype(np.int64), aim
        self._moments = {"residual": _moments_around(pixels, depth)}
        self._costs: dict[tuple[int, ...], float] = {}
        self._rounded: dict[tuple[str, int], Rounded] = {}

    def best(self) -> Network:
        """The network that costs least of those that were tried."""
        bits, state_bits = dict(START), START_STATE_BITS
        for _ in range(ROUNDS):
            before = dict(bits), state_bits
            for names, cost in ((PICTURE, self._picture_cost), (CONTEXT, self._context_cost)):
                for name in names:

                    def cost_of(count: int, name: str = name, cost: Cost = cost, states: int = state_bits) -> float:
                        return cost({**bits, name: count}, states)

                    bits[name] = _descend(bits[name], range(GROUPS[name].most + 1), cost_of)
            state_bits = _descend(state_bits, range(STATE_BITS_MAX + 1), lambda b: self._picture_cost(bits, b))
            if (bits, state_bits) == before:
                break
        return self._network(bits, state_bits)

    def _network(self, bits: dict[str, int], state_bits: int) -> Network:
        for key in bits.items():
            if key not in self._rounded:
                self._rounded[key] = Rounded.of(self._architecture, self._parameters, *key, self._moments)
        return Network.of(self._architecture, {name: self._rounded[name, bits[name]] for name in GROUPS}, state_bits)

    def _context_cost(self, bits: dict[str, int], state_bits: int) -> float:
        """In lambda times bits; infinite where the kernel refuses it."""

        def cost(network: Network, stream: Stream) -> float:
            Decoder(network, self._depth).code(stream, self._latents)
            return 0.0

        return self._cost(CONTEXT, bits, state_bits, cost)

    def _picture_cost(self, bits: dict[str, int], state_bits: int) -> float:
        def cost(network: Network, stream: Stream) -> float:
            found = Decoder(network, self._depth).render(self._latents)
            if self._aim is None:
                return squared_error(found, self._wanted, self._depth)
            a = self._architecture
            off = found / np.float32((1 << self._depth) - 1) - self._aim.picture
            return float(np.sum(off * off * self._aim.weight[..., None], dtype=np.float64)) / a.channels

        return self._cost(PICTURE, bits, state_bits, cost)

    def _cost(
        self,
        names: Iterable[str],
        bits: dict[str, int],
        state_bits: int,
        further: Callable[[Network, Stream], float],
    ) -> float:
        key = (names is CONTEXT, state_bits, *(bits[name] for name in names))
        if key not in self._costs:
            network, stream = self._network(bits, state_bits), Stream.counter()
            network.put(stream)
            try:
                error = further(network, stream)
                self._costs[key] = error + self._lmbda * stream.count
            except CorruptFile:
                self._costs[key] = float("inf")
        return self._costs[key]


def _moments_around(pixels: Samples, depth: int) -> npt.NDArray[np.float64]:
    """Of the 3 x 3 samples of each channel around every pixel: what the residual layers are given, nearly."""
    picture = pixels / np.float32((1 << depth) - 1) - np.float32(0.5)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(picture, ((1, 1), (1, 1), (0, 0)), "edge"), (3, 3), (0, 1))
    rows = (row.reshape(len(row), -1).astype(np.float64) for row in around)
    return sum(row.T @ row for row in rows) / picture[..., 0].size  # type: ignore[no-any-return]


def _descend(start: int, allowed: range, cost: Callable[[int], float]) -> int:
    """The number of least cost around `start`, looked for coarser first, then finer."""
    best, least = start, cost(start)
    for direction in (-1, 1):
        at, failures = start, 0
        while failures < PATIENCE and (at := at + direction) in allowed:
            if (found := cost(at)) < least:
                best, least, failures = at, found, 0
            else:
                failures += 1
        if best != start:
            break
    return best


def squared_error(found: Samples, wanted: npt.NDArray[np.int64], depth: int) -> float:
    """Of samples in [0, 1], the mean of channels summed over pixels."""
    difference = found.astype(np.int64) - wanted
    peak = (1 << depth) - 1
    return float(np.square(difference).sum()) / float(peak * peak * wanted.shape[2])


def tame(architecture: Architecture, parameters: Floats) -> Floats:
    """The same parameters but for rows of weights that the kernel would refuse: those are scaled down."""
    parameters = np.nan_to_num(parameters.astype(np.float32), posinf=0.0, neginf=0.0)
    parts = architecture.split(parameters)
    for names, most in ROWS:
        matrices = [parts[name].reshape(len(parts[name]), -1) for name in names]
        own = np.eye(architecture.inputs, dtype=np.float32) if names[0] in ("A1", "A2") else np.float32(0)
        whole = np.concatenate([matrix + own for matrix in matrices], 1)
        share = np.minimum(np.float32(1), most / np.maximum(np.abs(whole).sum(1, keepdims=True), np.float32(1e-6)))
        for name, matrix in zip(names, matrices, strict=True):
            limit = WEIGHTS.get(name, WEIGHT_MOST)
            matrix[:] = np.clip((matrix + own) * share - own, -limit, limit)
    for name, limit in BIASES.items():
        np.clip(parts[name], -limit, limit, out=parts[name])
    return parameters
