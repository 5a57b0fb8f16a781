"""Recurrent, progressive coding: each iteration adds bits, and any number of the first ones decode."""

from ...codec import CodecInfo

INFO = CodecInfo(
    "rnn",
    wire_version=1,
    lossless=False,
    depths=frozenset({8}),
    takes=frozenset({"quality", "region"}),
    layered=True,
)
