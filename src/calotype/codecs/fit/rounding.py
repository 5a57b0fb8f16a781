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
from .network import CONTEXT, GROUPS, PICTURE, STATE_BITS_MAX, Decoder, Floats, Latents, Network, Rounded
from .stream import Stream

START = {  # bits that are tried first: usual ones of photographs
    "features": 6, "states": 6, "state biases": 6, "distribution": 6, "distribution biases": 5, "taps": 7, "hidden": 8,
    "hidden biases": 6, "output": 8, "output biases": 9, "straight": 9, "residual": 7, "residual biases": 9,
}  # fmt: skip
START_STATE_BITS = 8
ROUNDS = 2
PATIENCE = 2  # steps that may fail before a direction is given up
# what the kernel takes of the context network and of taps, with something to spare for their rounding
ROW_MOST, WEIGHT_MOST, BIAS_MOST = 56.0, 30.0, 2000.0
TAPS_MOST, TAP_MOST = 7.0, 3.9

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
    ) -> None:
        """Prepare; `pixels` (h, w, channels) are what the tile should be."""
        self._architecture, self._latents, self._depth, self._lmbda = architecture, latents, depth, lmbda
        self._parameters = tame(architecture, parameters)
        self._wanted = pixels.astype(np.int64)
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
                self._rounded[key] = Rounded.of(self._architecture, self._parameters, *key)
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
            return squared_error(found, self._wanted, self._depth)

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
    total = float(np.square(difference).sum())
    return total / (wanted.shape[2] * ((1 << depth) - 1) ** 2)


def tame(architecture: Architecture, parameters: Floats) -> Floats:
    """The same parameters but for rows of weights that the kernel would refuse: those are scaled down."""
    parameters = np.nan_to_num(parameters.astype(np.float32), posinf=0.0, neginf=0.0)
    parts = architecture.split(parameters)
    for name in ("A1", "A2"):
        whole = parts[name] + np.eye(architecture.inputs, dtype=np.float32)
        parts[name] += whole * (_share(whole, ROW_MOST) - 1)
    for name, most in (("F0", ROW_MOST), ("F1", ROW_MOST), ("F2", ROW_MOST), ("taps", TAPS_MOST)):
        parts[name] *= _share(parts[name], most)
    both = _share(np.concatenate([parts["A3"], parts["L"]], 1), ROW_MOST)
    for name in ("A3", "L"):
        parts[name] *= both
    for name, most in (
        ("taps", TAP_MOST),
        *((name, WEIGHT_MOST) for name in ("F0", "F1", "F2", "A1", "A2", "A3", "L")),
    ):
        np.clip(parts[name], -most, most, out=parts[name])
    for name in ("a1", "a2", "b"):
        np.clip(parts[name], -BIAS_MOST, BIAS_MOST, out=parts[name])
    return parameters


def _share(rows: Floats, most: float) -> Floats:
    """What each row is to be multiplied by so that its magnitudes sum to at most so much."""
    sums: Floats = np.abs(rows).sum(1, keepdims=True)
    return np.minimum(np.float32(1), np.float32(most) / np.maximum(sums, np.float32(1e-6)))
