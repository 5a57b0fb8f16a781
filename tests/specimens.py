"""Small untrained models of the codecs, so that what every codec keeps is tested without weights that took days.

A codec offers them in `tests/codecs/<codec>/specimen.py`:

- `RECIPES`, its recipes by name, made without PyTorch,
- `build(recipe)`, a model to train, stirred as if it had been, and `freeze(model)`, its weights file,
- `companions(weights)`, if there are any: files beside the weights, by kind,
- `prepare(patch)`, if there is something to arrange before the specimens are used,
- `hasten(patch)`, if its encoder searches: fewer steps than for users, of whatever model of the codec.
"""

from __future__ import annotations

import functools
import importlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from calotype.runtime.weights import Weights, companion_path

T = TypeVar("T")

if TYPE_CHECKING:
    from torch import nn

CODECS = sorted(path.parent.name for path in Path(__file__).parent.glob("codecs/*/specimen.py"))
FOLDER = "CALOTYPE_SPECIMENS"  # variable: where the processes of a run of the tests share what they made
CARD = 'name = "{name}"\ndigest = "{digest}"\ndescription = "For tests, not trained."\n'


def specimen(codec: str) -> Any:
    """The module in which a codec offers its specimens."""
    return importlib.import_module(f"tests.codecs.{codec}.specimen")


def names() -> list[str]:
    """All specimens, as models are named."""
    return [f"{codec}.{recipe}" for codec in CODECS for recipe in specimen(codec).RECIPES]


@functools.cache
def weights(name: str) -> Weights:
    """The weights of a specimen. Skips the test where there is no PyTorch."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    codec, _, recipe = name.partition(".")
    module = specimen(codec)
    return Weights(_once(name, lambda: module.freeze(module.build(module.RECIPES[recipe]))), name)


@functools.cache
def companions(name: str) -> dict[str, bytes]:
    """What lies beside the weights of a specimen, by kind."""
    module = specimen(name.partition(".")[0])
    if not hasattr(module, "companions"):
        return {}
    return _once(f"{name}.companions", lambda: module.companions(weights(name)))


def _once(name: str, make: Callable[[], T]) -> T:
    """What `make` makes, which takes seconds: by one of the processes of this run, for all."""
    if FOLDER not in os.environ:
        return make()
    from filelock import FileLock

    path = Path(os.environ[FOLDER], name)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            path.write_bytes(pickle.dumps(make()))
    made: T = pickle.loads(path.read_bytes())
    return made


def install(name: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Put a specimen where calotype finds it, and prepare for its use."""
    codec, _, recipe = name.partition(".")
    path = folder / f"{recipe}.calow"
    write_weights(path, weights(name))
    for kind, data in companions(name).items():
        companion_path(path, kind).write_bytes(data)
    patch.setenv("CALOTYPE_WEIGHTS", str(folder))
    if hasattr(specimen(codec), "prepare"):
        specimen(codec).prepare(patch)
    hasten(codec, patch)


def hasten(codec: str, patch: pytest.MonkeyPatch) -> None:
    """Let a codec search in few steps: what every codec keeps does not depend on their number."""
    if codec in CODECS and hasattr(specimen(codec), "hasten"):
        specimen(codec).hasten(patch)


def write_weights(path: Path, weights: Weights) -> None:
    """A weights file and its card."""
    path.write_bytes(weights.data)
    path.with_suffix(".toml").write_text(CARD.format(name=weights.name, digest=weights.digest.hex()))


def stir(model: nn.Module, scale: float) -> None:
    """Noise on all parameters that are trained: as after training, every layer does something."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(scale * torch.randn_like(parameter))
