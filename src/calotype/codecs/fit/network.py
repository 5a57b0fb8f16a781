"""A network in integers: what its parameters become in a file, and what the decoder computes with.

Glossary: a *group* is the parts of the parameters that share a step, 2^-bits, and a scale, the width of the
distribution that their numbers are coded with. `docs/format/fit.md` has the arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import CorruptFile
from ...nets.rounding import rounded_together
from ._kernel import ffi, lib
from .architecture import Architecture
from .stream import Stream

WEIGHT_BITS = 10  # behind the point of the context network's weights
SUM_BITS = 16  # of its sums
TAP_BITS = 13
PIXEL_BITS = 13  # of what synthesis gives
STATE_BITS_MAX = 12
BITS_MAX = 15  # of a group
NUMBER_MAX = 32767
SCALES = 97
NAT = 1.442695  # bits
SMALLEST_MEAN = 1e-3  # of the magnitudes of a group

Integers = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Latents = npt.NDArray[np.int16]
"""All grids one after the other, from grid 0 on."""
Moments = Mapping[str, npt.NDArray[np.float64]]
"""Of some groups: second moments (inputs, inputs) of what each of their matrices is multiplied with."""


class Group(NamedTuple):
    parts: tuple[str, ...]
    most: int
    """Bits at most."""


GROUPS = {  # in the order in which they are coded
    "features": Group(("F0", "F1", "F2"), WEIGHT_BITS),
    "states": Group(("A1", "A2"), WEIGHT_BITS),
    "state biases": Group(("a1", "a2"), BITS_MAX),
    "distribution": Group(("A3", "L"), WEIGHT_BITS),
    "distribution biases": Group(("b",), BITS_MAX),
    "taps": Group(("taps",), TAP_BITS),
    "hidden": Group(("B1",), BITS_MAX),
    "hidden biases": Group(("c1",), BITS_MAX),
    "output": Group(("B2",), BITS_MAX),
    "output biases": Group(("c2",), BITS_MAX),
    "straight": Group(("M",), BITS_MAX),
    "residual": Group(("R1", "R2"), BITS_MAX),
    "residual biases": Group(("r1", "r2"), BITS_MAX),
}
CONTEXT = tuple(GROUPS)[:5]
PICTURE = tuple(GROUPS)[5:]


class Rounded(NamedTuple):
    """Parameters of one group, one part after the other."""

    bits: int
    """The numbers count 2^-bits."""
    scale: int
    """Of the distribution that they are coded with."""
    numbers: Integers

    @classmethod
    def of(
        cls, architecture: Architecture, parameters: Floats, name: str, bits: int, moments: Moments | None = None
    ) -> Rounded:
        """Each to the nearest, or those of a row together where the moments of their inputs are known."""
        parts = [parameters[place].astype(np.float64) * (1 << bits) for place in places(architecture, name)]
        if moments and name in moments:
            inputs = moments[name]
            parts = [rounded_together(part.reshape(-1, len(inputs)), inputs, NUMBER_MAX).ravel() for part in parts]
        numbers = np.clip(np.rint(np.concatenate(parts)), -NUMBER_MAX, NUMBER_MAX).astype(np.int32)
        return cls(bits, _best_scale(numbers), numbers)


@dataclass(frozen=True)
class Network:
    """The numbers of one network."""

    architecture: Architecture
    state_bits: int
    """Behind the point of upsampled latents and of the hidden layer, 0 to 12."""
    bits: dict[str, int]
    """Of each group: its numbers count 2^-bits."""
    scales: dict[str, int]
    """Of each group: the scale its numbers are coded with."""
    numbers: Integers
    """In the order of `Architecture.shapes`."""

    @classmethod
    def of(cls, architecture: Architecture, groups: Mapping[str, Rounded], state_bits: int) -> Network:
        """Of all groups of its parameters."""
        numbers = np.zeros(architecture.parameters, np.int32)
        for name, rounded in groups.items():
            start = 0
            for place in places(architecture, name):
                numbers[place] = rounded.numbers[start : start + place.stop - place.start]
                start += place.stop - place.start
        bits = {name: rounded.bits for name, rounded in groups.items()}
        return cls(architecture, state_bits, bits, {name: groups[name].scale for name in groups}, numbers)

    def group(self, name: str) -> Integers:
        """Its numbers, one part after the other."""
        return np.concatenate([self.numbers[place] for place in places(self.architecture, name)])

    # --- in a stream ----------------------------------------------------------------------------------------------

    def put(self, stream: Stream) -> None:
        """Write, or count, all but the size of the picture."""
        a = self.architecture
        stream.bits(4, a.neighbours - 1)
        stream.bits(3, a.features - 1)
        stream.bits(6, a.hidden - 1)
        stream.bits(4, self.state_bits)
        for name in GROUPS:
            stream.bits(4, self.bits[name])
            stream.bits(7, self.scales[name])
            stream.values(self.group(name), self.scales[name], NUMBER_MAX)

    @classmethod
    def take(cls, stream: Stream, height: int, width: int, channels: int, grids: int) -> Network:
        """Read what `put` wrote. Raises `CorruptFile`."""
        neighbours, features, hidden = stream.bits(4) + 1, stream.bits(3) + 1, stream.bits(6) + 1
        state_bits = stream.bits(4)
        try:
            architecture = Architecture(height, width, channels, grids, neighbours, features, hidden)
        except ValueError as error:
            raise CorruptFile(f"a tile has no network that can be: {error}") from None
        bits, scales = dict[str, int](), dict[str, int]()
        numbers = np.zeros(architecture.parameters, np.int32)
        for name, group in GROUPS.items():
            bits[name], scales[name] = stream.bits(4), stream.bits(7)
            if bits[name] > group.most or scales[name] >= SCALES:
                raise CorruptFile(f"the group {name!r} of a tile's network has {bits[name]} bits, scale {scales[name]}")
            for place in places(architecture, name):
                numbers[place] = stream.values(numbers[place], scales[name], NUMBER_MAX)
        return cls(architecture, state_bits, bits, scales, numbers)

    # --- as the decoder computes with it --------------------------------------------------------------------------

    @property
    def hidden_shift(self) -> int:
        return self.bits["hidden"]

    @property
    def output_shift(self) -> int:
        finest = max(self.bits["output"], self.bits["straight"])
        return max(finest + self.state_bits - PIXEL_BITS, 0)

    @property
    def residual_shift(self) -> int:
        return self.bits["residual"]

    def points(self) -> dict[str, int]:
        """Of each group: how many bits behind the point its integers have when they are computed with."""
        output = self.output_shift + PIXEL_BITS
        return {
            "features": WEIGHT_BITS, "states": WEIGHT_BITS, "state biases": SUM_BITS, "distribution": WEIGHT_BITS,
            "distribution biases": SUM_BITS, "taps": TAP_BITS,
            "hidden": self.hidden_shift, "hidden biases": self.hidden_shift + self.state_bits,
            "output": output - self.state_bits, "output biases": output, "straight": output - self.state_bits,
            "residual": self.residual_shift, "residual biases": self.residual_shift + PIXEL_BITS,
        }  # fmt: skip

    def integers(self) -> Integers:
        """The numbers at their points; what lies below is rounded, halves up."""
        integers = np.zeros(self.architecture.parameters, np.int64)
        for name, point in self.points().items():
            by = point - self.bits[name]
            for place in places(self.architecture, name):
                numbers = self.numbers[place].astype(np.int64)
                integers[place] = numbers << by if by >= 0 else (numbers + (1 << -by - 1)) >> -by
        return np.clip(integers, -(1 << 30), 1 << 30).astype(np.int32)


def places(architecture: Architecture, name: str) -> list[slice]:
    """Where a group's parts lie among the parameters."""
    return [architecture.slices[part] for part in GROUPS[name].parts]


