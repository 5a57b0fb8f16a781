"""Entropy coding: integers and frequency tables to bytes and back, in a native kernel.

Names are imported when they are first used: training needs `units` alone, and no kernel.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checksum import crc32c
    from .coder import BitCounter, Coder, Decoder, Encoder
    from .mixture import Mixture
    from .tables import PRECISION, Tables

__all__ = ["PRECISION", "BitCounter", "Coder", "Decoder", "Encoder", "Mixture", "Tables", "crc32c"]

_HOMES = {"Mixture": "mixture", "PRECISION": "tables", "Tables": "tables", "crc32c": "checksum"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES.get(name, 'coder')}", __name__), name)
    globals()[name] = value
    return value
