from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.codec import Chunk
from calotype.coding.checksum import crc32c
from calotype.coding.varint import read_varint, write_varint
from calotype.container import FREE_PIXELS, MAGIC, MAX_CHUNKS, PIXELS_PER_BYTE, Bound, Header, pack, unpack
from calotype.errors import CorruptFile, LimitExceeded, UnsupportedFile

HEADER = Header("vae", 1, b"\x5e\x1f\x00\xd5", (512, 768, 3), 8)
CHUNKS = [Chunk("e", b"Ex"), Chunk("A", b"abc"), Chunk("z", b"")]

headers = st.builds(
    Header,
    codec=st.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True),
    wire_version=st.integers(0, 2**63 - 1),
    digest=st.binary(min_size=4, max_size=4),
    shape=st.builds(
        lambda sides, channels: (*sides, channels),
        st.lists(st.integers(1, 2**32 - 1), min_size=2, max_size=5),
        st.integers(1, 4),
    ),
    depth=st.integers(1, 16),
)
tags = st.sampled_from("ABCXYZafkwyz")
chunk_lists = st.lists(st.builds(Chunk, tags, st.binary(max_size=300)), min_size=1, max_size=5)


def seal(start: bytes) -> bytes:
    return start + crc32c(start).to_bytes(4, "little")


def file_of(fields: bytes, version: int = 1, rest: bytes | None = None) -> bytes:
    """A file with a right checksum around any fields."""
    chunk = seal(bytes((ord("A") | 0x80, 1)) + b"x") if rest is None else rest
    return seal(MAGIC + bytes((version, len(fields))) + fields) + chunk


@given(headers, chunk_lists)
def test_everything_comes_back(header: Header, chunks: list[Chunk]) -> None:
    assert unpack(pack(header, chunks), max_pixels=None) == (header, chunks)


def test_the_example_of_the_specification() -> None:
    text = Path(__file__).parents[1].joinpath("docs/FORMAT.md").read_text()
    rows = re.search(r"## Example.*?```\n(.*?)```", text, re.DOTALL)
    assert rows is not None
    data = bytes.fromhex("".join(re.split(r"  +", row)[0] for row in rows[1].splitlines()))
    assert data == pack(HEADER, CHUNKS[:2])
    assert unpack(data) == (HEADER, CHUNKS[:2])


@pytest.mark.parametrize("size", [16384, 100_000, 2**21 - 1])
def test_a_plain_photo_costs_30_bytes(size: int) -> None:
    assert len(pack(HEADER, [Chunk("A", bytes(size))])) - size == 30


def test_every_change_of_a_byte_is_noticed() -> None:
    data = pack(HEADER, CHUNKS)
    for position in range(len(data)):
        for change in range(1, 256):
            changed = bytearray(data)
            changed[position] ^= change
            with pytest.raises(CorruptFile):
                unpack(changed)


def test_every_cut_is_noticed() -> None:
    data = pack(HEADER, CHUNKS)
    for length in range(len(data)):
        with pytest.raises(CorruptFile):
            unpack(data[:length])


@given(st.binary(min_size=1, max_size=20))
def test_appended_bytes_are_noticed(more: bytes) -> None:
    with pytest.raises(CorruptFile, match="follow"):
        unpack(pack(HEADER, CHUNKS) + more)


def test_a_missing_and_an_additional_chunk_are_noticed() -> None:
    data = pack(HEADER, [Chunk("A", b"abc")])
    last = len(data) - 9
    with pytest.raises(CorruptFile, match="last chunk is missing"):
        unpack(data[:last])
    with pytest.raises(CorruptFile, match="follow"):
        unpack(data + data[last:])


@given(st.binary(max_size=200))
def test_random_bytes_are_corrupt(data: bytes) -> None:
    for start in (data, MAGIC + data):
        with pytest.raises(CorruptFile):
            unpack(start)


def test_a_newer_version_is_told_from_damage() -> None:
    fields = b"what a newer version has here"
    with pytest.raises(UnsupportedFile, match="version 2"):
        unpack(file_of(fields, version=2, rest=b""))
    damaged = bytearray(file_of(fields, version=2, rest=b""))
    damaged[10] ^= 1
    with pytest.raises(CorruptFile):
        unpack(damaged)


GOOD_FIELDS = b"\x01dige\x27\x05\x06vae"


def test_fields_made_by_hand_are_read() -> None:
    header, chunks = unpack(file_of(GOOD_FIELDS))
    assert header == Header("vae", 1, b"dige", (5, 6, 3), 8)
    assert chunks == [Chunk("A", b"x")]


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"\x01dig",
        b"\x01dige\x27\x05",
        b"\x01dige\x27\x05\x06",  # no name
        b"\x01dige\x27\x05\x06Vae",
        b"\x01dige\x27\x05\x06va\xe9",
        b"\x01dige\x27\x05\x06" + b"a" * 33,
        b"\x01dige\x27\x00\x06vae",  # no rows
        b"\x01dige\x27\x85\x00\x06vae",  # a longer form of 5
        b"\x81\x00dige\x27\x05\x06vae",
        b"\x01dige\x27" + b"\xff" * 9 + b"\x01\x06vae",  # 64 bits
        b"\x01dige\x27" + write_varint(2**32) + b"\x06vae",
    ],
)
def test_wrong_fields_are_corrupt_even_with_a_right_checksum(fields: bytes) -> None:
    with pytest.raises(CorruptFile):
        unpack(file_of(fields))


