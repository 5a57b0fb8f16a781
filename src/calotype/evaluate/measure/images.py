"""The images that a bench measures, and the files that hold them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from ...errors import CalotypeError
from ...image import Image
from ...io import IMAGE_ENDINGS, read_image


@dataclass(frozen=True)
class ImageFile:
    """An image in a file, or in a file for each of its views; its samples are read when they are needed."""

    set: str
    """Name of its folder."""
    name: str
    """Name of the file, or of the first one, without its ending."""
    paths: tuple[Path, ...]
    views: tuple[int, ...] = ()
    """Shape of the views, one file each; empty for a plain image."""
    rgb: bool = False
    """Whether it is converted to 8-bit RGB, see `to_rgb`."""

    @property
    def image(self) -> Image:
        """The samples without metadata. Raises `CalotypeError` or `OSError`."""
        return _read(self)

    @property
    def hash(self) -> str:
        """First 16 hexadecimal digits of SHA-256 over shape and samples."""
        return _hash(self)


def find_images(sources: Iterable[Path], views: Sequence[int] = (), *, rgb: bool = False) -> list[ImageFile]:
    """Images from files, and from folders those directly in them, by name.

    Parameters
    ----------
    views
        Shape of the views of an image, each a file: with (2,) every two files of a folder make one image, with (9, 9)
        every 81, row by row.
    rgb
        Convert every image to 8-bit RGB; else they are measured as they are.

    Raises
    ------
    CalotypeError
        A source is not there or holds none, its files do not make whole images, or two images have the same name in
        folders of the same name.
    """
    found = []
    for files in _groups(sources):
        count = math.prod(views)
        if len(files) % count:
            raise CalotypeError(f"{len(files)} files from {files[0].parent} do not make images of {count} views each")
        for start in range(0, len(files), count):
            paths = tuple(files[start : start + count])
            found.append(ImageFile(paths[0].resolve().parent.name, paths[0].stem, paths, tuple(views), rgb))
    names = [(image.set, image.name) for image in found]
    for twice in {name for name in names if names.count(name) > 1}:
        raise CalotypeError(f"two images are called {'/'.join(twice)}; rename one, or its folder")
    return found


def to_rgb(image: Image) -> Image:
    """The colours of an image with 8 bits and 3 channels: grey is repeated, alpha left out, 16 bits are rounded."""
    colours = image.pixels[..., : 1 if image.channels < 3 else 3].astype(np.uint32)
    peak = (1 << image.depth) - 1
    levels = ((colours * 255 + peak // 2) // peak).astype(np.uint8)
    return Image(np.broadcast_to(levels, (*levels.shape[:-1], 3)))


def _groups(sources: Iterable[Path]) -> list[list[Path]]:
    """Image files: those named one by one together, those of a folder together."""
    groups: list[list[Path]] = []
    single: list[Path] = []
    for place in sources:
        files = [place]
        if place.is_dir():
            files = sorted(path for path in place.iterdir() if path.suffix.lower() in IMAGE_ENDINGS)
        if not files or not files[0].is_file():
            raise CalotypeError(f"{place} holds no images to measure; name image files, or folders with some")
        if place.is_dir():
            groups.append(files)
        else:
            if not single:
                groups.append(single)
            single += files
    return groups


@lru_cache(maxsize=4)  # jobs go through the ladder of one image first
def _read(file: ImageFile) -> Image:
    parts = [read_image(path) for path in file.paths]
    image = parts[0]
    if file.views:
        image = Image.of_views(parts, rows=file.views[0] if len(file.views) > 1 else None)
    image = to_rgb(image) if file.rgb else Image(image.pixels, image.depth)
    image.pixels.flags.writeable = False
    return image


@cache
def _hash(file: ImageFile) -> str:
    image = file.image
    digest = hashlib.sha256(repr(image.pixels.shape).encode() + image.pixels.tobytes())
    return digest.hexdigest()[:16]
