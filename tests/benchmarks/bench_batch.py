"""Images per second of batches beside a loop of single calls, on the processor or a GPU.

    pytest tests/benchmarks/bench_batch.py -s
    CALOTYPE_DEVICE=cuda pytest tests/benchmarks/bench_batch.py -s

Kodak below `CALOTYPE_DATA`, and images of 1920x1080 put together from it. All ways take turns, three times over, and
the median counts; pixels and files lie in memory. Not part of the test suite; `make bench` runs it.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import calotype
from calotype.parallel import ON_A_GPU, cores

DEVICE = os.environ.get("CALOTYPE_DEVICE") or None
ROUNDS = 3
QUALITY = 60
LARGE = 8  # images of 1920x1080


def kodak() -> list[np.ndarray]:
    folder = Path(os.environ.get("CALOTYPE_DATA", "../shared/data")) / "eval" / "kodak"
    images = [np.asarray(PIL.Image.open(path)) for path in sorted(folder.glob("*.png"))]
    if not images:
        pytest.skip(f"no Kodak images in {folder}; set CALOTYPE_DATA")
    return images


def full_hd() -> list[np.ndarray]:
    """Nine wide Kodak images side by side, cut to size; each time other ones."""
    wide = [image for image in kodak() if image.shape == (512, 768, 3)]
    images = []
    for first in range(LARGE):
        nine = [wide[(first + place) % len(wide)] for place in range(9)]
        rows = [np.concatenate(nine[start : start + 3], 1) for start in (0, 3, 6)]
        images.append(np.concatenate(rows)[:1080, :1920])
    return images


@pytest.mark.parametrize("source", [kodak, full_hd])
def test_images_per_second(source: Callable[[], list[np.ndarray]]) -> None:
    images = source()
    model = calotype.load(device=DEVICE)
    counts = [1, 2, ON_A_GPU, 2 * ON_A_GPU] if DEVICE else sorted({1, cores()})
    files = [model.encode(image, QUALITY, threads=1) for image in images]  # warms up, too
    ways: dict[str, Callable[[], object]] = {
        "encode, loop": lambda: [model.encode(image, QUALITY) for image in images],
        "decode, loop": lambda: [model.decode(data) for data in files],
    }
    for count in counts:
        ways[f"encode_batch, threads={count}"] = partial(model.encode_batch, images, QUALITY, threads=count)
        ways[f"decode_batch, threads={count}"] = partial(model.decode_batch, files, threads=count)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            started = time.perf_counter()
            result = way()  # arrays and bytes on the processor: whatever a GPU did is finished
            seconds[name].append(time.perf_counter() - started)
            if name.startswith("encode_batch"):
                assert result == files
    print(
        f"\n{len(images)} images, the first {images[0].shape[1]}x{images[0].shape[0]}, "
        f"{DEVICE or 'processor'}, {cores()} cores"
    )
    for name in sorted(ways):
        median = statistics.median(seconds[name])
        megapixels = sum(image[..., 0].size for image in images) / 1e6
        print(f"{name:<26} {len(images) / median:8.2f} images/s {megapixels / median:8.2f} MP/s")
