"""Finds codecs and their weights without importing either; loads them when they are asked for.

A codec is a package: `__init__.py` defines `INFO`, `codec.py` defines `CODEC`, and each model is a card
`weights/<recipe>.toml` with a weights file `<recipe>.calow` beside it. A codec that needs no weights leaves it out, and
the digest on its card is zero. Models are looked for in three places, the first one wins where names are equal:

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
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .codec import Codec, CodecInfo, Host
from .errors import CalotypeError, CalotypeWarning, CorruptFile, Unsupported, UnsupportedFile, WeightsNotFound
from .options import EncodeOptions
from .runtime.engine import engine_on
from .runtime.weights import DIGEST_BYTES, Weights, companion_path

ENTRY_POINTS = "calotype.codecs"
SEARCH_PATH = "CALOTYPE_WEIGHTS"
WEIGHTS_ENDING = ".calow"
PRECISION = "CALOTYPE_PRECISION"
INT8_MACHINES = {"x86_64", "AMD64"}  # where int8 was measured to be faster, without VNNI too; see docs/explain/int8.md

NO_WEIGHTS = bytes(DIGEST_BYTES)

_BUILT_IN = Path(__file__).parent / "codecs"


@dataclass(frozen=True)
class ModelInfo:
    """A model as its card describes it."""

    name: str
    """`codec.recipe`"""
    digest: bytes
    """The 4 bytes that name its weights in files; zero where it needs none."""
    path: Path
    """The card."""
    default: bool = False
    """Whether it is taken where no model is named and it can do what is asked for."""
    description: str = ""
    card: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """All that the card says: training, results."""
    reads: frozenset[bytes] = frozenset()
    """Other digests in files that it decodes, from before."""

    @property
    def codec(self) -> str:
        return self.name.partition(".")[0]

    @property
    def info(self) -> CodecInfo:
        """What its codec can do with it."""
        info, weights = codec_info(self.codec), self.weights
        return info.without(
            frozenset(
                kind for kind in info.takes_with if weights is None or not companion_path(weights, kind).is_file()
            )
        )

    def reads_files_of(self, codec: str, digest: bytes) -> bool:
        """Whether it decodes files of that codec with that digest."""
        return codec == self.codec and digest in {self.digest, *self.reads}

    @property
    def is_foreign(self) -> bool:
        """Whether its card came from elsewhere than this package."""
        return _BUILT_IN not in self.path.absolute().parents

    @property
    def weights(self) -> Path | None:
        """The weights file; None where the model needs none."""
        return None if self.digest == NO_WEIGHTS else self.path.with_suffix(WEIGHTS_ENDING)

    @property
    def bytes(self) -> int:
        """Size of the weights file."""
        return 0 if self.weights is None else self.weights.stat().st_size


def list_models() -> list[ModelInfo]:
    """All installed models, from their cards, those that `find` would take."""
    models: dict[str, ModelInfo] = {}
    for model in _all_models():
        models.setdefault(model.name, model)
    return list(models.values())


def find(name: str | os.PathLike[str] | None = None, options: EncodeOptions | None = None) -> ModelInfo:
    """Find a model by name or by the path of its weights file; None is the default for what is asked for.

    A codec's name alone stands for its model where it has only one.

    Raises
    ------
    WeightsNotFound
        It is not installed.
    """
    return _default(options or EncodeOptions()) if name is None else _named(name)


def _default(options: EncodeOptions) -> ModelInfo:
    for model in _all_models():
        if model.default and _is_for(model.info, options):
            return model
    kind = "with a bound on the error" if options.max_error is not None else "lossless" if options.lossless else "lossy"
    others = ", ".join(model.name for model in list_models() if _is_for(model.info, options))
    hint = f"name one of: {others}" if others else "and no other such model"
    raise WeightsNotFound(f"no default model {kind} is installed, {hint}")


def _is_for(info: CodecInfo, options: EncodeOptions) -> bool:
    """Whether a codec is the kind that the options ask for."""
    if options.max_error is not None:
        return info.accepts("max_error")
    return info.lossless == options.lossless


def _named(name: str | os.PathLike[str]) -> ModelInfo:
    text = os.fspath(name)
    if text.endswith(WEIGHTS_ENDING):
        return _from_path(Path(text))
    models = list_models()
    matches = [model for model in models if model.name == text] or [model for model in models if model.codec == text]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise WeightsNotFound(f"the codec {text!r} has several models: {', '.join(model.name for model in matches)}")
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
        if model.reads_files_of(codec, digest):
            return model
    codec_info(codec)
    raise WeightsNotFound(
        f"the file needs weights {digest.hex()} of the codec {codec!r}, which are not installed; "
        f"put them and their card into a folder named by {SEARCH_PATH}"
    )


def codec_info(codec: str) -> CodecInfo:
    """What a codec can do, by its name. Imports its package, neither kernel nor networks.

    Raises
    ------
    UnsupportedFile
        No codec of this name is installed.
    """
    name = package(codec)
    try:
        info: CodecInfo = importlib.import_module(name).INFO
    except Exception as error:  # whatever a plug-in's import runs into
        if not name.startswith(f"{__package__}."):
            raise UnsupportedFile(f"the plug-in {name} of the codec {codec!r} cannot be loaded: {error!r}") from error
        raise
    return info


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
    return _open(model.codec, model.weights, model.digest, device, _takes_int8(model, device, precision))


def _takes_int8(model: ModelInfo, device: str | None, precision: str | None) -> bool:
    if device is not None:
        if precision == "int8":
            raise Unsupported("int8 networks run on ONNX Runtime only; leave out the device or the precision")
        precision = precision or "float"
    precision = precision or os.environ.get(PRECISION) or None
    if precision not in (None, "float", "int8"):
        raise Unsupported(f"precision {precision!r}: float and int8 are possible; or leave it (and {PRECISION}) out")
    installed = model.weights is not None and companion_path(model.weights).is_file()
    if precision == "int8" and not installed:
        raise WeightsNotFound(f"{model.name} has no int8 networks; `calotype quantise` makes them, or leave int8 out")
    return installed and (precision == "int8" or (precision is None and platform.machine() in INT8_MACHINES))


@functools.lru_cache(maxsize=8)
def _open(codec: str, path: Path | None, digest: bytes, device: str | None, int8: bool) -> Codec:
    weights = None if path is None else Weights.open(path, int8)
    if weights is not None and weights.digest != digest:
        raise CorruptFile(f"{path} is damaged or does not belong to the card beside it; export it again")

    def part(codec: str, digest: bytes) -> Codec:
        return open_codec(find_digest(codec, digest), device)

    made: Codec = importlib.import_module(f"{package(codec)}.codec").CODEC(
        Host(weights, None if device is None else engine_on(device), part, device)
    )
    return made


def package(codec: str) -> str:
    """Dotted name of a codec's package, built in or a plug-in. Raises `UnsupportedFile` if there is none."""
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
        for path in sorted(folder.glob("*.toml")):
            try:
                model = _read_card(path)
                codec_info(model.codec)
            except CalotypeError as error:
                _pass_over(f"a model is passed over: {error}")
                continue
            if model.weights is None or model.weights.is_file():
                yield model


@functools.cache
def _pass_over(message: str) -> None:
    """Warn once."""
    warnings.warn(message, CalotypeWarning, stacklevel=2)


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
    return _read_card(card)


def _read_card(path: Path) -> ModelInfo:
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
        name, digest = str(entries["name"]), bytes.fromhex(entries["digest"])
        reads = frozenset(map(bytes.fromhex, entries.get("reads", ())))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OSError) as error:
        raise CorruptFile(f"{path} is not the card of a model: {error!r}") from None
    if not re.fullmatch(r"[a-z][a-z0-9-]*\.[\w.-]+", name) or {len(each) for each in (digest, *reads)} != {
        DIGEST_BYTES
    }:
        raise CorruptFile(f"{path}: `name` must be codec.recipe, `digest` and each of `reads` 8 hexadecimal digits")
    default, description = entries.get("default") is True, str(entries.get("description", ""))
    return ModelInfo(name, digest, path, default, description, entries, reads)


def _installed() -> str:
    return ", ".join(model.name for model in list_models()) or "nothing"
