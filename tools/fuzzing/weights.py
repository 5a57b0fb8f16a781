"""Weights archives of the golden files: networks, arrays and recipes mutated, checksums made right again.

Each is installed, encodes a small image and decodes it. What goes wrong in weights from outside is a `CalotypeError`
that names them.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import calotype
from calotype import registry
from calotype.model import open_model
from calotype.runtime.weights import Weights

from .mutate import mutate

GOLDEN = Path(__file__).parents[2] / "tests/golden"
VALUES: tuple[Any, ...] = (0, -1, 1, 2, 7, 255, 1 << 40, 1e30, float("nan"), "x", "", None, True, [], [1, 2], {}, [[1]])
Parts = dict[str, bytes]


class Target:
    """See the module."""

    memory = 2 << 30  # bytes that one mutant may take

    def __init__(self) -> None:
        self._archives = {path: parts_of(path.read_bytes()) for path in sorted(GOLDEN.glob("*/*.calow"))}
        self._folder = tempfile.TemporaryDirectory()
        os.environ[registry.SEARCH_PATH] = self._folder.name
        y, x, c = np.ogrid[:20, :36, :3]
        self._image = (128 + 90 * np.sin((x + 2 * y) / 5 + c)).astype(np.uint8)

    def make(self, random: Random) -> tuple[bytes, Callable[[], str]]:
        """A mutant, and how to use it."""
        path = random.choice(sorted(self._archives))
        data = _mutant(self._archives[path], random)
        codec, tag = path.parent.name, random.randrange(1 << 60)

        def attempt() -> str:
            try:
                self._use(codec, data, tag)
            except calotype.CalotypeError as error:
                return f"{codec}: {type(error).__name__}"
            return f"{codec}: an image"

        return data, attempt

    def _use(self, codec: str, data: bytes, tag: int) -> None:
        archive = Path(self._folder.name, "mutant.calow")
        archive.write_bytes(data)
        digest = Weights(data, "").digest.hex()
        archive.with_suffix(".toml").write_text(f'name = "{codec}.mutant"\ndigest = "{digest}"\n')
        registry._open.cache_clear()
        model = open_model(registry.find(archive))
        image = self._image[..., : 1 + 2 * (tag % 2)]
        model.decode(model.encode(image, threads=1), threads=1)


def _mutant(parts: Parts, random: Random) -> bytes:
    """An archive with one part damaged, the checksums right; now and then the archive itself is damaged."""
    if random.random() < 0.1:
        return mutate(pack(parts), random)
    name = random.choice(sorted(parts))
    return pack(parts | {name: _damaged(name, parts[name], random)})


def _damaged(name: str, data: bytes, random: Random) -> bytes:
    if name == "arrays.npz" and (arrays := parts_of(data)):
        chosen = random.choice(sorted(arrays))
        if random.random() < 0.1:
            del arrays[chosen]
            return pack(arrays)
        return pack(arrays | {chosen: mutate(arrays[chosen], random)})
    if name == "meta.json" and random.random() < 0.8:
        meta = json.loads(data)
        table = random.choice([table for table in _tables(meta) if table])
        table[random.choice(sorted(table))] = random.choice(VALUES)
        return json.dumps(meta).encode()
    return mutate(data, random)


def _tables(value: Any) -> list[dict[str, Any]]:
    """All tables in a table."""
    if not isinstance(value, dict):
        return []
    return [value, *(table for entry in value.values() for table in _tables(entry))]


def parts_of(archive: bytes) -> Parts:
    """The parts of an archive by name."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def pack(parts: Parts) -> bytes:
    """An archive of parts."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return stream.getvalue()