@pytest.mark.parametrize(
    "chunk",
    [
        bytes((ord("A") | 0x80,)) + write_varint(2**62) + b"x" * 8,  # a length beyond the file
        seal(bytes((ord("A") | 0x80, 0x81, 0x00)) + b"x"),  # a longer form of 1
        seal(bytes((ord("1") | 0x80, 1)) + b"x"),  # not a letter
        seal(bytes((ord("A"), 1)) + b"x"),  # no last chunk
        b"",
    ],
)
def test_wrong_chunks_are_corrupt(chunk: bytes) -> None:
    with pytest.raises(CorruptFile):
        unpack(file_of(GOOD_FIELDS, rest=chunk))


def test_metadata_stands_once() -> None:
    with pytest.raises(CorruptFile, match="more than one"):
        unpack(pack(HEADER, [Chunk("x", b"1"), Chunk("x", b"2")]))


def test_limit_counts_views_and_comes_after_damage() -> None:
    data = pack(Header("vae", 1, b"dige", (2, 3, 10, 10, 3), 8), [Chunk("A", b"abc")])
    assert unpack(data, max_pixels=600)[0].pixels == 600
    with pytest.raises(LimitExceeded, match="600"):
        unpack(data, max_pixels=599)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x55
        with pytest.raises(CorruptFile):
            unpack(damaged, max_pixels=599)


def test_the_usual_limit_is_500_million() -> None:
    def photo(height: int) -> bytes:
        return pack(Header("vae", 1, b"dige", (height, 1_000_000, 3), 8), [Chunk("A", bytes(60_000))])

    assert unpack(photo(500))[0].pixels == 500_000_000
    with pytest.raises(LimitExceeded):
        unpack(photo(501))


def test_few_bytes_do_not_ask_for_many_pixels() -> None:
    def photo(size: int) -> bytes:
        return pack(Header("vae", 1, b"dige", (10_000, 10_000, 3), 8), [Chunk("A", bytes(size))])

    enough = next(size for size in range(3900, 4100) if FREE_PIXELS + PIXELS_PER_BYTE * len(photo(size)) >= 10**8)
    assert unpack(photo(enough))[0].pixels == 10**8
    with pytest.raises(LimitExceeded, match=r"100,000,000 pixels in 4,\d\d\d bytes.*max-pixels"):
        unpack(photo(enough - 1))
    assert unpack(photo(0), max_pixels=10**8)[0].pixels == 10**8  # whoever names a limit means it


def test_floods_of_chunks_are_refused() -> None:
    chunks = [Chunk("z", b"")] * (MAX_CHUNKS - 1) + [Chunk("A", b"")]
    data = pack(HEADER, chunks)
    assert unpack(data)[1] == chunks
    with pytest.raises(ValueError, match="4096"):
        pack(HEADER, [*chunks, Chunk("A", b"")])
    start = len(pack(HEADER, chunks[:1])) - 6
    with pytest.raises(CorruptFile, match="more than 4096"):
        unpack(data[:start] + data[start : start + 6] + data[start:])


@given(st.integers(0, 2**63 - 1))
def test_varints_come_back(value: int) -> None:
    data = write_varint(value)
    assert len(data) == max(1, -(-value.bit_length() // 7))
    assert read_varint(memoryview(data + b"\xff"), 0) == (value, len(data))


@pytest.mark.parametrize("value", [-1, 2**63])
def test_varints_have_a_range(value: int) -> None:
    with pytest.raises(ValueError):
        write_varint(value)


@pytest.mark.parametrize(
    "header",
    [
        Header("Vae", 1, b"dige", (1, 1, 1), 8),
        Header("vae", 1, b"dig", (1, 1, 1), 8),
        Header("vae", 1, b"dige", (0, 1, 1), 8),
        Header("vae", 1, b"dige", (1, 1, 5), 8),
        Header("vae", 1, b"dige", (1, 1, 1, 1, 1, 1, 1), 8),
        Header("vae", 1, b"dige", (1, 1, 1), 17),
    ],
)
def test_a_codec_cannot_write_outside_the_format(header: Header) -> None:
    with pytest.raises(ValueError):
        pack(header, [Chunk("A", b"")])


@pytest.mark.parametrize("chunks", [[], [Chunk("", b"")], [Chunk("1", b"")], [Chunk("é", b"")]])
def test_a_codec_cannot_write_other_tags(chunks: list[Chunk]) -> None:
    with pytest.raises(ValueError):
        pack(HEADER, chunks)


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_a_bound_comes_back(one: int, other: int) -> None:
    bound = Bound(max(one, other), min(one, other))
    chunks = unpack(pack(HEADER, [bound.pack(), Chunk("A", b"abc")]))[1]
    assert Bound.of(chunks) == bound
    assert Bound.of(chunks[1:]) is None


@pytest.mark.parametrize(
    "body", [b"", b"\x05", b"\x05\x06", b"\x05\x05\x00", b"\x80\x80\x04\x00", b"\x85"], ids=bytes.hex
)
def test_what_is_no_bound_is_refused(body: bytes) -> None:
    with pytest.raises(CorruptFile):
        Bound.of([Chunk("b", body)])


def test_two_bounds_are_one_too_many() -> None:
    with pytest.raises(CorruptFile, match="more than one chunk 'b'"):
        unpack(pack(HEADER, [Bound(1, 1).pack(), Bound(2, 1).pack(), Chunk("A", b"abc")]))
