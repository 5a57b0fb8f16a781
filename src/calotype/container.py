"""Bytes of a `.calo` file <-> `Header` and chunks; docs/FORMAT.md is the specification.

A file is `magic, version, length, header, CRC32C`, then chunks `tag, length, body, CRC32C`. The highest bit
of the last chunk's tag says that nothing follows, so missing and appended chunks are noticed without a count.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .codec import Chunk
from .coding.checksum import crc32c
from .coding.varint import read_varint, write_varint
from .errors import CorruptFile, LimitExceeded, TruncatedFile, UnsupportedFile
from .options import DEFAULT_MAX_PIXELS

MAX_CHUNKS = 4096
# Under the usual limit a file may declare so many pixels, and so many more for each of its bytes: a few hundred bytes
# must not ask for half an hour of work.
FREE_PIXELS, PIXELS_PER_BYTE = 1 << 26, 1 << 13
MAGIC = b"\xcaLO"  # 0xCA before 'L' is not UTF-8, so no text file begins like this
VERSION = 1
METADATA_TAGS = {"i": "icc", "e": "exif", "x": "xmp", "c": "cicp", "g": "gamma", "d": "density"}
# tag -> field of `image.Metadata`
BOUND_TAG = "b"

Buffer = bytes | bytearray | memoryview

_CRC_BYTES = 4
_LAST = 0x80  # bit of a tag byte: no chunk follows
_MAX_SIDE = 2**32 - 1
_NAME = re.compile(rb"[a-z][a-z0-9-]{0,31}")


class Bound(NamedTuple):
    """What a near-lossless file says of the error of its samples; the body of chunk `b`."""

    promised: int
    """No sample is off by more."""
    reached: int
    """The largest error that there is."""

    def pack(self) -> Chunk:
        return Chunk(BOUND_TAG, write_varint(self.promised) + write_varint(self.reached))

    @classmethod
    def of(cls, chunks: Iterable[Chunk]) -> Bound | None:
        """That of a file, if it has one. Raises `CorruptFile`."""
        body = next((chunk.body for chunk in chunks if chunk.tag == BOUND_TAG), None)
        if body is None:
            return None
        promised, place = read_varint(memoryview(body), 0)
        reached, place = read_varint(memoryview(body), place)
        if place != len(body) or not reached <= promised < 1 << 16:
            raise CorruptFile("the file's bound on its errors is damaged")
        return cls(promised, reached)


@dataclass(frozen=True)
class Header:
    """What a file says about itself before its chunks."""

    codec: str
    """Name of the codec: a lower-case letter, then up to 31 lower-case letters, digits and hyphens."""
    wire_version: int
    """Version of the codec's own bitstream."""
    digest: bytes
    """First 4 bytes of the digest of the weights that the file was coded with."""
    shape: tuple[int, ...]
    """Shape of the pixels: (*views, height, width, channels); at most 3 view dimensions, 1 to 4 channels."""
    depth: int
    """Bits per sample, 1 to 16."""

    @property
    def pixels(self) -> int:
        """Number of pixels, over all views."""
        return math.prod(self.shape[:-1])


def pack(header: Header, chunks: Iterable[Chunk]) -> bytes:
    """Write a whole file.

    Raises
    ------
    ValueError
        A field is outside the format, which is a mistake of the caller: of a codec, never of a user.
    """
    chunks = list(chunks)
    if not 1 <= len(chunks) <= MAX_CHUNKS:
        raise ValueError(f"a file has 1 to {MAX_CHUNKS} chunks, not {len(chunks)}")
    fields = _pack_fields(header)
    start = MAGIC + bytes((VERSION, len(fields))) + fields
    parts = [start, _checksum(start)]
    for left, chunk in zip(reversed(range(len(chunks))), chunks, strict=True):
        if not is_tag(chunk.tag):
            raise ValueError(f"a tag is one ASCII letter, not {chunk.tag!r}")
        last = _LAST if left == 0 else 0
        framed = bytes((ord(chunk.tag) | last,)) + write_varint(len(chunk.body)) + chunk.body
        parts += [framed, _checksum(framed)]
    return b"".join(parts)


def unpack(data: Buffer, max_pixels: int | None = DEFAULT_MAX_PIXELS) -> tuple[Header, list[Chunk]]:
    """Read and check a whole file.

    Parameters
    ----------
    data
        The file.
    max_pixels
        Largest number of pixels, views included; None is no limit. The usual one also refuses very many pixels in very
        few bytes.

    Returns
    -------
    header, chunks
        All chunks in their order, unknown ones too. A caller skips lower-case tags that it does not know and
        refuses upper-case ones.

    Raises
    ------
    CorruptFile
        Damaged, truncated, extended, or not a Calotype file.
    UnsupportedFile
        An intact file of a newer format version.
    LimitExceeded
        An intact file that declares more than `max_pixels`.
    """
    header, chunks, cut = _unpack(data)
    if cut is not None:
        raise cut
    _check_limit(header, len(data), max_pixels)
    return header, chunks


def unpack_cut(
    data: Buffer, max_pixels: int | None = DEFAULT_MAX_PIXELS
) -> tuple[Header, list[Chunk], TruncatedFile | None]:
    """As `unpack`, but of a file that was cut off behind its header: the complete chunks, and what is to be said."""
    header, chunks, cut = _unpack(data)
    _check_limit(header, len(data), max_pixels)
    return header, chunks, cut


