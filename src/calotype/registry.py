"""Finds codecs and their weights without importing either; loads them when they are asked for.

A codec is a folder with `codec.py`, which defines `CODEC`, and `weights/<recipe>.calow`, each with a card
`<recipe>.toml` beside it. They are looked for in three places, the first one wins where names are equal:

1. the folders in the environment variable `CALOTYPE_WEIGHTS` (weights and cards, separated as in `PATH`),
2. `calotype/codecs/*`,
3. packages that other distributions name by an entry point of the group `calotype.codecs`
   (`name of the codec = "package"`).
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import platform
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .codec import Codec, CodecInfo
from .errors import CorruptFile, Unsupported, UnsupportedFile, WeightsNotFound
from .runtime.engine import Engine, engine_on
from .runtime.weights import Weights, companion_path

ENTRY_POINTS = "calotype.codecs"
SEARCH_PATH = "CALOTYPE_WEIGHTS"
WEIGHTS_ENDING = ".calow"
PRECISION = "CALOTYPE_PRECISION"
INT8_MACHINES = {"x86_64", "AMD64"}  # where int8 was measured to be faster, without VNNI too; see docs/explain/int8.md

_BUILT_IN = Path(__file__).parent / "codecs"


class CodecClass(Protocol):
    """What a codec's module calls `CODEC`."""

    info: CodecInfo

    def from_weights(self, weights: Weights, engine: Engine = ...) -> Codec: ...


@dataclass(frozen=True)
class ModelInfo:
    """A weights file as its card describes it."""

    name: str
    """`codec.recipe`"""
    digest: bytes
    """The 4 bytes that name these weights in files."""
    path: Path
    """The weights file."""
    default: bool = False
    """Whether it is taken where no model is named: once among lossy, once among lossless ones."""
    description: str = ""
    card: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """All that the card says: training, results."""

    @property
    def codec(self) -> str:
        return self.name.partition(".")[0]

    @property
    def lossless(self) -> bool:
        """Whether every pixel comes back. Imports the codec."""
        return codec_info(self.codec).lossless


def list_models() -> list[ModelInfo]:
    """All installed models, from their cards, those that `find` would take."""
    models: dict[str, ModelInfo] = {}
    for model in _all_models():
        models.setdefault(model.name, model)
    return list(models.values())


def find(name: str | os.PathLike[str] | None = None, lossless: bool = False) -> ModelInfo:
    """Find a model by name or by the path of its weights file; None is the default lossy or lossless model.

    Raises
    ------
    WeightsNotFound
        It is not installed.
    Unsupported
        The model that is named is lossy, and a lossless one is asked for.
    """
    found = _default(lossless) if name is None else _named(name)
    if lossless:
        refuse_lossy(found.name, codec_info(found.codec))
    return found


def refuse_lossy(name: str, info: CodecInfo) -> None:
    """Raise `Unsupported` if a model's codec is not lossless."""
    if not info.lossless:
        raise Unsupported(f"{name} is not lossless; leave out the model to take one that is")


def _default(lossless: bool) -> ModelInfo:
    for model in _all_models():
        if model.default and model.lossless == lossless:
            return model
    kind = "lossless" if lossless else "lossy"
    raise WeightsNotFound(f"no default {kind} model is installed; name one of: {_installed()}")


def _named(name: str | os.PathLike[str]) -> ModelInfo:
    text = os.fspath(name)
    if text.endswith(WEIGHTS_ENDING):
        return _from_path(Path(text))
    for model in _all_models():
        if model.name == text:
            return model
    raise WeightsNotFound(f"model {text!r} is not installed; `calotype models` lists: {_installed()}")


def find_digest(codec: str, digest: bytes) -> ModelInfo:
    """Find the model that a file was coded with.

    Raises
    ------
    UnsupportedFile
        No codec of this name is installed.
    WeightsNotFound
        The codec is there, these weights are not.
    """
    for model in _all_models():
        if model.codec == codec and model.digest == digest:
            return model
    _package(codec)
    raise WeightsNotFound(
        f"the file needs weights {digest.hex()} of the codec {codec!r}, which are not installed; "
        f"put them and their card into a folder named by {SEARCH_PATH}"
    )


def codec_info(codec: str) -> CodecInfo:
    """What a codec can do, by its name. Imports its module, loads no weights."""
    return _codec_class(codec).info


