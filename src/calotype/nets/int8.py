"""Parts of int8 networks for ONNX Runtime: a graph builder, weights to integers, ranges of activations.

Integer activations are uint8 with scale 1: what a step stands for, channel by channel, is folded into the weights on
both sides. Weights are int8 within +-63, because processors without VNNI add pairs of products in 16 bits and would
saturate. Feature maps are channels-last, (1, h, w, c). The operators are those that ONNX Runtime makes of pairs of
QuantizeLinear and DequantizeLinear, written down directly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..runtime.onnx import load_onnxruntime
from .export import SIGNIFICANT_BITS
from .rounding import rounded_together

OPSET = 18
IR_VERSION = 9  # read by every ONNX Runtime since 1.16
WEIGHT_MAX = 63
ACTIVATION_MAX = 255
MIDDLE = 128  # zero of activations of either sign
ONNX_RUNTIME = "com.microsoft"  # domain of its own operators

Floats = npt.NDArray[np.float32]
Ranges = tuple[Floats, Floats]  # largest magnitude below and above zero, each (c,)


class Graph:
    """An ONNX graph in the making; operators return the name of their output."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: dict[str, npt.NDArray[Any]] = {}

    def constant(self, array: npt.ArrayLike, type: npt.DTypeLike = np.float32) -> str:
        name = f"constant_{len(self._constants)}"
        value = np.asarray(array, type)
        self._constants[name] = shortened(value) if value.dtype == np.float32 else value
        return name

    def op(self, type: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        name = f"{type}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(type, inputs, [name], name, domain=domain, **attributes))
        return name

    def reshape(self, x: str, *sizes: int | str) -> str:
        """Sizes are numbers or names of integer vectors."""
        parts = [self.constant([size], np.int64) if isinstance(size, int) else size for size in sizes]
        return self.op("Reshape", x, self.op("Concat", *parts, axis=0))

    def multiplied(self, sizes: str, factor: int) -> str:
        return self.op("Mul", sizes, self.constant([factor, factor], np.int64))

    def height_width(self, x: str) -> str:
        """Integer vector (2,) of a (1, c, h, w) tensor."""
        shape = self.op("Shape", x)
        return self.op("Slice", shape, self.constant([2], np.int64), self.constant([4], np.int64))

    def quantise(self, x: str, zero: int) -> str:
        return self.op("QuantizeLinear", x, self.constant(1.0), self.constant(zero, np.uint8))

    def dense(self, x: str, weight: Floats, bias: Floats) -> str:
        """Float features times (outputs, inputs), in float32 -> (h * w, outputs)."""
        rows = self.reshape(x, -1, weight.shape[1])
        return self.op("Gemm", rows, self.constant(weight), self.constant(bias), transB=1)

    def dense_int8(self, x: str, zero: int, weight: Floats, bias: Floats, moments: Floats | None = None) -> str:
        """Integer features times (outputs, inputs) -> float32; `moments` as for `to_int8`."""
        integers, scale = to_int8(weight, moments)
        return self.op(
            "MatMulIntegerToFloat",
            x,
            self.constant(integers.T, np.int8),
            self.constant(1.0),
            self.constant(scale),
            self.constant(zero, np.uint8),
            self.constant(np.zeros(len(scale)), np.int8),
            self.constant(bias),
            domain=ONNX_RUNTIME,
        )

    def depthwise_int8(self, x: str, zero: int, weight: Floats, bias: Floats, zero_out: int) -> str:
        """3x3 depthwise convolution (c, 1, 3, 3) of integer features -> integer features."""
        integers, scale = to_int8(weight)
        return self.op(
            "QLinearConv",
            x,
            self.constant(1.0),
            self.constant(zero, np.uint8),
            self.constant(integers, np.int8),
            self.constant(scale),
            self.constant(np.zeros(len(scale)), np.int8),
            self.constant(1.0),
            self.constant(zero_out, np.uint8),
            self.constant(np.rint(bias / scale), np.int32),
            domain=ONNX_RUNTIME,
            channels_last=1,
            group=len(weight),
            kernel_shape=[3, 3],
            pads=[1, 1, 1, 1],
        )

    def build(self, inputs: Mapping[str, Sequence[int | str]], output: str, name: str) -> bytes:
        """Serialise; `output` becomes the float output `name` of rank 4."""
        self._nodes.append(helper.make_node("Identity", [output], [name]))
        values = [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in inputs.items()]
        result = helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, None, None])
        constants = [numpy_helper.from_array(array, key) for key, array in self._constants.items()]
        graph = helper.make_graph(self._nodes, "int8", values, [result], constants)
        imports = [helper.make_opsetid("", OPSET), helper.make_opsetid(ONNX_RUNTIME, 1)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION)
        return model.SerializeToString()  # type: ignore[no-any-return]


