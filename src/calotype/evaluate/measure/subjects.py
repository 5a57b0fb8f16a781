"""Everything that a bench can measure, by name: our models and their rivals, behind the rivals' interface."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ... import __version__, api
from ...codec import Carrying
from ...image import Image
from ...model import Model, check_options
from ...options import EncodeOptions, asked
from ...registry import WEIGHTS_ENDING
from ..rivals import BOUNDS, RIVALS, Kind, Ladder, Rival, Rung, Takes, rungs
from .ledger import Identity
from .spec import Spec, parse

QUALITIES = tuple(float(quality) for quality in range(0, 101, 10))


@dataclass(frozen=True)
class Own:
    """A model in the role of a rival, with what only models can tell."""

    source: str
    """Name of an installed model, or path of a weights file, with options behind it, see `spec`."""
    qualities: tuple[float, ...] = QUALITIES
    """The ladder, if the model is lossy with a choice of quality, and none is named."""
    device: str | None = None
    """Where PyTorch runs its networks; None is ONNX Runtime."""

    @cached_property
    def spec(self) -> Spec:
        return parse(self.source)

    @cached_property
    def model(self) -> Model:
        return api.load(self.spec.place, device=self.device)

    @property
    def name(self) -> str:
        """The model's with its options; with its digest if from a path, for then another may have the same name."""
        name = f"{self.model.name}-{self.digest}" if self.spec.place.endswith(WEIGHTS_ENDING) else self.model.name
        return name + self.spec.suffix

    @property
    def title(self) -> str:
        return f"Calotype {self.name}"

    @property
    def kind(self) -> Kind:
        if self.spec.bounds or self.spec.encode.max_error is not None:
            return "near-lossless"
        exact = self.model.info.lossless or self.spec.encode.lossless
        return "lossless" if exact and not [*asked(self.spec.decode)] else "lossy"

    @property
    def ending(self) -> str:
        return api.ENDING

    @property
    def takes(self) -> Takes:
        info = self.model.info
        return Takes(info.depths, info.channels, info.views)

    @property
    def ladder(self) -> Ladder:
        """Raises `Unsupported` if the model does not take its options."""
        asked = self.spec.encode
        ladder: Ladder = (Rung(asked.quality, asked.max_error),)
        if self.spec.bounds:
            ladder = BOUNDS
        elif self.kind == "lossy" and asked.quality is None and self.model.codec.info.accepts("quality"):
            ladder = rungs(*self.qualities)
        for rung in ladder:
            check_options(self.model.card, self._options(rung))
        check_options(self.model.card, self.spec.decode)
        return ladder

    @property
    def digest(self) -> str:
        """Digest of its weights, hexadecimal; zero of a model without."""
        return self.model.card.digest.hex()

    def missing(self) -> str | None:
        return None

    def version(self) -> str:
        return f"calotype {__version__}"

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        return self.model.encode_with(image, self._options(rung, threads))

    def decode(self, data: bytes, threads: int) -> Image:
        return self.model.decode_with(data, replace(self.spec.decode, threads=threads))

    def ideal_bits(self, image: Image, rung: Rung, threads: int) -> float | None:
        """Size of the file by the bit counter.

        None of those that count by coding once more: lossless models with efforts, which learn while they code, and
        codecs that fit networks to the image.
        """
        if (self.model.info.efforts and self.model.info.lossless) or isinstance(self.model.codec, Carrying):
            return None
        asked = self.spec.encode
        return self.model.count_bits(
            image,
            rung.quality,
            max_error=rung.max_error,
            lossless=asked.lossless,
            effort=asked.effort,
            threads=threads,
        )

    def _options(self, rung: Rung, threads: int = 0) -> EncodeOptions:
        return replace(self.spec.encode, quality=rung.quality, max_error=rung.max_error, threads=threads)

    def frame_bytes(self, data: bytes) -> int:
        """Header, checksums and lengths: all of the file but the bodies of its chunks."""
        return len(data) - sum(size for _, size in api.info(data).chunks)


def find_subject(name: str) -> Rival:
    """A rival of this name, else a model, see `spec`.

    Raises
    ------
    WeightsNotFound
        There is neither.
    """
    rivals = {rival.name: rival for rival in RIVALS}
    return rivals[name] if name in rivals else Own(name)


def source(subject: Rival) -> str:
    """What `find_subject` finds it by, in another process too."""
    return subject.source if isinstance(subject, Own) else subject.name


def digest(subject: Rival) -> str | None:
    """Digest of a model's weights, hexadecimal; rivals have none."""
    return subject.digest if isinstance(subject, Own) else None


def identities(subject: Rival) -> set[Identity]:
    """Versions and digests whose rows go with those that the subject gives now."""
    digests = {digest(subject)}
    if isinstance(subject, Own) and subject.model.card.weights is None:  # what it read before is the same model
        digests |= {other.hex() for other in subject.model.card.reads}
    return {(subject.version(), each) for each in digests}


def describe(subject: Rival) -> dict[str, Any]:
    """What rows and timings say of it."""
    return {
        "codec": subject.name,
        "title": subject.title,
        "kind": subject.kind,
        "own": isinstance(subject, Own),
        "version": subject.version(),
        "digest": digest(subject),
    }


def example(subject: Rival, side: int = 64) -> Image:
    """An empty image that a subject takes: of 8 bits, RGB and one view where it can be."""
    takes = subject.takes
    depth = 8 if 8 in takes.depths else min(takes.depths)
    channels = 3 if 3 in takes.channels else min(takes.channels)
    shape = (*(2,) * min(takes.views), side, side, channels)
    return Image(np.zeros(shape, np.uint8) if depth <= 8 else np.zeros(shape, np.uint16), depth)


def decode_kept(codec: str, data: bytes) -> Image:
    """Decode a file that a bench kept; ours with whichever installed weights it names."""
    subject = find_subject(codec)
    if not isinstance(subject, Own):
        return subject.decode(data, 1)
    options = subject.spec.decode
    return api.decode_image(data, **{name: getattr(options, name) for name in asked(options)})
