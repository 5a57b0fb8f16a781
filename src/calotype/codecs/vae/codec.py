"""The `vae` codec: images to integers, integers to bytes, and back. No PyTorch here.

Glossary: y latents (1/16), scaled latents y * gain, z hyper-latents (1/64); `decoded` latents count sixteenths
(`LATENT_UNIT`) of a scaled latent; `position` is the rate in sixteenths of a step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from ...codec import CodecInfo, Host, Payload
from ...coding import BitCounter, Coder, Decoder, Encoder, Tables
from ...coding.adaptive import Adaptive, Part
from ...coding.coder import Model
from ...coding.planes import pack_plane, unpack_plane
from ...coding.rdoq import Targets, nearest
from ...errors import CorruptFile, Unsupported
from ...image import Image, Pixels
from ...nets.fixed_point import ACTIVATION_MAX
from ...options import DecodeOptions, EncodeOptions
from ...runtime.engine import Networks
from ...tiled import Halo, check_count, check_seal, cut, decode_tiles, encode_tiles, open_record, seal, strided
from ...tiling import Grid, Tile
from . import INFO
from .cells import parts_of, put_step, step_of
from .hidden import continue_smoothly
from .layout import Layout
from .recipe import HYPER_STRIDE, LATENT_STRIDE, Recipe
from .scales import LATENT_UNIT, RATE_UNIT, SYMBOL_MAX

TILE = 1024  # pixels; what is chosen when encoding; `layout` says what decodes
STATIC = 1  # the wire version without adaptive tables
ADAPTIVE = "adaptive_"  # what their arrays' names begin with
CELL = 2  # places on a side of the cells that latents are coded in
HALO = HYPER_STRIDE  # pixels around a tile that its transforms see: more than they reach
BIT_WORTH = 0.1, 0.04  # in squared error of a scaled latent of usual gain, at the lowest and highest rate; from tiles

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]


class TileCoder(Coder, Protocol):
    """What codes a tile: an `Encoder` or what stands for one."""

    def finish(self) -> bytes: ...


class VAECodec:
    """Any model of the family; built from its weights file. Safe to share between threads."""

    info: ClassVar[CodecInfo] = INFO

    def __init__(self, host: Host) -> None:
        weights = host.weights
        self.recipe = Recipe.from_dict(weights.recipe, weights.name)
        self._networks = Networks(weights, host.engine)
        arrays = weights.arrays
        self._vectors = {name: arrays[name] for name in ("gain", "inverse_gain", "analysis_scale", "synthesis_scale")}
        self._side_tables = Tables.from_arrays(_prefixed(arrays, "side_"))
        self._latent_tables = (
            Tables.from_arrays(_prefixed(arrays, "latent_")) if self.recipe.prior == "gaussian" else None
        )
        self._last = max(len(self._vectors["gain"]) - 1, 1) * RATE_UNIT  # position of the highest rate
        adaptive = _prefixed(arrays, ADAPTIVE)
        self._adaptive = Adaptive.from_arrays(adaptive) if adaptive else None

    # --- images ---------------------------------------------------------------------------------------------------

    def encode(self, image: Image, options: EncodeOptions) -> Payload:
        """Code the image. Raises `Unsupported` for a quality that the model does not have."""
        return self.code(image, options, Encoder)

    def count_bits(self, image: Image, options: EncodeOptions) -> float:
        """Size to expect of the payload in bits; of latents by their ideal code lengths."""
        return self.code(image, options, BitCounter).bits

    def code(self, image: Image, options: EncodeOptions, make: Callable[[], TileCoder]) -> Payload:
        """A payload of what a new coder for each tile made."""
        position = self._position(options.quality)
        grid = Grid(image.height, image.width, TILE)
        padded = grid.padded(HYPER_STRIDE)

        def encode_tile(tile: Tile, threads: int) -> bytes:
            scaled = self._analyse(image, padded, tile, position, threads)
            coder = make()
            decoded = self._transmit(coder, scaled, position, scaled.shape[2:], threads, self._adaptive)
            return seal(decoded.astype(np.int16), coder.finish())

        records = encode_tiles(padded, encode_tile, options.threads, beside=False)
        alpha: list[bytes] = []
        if image.channels in (2, 4):
            plane: npt.NDArray[np.uint8] = image.pixels[..., -1].astype(np.uint8, copy=False)
            alpha = encode_tiles(grid, lambda tile, _: pack_plane(cut(plane, tile)), options.threads)
        version = STATIC if self._adaptive is None else None
        return Payload(image.pixels.shape, image.depth, Layout(position, TILE, records, alpha).chunks(), version)

    def decode(self, payload: Payload, options: DecodeOptions) -> Image:
        """Decode all or a region. Raises `CorruptFile`, `Desync`, `UnsupportedFile`, `Unsupported`."""
        height, width, channels = payload.shape
        layout = Layout.parse(payload.chunks)
        grid, has_alpha = Grid(height, width, layout.tile), channels in (2, 4)
        check_count(layout.latents, grid)
        check_count(layout.alpha, grid, parts=int(has_alpha))
        if layout.position > (len(self._vectors["gain"]) - 1) * RATE_UNIT:
            raise CorruptFile(f"the file has a rate of {layout.position}, beyond what its model has")
        adaptive = None if payload.wire_version == STATIC else self._adaptive
        if payload.wire_version != STATIC and adaptive is None:
            raise CorruptFile("the file is coded adaptively, for which its model has no tables")
        threads = options.threads
        self._networks.prepare("synthesis", threads)
        padded = grid.padded(HYPER_STRIDE)

        def decode_latents(tile: Tile) -> npt.NDArray[np.int16]:
            return self._decode_latents(grid.of(layout.latents, tile), tile, layout.position, adaptive, threads)

        latents = Halo(padded, HALO, LATENT_STRIDE, decode_latents)

        def decode_tile(tile: Tile, threads: int) -> Pixels:
            colours = self._synthesise(latents, tile, layout.position, threads).transpose(1, 2, 0)
            planes = [_to_bytes(colours if channels >= 3 else colours.mean(-1, keepdims=True))]
            if has_alpha:
                planes.append(unpack_plane(grid.of(layout.alpha, tile), tile.y.size, tile.x.size)[..., None])
            return np.concatenate(planes, -1) if has_alpha else planes[0]

        return Image(decode_tiles(grid, options.region, channels, 8, decode_tile, threads, beside=False))

    # --- transforms -----------------------------------------------------------------------------------------------

    def _analyse(self, image: Image, padded: Grid, tile: Tile, position: int, threads: int) -> Floats:
        """Scaled latents (1, latents, h, w) of a tile of the grid padded to whole hyper-latents."""
        rows, columns = tile.y.grown(HALO, padded.height), tile.x.grown(HALO, padded.width)
        there = image.pixels[slice(*rows), slice(*columns)]
        window = there[..., :3] if image.channels >= 3 else there[..., :1]
        if image.channels in (2, 4):
            window = continue_smoothly(window, there[..., -1] > 0)
        beyond = ((0, rows.size - window.shape[0]), (0, columns.size - window.shape[1]), (0, 0))
        planes = np.pad(window, beyond, "edge").transpose(2, 0, 1)[None]
        x = np.broadcast_to(planes, (1, 3, *planes.shape[2:])).astype(np.float32) / np.float32(255)
        (y,) = self._networks.get("analysis", threads)(x=x, scale=self._vector("analysis_scale", position))
        inner = y[:, :, strided(tile.y, rows, LATENT_STRIDE), strided(tile.x, columns, LATENT_STRIDE)]
        return inner * self._vector("gain", position)

    def _synthesise(self, latents: Halo, tile: Tile, position: int, threads: int) -> Floats:
        """A tile's colours (3, h, w), nominally in [0, 1]."""
        rows, columns, decoded = latents.around(tile)
        y = decoded.astype(np.float32) * (self._vector("inverse_gain", position) / np.float32(LATENT_UNIT))
        (x,) = self._networks.get("synthesis", threads)(y=y, scale=self._vector("synthesis_scale", position))
        return x[0, :, tile.y.within(rows), tile.x.within(columns)]

    # --- integers -------------------------------------------------------------------------------------------------

    def _decode_latents(
        self, record: bytes, tile: Tile, position: int, adaptive: Adaptive | None, threads: int
    ) -> npt.NDArray[np.int16]:
        """Decoded latents (1, latents, h, w) of a tile of the padded grid."""
        sealed, stream = open_record(record)
        decoder = Decoder(stream)
        shape = tile.y.size // LATENT_STRIDE, tile.x.size // LATENT_STRIDE
        decoded = self._transmit(decoder, None, position, shape, threads, adaptive)
        decoder.finish()
        latents = decoded.astype(np.int16)
        check_seal(sealed, latents, tile)
        return latents

    def _transmit(
        self,
        coder: Coder,
        scaled: Floats | None,
        position: int,
        shape: tuple[int, ...],
        threads: int,
        adaptive: Adaptive | None,
    ) -> Integers:
        """The symbol program of encoder, decoder and bit counter.

        Scaled latents (1, latents, h, w), or None when decoding; shape is h, w -> decoded latents, counting sixteenths.
        Without `adaptive` their tables are the static ones of version 1.
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
        field = None if adaptive is None else adaptive.field(shape[0], shape[1], CELL)
        worth = self._bit_worth(position)
        for step in range(steps):
            mean, index = get(f"context{step}", threads)(**inputs)
            parts = [Part(*part) for part in parts_of(self.recipe.latents, step, steps)]
            targets = None
            if scaled is not None:
                offsets = np.concatenate(step_of(scaled, step, steps), 1) - mean / np.float32(LATENT_UNIT)
                own = np.concatenate([worth[part.channel : part.channel + part.channels] for part in parts])
                targets = Targets(offsets[0], own, SYMBOL_MAX)
            tables = self._latent_tables if field is None else field.at(parts)
            assert tables is not None
            symbols = _code(coder, targets, tables, index[0].astype(np.int32))
            coded = symbols[None] * LATENT_UNIT + mean.astype(np.int32)
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
        """Squared error of a scaled latent that a bit is worth, (latents,).

        Synthesis is near an orthonormal transform: in the image, an error counts as the square of the inverse gain.
        """
        importance = self._vector("inverse_gain", position).ravel() ** 2
        low, high = BIT_WORTH
        usual = low * (high / low) ** (position / self._last)
        worth: Floats = np.float32(usual) * np.median(importance) / importance
        return worth

    def _rate_plane(self, position: int, shape: tuple[int, ...]) -> Floats:
        """What exact networks are told of the rate: an activation, everywhere the same."""
        return np.full((1, 1, *shape[2:]), position * ACTIVATION_MAX // self._last, np.float32)


def _prefixed(arrays: dict[str, npt.NDArray[Any]], prefix: str) -> dict[str, npt.NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _code(coder: Coder, given: Integers | Targets | None, model: Model, index: Integers) -> Integers:
    """Code symbols, or decode where they are None."""
    symbols = coder.code(given, model, index)
    if symbols.size and max(-int(symbols.min()), int(symbols.max())) > SYMBOL_MAX:
        raise CorruptFile("a latent is out of range")
    return symbols


def _to_bytes(x: Floats) -> npt.NDArray[np.uint8]:
    scaled = x * np.float32(255)
    np.rint(np.clip(scaled, 0, 255, out=scaled), out=scaled)
    return scaled.astype(np.uint8)


CODEC = VAECodec
