"""What every codec is: integers of an image in, a payload of chunks out, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from .errors import WeightsNotFound
from .image import Image
from .options import DecodeOptions, EncodeOptions

if TYPE_CHECKING:
    from .runtime.engine import Engine
    from .runtime.weights import Weights


class Chunk(NamedTuple):
    """One tagged part of a file; a tag is one ASCII letter, upper case where a decoder must know it."""

    tag: str
    body: bytes


@dataclass(frozen=True)
class CodecInfo:
    """What a codec can do; everything else is refused before the codec is called.

    It stands as `INFO` in the codec's package, which imports neither kernel nor networks.
    """

    name: str
    wire_version: int
    """Written to the file; a change of the bitstream raises it."""
    lossless: bool
    depths: frozenset[int]
    """Bit depths it takes."""
    views: frozenset[int] = frozenset({0})
    """Numbers of view dimensions it takes: 0 a plain image, 1 stereo or any row of views, 2 a light field."""
    channels: frozenset[int] = frozenset({1, 2, 3, 4})
    """Numbers of channels it takes; 2 and 4 have alpha."""
    takes: frozenset[str] = frozenset()
    """Names of the fields of `EncodeOptions` and `DecodeOptions` it takes, besides those that are met outside it."""
    takes_with: frozenset[str] = frozenset()
    """Those of `takes` that a model has only with a companion of that name beside its weights (`runtime.weights`)."""
    efforts: frozenset[int] = frozenset()
    """Values of `effort` it takes; empty where there is no choice."""
    layered: bool = False
    """Whether each upper-case chunk is a layer: any number of the first ones decode, one more to a better image."""
    has_base: bool = False
    """Whether the first upper-case chunk decodes to a picture of its own, but only where the base is asked for."""

    def accepts(self, option: str) -> bool:
        """Whether it takes an option, by the field's name."""
        if option == "effort":
            return bool(self.efforts)
        if option == "base":
            return self.layered or self.has_base
        return option in self.takes or (self.layered and option in ("layers", "max_bytes"))

    def without(self, options: frozenset[str]) -> CodecInfo:
        """The same, of a model that lacks some options; the same object for the same ones."""
        return _without(self, options) if options else self

    def takes_image(self, image: Image) -> bool:
        """Whether it can code images of this depth, with these views and channels."""
        return image.depth in self.depths and len(image.views) in self.views and image.channels in self.channels


@cache
def _without(info: CodecInfo, options: frozenset[str]) -> CodecInfo:
    return replace(info, takes=info.takes - options)


@dataclass(frozen=True)
class Payload:
    """A coded image between codec and container."""

    shape: tuple[int, ...]
    """Shape of the coded pixels: `(*views, height, width, channels)`."""
    depth: int
    chunks: tuple[Chunk, ...]
    """Upper-case tags only; the container's own lower-case chunks never reach a codec."""
    wire_version: int | None = None
    """The version that a file was written with, for decoding; from `encode` the oldest that reads it, or None for the
    newest."""
    largest_error: int | None = None
    """From `encode` with a bound: by how much what a decoder finds is off the image, compared sample by sample. None
    has the payload decoded to find out."""

    @property
    def bits(self) -> float:
        """Size of the chunks."""
        return 8.0 * sum(len(chunk.body) for chunk in self.chunks)


class Codec(Protocol):
    """Made for one weights file, or for none; holds no state between calls."""

    @property
    def info(self) -> CodecInfo:
        """What it can do; a class variable will do."""
        ...

    def encode(self, image: Image, options: EncodeOptions) -> Payload:
        """Code the image. Raises `Unsupported` for values of options that this model does not have."""
        ...

    def decode(self, payload: Payload, options: DecodeOptions) -> Image:
        """Decode. Raises `CorruptFile`, `Desync`, `UnsupportedFile`.

        `region` and `view` reach only codecs that take them; all others decode everything and it is cut afterwards.
        """
        ...

    def count_bits(self, image: Image, options: EncodeOptions) -> float:
        """Size to expect of the payload's chunks in bits, by ideal code lengths, without writing them."""
        ...


@runtime_checkable
class Continuing(Protocol):
    """A codec that codes an image at another quality sooner once it has coded it at one; a search asks for it."""

    def continued(self, image: Image, options: EncodeOptions) -> Callable[[float], Payload]:
        """What codes the image at one quality after the other, as `encode` would but for what it knows by then."""
        ...


class Carried(NamedTuple):
    """The networks that a file holds."""

    parameters: int
    """Numbers in them."""
    macs: float
    """Multiplications with an addition that decoding takes, for all pixels together."""


@runtime_checkable
class Carrying(Protocol):
    """A codec whose files hold the networks that decode them; who compares the sizes of networks asks for it."""

    def carried(self, payload: Payload) -> Carried:
        """The networks of a payload. Raises as `decode`."""
        ...


class Host:
    """What a codec is made with: its weights, the engine for its networks, and a way to other installed models."""

    def __init__(
        self,
        weights: Weights | None = None,
        engine: Engine | None = None,
        find: Callable[[str, bytes], Codec] | None = None,
        device: str | None = None,
    ) -> None:
        self._weights, self._engine, self._find = weights, engine, find
        self.device = device
        """Where PyTorch should work, as `runtime.engine.resolve_device` names it; None: no PyTorch."""

    @property
    def weights(self) -> Weights:
        """The weights file. Raises `WeightsNotFound` where a codec is made without one."""
        if self._weights is None:
            raise WeightsNotFound("this codec needs a weights file, and its card names none")
        return self._weights

    @property
    def engine(self) -> Engine:
        """What runs the networks: ONNX Runtime, unless a device was asked for."""
        if self._engine is None:
            from .runtime.onnx import OnnxNetwork

            return OnnxNetwork
        return self._engine

    def model(self, codec: str, digest: bytes) -> Codec:
        """Another model on the same engine, as a part of this one; weights name it by its digest.

        Raises
        ------
        UnsupportedFile, WeightsNotFound
            It is not installed.
        """
        if self._find is None:
            raise WeightsNotFound(f"the model {digest.hex()} of the codec {codec!r} is not within reach")
        return self._find(codec, digest)
