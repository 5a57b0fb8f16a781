"""A training run becomes a weights file and its card."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from ..runtime.weights import Weights, companion_path
from .protocol import codec_training
from .state import STATE, load_state


def export_run(folder: Path, out: Path) -> Path:
    """Freeze the averaged parameters of a run into `out/<recipe>.calow` with its card; returns that path.

    Results in a card that stands there already are dropped, they were measured on other weights; so are int8 networks.
    Raises `CalotypeError`.
    """
    state = load_state(folder / STATE)
    training, recipe = codec_training(state["model"])
    model = training.build(recipe)
    model.load_state_dict(state["average"])
    data = training.freeze(model)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{recipe}.calow"
    companion_path(path).unlink(missing_ok=True)
    path.write_bytes(data)
    weights = Weights(data, str(path))
    card_path = path.with_suffix(".toml")
    before = tomllib.loads(card_path.read_text(encoding="utf-8")) if card_path.exists() else {}
    card = {
        "name": state["model"],
        "digest": weights.digest.hex(),
        "description": before.get("description") or weights.recipe["source"],
        "default": before.get("default", False),
        "bytes": len(data),
        "training": training_table(state),
    }
    card_path.write_text(tomli_w.dumps(card), encoding="utf-8")
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
