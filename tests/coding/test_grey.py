"""Grey planes by interpolation: they come back, take the shorter way, and refuse damage."""

from __future__ import annotations

import numpy as np
import pytest

from calotype.coding import BitCounter, Encoder
from calotype.coding.grey import INTERPOLATED, PACKED, pack_grey, unpack_grey
from calotype.coding.planes import Plane
from calotype.errors import CalotypeError


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3), (31, 33), (65, 64), (100, 2)])
def test_planes_come_back(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    smooth = 128 + 60 * np.sin(np.indices(shape).sum(0) / 9) + rng.normal(0, 2, shape)
    for values in (rng.integers(0, 256, shape), np.full(shape, 255), smooth):
        plane = values.astype(np.uint8)
        packed = pack_grey(plane, Encoder())
        assert abs(len(pack_grey(plane, BitCounter())) - len(packed)) <= 4
        np.testing.assert_array_equal(unpack_grey(packed, *shape), plane)


def test_planes_take_the_shorter_way(photo: Plane) -> None:
    assert pack_grey(photo[..., 0], Encoder())[0] == INTERPOLATED
    assert pack_grey(np.full((90, 80), 255, np.uint8), Encoder())[0] == PACKED


def test_planes_refuse_damage(photo: Plane) -> None:
    plane = photo[:40, :40, 0]
    packed = pack_grey(plane, Encoder())
    for damaged in (b"", b"\x02" + packed[1:], packed[:-2], packed + b"xx", b"\x00nonsense"):
        with pytest.raises(CalotypeError):
            unpack_grey(damaged, 40, 40)
