"""Measured results in the card beside a weights file."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

from ...errors import CalotypeError
from .summary import ImageSet

_METRICS = {"psnr": 4, "ms_ssim": 5}  # digits after the point


def results_table(measured: ImageSet, model: str) -> dict[str, Any]:
    """A card's `[results.<set>]` of one model: columns as lists, BD-rates in percent by anchor."""
    points = measured.series[model].points
    table: dict[str, Any] = {
        "images": len(measured.images),
        "quality": [point.quality for point in points],
        "bpp": [round(point.bpp, 5) for point in points],
    }
    for name, digits in _METRICS.items():
        values = [point.metrics.get(name, math.nan) for point in points]
        if all(map(math.isfinite, values)):
            table[name] = [round(value, digits) for value in values]
    table["bd_rate_percent"] = {found.anchor: round(found.rate, 2) for found in measured.differences(model)}
    return table


def update_card(path: Path, measured: ImageSet, model: str) -> None:
    """Write a model's results into its card.

    Raises
    ------
    CalotypeError
        The card is of other weights than were measured.
    """
    import tomli_w

    card = tomllib.loads(path.read_text(encoding="utf-8"))
    digest = measured.series[model].digest
    if card.get("digest") != digest:
        raise CalotypeError(f"{path} is the card of {card.get('digest')}, measured was {digest}; measure again")
    card.setdefault("results", {})[measured.name] = results_table(measured, model)
    path.write_text(tomli_w.dumps(card), encoding="utf-8")