def open_codec(model: ModelInfo, device: str | None = None, precision: str | None = None) -> Codec:
    """Load a model; the same object is returned for the same weights, device and precision.

    Parameters
    ----------
    device
        As `runtime.engine` resolves it; there, all networks compute in float.
    precision
        "float" or "int8": how networks compute that decide no integers of a file. None is what the environment variable
        `CALOTYPE_PRECISION` says, else int8 where the model has it and the processor is faster with it.

    Raises
    ------
    WeightsNotFound, CorruptFile, UnsupportedFile
        The weights file or its int8 companion is missing, does not match its card, or its codec is not installed.
    Unsupported
        There is no such precision.
    """
    return _open(model.codec, model.path, model.digest, device, _takes_int8(model, device, precision))


def _takes_int8(model: ModelInfo, device: str | None, precision: str | None) -> bool:
    if device is not None:
        if precision == "int8":
            raise Unsupported("int8 networks run on ONNX Runtime only; leave out the device or the precision")
        precision = precision or "float"
    precision = precision or os.environ.get(PRECISION) or None
    if precision not in (None, "float", "int8"):
        raise Unsupported(f"precision {precision!r}: float and int8 are possible; or leave it (and {PRECISION}) out")
    installed = companion_path(model.path).is_file()
    if precision == "int8" and not installed:
        raise WeightsNotFound(f"{model.name} has no int8 networks; `calotype quantise` makes them, or leave int8 out")
    return installed and (precision == "int8" or (precision is None and platform.machine() in INT8_MACHINES))


@functools.lru_cache(maxsize=8)
def _open(codec: str, path: Path, digest: bytes, device: str | None, int8: bool) -> Codec:
    weights = Weights.open(path, int8)
    if weights.digest[:4] != digest:
        raise CorruptFile(f"{path} is damaged or does not belong to the card beside it; export it again")
    codec_class = _codec_class(codec)
    return codec_class.from_weights(weights) if device is None else codec_class.from_weights(weights, engine_on(device))


def _codec_class(codec: str) -> CodecClass:
    module = importlib.import_module(f"{_package(codec)}.codec")
    codec_class: CodecClass = module.CODEC
    return codec_class


def _package(codec: str) -> str:
    """Dotted name of a codec's folder."""
    if (_BUILT_IN / codec / "codec.py").is_file():
        return f"{__package__}.codecs.{codec}"
    packages = _third_parties()
    if codec not in packages:
        raise UnsupportedFile(f"the codec {codec!r} is not known; it needs a newer Calotype or a plug-in")
    return packages[codec]


@functools.cache
def _third_parties() -> dict[str, str]:
    from importlib.metadata import entry_points  # takes longer than all else here

    return {entry.name: entry.value for entry in entry_points(group=ENTRY_POINTS)}


def _all_models() -> Iterator[ModelInfo]:
    for folder in _folders():
        for card in sorted(folder.glob("*.toml")):
            weights = card.with_suffix(WEIGHTS_ENDING)
            if weights.is_file():
                yield _read_card(card, weights)


def _folders() -> Iterator[Path]:
    for name in os.environ.get(SEARCH_PATH, "").split(os.pathsep):
        if name:
            yield Path(name)
    yield from sorted(_BUILT_IN.glob("*/weights"))
    for _, package in sorted(_third_parties().items()):
        spec = importlib.util.find_spec(package)
        for location in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(location) / "weights"


def _from_path(weights: Path) -> ModelInfo:
    card = weights.with_suffix(".toml")
    for path in (weights, card):
        if not path.is_file():
            raise WeightsNotFound(f"{path} does not exist; a model is a weights file with its card beside it")
    return _read_card(card, weights)


def _read_card(card: Path, weights: Path) -> ModelInfo:
    try:
        entries = tomllib.loads(card.read_text(encoding="utf-8"))
        name, digest = str(entries["name"]), bytes.fromhex(entries["digest"])
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptFile(f"{card} is not the card of a weights file: {error!r}") from None
    if not re.fullmatch(r"[a-z][a-z0-9-]*\.[\w.-]+", name) or len(digest) != 4:
        raise CorruptFile(f"{card}: `name` must be codec.recipe and `digest` 8 hexadecimal digits")
    default, description = entries.get("default") is True, str(entries.get("description", ""))
    return ModelInfo(name, digest, weights, default, description, entries)


def _installed() -> str:
    return ", ".join(model.name for model in list_models()) or "nothing"
