"""Pictures in files <-> `Image`, through Pillow; and writing files whole or not at all.

Nothing is reduced silently: deep colour passes by Pillow (`deep_colour`) or is refused, as are animations and floats.
Metadata is kept as it is; the orientation stays in Exif and the pixels stay as they are stored.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import struct
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import deep_colour
from .errors import CorruptFile, LimitExceeded, Unsupported
from .image import Image, Metadata
from .options import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from PIL import Image as Pillow

READ_FORMATS = (
    "PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000", "QOI", "TGA",
)  # fmt: skip
# Only formats whose bit depth we can tell, and none that starts other programs (EPS).

WRITE_FORMATS = {
    ".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP", ".bmp": "BMP",
    ".ppm": "PPM", ".pgm": "PPM", ".pnm": "PPM", ".jpg": "JPEG", ".jpeg": "JPEG",
}  # fmt: skip
PICTURE_ENDINGS = frozenset(WRITE_FORMATS) | {".gif", ".avif", ".jp2", ".qoi", ".tga"}

_MODES = {
    "PNG": {"L", "LA", "RGB", "RGBA"}, "TIFF": {"L", "LA", "RGB", "RGBA"}, "WEBP": {"L", "LA", "RGB", "RGBA"},
    "BMP": {"L", "RGB"}, "PPM": {"L", "RGB"}, "JPEG": {"L", "RGB"},
}  # fmt: skip
_DEEP_GREY = {"PNG", "TIFF", "PPM"}  # formats that can take 16-bit grey
_DEEP_COLOUR = {"PNG"}  # and 16-bit colours
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},  # not visibly worse than the decoded picture
    "PNG": {"compress_level": 2},  # a third of the default's time, about a tenth larger
    "WEBP": {"lossless": True, "exact": True},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
_PLAIN = {"L", "LA", "RGB", "RGBA"}
_CONVERT = {"1": "L", "La": "LA", "PA": "RGBA", "RGBX": "RGB", "RGBa": "RGBA", "YCbCr": "RGB", "HSV": "RGB"}
_EXIF_PREFIX = b"Exif\0\0"
_STRUCTURE_TAGS = {
    254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 330, 338,
    339, 347, 512, 513, 514, 529, 530, 531, 532, 700, 34675, 33723, 34377,
}  # fmt: skip
# TIFF 6.0 tags that say how a file stores its pixels, and XMP, ICC, IPTC, Photoshop blocks: not part of Exif.

_BROKEN = (
    SyntaxError,
    OSError,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    EOFError,
    OverflowError,
    struct.error,
)
# What Pillow raises, by its own words, for files that are not what they should be.


def read_image(file: str | os.PathLike[str] | IO[bytes], max_pixels: int | None = DEFAULT_MAX_PIXELS) -> Image:
    """Read a picture with its metadata.

    Grey, grey with alpha, RGB and RGBA keep their mode. Palettes become RGB or RGBA, CMYK becomes RGB (with
    its colour profile if there is one). 16 bits stay 16 bits: grey always, colours of PNG and TIFF with imagecodecs.

    Raises
    ------
    CorruptFile
        Not a picture that Pillow knows, or a damaged one.
    Unsupported
        An animation, floating point, or more bits than can be kept.
    LimitExceeded
        More than `max_pixels` pixels; noticed before they are decoded.
    OSError
        The file cannot be read.
    """
    if not isinstance(file, (str, os.PathLike)):
        return _read(io.BytesIO(file.read()), str(getattr(file, "name", "input")), max_pixels)
    with open(file, "rb") as opened:
        return _read(opened, os.fspath(file), max_pixels)


def write_image(file: str | os.PathLike[str] | IO[bytes], image: Image, format: str | None = None) -> None:
    """Write a picture with its metadata; a path is written whole or not at all.

    The format follows from the path's ending: png, tif, webp (lossless), bmp, ppm, pgm, jpg (quality 95). BMP
    and PPM have no place for metadata and WebP none for grey; those are lost. All else is kept or refused.

    Raises
    ------
    Unsupported
        The format is unknown or cannot hold these pixels.
    """
    if isinstance(file, (str, os.PathLike)):
        data = encode_image(image, format or format_of(file))
        write_bytes(file, data)
    else:
        file.write(encode_image(image, format or "PNG"))


def format_of(path: str | os.PathLike[str]) -> str:
    """Pillow's name of the format that a file's ending stands for."""
    ending = Path(path).suffix.lower()
    if ending not in WRITE_FORMATS:
        raise Unsupported(f"cannot write {os.fspath(path)!r}; possible endings: {', '.join(WRITE_FORMATS)}")
    return WRITE_FORMATS[ending]


def encode_image(image: Image, format: str) -> bytes:
    """Bytes of a picture file in one of the formats of `WRITE_FORMATS`."""
    format = format.upper()
    if format not in _MODES:
        raise Unsupported(f"cannot write the format {format!r}; possible: {', '.join(_MODES)}")
    _refuse_views(image)
    colours = image.channels > 1
    deep_formats = _DEEP_COLOUR if colours else _DEEP_GREY
    if image.mode not in _MODES[format] or (image.depth == 16 and format not in deep_formats):
        raise Unsupported(f"{format} cannot hold {image.depth}-bit {image.mode} pixels; write PNG instead")
    if image.depth == 16 and colours:
        pixel = Image(np.zeros((1, 1, 1), np.uint8), metadata=image.metadata)
        return deep_colour.encode_png(image.pixels.astype(np.uint16, copy=False), like=encode_image(pixel, "PNG"))
    out = io.BytesIO()
    options = dict(_OPTIONS.get(format, {})) | _metadata_options(image.metadata, format)
    try:
        to_pillow(image).save(out, format, **options)
    except (OSError, ValueError, struct.error) as error:
        raise Unsupported(f"{format} cannot hold these {image.width}x{image.height} pixels: {error}") from None
    return out.getvalue()


def _refuse_views(image: Image) -> None:
    if image.views:
        raise Unsupported(f"a picture file holds one view, this image has {image.views}")


def to_pillow(image: Image) -> Pillow.Image:
    """Make a Pillow image; its `info` holds `icc_profile`, `exif` and `xmp`."""
    from PIL import Image as Pillow

    _refuse_views(image)
    if image.depth not in (8, 16) or (image.depth == 16 and image.channels > 1):
        raise Unsupported(f"Pillow has no {image.depth}-bit {image.mode} pixels; take them as an array")
    pixels = image.pixels[..., 0] if image.channels == 1 else image.pixels
    picture = Pillow.fromarray(np.ascontiguousarray(pixels))
    picture.info.update(_info(image.metadata))
    return picture


def from_pillow(picture: Pillow.Image) -> Image:
    """Take a Pillow image of any mode that integers of 8 bits, or grey of 16 bits, can show."""
    metadata = _metadata(picture)
    if picture.mode == "CMYK":
        picture, metadata = _from_cmyk(picture, metadata)
    if picture.mode.startswith("I;16"):
        if "transparency" in picture.info:
            raise Unsupported("16-bit grey with a transparent value cannot be kept; remove its tRNS entry")
        deep = np.asarray(picture).astype(np.uint16)
        return Image(deep[..., None], depth=16, metadata=metadata)
    if picture.mode == "I" and picture.getextrema()[0] >= 0 and picture.getextrema()[1] <= 65535:  # type: ignore[operator]
        return Image(np.asarray(picture).astype(np.uint16)[..., None], depth=16, metadata=metadata)
    if picture.mode in ("I", "F"):
        raise Unsupported(f"pixels of mode {picture.mode} are not 8- or 16-bit; scale and round them first")
    pixels = np.asarray(picture.convert(_target_mode(picture)))
    return Image(pixels[..., None] if pixels.ndim == 2 else pixels, metadata=metadata)


def write_bytes(path: str | os.PathLike[str], data: bytes, overwrite: bool = True) -> None:
    """Write a file whole or not at all: aside in the same folder, then renamed.

    Raises
    ------
    FileExistsError
        The file exists and `overwrite` is false.
    """
    with written_aside(path, overwrite) as aside:
        aside.write(data)


@contextlib.contextmanager
def written_aside(path: str | os.PathLike[str], overwrite: bool = True) -> Iterator[IO[bytes]]:
    """Open a file that takes its name only when the block ends without an exception."""
    path = Path(path)
    if path.exists() and not path.is_file():  # a device, a pipe: nothing to protect, nothing to rename
        with open(path, "wb") as direct:
            yield direct
        return
    path = Path(os.path.realpath(path))  # through a link, as writing in place would
    number, aside = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
    try:
        with open(number, "wb") as opened:
            yield opened
        os.chmod(aside, _permissions(path))
        _rename(aside, path, overwrite)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(aside)


_UMASK = threading.Lock()  # another thread must not take the mask of this moment for the process's own


def _permissions(path: Path) -> int:
    """Those of the file that is replaced, or what a new file would get."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        with _UMASK:
            mask = os.umask(0o077)  # the only way to read it; put back at once
            os.umask(mask)
        return 0o666 & ~mask


