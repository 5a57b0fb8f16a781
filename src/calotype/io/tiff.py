"""TIFF: what its tags declare, its pixels, and files written with all their metadata. TIFF 6.0."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import CorruptFile, Unsupported
from ..image import Image, Metadata, Pixels, pixel_type
from . import density, exif, ifd
from .deep import library
from .errors import decoding
from .ifd import Directory, Entry, Reader
from .pillow import convert, refuse_conversion

if TYPE_CHECKING:
    import numpy.typing as npt

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _SAMPLES, _ROWS, _COUNTS, _PLANES = 273, 277, 278, 279, 284
_X, _Y, _UNIT, _TILES = 282, 283, 296, 324
_COLOUR_MAP = 320
_SUBFILE, _EXTRA, _FORMAT, _SUB_IMAGES, _XMP, _ICC, _DNG = 254, 338, 339, 330, 700, 34675, 50706
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK, _YCBCR, _LAB = 0, 1, 2, 5, 6, 8
_COLOURS = {_RGB: 3, _CMYK: 4, _YCBCR: 3, _LAB: 3}
_NAMES = {0: "grey", 1: "grey", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr", 8: "Lab"}
_UNSIGNED, _SIGNED, _UNDEFINED = 1, 2, 4
_KINDS = {1: "integers", 2: "signed integers", 3: "floating point", 4: "integers", 5: "complex", 6: "complex"}
_PREMULTIPLIED, _ALPHA, _COREL_ALPHA = 1, 2, 999
_JPEG = (6, 7)
_DEFLATE = 8
_STRIP_BYTES = 1 << 20
_LARGEST = 2**32 - 1


@dataclass(frozen=True)
class Layout:
    """How a file says that its pixels are to be understood."""

    width: int
    height: int
    bits: tuple[int, ...]
    photometric: int
    samples: int
    extra: tuple[int, ...]
    format: int
    orientation: int
    compression: int

    @classmethod
    def of(cls, tags: Directory) -> Layout:
        """Raises `CorruptFile`, `Unsupported`."""
        width, height = tags.integer(_WIDTH, 0), tags.integer(_HEIGHT, 0)
        if width <= 0 or height <= 0 or not (tags.integers(_STRIPS) or tags.integers(_TILES)):
            raise CorruptFile("damaged: this TIFF has no size, or no pixels")
        compression, photometric = tags.integer(_COMPRESSION, 1), tags.integer(_PHOTOMETRIC, _WHITE_IS_ZERO)
        samples = tags.integer(_SAMPLES, 3 if compression in _JPEG and photometric in (_RGB, _YCBCR) else 1)
        bits = tags.integers(_BITS) or (1,)
        if samples < 1 or min(bits) < 1:
            raise CorruptFile("damaged: this TIFF has samples of no bits, or none")
        formats = set(tags.integers(_FORMAT)) or {_UNSIGNED}
        if len(set(bits[:samples])) > 1 or len(formats) > 1:
            raise Unsupported(f"a TIFF with channels of different kinds ({bits} bits); convert it to PNG first")
        return cls(
            width, height, bits[:samples], photometric, samples, tags.integers(_EXTRA), formats.pop(),
            tags.integer(exif.ORIENTATION, 1), compression,
        )  # fmt: skip

    @property
    def depth(self) -> int:
        return self.bits[0]

    @property
    def further(self) -> int:
        """Bands beside grey or colours."""
        return self.samples - _COLOURS.get(self.photometric, 1)

    @property
    def converted(self) -> str | None:
        """What Pillow converts so that it cannot be undone."""
        if self.further > 0 and _PREMULTIPLIED in self.extra:
            return "premultiplied alpha"
        if self.photometric == _CMYK:
            return "CMYK"
        return "YCbCr" if self.photometric == _YCBCR and self.samples > 1 and self.compression not in _JPEG else None

    @property
    def name(self) -> str:
        """For people."""
        kind = _KINDS.get(self.format, "numbers of another kind")
        colours = _NAMES.get(self.photometric, "colours of another kind")
        return f"{self.depth}-bit {colours}, {self.samples} bands, {kind}"

    def check(self) -> None:
        """Refuse what has no place in an `Image`."""
        if self.format not in (_UNSIGNED, _SIGNED, _UNDEFINED):
            raise Unsupported(f"a TIFF of {self.name}; scale and round it to 8 or 16 bits first")
        if self.depth > 16 and not (self.samples == 1 and self.depth == 32):
            raise Unsupported(f"a TIFF of {self.name}: more than 16 bits; scale it to 16 bits first")
        known = {_PREMULTIPLIED, _ALPHA, _COREL_ALPHA}
        alpha = self.further == 1 and (self.extra[-1] in known if self.extra else self.photometric == _RGB)
        if self.further > 0 and not alpha:
            raise Unsupported(
                f"{self.samples} bands, of which {self.further} are neither colour nor alpha; "
                "extract grey, RGB or RGBA first"
            )


def read(file: IO[bytes], check: Callable[[int, int, int], None], exact: bool) -> Image:
    """An image; `check` refuses sizes and counts of pages, `exact` what can only be read by converting it."""
    reader = Reader(file)
    tags = reader.directory(reader.first)
    if _DNG in tags.entries or (tags.integer(_SUBFILE, 0) & 1 and _SUB_IMAGES in tags.entries):
        raise Unsupported("a camera's raw file, of which only the preview could be read; develop it first")
    layout = Layout.of(tags)
    check(layout.width, layout.height, sum(1 for _ in reader.pages()))
    layout.check()
    refuse_conversion(layout.converted, exact)
    if any(colour % 256 not in (0, colour >> 8) for colour in tags.integers(_COLOUR_MAP)):
        refuse_conversion("a palette of 16-bit colours", exact)
    image = _pixels(file, layout)
    if layout.format == _SIGNED and layout.depth == 8 and int(image.pixels.max()) > 127:
        raise Unsupported("signed integers, some of them negative; add an offset that makes them positive first")
    profile = None if layout.photometric == _CMYK else tags.block(_ICC)
    block = exif.checked(exif.of_tiff(reader))
    metadata = Metadata(profile, block, tags.block(_XMP), density=_density(tags))
    return Image(image.pixels, image.depth, metadata)


def encode(image: Image) -> bytes:
    """A file with one directory: samples of any depth, packed as TIFF packs them, deflated; and all metadata."""
    order = "<"
    own: dict[int, Entry | Directory] = {}
    block = image.metadata.exif
    if block is not None:
        tags = exif.parse(block)
        order = tags.order
        own |= {tag: entry for tag, entry in tags.entries.items() if tag not in exif.STRUCTURE}
    own |= _resolution(image.metadata, order)
    strips = list(_strips(image, order))
    offset = 8
    places = []
    for strip in strips:
        places.append(offset)
        offset += len(strip) + len(strip) % 2
    own |= _structure(image, order, places, [len(strip) for strip in strips])
    for tag, data, kind in ((_XMP, image.metadata.xmp, ifd.BYTE), (_ICC, image.metadata.icc, ifd.UNDEFINED)):
        if data is not None:
            own[tag] = Entry(kind, len(data), data)
    directory = ifd.build(Directory(order, own), offset)
    if offset + len(directory) > _LARGEST:
        raise Unsupported(f"TIFF cannot hold {image.width}x{image.height} pixels: it ends at 4 GB")
    head = ifd.header(order)[:4] + struct.pack(order + "I", offset)
    return b"".join([head, *(strip + bytes(len(strip) % 2) for strip in strips), directory])


def _pixels(file: IO[bytes], layout: Layout) -> Image:
    """By Pillow if it can; what it fails at may be fine for tifffile."""
    failure = None
    if layout.depth <= 8 or layout.samples == 1:
        try:
            image = _with_pillow(file, layout)
        except CorruptFile as error:
            image, failure = None, error
        if image is not None:
            return image
    try:
        return _with_tifffile(file, layout)
    except (Unsupported, CorruptFile):
        if failure is not None:
            raise failure from None
        raise


def _with_pillow(file: IO[bytes], layout: Layout) -> Image | None:
    """Pixels of the kinds that Pillow reads whole; None of others."""
    from PIL.TiffImagePlugin import TiffImageFile

    file.seek(0)
    with decoding():
        try:
            opened = TiffImageFile(file)
        except (SyntaxError, KeyError):  # Pillow's words for a kind that it does not know
            return None
        if opened.mode == "I;16" and layout.photometric == _WHITE_IS_ZERO:
            return None  # it would come out as a negative
        opened.load()
        image = convert(opened)
    depth = layout.depth if 8 < layout.depth < 16 else image.depth
    return Image(image.pixels, depth)


def _with_tifffile(file: IO[bytes], layout: Layout) -> Image:
    """Pixels of other kinds: deep colours, grey with alpha, samples of 9 to 15 bits."""
    kind = layout.photometric
    if kind not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB) or layout.format == _SIGNED or layout.converted:
        raise Unsupported(f"a TIFF of {layout.name} is not read; convert it to RGB or RGBA of 8 or 16 bits first")
    tifffile = library("tifffile", f"a TIFF of {layout.name} is beyond Pillow")
    file.seek(0)
    with decoding(), tifffile.TiffFile(file) as opened:
        page = opened.pages[0]
        pixels: npt.NDArray[Any] = page.asarray()
        axes = page.axes
    if axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    pixels = pixels[..., None] if axes == "YX" else pixels
    wanted = (layout.height, layout.width, layout.samples)
    if pixels.shape != wanted or pixels.dtype != pixel_type(layout.depth):
        raise CorruptFile(f"damaged: it decodes to {pixels.dtype} of shape {pixels.shape}")
    if kind == _WHITE_IS_ZERO:
        pixels[..., 0] = (1 << layout.depth) - 1 - pixels[..., 0]
    return Image(exif.turned(cast(Pixels, pixels), layout.orientation), layout.depth)


def _density(tags: Directory) -> bytes | None:
    x, y = (*tags.numbers(_X), 0)[0], (*tags.numbers(_Y), 0)[0]
    unit = tags.integer(_UNIT, 2)
    if not (0 < x < 1e6 and 0 < y < 1e6):
        return None
    if unit == 1:
        return density.of_shape(x, y)
    return density.of_inch(x, y) if unit == 2 else density.of_inch(x * 2.54, y * 2.54)


def _resolution(metadata: Metadata, order: str) -> dict[int, Entry]:
    inches, shape = density.in_inches(metadata.density), density.proportion(metadata.density)
    if inches is not None:
        return exif.resolution((*inches, 2), order)
    return {} if shape is None else exif.resolution((*shape, 1), order)


def _structure(image: Image, order: str, places: list[int], sizes: list[int]) -> dict[int, Entry]:
    channels = image.channels
    values: dict[int, tuple[str, list[int]]] = {
        _WIDTH: ("I", [image.width]),
        _HEIGHT: ("I", [image.height]),
        _BITS: ("H", [image.depth] * channels),
        _COMPRESSION: ("H", [_DEFLATE]),
        _PHOTOMETRIC: ("H", [_RGB if channels > 2 else _BLACK_IS_ZERO]),
        _STRIPS: ("I", places),
        _SAMPLES: ("H", [channels]),
        _ROWS: ("I", [_rows_of_strip(image)]),
        _COUNTS: ("I", sizes),
        _PLANES: ("H", [1]),
    }
    if channels in (2, 4):
        values[_EXTRA] = ("H", [_ALPHA])
    kinds = {"H": ifd.SHORT, "I": ifd.LONG}
    return {
        tag: Entry(kinds[form], len(numbers), struct.pack(f"{order}{len(numbers)}{form}", *numbers))
        for tag, (form, numbers) in values.items()
    }


def _rows_of_strip(image: Image) -> int:
    return max(1, min(image.height, _STRIP_BYTES // (image.width * image.channels * (1 + (image.depth > 8)))))


def _strips(image: Image, order: str) -> Iterator[bytes]:
    rows = _rows_of_strip(image)
    for start in range(0, image.height, rows):
        yield zlib.compress(_packed(image.pixels[start : start + rows], image.depth, order), 6)


def _packed(pixels: Pixels, depth: int, order: str) -> bytes:
    """Rows of samples: of 8 and 16 bits as numbers, of others bit by bit, each row filled up to a byte."""
    if depth == 8:
        return pixels.tobytes()
    if depth == 16:
        return pixels.astype(order + "u2").tobytes()
    shifts = np.arange(depth - 1, -1, -1, dtype=np.uint16)
    bits = (pixels.astype(np.uint16)[..., None] >> shifts & 1).astype(np.uint8)
    return np.packbits(bits.reshape(len(pixels), -1), axis=1).tobytes()
