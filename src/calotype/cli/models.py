"""`calotype models`: what is installed."""

from __future__ import annotations

from typing import Annotated

import typer


def models(
    json: Annotated[bool, typer.Option("--json", help="One JSON object per model on stdout.")] = False,
) -> None:
    """List the installed models; * is the default."""
    from ..registry import SEARCH_PATH, find, list_models

    installed = list_models()
    default = find().name if any(model.default for model in installed) else None
    if not installed and not json:
        print(f"no models are installed; put weights (.calow) and cards (.toml) into a folder in {SEARCH_PATH}")
    width = max((len(model.name) for model in installed), default=0)
    for model in installed:
        if json:
            _print_json(model.name, model.name == default, model.description, model.digest, str(model.path))
        else:
            mark = "*" if model.name == default else " "
            size = model.path.stat().st_size / 1e6
            print(f"{mark} {model.name:<{width}}  {size:5.1f} MB  {model.description}")


def _print_json(name: str, default: bool, description: str, digest: bytes, path: str) -> None:
    import json
    import os

    entry = {"name": name, "default": default, "description": description, "digest": digest.hex()}
    print(json.dumps(entry | {"path": path, "bytes": os.path.getsize(path)}))
