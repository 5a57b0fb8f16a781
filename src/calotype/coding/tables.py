"""Frequency tables: the integers that decide every probability of an entropy-coded stream.

Glossary: a *table* covers the symbols `minimum .. minimum + length - 1` and ends with the *escape*, which
stands for all other values. A symbol's *place* is the number of its entry in the kernel's arrays, which hold
all tables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import CorruptFile
from ._kernel import ffi, lib
from .quantise import quantise
from .rdoq import Targets, rdoq

Int32 = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

PRECISION = 14
"""Frequencies of a table sum to 2**14; a probability is their quotient."""

MAX_TABLES = 1 << 16  # what a weights file may ask of memory: 256 bytes of buckets per table,
MAX_ENTRIES = 1 << 22  # and 20 bytes per entry
TAIL_MASS = 2.0**-14  # Gaussians of 0.11 to 64 are shortest with 2^-13, but real tails are heavier

_TOTAL = 1 << PRECISION
_FEW_TABLES = 128  # up to here narrow buckets decode faster; beyond, 2 KiB each fall out of the caches


@dataclass(frozen=True, eq=False)
class Tables:
    """A set of integer frequency tables; symbol i of an array is coded with the table `index[i]`.

    Raises
    ------
    ValueError
        The arrays are not such a set.
    """

    frequencies: npt.NDArray[np.uint16]
    """Table after table: one frequency per symbol, then that of the escape; each >= 1, with sum 2**14."""
    lengths: Int32
    """Number of symbols of each table, the escape not counted; shape (tables,)."""
    minimums: Int32
    """Smallest symbol of each table; shape (tables,)."""

    def __post_init__(self) -> None:
        _validate(self.frequencies, self.lengths, self.minimums)
        for array in (self.frequencies, self.lengths, self.minimums):
            array.setflags(write=False)

    @classmethod
    def from_pmfs(cls, pmfs: Sequence[Floats], minimums: Sequence[int]) -> Tables:
        """Quantise one probability mass function per table; `pmfs[t][k]` is that of symbol `minimums[t] + k`.

        What is missing to a sum of one goes to the escape. The rounding is the one that makes codes shortest.
        """
        if len(pmfs) != len(minimums):
            raise ValueError(f"{len(pmfs)} tables, but {len(minimums)} minimums")
        parts = []
        for pmf in pmfs:
            pmf = np.asarray(pmf, dtype=np.float64)
            escape = max(0.0, 1.0 - float(pmf.sum()))
            parts.append(quantise(np.append(pmf, escape), _TOTAL).astype(np.uint16))
        lengths = np.array([part.size - 1 for part in parts], dtype=np.int32)
        frequencies = np.concatenate(parts) if parts else np.empty(0, np.uint16)
        return cls(frequencies, lengths, np.array(minimums, dtype=np.int32))

    @classmethod
    def gaussian(cls, sigmas: Sequence[float] | Floats, tail_mass: float = TAIL_MASS) -> Tables:
        """Tables for round(x), x normal with mean 0 and standard deviation `sigmas[t]`.

        A table covers as few symbols as leave at most `tail_mass` to the escape. Uses `math.erfc`, so the
        result may differ between machines by a unit: freeze it with the weights, never build it to decode.
        """
        pmfs = [_gaussian_pmf(float(sigma), tail_mass) for sigma in sigmas]
        return cls.from_pmfs(pmfs, [-(pmf.size // 2) for pmf in pmfs])

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Tables:
        """Take back what `to_arrays` gave.

        Raises
        ------
        CorruptFile
            An array is missing, of another type, or the tables are none.
        """
        try:
            given = [arrays[name] for name in ("frequencies", "lengths", "minimums")]
            return cls(*(np.array(array, copy=True) for array in given))
        except KeyError as error:
            raise CorruptFile(f"tables without {error}") from error
        except ValueError as error:
            raise CorruptFile(f"not a set of frequency tables: {error}") from error

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the integers that are the tables: `frequencies` uint16, `lengths` and `minimums` int32."""
        return {"frequencies": self.frequencies, "lengths": self.lengths, "minimums": self.minimums}

    def __len__(self) -> int:
        return self.lengths.size

    def __reduce__(self) -> tuple[type[Tables], tuple[npt.NDArray[Any], ...]]:
        return Tables, (self.frequencies, self.lengths, self.minimums)

    def bits(self, symbols: npt.NDArray[np.integer[Any]], index: npt.NDArray[np.integer[Any]]) -> Floats:
        """Return the ideal code length of each symbol in bits, escapes with their bytes; shape of `index`."""
        symbols, index = int32(symbols, "symbols"), int32(index, "index")
        _, places, escapes = self.locate(symbols, index)
        bits = self.entry_bits[places]
        if escapes:
            ends = np.flatnonzero(np.frombuffer(escapes, np.uint8) < 0x80)
            starts = self.entry_starts[index.ravel()]
            escaped = places == starts + self.lengths[index.ravel()]
            bits[escaped] += 8 * np.diff(ends, prepend=-1)
        return bits.reshape(index.shape)

    def locate(self, given: Any, index: Int32) -> tuple[Int32, npt.NDArray[np.uint32], bytes]:
        """Return symbols as int32, their places (n,), and the escaped ones' bytes; `index` has the symbols' shape."""
        symbols = rdoq(given, self, index) if isinstance(given, Targets) else int32(given, "symbols")
        if symbols.shape != index.shape:
            raise ValueError(f"symbols {symbols.shape} and index {index.shape} differ in shape")
        n = symbols.size
        places = np.empty(n, dtype=np.uint32)
        given, tables = ffi.from_buffer("int32_t[]", symbols), ffi.from_buffer("int32_t[]", index)
        found, escapes, done = ffi.from_buffer("uint32_t[]", places), bytearray(), 0
        written = ffi.new("size_t *")
        capacity = 64 + n // 64
        while done < n:
            buffer = np.empty(capacity, dtype=np.uint8)
            taken = lib.calo_places(
                self.kernel, given + done, tables + done, n - done, found + done,
                ffi.from_buffer("uint8_t[]", buffer), capacity, written,
            )  # fmt: skip
            if taken < 0:
                raise ValueError(f"a table number lies outside 0 .. {len(self) - 1}")
            escapes += buffer[: written[0]].tobytes()
            done += taken
            capacity = min(4 * capacity, 5 * (n - done) + 64)
        return symbols, places, bytes(escapes)

    def symbols_shape(self, index: Int32) -> tuple[int, ...]:
        """Shape of the symbols that `index` is for."""
        return index.shape

    def place_bits(self, places: npt.NDArray[np.uint32]) -> Floats:
        """Code length of each place in bits, without an escape's bytes."""
        return self.entry_bits[places]

    def push(
        self, places: npt.NDArray[np.uint32], lanes: int, lane: int, states: Any, words: Any, position: int
    ) -> int:
        """Encode places, last first; see `calo_encode`."""
        found = ffi.from_buffer("uint32_t[]", places)
        return lib.calo_encode(self.kernel, found, places.size, lanes, lane, states, words, position)

    def pop(self, decoder: Any, index: Int32, symbols: Int32) -> int:
        """Decode into `symbols`; returns a status."""
        tables, found = ffi.from_buffer("int32_t[]", index), ffi.from_buffer("int32_t[]", symbols)
        return lib.calo_decode(decoder, self.kernel, tables, index.size, found)

    @cached_property
    def entry_starts(self) -> npt.NDArray[np.int64]:
        """Place of each table's first symbol; shape (tables,)."""
        sizes = self.lengths.astype(np.int64) + 1 + lib.CALO_GUARDS
        return np.cumsum(sizes) - sizes

    @cached_property
    def entry_bits(self) -> Floats:
        """Code length of each place in bits, without an escape's bytes."""
        table = np.repeat(np.arange(len(self)), self.lengths + 1)
        bits = np.zeros(self.frequencies.size + len(self) * lib.CALO_GUARDS)
        bits[np.arange(self.frequencies.size) + table * lib.CALO_GUARDS] = PRECISION - np.log2(self.frequencies)
        return bits

    @cached_property
    def kernel(self) -> Any:
        """The `calo_tables *` that the kernel works with."""
        return self._kernel_and_memory[0]

    @cached_property
    def _kernel_and_memory(self) -> tuple[Any, list[npt.NDArray[Any]]]:
        entries = self.frequencies.size + len(self) * lib.CALO_GUARDS
        width = lib.CALO_NARROW if len(self) <= _FEW_TABLES else lib.CALO_WIDE
        shapes = {
            "table": ("calo_table[]", 12 * len(self)),
            "shift": ("uint32_t[]", 4 * len(self)),
            "entry": ("calo_entry[]", 4 * entries),
            "symbol": ("calo_symbol[]", 16 * entries),
            "bucket": ("uint32_t[]", 4 * len(self) << PRECISION - width),
        }
        kernel = ffi.new("calo_tables *", {"tables": len(self), "width": width})
        memory = [np.empty(-(-size // 8), dtype=np.uint64) for _, size in shapes.values()]
        for (name, (kind, _)), array in zip(shapes.items(), memory, strict=True):
            setattr(kernel, name, ffi.from_buffer(kind, array))
        status = lib.calo_tables_build(
            kernel,
            ffi.from_buffer("uint16_t[]", self.frequencies),
            self.frequencies.size,
            ffi.from_buffer("int32_t[]", self.lengths),
            ffi.from_buffer("int32_t[]", self.minimums),
        )
        if status:
            raise ValueError("not a set of frequency tables")
        return kernel, memory


def int32(values: npt.NDArray[np.integer[Any]], what: str) -> Int32:
    """Return integers as a C-contiguous int32 array, copied only if they are not one.

    Raises
    ------
    TypeError
        They are no integers.
    ValueError
        They do not fit.
    """
    array = np.asarray(values)
    if array.dtype != np.int32:
        if array.dtype.kind not in "iu":
            raise TypeError(f"{what} must be integers, not {array.dtype}")
        limits = np.iinfo(np.int32)
        wide = array.size > 0 and not np.can_cast(array.dtype, np.int32)
        if wide and (int(array.min()) < limits.min or int(array.max()) > limits.max):
            raise ValueError(f"{what} must fit 32 bits")
    return np.asarray(array, dtype=np.int32, order="C")


def _validate(frequencies: npt.NDArray[Any], lengths: npt.NDArray[Any], minimums: npt.NDArray[Any]) -> None:
    for name, array, dtype in (
        ("frequencies", frequencies, np.uint16),
        ("lengths", lengths, np.int32),
        ("minimums", minimums, np.int32),
    ):
        if array.dtype != dtype or array.ndim != 1 or not array.flags.c_contiguous:
            raise ValueError(f"{name} must be a flat {dtype.__name__} array, not {array.dtype} {array.shape}")
    if lengths.size != minimums.size or lengths.size > MAX_TABLES or frequencies.size > MAX_ENTRIES:
        raise ValueError(f"{lengths.size} lengths, {minimums.size} minimums, {frequencies.size} frequencies")
    if lengths.size and (lengths.min() < 1 or lengths.max() >= _TOTAL):
        raise ValueError(f"a table has 1 to {_TOTAL - 1} symbols")
    if (minimums.astype(np.int64) + lengths > 1 << 31).any():
        raise ValueError("symbols must fit 32 bits")
    ends = np.cumsum(lengths, dtype=np.int64) + np.arange(1, lengths.size + 1)
    if (int(ends[-1]) if ends.size else 0) != frequencies.size:
        raise ValueError("lengths and frequencies do not agree")
    sums = np.diff(np.cumsum(frequencies, dtype=np.int64)[ends - 1], prepend=0)
    if (frequencies == 0).any() or (sums != _TOTAL).any():
        raise ValueError(f"frequencies must be at least 1 and sum to {_TOTAL}")


def _gaussian_pmf(sigma: float, tail_mass: float) -> Floats:
    if not sigma > 0 or not math.isfinite(sigma):
        raise ValueError(f"a standard deviation must be positive, not {sigma}")
    scale = 1 / (sigma * math.sqrt(2))
    tails = [math.erfc(0.5 * scale)]  # tails[k] is the mass beyond k + 0.5 on both sides
    while tails[-1] > tail_mass:
        tails.append(math.erfc((len(tails) + 0.5) * scale))
    half = (np.array(tails[:-1]) - np.array(tails[1:])) / 2
    return np.concatenate((half[::-1], [1 - tails[0]], half))
