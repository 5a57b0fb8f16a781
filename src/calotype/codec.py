"""What every codec is: integers of an image in, a payload of chunks out, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

from .image import Image


class Chunk(NamedTuple):
    """One tagged part of a file; a tag is one ASCII letter, upper case where a decoder must know it."""

    tag: str
    body: bytes


class Region(NamedTuple):
    """A rectangle in pixels; `x, y` is its upper left corner."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class CodecInfo:
    """What a codec can do; `api` refuses everything else before calling it."""

    name: str
    wire_version: int
    """Written to the file; a change of the bitstream raises it."""
    lossless: bool
    depths: frozenset[int]
    """Bit depths it takes."""
    views: frozenset[int] = frozenset({0})
    """Numbers of view dimensions it takes: 0 a plain image, 1 stereo, 2 a light field."""
    channels: frozenset[int] = frozenset({1, 2, 3, 4})
    """Numbers of channels it takes; 2 and 4 have alpha."""
    efforts: frozenset[int] = frozenset()
    """What may be asked for in time against size; empty where there is no choice."""


@dataclass(frozen=True)
class EncodeOptions:
    quality: float | None = None
    """0 (smallest) to 100 (best); None is the model's default."""
    threads: int = 0
    """Processor threads to use; 0 leaves it to the machine."""
    effort: int | None = None
    """One of `CodecInfo.efforts`, more for smaller files in more time; None is the codec's default."""


@dataclass(frozen=True)
class DecodeOptions:
    region: Region | None = None
    """Decode only this rectangle; None is the whole image."""
    threads: int = 0
    """Processor threads to use; 0 leaves it to the machine."""


@dataclass(frozen=True)
class Payload:
    """A coded image between codec and container."""

    shape: tuple[int, ...]
    """Shape of the coded pixels: (*views, height, width, channels)."""
    depth: int
    chunks: tuple[Chunk, ...]
    """Upper-case tags only; the container's own lower-case chunks never reach a codec."""
    wire_version: int | None = None
    """The version that a file was written with, for decoding; None from `encode`, which writes the newest."""


class Codec(Protocol):
    """Built from one weights file; holds no state between calls."""

    info: ClassVar[CodecInfo]

    def encode(self, image: Image, options: EncodeOptions) -> Payload:
        """Code the image. Raises `Unsupported` for options it does not know."""
        ...

    def decode(self, payload: Payload, options: DecodeOptions) -> Image:
        """Decode all or a region. Raises `CorruptFile`, `Desync`, `UnsupportedFile`."""
        ...

    def count_bits(self, image: Image, options: EncodeOptions) -> float:
        """Size to expect of the payload's chunks in bits, by ideal code lengths, without writing them."""
        ...