def _unpack(data: Buffer) -> tuple[Header, list[Chunk], TruncatedFile | None]:
    view = memoryview(data).cast("B")
    header, position = unpack_header(view)
    chunks: list[Chunk] = []
    cut = None
    try:
        for chunk, end in read_chunks(view, position):
            chunks.append(chunk)
            position = end
    except TruncatedFile as error:
        cut = error
    if cut is None and position != len(view):
        raise CorruptFile(f"{len(view) - position} bytes follow after the end of the file")
    for tag in (*METADATA_TAGS, BOUND_TAG):
        if sum(chunk.tag == tag for chunk in chunks) > 1:
            raise CorruptFile(f"more than one chunk {tag!r}")
    return header, chunks, cut


def _check_limit(header: Header, size: int, max_pixels: int | None) -> None:
    if max_pixels is None:
        return
    limit = max_pixels
    if max_pixels == DEFAULT_MAX_PIXELS:
        limit = min(limit, FREE_PIXELS + PIXELS_PER_BYTE * size)
    if header.pixels > limit:
        raise LimitExceeded(
            f"the file declares {header.pixels:,} pixels in {size:,} bytes, more than the limit of {limit:,}; "
            "raise max_pixels (--max-pixels) if you trust it"
        )


def read_chunks(view: memoryview, position: int) -> Iterator[tuple[Chunk, int]]:
    """Each chunk from `position` on and where it ends, up to the last.

    Raises `TruncatedFile` where bytes lack, `CorruptFile` for damage and for more chunks than a file has.
    """
    for _ in range(MAX_CHUNKS):
        chunk, last, position = _unpack_chunk(view, position)
        yield chunk, position
        if last:
            return
    raise CorruptFile(f"the file has more than {MAX_CHUNKS} chunks")


def is_tag(tag: str) -> bool:
    """Whether this is one ASCII letter."""
    return len(tag) == 1 and tag.isascii() and tag.isalpha()


def is_calotype(start: bytes) -> bool:
    """Whether a file that begins so claims to be a Calotype file."""
    return start[: len(MAGIC)] == MAGIC


def _checksum(data: bytes | memoryview) -> bytes:
    return crc32c(data).to_bytes(_CRC_BYTES, "little")


def _pack_fields(header: Header) -> bytes:
    *views, height, width, channels = header.shape
    name = header.codec.encode()
    if not _NAME.fullmatch(name):
        raise ValueError(f"codec name {header.codec!r}")
    if not (1 <= header.depth <= 16 and 1 <= channels <= 4 and len(views) <= 3 and len(header.digest) == 4):
        raise ValueError(f"{header} is outside the format")
    if not all(1 <= side <= _MAX_SIDE for side in (*views, height, width)):
        raise ValueError(f"shape {header.shape} is outside the format")
    layout = header.depth - 1 | channels - 1 << 4 | len(views) << 6
    sides = b"".join(write_varint(side) for side in (*views, height, width))
    return write_varint(header.wire_version) + header.digest + bytes((layout,)) + sides + name


def unpack_header(view: memoryview) -> tuple[Header, int]:
    """Check what every version shares (magic, length, CRC), then read the fields; the header, and where it ends."""
    start = len(MAGIC) + 2
    magic = bytes(view[: len(MAGIC)])
    if magic != MAGIC[: len(magic)]:
        raise CorruptFile("this is not a Calotype file")
    if len(view) < start:
        raise TruncatedFile("the file is cut off in its header")
    version, length = view[start - 2], view[start - 1]
    end = start + length
    if len(view) < end + _CRC_BYTES:
        raise TruncatedFile("the file is cut off in its header")
    if _checksum(view[:end]) != view[end : end + _CRC_BYTES]:
        raise CorruptFile("the header is damaged")
    if version != VERSION:
        raise UnsupportedFile(f"format version {version} is not known; this one reads {VERSION}; update it")
    return _unpack_fields(view[start:end]), end + _CRC_BYTES


def _unpack_fields(fields: memoryview) -> Header:
    wire_version, position = read_varint(fields, 0)
    if len(fields) < position + 5:
        raise CorruptFile("the header is too short")
    digest, layout = bytes(fields[position : position + 4]), fields[position + 4]
    position += 5
    sides = []
    for _ in range((layout >> 6) + 2):
        side, position = read_varint(fields, position)
        if not 1 <= side <= _MAX_SIDE:
            raise CorruptFile(f"a side of {side} pixels")
        sides.append(side)
    name = bytes(fields[position:])
    if not _NAME.fullmatch(name):
        raise CorruptFile(f"the header names no codec but {name!r}")
    shape = (*sides, (layout >> 4 & 3) + 1)
    return Header(name.decode(), wire_version, digest, shape, (layout & 15) + 1)


def _unpack_chunk(view: memoryview, start: int) -> tuple[Chunk, bool, int]:
    """Read the chunk at `start`, whether it is the last, and where it ends."""
    if start >= len(view):
        raise TruncatedFile("the file is cut off: its last chunk is missing")
    tag = chr(view[start] & ~_LAST)
    if not is_tag(tag):
        raise CorruptFile(f"{tag!r} is not the tag of a chunk")
    length, body = read_varint(view, start + 1)
    end = body + length
    if end + _CRC_BYTES > len(view):
        raise TruncatedFile(f"the file is cut off in chunk {tag!r}")
    if _checksum(view[start:end]) != view[end : end + _CRC_BYTES]:
        raise CorruptFile(f"chunk {tag!r} is damaged")
    return Chunk(tag, bytes(view[body:end])), bool(view[start] & _LAST), end + _CRC_BYTES
