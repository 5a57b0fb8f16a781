"""`python -m calotype.evaluate`: from a bench to the pages of results, the README and the models' cards."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from .. import api
from ..errors import CalotypeError
from ..image import Image
from ..io import read_image
from .measure.footprint import RUNS, footprint
from .report.plot import plot
from .report.results import headline, put_headline, render
from .tables.card import update_card
from .tables.folder import Bench, load_bench

FOOTPRINT = "footprint.json"


def main(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `calotype bench` wrote.")],
    published: Annotated[Path | None, typer.Option(help="File of published curves. Default: by CALOTYPE_DATA.")] = None,
    readme: Annotated[Path | None, typer.Option(help="Page with marks around its block of results.")] = None,
    cards: Annotated[bool, typer.Option(help="Write the results into the models' cards.")] = False,
    install: Annotated[
        str | None, typer.Option(help="Folder or wheel to install: measure start and size anew.")
    ] = None,
    image: Annotated[Path, typer.Option(help="What the command line decodes then.")] = Path("samples/coffee.png"),
    runs: Annotated[int, typer.Option(min=1, help="Runs of each command line then.")] = RUNS,
) -> None:
    """Write README.md and plots into DIR, from the tables of the bench there."""
    _check_extra()
    bench = load_bench(folder, published)
    lossy = [model for model in map(api.load, [info.name for info in api.list_models()]) if not model.info.lossless]
    if install is not None:
        found = footprint(lossy, Image(read_image(image).pixels), install, runs)
        (folder / FOOTPRINT).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    file = folder / FOOTPRINT
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    for name, measured in bench.sets.items():
        if measured.of_kind("lossy"):
            plot(measured, folder / f"{name}.png")
    page = folder / "README.md"
    page.write_text(render(bench, known, api.list_models()), encoding="utf-8")
    if readme is not None:
        block = headline(bench, known, page.as_posix(), {info.name for info in api.list_models() if info.default})
        readme.write_text(put_headline(readme.read_text(encoding="utf-8"), block), encoding="utf-8")
    if cards:
        _update_cards(bench)


def _update_cards(bench: Bench) -> None:
    models = {info.name: info for info in api.list_models()}
    for measured in bench.sets.values():
        for series in measured.of_kind("lossy"):
            if series.own and series.codec in models:
                update_card(models[series.codec].path, measured, series.codec)


def _check_extra() -> None:
    for name in ("scipy", "matplotlib", "pyarrow", "tomli_w"):
        if importlib.util.find_spec(name) is None:
            raise CalotypeError(f"{name} is not installed; run: pip install 'calotype[bench]'")


if __name__ == "__main__":
    try:
        typer.run(main)
    except CalotypeError as error:
        sys.exit(f"calotype.evaluate: error: {error}")
