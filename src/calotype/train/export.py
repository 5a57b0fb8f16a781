"""A training run becomes a weights file and its card."""

from __future__ import annotations

import io
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import tomli_w

from ..errors import CalotypeError
from ..runtime.weights import COMPANIONS, Weights, companion_path
from .protocol import codec_training
from .state import STATE, load_state


def export_run(folder: Path, out: Path) -> Path:
    """Freeze the averaged parameters of a run into `out/<recipe>.calow` with its card; returns that path.

    Results in a card that stands there already are dropped, they were measured on other weights; so are companions.
    A companion, such as a second synthesis, goes beside the weights in `out` that it belongs to and into their card.
    Raises `CalotypeError`.
    """
    state = load_state(folder / STATE)
    training, recipe = codec_training(state["model"])
    model = training.build(recipe)
    model.load_state_dict(state["average"])
    data = training.freeze(model)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{recipe}.calow"
    weights = Weights(data, str(path))
    archived = zipfile.is_zipfile(io.BytesIO(data))  # other codecs' weights may be any bytes
    if archived and weights.companion_of is not None:
        return _add_companion(weights, out, training_table(state))
    for kind in COMPANIONS:
        companion_path(path, kind).unlink(missing_ok=True)
    path.write_bytes(data)
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


def _add_companion(companion: Weights, folder: Path, training: dict[str, Any]) -> Path:
    """Write a companion beside its weights, and a table of its own into their card; returns its path."""
    for card_path in sorted(folder.glob("*.toml")):
        card = tomllib.loads(card_path.read_text(encoding="utf-8"))
        if card.get("digest") == companion.companion_of:
            path = companion_path(card_path.with_suffix(".calow"), companion.kind)
            path.write_bytes(companion.data)
            table = {"recipe": companion.recipe["name"], "bytes": len(companion.data), "training": training}
            card_path.write_text(tomli_w.dumps({**card, companion.kind: table}), encoding="utf-8")
            return path
    raise CalotypeError(
        f"the run is for the latents of weights {companion.companion_of}, and {folder} has no card of theirs; "
        "name the folder that holds them"
    )


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
