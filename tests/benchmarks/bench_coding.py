"""Speed and overhead of the entropy coder beside constriction's, on one core.

    pytest tests/benchmarks/bench_coding.py --benchmark-columns=min,median,ops

Workload: 64 zero-mean Gaussians with sigma from 0.11 to 64, logarithmically spaced, as the scale table of a
hyperprior (Ballé et al. 2018). *skewed* draws the table number as floor(64 u^3), u uniform, so that 69 % of
the symbols use the lower third of the tables, as the mostly empty latents of a learned codec do; *uniform*
draws all alike. `extra_info` of the results (`--benchmark-json`, `--benchmark-verbose`) holds millions of
symbols per second (from the fastest round), bits per symbol, and the overhead over the code length of the
same symbols by the exact distributions.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from calotype.coding import BitCounter, Decoder, Encoder, Tables, crc32c

constriction = pytest.importorskip("constriction")

SIGMAS = np.geomspace(0.11, 64, 64)
TABLES = Tables.gaussian(SIGMAS)
COUNT = 1 << 21
RIVAL_COUNT = 1 << 18
LARGEST = 600  # constriction's Gaussians need bounds


@cache
def workload(usage: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2024)
    u = rng.random(COUNT)
    index = (64 * (u**3 if usage == "skewed" else u)).astype(np.int32)
    return np.rint(SIGMAS[index] * rng.standard_normal(COUNT)).astype(np.int32), index


def ideal_bits(symbols: np.ndarray, index: np.ndarray) -> float:
    """Code length of the symbols by the exact Gaussians."""
    erfc = np.vectorize(math.erfc, otypes=[float])
    pairs, counts = np.unique(np.stack((np.abs(symbols), index)), axis=1, return_counts=True)
    size, scale = pairs[0], 1 / (SIGMAS[pairs[1]] * math.sqrt(2))
    inside = 1 - erfc(0.5 * scale)
    outside = (erfc((size - 0.5) * scale) - erfc((size + 0.5) * scale)) / 2
    return float(-(counts * np.log2(np.where(size == 0, inside, outside))).sum())


def note(benchmark: BenchmarkFixture, count: int, size: int, ideal: float) -> None:
    assert benchmark.stats is not None
    benchmark.extra_info["Msymbols_per_s"] = round(count / benchmark.stats.stats.min / 1e6, 1)
    benchmark.extra_info["bits_per_symbol"] = round(8 * size / count, 4)
    benchmark.extra_info["overhead_percent"] = round(100 * (8 * size / ideal - 1), 4)


@pytest.mark.parametrize("usage", ["skewed", "uniform"])
@pytest.mark.benchmark(group="encode")
def test_encode(benchmark: BenchmarkFixture, usage: str) -> None:
    symbols, index = workload(usage)

    def encode() -> bytes:
        encoder = Encoder()
        encoder.code(symbols, TABLES, index)
        return encoder.finish()

    data = benchmark(encode)
    note(benchmark, COUNT, len(data), ideal_bits(symbols, index))


@pytest.mark.parametrize("usage", ["skewed", "uniform"])
@pytest.mark.benchmark(group="decode")
def test_decode(benchmark: BenchmarkFixture, usage: str) -> None:
    symbols, index = workload(usage)
    encoder = Encoder()
    encoder.code(symbols, TABLES, index)
    data = encoder.finish()

    def decode() -> np.ndarray:
        decoder = Decoder(data)
        decoded = decoder.code(None, TABLES, index)
        decoder.finish()
        return decoded

    np.testing.assert_array_equal(benchmark(decode), symbols)
    note(benchmark, COUNT, len(data), ideal_bits(symbols, index))


@pytest.mark.benchmark(group="count")
def test_count(benchmark: BenchmarkFixture) -> None:
    symbols, index = workload("skewed")

    def count() -> float:
        counter = BitCounter()
        counter.code(symbols, TABLES, index)
        return counter.bytes

    size = benchmark(count)
    note(benchmark, COUNT, int(size), ideal_bits(symbols, index))


@pytest.mark.benchmark(group="small")
def test_small_calls(benchmark: BenchmarkFixture) -> None:
    """A context model that codes 100 symbols at a time."""
    symbols, index = (array[:10_000].reshape(-1, 100) for array in workload("skewed"))

    def encode() -> bytes:
        encoder = Encoder()
        for row, tables in zip(symbols, index, strict=True):
            encoder.code(row, TABLES, tables)
        return encoder.finish()

    data = benchmark(encode)
    note(benchmark, 10_000, len(data), ideal_bits(symbols.ravel(), index.ravel()))


@pytest.mark.parametrize("usage", ["skewed", "uniform"])
@pytest.mark.benchmark(group="encode")
def test_encode_constriction(benchmark: BenchmarkFixture, usage: str) -> None:
    symbols, index = (array[:RIVAL_COUNT] for array in workload(usage))
    model = constriction.stream.model.QuantizedGaussian(-LARGEST, LARGEST)
    means, sigmas = np.zeros(RIVAL_COUNT), SIGMAS[index]

    def encode() -> np.ndarray:
        coder = constriction.stream.stack.AnsCoder()
        coder.encode_reverse(symbols, model, means, sigmas)
        return coder.get_compressed()

    words = benchmark(encode)
    note(benchmark, RIVAL_COUNT, words.nbytes, ideal_bits(symbols, index))


@pytest.mark.parametrize("usage", ["skewed", "uniform"])
@pytest.mark.benchmark(group="decode")
def test_decode_constriction(benchmark: BenchmarkFixture, usage: str) -> None:
    symbols, index = (array[:RIVAL_COUNT] for array in workload(usage))
    model = constriction.stream.model.QuantizedGaussian(-LARGEST, LARGEST)
    means, sigmas = np.zeros(RIVAL_COUNT), SIGMAS[index]
    coder = constriction.stream.stack.AnsCoder()
    coder.encode_reverse(symbols, model, means, sigmas)
    words = coder.get_compressed()

    def decode() -> np.ndarray:
        return constriction.stream.stack.AnsCoder(words).decode(model, means, sigmas)

    np.testing.assert_array_equal(benchmark(decode), symbols)
    note(benchmark, RIVAL_COUNT, words.nbytes, ideal_bits(symbols, index))


@pytest.mark.benchmark(group="checksum")
def test_crc32c(benchmark: BenchmarkFixture) -> None:
    data = np.random.default_rng(0).integers(0, 256, 1 << 20, dtype=np.uint8)
    benchmark(crc32c, data)
    assert benchmark.stats is not None
    benchmark.extra_info["GB_per_s"] = round(data.size / benchmark.stats.stats.min / 1e9, 2)


@pytest.mark.parametrize(
    "tables", [TABLES, Tables.gaussian(np.full(4096, 1.0))], ids=["64 Gaussians", "4096 small ones"]
)
@pytest.mark.benchmark(group="derived tables")
def test_tables_for_the_kernel(benchmark: BenchmarkFixture, tables: Tables) -> None:
    """Once for a model, before its first file."""
    arrays = tables.to_arrays()
    assert benchmark(lambda: Tables.from_arrays(arrays).kernel) is not None
