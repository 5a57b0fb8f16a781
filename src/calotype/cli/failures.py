"""What is said when something goes wrong: one line on stderr, with the next step."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from pathlib import Path

from ..errors import CalotypeError

DEBUG = "CALOTYPE_DEBUG"  # set: tracebacks instead of lines

_EXTRAS = {
    "torch": "train",
    "onnx": "train",
    "onnxscript": "train",
    "safetensors": "train",
    "tomli_w": "train",
    "matplotlib": "bench",
    "plotly": "bench",
    "pyarrow": "bench",
    "scipy": "bench",
    "sklearn": "rdp",
}  # module -> extra


class OutputFailed(OSError):
    """Standard output takes no more: this ends the command, not one input only."""


def say(text: str) -> None:
    """Print a line for people."""
    if sys.stderr is not None:  # closed
        print(text, file=sys.stderr)


def fail(message: str) -> None:
    """Say what went wrong, in one line."""
    say(f"calotype: error: {one_line(message)}")


def one_line(text: str) -> str:
    """Text without its line breaks: messages have some, and so may names of files."""
    return " ".join(part.strip() for part in text.splitlines())


def flush_output() -> None:
    """Write what standard output still holds. Raises `OutputFailed`."""
    try:
        if sys.stdout is not None:  # closed
            sys.stdout.flush()
    except OSError as error:
        raise OutputFailed(error.errno, error.strerror) from None


def need(*modules: str) -> None:
    """Import what a command will need before it begins. Raises `ModuleNotFoundError`, see `explain`."""
    for module in modules:
        import_module(module)


def explain(error: Exception) -> str:
    """One line about an exception, with the next step where we know it."""
    if isinstance(error, CalotypeError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
        return f"{error.name} is not installed; run: pip install 'calotype[{_EXTRAS[error.name]}]'"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename:
        return f"{error.filename}: the disk of {_mount(Path(error.filename))} is full"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory; a smaller --max-pixels refuses such files"
    return f"{type(error).__name__}: {error} (this is a mistake in Calotype; {DEBUG}=1 shows where)"


def _mount(path: Path) -> Path:
    """Where the disk of a file is mounted."""
    return next(folder for folder in path.absolute().parents if os.path.ismount(folder))
