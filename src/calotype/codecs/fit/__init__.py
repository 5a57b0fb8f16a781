"""A picture as latent grids and small networks that were fitted to it alone; needs no weights."""

from ...codec import CodecInfo

INFO = CodecInfo(
    "fit",
    wire_version=1,
    lossless=False,
    depths=frozenset(range(8, 17)),
    takes=frozenset({"quality", "region", "seconds", "tune"}),
    efforts=frozenset(range(1, 10)),
)