def _rename(aside: str, path: Path, overwrite: bool) -> None:
    if overwrite:
        os.replace(aside, path)
        return
    try:
        os.link(aside, path)  # unlike a rename, fails if the name is taken meanwhile
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError(f"{path} exists") from None
        os.replace(aside, path)


def _read(file: IO[bytes], name: str, max_pixels: int | None) -> Image:
    from PIL.Image import DecompressionBombError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which is none of ours to judge
            picture = _open(file, name)
            _refuse(picture, max_pixels)
            pixels = _deep_pixels(picture, file)
            picture.load()  # in any case: metadata may follow the pixels
            return from_pillow(picture) if pixels is None else Image(pixels, 16, _metadata(picture))
    except (Unsupported, LimitExceeded, CorruptFile) as error:
        raise type(error)(f"{name}: {error}") from None
    except DecompressionBombError as error:
        raise LimitExceeded(f"{name}: {error}") from None
    except _BROKEN as error:
        raise CorruptFile(f"{name} is damaged: {error}") from None


def _open(file: IO[bytes], name: str) -> Pillow.Image:
    """`PIL.Image.open` without its limit on pixels, which is a global setting; `_refuse` has ours."""
    from PIL import Image as Pillow

    Pillow.preinit()
    if not set(READ_FORMATS) <= set(Pillow.OPEN):
        Pillow.init()
    start = file.read(16)
    for format in READ_FORMATS:
        factory, accepts = Pillow.OPEN.get(format, (None, None))
        if factory is None or (accepts is not None and accepts(start) is not True):
            continue
        file.seek(0)
        try:
            return factory(file, name)
        except (SyntaxError, IndexError, TypeError, KeyError, EOFError, struct.error):
            continue  # as Pillow does: another format may know it
    raise CorruptFile(f"this is not an intact picture of a known format ({', '.join(READ_FORMATS)})")


