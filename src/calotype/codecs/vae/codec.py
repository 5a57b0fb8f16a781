"""The `vae` codec: images to integers, integers to bytes, and back. No PyTorch here.

Glossary: y latents (1/16), scaled latents y * gain, z hyper-latents (1/64); `decoded` latents count sixteenths
(`LATENT_UNIT`) of a scaled latent; `position` is the rate in sixteenths of a step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ...codec import CodecInfo, Host, Payload
from ...coding import BitCounter, Coder, Decoder, Encoder, Tables
from ...coding.adaptive import Adaptive, Part
from ...coding.coder import Model
from ...coding.planes import pack_plane, unpack_plane
from ...coding.rdoq import Targets, nearest
from ...coding.wiener import WAYS, Fit, Taps, shown
from ...errors import CorruptFile, Unsupported
from ...image import Image, Pixels
from ...nets.fixed_point import ACTIVATION_MAX
from ...options import DecodeOptions, EncodeOptions
from ...runtime.engine import Networks
from ...runtime.weights import REALISM
from ...tiled import Halo, check_count, check_seal, cut, decode_tiles, encode_tiles, open_record, seal, strided
from ...tiling import Grid, Span, Tile
from . import INFO
from .cells import parts_of, put_step, step_of
from .condition import condition
from .hidden import continue_smoothly
from .layout import Layout
from .recipe import HYPER_STRIDE, LATENT_STRIDE, Recipe
from .scales import BIT_WORTH, LATENT_UNIT, RATE_UNIT, SYMBOL_MAX

if TYPE_CHECKING:
    from .refine import Refiner

TILE = 1024  # pixels; what is chosen when encoding; `layout` says what decodes
STATIC = 1  # the wire version without adaptive tables and filters
ADAPTIVE = "adaptive_"  # what their arrays' names begin with
CELL = 2  # places on a side of the cells that latents are coded in
FEW_PIXELS = 1 << 16  # of an image whose filter is fitted to all of them
DEFAULT_EFFORT = 5
NEAREST_EFFORT = 1  # rounds to the nearest integers; all others weigh bits against error
FILTER_EFFORT = 5  # from here on the decoder is given a filter, for which the encoder must decode; it serves PSNR
REFINEMENTS = {7: 8, 8: 16, 9: 32}  # steps, by effort; see `refine`

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]
Latents = npt.NDArray[np.int16]
"""As decoded, (1, latents, h, w), counting sixteenths."""


class TileCoder(Coder, Protocol):
    """What codes a tile: an `Encoder` or what stands for one."""

    def finish(self) -> bytes: ...


class _Window(NamedTuple):
    """A tile of an image with what its transforms see around it."""

    rows: Span
    columns: Span
    pixels: npt.NDArray[np.uint8]
    """(h, w, 3 or 1): colours, continued where nobody sees them."""
    seen: npt.NDArray[np.bool_]
    """(h, w): whether there is an image, and it can be seen."""

    def inner(self, tile: Tile) -> tuple[slice, slice]:
        """Where the tile's latents lie among those of the window."""
        return strided(tile.y, self.rows, LATENT_STRIDE), strided(tile.x, self.columns, LATENT_STRIDE)


class _Given(NamedTuple):
    """What an encoder has to code."""

    scaled: Floats
    """Scaled latents (1, latents, h, w)."""
    hyper: Floats | None
    """Hyper-latents, not yet rounded; None without."""
    bit_worth: Floats
    """Squared error of a scaled latent that a bit is worth: one per latent, or one per place of a cell."""


