"""Codecs and weights from outside the package: what goes wrong in them is said of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .codec import Codec, CodecInfo, Payload
from .errors import CalotypeError
from .image import Image
from .options import DecodeOptions, EncodeOptions
from .registry import ModelInfo


@contextmanager
def mistakes_of(card: ModelInfo) -> Iterator[None]:
    """Whatever is raised inside, beside typed errors and those of the machine, names the model: a `CalotypeError`."""
    try:
        yield
    except (CalotypeError, OSError, MemoryError):
        raise
    except Exception as error:
        raise CalotypeError(f"a mistake in the model {card.name} of {card.path.parent}: {error!r}") from error


@dataclass(frozen=True)
class ForeignCodec:
    """A codec of a plug-in, or with weights that came from elsewhere; its mistakes name its model."""

    codec: Codec
    card: ModelInfo

    @property
    def info(self) -> CodecInfo:
        return self.codec.info

    def encode(self, image: Image, options: EncodeOptions) -> Payload:
        with mistakes_of(self.card):
            return self.codec.encode(image, options)

    def decode(self, payload: Payload, options: DecodeOptions) -> Image:
        with mistakes_of(self.card):
            return self.codec.decode(payload, options)

    def count_bits(self, image: Image, options: EncodeOptions) -> float:
        with mistakes_of(self.card):
            return self.codec.count_bits(image, options)
