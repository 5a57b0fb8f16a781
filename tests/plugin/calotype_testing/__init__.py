"""A codec of a third party that tests run: see `codec.py`."""

from calotype.codec import CodecInfo

INFO = CodecInfo(
    "deflate",
    wire_version=3,
    lossless=False,
    depths=frozenset({8, 16}),
    views=frozenset({0, 1}),
    takes=frozenset({"quality", "max_error"}),
)
