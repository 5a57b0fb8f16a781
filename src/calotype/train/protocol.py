"""What a codec gives to be trained: the object `TRAINING` in its `training.py`. Codecs do not import this module."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from torch import Tensor, nn

from .. import registry
from ..errors import CalotypeError, Unsupported, UnsupportedFile
from ..nets.objective import Model, Objective
from ..runtime.weights import Weights


class Training(Protocol[Model]):
    """How models of one codec are made, trained, and turned into weights."""

    def build(self, recipe: str) -> Model:
        """A fresh model of a shipped recipe. Raises `CalotypeError` if there is none."""
        ...

    def thaw(self, weights: Weights) -> Model:
        """A model that goes on where the weights are."""
        ...

    def freeze(self, model: Model) -> bytes:
        """The weights file of a model. Raises `CalotypeError` if an exact layer cannot be proved exact."""
        ...

    def objectives(self, model: Model) -> Sequence[Objective[Model]]:
        """What a step minimises, one after the other. The first is what a model is validated by.

        The figures of the first are `bpp` and `psnr` where the codec is lossy, `bpsp` (bits per sub-pixel) where it is
        lossless, and any others.
        """
        ...

    def validation_rates(self, model: Model) -> Sequence[float]:
        """Rates that a model is validated at: some from low to high, or the one that there is."""
        ...

    def crop_unit(self, model: Model) -> int:
        """What the sides of crops are multiples of, in pixels."""
        ...

    def halve_precision(self, model: Model) -> bool:
        """Let the parts of a model compute in bfloat16 that stand it; whether there are any."""
        ...


@runtime_checkable
class ShowsSamples(Protocol):
    """What a `Training` may also have: pictures to look at while a model learns."""

    def samples(self, model: Any, crops: Tensor) -> Sequence[Tensor]:
        """What a model in evaluation makes of crops (b, 3, h, w) in [0, 1]: pictures of that shape, one or a few."""
        ...


def codec_training(model: str) -> tuple[Training[nn.Module], str]:
    """How a model is trained, by its codec, built in or a plug-in; and the recipe's name. Raises `CalotypeError`."""
    codec, _, recipe = model.partition(".")
    try:
        part = codec_part(codec, "training")
    except UnsupportedFile:
        part = None
    if part is None:
        raise CalotypeError(f"{model}: no codec {codec!r} that can be trained is installed")
    training: Training[nn.Module] = part.TRAINING
    return training, recipe


def with_perceptual(training: Training[nn.Module], folder: Path) -> Training[nn.Module]:
    """The same with a folder of its own for a perceptual loss: a dataclass with a field `perceptual`.

    Raises `Unsupported` if it has none.
    """
    part: Any = training
    if not hasattr(part, "perceptual"):
        raise Unsupported("models of this codec are not trained by a perceptual network; leave that folder out")
    return cast("Training[nn.Module]", replace(part, perceptual=folder))


def codec_part(codec: str, part: str) -> Any:
    """A module of a codec's package; None where it has none. Raises `UnsupportedFile` for an unknown codec."""
    name = f"{registry.package(codec)}.{part}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None
