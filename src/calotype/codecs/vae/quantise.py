"""Int8 analysis and synthesis of a "shuffle" recipe, made from its weights file and calibrated on tiles.

Residual blocks are nearly all of the arithmetic: their dense and depthwise layers compute in int8. The sums that run
past the blocks stay in float32, as do the layers that hold pixels and latents. The sums are kept in units of the
blocks' integer steps (`_Part.step`), so that scaling the channels costs nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import onnx
import onnx.numpy_helper

from ...codec import Host
from ...errors import Unsupported
from ...image import Image, Pixels
from ...nets.int8 import MIDDLE, Graph, Observer, Ranges, fit, fit_signed
from ...nets.residual import SLOPE
from ...options import DecodeOptions, EncodeOptions
from ...runtime.engine import Network
from ...runtime.onnx import OnnxNetwork
from ...runtime.weights import Weights, pack_companion
from .adapt import QUALITY_STRIDE
from .codec import FILTER_EFFORT, VAECodec
from .networks import BLOCK
from .recipe import Recipe

Floats = npt.NDArray[np.float32]

BEYOND = 0.05  # of the tiles may clip a channel of the analysis; steps are so much finer for all others
CORNER_RATES = 5  # at which each extreme colour is seen


def quantise(weights: Weights, tiles: Iterable[Pixels]) -> bytes:
    """The int8 companion of a weights file.

    Parameters
    ----------
    tiles
        Images (h, w, 3) to calibrate on, each coded at another rate. Activations of the synthesis beyond theirs will
        clip, of the analysis those beyond what nearly all of them have; but never those of plain areas of any colour.

    Raises
    ------
    Unsupported
        The recipe has other transforms, or these were not trained.
    """
    recipe = Recipe.from_dict(weights.recipe, weights.name)
    if recipe.transform != "shuffle":
        raise Unsupported(f"{weights.name}: only the transforms of swift have an int8 version")
    # A few that clip are not seen in the analysis, where rounding follows, and finer steps gain; in pixels they are.
    parts = {
        "analysis": _Part(weights.network("analysis"), beyond=BEYOND, together=False),
        "synthesis": _Part(weights.network("synthesis"), beyond=0, together=True),
    }
    _observe(weights, recipe, parts, _corners())
    for part in parts.values():
        part.run.never_clip()
    _observe(weights, recipe, parts, tiles)
    try:
        analysis, synthesis = _analysis(parts["analysis"], recipe), _synthesis(parts["synthesis"], recipe)
    except KeyError as error:  # equal parameters, as zeros are, were merged when they were exported
        raise Unsupported(f"{weights.name} has no {error} of its own; train it before it becomes int8") from None
    return pack_companion(weights.digest, {"analysis": analysis, "synthesis": synthesis})


class _Part:
    """A float network: its parameters by name, and the ranges that its blocks' tensors took."""

    def __init__(self, network: bytes, beyond: float, together: bool) -> None:
        """`beyond` as for `Observer`; `together` as `to_int8` can round weights."""
        graph = onnx.load_from_string(network).graph
        self.parameters: dict[str, Floats] = {
            value.name: onnx.numpy_helper.to_array(value) for value in graph.initializer
        }
        self.blocks = len({name.split(".")[1] for name in self.parameters if name.startswith("blocks.")})
        readers = {node.input[0]: node.output[0] for node in graph.node if node.op_type == "LeakyRelu"}
        self._tensors: dict[str, str] = {}
        for node in graph.node:
            layer = node.input[1].removesuffix(".weight") if node.op_type == "Conv" else ""
            if layer.startswith("blocks."):
                self._tensors[f"{layer}.in"] = node.input[0]
                self._tensors[f"{layer}.out"] = readers.get(node.output[0], node.output[0])
        dense = [name for name in self._tensors if name.endswith(".in") and not name.endswith("spatial.2.in")]
        inputs = [self._tensors[name] for name in dense] if together else ()
        self.run = Observer(network, self._tensors.values(), inputs, beyond)

    def ranges(self, name: str) -> Ranges:
        """Ranges of `<layer>.in` or `<layer>.out`, after the rectifier where one follows."""
        return self.run.ranges(self._tensors[name])

    def moments(self, name: str, unit: Floats) -> Floats | None:
        """Second moments (c, c) of `<layer>.in`, counted in units, if weights are rounded together."""
        moments = self.run.moments(self._tensors[name])
        return None if moments is None else moments / np.outer(unit, unit)

    def step(self, blocks: range) -> Floats:
        """Sizes (width,) of the integer steps that the sums have in these blocks."""
        if not blocks:
            return np.ones(1, np.float32)
        names = [f"blocks.{block}.{branch}.0.in" for block in blocks for branch in ("spatial", "mixer")]
        below, above = zip(*(self.ranges(name) for name in names), strict=True)
        return fit_signed((np.max(below, 0), np.max(above, 0)))

    def dense(self, layer: str) -> tuple[Floats, Floats]:
        """Weight (outputs, inputs) and bias of a 1x1 convolution."""
        return self.parameters[f"{layer}.weight"][:, :, 0, 0], self.parameters[f"{layer}.bias"]


