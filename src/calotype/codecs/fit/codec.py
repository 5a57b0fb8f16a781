"""The `fit` codec: encoding is fitting a small model to the picture; decoding runs it, in integers.

Glossary: *latents* are grids of integers, the finest as large as the tile; the *context network* tells how likely each
is, from those before it; the *synthesis* makes pixels of the upsampled grids. `architecture.py` has the model.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ...codec import Carried, CodecInfo, Host, Payload
from ...errors import Desync, Unsupported
from ...image import Image, Pixels
from ...options import DecodeOptions, EncodeOptions
from ...parallel import cores, tell
from ...tiled import check_count, check_seal, cut, decode_tiles, open_record, seal
from ...tiling import Grid, Tile
from . import INFO
from .architecture import Architecture, grids_for
from .fitting import Fitted, fit
from .layout import Layout, pack_alpha, unpack_alpha
from .network import Decoder, Floats, Network
from .rounding import Rounding
from .similarity import WINDOW, Similarity
from .stream import Stream

TILE = 2048  # pixels: what an encoder takes; large, as each tile has networks of its own
DEFAULT_QUALITY = 50.0
DEFAULT_EFFORT = 5
ITERATIONS = {1: 300, 2: 400, 3: 550, 4: 700, 5: 860, 6: 1500, 7: 2700, 8: 5400, 9: 10800}  # by effort, of `medium`
AS_MANY = {"small": 1.35, "medium": 1.0, "large": 0.65}  # in the same time
LAMBDA = 5e-2, 2.5e-5  # squared error that a bit per pixel is worth at quality 0 and 100: about .05 and 2.5 bits
SMALL_BELOW, LARGE_ABOVE = 1.2e6, 7e6  # pixels / sqrt(lambda), about in proportion to the bytes of a file
LARGE_FROM = 2500  # iterations of `medium` that would be made in the time
CONTINUED, CONTINUED_LEAST = 0.25, 150  # of the iterations where the picture was fitted at another quality just now
SEED = 0


class FitCodec:
    """Holds nothing but a device to fit on: a file has all that its pixels are made of."""

    info: ClassVar[CodecInfo] = INFO

    def __init__(self, host: Host | None = None) -> None:
        """There are no weights; the host only says whether PyTorch fits, on which device."""
        self._device = None if host is None else host.device

    def encode(self, image: Image, options: EncodeOptions) -> Payload:
        """Fit and code the image; the same bytes on any number of threads, with the same instructions and NumPy.

        Other ones wherever `seconds` says how long it may take.
        """
        return self.continued(image, options)(DEFAULT_QUALITY if options.quality is None else options.quality)

    def continued(self, image: Image, options: EncodeOptions) -> Callable[[float], Payload]:
        """What fits at one quality after the other; from the second on it begins where it ended, and is quicker."""
        return _Encoding(image, options, self._device).at

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

    def carried(self, payload: Payload) -> Carried:
        """Context networks, upsampling and synthesis of all tiles. Raises `CorruptFile`."""
        height, width, channels = payload.shape
        layout = Layout.parse(payload.chunks)
        grid = Grid(height, width, layout.side)
        check_count(layout.tiles, grid)
        found = []
        for tile in grid:
            _, stream = open_record(grid.of(layout.tiles, tile))
            found.append(_take(Stream(stream), tile.y.size, tile.x.size, 3 if channels >= 3 else 1).architecture)
        return Carried(sum(a.parameters for a in found), sum(a.macs * a.height * a.width for a in found))


def lambda_of(quality: float) -> float:
    """Mean squared error of samples in [0, 1] that a bit per pixel is worth."""
    low, high = np.log(LAMBDA)
    return float(np.exp(low + (high - low) * quality / 100))


def preset_of(pixels: int, lmbda: float, iterations: float) -> str:
    """Which networks a tile is worth: larger ones the more bytes it has, and for large ones there must be time."""
    size = pixels * lmbda**-0.5
    if size < SMALL_BELOW:
        return "small"
    return "large" if size > LARGE_ABOVE and iterations >= LARGE_FROM else "medium"


class _Encoding:
    """An image, with what was fitted to its tiles last."""

    def __init__(self, image: Image, options: EncodeOptions, device: str | None) -> None:
        self._image, self._threads, self._device = image, options.threads, device
        self._steps, self._seconds = ITERATIONS[options.effort or DEFAULT_EFFORT], options.seconds
        self._tune = options.tune
        if self._tune == "ms-ssim" and min(image.height, image.width) < WINDOW:
            raise Unsupported(f"MS-SSIM has windows of {WINDOW} pixels a side; leave out tune for so small an image")
        self._grid = Grid(image.height, image.width, TILE)
        self._fitted: dict[Tile, tuple[Architecture, Fitted]] = {}
        self._alpha: list[bytes] | None = None

    def at(self, quality: float) -> Payload:
        """The image at a quality."""
        image, grid = self._image, self._grid
        if self._alpha is None:
            self._alpha = _pack_alpha(image, grid)
        self._ends = time.monotonic() + (self._seconds or 0)
        records = [self._encode_tile(number, tile, lambda_of(quality)) for number, tile in enumerate(grid)]
        return Payload(image.pixels.shape, image.depth, Layout(grid.size, records, self._alpha).chunks())

    def _encode_tile(self, number: int, tile: Tile, lmbda: float) -> bytes:
        """The record of a tile."""
        depth, colours = self._image.depth, 3 if self._image.channels >= 3 else 1
        pixels = np.ascontiguousarray(cut(self._image.pixels, tile)[..., :colours])
        height, width, _ = pixels.shape
        fitted = self._fit(number, tile, pixels, lmbda)
        architecture = self._fitted[tile][0]
        latents = np.concatenate([grid.ravel() for grid in fitted.latents]).astype(np.int16)
        network = Rounding(architecture, fitted.parameters, latents, pixels, depth, lmbda, fitted.aim).best()
        stream, decoder = Stream(), Decoder(network, depth)
        network.put(stream)
        decoder.code(stream, latents)
        data = stream.finish()
        found = _decode_tile(data, height, width, colours, depth)
        if not np.array_equal(found, _as_pixels(decoder.render(latents), depth)):
            raise Desync("a tile would not decode to what it was encoded to; nothing is written")
        return seal(found, data)

    def _fit(self, number: int, tile: Tile, pixels: Pixels, lmbda: float) -> Fitted:
        height, width, channels = pixels.shape
        preset = preset_of(height * width, lmbda, self._steps)
        architecture = Architecture.of(preset, height, width, channels)
        known, before = self._fitted.get(tile, (None, None))
        start, steps = None, round(self._steps * AS_MANY[preset])
        if before is not None and known == architecture:
            start, steps = before.start, max(round(CONTINUED * steps), min(CONTINUED_LEAST, steps))
        tiles = self._grid.rows * self._grid.columns
        samples = pixels.astype(np.float32) / np.float32((1 << self._image.depth) - 1)
        fitted = fit(
            samples, architecture, lmbda, steps, SEED, self._threads or cores(), start,
            lambda done, total: tell(number * total + done, tiles * total), self._seconds_for(number),
            self._similarity(samples), self._device,
        )  # fmt: skip
        self._fitted[tile] = architecture, fitted
        return fitted

    def _similarity(self, samples: Floats) -> Similarity | None:
        """What a tile is fitted for where that is not squared error; a rest beside whole tiles may hold no window."""
        wanted = self._tune == "ms-ssim" and min(samples.shape[:2]) >= WINDOW
        return Similarity(samples) if wanted else None

    def _seconds_for(self, number: int) -> float | None:
        """For this tile: its share of what is left, by pixels; None where an effort says how long."""
        if self._seconds is None:
            return None
        left = [tile.y.size * tile.x.size for tile in self._grid][number:]
        return max(self._ends - time.monotonic(), 0) * left[0] / sum(left)


def _pack_alpha(image: Image, grid: Grid) -> list[bytes]:
    """One plane per tile; nothing without alpha."""
    if image.channels not in (2, 4):
        return []
    plane = image.pixels[..., -1]
    return [pack_alpha(cut(plane, tile), image.depth) for tile in grid]


def _decode_tile(data: bytes, height: int, width: int, channels: int, depth: int) -> Pixels:
    """Pixels (h, w, channels) of a record's stream. Raises `CorruptFile`."""
    stream = Stream(data)
    network = _take(stream, height, width, channels)
    decoder = Decoder(network, depth)
    latents = decoder.code(stream)
    stream.finish()
    return _as_pixels(decoder.render(latents), depth)


def _take(stream: Stream, height: int, width: int, channels: int) -> Network:
    """What a record's stream begins with."""
    return Network.take(stream, height, width, channels, grids_for(height, width))


def _as_pixels(samples: npt.NDArray[np.uint16], depth: int) -> Pixels:
    return samples.astype(np.uint8) if depth <= 8 else samples


CODEC = FitCodec
