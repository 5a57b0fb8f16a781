"""Whole numbers of few bytes: each has exactly one form, and everything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.coding.varint import join_records, read_varint, split_records, write_varint
from calotype.errors import CorruptFile

LARGEST = 2**63 - 1
FORMS = {
    0: "00",
    1: "01",
    127: "7f",
    128: "80 01",
    300: "ac 02",
    16383: "ff 7f",
    16384: "80 80 01",
    LARGEST: "ff ff ff ff ff ff ff ff 7f",
}
NUMBERS = st.integers(0, LARGEST) | st.integers(0, 63).map(lambda bits: 2**bits - 1)
BYTES = st.binary(max_size=12) | st.lists(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]), max_size=12).map(bytes)


@pytest.mark.parametrize(("value", "form"), FORMS.items())
def test_the_forms_of_some_numbers(value: int, form: str) -> None:
    assert write_varint(value) == bytes.fromhex(form)


@given(NUMBERS, st.binary(max_size=5), st.binary(max_size=5))
def test_numbers_come_back_from_any_place(value: int, before: bytes, after: bytes) -> None:
    form = write_varint(value)
    assert len(form) == max(1, -(-value.bit_length() // 7))
    assert read_varint(memoryview(before + form + after), len(before)) == (value, len(before + form))


@given(BYTES)
def test_a_number_has_no_other_form(data: bytes) -> None:
    try:
        value, end = read_varint(memoryview(data), 0)
    except CorruptFile:
        return
    assert write_varint(value) == data[:end]


@pytest.mark.parametrize("value", [-1, LARGEST + 1, 2**70])
def test_other_numbers_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match=str(value)):
        write_varint(value)


@pytest.mark.parametrize("form", ["80 00", "ac 82 00", "ff ff ff ff ff ff ff ff 00"])
def test_longer_forms_are_refused(form: str) -> None:
    with pytest.raises(CorruptFile, match="shortest"):
        read_varint(memoryview(bytes.fromhex(form)), 0)


@pytest.mark.parametrize("form", ["80" * 9 + "01", "ff" * 9 + "7f", "ff" * 20])
def test_numbers_beyond_63_bits_are_refused(form: str) -> None:
    with pytest.raises(CorruptFile, match="too long"):
        read_varint(memoryview(bytes.fromhex(form)), 0)


@given(NUMBERS)
def test_cut_numbers_are_refused(value: int) -> None:
    form = write_varint(value)
    for length in range(len(form)):
        with pytest.raises(CorruptFile, match="cut off"):
            read_varint(memoryview(form[:length]), 0)


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_records_come_back(records: list[bytes]) -> None:
    assert split_records(join_records(records)) == records


@given(st.binary(max_size=40))
def test_records_have_no_other_form(body: bytes) -> None:
    try:
        records = split_records(body)
    except CorruptFile:
        return
    assert join_records(records) == body


@pytest.mark.parametrize("body", [b"\x01", b"\x05abcd", b"\x00\x02a", write_varint(LARGEST) + b"abc", b"\x80"])
def test_records_beyond_their_end_are_refused(body: bytes) -> None:
    with pytest.raises(CorruptFile):
        split_records(body)
