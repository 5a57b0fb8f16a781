"""The `nearlossless` codec: pixels to two layers of integers, integers to bytes, and back. No PyTorch here.

Glossary: `units.py` has planes, levels and lattices. The *picture* is what the base decodes to, *found* what both
layers do; the *parts* of a tile are what its base has a record of: colours or grey, and alpha.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from ...codec import CodecInfo, Host, Payload
from ...coding import BitCounter, Coder, Decoder, Encoder, Mixture
from ...coding.grey import pack_grey, unpack_grey
from ...coding.mixture import code_following, mixture_parameters
from ...coding.planes import pack_colours, pack_plane, unpack_colours, unpack_plane
from ...coding.units import LOCATION_BITS
from ...errors import CorruptFile, Unsupported
from ...image import Image
from ...options import DecodeOptions, EncodeOptions
from ...runtime.engine import Networks
from ...tiled import check_count, check_seal, cut, decode_tiles, encode_tiles, open_record, seal
from ...tiling import Grid, Tile
from . import INFO
from .bins import Bins, middles_of
from .layout import EXACT, MODELLED, Layout
from .recipe import Recipe
from .units import (
    BLOCK,
    COLOUR_MAX,
    COLOURS,
    DEAD_ZONE,
    LEVEL_MAX,
    LEVEL_PHASES,
    LEVEL_SYMBOLS,
    LEVELS,
    LUMA_LEVELS,
    ORDER,
    PHASES,
    STEP,
    STEPS,
    basis,
    bound_inputs,
    seen,
)

TILE = 512  # pixels; what is chosen when encoding; the file says what decodes

Bytes = npt.NDArray[np.uint8]
Int32 = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


class BaseTile(NamedTuple):
    """The base of a tile, decoded."""

    picture: Floats
    """(1, 3, h, w) planes of the padded size, 0 .. 255."""
    features: dict[int, Floats]
    """What phases of each step are handed."""


class CodedTile(NamedTuple):
    base: list[bytes]
    """A record of each part."""
    missing: bytes
    error: int
    """By how much a sample is off at most."""


class NearLosslessCodec:
    """Any model of the family; built from its weights file. Safe to share between threads."""

    info: ClassVar[CodecInfo] = INFO

    def __init__(self, host: Host) -> None:
        weights = host.weights
        self.recipe = Recipe.from_dict(weights.recipe, weights.name)
        self._networks = Networks(weights, host.engine)
        self._levels = Mixture(LEVEL_SYMBOLS, self.recipe.level_mixtures)

    # --- images ---------------------------------------------------------------------------------------------------

    def encode(self, image: Image, options: EncodeOptions) -> Payload:
        """Code the image. Raises `Unsupported` for a bound above 255."""
        return self._payload(image, options, Encoder)

    def count_bits(self, image: Image, options: EncodeOptions) -> float:
        """Size to expect of the payload in bits, by ideal code lengths."""
        return self._payload(image, options, BitCounter).bits

    def _payload(self, image: Image, options: EncodeOptions, make: Callable[[], Encoder | BitCounter]) -> Payload:
        """A payload of what a new coder for each tile, layer and part made."""
        bound = options.max_error or 0
        if bound > COLOUR_MAX:
            raise Unsupported(f"max_error {bound}: of images with 8 bits it must be 0 to {COLOUR_MAX}")
        pixels: Bytes = image.pixels.astype(np.uint8, copy=False)
        grid = Grid(image.height, image.width, TILE)

        def encode_tile(tile: Tile, threads: int) -> CodedTile:
            return self._encode_tile(np.ascontiguousarray(cut(pixels, tile)), Bins(bound), make, threads)

        tiles = encode_tiles(grid, encode_tile, options.threads)
        base = [record for tile in tiles for record in tile.base]
        layout = Layout(TILE, base, [tile.missing for tile in tiles], bound)
        error = max(tile.error for tile in tiles)
        return Payload(image.pixels.shape, image.depth, layout.chunks(), largest_error=error)

    def decode(self, payload: Payload, options: DecodeOptions) -> Image:
        """Decode all or a region; of the base, if that is asked for.

        Raises `CorruptFile`, `Desync`, `UnsupportedFile`, `Unsupported`.
        """
        height, width, channels = payload.shape
        layout = Layout.parse(payload.chunks, options.base)
        grid, parts = Grid(height, width, layout.tile), 2 if channels in (2, 4) else 1
        check_count(layout.base, grid, parts)
        if layout.missing is not None:
            check_count(layout.missing, grid)

        def decode_tile(tile: Tile, threads: int) -> Bytes:
            shape, colours = (tile.y.size, tile.x.size), channels - (parts - 1)
            base = self._decode_base(grid.of(layout.base, tile, 0, parts), tile, colours, threads)
            if layout.missing is None:
                found = _pixels(base.picture, *shape, colours)
            else:
                found = self._decode_missing(grid.of(layout.missing, tile), tile, base, layout.bound, colours, threads)
            if parts == 1:
                return found
            sealed, body = open_record(grid.of(layout.base, tile, 1, parts))
            alpha = unpack_grey(body, *shape)[..., None]
            check_seal(sealed, alpha, tile)
            return np.concatenate([found, alpha], -1)

        return Image(decode_tiles(grid, options.region, channels, 8, decode_tile, options.threads))

    # --- tiles ----------------------------------------------------------------------------------------------------

    def _encode_tile(
        self, pixels: Bytes, bins: Bins, make: Callable[[], Encoder | BitCounter], threads: int
    ) -> CodedTile:
        height, width, channels = pixels.shape
        colours = COLOURS if channels >= COLOURS else 1
        planes = _planes(pixels[..., :colours])
        coder = make()
        levels = _analyse(planes, colours)
        self._transmit_levels(coder, levels, levels.shape[1:], colours, threads)
        base = self._synthesise(levels, colours, threads)
        records = [seal(_pixels(base.picture, height, width, colours), coder.finish())]
        if channels > colours:
            alpha = np.ascontiguousarray(pixels[..., colours:])
            records.append(seal(alpha, pack_grey(alpha[..., 0], make())))
        coder = make()
        found = self._transmit_samples(coder, planes, base, bins, (height, width, colours), threads)
        stream = coder.finish()
        exact = _pack_exact(pixels[..., :colours], len(stream))
        if exact is not None:
            return CodedTile(records, seal(pixels[..., :colours], bytes([EXACT]) + exact), 0)
        error = int(np.abs(found.astype(np.int16) - pixels[..., :colours]).max())
        return CodedTile(records, seal(found, bytes([MODELLED]) + stream), error)

    def _decode_base(self, record: bytes, tile: Tile, colours: int, threads: int) -> BaseTile:
        sealed, stream = open_record(record)
        decoder = Decoder(stream)
        shape = -(-tile.y.size // BLOCK), -(-tile.x.size // BLOCK)
        base = self._synthesise(self._transmit_levels(decoder, None, shape, colours, threads), colours, threads)
        decoder.finish()
        check_seal(sealed, _pixels(base.picture, tile.y.size, tile.x.size, colours), tile)
        return base

    def _decode_missing(
        self, record: bytes, tile: Tile, base: BaseTile, bound: int, colours: int, threads: int
    ) -> Bytes:
        sealed, body = open_record(record)
        kind, stream, shape = body[:1], body[1:], (tile.y.size, tile.x.size)
        if kind == bytes([EXACT]):
            found = unpack_colours(stream, *shape) if colours == COLOURS else unpack_plane(stream, *shape)[..., None]
        elif kind == bytes([MODELLED]):
            decoder = Decoder(stream)
            found = self._transmit_samples(decoder, None, base, Bins(bound), (*shape, colours), threads)
            decoder.finish()
        else:
            raise CorruptFile("a tile of unknown kind")
        check_seal(sealed, found, tile)
        return found

    # --- the base -------------------------------------------------------------------------------------------------

    def _transmit_levels(
        self, coder: Coder, levels: Int32 | None, shape: tuple[int, ...], colours: int, threads: int
    ) -> Int32:
        """Code levels (LEVELS, h, w), or decode where they are None; grey has only those of luma."""
        count = LEVELS if colours == COLOURS else LUMA_LEVELS
        found = np.zeros((LEVELS, *shape), np.int32)
        is_known = np.zeros((1, 1, *shape), np.float32)
        prior = self._networks.get("prior", threads)
        for lattices in LEVEL_PHASES:
            outputs = prior(levels=found[None].astype(np.float32), is_known=is_known)
            parameters = mixture_parameters(outputs, LEVELS, LEVEL_MAX << LOCATION_BITS)[:count]
            for lattice in lattices:
                place = (slice(count), *lattice.of_pixels)
                wanted = None if levels is None else levels[place] + LEVEL_MAX
                here = np.moveaxis(parameters[(..., *lattice.of_pixels)], 0, 2)
                found[place] = coder.code(wanted, self._levels, here) - LEVEL_MAX
            for lattice in lattices:
                is_known[(..., *lattice.of_pixels)] = 1
        return found

    def _synthesise(self, levels: Int32, colours: int, threads: int) -> BaseTile:
        """The picture of levels; all planes of grey are its first."""
        picture, *features = self._networks.get("base", threads)(levels=levels[None].astype(np.float32))
        if colours != COLOURS:
            picture = np.repeat(picture[:, :1], COLOURS, 1)
        return BaseTile(picture, dict(zip(STEPS, features, strict=True)))

    # --- what is missing ------------------------------------------------------------------------------------------

    def _transmit_samples(
        self,
        coder: Coder,
        planes: Int32 | None,
        base: BaseTile,
        bins: Bins,
        shape: tuple[int, int, int],
        threads: int,
    ) -> Bytes:
        """The symbol program of encoder, decoder and bit counter: found pixels of a tile of `shape`.

        `planes` (3, h, w) is what to code, of the padded size; None when decoding.
        """
        height, width, colours = shape
        found, picture = base.picture.copy(), base.picture[0].astype(np.int32)
        bound = bound_inputs()[bins.bound : bins.bound + 1]
        family = Mixture(bins.symbols, self.recipe.mixtures)
        for number, phase in enumerate(PHASES):
            rows, columns = (-(-(size - start) // phase.step) for size, start in ((height, phase.y), (width, phase.x)))
            if rows <= 0 or columns <= 0:
                continue
            slopes, off = seen(found, base.picture, phase)
            inputs = {"off": np.concatenate(off, 1)} if off else {}
            outputs = self._networks.get(f"phase{number}", threads)(
                slopes=np.concatenate(slopes, 1), features=base.features[phase.step], bound=bound, **inputs
            )
            *mixtures, coefficient = (output[..., :rows, :columns] for output in outputs)
            parameters = mixture_parameters(mixtures, COLOURS, 0)[:colours]
            factors = coefficient.reshape(COLOURS, self.recipe.mixtures, rows, columns).astype(np.int32)
            place = np.s_[phase.y : height : phase.step, phase.x : width : phase.step]
            parameters[:, 0] += picture[(slice(colours), *place)][:, None] << LOCATION_BITS

            def code(plane: int, parameters: Int32, place: tuple[slice, slice] = place) -> Int32:
                here = middles_of(parameters)
                wanted = None if planes is None else bins.symbols_of(planes[plane][place], here)
                symbols = coder.code(wanted, family, bins.parameters_of(parameters, here))
                samples = bins.samples_of(symbols, here)
                found[(0, plane, *place)] = samples
                return samples

            code_following(code, parameters, factors)
            if colours != COLOURS:
                found[:, 1:] = found[:, :1]
        return _pixels(found, height, width, colours)


# --- pixels -----------------------------------------------------------------------------------------------------------


def _planes(pixels: Bytes) -> Int32:
    """(h, w, 3 or 1) -> planes (3, h, w) of the padded size; all those of grey are alike."""
    beyond = [(0, -size % BLOCK) for size in pixels.shape[:2]]
    padded = np.pad(pixels, (*beyond, (0, 0)), "edge").transpose(2, 0, 1).astype(np.int32)
    return padded[list(ORDER)] if len(padded) == COLOURS else np.repeat(padded, COLOURS, 0)


def _pixels(planes: Floats, height: int, width: int, colours: int) -> Bytes:
    """Planes (1, 3, h, w) -> pixels (height, width, colours)."""
    order = np.argsort(ORDER) if colours == COLOURS else [0]
    return np.ascontiguousarray(planes[0, order, :height, :width].transpose(1, 2, 0), np.uint8)


def _analyse(planes: Int32, colours: int) -> Int32:
    """Planes (3, h, w) -> levels (LEVELS, h / 8, w / 8). Only the encoder knows how they are chosen."""
    height, width = (size // BLOCK for size in planes.shape[1:])
    blocks = planes.reshape(COLOURS, height, BLOCK, width, BLOCK).transpose(1, 3, 0, 2, 4).reshape(height, width, -1)
    found = (blocks - np.float32((COLOUR_MAX + 1) / 2)).astype(np.float32) @ (basis().T / np.float32(STEP**2))
    levels = np.sign(found) * np.floor(np.abs(found) + np.float32(DEAD_ZONE))
    levels = levels.clip(-LEVEL_MAX, LEVEL_MAX).astype(np.int32).transpose(2, 0, 1)
    if colours != COLOURS:
        levels[LUMA_LEVELS:] = 0
    return np.ascontiguousarray(levels)


def _pack_exact(pixels: Bytes, below: int) -> bytes | None:
    """A tile (h, w, 3 or 1) without networks and loss, if it becomes fewer bytes than `below`."""
    if pixels.shape[2] == COLOURS:
        return pack_colours(pixels, below)
    packed = pack_plane(np.ascontiguousarray(pixels[..., 0]))
    return packed if len(packed) < below else None


CODEC = NearLosslessCodec
