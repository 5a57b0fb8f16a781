"""Small images of every mode and many kinds, coded with a bound on the error: no sample may be off by more.

Coded by `prism`, and a part by `nearlossless`, of every effort, with one or two threads, in one tile or several, and
decoded with others. The kernel of `prism` codes and decodes each with and without wider instructions; the networks of
`nearlossless` run on ONNX Runtime and, where PyTorch is installed, on that. A case holds if every sample is within the
bound, alpha exact, and the bound and the largest error as the file says.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

import calotype
from calotype.codecs.nearlossless import codec as nearlossless
from calotype.codecs.prism import codec as prism
from calotype.codecs.prism._kernel import lib
from calotype.image import Image, Pixels

KINDS = ("noise", "flat", "extremes", "edges", "ramp", "sparse", "outlier", "smooth", "drawn")
SIDE = 12  # pixels at most of images of one tile
SMALL_TILE = 64  # pixels: the smallest that files can have
TILED = 0.02  # of the cases have several tiles
LAYERED_MODEL = "nearlossless.compact"
LAYERED = 0.03  # of the cases are for `nearlossless`
QUICK = 0.75  # of those for `prism` have effort 1, which takes a tenth of the time of others
SLOWEST = 0.002  # have the last effort, which takes five times as long as others
ON_TORCH = 0.1  # are coded, and as many decoded, with PyTorch
THREADS = (1, 1, 1, 2)
LOOKED_INTO = 0.1  # are asked what they say of themselves, and for a region
MODES = ("grey", "grey and alpha", "colours", "colours and alpha")


class Target:
    """See the module."""

    memory = 2 << 30  # bytes that one case may take

    def __init__(self) -> None:
        self._prism = calotype.load(lossless=True)
        self._efforts = sorted(self._prism.info.efforts)
        self._layered = calotype.load(LAYERED_MODEL)
        self._layered_torch = calotype.load(LAYERED_MODEL, device="cpu") if find_spec("torch") else self._layered

    def make(self, random: Random) -> tuple[bytes, Callable[[], str]]:
        """An image as a file of NumPy, and how to try it."""
        rng = np.random.default_rng(random.randrange(1 << 32))
        layered = random.random() < LAYERED
        depth = 8 if layered or random.random() < 0.3 else random.randrange(1, 17)
        shape = (random.randrange(1, SIDE + 1), random.randrange(1, SIDE + 1), random.randrange(1, 5))
        tiled = random.random() < TILED
        if tiled:
            shape = (random.randrange(1, 5), random.randrange(SMALL_TILE + 1, SMALL_TILE + 9), shape[2])
            shape = shape if random.random() < 0.5 else (shape[1], shape[0], shape[2])
        kind = random.choice(KINDS)
        image = Image(draw(rng, shape, depth, kind), depth)
        bound = draw_bound(random, depth)
        name = "nearlossless" if layered else "prism"

        def attempt() -> str:
            before = image.pixels.copy()
            with _written(SMALL_TILE if tiled else None, networks=random.random() < 0.5):
                data, found = (self._try_layered if layered else self._try_prism)(image, bound, random)
            if not np.array_equal(image.pixels, before):
                raise AssertionError("coding changed the image that it was given")
            error = check(image, bound, found)
            if random.random() < LOOKED_INTO:
                look_into(data, bound, error, found, random)
            return f"{name}, {MODES[shape[2] - 1]}: {'exact' if error == 0 else 'off, within the bound'}"

        file = io.BytesIO()
        np.save(file, image.pixels)
        return file.getvalue(), attempt

    def _try_prism(self, image: Image, bound: int, random: Random) -> tuple[bytes, Image]:
        effort = 1 if random.random() < QUICK else random.choice(self._efforts[:-1])
        if random.random() < SLOWEST:
            effort = self._efforts[-1]
        try:
            lib.prism_portable(random.randrange(2))
            data = self._prism.encode(image, max_error=bound, effort=effort, threads=random.choice(THREADS))
            lib.prism_portable(random.randrange(2))
            return data, self._prism.decode_image(data, threads=random.choice(THREADS))
        finally:
            lib.prism_portable(0)

    def _try_layered(self, image: Image, bound: int, random: Random) -> tuple[bytes, Image]:
        writer, reader = (self._layered_torch if random.random() < ON_TORCH else self._layered for _ in range(2))
        data = writer.encode(image, max_error=bound, threads=random.choice(THREADS))
        return data, reader.decode_image(data, threads=random.choice(THREADS))


def check(image: Image, bound: int, found: Image) -> int:
    """Return the largest error. Raises `AssertionError` where what was found breaks the bound."""
    error: npt.NDArray[np.int64] = np.abs(found.pixels.astype(np.int64) - image.pixels)
    if error.max() > bound:
        raise AssertionError(f"a sample is off by {error.max()} where the bound is {bound}")
    if image.channels in (2, 4) and error[..., -1].any():
        raise AssertionError("alpha is not exact")
    return int(error.max())


def look_into(data: bytes, bound: int, error: int, found: Image, random: Random) -> None:
    """Raises `AssertionError` where a file says of itself what is not so, or a region is not that of the whole."""
    about = calotype.info(data)
    if (about.max_error, about.largest_error) != (bound, error):
        raise AssertionError(f"the file says bound {about.max_error}, largest error {about.largest_error}")
    x, y = random.randrange(found.width), random.randrange(found.height)
    region = (x, y, random.randrange(found.width - x) + 1, random.randrange(found.height - y) + 1)
    part = calotype.decode_image(data, region=region, threads=1).pixels
    if not np.array_equal(part, found.pixels[y : y + region[3], x : x + region[2]]):
        raise AssertionError(f"region {region} differs from the whole")


def draw_bound(random: Random, depth: int) -> int:
    """1 to the largest value: as many of each size of number, and the ends often."""
    top = (1 << depth) - 1
    match random.randrange(10):
        case 0:
            return 1
        case 1:
            return top
        case _:
            bound: int = round(top ** random.random())
            return max(1, bound)


def draw(rng: np.random.Generator, shape: tuple[int, int, int], depth: int, kind: str) -> Pixels:
    """An image (height, width, channels) of one of KINDS."""
    top = (1 << depth) - 1
    height, width, channels = shape
    y, x = np.mgrid[:height, :width]
    if kind == "noise":
        drawn: Any = rng.integers(0, top + 1, shape)
    elif kind == "extremes":
        drawn = rng.integers(0, 2, shape) * top
    elif kind == "edges":
        drawn = np.abs(rng.choice([0, top], shape) - rng.integers(0, 1 + max(1, top // 100), shape))
    elif kind == "ramp":
        drawn = (np.arange(np.prod(shape)) * rng.integers(1, 9)).reshape(shape) % (top + 1)
    elif kind == "sparse":
        drawn = rng.integers(0, top + 1, 5)[rng.integers(0, 5, shape)]
    elif kind == "smooth":
        wave = np.sin(x / rng.uniform(1, 9) + y / rng.uniform(1, 9))[..., None] * top / 3
        drawn = np.clip(top / 2 + wave + rng.normal(0, top / 40 + 0.5, shape), 0, top).astype(int)
    else:
        drawn = np.broadcast_to(rng.integers(0, top + 1, channels), shape).copy()
        if kind == "outlier":
            drawn[rng.integers(height), rng.integers(width)] = rng.integers(0, 2) * top
        elif kind == "drawn":
            for _ in range(3):
                rows, columns = (np.sort(rng.integers(0, size + 1, 2)) for size in (height, width))
                drawn[rows[0] : rows[1], columns[0] : columns[1]] = rng.integers(0, top + 1, channels)
    pixels: Pixels = drawn.astype(np.uint8 if depth <= 8 else np.uint16)
    return pixels


@contextmanager
def _written(side: int | None, networks: bool) -> Iterator[None]:
    """Meanwhile, files have tiles of so many pixels, or usual ones; `networks` are used even where they do not pay."""
    usual = prism.TILE, nearlossless.TILE, nearlossless._pack_exact
    if side is not None:
        prism.TILE = nearlossless.TILE = side
    if networks:
        nearlossless._pack_exact = lambda pixels, below: None
    try:
        yield
    finally:
        prism.TILE, nearlossless.TILE, nearlossless._pack_exact = usual