class VAECodec:
    """Any model of the family; built from its weights file. Safe to share between threads."""

    def __init__(self, host: Host) -> None:
        weights = host.weights
        self.recipe = Recipe.from_dict(weights.recipe, weights.name)
        self.info: CodecInfo = INFO if self.recipe.variable_rate else INFO.without(frozenset({"quality"}))
        self._weights = weights
        self._refiner_made: Refiner | None = None
        self._networks = Networks(weights, host.engine)
        self._engine = host.engine
        self._natural_made: Networks | None = None
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
        position, effort = self._position(options.quality), options.effort or DEFAULT_EFFORT
        grid = Grid(image.height, image.width, TILE)
        padded = grid.padded(HYPER_STRIDE)
        records: dict[Tile, bytes] = {}

        def encode_tile(tile: Tile, threads: int) -> Latents:
            window = _window(image, padded, tile, self.recipe.halo)
            scaled = self._analyse(window, position, threads)
            given = self._given(scaled[(..., *window.inner(tile))], position, effort, threads)
            if effort in REFINEMENTS:
                given = self._refined(given, window, scaled, tile, position, effort, threads)
            coder = make()
            decoded = self._transmit(coder, given, position, given.scaled.shape[2:], threads, self._adaptive)
            latents = decoded.astype(np.int16)
            records[tile] = seal(latents, coder.finish())
            return latents

        if effort < FILTER_EFFORT or self._adaptive is None or self.recipe.metric != "mse":
            encode_tiles(padded, encode_tile, options.threads, beside=False)
            taps = None
        else:
            taps = self._fit(image, padded, position, encode_tile, options.threads)
        alpha: list[bytes] = []
        if image.channels in (2, 4):
            plane: npt.NDArray[np.uint8] = image.pixels[..., -1].astype(np.uint8, copy=False)
            alpha = encode_tiles(grid, lambda tile, _: pack_plane(cut(plane, tile)), options.threads)
        version = STATIC if self._adaptive is None else None
        coded = [records[tile] for tile in padded]
        layout = Layout(position, TILE, coded, alpha, b"" if taps is None else taps.tobytes())
        return Payload(image.pixels.shape, image.depth, layout.chunks(), version)

    def _fit(
        self, image: Image, padded: Grid, position: int, encode: Callable[[Tile, int], Latents], threads: int
    ) -> Taps | None:
        """Encode all tiles, and find the filter that mends most of what is lost."""
        colours = 3 if image.channels >= 3 else 1
        fit = Fit(colours, stride=1 if image.width * image.height <= FEW_PIXELS else 2)
        latents = Halo(padded, self.recipe.halo, LATENT_STRIDE, lambda tile: encode(tile, threads))

        def look(tile: Tile, threads: int) -> None:
            colour_planes, rows, columns = self._synthesise(latents, tile, position, colours, threads)
            window = _window(image, padded, tile, self.recipe.halo)
            wanted = window.pixels[rows, columns].transpose(2, 0, 1).astype(np.float32) / np.float32(255)
            fit.add(colour_planes, rows, columns, wanted, window.seen[rows, columns])

        encode_tiles(padded, look, threads, beside=False)
        return fit.taps(self._error_worth(position) * 3 / colours)

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
        colours = 3 if channels >= 3 else 1
        if layout.taps and (len(layout.taps) != colours * len(WAYS) or payload.wire_version == STATIC):
            raise CorruptFile(f"the file has a filter of {len(layout.taps)} taps that is none of its kind")
        taps = np.frombuffer(layout.taps, np.int8).reshape(colours, -1) if layout.taps else None
        threads, realism = options.threads, options.realism
        self._networks.prepare("synthesis", threads)
        if realism:
            self._natural.prepare("synthesis", threads)
            taps = _faded(taps, realism)
        padded = grid.padded(HYPER_STRIDE)

        def decode_latents(tile: Tile) -> Latents:
            return self._decode_latents(grid.of(layout.latents, tile), tile, layout.position, adaptive, threads)

        latents = Halo(padded, self.recipe.halo, LATENT_STRIDE, decode_latents)

        def decode_tile(tile: Tile, threads: int) -> Pixels:
            pixels = shown(*self._synthesise(latents, tile, layout.position, colours, threads, realism), taps)
            if has_alpha:
                alpha = unpack_plane(grid.of(layout.alpha, tile), tile.y.size, tile.x.size)
                pixels = np.concatenate([pixels, alpha[..., None]], -1)
            return pixels

        return Image(decode_tiles(grid, options.region, channels, 8, decode_tile, threads, beside=False))

    # --- transforms -----------------------------------------------------------------------------------------------

    def _analyse(self, window: _Window, position: int, threads: int) -> Floats:
        """Scaled latents (1, latents, h, w) of a window."""
        planes = window.pixels.transpose(2, 0, 1)[None]
        x = np.broadcast_to(planes, (1, 3, *planes.shape[2:])).astype(np.float32) / np.float32(255)
        (y,) = self._networks.get("analysis", threads)(x=x, scale=self._vector("analysis_scale", position))
        return y * self._vector("gain", position)

    def _given(self, scaled: Floats, position: int, effort: int, threads: int) -> _Given:
        """Scaled latents of a tile with what else their coding takes."""
        hyper = None
        if self.recipe.prior == "gaussian":
            (hyper,) = self._networks.get("hyper_analysis", threads)(scaled=scaled)
        bit_worth = self._bit_worth(position)
        return _Given(scaled, hyper, bit_worth * np.float32(effort != NEAREST_EFFORT))

    def _refined(
        self, given: _Given, window: _Window, scaled: Floats, tile: Tile, position: int, effort: int, threads: int
    ) -> _Given:
        """Latents of a tile in place of those `given`: already whole steps from their means, so nothing is rounded."""
        refiner = self._refiner(effort)
        from .refine import Picture, Rate

        def code(target: Floats, bit_worth: Floats) -> tuple[Floats, float]:
            counter = BitCounter()
            now = given._replace(scaled=target, bit_worth=bit_worth)
            decoded = self._transmit(counter, now, position, target.shape[2:], threads, self._adaptive)
            return decoded.astype(np.float32) / np.float32(LATENT_UNIT), counter.bits

        x = (window.pixels.transpose(2, 0, 1)[None] / np.float32(255)).astype(np.float32)
        picture = Picture(x, window.seen[None, None].astype(np.float32), scaled, *window.inner(tile))
        rate = Rate(
            self._vector("inverse_gain", position),
            self._vector("synthesis_scale", position),
            self._error_worth(position),
        )
        start, bits = code(given.scaled, given.bit_worth)
        best = refiner.refine(picture, rate, start, bits, code, REFINEMENTS[effort])
        return given._replace(scaled=best, bit_worth=np.zeros_like(given.bit_worth))

    def _refiner(self, effort: int) -> Refiner:
        """What refines latents, made when first asked for. Raises `Unsupported` where it cannot be had."""
        if self.recipe.metric != "mse":
            raise Unsupported(
                f"efforts {min(REFINEMENTS)} to {max(REFINEMENTS)} refine for PSNR, and vae.{self.recipe.name} is for "
                f"{self.recipe.metric}; take an effort of at most {min(REFINEMENTS) - 1}"
            )
        if self._refiner_made is None:
            try:
                from .refine import Refiner

                self._refiner_made = Refiner(self._weights)
            except ModuleNotFoundError as error:
                raise Unsupported(
                    f"effort {effort} of vae needs PyTorch and onnx, and {error.name} is not installed; "
                    f"run: pip install 'calotype[gpu]', or take an effort of at most {min(REFINEMENTS) - 1}"
                ) from None
        return self._refiner_made

    @property
    def _natural(self) -> Networks:
        """The second synthesis, opened when first asked for. Raises `WeightsNotFound` where there is none."""
        if self._natural_made is None:
            self._natural_made = Networks(self._weights.companion(REALISM), self._engine)
        return self._natural_made

    def _synthesise(
        self, latents: Halo, tile: Tile, position: int, colours: int, threads: int, realism: float | None = None
    ) -> tuple[Floats, slice, slice]:
        """Colours (3, h, w) or their mean (1, h, w), about in [0, 1], of a tile with its halo; where the tile is."""
        rows, columns, decoded = latents.around(tile)
        y = decoded.astype(np.float32) * (self._vector("inverse_gain", position) / np.float32(LATENT_UNIT))
        inputs = {"y": y, "scale": self._vector("synthesis_scale", position)}
        (x,) = self._networks.get("synthesis", threads)(**inputs)
        if realism:
            asked, rate = (np.full(1, value, np.float32) for value in (realism, position / self._last))
            inputs["conditions"] = condition(asked, rate, np)
            (natural,) = self._natural.get("synthesis", threads)(**inputs)
            x = x + np.float32(realism) * (natural - x)
        window: Floats = x[0] if colours == 3 else x[0].mean(0, keepdims=True)
        return window, tile.y.within(rows), tile.x.within(columns)

    # --- integers -------------------------------------------------------------------------------------------------

    def _decode_latents(
        self, record: bytes, tile: Tile, position: int, adaptive: Adaptive | None, threads: int
    ) -> Latents:
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
        given: _Given | None,
        position: int,
        shape: tuple[int, ...],
        threads: int,
        adaptive: Adaptive | None,
    ) -> Integers:
        """The symbol program of encoder, decoder and bit counter.

        `given` is None when decoding; shape is h, w of the latents -> decoded latents, counting sixteenths.
        Without `adaptive` their tables are the static ones of version 1.
        """
        if self.recipe.prior == "factorized":
            scaled = None if given is None else given.scaled
            return self._code_side(coder, scaled, position, (self.recipe.latents, *shape)) * LATENT_UNIT
        get = self._networks.get
        hyper = None if given is None else given.hyper
        z_shape = (self.recipe.hyper_latents, *(size * LATENT_STRIDE // HYPER_STRIDE for size in shape))
        z = self._code_side(coder, hyper, position, z_shape)
        rate = self._rate_plane(position, z.shape)
        (features,) = get("hyper_synthesis", threads)(z=z.astype(np.float32), rate=rate)
        inputs = {"features": features, "rate": self._rate_plane(position, features.shape)}
        decoded = np.zeros((1, self.recipe.latents, *shape), np.int32)
        steps = self.recipe.context_steps
        field = None if adaptive is None else adaptive.field(shape[0], shape[1], CELL)
        latents = None if given is None else (given.scaled, given.bit_worth)
        for step in range(steps):
            mean, index = get(f"context{step}", threads)(**inputs)
            targets = None
            if latents is not None:
                scaled, worth = (np.concatenate(step_of(x, step, steps), 1)[0] for x in latents)
                targets = Targets(scaled - mean[0] / np.float32(LATENT_UNIT), worth, SYMBOL_MAX)
            parts = [Part(*part) for part in parts_of(self.recipe.latents, step, steps)]
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
                raise Unsupported(
                    f"vae.{self.recipe.name} has one rate; leave out quality and target, or use vae.swift"
                )
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

        Synthesis is near an orthonormal transform: in the image, an error counts as the square of the inverse gain.
        """
        importance = self._vector("inverse_gain", position) ** 2
        low, high = BIT_WORTH
        usual = np.float32(low * (high / low) ** (position / self._last))
        return np.broadcast_to(usual * np.median(importance) / importance, (1, self.recipe.latents, CELL, CELL))

    def _error_worth(self, position: int) -> float:
        """Bits that a squared error of 1 is worth in one of three colours of a pixel, as the model was trained."""
        low, high = np.log(self.recipe.lmbda)
        return float(np.exp(low + (high - low) * position / self._last)) * 255**2 / 3

    def _rate_plane(self, position: int, shape: tuple[int, ...]) -> Floats:
        """What exact networks are told of the rate: an activation, everywhere the same."""
        return np.full((1, 1, *shape[2:]), position * ACTIVATION_MAX // self._last, np.float32)


def _prefixed(arrays: dict[str, npt.NDArray[Any]], prefix: str) -> dict[str, npt.NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _window(image: Image, padded: Grid, tile: Tile, halo: int) -> _Window:
    """A tile of the grid padded to whole hyper-latents, with so many pixels around it."""
    rows, columns = tile.y.grown(halo, padded.height), tile.x.grown(halo, padded.width)
    there = image.pixels[slice(*rows), slice(*columns)]
    pixels = there[..., :3] if image.channels >= 3 else there[..., :1]
    seen = np.ones(pixels.shape[:2], np.bool_)
    if image.channels in (2, 4):
        seen = there[..., -1] > 0
        pixels = continue_smoothly(pixels, seen)
    beyond = ((0, rows.size - pixels.shape[0]), (0, columns.size - pixels.shape[1]))
    return _Window(rows, columns, np.pad(pixels, (*beyond, (0, 0)), "edge"), np.pad(seen, beyond))


def _faded(taps: Taps | None, realism: float) -> Taps | None:
    """The filter, which was fitted to the faithful picture, for one that is less so; None for the most natural one."""
    return None if taps is None or realism == 1 else np.rint(taps * (1 - realism)).astype(np.int8)


def _code(coder: Coder, given: Integers | Targets | None, model: Model, index: Integers) -> Integers:
    """Code symbols, or decode where they are None."""
    symbols = coder.code(given, model, index)
    if symbols.size and max(-int(symbols.min()), int(symbols.max())) > SYMBOL_MAX:
        raise CorruptFile("a latent is out of range")
    return symbols


CODEC = VAECodec
