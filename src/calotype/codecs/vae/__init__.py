"""Transform coding with a hyperprior: the family of `vae.swift`, the default."""

from ...codec import CodecInfo

INFO = CodecInfo(
    "vae",
    wire_version=2,
    lossless=False,
    depths=frozenset({8}),
    takes=frozenset({"quality", "region", "realism"}),
    takes_with=frozenset({"realism"}),
    efforts=frozenset(range(1, 10)),
)
