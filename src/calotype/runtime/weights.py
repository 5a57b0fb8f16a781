"""Weights files (`.calow`): a zip archive of exported networks, arrays and the recipe that they were made from."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import CorruptFile, UnsupportedFile, WeightsNotFound
from .vetting import check_network

FORMAT = 1  # of the archive
DIGEST_BYTES = 4  # of SHA-256, as they stand in every coded file
INT8, REALISM = "int8", "realism"
COMPANIONS = (INT8, REALISM)
"""What may lie beside a weights file, and stand for some of its networks, none of which decides integers of a file."""
_MAKERS = {INT8: "quantise", REALISM: "export"}
LARGEST = 1 << 29  # bytes that the parts of an archive may unfold to
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same weights give the same archive
# What zipfile raises for damaged archives: no such part, bad structure, codes, methods, encryption, cut data.
_ARCHIVE_ERRORS = (
    KeyError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, NotImplementedError, RuntimeError, EOFError,
    OSError, ValueError, OverflowError,
)  # fmt: skip


@dataclass(frozen=True)
class Weights:
    """One weights file in memory.

    Raises
    ------
    WeightsNotFound
        `open`: there is no such file.
    CorruptFile
        The archive is damaged or a part is missing.
    UnsupportedFile
        The archive is of a newer format.
    """

    data: bytes
    name: str
    """Where it came from, for messages."""
    int8: Weights | None = None
    """Its companion: int8 versions of networks that decide no integers of a file. The digest does not cover it."""
    path: Path | None = None
    """Where it lies, companions beside it; None if only in memory."""

    @classmethod
    def open(cls, path: Path, int8: bool = False) -> Weights:
        """Read a weights file, with its companion if `int8` says so."""
        weights = cls(_read(path), str(path), path=path)
        return replace(weights, int8=weights.companion(INT8)) if int8 else weights

    def has_companion(self, kind: str) -> bool:
        """Whether a companion of that kind lies beside it."""
        return self.path is not None and companion_path(self.path, kind).is_file()

    def companion(self, kind: str) -> Weights:
        """A companion beside it: other networks, bound to this file by its digest, for the same integers.

        Raises `WeightsNotFound` if there is none, `CorruptFile` if it belongs to other weights.
        """
        if self.path is None:
            raise WeightsNotFound(f"{self.name} lies in no folder that could hold its {kind} networks")
        beside = companion_path(self.path, kind)
        found = Weights(_read(beside), str(beside), path=beside)
        if (found.companion_of, found.kind) != (self.digest.hex(), kind):
            raise CorruptFile(
                f"{found.name} belongs to weights {found.companion_of}, but {self.name} is {self.digest.hex()} or "
                f"damaged; remove the former, or make it again with `calotype {_MAKERS[kind]}`"
            )
        return found

    @cached_property
    def digest(self) -> bytes:
        """First bytes of the archive's SHA-256: what a coded file names its weights by."""
        return hashlib.sha256(self.data).digest()[:DIGEST_BYTES]

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        return _open_archive(self.data, self.name)

    def _part(self, name: str) -> bytes:
        return _read_part(self._archive, name, self.name)

    @cached_property
    def _meta(self) -> dict[str, Any]:
        try:
            meta = json.loads(self._part("meta.json"))
        except (ValueError, RecursionError) as error:
            raise CorruptFile(f"{self.name}: meta.json: {error}") from None
        if not isinstance(meta, dict) or "format" not in meta:
            raise CorruptFile(f"{self.name} does not say what it is")
        if meta["format"] != FORMAT:
            raise UnsupportedFile(f"{self.name} is a weights file of format {meta['format']}; update calotype")
        return meta

    @property
    def companion_of(self) -> str | None:
        """Digest of the weights that this is a companion of, hexadecimal; None of whole models."""
        of = self._meta.get("companion_of")
        return None if of is None else str(of)

    @property
    def kind(self) -> str:
        """What kind of companion it is."""
        return str(self._meta.get("kind", INT8))

    @property
    def recipe(self) -> dict[str, Any]:
        """The recipe's table, as the codec's recipe class takes it."""
        recipe = self._meta.get("recipe")
        if not isinstance(recipe, dict):
            raise CorruptFile(f"{self.name} has no recipe")
        return recipe

    @cached_property
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Tables and vectors by name."""
        archive = _open_archive(self._part("arrays.npz"), self.name)
        names = archive.namelist()
        return {name.removesuffix(".npy"): _array(_read_part(archive, name, self.name), self.name) for name in names}

    @cached_property
    def networks(self) -> frozenset[str]:
        """Names of what `network` has."""
        names = (Path(name) for name in self._archive.namelist())
        return frozenset(name.stem for name in names if name.suffix == ".onnx")

    def network(self, name: str) -> bytes:
        """A serialised ONNX network that holds nothing but arithmetic."""
        data = self._part(f"{name}.onnx")
        check_network(data, f"{self.name}: {name}")
        return data


def pack_weights(
    recipe: Mapping[str, Any], networks: Mapping[str, bytes], arrays: Mapping[str, npt.NDArray[Any]]
) -> bytes:
    """Build a weights file; equal parts give equal bytes."""
    bundle = io.BytesIO()
    with zipfile.ZipFile(bundle, "w") as inner:
        for name, array in sorted(arrays.items()):
            part = io.BytesIO()
            np.save(part, array)
            inner.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), part.getvalue())
    return _pack({"recipe": dict(recipe)}, networks, {"arrays.npz": bundle.getvalue()})


def pack_companion(
    digest: bytes, networks: Mapping[str, bytes], kind: str = INT8, recipe: Mapping[str, Any] | None = None
) -> bytes:
    """Build a companion of the weights file with that digest: networks that stand for some of its own.

    A recipe is what a companion that was trained came from.
    """
    meta = {"companion_of": digest.hex()} | ({} if kind == INT8 else {"kind": kind})
    return _pack(meta if recipe is None else meta | {"recipe": dict(recipe)}, networks, {})


def rebind(companion: Weights, digest: bytes) -> bytes:
    """The same companion for another weights file, whose networks are those of the one before."""
    networks = {name: companion.network(name) for name in companion.networks}
    return pack_companion(digest, networks, companion.kind, companion._meta.get("recipe"))


def companion_path(path: Path, kind: str = INT8) -> Path:
    """Where a companion of a weights file lies, if there is one."""
    return path.with_suffix(f".{kind}{path.suffix}")


def _open_archive(data: bytes, origin: str) -> zipfile.ZipFile:
    """An archive, if it unfolds to no more than it may and names nothing twice. Raises `CorruptFile`."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _ARCHIVE_ERRORS as error:
        raise CorruptFile(f"{origin} is not a weights file: {error}") from None
    parts = archive.infolist()
    if sum(part.file_size for part in parts) > LARGEST or len({part.filename for part in parts}) != len(parts):
        raise CorruptFile(f"{origin} holds more than {LARGEST >> 20} MiB, or a part twice")
    return archive


