"""The `prism` codec: lossless, for photographs. Serial loops in C that learn while they go; no network, no PyTorch.

Glossary: a *plane* is one channel of a *tile*; *effort* 1 to 9 is which model codes it; the *order* of the colours is
in which the planes are coded, each with those before it as references.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, cast

import numpy as np
import numpy.typing as npt

from ...codec import Chunk, CodecInfo, Host, Payload
from ...coding.screen import repeats_itself
from ...errors import CorruptFile
from ...image import MODES, Image, Pixels, empty
from ...options import DecodeOptions, EncodeOptions
from ...parallel import cores
from ...tiled import bodies, check_count, check_seal, cut, decode_tiles, encode_tiles, open_record, seal
from ...tiling import Grid, Tile
from . import INFO, layout
from .layout import ORDERS, PLANES, SINCE, STORED, TILES, WEBP, CodedPlane, Values
from .planes import Plane, code

TILE = 1024  # pixels; what is chosen when encoding
SCREEN_TILE = 4096  # of screen content, which repeats itself over long distances
DEFAULT_EFFORT = 5
ORDERS_TRIED = {9: len(ORDERS)}  # by effort; else only the first


class PrismCodec:
    """Holds nothing but its options: what it knows of images it learns from each anew."""

    info: ClassVar[CodecInfo] = INFO

    def __init__(self, host: Host | None = None) -> None:
        """There are neither weights nor networks; the host is not asked for anything."""

    def encode(self, image: Image, options: EncodeOptions) -> Payload:
        """Code the image."""
        effort = options.effort or DEFAULT_EFFORT
        chunk = _code_tiles(image.pixels, TILE, options.threads, partial(_code_tile, image.depth, effort))
        if max(image.pixels.shape[:2]) > TILE and _may_copy(image.pixels, image.depth, len(chunk.body)):
            webp = _code_tiles(image.pixels, SCREEN_TILE, options.threads, _code_webp_tile)
            chunk = min(chunk, webp, key=lambda chunk: len(chunk.body))
        _, records, _ = TILES.parse(chunk.body)
        version = max(SINCE.get(open_record(record)[1][0], 1) for record in records)
        return Payload(image.pixels.shape, image.depth, (chunk,), version)

    def count_bits(self, image: Image, options: EncodeOptions) -> float:
        """The size itself: what adapts cannot be counted without being coded."""
        return self.encode(image, options).bits

    def decode(self, payload: Payload, options: DecodeOptions) -> Image:
        """Decode all or a region. Raises `CorruptFile`, `Desync`, `UnsupportedFile`, `Unsupported`."""
        height, width, channels = payload.shape
        side, records, _ = TILES.parse(bodies(payload.chunks, TILES.tag)[TILES.tag])
        grid, depth = Grid(height, width, side), payload.depth
        check_count(records, grid)

        def decode_tile(tile: Tile, threads: int) -> Pixels:
            sealed, body = open_record(grid.of(records, tile))
            pixels = _decode_tile(body, (tile.y.size, tile.x.size, channels), depth, threads)
            check_seal(sealed, pixels, tile)
            return pixels

        return Image(decode_tiles(grid, options.region, channels, depth, decode_tile, options.threads), depth)


# --- tiles ------------------------------------------------------------------------------------------------------------


def _code_tiles(pixels: Pixels, side: int, threads: int, code_tile: Callable[[Pixels, int], bytes]) -> Chunk:
    """All tiles of an image; `code_tile` makes the record of one on so many threads."""
    grid = Grid(pixels.shape[0], pixels.shape[1], side)
    return TILES.pack(
        side, encode_tiles(grid, lambda tile, inner: code_tile(cast(Pixels, cut(pixels, tile)), inner), threads)
    )


def _code_tile(depth: int, effort: int, pixels: Pixels, threads: int) -> bytes:
    """The record of a tile (h, w, channels): the smallest of what there is to try."""
    orders = range(ORDERS_TRIED.get(effort, 1) if pixels.shape[2] >= 3 else 1)
    coded = (bytes([PLANES]) + _code_planes(pixels, depth, effort, order, threads) for order in orders)
    stored = bytes([STORED]) + np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).tobytes()
    smallest = seal(pixels, min(*coded, stored, key=len))
    return min(smallest, _code_webp_tile(pixels), key=len) if _may_copy(pixels, depth, len(smallest)) else smallest


def _decode_tile(body: bytes, shape: tuple[int, int, int], depth: int, threads: int) -> Pixels:
    kind = body[:1]
    if kind == bytes([PLANES]):
        return _decode_planes(body[1:], shape, depth, threads)
    if kind == bytes([WEBP]) and depth == 8:
        return _decode_webp(body[1:], shape)
    if kind == bytes([STORED]):
        return _restore(body[1:], shape, depth)
    raise CorruptFile(f"a tile of {depth} bits is of no known kind")


def _restore(body: bytes, shape: tuple[int, int, int], depth: int) -> Pixels:
    """Samples that are stored as they are."""
    pixels = empty(shape, depth)
    if len(body) != pixels.nbytes:
        raise CorruptFile("a stored tile has the wrong size")
    pixels[:] = np.frombuffer(body, pixels.dtype.newbyteorder("<")).reshape(shape)
    if int(pixels.max()) >> depth:
        raise CorruptFile(f"a stored sample has more than {depth} bits")
    return pixels


# --- planes -----------------------------------------------------------------------------------------------------------


def _channel_order(channels: int, order: int) -> tuple[int, ...]:
    """In which order channels are coded; alpha, the last of 2 or 4, comes last."""
    return tuple(range(channels)) if channels < 3 else (*ORDERS[order], *range(3, channels))


def _references(planes: Sequence[Plane], channels: int) -> list[Plane]:
    """What the next plane refers to: of colours those before, the last first; of alpha nothing."""
    alpha = channels in (2, 4) and len(planes) == channels - 1
    return [] if alpha else list(reversed(planes))


def _code_planes(pixels: Pixels, depth: int, effort: int, order: int, threads: int) -> bytes:
    planes: list[Plane] = []
    values: list[Values] = []
    channels = pixels.shape[2]
    for channel in _channel_order(channels, order):
        samples = np.ascontiguousarray(pixels[..., channel], np.uint16)
        values.append(Values.of(samples))
        references = _references(planes, channels)
        numbers = np.ascontiguousarray(values[-1].numbers(samples))
        planes.append(Plane(numbers, values[-1].depth(depth), *values[-1].range, references, effort))
    code(planes, threads or cores())
    coded = [CodedPlane(known, plane.finish()) for known, plane in zip(values, planes, strict=True)]
    return layout.pack_planes(effort, order, coded)


def _decode_planes(body: bytes, shape: tuple[int, int, int], depth: int, threads: int) -> Pixels:
    height, width, channels = shape
    effort, order, coded = layout.parse_planes(body, depth, channels)
    planes: list[Plane] = []
    decoded = [np.empty((height, width), np.uint16) for _ in coded]
    for part, numbers in zip(coded, decoded, strict=True):
        values, references = part.values, _references(planes, channels)
        planes.append(Plane(numbers, values.depth(depth), *values.range, references, effort, part.stream))
    code(planes, threads or cores())
    pixels = empty(shape, depth)
    for channel, part, plane, numbers in zip(_channel_order(channels, order), coded, planes, decoded, strict=True):
        plane.finish()
        pixels[..., channel] = part.values.samples(numbers)
    return pixels


# --- screen content ---------------------------------------------------------------------------------------------------


def _may_copy(pixels: Pixels, depth: int, size: int) -> bool:
    """Whether WebP, which copies what it has seen, may need less than the `size` in bytes that predicting took."""
    return depth == 8 and repeats_itself(pixels, size)


def _code_webp_tile(pixels: Pixels, threads: int = 1) -> bytes:
    import PIL.Image

    colours = MODES[pixels.shape[2]]
    image = PIL.Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels, colours)
    buffer = io.BytesIO()
    image.convert("RGBA" if "A" in colours else "RGB").save(
        buffer, "WEBP", lossless=True, quality=100, method=6, exact=True
    )
    return seal(pixels, bytes([WEBP]) + buffer.getvalue())


def _decode_webp(body: bytes, shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    import PIL.Image

    height, width, channels = shape
    try:
        with PIL.Image.open(io.BytesIO(body), formats=["WEBP"]) as image:
            if image.size != (width, height):
                raise CorruptFile(f"a tile of {image.size} pixels where {(width, height)} belong")
            pixels = np.asarray(image.convert("RGBA"))
    except (OSError, SyntaxError, ValueError) as error:
        raise CorruptFile(f"a tile's WebP stream is damaged: {error}") from None
    chosen = {1: [0], 2: [0, 3], 3: [0, 1, 2], 4: [0, 1, 2, 3]}[channels]
    return np.ascontiguousarray(pixels[..., chosen])


CODEC = PrismCodec
