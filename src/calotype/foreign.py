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


@dataclass(frozen=True)
class ForeignCodec:
    """A codec of a plug-in, or with weights that came from elsewhere.

    Whatever it raises beside typed errors and those of the machine becomes a `CalotypeError` that names the model.
    """

    codec: Codec
    card: ModelInfo

    @property
    def info(self) -> CodecInfo:
        return self.codec.info

    def encode(self, image: Image, options: EncodeOptions) -> Payload:
        with self._named():
            return self.codec.encode(image, options)

    def decode(self, payload: Payload, options: DecodeOptions) -> Image:
        with self._named():
            return self.codec.decode(payload, options)

    def count_bits(self, image: Image, options: EncodeOptions) -> float:
        with self._named():
            return self.codec.count_bits(image, options)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (CalotypeError, OSError, MemoryError):
            raise
        except Exception as error:
            message = f"a mistake in the model {self.card.name} of {self.card.path.parent}: {error!r}"
            raise CalotypeError(message) from error