def _read_part(archive: zipfile.ZipFile, name: str, origin: str) -> bytes:
    try:
        return archive.read(name)
    except _ARCHIVE_ERRORS as error:
        raise CorruptFile(f"{origin}: {name}: {error}") from None


def _array(data: bytes, origin: str) -> npt.NDArray[Any]:
    """An array of numbers from an .npy file that holds all of it. Raises `CorruptFile`."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, column_order, kind = read(stream)
        if kind.kind not in "biuf" or column_order:
            raise ValueError(f"an array of {kind}")
        return np.frombuffer(data, kind, math.prod(shape), stream.tell()).reshape(shape).copy()
    except (LookupError, TypeError, ValueError, OverflowError, SyntaxError, tokenize.TokenError) as error:
        raise CorruptFile(f"{origin} holds what is no array of numbers: {error}") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise WeightsNotFound(f"{path} does not exist; `calotype models` lists what is installed") from None


def _pack(meta: Mapping[str, Any], networks: Mapping[str, bytes], parts: Mapping[str, bytes]) -> bytes:
    members = {"meta.json": json.dumps({"format": FORMAT, **meta}, sort_keys=True).encode(), **parts}
    members |= {f"{name}.onnx": data for name, data in networks.items()}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as outer:
        for name, data in sorted(members.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED  # integers and shortened floats shrink to about a half
            outer.writestr(entry, data)
    return archive.getvalue()
