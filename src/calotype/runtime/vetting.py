"""What a serialised network may hold: arithmetic on its inputs and on numbers that stand in it, nothing else.

Weights files come from anywhere, and ONNX models can name other files as data, hold loops, and call functions. This
reads as much of the protocol buffers as it takes to see that a network does none of it, before an engine gets it. The
numbers of fields are those of `onnx.proto` (ONNX IR version 10).
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import CorruptFile

# Outputs of these are no larger than inputs, weights or attributes call for.
_STANDARD = """
    Abs Add AveragePool BatchNormalization Cast Ceil Clip Concat Constant Conv ConvTranspose DepthToSpace
    DequantizeLinear Div Einsum Elu Erf Exp Flatten Floor GRU Gather Gelu Gemm GlobalAveragePool HardSigmoid
    HardSwish Identity InstanceNormalization LSTM LayerNormalization LeakyRelu Log MatMul MatMulInteger Max
    MaxPool Min Mod Mul Neg PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear ReduceMax ReduceMean ReduceMin
    ReduceSum Relu Reshape Round Shape Sigmoid Sign Slice Softmax Softplus SpaceToDepth Split Sqrt Squeeze Sub Sum
    Tanh Transpose Unsqueeze Where
"""
# Of ONNX Runtime, for int8.
_CONTRIBUTED = "MatMulIntegerToFloat QLinearConv QLinearAdd QLinearMul QLinearSigmoid"
OPERATORS = {
    domain: frozenset(names.split())
    for domain, names in (("", _STANDARD), ("ai.onnx", _STANDARD), ("com.microsoft", _CONTRIBUTED))
}

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # ways to write a field

Value = int | range  # a number, or the bytes of text, a message and others


def check_network(data: bytes, name: str) -> None:
    """Raise `CorruptFile` if a serialised ONNX model is damaged, or holds what no codec's network needs."""
    try:
        _check_model(data, range(len(data)))
    except ValueError as error:
        raise CorruptFile(f"{name} is not a network that is run: {error}") from None


def _check_model(data: bytes, model: range) -> None:
    graphs = 0
    for field, value in _fields(data, model):
        if field == 7:
            _check_graph(data, _span(value))
            graphs += 1
        elif field in (20, 25):  # training_info, functions
            raise ValueError("it holds more than one graph")
    if graphs != 1:
        raise ValueError(f"it holds {graphs} graphs")


def _check_graph(data: bytes, graph: range) -> None:
    for field, value in _fields(data, graph):
        if field == 1:
            _check_node(data, _span(value))
        elif field == 5:
            _check_tensor(data, _span(value))
        elif field == 15:
            raise ValueError("it has sparse weights")


def _check_node(data: bytes, node: range) -> None:
    kind = domain = ""
    for field, value in _fields(data, node):
        if field == 4:
            kind = _text(data, value)
        elif field == 7:
            domain = _text(data, value)
        elif field == 5:
            _check_attribute(data, _span(value))
    if kind not in OPERATORS.get(domain, ()):
        raise ValueError(f"the operator {domain + '.' if domain else ''}{kind} is none of those that it may have")


def _check_attribute(data: bytes, attribute: range) -> None:
    for field, value in _fields(data, attribute):
        if field in (5, 10):
            _check_tensor(data, _span(value))
        elif field in (6, 11, 21, 22, 23):  # graphs, what belongs to functions, sparse tensors
            raise ValueError("an attribute is more than numbers")


def _check_tensor(data: bytes, tensor: range) -> None:
    for field, value in _fields(data, tensor):
        if field == 13 or (field == 14 and value != 0):  # external_data, data_location
            raise ValueError("weights lie in another file")


# --- protocol buffers -------------------------------------------------------------------------------------------------


def _fields(data: bytes, message: range) -> Iterator[tuple[int, Value]]:
    """Numbers and values of a message's fields. Raises `ValueError` where it is damaged."""
    position, end = message.start, message.stop
    while position < end:
        key, position = _varint(data, position, end)
        if key >> 32:  # engines read 32 bits of it
            raise ValueError("a field's number is too large")
        way = key & 7
        if way == _VARINT:
            number, position = _varint(data, position, end)
            yield key >> 3, number
            continue
        if way == _BYTES:
            size, position = _varint(data, position, end)
        elif way in (_FIXED64, _FIXED32):
            size = 8 if way == _FIXED64 else 4
        else:
            raise ValueError(f"a field is written in the way {way}")
        if size > end - position:
            raise ValueError("it is cut off")
        yield key >> 3, range(position, position + size)
        position += size


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """A number and where it ends."""
    value = shift = 0
    while position < end and shift < 70:
        byte = data[position]
        position += 1
        if byte < 0x80:
            return value | byte << shift, position
        value |= (byte & 0x7F) << shift
        shift += 7
    raise ValueError("a number has no end")


def _span(value: Value) -> range:
    if isinstance(value, int):
        raise ValueError("a number stands where more should be")
    return value


def _text(data: bytes, value: Value) -> str:
    span = _span(value)
    return data[span.start : span.stop].decode()  # UnicodeDecodeError is a ValueError
