"""Encoder, decoder and bit counter against each other, and a decoder written from docs/reference/rans.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.coding import PRECISION, BitCounter, Decoder, Encoder, Tables, crc32c
from calotype.errors import CorruptFile, Desync

TOTAL = 1 << PRECISION
EXTREMES = np.array([-(2**31), 2**31 - 1, 0, -1, 1])


class ReferenceDecoder:
    """The specification in plain Python, slow and obvious."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0
        flags = self.take(1)
        assert flags < 4
        escape_bytes = self.varint() if flags & 2 else 0
        self.escapes = ReferenceDecoder.__new__(ReferenceDecoder)
        self.escapes.data, self.escapes.position = data[self.position : self.position + escape_bytes], 0
        self.position += escape_bytes
        self.states = [self.take(4) for _ in range(8 if flags & 1 else 1)]
        self.count = 0

    def take(self, size: int) -> int:
        value = int.from_bytes(self.data[self.position : self.position + size], "little")
        self.position += size
        return value

    def varint(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self.take(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def symbol(self, frequencies: list[int], minimum: int) -> int:
        """One symbol; the last of `frequencies` is the escape's."""
        lane = self.count % len(self.states)
        self.count += 1
        x = self.states[lane]
        slot, start, k = x % TOTAL, 0, 0
        while slot >= start + frequencies[k]:
            start += frequencies[k]
            k += 1
        x = frequencies[k] * (x // TOTAL) + slot - start
        if x < 2**16:
            x = x * 2**16 + self.take(2)
        self.states[lane] = x
        if k < len(frequencies) - 1:
            return minimum + k
        value = self.escapes.varint()
        distance = value // 2
        return minimum - 1 - distance if value % 2 else minimum + k + distance

    def finish(self) -> bool:
        ended = self.position == len(self.data) and self.escapes.position == len(self.escapes.data)
        return ended and all(x == 2**16 for x in self.states)


Call = tuple[npt.NDArray[np.integer[Any]], Tables, npt.NDArray[np.integer[Any]]]  # symbols, tables, index


def split(tables: Tables) -> list[list[int]]:
    return [part.tolist() for part in np.split(tables.frequencies, np.cumsum(tables.lengths + 1)[:-1])]


def encode(calls: Sequence[Call]) -> bytes:
    encoder = Encoder()
    for symbols, tables, index in calls:
        np.testing.assert_array_equal(encoder.code(symbols, tables, index), symbols)
    return encoder.finish()


def decode(data: bytes, tables: Tables, index: np.ndarray) -> np.ndarray:
    decoder = Decoder(data)
    symbols = decoder.code(None, tables, index)
    decoder.finish()
    return symbols


def assert_round_trip(calls: Sequence[Call]) -> bytes:
    data = encode(calls)
    decoder = Decoder(data)
    for symbols, tables, index in calls:
        decoded = decoder.code(None, tables, index)
        assert decoded.dtype == np.int32
        assert decoded.shape == np.shape(index)
        np.testing.assert_array_equal(decoded, symbols)
    decoder.finish()
    return data


def random_tables(rng: np.random.Generator, count: int, largest: int = 40) -> Tables:
    """Tables from nearly flat to nearly certain, some with a heavy escape."""
    pmfs = []
    for _ in range(count):
        weights = rng.random(rng.integers(1, largest + 1)) ** rng.integers(1, 30)
        pmfs.append(weights / weights.sum() * rng.choice([1.0, 0.999, 0.5]))
    return Tables.from_pmfs(pmfs, rng.integers(-60, 30, count).tolist())


def random_call(rng: np.random.Generator, tables: Tables, shape: int | Sequence[int], escape_rate: float) -> Call:
    index = rng.integers(0, len(tables), shape)
    symbols = tables.minimums[index] + np.floor(rng.random(shape) * tables.lengths[index]).astype(np.int64)
    escaped = rng.random(shape) < escape_rate
    symbols = np.where(escaped, rng.integers(-(2**31), 2**31, shape) >> rng.integers(0, 31, shape), symbols)
    return symbols, tables, index


def gaussian_call(seed: int, n: int) -> Call:
    rng = np.random.default_rng(seed)
    sigmas = np.geomspace(0.11, 64, 64)
    index = (64 * rng.random(n) ** 3).astype(np.int32)
    symbols = np.rint(sigmas[index] * rng.standard_normal(n)).astype(np.int32)
    return symbols, Tables.gaussian(sigmas), index


@given(
    seed=st.integers(0, 2**32),
    sets=st.lists(st.integers(1, 300), min_size=1, max_size=3),
    shapes=st.lists(st.lists(st.integers(0, 40), max_size=3), max_size=6),
    escape_rate=st.sampled_from([0.0, 0.01, 1.0]),
)
def test_round_trip(seed: int, sets: list[int], shapes: list[list[int]], escape_rate: float) -> None:
    rng = np.random.default_rng(seed)
    families = [random_tables(rng, min(size, 12) if size < 290 else size, 12) for size in sets]
    assert_round_trip(
        [random_call(rng, families[k % len(families)], shape, escape_rate) for k, shape in enumerate(shapes)]
    )


@pytest.mark.parametrize("n", [1, 7, 8, 9, 100, 4095, 4096, 4097, 60_000])
def test_eight_and_one_lane_agree_with_the_specification(n: int) -> None:
    rng = np.random.default_rng(n)
    tables = random_tables(rng, 20)
    symbols, _, index = random_call(rng, tables, n, 0.02)
    cut = n // 3
    data = assert_round_trip([(symbols[:cut], tables, index[:cut]), (symbols[cut:], tables, index[cut:])])
    assert data[0] & 1 == (n > 50_000)  # both layouts are met
    reference, frequencies = ReferenceDecoder(data), split(tables)
    decoded = [reference.symbol(frequencies[t], int(tables.minimums[t])) for t in index]
    np.testing.assert_array_equal(decoded, symbols)
    assert reference.finish()


def test_many_tables_take_the_wide_buckets() -> None:
    rng = np.random.default_rng(5)
    tables = random_tables(rng, 300, 900)
    assert_round_trip([random_call(rng, tables, (50, 700), 0.001)])


def test_the_wire_is_frozen() -> None:
    """Bytes of a stream written by the first version; a change here breaks every file."""
    tables = Tables.from_arrays(
        {
            "frequencies": np.array([8192, 4096, 4095, 1], np.uint16),
            "lengths": np.array([3], np.int32),
            "minimums": np.array([-1], np.int32),
        }
    )
    symbols = np.array([-1, 0, 1, -2, 2, 1000, -1, -1, -1, 0])
    data = assert_round_trip([(symbols, tables, np.zeros_like(symbols))])
    assert data.hex() == "02040100cc0f08c01300ffffff7f0000"
    many = np.tile(np.concatenate((symbols, [0, 1, -1])), 8000)
    data = assert_round_trip([(many, tables, np.zeros_like(many))])
    assert (data[0], len(data), crc32c(data)) == (3, 89060, 1264370689)


def test_empty_stream_is_empty() -> None:
    tables = Tables.gaussian([1.0])
    nothing = np.empty((0, 3), np.int32)
    assert assert_round_trip([(nothing, tables, nothing)]) == b""
    Decoder(b"").finish()
    with pytest.raises(CorruptFile):
        Decoder(b"").code(None, tables, np.zeros(1, np.int32))


def test_a_certain_symbol_takes_five_bytes() -> None:
    tables = Tables.gaussian([0.11])
    zeros = np.zeros(1000, np.int32)
    assert len(assert_round_trip([(zeros, tables, zeros)])) == 5


def test_every_int32_passes_through_an_escape() -> None:
    tables = Tables.from_pmfs([np.full(3, 0.3), np.full(2, 0.4), np.array([0.5])], [-1, 2**31 - 2, -(2**31)])
    index = np.arange(15) % 3
    assert_round_trip([(np.repeat(EXTREMES, 3), tables, index)])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int64", "uint64", ">i4"])
def test_integer_arrays_of_any_layout(dtype: str) -> None:
    tables = Tables.gaussian([1.0, 3.0])
    symbols = np.arange(60).reshape(3, 4, 5).astype(dtype)
    index = (symbols % 2).astype(dtype)
    for view in (symbols.T, symbols[:, ::2], symbols[::-1], symbols[0, 0, 0]):
        assert_round_trip([(view, tables, index.T if view is symbols.T else np.asarray(view % 2))])


def test_contiguous_int32_is_not_copied() -> None:
    symbols = np.zeros((2, 3), np.int32)
    assert Encoder().code(symbols, Tables.gaussian([1.0]), symbols) is symbols


@pytest.mark.parametrize("coder", [Encoder, BitCounter])
@pytest.mark.parametrize(
    ("symbols", "index", "error"),
    [
        (None, [0], ValueError),
        ([0, 1], [0], ValueError),
        ([[0, 1]], [0, 0], ValueError),
        ([0.0], [0], TypeError),
        ([0], [0.0], TypeError),
        ([True], [0], TypeError),
        ([2**31], [0], ValueError),
        ([-(2**31) - 1], [0], ValueError),
        ([0], [2], ValueError),
        ([0], [-1], ValueError),
        ([0], [2**31 - 1], ValueError),
    ],
)
def test_wrong_arguments_are_refused(
    coder: type[Encoder | BitCounter], symbols: list[Any] | None, index: list[Any], error: type[Exception]
) -> None:
    given_symbols = None if symbols is None else np.array(symbols)
    with pytest.raises(error):
        coder().code(given_symbols, Tables.gaussian([1.0, 2.0]), np.array(index))


def test_decoder_refuses_symbols_and_strange_tables() -> None:
    symbols, tables, index = gaussian_call(1, 100)
    data = encode([(symbols, tables, index)])
    with pytest.raises(ValueError):
        Decoder(data).code(symbols, tables, index)
    for stranger in (-1, 64, 2**31 - 1, -(2**31)):
        with pytest.raises(CorruptFile):
            Decoder(data).code(None, tables, np.where(np.arange(100) == 70, stranger, index))


@pytest.mark.parametrize("n", [1, 50, 50_000])
def test_bit_counter_foretells_the_bytes(n: int) -> None:
    symbols, tables, index = gaussian_call(n, n)
    symbols[::97] = 5000 - symbols[::97]
    counter = BitCounter()
    counter.code(symbols, tables, index)
    assert counter.bits == pytest.approx(tables.bits(symbols, index).sum(), rel=1e-12)
    slack = 20 if n > 10_000 else 3  # each lane's last state is rounded to a word
    assert abs(len(encode([(symbols, tables, index)])) - counter.bytes) <= slack
    assert BitCounter().bytes == 0


@pytest.mark.parametrize("n", [1, 30, 400, 30_000])
def test_every_truncation_is_noticed(n: int) -> None:
    symbols, tables, index = gaussian_call(n, n)
    symbols[::50] += 1000
    data = encode([(symbols, tables, index)])
    lengths = range(len(data)) if n < 1000 else np.random.default_rng(0).integers(0, len(data), 300).tolist()
    for length in lengths:
        with pytest.raises((CorruptFile, Desync)):
            decode(data[:length], tables, index)


def test_what_remains_is_a_desync() -> None:
    symbols, tables, index = gaussian_call(3, 500)
    data = encode([(symbols, tables, index)])
    decoder = Decoder(data)
    decoder.code(None, tables, index[:-3])
    with pytest.raises(Desync):
        decoder.finish()
    for extra in (b"\0", b"\0\0"):
        with pytest.raises((CorruptFile, Desync)):
            decode(data + extra, tables, index)


@given(seed=st.integers(0, 2**32))
def test_damage_is_an_error_or_other_symbols(seed: int) -> None:
    """A flipped bit is an error or other symbols of the right shape; sizes come from `index` alone."""
    rng = np.random.default_rng(seed)
    symbols, tables, index = gaussian_call(seed % 8, int(rng.choice([20, 3000, 40_000])))
    data = bytearray(encode([(symbols, tables, index)]))
    for _ in range(rng.integers(1, 4)):
        data[rng.integers(0, len(data))] ^= 1 << rng.integers(0, 8)
    try:
        assert decode(bytes(data), tables, index).shape == index.shape
    except (CorruptFile, Desync):
        return


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        b"\x04" + bytes([0, 0, 1, 0]),  # unknown flag
        b"\x00" + bytes([255, 255, 0, 0]),  # state below 2^16
        b"\x00" + bytes([0, 0, 1]),
        b"\x00" + bytes([0, 0, 1, 0, 9]),  # half a word
        b"\x01" + bytes([0, 0, 1, 0]) * 7,
        b"\x02\x00" + bytes([0, 0, 1, 0]),  # escapes announced, none there
        b"\x02\x09" + bytes([0, 0, 1, 0]),
        b"\x02" + b"\xff" * 12,  # endless number
    ],
)
def test_malformed_heads(data: bytes) -> None:
    with pytest.raises(CorruptFile):
        Decoder(data)


@pytest.mark.parametrize("escape", [b"\xff\xff\xff\xff\x7f", b"\xff\xff\xff\xff\xff\x01", b"\x80", b""])
def test_malformed_escapes(escape: bytes) -> None:
    """Too far for 32 bits, endless, cut off, or missing; the rest of the stream is intact."""
    tables = Tables.from_pmfs([np.array([0.5])], [0])
    data = encode([(np.array([7]), tables, np.array([0]))])
    assert data[:3] == b"\x02\x01\x0c"  # 7 lies 6 above the table
    head = bytes([2, len(escape)]) + escape if escape else b"\x00"
    with pytest.raises(CorruptFile):
        Decoder(head + data[3:]).code(None, tables, np.array([0]))
