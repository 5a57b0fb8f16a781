"""JPEG: what its segments declare, and segments put into a file. ITU-T T.81, annex B; JFIF 1.02; XMP part 3."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import IO

from ..errors import CorruptFile, Unsupported
from ..image import Metadata
from . import density, exif
from .declared import Declared
from .errors import note
from .ifd import Reader

_START_OF_SCAN, _END = 0xDA, 0xD9
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}  # SOF0 to SOF15, and SOF55 of JPEG-LS
_DECODED = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # baseline, extended, progressive, arithmetic
_BARE = frozenset(range(0xD0, 0xD8)) | {0x01}  # markers without a length
_XMP, _MORE_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_INDEX, _PROFILE = b"MPF\0", b"ICC_PROFILE\0"
_COUNT_OF_IMAGES = 0xB001  # CIPA DC-007, 5.2.3
_LARGEST = 65533  # bytes of a segment beside its marker and length
_MOST_PROFILE = 255 * (_LARGEST - len(_PROFILE) - 2)


def declared(file: IO[bytes]) -> Declared:
    """What the segments before the pixels say."""
    notes: list[str] = []
    for marker, body in _segments(file):
        if marker in _FRAMES and body:
            _check_frame(marker, body[0])
        elif marker == 0xE2 and body.startswith(_INDEX):
            count = _count_images(body[len(_INDEX) :])
            if count > 1:
                notes.append(f"it holds {count} images (views, a preview or a gain map); the first one is taken")
        elif marker == 0xE1 and body.startswith(_MORE_XMP) and not any("XMP" in text for text in notes):
            notes.append("the extension of its XMP, above 64 KB, is left out")
    return Declared(notes=tuple(notes))


def with_metadata(jpeg: bytes, metadata: Metadata) -> bytes:
    """A file, as Pillow writes it, with metadata; what is too long for JPEG is left out, and said."""
    head = bytearray(jpeg[:20])  # SOI and JFIF's APP0
    inches, shape = density.in_inches(metadata.density), density.proportion(metadata.density)
    if inches is not None:
        struct.pack_into(">BHH", head, 13, 1, *(min(round(value), 65535) for value in inches))
    elif shape is not None:
        struct.pack_into(">BHH", head, 13, 0, *_small(*shape))
    segments = b"".join(_pack(marker, body) for marker, body in _metadata_segments(metadata))
    return bytes(head) + segments + jpeg[20:]


def _metadata_segments(metadata: Metadata) -> Iterator[tuple[int, bytes]]:
    block = metadata.exif
    if block is not None and len(exif.PREFIX) + len(block) > _LARGEST:
        note(f"its Exif of {len(block):,} bytes is too long for JPEG; left out but for the orientation")
        block = exif.only_orientation(block)
    if block is not None:
        yield 0xE1, exif.PREFIX + block
    if metadata.xmp is not None:
        if len(_XMP) + len(metadata.xmp) > _LARGEST:
            note(f"its XMP of {len(metadata.xmp):,} bytes is too long for JPEG; left out")
        else:
            yield 0xE1, _XMP + metadata.xmp
    if metadata.icc is not None and len(metadata.icc) > _MOST_PROFILE:
        note(f"its ICC profile of {len(metadata.icc):,} bytes is too long for JPEG; left out")
    elif metadata.icc is not None:
        room = _LARGEST - len(_PROFILE) - 2
        parts = [metadata.icc[start : start + room] for start in range(0, len(metadata.icc), room)]
        for number, part in enumerate(parts, 1):
            yield 0xE2, _PROFILE + bytes((number, len(parts))) + part


def _segments(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Marker and body of the segments before the first scan."""
    file.seek(2)
    while True:
        byte, skipped = file.read(1), 0
        while byte and byte != b"\xff" and skipped < _LARGEST:  # garbage between segments, which decoders skip
            byte, skipped = file.read(1), skipped + 1
        while byte == b"\xff":
            byte = file.read(1)
        if not byte or skipped == _LARGEST:
            raise CorruptFile("damaged: it ends before its pixels")
        marker = byte[0]
        if marker in (_START_OF_SCAN, _END):
            return
        if marker in _BARE or marker == 0:
            continue
        length = int.from_bytes(file.read(2))
        yield marker, file.read(max(length - 2, 0))


def _check_frame(marker: int, bits: int) -> None:
    if marker not in _DECODED:
        raise Unsupported(f"a kind of JPEG that is not read (SOF{marker - 0xC0}); convert it to PNG first")
    if bits != 8:
        raise Unsupported(f"JPEG with {bits} bits per channel is not read; convert it to 16-bit PNG first")


def _count_images(index: bytes) -> int:
    try:
        reader = Reader(BytesIO(index))
        return reader.directory(reader.first).integer(_COUNT_OF_IMAGES, 1)
    except CorruptFile:
        return 1


def _small(x: int, y: int) -> tuple[int, int]:
    """About the same proportion in 16 bits."""
    shrink = max(x, y) / 65535
    return (x, y) if shrink <= 1 else (max(1, round(x / shrink)), max(1, round(y / shrink)))


def _pack(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
