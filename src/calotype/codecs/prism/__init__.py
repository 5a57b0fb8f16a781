"""Lossless coding, or with a bound on the error, that learns from each image anew; needs no weights."""

from ...codec import CodecInfo

INFO = CodecInfo(
    "prism",
    wire_version=3,
    lossless=True,
    depths=frozenset(range(1, 17)),
    takes=frozenset({"region", "max_error"}),
    efforts=frozenset(range(1, 10)),
)
