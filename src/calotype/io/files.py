"""Writing files whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def write_bytes(path: str | os.PathLike[str], data: bytes, overwrite: bool = True) -> None:
    """Write a file whole or not at all: aside in the same folder, then renamed.

    Raises
    ------
    FileExistsError
        The file exists and `overwrite` is false.
    """
    with written_aside(path, overwrite) as aside:
        aside.write(data)


@contextlib.contextmanager
def written_aside(path: str | os.PathLike[str], overwrite: bool = True) -> Iterator[IO[bytes]]:
    """Open a file that takes its name only when the block ends without an exception."""
    path = Path(path)
    if path.exists() and not path.is_file():  # a device, a pipe: nothing to protect, nothing to rename
        with open(path, "wb") as direct:
            yield direct
        return
    path = Path(os.path.realpath(path))  # through a link, as writing in place would
    try:
        number, aside = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
    except OSError as error:
        error.filename = str(path)  # the name that a user knows
        raise
    try:
        with open(number, "wb") as opened:
            yield opened
        os.chmod(aside, _permissions(path))
        _rename(aside, path, overwrite)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(aside)


_UMASK = threading.Lock()  # another thread must not take the mask of this moment for the process's own


def _permissions(path: Path) -> int:
    """Those of the file that is replaced, or what a new file would get."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        with _UMASK:
            mask = os.umask(0o077)  # the only way to read it; put back at once
            os.umask(mask)
        return 0o666 & ~mask


def _rename(aside: str, path: Path, overwrite: bool) -> None:
    if overwrite:
        os.replace(aside, path)
        return
    try:
        os.link(aside, path)  # unlike a rename, fails if the name is taken meanwhile
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError(f"{path} exists") from None
        os.replace(aside, path)
