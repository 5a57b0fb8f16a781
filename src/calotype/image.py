"""Images as integers: the only image type inside Calotype."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from .errors import Unsupported, WrongType

if TYPE_CHECKING:
    from PIL import Image as Pillow

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # channels -> Pillow's name of the mode

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def pixel_type(depth: int) -> type[np.uint8] | type[np.uint16]:
    """The type of samples of 1 to 16 bits."""
    return np.uint8 if depth <= 8 else np.uint16


def empty(shape: tuple[int, ...], depth: int) -> Pixels:
    """Room for samples of so many bits."""
    return np.empty(shape, np.uint8) if depth <= 8 else np.empty(shape, np.uint16)


@dataclass(frozen=True)
class Metadata:
    """Blocks that travel beside the pixels, byte for byte; None where absent."""

    icc: bytes | None = None
    """ICC colour profile."""
    exif: bytes | None = None
    """Exif block without the `Exif\\0\\0` prefix; holds the orientation, which is kept and not applied."""
    xmp: bytes | None = None
    """XMP packet (UTF-8 XML)."""
    cicp: bytes | None = None
    """Colour space by the numbers of ITU-T H.273, 4 bytes: primaries, transfer, matrix (0), full range. Above `icc`."""
    gamma: bytes | None = None
    """Bodies of PNG's chunks gAMA (4 bytes; zeros where it is missing) and cHRM (32, or none). Below `icc`."""
    density: bytes | None = None
    """Pixels per metre, or the shape of a pixel, 9 bytes: the body of PNG's chunk pHYs."""

    def __post_init__(self) -> None:
        for entry in fields(self):
            if not isinstance(block := getattr(self, entry.name), (bytes, type(None))):
                raise WrongType(f"metadata are bytes: {entry.name} is {type(block).__name__}")

    def __bool__(self) -> bool:
        return any(getattr(self, entry.name) is not None for entry in fields(self))

    def under(self, other: Metadata) -> Metadata:
        """The blocks of `other`, and of this where that has none."""
        names = [entry.name for entry in fields(self)]
        own = {name: getattr(self, name) for name in names}
        return Metadata(**own | {name: block for name in names if (block := getattr(other, name)) is not None})


@dataclass(frozen=True, eq=False)
class Image:
    """Pixels of shape `(*views, height, width, channels)`, unsigned integers of `depth` bits.

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
        wanted = pixel_type(self.depth)
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

    @classmethod
    def of_views(cls, images: Sequence[Image], rows: int | None = None) -> Image:
        """Join plain images of one size, mode, depth and colour profile, as the views of one scene.

        Parameters
        ----------
        images
            The views in their order: left before right, of a light field row by row. Exif and XMP are the first one's.
        rows
            Rows of a light field; None is a single row of views.

        Raises
        ------
        Unsupported
            They differ, have views themselves, or do not fill the rows.
        """
        if not images:
            raise Unsupported("an image needs at least one view")
        first = images[0]
        for number, image in enumerate(images):
            if image.views or image._kind() != first._kind():
                raise Unsupported(f"view {number} is not like view 0 in size, mode, bit depth and colour profile")
        pixels = np.stack([image.pixels for image in images])
        if rows is not None:
            if rows < 1 or len(images) % rows:
                raise Unsupported(f"{len(images)} views do not fill {rows} rows")
            pixels = pixels.reshape(rows, len(images) // rows, *first.pixels.shape)
        return cls(cast(Pixels, pixels), first.depth, first.metadata)

    def _kind(self) -> tuple[object, ...]:
        """What views of one scene have in common."""
        metadata = self.metadata
        return self.pixels.shape, self.depth, metadata.icc, metadata.cicp, metadata.gamma

    def view(self, *index: int) -> Image:
        """One view as a plain image, with the metadata."""
        return Image(self.pixels[index], self.depth, self.metadata)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """The samples for `numpy.asarray(image)`; without the last dimension where there is one channel."""
        pixels = self.pixels[..., 0] if self.channels == 1 else self.pixels
        if copy is False and dtype is not None and np.dtype(dtype) != pixels.dtype:
            raise ValueError(f"an array of {np.dtype(dtype)} would be a copy of these {pixels.dtype} samples")
        return np.array(pixels, dtype, copy=bool(copy) or None)

    def to_pillow(self) -> Pillow.Image:
        """A Pillow image with the metadata that Pillow carries. Raises `Unsupported` for views, and for deep colour."""
        from .io import to_pillow  # the one step upwards: so that it is where users look for it

        return to_pillow(self)

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


def largest_error(image: Image, decoded: Image) -> int:
    """Largest absolute difference of a sample, alpha too, of two images of one shape."""
    above = np.maximum(image.pixels, decoded.pixels)
    return int((above - np.minimum(image.pixels, decoded.pixels)).max())


def psnr(image: Image, decoded: Image) -> float:
    """PSNR in dB of the colours that can be seen, of two images of one shape; infinite where they are equal."""
    has_alpha = image.channels in (2, 4)
    visible = image.pixels[..., -1] > 0 if has_alpha else np.ones(image.pixels.shape[:-1], np.bool_)
    colours = image.channels - has_alpha
    difference = image.pixels[visible, :colours].astype(np.float32) - decoded.pixels[visible, :colours]
    error = float(np.mean(difference**2)) if difference.size else 0.0
    return math.inf if error == 0 else 10 * math.log10(((1 << image.depth) - 1) ** 2 / error)