def _refuse(picture: Pillow.Image, max_pixels: int | None) -> None:
    """Refuse what is too large or more than one picture, before the pixels are decoded."""
    if max_pixels is not None and math.prod(picture.size) > max_pixels:
        raise LimitExceeded(
            f"{math.prod(picture.size):,} pixels are more than the limit of {max_pixels:,}; "
            "raise max_pixels (--max-pixels) if you trust it"
        )
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":  # a phone's MPO holds one photo and helpers
        raise Unsupported(f"{frames} frames or pages; extract one picture first")


def _deep_pixels(picture: Pillow.Image, file: IO[bytes]) -> npt.NDArray[np.uint16] | None:
    """Pixels that Pillow would reduce, or None where it does not. Refuses those that nothing here can read whole."""
    bits = _sample_bits(picture, file)
    if bits <= 8 or picture.mode not in _PLAIN | set(_CONVERT) | {"CMYK"}:
        return None
    if bits != 16 or picture.format not in deep_colour.FORMATS:
        raise Unsupported(f"{bits} bits per channel would be cut to 8; convert to 8-bit, or to 16-bit PNG, first")
    position = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(position)
    return deep_colour.read_pixels(data, picture)


def _sample_bits(picture: Pillow.Image, file: IO[bytes]) -> int:
    """Bits per sample in the file, which Pillow's mode does not always tell."""
    if picture.format == "TIFF":
        return max(_numbers(picture.tag_v2.get(258, 1)))  # type: ignore[attr-defined]  # BitsPerSample
    position = file.tell()
    file.seek(0)
    start = file.read(1 << 16)
    file.seek(position)
    if picture.format == "PNG":
        return start[24]  # signature 8, length and type 8, width and height 8
    if picture.format == "PPM":
        return _ppm_bits(start)
    if picture.format == "JPEG2000":  # marker SIZ: 40 bytes, then depth - 1 of each component
        found = start.find(b"\xff\x51")
        components = int.from_bytes(start[found + 38 : found + 40]) if found >= 0 else 0
        return max((start[found + 40 + 3 * index] & 0x7F for index in range(components)), default=7) + 1
    if picture.format == "AVIF":  # the property av1C: flags high_bitdepth and twelve_bit in its third byte
        found = start.find(b"av1C")
        flags = start[found + 6] if found >= 0 else 0
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    return 8


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple) else (int(value),)


