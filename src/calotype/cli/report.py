"""`calotype report`: a page and plots of what `calotype bench` measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .failures import need, say
from .progress import passing_bar


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `calotype bench` wrote.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="The page. Default: index.html in DIR; plots lie beside it.")
    ] = None,
    at: Annotated[
        float, typer.Option(help="Bits per pixel near which images are shown at first, and people vote.")
    ] = 0.5,
    images: Annotated[
        int | None, typer.Option(min=0, help="Show only the first so many of each set; 0: none. Default: all.")
    ] = None,
    published: Annotated[
        Path | None, typer.Option(help="File of published curves. Default: found by CALOTYPE_DATA.")
    ] = None,
) -> None:
    """Make a page of what was measured: curves, tables, and images side by side.

    Any browser shows the page without a network. If the bench kept its files, the page shows them at every quality
    that was run, so keep it with DIR; beside files that no browser knows come lossless WebP files of them. Beside the
    page come the curves of each set as PNG and SVG, and vote.html, on which people say which of two codecs' pictures of
    equal bytes looks more like the original; `calotype votes` ranks codecs by what they saved.
    """
    from ..evaluate.report.html import pages
    from ..evaluate.report.plot import plot
    from ..evaluate.report.vote import PAGE
    from ..evaluate.tables.folder import load_bench
    from ..io import write_bytes

    if at <= 0:
        raise typer.BadParameter("--at takes rates above 0")
    need("pyarrow", "scipy", "plotly", "matplotlib")
    bench = load_bench(folder, published)
    target = out or folder / "index.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    with passing_bar("showing") as advance:
        made = pages(bench, folder=target.parent, at=at, images=images, report=say, advance=advance)
    write_bytes(target, made.report.encode())
    if made.vote is not None:
        write_bytes(target.with_name(PAGE), made.vote.encode())
    for name, measured in bench.sets.items():
        if measured.of_kind("lossy"):
            for ending in ("png", "svg"):
                plot(measured, target.with_name(f"{name}.{ending}"))
    say(f"{target}, {len(made.report) / 1e6:.1f} MB{'' if made.vote is None else f'; {PAGE} beside it'}")
