"""Logs of training runs, to be compared by their time, their loss and their curves on held-out tiles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import CalotypeError, Unsupported
from .bd import Curve, bd_rate

LOG = "log.jsonl"  # as `train.loop` writes it

Line = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class TrainingLog:
    """What a run wrote down."""

    name: str
    """Name of its folder."""
    steps: int
    minutes: float
    losses: Line = field(repr=False)
    """(minutes, loss of the batches since the point before)."""
    validations: Line = field(repr=False)
    """(minutes, loss on held-out tiles)."""
    curve: Curve
    """(bpp, PSNR in dB) on held-out tiles at the end; empty if the run did not get to measure it."""


def read_log(folder: Path) -> TrainingLog:
    """Read a run's log. Raises `CalotypeError` if there is none, or no step in it."""
    path = folder / LOG
    if not path.is_file():
        raise CalotypeError(f"{folder} holds no {LOG}; give the folder of a training run")
    entries = _entries(path.read_text(encoding="utf-8", errors="replace"))
    if not entries:
        raise CalotypeError(f"{path} tells of no step")
    curves = [entry["validation_curve"] for entry in entries if "validation_curve" in entry]
    return TrainingLog(
        folder.resolve().name,
        entries[-1]["step"],
        entries[-1]["elapsed"] / 60,
        _line(entries, "loss"),
        _line(entries, "validation_loss"),
        [(bpp, psnr) for bpp, psnr in curves[-1]] if curves else [],
    )


def _entries(text: str) -> list[dict[str, Any]]:
    """Lines in order. A kill may have cut one, and what came after the last saved state was done again."""
    entries: list[dict[str, Any]] = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and {"step", "elapsed"} <= entry.keys():
            while entries and _repeats(entry, entries[-1]):
                entries.pop()
            entries.append(entry)
    return entries


def _repeats(entry: dict[str, Any], before: dict[str, Any]) -> bool:
    return before["step"] > entry["step"] or (before["step"] == entry["step"] and before.keys() == entry.keys())


def _line(entries: list[dict[str, Any]], name: str) -> Line:
    return [(entry["elapsed"] / 60, entry[name]) for entry in entries if name in entry]


def table(logs: Sequence[TrainingLog]) -> str:
    """A row of text for each run; BD-rates are to the first, in percent of the bits at equal PSNR."""
    rows = [("run", "steps", "minutes", "held-out loss", "BD-rate")]
    for log in logs:
        loss = f"{log.validations[-1][1]:.4f}" if log.validations else "-"
        rows.append((log.name, str(log.steps), f"{log.minutes:.1f}", loss, _difference(log, logs[0])))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _difference(log: TrainingLog, first: TrainingLog) -> str:
    if log is first:
        return "0"
    if not (log.curve and first.curve):
        return "-"
    try:
        return f"{bd_rate(log.curve, first.curve):+.2f} %"
    except Unsupported:  # one point, as of a model of one rate, or curves far apart
        return "-"
