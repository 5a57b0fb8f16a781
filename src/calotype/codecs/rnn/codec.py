"""The `rnn` codec: iterations of two recurrent networks, and the bits between them. No PyTorch here.

Glossary: `codes` of an image are (iterations, h, w, bits), one place for `stride` pixels each way, -1 or 1; what is
*missing* of a tile is what its encoder sees in the next iteration.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ...codec import CodecInfo, Host, Payload
from ...coding import Tables
from ...coding.bits import BitModel, Weights
from ...coding.coder import Decoder, Encoder
from ...coding.planes import pack_plane, unpack_plane
from ...coding.wiener import shown
from ...errors import CorruptFile, Desync, Unsupported
from ...image import Image, Pixels
from ...options import DecodeOptions, EncodeOptions
from ...runtime.engine import Networks
from ...tiled import cut, decode_tiles, encode_tiles, open_record, seal, strided
from ...tiling import Grid, Span, Tile
from . import INFO
from .layout import Layout
from .recipe import PLACES, START, TABLES, Recipe, State
from .refine import Levels, Refinement, analyse, synthesise

TILE = 1024  # pixels; what is chosen when encoding
DEFAULT_QUALITY = 50.0
MIDDLE = np.float32(0.5)  # of the samples: what is shown of nothing

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int8]


class RNNCodec:
    """Any model of the family; built from its weights file. Safe to share between threads."""

    info: ClassVar[CodecInfo] = INFO

    def __init__(self, host: Host) -> None:
        weights = host.weights
        self.recipe = Recipe.from_dict(weights.recipe, weights.name)
        self._networks = Networks(weights, host.engine)
        self._start: Weights = weights.arrays[START]
        if self.recipe.refinements:
            self._places_in_patch = weights.arrays[PLACES]
            parts = {name.removeprefix(TABLES): array for name, array in weights.arrays.items() if name != PLACES}
            self._tables = Tables.from_arrays(parts)

    # --- images ---------------------------------------------------------------------------------------------------

    def encode(self, image: Image, options: EncodeOptions) -> Payload:
        """Code the image. Raises `Unsupported` for a quality that there is not."""
        iterations = self._iterations(options.quality)
        codes, left = self.analyse(image, iterations, options.threads)
        model = BitModel(codes.shape[1], codes.shape[2], self._start)
        records = [seal(layer, model.encode(layer)) for layer in codes]
        if left is not None:
            refinement = self.refinement(codes, options.threads)
            for _ in range(iterations - len(codes)):
                coder = Encoder()
                refinement.code(coder, left)
                records.append(seal(refinement.low, coder.finish()))
        alpha = pack_plane(image.pixels[..., -1].astype(np.uint8)) if image.channels in (2, 4) else b""
        return Payload(image.pixels.shape, image.depth, Layout(TILE, records, alpha).chunks())

    def analyse(self, image: Image, iterations: int, threads: int) -> tuple[Codes, Levels | None]:
        """Codes of an image, and if the iterations are more than the networks', the coefficients that these leave."""
        grid = Grid(image.pixels.shape[0], image.pixels.shape[1], TILE)
        padded = grid.padded(self.recipe.stride)
        networked = min(iterations, self.recipe.networked)
        codes = np.empty((networked, *self._shape(padded)), np.int8)
        refines = iterations > networked
        left = np.empty((*codes.shape[1:3], self.recipe.surface_width), np.int16) if refines else None

        def encode_tile(tile: Tile, threads: int) -> None:
            places = self._places(padded, tile)
            steps = list(self._encode(_floats(image, padded, tile), networked, refines, threads))
            for iteration, (found, _) in enumerate(steps):
                codes[iteration][places] = found
            if left is not None:
                left[places] = analyse(steps[-1][1], self.recipe.stride, self._places_in_patch)

        encode_tiles(grid, encode_tile, threads)
        return codes, left

    def refinement(self, codes: Codes | list[Codes], threads: int) -> Refinement:
        """What is known of the coefficients of an image of which there are all the networks' codes, and no more."""
        bits = np.concatenate([layer.transpose(2, 0, 1) for layer in codes])[None].astype(np.float32)
        expected = self._networks.get("foresight", threads)(x=bits)[0][0].astype(np.uint8)
        return Refinement(np.ascontiguousarray(expected.transpose(1, 2, 0)), self._places_in_patch, self._tables)

    def count_bits(self, image: Image, options: EncodeOptions) -> float:
        """The size itself: what adapts cannot be counted without being coded."""
        return self.encode(image, options).bits

    def decode(self, payload: Payload, options: DecodeOptions) -> Image:
        """Decode all or a region, from as many iterations as there are.

        Raises `CorruptFile`, `Desync`, `UnsupportedFile`, `Unsupported`.
        """
        height, width, channels = payload.shape
        layout = Layout.parse(payload.chunks)
        if len(layout.iterations) > self.recipe.iterations:
            raise CorruptFile(f"the file has {len(layout.iterations)} iterations, more than its model")
        grid = Grid(height, width, layout.tile)
        padded, colours = grid.padded(self.recipe.stride), 3 if channels >= 3 else 1
        alpha = unpack_plane(layout.alpha, height, width) if channels in (2, 4) else None
        if alpha is None and layout.alpha:
            raise CorruptFile("the file has an alpha plane that its header does not tell of")
        codes, refinement = self._decode_layers(layout, self._shape(padded), options.threads)

        def decode_tile(tile: Tile, threads: int) -> Pixels:
            places = self._places(padded, tile)
            planes = self._decode([layer[places] for layer in codes], threads)
            if refinement is not None:
                planes = planes + synthesise(refinement.shown(*places), self.recipe.stride, self._places_in_patch)[0]
            planes = planes if colours == 3 else planes.mean(0, keepdims=True)
            pixels = shown(planes, slice(0, tile.y.size), slice(0, tile.x.size), None)
            return pixels if alpha is None else np.concatenate([pixels, cut(alpha, tile)[..., None]], -1)

        return Image(decode_tiles(grid, options.region, channels, 8, decode_tile, options.threads), 8)

    # --- iterations -----------------------------------------------------------------------------------------------

    def _encode(self, missing: Floats, iterations: int, goes_on: bool, threads: int) -> Iterator[tuple[Codes, Floats]]:
        """Codes (h, w, bits) of each iteration, of samples (1, 3, h, w) around 0, and what is missing after it.

        After the last one that is only known if it `goes_on`.
        """
        image, size = missing, missing.shape[2:]
        encoder, decoder = self._blank(self.recipe.encoder_states, size), self._blank(self.recipe.decoder_states, size)
        for iteration in range(iterations):
            seen = decoder[: self.recipe.scaled]  # of the decoder's state: the scale
            found, *encoder = self._run("encoder", missing, [*seen, *encoder], threads)
            bits = np.where(found >= 0, np.float32(1), np.float32(-1))
            if goes_on or iteration + 1 < iterations:
                decoded, *decoder = self._run("decoder", bits, decoder, threads)
                missing = (missing if self._adds else image) - decoded
            yield bits[0].transpose(1, 2, 0).astype(np.int8), missing

    def _decode(self, codes: list[Codes], threads: int) -> Floats:
        """Samples (3, h, w), about in [0, 1], of a tile's codes (h, w, bits) of each iteration."""
        height, width, _ = codes[0].shape
        size = height * self.recipe.stride, width * self.recipe.stride
        state = self._blank(self.recipe.decoder_states, size)
        image = np.zeros((1, 3, *size), np.float32)
        for layer in codes:
            bits = layer.transpose(2, 0, 1)[None].astype(np.float32)
            decoded, *state = self._run("decoder", bits, state, threads)
            image = image + decoded if self._adds else decoded
        samples: Floats = image[0] + MIDDLE
        return samples

    def _run(self, name: str, x: Floats, state: list[Floats], threads: int) -> list[Floats]:
        """One iteration of a network: what it gives, then its state after it."""
        states = {f"state{number}": part for number, part in enumerate(state)}
        return self._networks.get(name, threads)(x=x, **states)

    def _blank(self, states: tuple[State, ...], size: tuple[int, ...]) -> list[Floats]:
        height, width = size
        return [np.zeros((1, n, height // stride, width // stride), np.float32) for n, stride in states]

    @property
    def _adds(self) -> bool:
        return self.recipe.reconstruction != "one-shot"

    # --- bits -----------------------------------------------------------------------------------------------------

    def _decode_layers(
        self, layout: Layout, shape: tuple[int, int, int], threads: int
    ) -> tuple[list[Codes], Refinement | None]:
        model, codes, refinement = BitModel(shape[0], shape[1], self._start), [], None
        for number, record in enumerate(layout.iterations):
            sealed, stream = open_record(record)
            if number < self.recipe.networked:
                codes.append(model.decode(stream))
                found: Codes | Levels = codes[-1]
            else:
                refinement = refinement or self.refinement(codes, threads)
                refinement.code(Decoder(stream), None)
                found = refinement.low
            if seal(found, b"") != sealed:
                raise Desync(f"iteration {number} decoded to other values than were encoded; nothing is returned")
        return codes, refinement

    def _shape(self, padded: Grid) -> tuple[int, int, int]:
        """Of the codes of an iteration."""
        return padded.height // self.recipe.stride, padded.width // self.recipe.stride, self.recipe.bits

    def _places(self, padded: Grid, tile: Tile) -> tuple[slice, slice]:
        """Where a tile's codes lie among those of the image."""
        whole = padded.tile(tile.row, tile.column)
        rows, columns = Span(0, padded.height), Span(0, padded.width)
        return strided(whole.y, rows, self.recipe.stride), strided(whole.x, columns, self.recipe.stride)

    def _iterations(self, quality: float | None) -> int:
        """How many a quality of 0..100 stands for: that percentage of all, at least 1."""
        quality = DEFAULT_QUALITY if quality is None else quality
        if not 0 <= quality <= 100:
            raise Unsupported(f"quality {quality} is not in 0..100")
        return max(1, math.ceil(quality / 100 * self.recipe.iterations))


def _floats(image: Image, padded: Grid, tile: Tile) -> Floats:
    """Samples (1, 3, h, w) around 0 of a tile, its border going on to the padded size."""
    whole = padded.tile(tile.row, tile.column)
    pixels = cut(image.pixels, tile)
    colours = pixels[..., :3] if image.channels >= 3 else pixels[..., :1]
    beyond = ((0, whole.y.size - tile.y.size), (0, whole.x.size - tile.x.size), (0, 0))
    planes = np.pad(colours, beyond, "edge").transpose(2, 0, 1)[None].astype(np.float32)
    planes = planes / np.float32(255) - MIDDLE
    return planes if planes.shape[1] == 3 else planes.repeat(3, 1)


CODEC = RNNCodec