def bits_slope(architecture: Architecture, parameters: Floats) -> Floats:
    """Of the bits that parameters cost by the parameters: 1 / b nats, b being the mean magnitude of a group."""
    slope = np.sign(parameters)
    for name in GROUPS:
        parts = places(architecture, name)
        mean = sum(float(np.abs(parameters[part]).sum()) for part in parts) / sum(p.stop - p.start for p in parts)
        for part in parts:
            slope[part] *= NAT / max(mean, SMALLEST_MEAN)
    return slope


def _best_scale(numbers: Integers) -> int:
    """The scale that codes some numbers in the fewest bits."""
    mean = float(np.abs(numbers).mean())
    usual = min(round(8 * (np.log2(max(mean, 2**-5)) + 5)), SCALES - 1)
    near = range(max(usual - 8, 0), min(usual + 9, SCALES))
    counter = Stream.counter()
    costs = []
    for scale in near:
        before = counter.count
        counter.values(numbers, scale, NUMBER_MAX)
        costs.append(counter.count - before)
    return near[int(np.argmin(costs))]


class Decoder:
    """A network ready for the kernel. Raises `CorruptFile` where its sums might overflow."""

    def __init__(self, network: Network, depth: int) -> None:
        a = network.architecture
        self.architecture, self.depth = a, depth
        self._shape = ffi.new(
            "fit_shape *",
            (a.height, a.width, a.channels, a.grids, a.neighbours, a.features, a.hidden, depth, network.state_bits,
             network.hidden_shift, network.output_shift, network.residual_shift),
        )  # fmt: skip
        self._numbers = network.integers()
        if lib.fit_number_count(self._shape) != self._numbers.size:
            raise AssertionError("kernel and architecture have other networks")
        if lib.fit_check(self._shape, self._at(self._numbers)):
            raise CorruptFile("a tile's network has numbers that are too large")

    @property
    def latent_count(self) -> int:
        return int(lib.fit_latent_count(self._shape))

    def code(self, stream: Stream, latents: Latents | None = None) -> Latents:
        """Latents through a stream; None where they are decoded. Raises `CorruptFile`."""
        latents = np.zeros(self.latent_count, np.int16) if latents is None else latents.copy()
        buffer = ffi.from_buffer("int16_t[]", latents, require_writable=True)
        _check(lib.fit_code_latents(stream.coder, self._shape, self._at(self._numbers), buffer))
        return latents

    def render(self, latents: Latents) -> npt.NDArray[np.uint16]:
        """The picture (h, w, channels)."""
        a = self.architecture
        pixels = np.empty((a.height, a.width, a.channels), np.uint16)
        buffer = ffi.from_buffer("uint16_t[]", pixels, require_writable=True)
        given = ffi.from_buffer("int16_t[]", latents)
        _check(lib.fit_render(self._shape, self._at(self._numbers), given, buffer))
        return pixels

    @staticmethod
    def _at(numbers: Integers) -> Any:
        return ffi.from_buffer("int32_t[]", numbers)


def _check(status: int) -> None:
    if status == lib.FIT_NO_MEMORY:
        raise MemoryError("no memory for a tile")
    if status:
        raise CorruptFile("a tile's stream ends too early")
