"""What libraries raise for odd files -> Calotype's errors, in one place.

Pillow, tifffile and imagecodecs raise what their code happens to raise: SyntaxError, KeyError, struct.error ...
Whatever it is, a file caused it, so it is about the file.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import CalotypeError, CalotypeWarning, CorruptFile, LimitExceeded, Unsupported

_LIMITS = ("too large", "Too much memory", "decompression bomb")  # Pillow's words where it has a limit of its own


def note(text: str) -> None:
    """Tell the user of something that is not as it was, where a viewer would do the same."""
    warnings.warn(CalotypeWarning(text), stacklevel=2)


@contextmanager
def about(name: str) -> Iterator[None]:
    """Errors name the file."""
    try:
        yield
    except (Unsupported, LimitExceeded, CorruptFile) as error:
        raise type(error)(f"{name}: {error}") from None


@contextmanager
def decoding() -> Iterator[None]:
    """Around calls of libraries that read a file: what they raise says that it is damaged."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        for warning in caught:  # of libraries: odd metadata, which is none of ours to judge
            if issubclass(warning.category, CalotypeWarning):
                warnings.warn(warning.message, stacklevel=3)
    except (CalotypeError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk, not of the file
        text = str(error) or type(error).__name__
        if type(error).__name__ == "DecompressionBombError" or any(words in text for words in _LIMITS):
            raise LimitExceeded(text) from None
        raise CorruptFile(f"damaged: {text}") from None


@contextmanager
def encoding(what: str) -> Iterator[None]:
    """Around calls of libraries that write a file: what they raise says that it cannot be written."""
    try:
        yield
    except (CalotypeError, MemoryError):
        raise
    except Exception as error:
        raise Unsupported(f"{what}: {error}") from None
