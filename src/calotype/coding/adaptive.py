"""Adaptive tables: what a network predicts of latents, corrected while coding by what is known around each of them.

A network gives every symbol a table number, its *index*. Here the symbol's *level* (its magnitude) is coded with a
table that a few *features* shift: logarithms of how much larger the levels known around it are than was expected of
them. How much each counts is learned while coding, in encoder and decoder alike, from start values that were fitted to
images. Signs have a logistic regression on the symbols around them. `docs/reference/adaptive.md` has the formulas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import CorruptFile
from ._kernel import ffi, lib
from .rdoq import Targets
from .tables import Floats, Int32, Tables, int32

Float32 = npt.NDArray[np.float32]
Int16 = npt.NDArray[np.int16]

LISTS, FRIENDS, FEATURES, SIGNS = lib.CALO_LISTS, lib.CALO_FRIENDS, lib.CALO_FEATURES, lib.CALO_SIGNS
SIGN_TABLES, LEVELS = lib.CALO_SIGN_TABLES, lib.CALO_LEVELS
REACH, COLUMNS = lib.CALO_REACH, lib.CALO_COLUMNS
_TYPES = {"friend": np.int16, "sign": np.int16, "sign_known": np.uint8}
_KINDS = {np.dtype(np.float32): "float", np.dtype(np.int16): "int16_t", np.dtype(np.uint8): "uint8_t"} | {
    np.dtype(np.int8): "int8_t",
    np.dtype(np.uint32): "uint32_t",
}
_RATES = ("bias", "slope", "common", "sign", "keep", "common_keep", "prior", "common_prior")

Learned = dict[str, Float32]
"""Arrays that the kernel changes while it codes, by their names there."""


class Evidence(NamedTuple):
    """What start values count for against what is learned."""

    slope: float
    common: float
    sign: float


START = Evidence(10.0, 60.0, 20.0)  # of fitted ones; chosen on tiles


class Part(NamedTuple):
    """Consecutive channels at one place of the cells."""

    channel: int
    channels: int
    row: int = 0
    column: int = 0


@dataclass(frozen=True, eq=False)
class Adaptive:
    """What adaptive coding of an array of latents begins with.

    Raises
    ------
    ValueError
        The arrays do not fit together.
    """

    tables: Tables
    """Of levels, two per index, then of signs."""
    expected: Float32
    """Mean level by index; shape (indices,)."""
    gradient: Float32
    """Derivative of a level's ln p by the index, larger levels as the last; shape (level tables, LEVELS)."""
    fisher: Float32
    """Mean square of the gradient; shape (level tables,)."""
    friend: Int16
    """Channels whose levels go with a channel's, at its position and in its cell; shape (channels, LISTS, FRIENDS)."""
    friend_weight: Float32
    """What their levels count, 0 behind the last of a list; shape (channels, LISTS, FRIENDS)."""
    sign: Int16
    """Neighbours that tell a sign: channel, rows and columns to it; shape (channels, SIGNS, 3)."""
    sign_known: npt.NDArray[np.uint8]
    """1 where they tell something, else 0; shape (channels,)."""
    slope: Float32
    """What each feature shifts the index by, and the bias; shape (channels, FEATURES + 1)."""
    common: Float32
    """What is added to all channels' slopes, at low and high indices; shape (2, FEATURES)."""
    sign_weight: Float32
    """Weights of the neighbours' signed shares; shape (channels, SIGNS)."""
    rates: Float32
    """How fast it learns, in the order of the kernel's `calo_rates`; then the level below which a row is quiet."""

    def __post_init__(self) -> None:
        levels, channels = len(self.tables) - SIGN_TABLES, self.channels
        shapes: dict[str, tuple[int, ...]] = {
            "expected": (self.expected.size,),
            "gradient": (levels, LEVELS),
            "fisher": (levels,),
            "friend": (channels, LISTS, FRIENDS),
            "friend_weight": (channels, LISTS, FRIENDS),
            "sign": (channels, SIGNS, 3),
            "sign_known": (channels,),
            "slope": (channels, FEATURES + 1),
            "common": (2, FEATURES),
            "sign_weight": (channels, SIGNS),
            "rates": (len(_RATES) + 1,),
        }
        for name, shape in shapes.items():
            array, wanted = getattr(self, name), _TYPES.get(name, np.float32)
            if array.dtype != wanted or array.shape != shape or min(shape) < 1:
                raise ValueError(f"{name} must be {wanted.__name__} {shape}, not {array.dtype} {array.shape}")
            if wanted is np.float32 and not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite")
            array.setflags(write=False)
        for named in (self.friend, self.sign[..., 0]):
            if not ((named >= 0) & (named < channels)).all():
                raise ValueError("a neighbour's channel does not exist")
        if (abs(self.sign[..., 1:].astype(int)) > REACH).any():
            raise ValueError(f"a neighbour lies further away than {REACH}")
        if (self.expected < 0).any() or (self.friend_weight < 0).any() or (self.rates[4:] < 0).any():
            raise ValueError("what is expected, weights and rates must not be negative")
        if (self.tables.minimums != 0).any() or (self.tables.lengths[levels:] != 2).any():
            raise ValueError("tables of levels begin at 0, those of signs have two symbols")

    @property
    def channels(self) -> int:
        """Of the latents."""
        return len(self.slope)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Adaptive:
        """Take back what `to_arrays` gave. Raises `CorruptFile`."""
        tables = Tables.from_arrays(arrays)
        try:
            return cls(tables, *(np.array(arrays[field.name]) for field in fields(cls)[1:]))
        except KeyError as error:
            raise CorruptFile(f"adaptive tables without {error}") from error
        except ValueError as error:
            raise CorruptFile(f"not a set of adaptive tables: {error}") from error

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All of it, as arrays by name."""
        return self.tables.to_arrays() | {field.name: getattr(self, field.name) for field in fields(self)[1:]}

    def field(self, height: int, width: int, side: int) -> Field:
        """Begin an array of latents (channels, height, width), coded in cells of side x side; whole cells only."""
        return Field(self, height, width, side, self.start())

    def start(self, evidence: Evidence = START) -> Learned:
        """What is learned while coding, before anything is."""
        slope = np.zeros((self.channels, lib.CALO_SLOPES), np.float32)
        slope[:, : FEATURES + 1] = self.slope
        return {
            "slope": slope,
            "slope_evidence": np.full_like(slope, evidence.slope),
            "common": self.common.copy(),
            "common_evidence": np.full_like(self.common, evidence.common),
            "sign_weight": self.sign_weight.copy(),
            "sign_evidence": np.full_like(self.sign_weight, evidence.sign),
        }

    @cached_property
    def neighbours(self) -> npt.NDArray[Any]:
        """`sign` as the kernel has it."""
        kind = np.dtype([("channels", np.int16), ("rows", np.int8), ("columns", np.int8)])
        array = np.empty(self.sign.shape[:-1], kind)
        array["channels"] = self.sign[..., 0] - np.arange(self.channels, dtype=np.int16)[:, None]
        array["rows"], array["columns"] = self.sign[..., 1], self.sign[..., 2]
        return array

    @cached_property
    def bits(self) -> Float32:
        """Code length of each place in bits; an escape's with a byte of its own."""
        bits = self.tables.entry_bits.astype(np.float32)
        bits[self.tables.entry_starts + self.tables.lengths] += 8
        return bits


