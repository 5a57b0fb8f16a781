"""Images as integers: the only picture type inside Calotype."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import cast

import numpy as np
import numpy.typing as npt

from .errors import Unsupported

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # channels -> Pillow's name of the mode

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Metadata:
    """Blocks that travel beside the pixels, byte for byte; None where absent."""

    icc: bytes | None = None
    """ICC colour profile."""
    exif: bytes | None = None
    """Exif block without the `Exif\\0\\0` prefix; holds the orientation, which is kept and not applied."""
    xmp: bytes | None = None
    """XMP packet (UTF-8 XML)."""

    def __bool__(self) -> bool:
        return any(getattr(self, entry.name) is not None for entry in fields(self))


@dataclass(frozen=True, eq=False)
class Image:
    """Pixels of shape (*views, height, width, channels), unsigned integers of `depth` bits.

    Raises
    ------
    Unsupported
        The array's type, shape or values do not describe such an image.
    """

    pixels: Pixels
    depth: int = 8
    metadata: Metadata = field(default_factory=Metadata)

    def __post_init__(self) -> None:
        pixels = self.pixels
        if not 1 <= self.depth <= 16:
            raise Unsupported(f"bit depth {self.depth}: 1 to 16 are possible")
        wanted = np.uint8 if self.depth <= 8 else np.uint16
        if pixels.dtype != wanted:
            raise Unsupported(f"{self.depth}-bit pixels must be {wanted.__name__}, not {pixels.dtype}")
        if pixels.ndim < 3 or pixels.shape[-1] not in MODES:
            raise Unsupported(f"pixels must have shape (*views, height, width, 1 to 4), not {pixels.shape}")
        if 0 in pixels.shape:
            raise Unsupported(f"an image needs at least one pixel, not {pixels.shape}")
        if self.depth not in (8, 16) and (largest := int(pixels.max())) >> self.depth:
            raise Unsupported(f"pixel value {largest} does not fit into {self.depth} bits")

    @classmethod
    def from_array(cls, array: npt.NDArray[np.generic]) -> Image:
        """Take (height, width) or (height, width, 1 to 4) unsigned integers of 8 or 16 bits."""
        if array.dtype not in (np.uint8, np.uint16):
            raise Unsupported(f"pixels must be uint8 or uint16, not {array.dtype}; scale and round them first")
        pixels = array[..., None] if array.ndim == 2 else array
        return cls(cast(Pixels, pixels), depth=8 * array.dtype.itemsize)

    @property
    def views(self) -> tuple[int, ...]:
        return self.pixels.shape[:-3]

    @property
    def height(self) -> int:
        return int(self.pixels.shape[-3])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[-2])

    @property
    def channels(self) -> int:
        return int(self.pixels.shape[-1])

    @property
    def mode(self) -> str:
        """Pillow's name of the colour layout: L, LA, RGB or RGBA."""
        return MODES[self.channels]
