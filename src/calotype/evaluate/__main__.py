"""`python -m calotype.evaluate`: measure on a folder of pictures and write the pages of results."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from .. import api
from ..errors import CalotypeError
from .card import update_card
from .footprint import RUNS
from .plot import plot
from .published import data_folder, load_published
from .report import headline, put_headline, render
from .results import Results, evaluate
from .rivals import available
from .run import load_pictures


def main(
    data: Annotated[Path | None, typer.Option(help="Folder of pictures. Default: CALOTYPE_DATA/eval/kodak.")] = None,
    anchors: Annotated[
        Path | None, typer.Option(help="File of published curves. Default: found by CALOTYPE_DATA.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option("-m", "--model", help="Default: every lossy model.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the JSON file, the page and the plot.")] = Path("docs/results"),
    readme: Annotated[Path | None, typer.Option(help="Page with marks around its block of results.")] = None,
    install: Annotated[str | None, typer.Option(help="Folder or wheel to install for its size.")] = None,
    cards: Annotated[bool, typer.Option(help="Write the results into the models' cards.")] = False,
    render_only: Annotated[bool, typer.Option(help="Write the pages anew from the JSON file.")] = False,
    pictures: Annotated[int | None, typer.Option(help="Only the first so many, for a trial.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each command line that is timed.")] = RUNS,
) -> None:
    """Measure models and rivals on a folder of pictures; write <set>.json, <set>.png and README.md."""
    _check_extra()
    folder = data or (Path("kodak") if render_only else data_folder() / "eval" / "kodak")
    name = folder.resolve().name
    file = out / f"{name}.json"
    if render_only:
        results: Results = json.loads(file.read_text(encoding="utf-8"))
    else:
        chosen = model or [info.name for info in api.list_models()]
        results = evaluate(
            [loaded for loaded in map(api.load, chosen) if not loaded.info.lossless],
            available(),
            load_pictures(folder, pictures),
            name=name,
            published=load_published(anchors),
            runs=runs,
            install=install,
            report=lambda line: print(line, file=sys.stderr, flush=True),
        )
        out.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    plot(results, out / f"{name}.png")
    (out / "README.md").write_text(render(results, f"{name}.png"), encoding="utf-8")
    if readme is not None:
        page = f"{out.as_posix()}/README.md"
        readme.write_text(put_headline(readme.read_text(encoding="utf-8"), headline(results, page)), encoding="utf-8")
    if cards:
        for measured in results["models"]:
            update_card(api.load(measured).card.path.with_suffix(".toml"), results, measured)


def _check_extra() -> None:
    """Before minutes of measuring, not after."""
    missing = [name for name in ("scipy", "matplotlib", "tomli_w") if importlib.util.find_spec(name) is None]
    if missing:
        raise CalotypeError(f"{missing[0]} is not installed; run: pip install 'calotype[bench]'")


if __name__ == "__main__":
    try:
        typer.run(main)
    except CalotypeError as error:
        sys.exit(f"calotype.evaluate: error: {error}")
