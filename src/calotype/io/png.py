"""PNG: what its chunks declare, and chunks put into a file. W3C PNG, third edition, chapter 11."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import IO

import numpy as np

from ..errors import CorruptFile
from ..image import Metadata, Pixels
from . import density
from .declared import Declared

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_END = len(_SIGNATURE) + 25  # with chunk IHDR
_LARGEST = 1 << 24  # bytes of a chunk that is looked into
_READ = {b"IHDR", b"tRNS", b"cICP", b"gAMA", b"cHRM", b"sBIT", b"pHYs", b"iCCP"}
_GREY, _RGB = 0, 2  # colour types
Chunk = tuple[bytes, bytes]


def declared(file: IO[bytes]) -> Declared:
    """What the chunks say."""
    chunks: dict[bytes, bytes] = {}
    for kind, body in _chunks(file):
        chunks.setdefault(kind, body)
    header = chunks.get(b"IHDR", b"")
    if len(header) != 13:
        raise CorruptFile("damaged: it has no header")
    bits, colours = header[8], header[9]
    return Declared(
        bits=bits,
        metadata=Metadata(
            cicp=_sized(chunks.get(b"cICP"), 4),
            gamma=_gamma(chunks),
            density=density.of_chunk(chunks.get(b"pHYs", b"")),
        ),
        transparent=_transparent(chunks.get(b"tRNS"), bits, colours),
        notes=() if _is_sound(chunks.get(b"iCCP")) else ("its ICC profile is damaged; left out",),
    )


def significant_bits(file: IO[bytes]) -> int:
    """What sBIT says, where it is the same for all channels; else the depth."""
    chunks = dict(_chunks(file))
    told = set(chunks.get(b"sBIT", b""))
    return told.pop() if len(told) == 1 else chunks[b"IHDR"][8]


def bare(file: IO[bytes]) -> bytes:
    """The file with nothing but its pixels and tRNS: libraries print warnings of other chunks."""
    file.seek(0)
    data = memoryview(file.read())
    parts, place = [data[: len(_SIGNATURE)]], len(_SIGNATURE)
    while place + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        if kind[:1].isupper() or kind == b"tRNS":
            parts.append(data[place : place + length + 12])
        place += length + 12
    return b"".join(parts)


def with_chunks(png: bytes, chunks: Iterable[Chunk]) -> bytes:
    """A file with further chunks behind its header."""
    return png[:_HEADER_END] + b"".join(_pack(*chunk) for chunk in chunks) + png[_HEADER_END:]


def metadata_chunks(metadata: Metadata) -> Iterator[Chunk]:
    """In the order that the specification asks for: all of these may stand behind the header."""
    if metadata.cicp is not None:
        yield b"cICP", metadata.cicp
    if metadata.icc is not None:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)
    if metadata.gamma is not None:
        gamma, places = metadata.gamma[:4], metadata.gamma[4:]
        if any(gamma):
            yield b"gAMA", gamma
        if places:
            yield b"cHRM", places
    if metadata.density is not None:
        yield b"pHYs", metadata.density
    if metadata.exif is not None:
        yield b"eXIf", metadata.exif
    if metadata.xmp is not None:
        yield b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp


def significance(depth: int, channels: int) -> Chunk:
    """The chunk that says how many bits of each sample count."""
    return b"sBIT", bytes((depth,)) * channels


def scale(pixels: Pixels, depth: int) -> Pixels:
    """To the next depth that PNG has, 8 or 16: white stays white."""
    whole = 8 if depth <= 8 else 16
    if depth == whole:
        return pixels
    wide = pixels.astype(np.uint32)
    if 2 * depth < whole:
        scaled = wide * ((1 << whole) - 1) // ((1 << depth) - 1)
    else:  # W3C PNG, 13.12: left bit replication
        scaled = (wide << (whole - depth) | wide >> (2 * depth - whole)).astype(np.uint32)
    return scaled.astype(np.uint8) if whole == 8 else scaled.astype(np.uint16)


def unscale(pixels: Pixels, depth: int) -> tuple[Pixels, int]:
    """Back to the depth of 9 to 15 bits that was said to count, if `scale` has made these pixels; and their depth."""
    if not 8 < depth < 16:
        return pixels, 16
    original = (pixels >> (16 - depth)).astype(np.uint16)
    return (original, depth) if np.array_equal(scale(original, depth), pixels) else (pixels, 16)


def _chunks(file: IO[bytes]) -> Iterator[Chunk]:
    """Type and body of the chunks before the end; bodies only of those that are read here."""
    file.seek(len(_SIGNATURE))
    while len(start := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", start)
        if kind in (b"IEND", b"IDAT"):  # what is read here stands before the pixels
            return
        if kind in _READ and length < _LARGEST:
            yield kind, file.read(length)
            file.seek(4, 1)
        else:
            yield kind, b""
            file.seek(length + 4, 1)


def _pack(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _is_sound(profile: bytes | None) -> bool:
    """Whether a chunk iCCP can be inflated, which Pillow passes over in silence."""
    try:
        return profile is None or bool(zlib.decompressobj().decompress(profile.partition(b"\0")[2][1:], _LARGEST))
    except zlib.error:
        return False


def _sized(body: bytes | None, size: int) -> bytes | None:
    return body if body is not None and len(body) == size else None


def _gamma(chunks: dict[bytes, bytes]) -> bytes | None:
    """Bodies of gAMA and cHRM, unless a chunk that counts more is there."""
    if {b"cICP", b"iCCP", b"sRGB"} & chunks.keys():
        return None
    gamma, places = _sized(chunks.get(b"gAMA"), 4), _sized(chunks.get(b"cHRM"), 32)
    return None if gamma is None and places is None else (gamma or bytes(4)) + (places or b"")


def _transparent(body: bytes | None, bits: int, colours: int) -> int | tuple[int, ...] | None:
    """The sample values of tRNS, scaled to 8 bits as Pillow scales pixels; None for palettes and deep ones."""
    if body is None or bits == 16 or colours not in (_GREY, _RGB) or len(body) < (2 if colours == _GREY else 6):
        return None
    most = (1 << bits) - 1
    samples = struct.unpack(">H" if colours == _GREY else ">3H", body[: 2 if colours == _GREY else 6])
    values = tuple((sample & most) * 255 // most for sample in samples)
    return values[0] if colours == _GREY else values
