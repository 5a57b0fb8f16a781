"""Lossless coding that learns from each image anew; needs no weights."""

from ...codec import CodecInfo

INFO = CodecInfo(
    "prism",
    wire_version=2,
    lossless=True,
    depths=frozenset(range(1, 17)),
    takes=frozenset({"region"}),
    efforts=frozenset(range(1, 10)),
)
