"""`calotype report`: a page and plots of what `calotype bench` measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .failures import need, say


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `calotype bench` wrote.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="The page. Default: index.html in DIR; plots lie beside it.")
    ] = None,
    at: Annotated[
        list[float] | None, typer.Option(help="Bits per pixel at which images are shown; may be repeated.")
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=0, help="Show only the first so many of each set; 0: none. Default: all.")
    ] = None,
    published: Annotated[
        Path | None, typer.Option(help="File of published curves. Default: found by CALOTYPE_DATA.")
    ] = None,
) -> None:
    """Make a page of what was measured: curves, tables, and images side by side.

    The page is one file that any browser shows without a network. It holds the images too, about 2 MB for each, if
    the bench kept its files. Beside it come the curves of each set as PNG and SVG.
    """
    from ..evaluate.report.html import page
    from ..evaluate.report.plot import plot
    from ..evaluate.tables.folder import load_bench
    from ..io import write_bytes

    rates = at or [0.5]
    if min(rates) <= 0:
        raise typer.BadParameter("--at takes rates above 0")
    need("pyarrow", "scipy", "plotly", "matplotlib")
    bench = load_bench(folder, published)
    target = out or folder / "index.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    text = page(bench, at=rates, images=images, report=say)
    write_bytes(target, text.encode())
    for name, measured in bench.sets.items():
        if measured.of_kind("lossy"):
            for ending in ("png", "svg"):
                plot(measured, target.with_name(f"{name}.{ending}"))
    say(f"{target}, {len(text) / 1e6:.1f} MB")
