"""The image files that a bench measures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from ...errors import CalotypeError
from ...image import Image
from ...io import PICTURE_ENDINGS, read_image
from ..rivals import RGB


@dataclass(frozen=True)
class ImageFile:
    """An image file; its pixels are read when they are needed."""

    set: str
    """Name of its folder."""
    name: str
    """Name of the file without its ending."""
    path: Path

    @property
    def pixels(self) -> RGB:
        """Its colours, see `to_rgb`. Raises `CalotypeError` or `OSError`."""
        return _read(self.path)

    @property
    def hash(self) -> str:
        """First 16 hexadecimal digits of SHA-256 over the samples."""
        return _hash(self.path)


def find_images(sources: Iterable[Path]) -> list[ImageFile]:
    """Images from files, and from folders those directly in them, by name.

    Raises
    ------
    CalotypeError
        A source is not there or holds none, or two images have the same name in folders of the same name.
    """
    images = []
    for place in sources:
        files = [place]
        if place.is_dir():
            files = sorted(path for path in place.iterdir() if path.suffix.lower() in PICTURE_ENDINGS)
        if not files or not files[0].is_file():
            raise CalotypeError(f"{place} holds no images to measure; name image files, or folders with some")
        images += [ImageFile(file.resolve().parent.name, file.stem, file) for file in files]
    names = [(image.set, image.name) for image in images]
    for twice in {name for name in names if names.count(name) > 1}:
        raise CalotypeError(f"two images are called {'/'.join(twice)}; rename one, or its folder")
    return images


def to_rgb(image: Image) -> RGB:
    """The colours of an image as (height, width, 3) of 8 bits: grey is repeated, alpha left out, 16 bits rounded."""
    colours = image.pixels[..., : 1 if image.channels < 3 else 3].astype(np.uint32)
    peak = (1 << image.depth) - 1
    return np.broadcast_to((colours * 255 + peak // 2) // peak, (image.height, image.width, 3)).astype(np.uint8)


@lru_cache(maxsize=4)  # jobs go through the qualities of one image first
def _read(path: Path) -> RGB:
    pixels = to_rgb(read_image(path))
    pixels.flags.writeable = False
    return pixels


@cache
def _hash(path: Path) -> str:
    pixels = _read(path)
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:16]
