"""PPM and PGM above 8 bits, which Pillow would cut or scale; netpbm's pages ppm(5) and pgm(5)."""

from __future__ import annotations

import re
from typing import IO, NamedTuple

import numpy as np

from ..errors import CorruptFile
from ..image import Image, Pixels
from .declared import Declared

_HEAD = re.compile(rb"(P[2356])" + 3 * rb"(?:\s|#[^\n]*\n)+(\d+)" + rb"(?:#[^\n]*\n)?\s")
_LONGEST_HEAD = 1 << 14


class Head(NamedTuple):
    """What the text before the samples says."""

    kind: bytes
    width: int
    height: int
    most: int
    """The sample value of white."""
    end: int

    @property
    def channels(self) -> int:
        return 3 if self.kind in (b"P3", b"P6") else 1


def declared(file: IO[bytes]) -> Declared:
    """Bits of the largest value; 8 of all that is not grey or colours in integers."""
    head = _head(file)
    return Declared(bits=8 if head is None else max(8, head.most.bit_length()))


def read_pixels(file: IO[bytes]) -> tuple[Pixels, int]:
    """Samples above 8 bits, and their depth: that of the largest value, or 16 after scaling if it is not 2^n - 1."""
    head = _head(file)
    assert head is not None
    shape = (head.height, head.width, head.channels)
    count = head.height * head.width * head.channels
    file.seek(head.end)
    if head.kind in (b"P5", b"P6"):
        data = file.read(2 * count)
        samples = np.frombuffer(data, ">u2") if len(data) == 2 * count else np.empty(0, np.uint16)
    else:
        words = re.sub(rb"#[^\n]*", b"", file.read()).split()
        samples = np.array(words[:count], np.uint32)
    if samples.size != count or int(samples.max()) > head.most:
        raise CorruptFile("damaged: it ends early, or has samples above its largest value")
    depth = head.most.bit_length()
    if head.most != (1 << depth) - 1:
        samples, depth = (samples.astype(np.uint32) * 65535 + head.most // 2) // head.most, 16
    return samples.astype(np.uint16).reshape(shape), depth


def encode(image: Image) -> bytes:
    """Samples of 1 to 16 bits, as they are."""
    kind = "P6" if image.channels == 3 else "P5"
    samples = image.pixels.astype(">u2") if image.depth > 8 else image.pixels
    head = f"{kind}\n{image.width} {image.height}\n{(1 << image.depth) - 1}\n"
    return head.encode() + samples.tobytes()


def _head(file: IO[bytes]) -> Head | None:
    file.seek(0)
    found = _HEAD.match(file.read(_LONGEST_HEAD))
    if found is None:
        return None
    width, height, most = (int(number) for number in found.groups()[1:])
    if not (width and height and 0 < most < 65536):
        raise CorruptFile("damaged: its sizes are no sizes")
    return Head(found[1], width, height, most, found.end())