def _corners() -> list[Pixels]:
    """Plain images in the extreme colours; photographs have none, and clipping would tint graphics."""
    colours = itertools.product((0, 255), repeat=3)
    return [np.full((64, 64, 3), colour, np.uint8) for colour in colours for _ in range(CORNER_RATES)]


def _observe(weights: Weights, recipe: Recipe, parts: Mapping[str, _Part], tiles: Iterable[Pixels]) -> None:
    """Code and decode every tile with the float networks, each at another rate."""
    observers = {weights.network(name): part.run for name, part in parts.items()}

    def engine(data: bytes, threads: int) -> Network:
        return observers.get(data) or OnnxNetwork(data, threads)

    codec = VAECodec(Host(weights, engine))
    for number, tile in enumerate(tiles):
        quality = number * QUALITY_STRIDE % 101 if recipe.variable_rate else None
        payload = codec.encode(Image.from_array(tile), EncodeOptions(quality, effort=FILTER_EFFORT - 1))
        codec.decode(payload, DecodeOptions())


def _block(
    graph: Graph, part: _Part, x: str, size: str, block: int, step: Floats, float_layers: tuple[str, ...] = ()
) -> str:
    """The sums x (1, h, w, width), in units of `step`, past one block; `size` holds h and w."""

    def dense(layer: str, x: str, zero: int, unit_in: Floats, unit_out: Floats) -> str:
        """Integers, or floats in the same units, to floats (1, h, w, c) in others."""
        weight, bias = part.dense(layer)
        weight, bias = weight * unit_in / unit_out[:, None], bias / unit_out
        if layer in float_layers:
            return graph.reshape(graph.dense(x, weight, bias), 1, size, len(weight))
        return graph.dense_int8(x, zero, weight, bias, part.moments(f"{layer}.in", unit_in))

    for branch in ("spatial", "mixer"):
        name = f"blocks.{block}.{branch}"
        first, last = f"{name}.0", f"{name}.3" if branch == "spatial" else f"{name}.2"
        unit, zero = fit(part.ranges(f"{first}.out"))
        hidden = x if first in float_layers else graph.quantise(x, MIDDLE)
        hidden = graph.op("LeakyRelu", dense(first, hidden, MIDDLE, step, unit), alpha=SLOPE)
        if last not in float_layers:
            hidden = graph.quantise(hidden, zero)
        if branch == "spatial":
            before, zero_before = unit, zero
            unit, zero = fit(part.ranges(f"{name}.2.out"))
            kernel = part.parameters[f"{name}.2.weight"] * (before / unit)[:, None, None, None]
            bias = part.parameters[f"{name}.2.bias"] / unit
            hidden = graph.depthwise_int8(hidden, zero_before, kernel, bias, zero)
        x = graph.op("Add", x, dense(last, hidden, zero, unit, step))
    return x


