"""CRC-32C against its published check values and a bitwise implementation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.coding import crc32c
from calotype.coding._kernel import ffi, lib


def bitwise(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),  # RFC 3720, B.4
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_published_values(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


@given(data=st.binary(max_size=300), cut=st.integers(0, 300))
def test_both_implementations_and_continuation(data: bytes, cut: int) -> None:
    expected = bitwise(data)
    assert crc32c(data) == expected
    assert lib.calo_crc32c_portable(0, ffi.from_buffer("uint8_t[]", data), len(data)) == expected
    assert crc32c(data[cut:], crc32c(data[:cut])) == expected


def test_buffers_of_any_kind() -> None:
    array = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)
    expected = bitwise(array.tobytes())
    for buffer in (array, array.tobytes(), bytearray(array.tobytes()), memoryview(array.tobytes())):
        assert crc32c(buffer) == expected
    assert crc32c(np.empty((0, 4))) == 0
    with pytest.raises(ValueError):
        crc32c(array[:, ::2])
