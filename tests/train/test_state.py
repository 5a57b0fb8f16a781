"""Saved states, whole and in pieces."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from calotype.errors import CalotypeError
from calotype.train.state import STATE, has_state, load_state, save_state, split_state


def test_states_travel_in_pieces(tmp_path: Path) -> None:
    state = {"parameters": {"w": torch.arange(10_000.0)}, "step": 3}
    save_state(tmp_path / STATE, state)
    pieces = split_state(tmp_path / STATE, tmp_path / "pieces", 15_000)
    assert len(pieces) == 3
    assert all(piece.stat().st_size <= 15_000 for piece in pieces)
    assert has_state(tmp_path / "pieces")
    again = load_state(tmp_path / "pieces" / STATE)
    assert again["step"] == 3
    torch.testing.assert_close(again["parameters"], state["parameters"])
    assert len(split_state(tmp_path / STATE, tmp_path / "pieces", 30_000)) == 2  # and no old piece is left
    assert load_state(tmp_path / "pieces" / STATE)["step"] == 3
    pieces[1].unlink()
    with pytest.raises(CalotypeError, match="not a saved training state"):
        load_state(tmp_path / "pieces" / STATE)
    assert not has_state(tmp_path / "nothing")
