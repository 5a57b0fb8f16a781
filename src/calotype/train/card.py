"""The card beside a weights file: what it is, how it was trained, what it measured."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import tomli_w

Card = dict[str, Any]


def read_card(path: Path) -> Card:
    """An empty card where there is none."""
    return tomllib.loads(path.read_text()) if path.exists() else {}


def write_card(path: Path, card: Card) -> None:
    """Tables last, as TOML needs it."""
    path.write_text(tomli_w.dumps(card))
