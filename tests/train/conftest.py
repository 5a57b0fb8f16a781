"""Small tiles, a clock that ticks by itself, and image files."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from calotype.train import data, loop
from tests.train.toys import SIDE, Clock, make_image


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "TILE", SIDE)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(loop, "time", found)
    return found


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an image of two tiles and an archive of two."""
    folder = tmp_path_factory.mktemp("images")
    make_image(0, SIDE + 90, 2 * SIDE + 40).save(folder / "wide.png")
    (folder / "notes.txt").write_text("no image")
    with tarfile.open(folder / "more.tar", "w") as archive:
        for seed in (1, 2):
            stream = io.BytesIO()
            make_image(seed, SIDE, SIDE).save(stream, "webp", lossless=True)
            entry = tarfile.TarInfo(f"{seed}.webp")
            entry.size = stream.tell()
            archive.addfile(entry, io.BytesIO(stream.getvalue()))
    return folder