def _analysis(part: _Part, recipe: Recipe) -> bytes:
    """As `ShuffleAnalysis.forward`."""
    graph = Graph()
    width, parameters = recipe.width, part.parameters
    first, rest = part.step(range(1)), part.step(range(1, part.blocks))
    spread = parameters["spread"].reshape(-1)
    size = graph.op("Div", graph.height_width("x"), graph.constant([BLOCK, BLOCK], np.int64))
    height, row = (
        graph.op("Slice", size, graph.constant([axis], np.int64), graph.constant([axis + 1], np.int64))
        for axis in (0, 1)
    )
    x = graph.op("Sub", "x", graph.constant(0.5))
    x = graph.reshape(x, 3, height, BLOCK, row, BLOCK)
    x = graph.op("Transpose", x, perm=[1, 3, 0, 2, 4])
    weight, bias = part.dense("stem")
    unit = spread * first
    x = graph.reshape(graph.dense(x, weight / unit[:, None], bias / unit), 1, size, width)
    for block in range(part.blocks):
        x = _block(graph, part, x, size, block, first if block == 0 else rest)
        if block == 0:
            x = graph.op("Mul", x, _scale(graph, width, first / rest))
    x = graph.op("Transpose", x, perm=[0, 3, 1, 2])
    weight = parameters["stride.weight"] * (spread * rest)[:, None, None]
    x = graph.op(
        "Conv", x, graph.constant(weight), graph.constant(parameters["stride.bias"]), strides=[2, 2], pads=[1, 1, 1, 1]
    )
    return graph.build({"x": [1, 3, "h", "w"], "scale": [1, width, 1, 1]}, x, "y")


def _synthesis(part: _Part, recipe: Recipe) -> bytes:
    """As `ShuffleSynthesis.forward`."""
    graph = Graph()
    width, parameters = recipe.width, part.parameters
    last = part.blocks - 1
    first, rest = part.step(range(last)), part.step(range(last, part.blocks))
    # most of the error was theirs: of what goes into branches, and of the few samples that are far off
    sensitive = ("blocks.0.spatial.0", f"blocks.{last}.mixer.0", f"blocks.{last}.mixer.2")
    size = graph.multiplied(graph.height_width("y"), 2)
    rows = graph.op("Slice", size, graph.constant([0], np.int64), graph.constant([1], np.int64))
    weight, bias = part.dense("stride")
    weight = weight / parameters["latent_spread"].reshape(-1)
    # outputs ordered as PixelShuffle reads them, (width, 2, 2), become (2, 2, width)
    weight = (weight.reshape(width, 4, -1) / first[:, None, None]).swapaxes(0, 1).reshape(4 * width, -1)
    bias = (bias.reshape(width, 4) / first[:, None]).T.reshape(-1)
    x = graph.dense(graph.op("Transpose", "y", perm=[0, 2, 3, 1]), weight, bias)
    x = graph.reshape(x, graph.op("Div", rows, graph.constant([2], np.int64)), -1, 2, 2 * width)
    x = graph.reshape(graph.op("Transpose", x, perm=[0, 2, 1, 3]), 1, size, width)
    for block in range(part.blocks):
        if block == last:
            x = graph.op("Mul", x, _scale(graph, width, first / rest))
        x = _block(graph, part, x, size, block, rest if block == last else first, sensitive)
    weight, bias = part.dense("head.0")
    x = graph.dense(x, weight * (parameters["spread"].reshape(-1) * rest), bias + np.float32(0.5))
    x = graph.reshape(x, size, 3, BLOCK, BLOCK)
    x = graph.reshape(graph.op("Transpose", x, perm=[2, 0, 3, 1, 4]), 1, 3, graph.multiplied(size, BLOCK))
    return graph.build({"y": [1, recipe.latents, "h", "w"], "scale": [1, width, 1, 1]}, x, "x")


def _scale(graph: Graph, width: int, factor: Floats) -> str:
    """The rate's feature scales, and from the units before them to those behind."""
    return graph.op("Mul", graph.reshape("scale", 1, 1, 1, width), graph.constant(factor))