def shortened(array: Floats) -> Floats:
    """Rounded to `SIGNIFICANT_BITS`, as `nets.export` does it; zero bits compress away."""
    drop = 24 - SIGNIFICANT_BITS  # float32 has 24
    bits = array.view(np.int32)
    return ((bits + (1 << (drop - 1))) >> drop << drop).view(np.float32)


def to_int8(weight: Floats, moments: Floats | None = None) -> tuple[npt.NDArray[np.int8], Floats]:
    """Weights (outputs, ...) -> integers and the scale of each output.

    Second moments (inputs, inputs) of what weights (outputs, inputs) are multiplied with make the error of the sums
    small, in place of that of each weight.
    """
    rows = weight.reshape(len(weight), -1)
    scale = np.maximum(np.abs(rows).max(1) / WEIGHT_MAX, np.finfo(np.float32).tiny).astype(np.float32)
    steps = rows / scale[:, None]
    integers = np.rint(steps) if moments is None else rounded_together(steps, moments, WEIGHT_MAX)
    return integers.reshape(weight.shape).astype(np.int8), scale


def fit(ranges: Ranges) -> tuple[Floats, int]:
    """The size of a step of each channel, and the zero that all share, which make the steps small."""
    below, above = (np.maximum(part, 1e-6) for part in ranges)
    steps = {zero: np.maximum(below / zero, above / (ACTIVATION_MAX - zero)) for zero in range(1, ACTIVATION_MAX)}
    zero = min(steps, key=lambda zero: float(np.square(steps[zero] / (below + above)).sum()))
    return steps[zero], zero


def fit_signed(ranges: Ranges) -> Floats:
    """The size of a step of each channel where the zero is `MIDDLE`."""
    return (np.maximum(np.maximum(*ranges), 1e-6) / (ACTIVATION_MAX - MIDDLE)).astype(np.float32)


class Observer:
    """Runs a float network; keeps the ranges of some of its tensors, channel by channel, and second moments of some.

    Of the runs after `never_clip`, a share `beyond` may have larger values in a channel than its range says.
    """

    def __init__(self, network: bytes, names: Iterable[str], inputs: Iterable[str] = (), beyond: float = 0) -> None:
        onnxruntime = load_onnxruntime()
        model = onnx.load_from_string(network)
        self._beyond = beyond
        self._outputs = [value.name for value in model.graph.output]
        self._inputs = frozenset(inputs)
        self._names = sorted({*names, *self._inputs} - set(self._outputs))
        model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self._names)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._seen: dict[str, list[Ranges]] = {name: [] for name in self._names}
        self._floor: dict[str, Ranges] = {}
        self._moments: dict[str, Floats] = {}

    def __call__(self, **inputs: Floats) -> list[Floats]:
        """Run once, as `runtime.engine.Network` does."""
        values = self._session.run(self._outputs + self._names, inputs)
        for name, value in zip(self._names, values[len(self._outputs) :], strict=True):
            axes = (0, 2, 3)
            self._seen[name].append((np.maximum(-value.min(axes), 0), np.maximum(value.max(axes), 0)))
            if name in self._inputs:
                columns = value[0].reshape(value.shape[1], -1)
                self._moments[name] = self._moments.get(name, 0) + columns @ columns.T / np.float32(columns.shape[1])
        return values[: len(self._outputs)]  # type: ignore[no-any-return]

    def never_clip(self) -> None:
        """Ranges will hold all of what was seen so far, and moments nothing of it."""
        self._moments = {}
        self._floor = {name: _reduce(np.max, seen) for name, seen in self._seen.items()}
        self._seen = {name: [] for name in self._names}

    def ranges(self, name: str) -> Ranges:
        """What all runs but the most extreme stay within, channel by channel, and `never_clip`'s."""
        below, above = _reduce(lambda part, axis: np.quantile(part, 1 - self._beyond, axis), self._seen[name])
        floor = self._floor.get(name, (below, above))
        return np.maximum(below, floor[0]), np.maximum(above, floor[1])

    def moments(self, name: str) -> Floats | None:
        """Second moments (c, c) of a tensor's channels, up to a factor, if they are kept."""
        return self._moments.get(name)


def _reduce(reduce: Callable[[Any, int], Any], seen: list[Ranges]) -> Ranges:
    below, above = (reduce(np.array(part), 0).astype(np.float32) for part in zip(*seen, strict=True))
    return below, above
