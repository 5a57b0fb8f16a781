"""Distances of whole sets: of all patches of all images together, as they were decoded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as Pillow

pytest.importorskip("pyarrow")

from calotype.evaluate.measure.images import find_images
from calotype.evaluate.measure.metrics import find_metrics
from calotype.evaluate.measure.patches import SIDE, cut_patches, frechet, kernel
from calotype.evaluate.measure.perception import set_distances
from calotype.evaluate.measure.run import bench
from calotype.evaluate.measure.subjects import Own
from calotype.evaluate.rivals import find_rivals


def colours(patches: list[npt.NDArray[Any]], peak: int = 255, folder: Path | None = None) -> npt.NDArray[np.float64]:
    """In place of a network: the mean of each colour in each quarter."""
    half = SIDE // 2
    quarters = [[p[y : y + half, x : x + half].mean((0, 1)) for y in (0, half) for x in (0, half)] for p in patches]
    return np.array(quarters).reshape(len(patches), -1) / peak


def test_patches_of_all_images_are_one_set(
    tmp_path: Path, texture: Callable[..., npt.NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("calotype.evaluate.measure.patches.describe", colours)
    folder = tmp_path / "set"
    folder.mkdir()
    for name, shape in (("a", (256, 512, 3)), ("b", (300, 256, 3)), ("small", (40, 50, 3))):
        Pillow.fromarray(texture(*shape, seed=ord(name[0]))).save(folder / f"{name}.png")
    Pillow.fromarray(texture(256, 256, 1)[..., 0]).save(folder / "grey.png")
    images, model = find_images([folder]), Own("deflate.coarse", (0.0, 60.0))
    subjects = [model, *find_rivals(["png"])]
    rows = bench(images, subjects, tmp_path / "out", metrics=find_metrics(["psnr"]))
    turns = list[tuple[int, int, str]]()
    found = set_distances(subjects, images, rows, tmp_path / "out", report=lambda *turn: turns.append(turn))
    assert found.keys() == {("set", "deflate.coarse", 0.0), ("set", "deflate.coarse", 60.0)}  # not of what has no loss
    assert turns[-1][:2] == (8, 8)
    for (_, _, quality), distances in found.items():
        sets: tuple[list[npt.NDArray[Any]], list[npt.NDArray[Any]]] = ([], [])
        for image in images[:2]:
            rung = next(rung for rung in model.ladder if rung.number == quality)
            sets[0].extend(cut_patches(image.image.pixels))
            sets[1].extend(cut_patches(model.decode(model.encode(image.image, rung, 1), 1).pixels))
        assert len(sets[0]) == 3
        originals, decoded = map(colours, sets)
        assert distances == {
            "frechet_squeeze": pytest.approx(frechet(originals, decoded)),
            "kernel_squeeze": pytest.approx(kernel(originals, decoded)),
        }
        assert distances["frechet_squeeze"] > 0
