"""Planes by filters and zlib: they come back and refuse damage."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from calotype.coding.planes import pack_plane, unpack_plane
from calotype.errors import CorruptFile


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (64, 1), (1, 90)])
def test_planes_come_back(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    for values in (rng.integers(0, 256, shape), np.full(shape, 255), np.indices(shape).sum(0) % 256):
        plane = values.astype(np.uint8)
        np.testing.assert_array_equal(unpack_plane(pack_plane(plane), *shape), plane)


def test_planes_refuse_damage() -> None:
    packed = pack_plane(np.full((8, 8), 7, np.uint8))
    for damaged in (b"", packed[:-1], b"\x09" + packed[1:], packed + b"x", packed[:1] + b"nonsense"):
        with pytest.raises(CorruptFile):
            unpack_plane(damaged, 8, 8)
    with pytest.raises(CorruptFile):
        unpack_plane(packed, 8, 7)


def test_whatever_follows_a_whole_plane_is_refused() -> None:
    """Some damage shows only when zlib is asked for what comes after the plane."""
    packed = pack_plane(np.indices((6, 9)).sum(0).astype(np.uint8))
    for place in range(1, len(packed)):
        for change in range(1, 256):
            damaged = packed[:place] + bytes([packed[place] ^ change]) + packed[place + 1 :]
            with contextlib.suppress(CorruptFile):
                assert unpack_plane(damaged, 6, 9).shape == (6, 9)
