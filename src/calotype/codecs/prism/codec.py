"""The `prism` codec: lossless or within a bound, for photographs. Serial loops in C that learn while they go.

Glossary: a *plane* is one channel of a *tile*; *effort* 1 to 9 is which model codes it; the *order* of the colours is
in which the planes are coded, each with those before it as references; the *bound* is by how much a sample may be off.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import ClassVar, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from ...codec import Chunk, CodecInfo, Host, Payload
from ...coding.screen import repeats_itself
from ...errors import CorruptFile, Unsupported
from ...image import MODES, Image, Pixels, empty, largest_error
from ...options import DecodeOptions, EncodeOptions
from ...parallel import cores
from ...tiled import bodies, check_count, check_seal, cut, decode_tiles, encode_tiles, open_record, seal
from ...tiling import Grid, Tile
from . import INFO
from .layout import (
    BOUNDED,
    EXACT,
    ORDERS,
    PLANES,
    SINCE,
    STORED,
    TILES,
    WEBP,
    Bound,
    CodedPlane,
    CodedPlanes,
    Values,
    bound_of,
    depths_of,
    is_alpha,
)
from .planes import Plane, code

TILE = 1024  # pixels; what is chosen when encoding
SCREEN_TILE = 4096  # of screen content, which repeats itself over long distances
DEFAULT_EFFORT = 5
ORDERS_TRIED = {9: len(ORDERS)}  # by effort; else only the first
GRID_TRIED = {7, 8, 9}  # efforts that with a bound of 1 try the fixed grid too: colours may lie on one


class PrismCodec:
    """Holds nothing but its options: what it knows of images it learns from each anew."""

    info: ClassVar[CodecInfo] = INFO

    def __init__(self, host: Host | None = None) -> None:
        """There are neither weights nor networks; the host is not asked for anything."""

    def encode(self, image: Image, options: EncodeOptions) -> Payload:
        """Code the image."""
        way = Way(image.depth, options.effort or DEFAULT_EFFORT, Bound(options.max_error or 0))
        if way.bound.error >> way.depth:
            largest = (1 << way.depth) - 1
            raise Unsupported(f"max_error {way.bound.error}: of images with {way.depth} bits it must be 0 to {largest}")
        chunk, error = _code_tiles(image.pixels, TILE, options.threads, partial(_code_tile, way))
        if max(image.pixels.shape[:2]) > TILE and _may_copy(image.pixels, image.depth, len(chunk.body)):
            webp, _ = _code_tiles(image.pixels, SCREEN_TILE, options.threads, _code_webp_tile)
            if len(webp.body) < len(chunk.body):
                chunk, error = webp, 0
        _, records, _ = TILES.parse(chunk.body)
        version = max(SINCE.get(open_record(record)[1][0], 1) for record in records)
        return Payload(image.pixels.shape, image.depth, (chunk,), version, error)

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


class Way(NamedTuple):
    """How to code samples."""

    depth: int
    effort: int
    bound: Bound = EXACT


class CodedTile(NamedTuple):
    record: bytes
    error: int = 0
    """By how much a sample is off at most."""


def _code_tiles(
    pixels: Pixels, side: int, threads: int, code_tile: Callable[[Pixels, int], CodedTile]
) -> tuple[Chunk, int]:
    """All tiles of an image, and the largest error; `code_tile` codes one on so many threads."""
    grid = Grid(pixels.shape[0], pixels.shape[1], side)
    tiles = encode_tiles(grid, lambda tile, inner: code_tile(cast(Pixels, cut(pixels, tile)), inner), threads)
    return TILES.pack(side, [tile.record for tile in tiles]), max(tile.error for tile in tiles)


def _code_tile(way: Way, pixels: Pixels, threads: int) -> CodedTile:
    """A tile (h, w, channels) in the smallest of the ways that there are to try."""
    orders = range(ORDERS_TRIED.get(way.effort, 1) if pixels.shape[2] >= 3 else 1)
    bounds = [way.bound]
    if way.bound.error == 1 and way.effort in GRID_TRIED:
        bounds.append(Bound(1, grid=1))
    if way.bound.error and _has_sparse_values(pixels):
        bounds.append(EXACT)  # numbers of values may be fewer bits than the values within their bound
    ways = [way._replace(bound=bound) for bound in bounds]
    coded = [_code_planes(pixels, way, order, threads) for way in ways for order in orders]
    stored = bytes([STORED]) + np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).tobytes()
    smallest = min(*coded, CodedTile(seal(pixels, stored)), key=_size)
    if _may_copy(pixels, way.depth, len(smallest.record)):
        smallest = min(smallest, _code_webp_tile(pixels), key=_size)
    return smallest


def _size(tile: CodedTile) -> int:
    return len(tile.record)


def _has_sparse_values(pixels: Pixels) -> bool:
    return any(Values.of(pixels[..., channel].astype(np.uint16)).used is not None for channel in range(pixels.shape[2]))


def _decode_tile(body: bytes, shape: tuple[int, int, int], depth: int, threads: int) -> Pixels:
    kind = body[:1]
    if kind in (bytes([PLANES]), bytes([BOUNDED])):
        return _decode_planes(body, shape, depth, threads)
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
    return [] if is_alpha(len(planes), channels) else list(reversed(planes))


def _code_planes(pixels: Pixels, way: Way, order: int, threads: int) -> CodedTile:
    channels = pixels.shape[2]
    bounds = [bound_of(channel, channels, way.bound) for channel in range(channels)]
    samples = [np.array(pixels[..., channel], np.uint16, order="C") for channel in _channel_order(channels, order)]
    values = [Values.of(plane, bound.error) for plane, bound in zip(samples, bounds, strict=True)]
    numbers = [np.ascontiguousarray(known.numbers(plane)) for known, plane in zip(values, samples, strict=True)]
    planes: list[Plane] = []
    for known, depth, bound, coded in zip(
        values, depths_of(values, way.depth, way.bound), bounds, numbers, strict=True
    ):
        planes.append(Plane(coded, depth, *known.range, _references(planes, channels), way.effort, bound=bound))
    code(planes, threads or cores())  # where there is a bound, `numbers` become what a decoder finds
    parts = [CodedPlane(known, plane.finish()) for known, plane in zip(values, planes, strict=True)]
    body = CodedPlanes(way.effort, order, way.bound, parts).pack()
    if not way.bound.error:
        return CodedTile(seal(pixels, body))
    found = _gather(zip(parts, numbers, strict=True), pixels.shape, way.depth, order)
    return CodedTile(seal(found, body), largest_error(Image(pixels, way.depth), Image(found, way.depth)))


def _decode_planes(body: bytes, shape: tuple[int, int, int], depth: int, threads: int) -> Pixels:
    height, width, channels = shape
    tile = CodedPlanes.parse(body, depth, channels)
    planes: list[Plane] = []
    decoded = [np.empty((height, width), np.uint16) for _ in tile.planes]
    depths = depths_of([part.values for part in tile.planes], depth, tile.bound)
    for part, of_numbers, numbers in zip(tile.planes, depths, decoded, strict=True):
        references, bound = _references(planes, channels), bound_of(len(planes), channels, tile.bound)
        planes.append(Plane(numbers, of_numbers, *part.values.range, references, tile.effort, part.stream, bound))
    code(planes, threads or cores())
    for plane in planes:
        plane.finish()
    return _gather(zip(tile.planes, decoded, strict=True), shape, depth, tile.order)


def _gather(
    coded: Iterable[tuple[CodedPlane, npt.NDArray[np.uint16]]], shape: tuple[int, ...], depth: int, order: int
) -> Pixels:
    """The pixels (h, w, channels) of planes and the numbers of their samples, in the order in which they are coded."""
    pixels = empty(shape, depth)
    for channel, (plane, numbers) in zip(_channel_order(shape[-1], order), coded, strict=True):
        pixels[..., channel] = plane.values.samples(numbers)
    return pixels


# --- screen content ---------------------------------------------------------------------------------------------------


def _may_copy(pixels: Pixels, depth: int, size: int) -> bool:
    """Whether WebP, which copies what it has seen, may need less than the `size` in bytes that predicting took."""
    return depth == 8 and repeats_itself(pixels, size)


def _code_webp_tile(pixels: Pixels, threads: int = 1) -> CodedTile:
    import PIL.Image

    colours = MODES[pixels.shape[2]]
    image = PIL.Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels, colours)
    buffer = io.BytesIO()
    image.convert("RGBA" if "A" in colours else "RGB").save(
        buffer, "WEBP", lossless=True, quality=100, method=6, exact=True
    )
    return CodedTile(seal(pixels, bytes([WEBP]) + buffer.getvalue()))


def _decode_webp(body: bytes, shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    import PIL.Image

    height, width, channels = shape
    try:
        with PIL.Image.open(io.BytesIO(body), formats=["WEBP"]) as image:
            if image.size != (width, height):
                raise CorruptFile(f"a tile of {image.size} pixels where {(width, height)} belong")
            pixels = np.asarray(image.convert("RGBA"))
    except (CorruptFile, MemoryError):
        raise
    except Exception as error:  # whatever Pillow raises is about the stream, its limit on pixels too
        raise CorruptFile(f"a tile's WebP stream is damaged: {error}") from None
    chosen = {1: [0], 2: [0, 3], 3: [0, 1, 2], 4: [0, 1, 2, 3]}[channels]
    return np.ascontiguousarray(pixels[..., chosen])


CODEC = PrismCodec
