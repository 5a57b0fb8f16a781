"""A training run becomes a weights file and its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..runtime.weights import Weights
from .card import read_card, write_card
from .loop import STATE, codec_training, load_state


def export_run(folder: Path, out: Path) -> Path:
    """Freeze the averaged parameters of a run into `out/<recipe>.calow` with its card; returns that path.

    Results in a card that stands there already are dropped: they were measured on other weights.
    Raises `CalotypeError`.
    """
    state = load_state(folder / STATE)
    training, recipe = codec_training(state["model"])
    model = training.build(recipe)
    model.load_state_dict(state["average"])
    data = training.freeze(model)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{recipe}.calow"
    path.write_bytes(data)
    weights = Weights(data, str(path))
    before = read_card(path.with_suffix(".toml"))
    card = {
        "name": state["model"],
        "digest": weights.digest.hex(),
        "description": before.get("description", weights.recipe["source"]),
        "default": before.get("default", False),
        "bytes": len(data),
        "training": training_table(state),
    }
    write_card(path.with_suffix(".toml"), card)
    return path


def training_table(state: dict[str, Any]) -> dict[str, Any]:
    """The card's `[training]` table of a run's saved state."""
    return {
        "tiles": state["tiles"],
        "steps": state["step"],
        "seconds": round(state["elapsed"]),
        "device": state["device"],
        "skipped_steps": state["skipped"],
        **{f"schedule_{key}": value for key, value in state["schedule"].items()},
    }
