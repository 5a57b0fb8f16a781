"""What all plots share; Matplotlib comes with the extra `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# Colours that stay apart for colour-blind readers (Okabe and Ito 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def tidy(axes: Any) -> None:
    """A pale grid, and no frame above and on the right."""
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Any, path: Path) -> None:
    """Write a figure, its folder too; the format follows from the ending."""
    import matplotlib

    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"png": {"Software": None}, "svg": {"Date": None}}.get(path.suffix[1:])
    with matplotlib.rc_context({"svg.hashsalt": "calotype"}):  # so that the same figures give the same file
        figure.savefig(path, dpi=110, metadata=metadata)