def _ppm_bits(start: bytes) -> int:
    """From the largest value: the fourth word, comments left out."""
    words = b"\n".join(line.partition(b"#")[0] for line in start[:4096].split(b"\n")).split(maxsplit=4)
    if words[0] in (b"P2", b"P3", b"P5", b"P6") and len(words) > 3 and words[3].isdigit():
        return int(words[3]).bit_length()
    return 8


def _target_mode(picture: Pillow.Image) -> str:
    transparent = "transparency" in picture.info
    if picture.mode == "P":
        return "RGBA" if transparent else "RGB"
    mode = _CONVERT.get(picture.mode, picture.mode)
    if mode not in _PLAIN:
        raise Unsupported(f"pixels of mode {picture.mode} have no place here; convert them to RGB first")
    return {"L": "LA", "RGB": "RGBA"}.get(mode, mode) if transparent else mode


def _from_cmyk(picture: Pillow.Image, metadata: Metadata) -> tuple[Pillow.Image, Metadata]:
    """To RGB; the profile described the inks, so it is used up and not kept."""
    from PIL import ImageCms

    without = Metadata(None, metadata.exif, metadata.xmp)
    if metadata.icc is not None:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(metadata.icc))
            converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):  # a profile that does not fit: as if there were none
            converted = None
        if converted is not None:
            return converted, without
    return picture.convert("RGB"), without


def _metadata(picture: Pillow.Image) -> Metadata:
    xmp = picture.info.get("xmp")
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    return Metadata(picture.info.get("icc_profile") or None, _exif(picture) or None, xmp or None)


def _exif(picture: Pillow.Image) -> bytes:
    block = picture.info.get("exif")
    if isinstance(block, bytes):
        return block.removeprefix(_EXIF_PREFIX)
    if picture.format != "TIFF" and "Raw profile type exif" not in picture.info:
        return b""
    exif = picture.getexif()
    for tag in _STRUCTURE_TAGS & set(exif):
        del exif[tag]
    return exif.tobytes().removeprefix(_EXIF_PREFIX) if len(exif) else b""


def _info(metadata: Metadata) -> dict[str, bytes]:
    exif = _EXIF_PREFIX + metadata.exif if metadata.exif is not None else None
    entries = {"icc_profile": metadata.icc, "exif": exif, "xmp": metadata.xmp}
    return {key: value for key, value in entries.items() if value is not None}


def _metadata_options(metadata: Metadata, format: str) -> dict[str, Any]:
    """How Pillow's `save` takes metadata in this format."""
    options: dict[str, Any] = dict(_info(metadata))
    if format in ("BMP", "PPM"):
        return {}
    if format == "PNG" and metadata.xmp is not None:
        from PIL.PngImagePlugin import PngInfo

        text = PngInfo()
        text.add(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp)
        options["pnginfo"] = text
        del options["xmp"]
    if format == "TIFF" and metadata.xmp is not None:
        from PIL.TiffImagePlugin import ImageFileDirectory_v2

        directory = ImageFileDirectory_v2()
        directory[700] = metadata.xmp  # XMP specification part 3, sec. 1.1.3
        directory.tagtype[700] = 1  # BYTE
        options["tiffinfo"] = directory
        del options["xmp"]
    return options
