"""The libraries that do the work: whether they are there, and what several rivals do with them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import features

from ...image import Image

INSTALL = "pip install 'calotype[bench]'"


def samples_of(image: Image) -> npt.NDArray[Any]:
    """The samples as libraries take them: grey without an axis for its one channel."""
    return np.ascontiguousarray(image.pixels[..., 0] if image.channels == 1 else image.pixels)


def save_with_pillow(image: Image, format: str, **options: Any) -> bytes:
    """Make a file in memory; metadata is not carried over."""
    file = io.BytesIO()
    Pillow.fromarray(samples_of(image)).save(file, format, **options)
    return file.getvalue()


def open_with_pillow(data: bytes) -> Image:
    """Decode what `save_with_pillow` made."""
    with Pillow.open(io.BytesIO(data)) as opened:
        return Image.from_array(np.asarray(opened))


def missing_in_pillow(feature: str) -> str | None:
    """Say why Pillow cannot write a format, by its name in `PIL.features`."""
    if features.check(feature):
        return None
    return f"this build of Pillow has no {feature}; run: pip install --upgrade pillow"


def missing_in_imagecodecs(codec: str) -> str | None:
    """Say why imagecodecs cannot run a codec, by the name of its constants, such as "JPEGXL"."""
    if reason := missing_package("imagecodecs"):
        return reason
    if getattr(import_module("imagecodecs"), codec).available:
        return None
    return f"this build of imagecodecs has no {codec}; run: pip install --upgrade imagecodecs"


def missing_package(name: str, install: str = INSTALL) -> str | None:
    """Say that a package is not installed, by the name under which it is imported, and how to install it."""
    try:
        import_module(name)
    except ImportError:
        return f"{name} is not installed; run: {install}"
    return None


@contextmanager
def set_for_now(module: ModuleType, name: str, value: object) -> Iterator[None]:
    """Change a module's global for the time of a block, where a library takes a setting in no other way."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
