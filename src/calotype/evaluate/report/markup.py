"""Pieces of HTML; all text that goes into them is escaped."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from importlib.resources import files


def section(name: str, title: str, body: str) -> str:
    return f'<section id="{text(name)}"><h2>{text(title)}</h2>{body}</section>'


def table(head: Iterable[str], rows: Iterable[str]) -> str:
    cells = "".join(f"<th scope=col>{text(cell)}</th>" for cell in head)
    return f"<div class='scroll'><table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"


def row(title: str, cells: Iterable[object], own: bool = False) -> str:
    tail = "".join(f"<td>{text(str(cell))}</td>" for cell in cells)
    return f"<tr{' class=own' if own else ''}><th scope=row>{text(title)}</th>{tail}</tr>"


def text(text: str) -> str:
    """Escape what is plain text."""
    return html.escape(text)


def as_json(value: object) -> str:
    """JSON for a script element, which ends at the first `</` whatever it holds."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def listed(parts: Iterable[str]) -> str:
    """Join with commas, and the last with "and"."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")