class Field:
    """One array of latents in work: what is known of it so far, and what was learned from it.

    Encoder and decoder call `at` for the same parts in the same order, each with a coder's `code`.
    """

    def __init__(self, model: Adaptive, height: int, width: int, side: int, learned: Learned) -> None:
        rows, columns = height // side, width // side
        if side not in (1, 2) or height % side or width % side or not rows or not 1 <= columns <= COLUMNS:
            raise ValueError(f"latents of {height} x {width} cannot be coded in cells of {side}")
        self.model, self.shape = model, (rows, columns)
        channels, places = model.channels, side * side
        stride = -(-columns // 8) * 8 + 2 * REACH
        plane = 16 * (-(-(rows + 2 * REACH) * stride // 16) | 1)  # an odd number of cache lines: planes do not collide
        arrays = {
            **{
                name: getattr(model, name)
                for name in ("expected", "gradient", "fisher", "friend", "friend_weight", "sign_known")
            },
            **learned,
            "sign": model.neighbours,
            "known": np.zeros(channels * places * plane, np.uint32),
            "cells": np.zeros(channels * plane, np.uint32),
            "lean": np.zeros(channels * places * plane, np.int8),
            "site_level": np.zeros(places * plane, np.float32),
            "site_mean": np.zeros(places * plane, np.float32),
        }
        numbers = {
            "level_tables": len(model.tables) - SIGN_TABLES,
            "indices": model.expected.size,
            "channels": channels,
            "side": side,
            "places": places,
            "rows": rows,
            "columns": columns,
            "stride": stride,
            "plane": plane,
            "quiet": float(model.rates[-1]),
        }
        self._arrays = arrays
        self.kernel = ffi.new("calo_field *", numbers)
        self.kernel.tables = model.tables.kernel
        for name, rate in zip(_RATES, model.rates.tolist(), strict=False):
            setattr(self.kernel.rates, name, rate)
        for name, array in arrays.items():
            kind = "calo_neighbour" if name == "sign" else _KINDS[array.dtype]
            setattr(self.kernel, name, ffi.from_buffer(f"{kind}[]", array))

    def at(self, parts: Sequence[Part]) -> Step:
        """What a coder's `code` takes for symbols (channels, rows, columns) of some parts, joined along channels."""
        return Step(self, parts)


class Step:
    """Some parts of a `Field`, to be coded once; takes the place of `Tables` in a coder's `code`.

    `parameters` are the indices of the symbols. An encoder may be given `Targets` for symbols.
    """

    def __init__(self, field: Field, parts: Sequence[Part]) -> None:
        self._field = field
        self._parts = ffi.new("calo_part[]", [tuple(part) for part in parts])
        self._shape = (sum(part.channels for part in parts), *field.shape)

    def symbols_shape(self, index: Int32) -> tuple[int, ...]:
        """Shape of the symbols that `index` is for."""
        if index.shape != self._shape:
            raise ValueError(f"index must be {self._shape}, not {index.shape}")
        return self._shape

    def locate(
        self, given: Any, parameters: npt.NDArray[np.integer[Any]]
    ) -> tuple[Int32, npt.NDArray[np.uint32], bytes]:
        """Symbols, their places (n,) in the order of coding, and the escaped ones' bytes."""
        index = int32(parameters, "indices")
        shape, model = self.symbols_shape(index), self._field.model
        targets, held = ffi.NULL, None
        if isinstance(given, Targets):
            symbols = np.empty(shape, np.int32)
            held = [np.ascontiguousarray(np.broadcast_to(array, shape), np.float32) for array in given[:2]]
            pointers = [ffi.from_buffer("float[]", array) for array in (*held, model.bits)]
            targets = ffi.new("calo_targets *", (*pointers, given.most))
        else:
            symbols = int32(given, "symbols")
            if symbols.shape != shape:
                raise ValueError(f"symbols {symbols.shape} and index {shape} differ in shape")
            if symbols.min() == np.iinfo(np.int32).min:
                raise ValueError("the magnitude of a symbol must fit 31 bits")
        places = np.empty(2 * symbols.size, np.uint32)
        escapes = np.empty(5 * symbols.size, np.uint8)
        placed, escaped = ffi.new("size_t *"), ffi.new("size_t *")
        status = lib.calo_field_encode(
            self._field.kernel, self._parts, len(self._parts), targets, ffi.from_buffer("int32_t[]", symbols),
            ffi.from_buffer("int32_t[]", index), ffi.from_buffer("uint32_t[]", places), placed,
            ffi.from_buffer("uint8_t[]", escapes), escaped,
        )  # fmt: skip
        if status:
            raise ValueError(f"an index lies outside 0 .. {model.expected.size - 1}")
        return symbols, places[: placed[0]].copy(), escapes[: escaped[0]].tobytes()

    def place_bits(self, places: npt.NDArray[np.uint32]) -> Floats:
        """Code length of each place in bits, without an escape's bytes."""
        return self._field.model.tables.place_bits(places)

    def push(
        self, places: npt.NDArray[np.uint32], lanes: int, lane: int, states: Any, words: Any, position: int
    ) -> int:
        """Encode places, last first; see `calo_encode`."""
        return self._field.model.tables.push(places, lanes, lane, states, words, position)

    def pop(self, decoder: Any, index: Int32, symbols: Int32) -> int:
        """Decode into `symbols`; returns a status."""
        status: int = lib.calo_field_decode(
            self._field.kernel, self._parts, len(self._parts), decoder, ffi.from_buffer("int32_t[]", index),
            ffi.from_buffer("int32_t[]", symbols),
        )  # fmt: skip
        return status


def portable(yes: bool) -> None:
    """For tests: do without wider instructions from now on."""
    lib.calo_field_portable(yes)
