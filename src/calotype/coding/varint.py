"""Whole numbers of few bytes: LEB128, as container and streams write their lengths."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import CorruptFile, TruncatedFile

_MAX_BYTES = 9  # 63 bits, so that a value fits everyone's signed 64-bit integer


def write_varint(value: int) -> bytes:
    """Little-endian groups of 7 bits, the highest bit set in all bytes but the last."""
    if not 0 <= value < 1 << 7 * _MAX_BYTES:
        raise ValueError(f"{value} does not fit into a varint")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(view: memoryview, position: int) -> tuple[int, int]:
    """Read a value and the position after it; only the shortest form of a value is allowed.

    Raises
    ------
    CorruptFile
        It is too long or not in its shortest form; `TruncatedFile` where the bytes end within it.
    """
    value = 0
    for count, byte in enumerate(view[position : position + _MAX_BYTES]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            if byte == 0 and count > 0:
                raise CorruptFile("a number is not in its shortest form")
            return value, position + count + 1
    if position + _MAX_BYTES > len(view):
        raise TruncatedFile("a number is cut off")
    raise CorruptFile("a number is too long")


def join_records(records: Sequence[bytes]) -> bytes:
    """Byte strings in one, each after its length."""
    return b"".join(write_varint(len(record)) + record for record in records)


def split_records(body: bytes) -> list[bytes]:
    """Undo `join_records`. Raises `CorruptFile`."""
    records, place, view = [], 0, memoryview(body)
    while place < len(body):
        record, place = read_record(view, place)
        records.append(record)
    return records


def read_record(view: memoryview, place: int) -> tuple[bytes, int]:
    """One byte string of `join_records` and the place after it. Raises `CorruptFile`."""
    length, place = read_varint(view, place)
    if length > len(view) - place:
        raise CorruptFile("a tile reaches beyond its chunk")
    return bytes(view[place : place + length]), place + length
