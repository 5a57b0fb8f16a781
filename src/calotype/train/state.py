"""What a run keeps on disk: everything that is needed to go on, whole or in pieces that travel."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import torch

from ..errors import CalotypeError

STATE = "state.pt"
PIECE_BYTES = 15 << 20  # of a piece


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write aside, then rename: a kill leaves the state before."""
    aside = path.with_suffix(".tmp")
    torch.save(state, aside)
    os.replace(aside, path)


def load_state(path: Path) -> dict[str, Any]:
    """What `save_state` wrote, or the pieces of it in the same folder. Raises `CalotypeError`."""
    pieces = _pieces(path)
    source = path if path.exists() or not pieces else io.BytesIO(b"".join(piece.read_bytes() for piece in pieces))
    try:
        return torch.load(source, map_location="cpu", weights_only=True)  # type: ignore[no-any-return]
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise CalotypeError(f"{path} is not a saved training state: {error}") from None


def has_state(folder: Path) -> bool:
    """Whether a run was saved there."""
    return (folder / STATE).exists() or bool(_pieces(folder / STATE))


def split_state(path: Path, folder: Path, piece_bytes: int = PIECE_BYTES) -> list[Path]:
    """Copy a saved state as `state.pt.00`, `state.pt.01`, ... of so many bytes at most; returns them."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in _pieces(folder / path.name):
        old.unlink()
    data = path.read_bytes()
    pieces = []
    for number, start in enumerate(range(0, len(data), piece_bytes)):
        piece = folder / f"{path.name}.{number:02}"
        piece.write_bytes(data[start : start + piece_bytes])
        pieces.append(piece)
    return pieces


def _pieces(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.[0-9][0-9]"))
