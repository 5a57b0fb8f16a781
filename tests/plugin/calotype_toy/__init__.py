"""`toy`: high bits, then low bits. A whole codec in one folder: two layers, a kernel in C, no weights."""

from calotype.codec import CodecInfo

INFO = CodecInfo(
    "toy",
    wire_version=1,
    lossless=True,
    depths=frozenset(range(2, 17)),
    views=frozenset({0, 1, 2}),
    layered=True,
)
