"""Measured results into the card beside a weights file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CalotypeError
from .results import Results

_COLUMNS = ("quality", "bpp", "psnr", "ms_ssim")


def results_table(results: Results, model: str) -> dict[str, Any]:
    """A card's `[results.<set>]` of one model: columns as lists, BD-rates in percent by anchor."""
    entry = results["models"][model]
    columns = {
        key: [point[key] for point in entry["points"]]
        for key in _COLUMNS
        if all(key in point for point in entry["points"])
    }
    return {
        **columns,
        "decode_megapixels_per_second": entry["speed"]["decode_megapixels_per_second"],
        "bd_rate_percent": {name: difference["rate_percent"] for name, difference in entry["bd"].items()},
    }


def update_card(path: Path, results: Results, model: str) -> None:
    """Write a model's results into its card.

    Raises
    ------
    CalotypeError
        The card is of other weights than were measured.
    """
    import tomli_w

    card = tomllib.loads(path.read_text(encoding="utf-8"))
    measured: Mapping[str, Any] = results["models"][model]
    if card.get("digest") != measured["digest"]:
        raise CalotypeError(
            f"{path} is the card of {card.get('digest')}, measured was {measured['digest']}; measure again"
        )
    card.setdefault("results", {})[results["set"]["name"]] = results_table(results, model)
    path.write_text(tomli_w.dumps(card), encoding="utf-8")
