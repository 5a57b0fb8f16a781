"""Two layers: a lossy picture, then what bounds the error of every sample (after Bai et al. 2021)."""

from ...codec import CodecInfo

INFO = CodecInfo(
    "nearlossless",
    wire_version=1,
    lossless=True,
    depths=frozenset({8}),
    takes=frozenset({"region", "max_error"}),
    has_base=True,
)
