"""Codecs of different classes side by side, as the survey of Mishra, Singh and Singh (2022) compares them. Pure.

"Deep architectures for image compression: a critical review", Signal Processing 191. Its classes are convolutional
networks, recurrent ones, variational autoencoders and generative adversarial networks.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .bd import Curve, interpolate
from .series import Point, Series
from .summary import ImageSet

RATES = (0.125, 0.25, 0.5, 1.0)
METRICS = ("psnr", "ms_ssim", "lpips_squeeze")
CLOCKED = 0.5  # bpp: seconds and multiplications are those of the point whose rate is nearest

CNN, RNN, VAE, GAN = "CNN autoencoder", "RNN", "VAE", "GAN"
FITTED, DEFAULT, BY_HAND, OTHER = "fitted to each picture", "VAE, the default codec", "made by hand", "other"
MODELS = {
    CNN: ("vae.factorized-compact", "vae.factorized"),
    RNN: ("rnn.compact",),
    VAE: ("vae.hyperprior-compact", "vae.hyperprior"),
    GAN: ("vae.hific-compact-gan", "vae.hific-paper-gan"),
    FITTED: ("fit.photo",),
    DEFAULT: ("vae.swift",),
}
"""The models of each class that is compared; the first one that is installed stands for it."""
_BY_CODEC = {"rnn": RNN, "vae": VAE, "fit": FITTED}


def members(installed: Container[str]) -> dict[str, str]:
    """The model that stands for each class: the first that is installed, else the first of all."""
    return {family: next((name for name in names if name in installed), names[0]) for family, names in MODELS.items()}


def class_of(model: str) -> str:
    """Class of a model by its name."""
    named = next((family for family, names in MODELS.items() if model in names), None)
    return named or _BY_CODEC.get(model.partition(".")[0], OTHER)


@dataclass(frozen=True)
class Complexity:
    """What a model's networks take."""

    parameters: int
    encode_macs: float | None
    """Multiplications with an addition per pixel; None where encoding fits networks, as often as its effort says."""
    decode_macs: float


@dataclass(frozen=True)
class At:
    """A rate, and what a codec reaches at it: metrics by name, None where its rates do not go so far."""

    bpp: float
    metrics: Mapping[str, float | None]


@dataclass(frozen=True)
class Known:
    """What is known of one of our codecs besides its rows."""

    model: str
    """The model's name, without options and digest."""
    complexity: Complexity | None
    training: Mapping[str, Any]
    """What its card says of that."""


@dataclass(frozen=True)
class Entry:
    """One codec in the comparison."""

    family: str
    """Its class."""
    title: str
    series: Series | None = None
    """What was measured of it, if anything."""
    absent: str | None = None
    """Why nothing was."""
    known: Known | None = None
    """None of others' codecs, and of what is not installed."""

    @property
    def label(self) -> str:
        """Class and name."""
        return f"{self.family}: {self.title}"

    @cached_property
    def at(self) -> list[At]:
        """At `RATES`, along its own curve and not beyond; of one rate alone, at that."""
        if self.series is None:
            return []
        if len(self.series.points) == 1:
            (point,) = self.series.points
            return [At(point.bpp, {name: finite(point.metrics.get(name)) for name in METRICS})]
        curves = {name: self.series.curve(name) for name in METRICS}
        found = [At(bpp, {name: along(curve, bpp) for name, curve in curves.items()}) for bpp in RATES]
        return found if self.series.points else []

    @cached_property
    def clocked(self) -> Point | None:
        """The point whose clocks and multiplications stand for all."""
        return self.series.nearest(CLOCKED) if self.series is not None and self.series.points else None

    @cached_property
    def seconds(self) -> tuple[float, float] | None:
        """Seconds to encode and to decode a megapixel there, on one thread; None where nothing was measured."""
        if self.series is None or self.clocked is None:
            return None
        rows = [row for row in self.series.rows if row.quality == self.clocked.quality]
        megapixels = sum(row.pixels for row in rows) / 1e6
        encode, decode = (
            sum(seconds or 0 for seconds in clocks) / megapixels
            for clocks in ([row.encode_seconds for row in rows], [row.decode_seconds for row in rows])
        )
        return encode, decode


def survey(measured: ImageSet, known: Mapping[str, Known], installed: Container[str] = ()) -> list[Entry]:
    """Our codecs by class, one that is missing where a class has none; then those of others.

    Parameters
    ----------
    known
        By codec.
    installed
        Names of models that are there.
    """
    by_class: dict[str, list[Entry]] = {family: [] for family in MODELS}
    for codec, series in measured.series.items():
        if series.own:
            family = class_of(known[codec].model if codec in known else codec)
            entry = Entry(family, codec, series, known=known.get(codec))
        else:
            entry = Entry(BY_HAND, series.title, series)
        by_class.setdefault(entry.family, []).append(entry)
    for family, model in members(installed).items():
        if not by_class[family]:
            absent = "not measured" if model in installed else "not installed"
            by_class[family].append(Entry(family, model, absent=absent))
    others = by_class.pop(BY_HAND, [])
    return [entry for entries in by_class.values() for entry in entries] + others


def along(curve: Curve, bpp: float) -> float | None:
    """A curve's value at a rate; None beyond its ends, and of less than two finite points."""
    by_rate = sorted({rate: value for rate, value in curve if math.isfinite(value)}.items())
    return finite(interpolate(by_rate, bpp)) if len(by_rate) > 1 else None


def finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
