"""PyTorch as an engine: runs the exported ONNX graph operator by operator.

The engine for GPUs, and the second opinion that proves the first: integers of exact networks come out equal on every
device and engine. Needs PyTorch and onnx, the extra `gpu`.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import onnx.numpy_helper
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import CalotypeError, Unsupported

Attributes = dict[str, Any]


def _padding(attributes: Attributes) -> Sequence[int]:
    pads = attributes.get("pads", [0, 0, 0, 0])
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET" or pads[:2] != pads[2:]:
        raise Unsupported(f"the torch engine takes symmetric explicit padding only, not {attributes}")
    return pads[:2]  # type: ignore[no-any-return]


def _conv(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    stride, group = attributes.get("strides", [1, 1]), attributes.get("group", 1)
    return F.conv2d(x, weight, bias, stride, _padding(attributes), attributes.get("dilations", [1, 1]), group)


def _exact_conv(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolution of whole numbers: the same ones whatever the device, its libraries and the process's settings are.

    Convolution libraries may choose Winograd's method or FFT, and float32 products may run in TF32 or bfloat16. A
    matrix product in float64 does none of that, and its sums, below 2^24, are exact in any order.
    """
    group, kernel = attributes.get("group", 1), tuple(weight.shape[2:])
    stride, dilation = tuple(attributes.get("strides", [1, 1])), tuple(attributes.get("dilations", [1, 1]))
    padding = tuple(_padding(attributes))
    height, width = (
        (size + 2 * pad - step * (reach - 1) - 1) // jump + 1
        for size, pad, step, reach, jump in zip(x.shape[2:], padding, dilation, kernel, stride, strict=True)
    )
    windows = F.unfold(x.double(), kernel, dilation, padding, stride)  # (b, channels * taps, positions)
    windows = windows.reshape(len(x), group, -1, height * width)
    total = weight.double().reshape(group, len(weight) // group, -1) @ windows
    total = total.reshape(len(x), len(weight), height, width)
    return (total if bias is None else total + bias[:, None, None]).float()


def _conv_transpose(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    stride, extra = attributes.get("strides", [1, 1]), attributes.get("output_padding", [0, 0])
    return F.conv_transpose2d(x, weight, bias, stride, _padding(attributes), extra, attributes.get("group", 1))


def _depth_to_space(attributes: Attributes, x: Tensor) -> Tensor:
    if attributes.get("mode", b"DCR") != b"CRD":
        raise Unsupported("the torch engine takes DepthToSpace in mode CRD only")
    return F.pixel_shuffle(x, attributes["blocksize"])


def _clip(attributes: Attributes, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    return torch.clamp(x, low, high)


def _div(attributes: Attributes, a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _layer_norm(attributes: Attributes, x: Tensor, factor: Tensor, shift: Tensor | None = None) -> Tensor:
    return F.layer_norm(x, factor.shape, factor, shift, attributes.get("epsilon", 1e-5))


def _pad(attributes: Attributes, x: Tensor, pads: Tensor) -> Tensor:
    if attributes.get("mode") != b"edge":
        raise Unsupported("the torch engine takes Pad in mode edge only")
    (top, left), (bottom, right) = pads.tolist()[2:4], pads.tolist()[6:]
    return F.pad(x, (left, right, top, bottom), "replicate")


def _reshape(attributes: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape.tolist())]
    return x.reshape(sizes)


def _shape(attributes: Attributes, x: Tensor) -> Tensor:
    return torch.tensor(x.shape[attributes.get("start", 0) : attributes.get("end")])


def _slice(attributes: Attributes, x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor, steps: Tensor) -> Tensor:
    places = [slice(None)] * x.dim()
    for axis, *place in zip(*(part.tolist() for part in (axes, starts, ends, steps)), strict=True):
        places[axis] = slice(*place)
    return x[tuple(places)]


_TYPES = {onnx.TensorProto.FLOAT: torch.float32, onnx.TensorProto.INT64: torch.int64}


def _cast(attributes: Attributes, x: Tensor) -> Tensor:
    if attributes["to"] not in _TYPES:
        raise Unsupported("the torch engine takes Cast to float and int64 only")
    return x.to(_TYPES[attributes["to"]])


def _gather(attributes: Attributes, x: Tensor, places: Tensor) -> Tensor:
    if attributes.get("axis", 0) != 0:
        raise Unsupported("the torch engine takes Gather along the first axis only")
    return x[places]


def _squeeze(attributes: Attributes, x: Tensor, axes: Tensor) -> Tensor:
    return x.squeeze(tuple(axes.tolist()))


def _unsqueeze(attributes: Attributes, x: Tensor, axes: Tensor) -> Tensor:
    rank = x.dim() + axes.numel()
    for axis in sorted(axis % rank for axis in axes.tolist()):
        x = x.unsqueeze(axis)
    return x


OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Abs": lambda attributes, x: x.abs(),
    "Add": lambda attributes, a, b: a + b,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": lambda attributes, *xs: torch.cat(xs, attributes["axis"]),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _depth_to_space,
    "Div": _div,
    "Exp": lambda attributes, x: torch.exp(x),
    "Floor": lambda attributes, x: torch.floor(x),
    "Gather": _gather,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": lambda attributes, x: F.leaky_relu(x, attributes.get("alpha", 0.01)),
    "Log": lambda attributes, x: torch.log(x),
    "Max": lambda attributes, *xs: functools.reduce(torch.maximum, xs),
    "Mul": lambda attributes, a, b: a * b,
    "Neg": lambda attributes, x: -x,
    "Pad": _pad,
    "Relu": lambda attributes, x: torch.relu(x),
    "Reshape": _reshape,
    "Shape": _shape,
    "Sigmoid": lambda attributes, x: torch.sigmoid(x),
    "Sign": lambda attributes, x: torch.sign(x),
    "Slice": _slice,
    "Sqrt": lambda attributes, x: torch.sqrt(x),
    "Squeeze": _squeeze,
    "Sub": lambda attributes, a, b: a - b,
    "Tanh": lambda attributes, x: torch.tanh(x),
    "Transpose": lambda attributes, x: x.permute(attributes["perm"]),
    "Unsqueeze": _unsqueeze,
}


class _Step(NamedTuple):
    """One node of the graph, ready to run."""

    operator: Callable[..., Tensor]
    attributes: Attributes
    inputs: list[str]
    """Names of values; an empty one is an input that is left out."""
    output: str
    last_used: list[str]
    """Values that no later step needs."""


_GLOBAL_FLAGS = threading.Lock()  # cuDNN's settings are those of the process: set, used and put back one at a time


class TorchNetwork:
    """One exported network on PyTorch; a drop-in for `runtime.onnx.OnnxNetwork`.

    `device` is as `find_device` returns it. Float convolutions run in float32 without TF32, those of whole numbers by
    `_exact_conv`. PyTorch's number of processor threads is the process's, so `threads` changes nothing here.

    Raises
    ------
    Unsupported
        The graph uses an operator that is not in `OPERATORS`.
    """

    def __init__(self, data: bytes, threads: int = 0, device: str = "cpu") -> None:
        graph = onnx.load_from_string(data).graph
        if unknown := sorted({node.op_type for node in graph.node} - OPERATORS.keys()):
            raise Unsupported(f"the torch engine has no operator {', '.join(unknown)}")
        self._device = torch.device(device)
        self._outputs = [value.name for value in graph.output]
        constants = {
            value.name: torch.from_numpy(onnx.numpy_helper.to_array(value).copy()) for value in graph.initializer
        }
        self._steps = _steps(graph, constants, {*self._outputs, *constants})
        # shapes are worked out on the processor, where they are wanted
        self._constants = {
            name: value.to(self._device) if value.is_floating_point() else value for name, value in constants.items()
        }

    def __call__(self, **inputs: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """Named inputs of shape (1, c, h, w) -> outputs in their exported order. `CalotypeError` if memory is full."""
        try:
            return self._compute(inputs)
        except torch.OutOfMemoryError:
            raise CalotypeError(
                f"the memory of {self._device} is full; have fewer images in work at a time (threads, --jobs)"
            ) from None

    def _compute(self, inputs: dict[str, npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
        with torch.inference_mode():
            given = {name: torch.from_numpy(array).to(self._device) for name, array in inputs.items()}
            if self._device.type == "cpu":
                outputs = self._run(given)
            else:
                with _GLOBAL_FLAGS, torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
                    outputs = self._run(given)
            return [output.cpu().numpy() for output in outputs]

    def _run(self, inputs: dict[str, Tensor]) -> list[Tensor]:
        values = self._constants | inputs
        for step in self._steps:
            arguments = [values[name] if name else None for name in step.inputs]
            values[step.output] = step.operator(step.attributes, *arguments)
            for name in step.last_used:
                del values[name]
        return [values[name] for name in self._outputs]


def _steps(graph: Any, constants: dict[str, Tensor], kept: set[str]) -> list[_Step]:
    """The nodes in their order; `kept` names values that stay to the end."""
    steps: list[_Step] = []
    seen = set(kept)
    for node in reversed(graph.node):
        names = list(node.input)
        last_used = sorted({name for name in names if name} - seen)
        seen.update(names)
        exact = node.op_type == "Conv" and all(_is_whole(constants.get(name)) for name in names[1:])
        operator = _exact_conv if exact else OPERATORS[node.op_type]
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        steps.append(_Step(operator, attributes, names, node.output[0], last_used))
    return steps[::-1]


def _is_whole(constant: Tensor | None) -> bool:
    """Whether these are the integers of an exact layer."""
    return constant is not None and bool((constant == constant.round()).all())


def find_device(name: str) -> str:
    """The full name of a device, as `cuda:0` for `cuda`.

    Raises
    ------
    Unsupported
        It is no device that networks can run on, or not there.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise Unsupported(f"{name!r} is not a device; possible: cpu, cuda, cuda:1 and so on") from None
    if device.type == "cpu":
        return "cpu"
    if device.type != "cuda":
        raise Unsupported(f"networks run on cpu and cuda devices, not on {name!r}")
    if not torch.cuda.is_available():
        raise Unsupported(
            f"no device {name!r}: PyTorch {torch.__version__} finds no CUDA GPU; install the build of PyTorch for it "
            "(pytorch.org says which), or leave out the device"
        )
    index = device.index
    if name == "cuda":  # asking would make a context on the GPU, which a parent of processes has no use for
        index = torch.cuda.current_device() if torch.cuda.is_initialized() else 0  # type: ignore[no-untyped-call]
    if index >= torch.cuda.device_count():
        raise Unsupported(f"no device {name!r}: the last one is cuda:{torch.cuda.device_count() - 1}")
    return f"cuda:{index}"
