"""The machine that a measurement ran on, and the versions of what it ran."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path

from ... import __version__


def processor() -> str:
    """Name of the processor as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def versions() -> dict[str, str]:
    """Versions of Calotype and of what it runs on; rivals say theirs in the rows."""
    return {
        "calotype": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("numpy", "onnxruntime", "pillow")},
    }
