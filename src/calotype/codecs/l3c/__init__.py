"""Lossless coding with learned scales (Mentzer et al. 2019)."""

from ...codec import CodecInfo

INFO = CodecInfo("l3c", wire_version=2, lossless=True, depths=frozenset({8}), takes=frozenset({"region"}))
