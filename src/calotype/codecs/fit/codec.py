"""The `fit` codec: encoding is fitting a small model to the picture; decoding runs it, in integers.

Glossary: *latents* are grids of integers, the finest as large as the tile; the *context network* tells how likely each
is, from those before it; the *synthesis* makes pixels of the upsampled grids. `architecture.py` has the model.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ...codec import CodecInfo, Host, Payload
from ...errors import Desync
from ...image import Image, Pixels
from ...options import DecodeOptions, EncodeOptions
from ...parallel import cores, tell
from ...tiled import check_count, check_seal, cut, decode_tiles, encode_tiles, open_record, seal
from ...tiling import Grid, Tile
from . import INFO
from .architecture import Architecture, grids_for
from .fitting import fit
from .layout import Layout, pack_alpha, unpack_alpha
from .network import Decoder, Network
from .rounding import Rounding
from .stream import Stream

TILE = 2048  # pixels: what an encoder takes; large, as each tile has networks of its own
DEFAULT_QUALITY = 50.0
DEFAULT_EFFORT = 5
ITERATIONS = {1: 300, 2: 450, 3: 600, 4: 800, 5: 1000, 6: 1800, 7: 3000, 8: 6000, 9: 12000}  # by effort
LAMBDA = 5e-2, 2.5e-5  # squared error that a bit per pixel is worth at quality 0 and 100: about .05 and 2.5 bits
SMALL_BELOW = 1.2e6  # pixels / sqrt(lambda), about in proportion to the bytes of a file
SEED = 0


class FitCodec:
    """Holds nothing but its options: a file has all that its pixels are made of."""

    info: ClassVar[CodecInfo] = INFO

    def __init__(self, host: Host | None = None) -> None:
        """There are no weights; the host is not asked for anything."""

    def encode(self, image: Image, options: EncodeOptions) -> Payload:
        """Fit and code the image; the same bytes on as many threads, on machines with the same instructions."""
        grid = Grid(image.height, image.width, TILE)
        quality = DEFAULT_QUALITY if options.quality is None else options.quality
        steps = ITERATIONS[options.effort or DEFAULT_EFFORT]
        colours = image.pixels[..., : 3 if image.channels >= 3 else 1]
        records = []
        for number, tile in enumerate(grid):
            progress = partial(_tell_of_tile, number, grid.rows * grid.columns)
            pixels = np.ascontiguousarray(cut(colours, tile))
            records.append(_encode_tile(pixels, image.depth, lambda_of(quality), steps, options.threads, progress))
        alpha: list[bytes] = []
        if image.channels in (2, 4):
            plane = image.pixels[..., -1]
            alpha = encode_tiles(grid, lambda tile, _: pack_alpha(cut(plane, tile), image.depth), options.threads)
        return Payload(image.pixels.shape, image.depth, Layout(TILE, records, alpha).chunks())

    def count_bits(self, image: Image, options: EncodeOptions) -> float:
        """The size itself: what is fitted cannot be counted before it is."""
        return self.encode(image, options).bits

    def decode(self, payload: Payload, options: DecodeOptions) -> Image:
        """Decode all or a region. Raises `CorruptFile`, `Desync`, `UnsupportedFile`, `Unsupported`."""
        height, width, channels = payload.shape
        layout, depth = Layout.parse(payload.chunks), payload.depth
        grid, has_alpha = Grid(height, width, layout.side), channels in (2, 4)
        check_count(layout.tiles, grid)
        check_count(layout.alpha, grid, parts=int(has_alpha))

        def decode_tile(tile: Tile, threads: int) -> Pixels:
            sealed, stream = open_record(grid.of(layout.tiles, tile))
            pixels = _decode_tile(stream, tile.y.size, tile.x.size, 3 if channels >= 3 else 1, depth)
            check_seal(sealed, pixels, tile)
            if not has_alpha:
                return pixels
            alpha = unpack_alpha(grid.of(layout.alpha, tile), tile.y.size, tile.x.size, depth)
            return np.concatenate([pixels, alpha[..., None]], -1)

        return Image(decode_tiles(grid, options.region, channels, depth, decode_tile, options.threads), depth)


def lambda_of(quality: float) -> float:
    """Mean squared error of samples in [0, 1] that a bit per pixel is worth."""
    low, high = np.log(LAMBDA)
    return float(np.exp(low + (high - low) * quality / 100))


def preset_of(pixels: int, lmbda: float) -> str:
    """Which networks a tile is worth: small ones where a file of few bytes would be much of them."""
    return "small" if pixels * lmbda**-0.5 < SMALL_BELOW else "medium"


def _encode_tile(
    pixels: Pixels, depth: int, lmbda: float, steps: int, threads: int, progress: Callable[[int, int], None]
) -> bytes:
    """The record of pixels (h, w, channels)."""
    height, width, channels = pixels.shape
    architecture = Architecture.of(preset_of(height * width, lmbda), height, width, channels)
    samples = pixels.astype(np.float32) / np.float32((1 << depth) - 1)
    fitted = fit(samples, architecture, lmbda, steps, SEED, threads or cores(), progress=progress)
    latents = np.concatenate([grid.ravel() for grid in fitted.latents]).astype(np.int16)
    network = Rounding(architecture, fitted.parameters, latents, pixels, depth, lmbda).best()
    stream, decoder = Stream(), Decoder(network, depth)
    network.put(stream)
    decoder.code(stream, latents)
    data = stream.finish()
    found = _decode_tile(data, height, width, channels, depth)
    if not np.array_equal(found, _as_pixels(decoder.render(latents), depth)):
        raise Desync("a tile would not decode to what it was encoded to; nothing is written")
    return seal(found, data)


def _decode_tile(data: bytes, height: int, width: int, channels: int, depth: int) -> Pixels:
    """Pixels (h, w, channels) of a record's stream. Raises `CorruptFile`."""
    stream = Stream(data)
    network = Network.take(stream, height, width, channels, grids_for(height, width))
    decoder = Decoder(network, depth)
    latents = decoder.code(stream)
    stream.finish()
    return _as_pixels(decoder.render(latents), depth)


def _as_pixels(samples: npt.NDArray[np.uint16], depth: int) -> Pixels:
    return samples.astype(np.uint8) if depth <= 8 else samples


def _tell_of_tile(number: int, tiles: int, done: int, total: int) -> None:
    tell(number * total + done, tiles * total)


CODEC = FitCodec
