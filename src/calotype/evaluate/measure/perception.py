"""Distances of the patches of whole sets of images, from the files that a bench kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from ..rivals import Rival
from ..tables.folder import file_of
from ..tables.rows import Row
from .images import ImageFile
from .patches import FEWEST, Features, describe_image, frechet, kernel

DISTANCES = {"frechet_squeeze": frechet, "kernel_squeeze": kernel}
"""By the names that they have for single images."""


def set_distances(
    subjects: Iterable[Rival],
    images: Iterable[ImageFile],
    rows: Sequence[Row],
    folder: Path,
    perceptual: Path | None = None,
    report: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> dict[tuple[str, str, float], dict[str, float]]:
    """How far the patches of all decoded images are from those of the originals, by set, codec and quality.

    Left out is what has less than `FEWEST` patches.

    Parameters
    ----------
    folder
        That of the bench, which holds the coded files.
    perceptual
        Of the network's weights, as in `find_metrics`.
    report
        Gets the number of rows done, of all, and the codec.
    """
    by_name = {subject.name: subject for subject in subjects}
    originals = {(image.set, image.name): image for image in images}
    known: dict[tuple[str, str], Features | None] = {}
    pairs: dict[tuple[str, str, float], list[tuple[Features, Features]]] = {}
    done = [row for row in rows if row.error is None and row.kind == "lossy"]
    for number, row in enumerate(done):
        report(number, len(done), row.codec)
        place = row.set, row.image
        if place not in known:
            known[place] = describe_image(originals[place].image, perceptual)
        original = known[place]
        decoded = by_name[row.codec].decode(file_of(folder, row).read_bytes(), 1)
        found = describe_image(decoded, perceptual)
        if original is not None and found is not None:
            pairs.setdefault((row.set, row.codec, row.quality), []).append((original, found))
    report(len(done), len(done), "")
    joined = {key: [np.concatenate(part) for part in zip(*both, strict=True)] for key, both in pairs.items()}
    return {
        key: {name: distance(original, decoded) for name, distance in DISTANCES.items()}
        for key, (original, decoded) in joined.items()
        if len(original) >= FEWEST
    }
