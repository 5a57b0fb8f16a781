"""Pillow's images <-> `Image`."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Unsupported, WrongType
from ..image import Image, Metadata
from . import density, exif
from .errors import note

if TYPE_CHECKING:
    from PIL import Image as Pillow

_PLAIN = {"L", "LA", "RGB", "RGBA"}
_CONVERT = {"1": "L", "La": "LA", "PA": "RGBA", "RGBX": "RGB", "RGBa": "RGBA", "YCbCr": "RGB", "HSV": "RGB"}
_LOSES = {"La": "premultiplied alpha", "RGBa": "premultiplied alpha", "YCbCr": "YCbCr", "HSV": "HSV", "CMYK": "CMYK"}
# modes whose conversion cannot be undone


def from_pillow(image: Pillow.Image, exact: bool = False) -> Image:
    """Take a Pillow image of any mode that integers of 8 bits, or grey of 16 bits, can show.

    Parameters
    ----------
    exact
        Refuse what can only be had by a conversion that cannot be undone; else it is done with a warning.

    Raises
    ------
    Unsupported
        Its pixels are of another kind.
    """
    refuse_conversion(_LOSES.get(image.mode), exact)
    return convert(image)


def convert(image: Pillow.Image) -> Image:
    """As `from_pillow`, without a word about conversions."""
    mode, metadata = image.mode, metadata_of(image)
    if mode == "CMYK":
        image, metadata = _from_cmyk(image, metadata)
    if mode.startswith("I;16"):
        if "transparency" in image.info:
            raise Unsupported("16-bit grey with a transparent value cannot be kept; remove its tRNS entry")
        deep = np.asarray(image).astype(np.uint16)
        return Image(deep[..., None], depth=16, metadata=metadata)
    if mode == "I" and image.getextrema()[0] >= 0 and image.getextrema()[1] <= 65535:  # type: ignore[operator]
        return Image(np.asarray(image).astype(np.uint16)[..., None], depth=16, metadata=metadata)
    if mode in ("I", "F"):
        raise Unsupported(f"pixels of mode {mode} are not 8- or 16-bit; scale and round them first")
    pixels = np.asarray(image.convert(_target_mode(image)))
    return Image(pixels[..., None] if pixels.ndim == 2 else pixels, metadata=metadata)


def to_pillow(image: Image) -> Pillow.Image:
    """Make a Pillow image; its `info` holds the metadata that Pillow has names for.

    Raises
    ------
    Unsupported
        Pillow has no such pixels.
    """
    from PIL import Image as Pillow

    refuse_views(image)
    if image.depth not in (8, 16) or (image.depth == 16 and image.channels > 1):
        raise Unsupported(f"Pillow has no {image.depth}-bit {image.mode} pixels; take them as an array")
    pixels = image.pixels[..., 0] if image.channels == 1 else image.pixels
    made = Pillow.fromarray(np.ascontiguousarray(pixels))
    made.info.update(info_of(image.metadata))
    return made


def info_of(metadata: Metadata) -> dict[str, object]:
    """Metadata by the names that Pillow has for it, where it has one."""
    block = exif.PREFIX + metadata.exif if metadata.exif is not None else None
    entries = {
        "icc_profile": metadata.icc,
        "exif": block,
        "xmp": metadata.xmp,
        "dpi": density.in_inches(metadata.density),
    }
    return {key: value for key, value in entries.items() if value is not None}


def refuse_views(image: Image) -> None:
    if image.views:
        raise Unsupported(f"an image file holds one view, this image has {image.views}")


def refuse_conversion(what: str | None, exact: bool) -> None:
    """Refuse, or tell of, a conversion that cannot be undone."""
    if what is None:
        return
    to = "straight alpha" if "alpha" in what else "8-bit RGB"
    if exact:
        raise Unsupported(f"{what} can only be kept as {to}, which cannot be undone: not lossless; convert it first")
    note(f"{what} was converted to {to}, which cannot be undone")


def _target_mode(image: Pillow.Image) -> str:
    transparent = "transparency" in image.info
    if image.mode == "P":
        return "RGBA" if transparent or (image.palette is not None and image.palette.mode == "RGBA") else "RGB"
    mode = _CONVERT.get(image.mode, image.mode)
    if mode not in _PLAIN:
        raise Unsupported(f"pixels of mode {image.mode} have no place here; convert them to RGB first")
    return {"L": "LA", "RGB": "RGBA"}.get(mode, mode) if transparent else mode


def _from_cmyk(image: Pillow.Image, metadata: Metadata) -> tuple[Pillow.Image, Metadata]:
    """To RGB; the profile described the inks, so it is used up and not kept."""
    from PIL import ImageCms

    without = Metadata(None, metadata.exif, metadata.xmp, density=metadata.density)
    if metadata.icc is not None:
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(metadata.icc))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):  # a profile that does not fit: as if there were none
            converted = None
        if converted is not None:
            return converted, without
    return image.convert("RGB"), without


def metadata_of(image: Pillow.Image) -> Metadata:
    """What Pillow tells beside the pixels."""
    info = image.info
    xmp = info.get("xmp")
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    return Metadata(info.get("icc_profile") or None, exif.checked(_exif(image)), xmp or None, density=_density(image))


def _exif(image: Pillow.Image) -> bytes:
    block = image.info.get("exif")
    if isinstance(block, bytes):
        return block.removeprefix(exif.PREFIX)
    if block is not None:
        raise WrongType(f"exif of a Pillow image is bytes, not {type(block).__name__}")
    for key in ("Raw profile type exif", "Raw profile type APP1"):
        text = image.info.get(key)
        data = exif.of_hexadecimal(text) if isinstance(text, str) else b""
        if data:
            return data.removeprefix(exif.PREFIX)
    return b""


def _density(image: Pillow.Image) -> bytes | None:
    info = image.info
    if "jfif_density" in info:
        (x, y), unit = info["jfif_density"], info["jfif_unit"]
        x, y = (2.54 * x, 2.54 * y) if unit == 2 else (x, y)
    elif info.get("dpi") is not None and image.format not in ("JPEG", "MPO"):  # theirs may be Exif's
        try:
            (x, y), unit = map(float, info["dpi"]), 1
        except (TypeError, ValueError):
            raise WrongType(f"dpi of a Pillow image is two numbers, not {info['dpi']!r}") from None
    else:
        return None
    if not (0 < x < 1e6 and 0 < y < 1e6):
        return None
    return density.of_inch(x, y) if unit else density.of_shape(x, y)
