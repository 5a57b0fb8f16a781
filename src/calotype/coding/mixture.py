"""Mixtures of logistics: distributions that are given by a few integers per symbol, not by a table.

A symbol s of 0 .. symbols - 1 has the probability that a mixture of logistic distributions has between s - 1/2 and
s + 1/2, with the tails at the ends. Everything is integers: `docs/reference/mixtures.md` has the formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ._kernel import ffi, lib
from .tables import Floats, Int32, int32
from .units import (
    COEFFICIENT_BITS,
    LOCATION_BITS,
    MAX_COMPONENTS,
    MIXTURE_PRECISION,
    MIXTURE_WEIGHTS,
    SCALES,
    SCALES_PER_OCTAVE,
)

MAX_SYMBOLS = lib.CALO_MIXTURE_SYMBOLS
WEIGHT_MAX = 65535

_GUARD_BITS = 96  # of the numbers that the logistic table is made from
# exp(-1/512) in units of 2**-96; the table's middles lie at odd multiples of 1/512
_STEP = 0xFF801FFAAB554445B04105B0
# round(2**(20 - r / 8)), r = 0 .. 7
_MANTISSAS = (1048576, 961548, 881744, 808563, 741455, 679917, 623487, 571740)
_WEIGHTS = np.array(MIXTURE_WEIGHTS, np.int32)


@cache
def logistic_table() -> npt.NDArray[np.int16]:
    """(8192,) floor(2**16 L((i - 4095.5) / 256)) - 2**15, L the logistic function; by whole numbers only."""
    one = 1 << _GUARD_BITS
    upper, power = [], _STEP
    for _ in range(lib.CALO_LOGISTIC // 2):
        upper.append((one << 16) // (one + power) - (1 << 15))
        power = power * _STEP * _STEP >> 2 * _GUARD_BITS
    table = np.array([-1 - value for value in reversed(upper)] + upper, np.int16)
    table.setflags(write=False)
    return table


@cache
def scale_steps() -> Int32:
    """(96,) 2**17 / scale: what a symbol's width adds to the logistic function's argument."""
    steps = np.array(
        [_MANTISSAS[i % SCALES_PER_OCTAVE] >> i // SCALES_PER_OCTAVE for i in range(SCALES)], dtype=np.int32
    )
    steps.setflags(write=False)
    return steps


def mixture_parameters(outputs: Sequence[npt.NDArray[np.float32]], channels: int, middle: int) -> Int32:
    """Parameters (channels, 3, components, h, w) of mixtures, from what `nets.mixture.MixtureHead` gives.

    `outputs` are locations, which count from `middle`, scales, and steps of weights: whole numbers, each of shape
    (1, channels * components, h, w).
    """
    location, scale, weight = (output.reshape(channels, -1, *output.shape[2:]) for output in outputs)
    parameters = np.empty((channels, 3, *location.shape[1:]), np.int32)
    np.add(location, np.float32(middle), out=parameters[:, 0], casting="unsafe")
    parameters[:, 1] = scale
    parameters[:, 2] = _WEIGHTS[weight.astype(np.intp)]
    return parameters


def code_following(code: Callable[[int, Int32], Int32], parameters: Int32, coefficients: Int32) -> None:
    """Code channels one after the other; the locations of each move with how far those before are off theirs.

    Parameters
    ----------
    code
        `code(channel, parameters)` codes a channel and gives its values (*shape), in the unit of symbols.
    parameters
        (channels, 3, components, *shape) as of `Mixture`; locations are moved in place.
    coefficients
        (.., components, *shape), in 1/64: of the second channel after the first, of the third after the first and
        after the second, and so on (Salimans et al. 2017, PixelCNN++, sec. 2.2).
    """
    following, off = iter(coefficients), list[Int32]()
    for channel in range(len(parameters)):
        if off:
            moved = sum(next(following) * before for before in off)
            parameters[channel, 0] += moved >> COEFFICIENT_BITS
        off.append((code(channel, parameters[channel]) << LOCATION_BITS) - parameters[channel, 0])


@dataclass(frozen=True)
class Mixture:
    """A family of distributions over 0 .. symbols - 1; takes the place of `Tables` in a coder's `code`.

    The `parameters` of symbols of some shape are integers (3, components, *shape): locations in 1/64 of a symbol,
    scales 0 .. 95, weights 0 .. 65535 in any unit, at least one of them not zero.

    Raises
    ------
    ValueError
        There are no such mixtures. From a coder's `code`: so many or such symbols or parameters are impossible.
    """

    symbols: int
    """2 .. 1024."""
    components: int
    """1 .. 10."""

    def __post_init__(self) -> None:
        if not 2 <= self.symbols <= MAX_SYMBOLS or not 1 <= self.components <= MAX_COMPONENTS:
            raise ValueError(f"no mixtures of {self.components} logistics over {self.symbols} symbols")

    def symbols_shape(self, parameters: Int32) -> tuple[int, ...]:
        """Shape of the symbols that `parameters` are for."""
        if parameters.shape[:2] != (3, self.components):
            raise ValueError(f"parameters must have shape (3, {self.components}, ...), not {parameters.shape}")
        return parameters.shape[2:]

    def locate(self, given: Any, parameters: Int32) -> tuple[Int32, npt.NDArray[np.uint32], bytes]:
        """Return symbols as int32, and their ranges (n,): start | frequency << 16; there are no escapes."""
        symbols = int32(given, "symbols")
        if symbols.shape != self.symbols_shape(parameters):
            raise ValueError(f"symbols {symbols.shape} and parameters {parameters.shape} differ in shape")
        places = np.empty(symbols.size, dtype=np.uint32)
        status = lib.calo_mixture_places(
            self.kernel, ffi.from_buffer("int32_t[]", symbols), ffi.from_buffer("int32_t[]", parameters),
            symbols.size, symbols.size, ffi.from_buffer("uint32_t[]", places),
        )  # fmt: skip
        if status:
            raise ValueError(f"a symbol lies outside 0 .. {self.symbols - 1}, or a mixture's parameter is out of range")
        return symbols, places, b""

    def place_bits(self, places: npt.NDArray[np.uint32]) -> Floats:
        """Code length of each place in bits."""
        bits: Floats = MIXTURE_PRECISION - np.log2((places >> MIXTURE_PRECISION).astype(np.float64))
        return bits

    def bits(self, symbols: Int32, parameters: Int32) -> Floats:
        """Return the ideal code length of each symbol in bits; shape of `symbols`."""
        return self.place_bits(self.locate(symbols, parameters)[1]).reshape(symbols.shape)

    def push(
        self, places: npt.NDArray[np.uint32], lanes: int, lane: int, states: Any, words: Any, position: int
    ) -> int:
        """Encode places, last first; see `calo_mixture_encode`."""
        found = ffi.from_buffer("uint32_t[]", places)
        return lib.calo_mixture_encode(found, places.size, lanes, lane, states, words, position)

    def pop(self, decoder: Any, parameters: Int32, symbols: Int32) -> int:
        """Decode into `symbols`; returns a status."""
        given, found = ffi.from_buffer("int32_t[]", parameters), ffi.from_buffer("int32_t[]", symbols)
        return lib.calo_mixture_decode(decoder, self.kernel, given, symbols.size, symbols.size, found)

    @cached_property
    def kernel(self) -> Any:
        """The `calo_mixture *` that the kernel works with."""
        return self._kernel_and_memory[0]

    @cached_property
    def _kernel_and_memory(self) -> tuple[Any, list[npt.NDArray[Any]]]:
        kernel = ffi.new("calo_mixture *")
        kernel.symbols, kernel.components = self.symbols, self.components
        memory: list[npt.NDArray[Any]] = [scale_steps(), logistic_table()]
        kernel.step = ffi.from_buffer("int32_t[]", memory[0])
        kernel.logistic = ffi.from_buffer("int16_t[]", memory[1])
        return kernel, memory
