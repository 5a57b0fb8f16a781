"""The `vae` codec: pictures to integers, integers to bytes, and back. No PyTorch here.

Glossary: y latents (1/16), scaled latents y * gain, z hyper-latents (1/64); `decoded` latents count sixteenths
(`LATENT_UNIT`) of a scaled latent; `position` is the rate in sixteenths of a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...codec import CodecInfo, DecodeOptions, EncodeOptions, Payload
from ...coding import BitCounter, Coder, Decoder, Encoder, Tables
from ...coding.checksum import crc32c
from ...coding.planes import pack_plane, unpack_plane
from ...coding.rdoq import nearest, rdoq
from ...errors import CorruptFile, Desync, Unsupported
from ...image import Image
from ...nets.fixed_point import ACTIVATION_MAX
from ...runtime.engine import Engine, Networks
from ...runtime.onnx import OnnxNetwork
from ...runtime.weights import Weights
from ...tiling import Grid, Span, Tile, check_region
from .cells import put_step, step_of
from .layout import Layout
from .recipe import HYPER_STRIDE, LATENT_STRIDE, Recipe
from .scales import LATENT_UNIT, RATE_UNIT, SYMBOL_MAX

TILE = 1024  # pixels; what is chosen when encoding; `layout` says what decodes
HALO = HYPER_STRIDE  # pixels around a tile that its transforms see: more than they reach
HASH_BYTES = 4
BIT_WORTH = 0.04  # in squared error of a scaled latent of usual gain; the best on held-out tiles

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]


class VAECodec:
    """Any model of the family; built from its weights file. Safe to share between threads."""

    info: ClassVar[CodecInfo] = CodecInfo(name="vae", wire_version=1, lossless=False, depths=frozenset({8}))

    def __init__(self, weights: Weights, engine: Engine = OnnxNetwork) -> None:
        self.recipe = Recipe.from_dict(weights.recipe, weights.name)
        self._networks = Networks(weights, engine)
        arrays = weights.arrays
        self._vectors = {name: arrays[name] for name in ("gain", "inverse_gain", "analysis_scale", "synthesis_scale")}
        self._side_tables = _tables(arrays, "side")
        self._latent_tables = _tables(arrays, "latent") if self.recipe.prior == "gaussian" else None

    @classmethod
    def from_weights(cls, weights: Weights, engine: Engine = OnnxNetwork) -> VAECodec:
        return cls(weights, engine)

    # --- pictures -------------------------------------------------------------------------------------------------

    def encode(self, image: Image, options: EncodeOptions) -> Payload:
        """Code the image. Raises `Unsupported` for a quality that the model does not have."""
        position = self._position(options.quality)

        def code(scaled: Floats) -> bytes:
            encoder = Encoder()
            decoded = self._transmit(encoder, scaled, position, scaled.shape[2:], options.threads)
            return _hash(decoded) + encoder.finish()

        records = [code(scaled) for scaled in self._analyse(image, position, options.threads)]
        return Payload(image.pixels.shape, image.depth, self._layout(image, position, records).chunks())

    def count_bits(self, image: Image, options: EncodeOptions) -> float:
        """Size to expect of the payload in bits; of latents by their ideal code lengths."""
        position = self._position(options.quality)
        records = []
        for scaled in self._analyse(image, position, options.threads):
            counter = BitCounter()
            self._transmit(counter, scaled, position, scaled.shape[2:], options.threads)
            records.append(bytes(HASH_BYTES + round(counter.bytes)))
        return 8.0 * sum(len(chunk.body) for chunk in self._layout(image, position, records).chunks())

    def _layout(self, image: Image, position: int, records: list[bytes]) -> Layout:
        """Records of latents, joined by those of alpha."""
        alpha: list[bytes] = []
        if image.channels in (2, 4):
            plane = image.pixels[..., -1].astype(np.uint8, copy=False)
            grid = Grid(image.height, image.width, TILE)
            alpha = [pack_plane(plane[slice(*tile.y), slice(*tile.x)]) for tile in grid]
        return Layout(position, TILE, records, alpha)

    def decode(self, payload: Payload, options: DecodeOptions) -> Image:
        """Decode all or a region. Raises `CorruptFile`, `Desync`, `UnsupportedFile`, `Unsupported`."""
        height, width, channels = payload.shape
        layout = Layout.parse(payload.chunks)
        region = check_region(options.region, height, width)
        grid = Grid(height, width, layout.tile)
        self._check(layout, grid, channels)
        y, x = Span(region.y, region.y + region.height), Span(region.x, region.x + region.width)
        pixels = np.empty((region.height, region.width, channels), np.uint8)
        self._networks.prepare("synthesis", options.threads)
        latents = _LatentRows(grid, lambda tile: self._decode_tile(layout, grid, tile, options.threads))
        for tile in grid.touching(y, x):
            picture = self._synthesise(latents, tile, layout.position, options.threads)
            rows, columns = tile.y.shared(y), tile.x.shared(x)
            target = pixels[rows.within(y), columns.within(x)]
            source = picture[:, rows.within(tile.y), columns.within(tile.x)].transpose(1, 2, 0)
            colours = 3 if channels >= 3 else 1
            target[..., :colours] = _to_bytes(source if colours == 3 else source.mean(-1, keepdims=True))
            if layout.alpha:
                record = layout.alpha[tile.row * grid.columns + tile.column]
                plane = unpack_plane(record, tile.y.size, tile.x.size)
                target[..., -1] = plane[rows.within(tile.y), columns.within(tile.x)]
        return Image(pixels)

    def _check(self, layout: Layout, grid: Grid, channels: int) -> None:
        tiles = grid.rows * grid.columns
        if len(layout.latents) != tiles or len(layout.alpha) != (tiles if channels in (2, 4) else 0):
            raise CorruptFile(f"the file should have {tiles} tiles, it has {len(layout.latents)}")
        if layout.position > (len(self._vectors["gain"]) - 1) * RATE_UNIT:
            raise CorruptFile(f"the file has a rate of {layout.position}, beyond what its model has")

    # --- transforms -----------------------------------------------------------------------------------------------

    def _analyse(self, image: Image, position: int, threads: int) -> Iterator[Floats]:
        """Scaled latents (1, latents, h, w) of each tile, padded to whole hyper-latents."""
        colours = image.pixels[..., :3] if image.channels >= 3 else image.pixels[..., :1]
        height, width = (-(-size // HYPER_STRIDE) * HYPER_STRIDE for size in (image.height, image.width))
        network = self._networks.get("analysis", threads)
        scale, gain = self._vector("analysis_scale", position), self._vector("gain", position)
        for tile in Grid(height, width, TILE):
            rows, columns = tile.y.grown(HALO, height), tile.x.grown(HALO, width)
            window = colours[slice(*rows), slice(*columns)]
            beyond = ((0, rows.size - window.shape[0]), (0, columns.size - window.shape[1]), (0, 0))
            planes = np.pad(window, beyond, "edge").transpose(2, 0, 1)[None]
            x = np.broadcast_to(planes, (1, 3, *planes.shape[2:])).astype(np.float32) / np.float32(255)
            (y,) = network(x=x, scale=scale)
            yield y[:, :, _latent_slice(tile.y, rows), _latent_slice(tile.x, columns)] * gain

    def _synthesise(self, latents: _LatentRows, tile: Tile, position: int, threads: int) -> Floats:
        """A tile's colours (3, h, w), nominally in [0, 1]."""
        rows, columns, decoded = latents.around(tile)
        y = decoded.astype(np.float32) * (self._vector("inverse_gain", position) / np.float32(LATENT_UNIT))
        (x,) = self._networks.get("synthesis", threads)(y=y, scale=self._vector("synthesis_scale", position))
        return x[0, :, tile.y.within(rows), tile.x.within(columns)]

    # --- integers -------------------------------------------------------------------------------------------------

    def _decode_tile(self, layout: Layout, grid: Grid, tile: Tile, threads: int) -> npt.NDArray[np.int16]:
        record = layout.latents[tile.row * grid.columns + tile.column]
        decoder = Decoder(record[HASH_BYTES:])
        shape = tuple(-(-span.size // HYPER_STRIDE) * (HYPER_STRIDE // LATENT_STRIDE) for span in (tile.y, tile.x))
        decoded = self._transmit(decoder, None, layout.position, shape, threads)
        decoder.finish()
        if _hash(decoded) != record[:HASH_BYTES]:
            raise Desync(
                f"tile {tile.row},{tile.column} decoded to other integers than were encoded; nothing is returned"
            )
        return decoded.astype(np.int16)

    def _transmit(
        self, coder: Coder, scaled: Floats | None, position: int, shape: tuple[int, ...], threads: int
    ) -> Integers:
        """The symbol program of encoder, decoder and bit counter.

        Scaled latents (1, latents, h, w), or None when decoding; shape is h, w -> decoded latents, counting sixteenths.
        """
        if self.recipe.prior == "factorized":
            return self._code_side(coder, scaled, position, (self.recipe.latents, *shape)) * LATENT_UNIT
        get = self._networks.get
        hyper = None if scaled is None else get("hyper_analysis", threads)(scaled=scaled)[0]
        z_shape = (self.recipe.hyper_latents, *(size * LATENT_STRIDE // HYPER_STRIDE for size in shape))
        z = self._code_side(coder, hyper, position, z_shape)
        rate = self._rate_plane(position, z.shape)
        (features,) = get("hyper_synthesis", threads)(z=z.astype(np.float32), rate=rate)
        inputs = {"features": features, "rate": self._rate_plane(position, features.shape)}
        decoded = np.zeros((1, self.recipe.latents, *shape), np.int32)
        steps = self.recipe.context_steps
        given = None if scaled is None else (scaled, self._bit_worth(position))
        for step in range(steps):
            mean, index = get(f"context{step}", threads)(**inputs)
            parts = None if given is None else [np.concatenate(step_of(x, step, steps), 1) for x in given]
            coded = self._code_latents(coder, parts, mean, index)
            put_step(decoded, coded, step, steps)
            known = coded.astype(np.float32)
            inputs["known"] = np.concatenate([inputs["known"], known], 1) if step else known
        return decoded

    def _code_side(self, coder: Coder, x: Floats | None, position: int, shape: tuple[int, ...]) -> Integers:
        """The integers that come first: z, or y itself in the factorised recipe; (1, *shape)."""
        step = (position + RATE_UNIT // 2) // RATE_UNIT
        index = np.arange(shape[0], dtype=np.int32) + step * shape[0]
        index = np.broadcast_to(index[:, None, None], shape)[None]
        return _code(coder, None if x is None else nearest(x, SYMBOL_MAX), self._side_tables, index)

    def _code_latents(self, coder: Coder, parts: list[Floats] | None, mean: Floats, index: Floats) -> Integers:
        """Latents with their predicted mean (sixteenths) and table -> decoded, in sixteenths.

        `parts` are scaled latents and what a bit is worth to each, or None when decoding.
        """
        tables, indices, symbols = self._latent_tables, index.astype(np.int32), None
        assert tables is not None
        if parts is not None:
            y, bit_worth = parts
            symbols = rdoq(y - mean / np.float32(LATENT_UNIT), tables, indices, bit_worth, SYMBOL_MAX)
        return _code(coder, symbols, tables, indices) * LATENT_UNIT + mean.astype(np.int32)

    # --- rates ----------------------------------------------------------------------------------------------------

    def _position(self, quality: float | None) -> int:
        """Quality 0..100 -> rate position. Raises `Unsupported`."""
        if not self.recipe.variable_rate:
            if quality is not None:
                raise Unsupported(f"vae.{self.recipe.name} has one rate; leave out the quality or use vae.swift")
            return 0
        if quality is None:
            quality = self.recipe.default_quality or 50.0
        if not 0 <= quality <= 100:
            raise Unsupported(f"quality {quality} is not in 0..100")
        return round(quality / 100 * (len(self._vectors["gain"]) - 1) * RATE_UNIT)

    def _vector(self, name: str, position: int) -> Floats:
        """A rate vector at a position, (1, channels, 1, 1): linear between steps."""
        step, part = divmod(position, RATE_UNIT)
        vectors = self._vectors[name]
        vector: Floats = vectors[step]
        if part:
            vector = vector + (vectors[step + 1] - vector) * np.float32(part / RATE_UNIT)
        return vector[None, :, None, None]

    def _bit_worth(self, position: int) -> Floats:
        """Squared error of a scaled latent that a bit is worth, of each latent of a cell (1, latents, 2, 2).

        Synthesis is near an orthonormal transform: in the picture, an error counts as the square of the inverse gain.
        """
        importance = self._vector("inverse_gain", position) ** 2
        worth = np.float32(BIT_WORTH) * np.median(importance) / importance
        return np.broadcast_to(worth, (1, self.recipe.latents, 2, 2))

    def _rate_plane(self, position: int, shape: tuple[int, ...]) -> Floats:
        """What exact networks are told of the rate: an activation, everywhere the same."""
        last = max(len(self._vectors["gain"]) - 1, 1) * RATE_UNIT
        return np.full((1, 1, *shape[2:]), position * ACTIVATION_MAX // last, np.float32)


class _LatentRows:
    """Decoded latents of the tiles around the one in work; rows above are dropped as work moves down."""

    def __init__(self, grid: Grid, decode: Callable[[Tile], npt.NDArray[np.int16]]) -> None:
        self._grid = grid
        self._decode = decode
        self._held: dict[tuple[int, int], npt.NDArray[np.int16]] = {}

    def around(self, tile: Tile) -> tuple[Span, Span, npt.NDArray[np.int16]]:
        """Rows and columns in pixels of a tile with its halo, padded, and the latents (1, latents, h, w) there."""
        height, width = (-(-size // HYPER_STRIDE) * HYPER_STRIDE for size in (self._grid.height, self._grid.width))
        rows, columns = tile.y.grown(HALO, height), tile.x.grown(HALO, width)
        self._held = {place: held for place, held in self._held.items() if place[0] >= tile.row - 1}
        padded = Grid(height, width, self._grid.size)
        window: npt.NDArray[np.int16] | None = None
        for near in padded.touching(rows, columns):
            place = near.row, near.column
            if place not in self._held:
                self._held[place] = self._decode(self._grid.tile(*place))
            held = self._held[place]
            if window is None:
                shape = 1, held.shape[1], rows.size // LATENT_STRIDE, columns.size // LATENT_STRIDE
                window = np.empty(shape, np.int16)
            y, x = near.y.shared(rows), near.x.shared(columns)
            part = held[:, :, _latent_slice(y, near.y), _latent_slice(x, near.x)]
            window[:, :, _latent_slice(y, rows), _latent_slice(x, columns)] = part
        assert window is not None
        return rows, columns, window


def _tables(arrays: dict[str, npt.NDArray[Any]], prefix: str) -> Tables:
    start = prefix + "_"
    return Tables.from_arrays({name.removeprefix(start): a for name, a in arrays.items() if name.startswith(start)})


def _latent_slice(span: Span, outer: Span) -> slice:
    """Where a span of pixels lies in latents that cover `outer`."""
    inside = span.within(outer)
    return slice(inside.start // LATENT_STRIDE, inside.stop // LATENT_STRIDE)


def _code(coder: Coder, symbols: Integers | None, tables: Tables, index: Integers) -> Integers:
    """Code symbols, or decode where they are None."""
    symbols = coder.code(symbols, tables, index)
    if symbols.size and max(-int(symbols.min()), int(symbols.max())) > SYMBOL_MAX:
        raise CorruptFile("a latent is out of range")
    return symbols


def _hash(decoded: Integers) -> bytes:
    return crc32c(np.ascontiguousarray(decoded, dtype="<i2")).to_bytes(HASH_BYTES, "little")


def _to_bytes(x: Floats) -> npt.NDArray[np.uint8]:
    return np.rint(np.clip(x * 255, 0, 255)).astype(np.uint8)


CODEC = VAECodec
