"""Everything that a bench can measure, by name: our models and their rivals, behind the rivals' interface."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ... import __version__, api
from ...registry import WEIGHTS_ENDING
from ..rivals import RGB, RIVALS, Kind, Rival

LADDER = tuple(float(quality) for quality in range(0, 101, 10))


@dataclass(frozen=True)
class Own:
    """A model in the role of a rival, with what only models can tell."""

    source: str
    """Name of an installed model, or path of a weights file; `@` and a number behind it are an effort."""
    qualities: tuple[float, ...] = LADDER

    @cached_property
    def model(self) -> api.Model:
        return api.load(self._place[0])

    @property
    def _place(self) -> tuple[str, int | None]:
        """Name or path, and effort."""
        place, at, effort = self.source.rpartition("@")
        return (place, int(effort)) if at and effort.isdecimal() else (self.source, None)

    @property
    def name(self) -> str:
        """The model's with its effort; with its digest if from a path, for then another may have the same name."""
        place, effort = self._place
        name = f"{self.model.name}-{self.digest}" if place.endswith(WEIGHTS_ENDING) else self.model.name
        return name if effort is None else f"{name}@{effort}"

    @property
    def title(self) -> str:
        return f"Calotype {self.name}"

    @property
    def kind(self) -> Kind:
        return "lossless" if self.model.info.lossless else "lossy"

    @property
    def ending(self) -> str:
        return api.ENDING

    @property
    def digest(self) -> str:
        """Digest of its weights, hexadecimal."""
        return self.model.card.digest.hex()

    def missing(self) -> str | None:
        return None

    def version(self) -> str:
        return f"calotype {__version__}"

    def encode(self, pixels: RGB, quality: float, threads: int) -> bytes:
        return self.model.encode(pixels, quality, effort=self._place[1], threads=threads)

    def decode(self, data: bytes, threads: int) -> RGB:
        return self.model.decode(data, threads=threads)  # type: ignore[return-value]

    def ideal_bits(self, pixels: RGB, quality: float, threads: int) -> float | None:
        """None for models with efforts: they learn while they code, and count by doing just that."""
        return None if self.model.info.efforts else self.model.count_bits(pixels, quality, threads=threads)

    def frame_bytes(self, data: bytes) -> int:
        """Header, checksums and lengths: all of the file but the bodies of its chunks."""
        return len(data) - sum(size for _, size in api.info(data).chunks)


def find_subject(name: str) -> Rival:
    """A rival of this name, else a model (a name, or the path of a weights file, with `@` and an effort if wanted).

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


def decode_kept(codec: str, data: bytes) -> RGB:
    """Decode a file that a bench kept; ours with whichever installed weights it names."""
    subject = find_subject(codec)
    return api.decode(data) if isinstance(subject, Own) else subject.decode(data, 1)  # type: ignore[return-value]
