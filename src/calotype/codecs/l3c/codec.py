"""The `l3c` codec: pixels to integers, integers to bytes, and back, without loss. No PyTorch here.

Glossary: `levels` of scale s = 1, 2, 3 are integers -12 .. 12 at 1/2, 1/4, 1/8 of an image's size; `parts` of a tile
are what it has a record of: colours or grey, and alpha.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ...codec import CodecInfo, Host, Payload
from ...coding import PRECISION, BitCounter, Coder, Decoder, Encoder, Mixture, Tables
from ...coding.grey import pack_grey, unpack_grey
from ...coding.mixture import code_following, mixture_parameters
from ...coding.planes import pack_colours, unpack_colours
from ...coding.units import LOCATION_BITS
from ...errors import CorruptFile
from ...image import Image
from ...options import DecodeOptions, EncodeOptions
from ...runtime.engine import Networks
from ...tiled import bodies, check_count, check_seal, cut, decode_tiles, encode_tiles, open_record, seal
from ...tiling import Grid, Tile
from . import INFO
from .coarsest import code_coarsest
from .known import Known, levels_of
from .layout import TILES
from .recipe import Recipe
from .units import (
    COLOUR_MAX,
    COLOURS,
    LATENTS,
    LEVEL_MAX,
    LEVELS,
    SCALES,
    STRIDE,
)

TILE = 512  # pixels; what is chosen when encoding; the file says what decodes

SCREEN, MODELLED = 0, 1  # kinds of colour records: without the network, and with it

Bytes = npt.NDArray[np.uint8]
Int32 = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


class L3CCodec:
    """Any model of the family; built from its weights file. Safe to share between threads."""

    info: ClassVar[CodecInfo] = INFO

    def __init__(self, host: Host) -> None:
        weights = host.weights
        self.recipe = Recipe.from_dict(weights.recipe, weights.name)
        self._networks = Networks(weights, host.engine)
        self._coarsest = _uniform()
        self._levels = Mixture(LEVELS, self.recipe.mixtures)
        self._colours = Mixture(COLOUR_MAX + 1, self.recipe.mixtures)

    # --- images ---------------------------------------------------------------------------------------------------

    def encode(self, image: Image, options: EncodeOptions) -> Payload:
        """Code the image."""
        return self._payload(image, options, Encoder)

    def count_bits(self, image: Image, options: EncodeOptions) -> float:
        """Size to expect of the payload in bits, by ideal code lengths."""
        return self._payload(image, options, BitCounter).bits

    def _payload(self, image: Image, options: EncodeOptions, make: Callable[[], Encoder | BitCounter]) -> Payload:
        """A payload of what a new coder for each tile and part made."""
        pixels: Bytes = image.pixels.astype(np.uint8, copy=False)
        grid, groups = Grid(image.height, image.width, TILE), _groups(image.channels)

        def encode_tile(tile: Tile, threads: int) -> list[bytes]:
            parts = (np.ascontiguousarray(cut(pixels, tile)[..., group]) for group in groups)
            return [self._encode_part(part, make(), threads) for part in parts]

        records = [record for parts in encode_tiles(grid, encode_tile, options.threads) for record in parts]
        return Payload(image.pixels.shape, image.depth, (TILES.pack(TILE, records),), 2 if self.recipe.joint else 1)

    def _encode_part(self, part: Bytes, coder: Encoder | BitCounter, threads: int) -> bytes:
        if part.shape[-1] != COLOURS:
            return seal(part, pack_grey(part[..., 0], coder))
        self._transmit(coder, part, part.shape[0], part.shape[1], threads)
        stream = coder.finish()
        screen = pack_colours(part, len(stream))
        return seal(part, bytes([MODELLED]) + stream if screen is None else bytes([SCREEN]) + screen)

    def decode(self, payload: Payload, options: DecodeOptions) -> Image:
        """Decode all or a region. Raises `CorruptFile`, `Desync`, `UnsupportedFile`, `Unsupported`."""
        height, width, channels = payload.shape
        side, records, _ = TILES.parse(bodies(payload.chunks, TILES.tag)[TILES.tag])
        grid, groups = Grid(height, width, side), _groups(channels)
        check_count(records, grid, len(groups))

        def decode_tile(tile: Tile, threads: int) -> Bytes:
            pixels = np.empty((tile.y.size, tile.x.size, channels), np.uint8)
            for number, group in enumerate(groups):
                sealed, body = open_record(grid.of(records, tile, number, len(groups)))
                part = self._decode_part(body, tile.y.size, tile.x.size, group.stop - group.start, threads)
                check_seal(sealed, part, tile)
                pixels[..., group] = part
            return pixels

        return Image(decode_tiles(grid, options.region, channels, 8, decode_tile, options.threads))

    def _decode_part(self, body: bytes, height: int, width: int, channels: int, threads: int) -> Bytes:
        if channels != COLOURS:
            return unpack_grey(body, height, width)[..., None]
        kind, stream = body[:1], body[1:]
        if kind == bytes([SCREEN]):
            return unpack_colours(stream, height, width)
        if kind != bytes([MODELLED]):
            raise CorruptFile("a tile of unknown kind")
        decoder = Decoder(stream)
        part = self._transmit(decoder, None, height, width, threads)
        decoder.finish()
        return part

    # --- integers -------------------------------------------------------------------------------------------------

    def _latents(self, padded: Bytes, threads: int) -> Callable[[int, Floats | None], Int32]:
        """What tells the levels (5, h / 2^s, w / 2^s) of colours (3, h, w), of the padded size, at scale s.

        Levels that are samples count from the values expected there.
        """
        if self.recipe.samples:

            def tell(scale: int, expected: Floats | None) -> Int32:
                assert expected is not None
                return levels_of(_samples(padded, scale), expected)

            return tell
        x = padded[None].astype(np.float32) / np.float32(COLOUR_MAX / 2) - np.float32(1)
        learned = self._networks.get("analysis", threads)(x=x)
        return lambda scale, _: np.rint(np.clip(learned[scale - 1][0], -LEVEL_MAX, LEVEL_MAX)).astype(np.int32)

    def _transmit(self, coder: Coder, pixels: Bytes | None, height: int, width: int, threads: int) -> Bytes:
        """The symbol program of encoder, decoder and bit counter: a tile (height, width, 3), or None when decoding.

        The coarsest scale first, then what each scale predicts: the next finer one, colours at last.
        Of these only what samples leave open is coded.
        """
        padded, shape = None if pixels is None else _pad(pixels), (-(-height // STRIDE), -(-width // STRIDE))
        scales = self._transmit_samples if self.recipe.joint else self._transmit_levels
        outputs, known = scales(coder, padded, shape, threads)
        return self._code_colours(coder, pixels, [output[..., :height, :width] for output in outputs], known)

    def _transmit_levels(
        self, coder: Coder, padded: Bytes | None, shape: tuple[int, int], threads: int
    ) -> tuple[list[Floats], Known | None]:
        """Code the levels of all scales; what the finest predicts, and the samples that it knows."""
        latents = None if padded is None else self._latents(padded, threads)
        inputs: dict[str, Floats] = {}
        expected = np.zeros((1, COLOURS, *shape), np.float32) if self.recipe.samples else None
        model: Tables | Mixture = self._coarsest
        parameters, known = np.zeros((LATENTS, *shape), np.int32), None
        for scale in range(SCALES, 0, -1):
            wanted = None if latents is None else latents(scale, expected)
            levels = _code_levels(coder, wanted, model, parameters, known)
            features, *outputs = self._stage(scale, levels, inputs, threads)
            known = None if expected is None else Known.of(levels, expected)
            if scale > 1:
                inputs = {"coarser": features}
                if expected is not None:
                    expected, *outputs = outputs
                    inputs["expected"] = expected
                model = self._levels
                parameters = np.moveaxis(mixture_parameters(outputs, LATENTS, LEVEL_MAX << LOCATION_BITS), 0, 2)
        return outputs, known

    def _transmit_samples(
        self, coder: Coder, padded: Bytes | None, shape: tuple[int, int], threads: int
    ) -> tuple[list[Floats], Known]:
        """Code the samples of all scales, as colours are; what the finest predicts, and the samples that it knows."""
        samples = code_coarsest(coder, None if padded is None else _samples(padded, SCALES), shape)
        inputs: dict[str, Floats] = {}
        expected = np.zeros((1, COLOURS, *shape), np.float32)
        for scale in range(SCALES, 0, -1):
            known = Known.all_of(samples)
            features, *outputs = self._stage(scale, levels_of(samples, expected), inputs, threads)
            if scale > 1:
                expected, *outputs = outputs
                inputs = {"coarser": features, "expected": expected}
                wanted = None if padded is None else _samples(padded, scale - 1).transpose(1, 2, 0)
                samples = self._code_colours(coder, wanted, outputs, known).transpose(2, 0, 1)
        return outputs, known

    def _stage(self, scale: int, levels: Int32, inputs: dict[str, Floats], threads: int) -> list[Floats]:
        """Features and parameters of what is twice as large."""
        return self._networks.get(f"stage{scale}", threads)(levels=levels[None].astype(np.float32), **inputs)

    def _code_colours(self, coder: Coder, pixels: Bytes | None, outputs: list[Floats], known: Known | None) -> Bytes:
        """Code red, green that moves with red, blue that moves with both; (h, w, 3)."""
        *mixtures, coefficient = outputs
        height, width = coefficient.shape[2:]
        parameters = mixture_parameters(mixtures, COLOURS, (COLOUR_MAX << LOCATION_BITS) // 2)
        factors = coefficient.reshape(COLOURS, self.recipe.mixtures, height, width).astype(np.int32)
        decoded = np.empty((height * width, COLOURS), np.uint8)
        if known is None:
            left = np.arange(height * width)
        else:
            found, left = known.places(height, width)
            decoded[found] = known.samples.transpose(1, 2, 0)[found // width // 2, found % width // 2]
            parameters, factors = _at(parameters, left), _at(factors, left)
        parameters = parameters.reshape(COLOURS, 3, self.recipe.mixtures, len(left))
        given = None if pixels is None else pixels.reshape(-1, COLOURS)[left].astype(np.int32)

        def code(colour: int, parameters: Int32) -> Int32:
            symbols = None if given is None else np.ascontiguousarray(given[:, colour])
            symbols = coder.code(symbols, self._colours, parameters)
            decoded[left, colour] = symbols
            return symbols

        code_following(code, parameters, factors.reshape(COLOURS, self.recipe.mixtures, len(left)))
        return decoded.reshape(height, width, COLOURS)


def _uniform() -> Tables:
    """One table, all levels alike."""
    return Tables.from_arrays(
        {
            "frequencies": np.append(np.full(LEVELS, (1 << PRECISION) // LEVELS), (1 << PRECISION) % LEVELS).astype(
                np.uint16
            ),
            "lengths": np.array([LEVELS], np.int32),
            "minimums": np.zeros(1, np.int32),
        }
    )


def _pad(pixels: Bytes) -> Bytes:
    """(h, w, 3) -> (3, h, w) of the padded size."""
    beyond = [(0, -size % STRIDE) for size in pixels.shape[:2]]
    return np.pad(pixels, (*beyond, (0, 0)), "edge").transpose(2, 0, 1)


def _samples(padded: Bytes, scale: int) -> Bytes:
    """Those of colours (3, h, w) at a scale, (3, h / 2^s, w / 2^s)."""
    return padded[:, :: 2**scale, :: 2**scale]


def _groups(channels: int) -> list[slice]:
    """The channels of each part."""
    colours = COLOURS if channels >= COLOURS else 1
    return [slice(0, colours), slice(colours, channels)][: 1 + (channels > colours)]


def _code_levels(
    coder: Coder, levels: Int32 | None, model: Tables | Mixture, parameters: Int32, known: Known | None
) -> Int32:
    """Code levels (5, h, w), or decode where they are None; they are 0 where samples are known."""
    if known is None:
        symbols = coder.code(None if levels is None else levels + LEVEL_MAX, model, parameters)
    else:
        *_, height, width = parameters.shape
        _, left = known.places(height, width)
        symbols = np.full((LATENTS, height * width), LEVEL_MAX, np.int32)
        wanted = None if levels is None else levels.reshape(LATENTS, -1)[:, left] + LEVEL_MAX
        symbols[:, left] = coder.code(wanted, model, _at(parameters, left))
        symbols = symbols.reshape(LATENTS, height, width)
    if symbols.size and not 0 <= int(symbols.min()) <= int(symbols.max()) < LEVELS:
        raise CorruptFile("a latent is out of range")
    return symbols - LEVEL_MAX


def _at(parameters: Int32, places: npt.NDArray[np.intp]) -> Int32:
    """Parameters (..., h, w) of some flat places, (..., n)."""
    return np.take(parameters.reshape(*parameters.shape[:-2], -1), places, -1)


CODEC = L3CCodec
