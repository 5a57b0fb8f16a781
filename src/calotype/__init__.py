"""Calotype: learned image compression with real files.

    import calotype

    data = calotype.encode(pixels, quality=60)  # a uint8 array, `Image` or Pillow image -> bytes of a file
    pixels = calotype.decode(data)

Everything here is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import (
        FileInfo,
        Model,
        decode,
        decode_batch,
        decode_image,
        decode_progressive,
        encode,
        encode_batch,
        info,
        list_models,
        load,
        read,
        write,
    )
    from .errors import (
        BatchFailed,
        BoundExceeded,
        CalotypeError,
        CorruptFile,
        Desync,
        LimitExceeded,
        PartialFile,
        TruncatedFile,
        Unsupported,
        UnsupportedFile,
        WeightsNotFound,
    )
    from .image import Image, Metadata
    from .options import Region
    from .registry import ModelInfo

__version__ = "0.1.0"

__all__ = [
    "BatchFailed",
    "BoundExceeded",
    "CalotypeError",
    "CorruptFile",
    "Desync",
    "FileInfo",
    "Image",
    "LimitExceeded",
    "Metadata",
    "Model",
    "ModelInfo",
    "PartialFile",
    "Region",
    "TruncatedFile",
    "Unsupported",
    "UnsupportedFile",
    "WeightsNotFound",
    "decode",
    "decode_batch",
    "decode_image",
    "decode_progressive",
    "encode",
    "encode_batch",
    "info",
    "list_models",
    "load",
    "read",
    "write",
]

_HOMES = {"Image": "image", "Metadata": "image", "Region": "options", "ModelInfo": "registry"}
_ERRORS = {
    "BatchFailed",
    "BoundExceeded",
    "CalotypeError",
    "CorruptFile",
    "Desync",
    "LimitExceeded",
    "PartialFile",
    "TruncatedFile",
    "Unsupported",
    "UnsupportedFile",
    "WeightsNotFound",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "errors" if name in _ERRORS else _HOMES.get(name, "api")
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
