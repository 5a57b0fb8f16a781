"""PyTorch as an engine: runs the exported ONNX graph operator by operator.

The second opinion that proves the first: integers of exact networks must come out equal. Needs the `train` extra.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.numpy_helper
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import Unsupported

Attributes = dict[str, Any]


def _padding(attributes: Attributes) -> Sequence[int]:
    pads = attributes.get("pads", [0, 0, 0, 0])
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET" or pads[:2] != pads[2:]:
        raise Unsupported(f"the torch engine takes symmetric explicit padding only, not {attributes}")
    return pads[:2]  # type: ignore[no-any-return]


def _conv(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    stride, group = attributes.get("strides", [1, 1]), attributes.get("group", 1)
    return F.conv2d(x, weight, bias, stride, _padding(attributes), attributes.get("dilations", [1, 1]), group)


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


OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Abs": lambda attributes, x: x.abs(),
    "Add": lambda attributes, a, b: a + b,
    "Clip": _clip,
    "Concat": lambda attributes, *xs: torch.cat(xs, attributes["axis"]),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _depth_to_space,
    "Div": _div,
    "Floor": lambda attributes, x: torch.floor(x),
    "LeakyRelu": lambda attributes, x: F.leaky_relu(x, attributes.get("alpha", 0.01)),
    "Log": lambda attributes, x: torch.log(x),
    "Mul": lambda attributes, a, b: a * b,
    "Neg": lambda attributes, x: -x,
    "Relu": lambda attributes, x: torch.relu(x),
    "Reshape": _reshape,
    "Shape": _shape,
    "Sign": lambda attributes, x: torch.sign(x),
    "Slice": _slice,
    "Sqrt": lambda attributes, x: torch.sqrt(x),
    "Sub": lambda attributes, a, b: a - b,
    "Transpose": lambda attributes, x: x.permute(attributes["perm"]),
}


class TorchNetwork:
    """One exported network on PyTorch; a drop-in for `runtime.onnx.OnnxNetwork`.

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
        self._nodes = graph.node
        self._outputs = [value.name for value in graph.output]
        self._constants = {
            value.name: torch.from_numpy(onnx.numpy_helper.to_array(value).copy()).to(self._device)
            for value in graph.initializer
        }

    def __call__(self, **inputs: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """Named inputs of shape (1, c, h, w) -> outputs in their exported order."""
        values: dict[str, Tensor] = dict(self._constants)
        values.update({name: torch.from_numpy(array).to(self._device) for name, array in inputs.items()})
        with torch.inference_mode():
            for node in self._nodes:
                attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
                arguments = [values[name] if name else None for name in node.input]
                values[node.output[0]] = OPERATORS[node.op_type](attributes, *arguments)
        return [values[name].cpu().numpy() for name in self._outputs]
