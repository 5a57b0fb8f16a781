"""Freeze trained modules into ONNX networks and read their parameters back; exact layers are proved on the way."""

from __future__ import annotations

import copy
import inspect
import logging
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .exact import ExactConv, FrozenExactConv
from .fixed_point import ACTIVATION_BITS, WEIGHT_BITS

OPSET = 18
SIGNIFICANT_BITS = 12  # as float16 has them, with the range of float32


def frozen(module: nn.Module) -> nn.Module:
    """A copy with every `ExactConv` turned into fixed integers. Raises `CalotypeError` where the proof fails."""
    if isinstance(module, ExactConv):
        return FrozenExactConv(module)
    module = copy.deepcopy(module).eval().requires_grad_(False)
    for name, child in module.named_children():
        setattr(module, name, frozen(child))
    return module


def shortened(module: nn.Module) -> nn.Module:
    """The module with float parameters rounded, in place, to `SIGNIFICANT_BITS`; their zero bits then compress away."""
    drop = 24 - SIGNIFICANT_BITS  # float32 has 24
    with torch.no_grad():
        for parameter in module.parameters():
            bits = parameter.view(torch.int32)
            bits.copy_((bits + (1 << (drop - 1))) >> drop << drop)
    return module


def to_onnx(module: nn.Module, inputs: Mapping[str, Tensor], outputs: list[str]) -> bytes:
    """Export a frozen module; heights and widths of the inputs that are above 1 stay free.

    Parameters
    ----------
    inputs
        Names, in the order of `forward`, and examples of shape (1, c, h, w). `forward` may end with `*rest`.
    """
    free: list[Any] = [
        {axis: torch.export.Dim.DYNAMIC for axis in (2, 3) if example.shape[axis] > 1} for example in inputs.values()
    ]
    *named, last = inspect.signature(module.forward).parameters.values()
    if last.kind is inspect.Parameter.VAR_POSITIONAL:
        free[len(named) :] = [tuple(free[len(named) :])]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.to(memory_format=torch.contiguous_format),  # type: ignore[call-overload]
            tuple(inputs.values()),
            dynamo=True,
            dynamic_shapes=tuple(free),
            input_names=list(inputs),
            output_names=outputs,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    return program.model_proto.SerializeToString()  # type: ignore[no-any-return]


def initializers(network: bytes) -> dict[str, Tensor]:
    """Parameters of an exported module by their names before `frozen`; integers of exact layers as real numbers."""
    import onnx
    import onnx.numpy_helper

    result = {}
    for value in onnx.load_from_string(network).graph.initializer:
        tensor = torch.from_numpy(onnx.numpy_helper.to_array(value).copy())
        name = value.name
        if name.endswith(".conv.weight"):
            name, tensor = name.replace(".conv.", "."), tensor / 2**WEIGHT_BITS
        elif name.endswith(".conv.bias"):
            name, tensor = name.replace(".conv.", "."), tensor / 2 ** (WEIGHT_BITS + ACTIVATION_BITS)
        result[name] = tensor
    return result
