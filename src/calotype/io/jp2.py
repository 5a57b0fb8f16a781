"""JPEG 2000: what its boxes and the head of its codestream declare. ITU-T T.800, annexes A and I."""

from __future__ import annotations

from typing import IO

from ..errors import CorruptFile, Unsupported
from ..image import Metadata
from . import exif
from .boxes import Box, Boxes
from .declared import Declared

_CODESTREAM = b"\xff\x4f\xff\x51"  # SOC, SIZ
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_EXIF = b"JpgTiffExif->JP2"
_MOST_CHANNELS = 4


def declared(file: IO[bytes]) -> Declared:
    """What is said outside the pixels."""
    boxes = Boxes(file)
    if boxes.bytes(0, 4) == _CODESTREAM:
        return Declared(bits=_depth(boxes, 0))
    stream, header, metadata = None, None, Metadata()
    for box in boxes.within():
        if box.kind == b"jp2c" and stream is None:
            stream = box
        elif box.kind == b"jp2h":
            header = box
        elif box.kind == b"uuid" and box.end - box.start >= 16:
            metadata = _with_uuid(boxes, box, metadata)
    if stream is None or header is None:
        raise CorruptFile("damaged: a part of it is missing")
    return Declared(
        bits=_depth(boxes, stream.start),
        metadata=Metadata(_profile(boxes, header), metadata.exif, metadata.xmp),
        converted="premultiplied alpha" if _is_premultiplied(boxes, header) else None,
    )


def _depth(boxes: Boxes, start: int) -> int:
    """From the marker SIZ that begins a codestream: 40 bytes on, one byte of three for each channel."""
    if boxes.bytes(start, 4) != _CODESTREAM:
        raise CorruptFile("damaged: its codestream has no head")
    channels = boxes.number(start + 40, 2)
    if channels > _MOST_CHANNELS:
        raise Unsupported(f"{channels} bands; extract at most 4 (grey or RGB, and alpha) first")
    depths = boxes.bytes(start + 42, 3 * channels)[::3]
    if any(depth & 0x80 for depth in depths):
        raise Unsupported("signed integers; add an offset that makes them positive first")
    most = max(depths, default=7) + 1
    if most > 8 and len(set(depths)) > 1:
        raise Unsupported("channels of different depths; convert it to 16-bit PNG first")
    return most


def _with_uuid(boxes: Boxes, box: Box, metadata: Metadata) -> Metadata:
    kind = boxes.bytes(box.start, 16)
    if kind not in (_XMP, _EXIF):
        return metadata
    body = boxes.bytes(box.start + 16, box.end - box.start - 16)
    if kind == _XMP:
        return Metadata(None, metadata.exif, body)
    return Metadata(None, body.removeprefix(exif.PREFIX), metadata.xmp)


def _profile(boxes: Boxes, header: Box) -> bytes | None:
    """Of the methods 2 and 3: an ICC profile, restricted or any."""
    for box in boxes.within(*header[1:]):
        if box.kind == b"colr" and boxes.number(box.start, 1) in (2, 3):
            return boxes.bytes(box.start + 3, box.end - box.start - 3)
    return None


def _is_premultiplied(boxes: Boxes, header: Box) -> bool:
    """By the channel definitions: index, type (2: premultiplied opacity), association."""
    box = boxes.find(b"cdef", *header[1:])
    if box is None:
        return False
    count = min(boxes.number(box.start, 2), (box.end - box.start - 2) // 6)
    return any(boxes.number(box.start + 2 + 6 * index + 2, 2) == 2 for index in range(count))
