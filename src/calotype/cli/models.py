"""`calotype models`: what is installed."""

from __future__ import annotations

from typing import Annotated

import typer


def models(
    json: Annotated[bool, typer.Option("--json", help="One JSON object per model on stdout.")] = False,
) -> None:
    """List the installed models; * is the default."""
    from json import dumps as json_of

    from ..registry import SEARCH_PATH, find, list_models

    installed = list_models()
    default = find().name if any(model.default for model in installed) else None
    if not installed and not json:
        print(f"no models are installed; put weights (.calow) and cards (.toml) into a folder in {SEARCH_PATH}")
    width = max((len(model.name) for model in installed), default=0)
    for model in installed:
        if json:
            entry = {"name": model.name, "default": model.name == default, "description": model.description}
            place = str(model.weights or model.path)
            print(json_of(entry | {"digest": model.digest.hex(), "path": place, "bytes": model.bytes}))
        else:
            mark = "*" if model.name == default else " "
            size = model.bytes / 1e6
            print(f"{mark} {model.name:<{width}}  {size:5.1f} MB  {model.description}")
