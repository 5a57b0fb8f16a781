"""Inputs and where their results go, decided before anything is read."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import typer

STREAM = "-"  # stdin or stdout
Record = dict[str, Any]


class Job(NamedTuple):
    """One input and where its result goes; paths, `-`, or None for no output."""

    input: str
    output: str | None = None
    views: tuple[str, ...] = ()
    """Image files that are the views of one image, `input` the first of them; none where it is a plain image."""


class Made(NamedTuple):
    """What became of one input, before it is written."""

    record: Record
    files: tuple[tuple[str, bytes], ...]
    """Path (or `-`) and bytes of each file to write."""
    notes: tuple[str, ...] = ()
    """What a person should know of it."""


Make = Callable[[Job], Made]  # survives pickling, for `processes`


def plan(inputs: list[str], out: str | None, ending: str, endings: Collection[str], as_json: bool) -> list[Job]:
    """Pair inputs with outputs before anything is read.

    A folder stands for the files directly in it with one of `endings`, sorted by name. With one input, `out`
    is a file, `-` or an existing folder; with several or a folder, it is a folder, which is made. Without it
    results lie beside their inputs. Raises a usage error if two results would have the same name.
    """
    files, several = _expand(inputs, endings)
    if several:
        jobs = [Job(file, _beside(file, out, ending)) for file in files]
        if out is not None:
            _make_folder(out)
    else:
        jobs = [Job(files[0], _single(files[0], out, ending))]
    _refuse_collisions(jobs)
    if jobs[0].output == STREAM:
        _check_stdout(as_json)
    return jobs


def plan_views(inputs: list[str], out: str | None, ending: str, endings: Collection[str], as_json: bool) -> Job:
    """All inputs as the views of one image, in the order given; the result lies beside the first of them."""
    files, _ = _expand(inputs, endings)
    if STREAM in files:
        raise typer.BadParameter("views are files; - (stdin) is none")
    job = Job(files[0], _single(files[0], out, ending), tuple(files))
    if job.output == STREAM:
        _check_stdout(as_json)
    return job


def paths_of_views(output: str, views: Sequence[int]) -> list[str]:
    """Where the views of an image go: `pair.png` becomes `pair.0.png`, `pair.1.png`; a grid's `grid.0.0.png` ..."""
    path = Path(output)
    return [
        str(path.with_name(f"{path.stem}.{'.'.join(map(str, index))}{path.suffix}"))
        for index in product(*map(range, views))
    ]


def _expand(inputs: list[str], endings: Collection[str]) -> tuple[list[str], bool]:
    """All input files, and whether they are a batch."""
    files: list[str] = []
    for name in inputs:
        if name != STREAM and Path(name).is_dir():
            inside = sorted(path for path in Path(name).iterdir() if path.suffix.lower() in endings)
            if not inside:
                raise typer.BadParameter(f"the folder {name} holds no file of: {', '.join(sorted(endings))}")
            files += map(str, inside)
        else:
            files.append(name)
    several = len(inputs) > 1 or files != inputs
    if several and STREAM in files:
        raise typer.BadParameter("- (stdin) must be the only input")
    return files, several


def _single(file: str, out: str | None, ending: str) -> str:
    if out is None:
        return STREAM if file == STREAM else _beside(file, None, ending)
    if out != STREAM and (Path(out).is_dir() or out.endswith(("/", os.sep))):
        if file == STREAM:
            raise typer.BadParameter(f"{out} is a folder; what comes from stdin needs a name")
        _make_folder(out)
        return _beside(file, out, ending)
    return out


def _beside(file: str, folder: str | None, ending: str) -> str:
    path = Path(file)
    return str((path.parent if folder is None else Path(folder)) / f"{path.stem}{ending}")


def _make_folder(out: str) -> None:
    if out == STREAM or (Path(out).exists() and not Path(out).is_dir()):
        raise typer.BadParameter(f"-o {out} must be a folder for several inputs")
    Path(out).mkdir(parents=True, exist_ok=True)


def _refuse_collisions(jobs: list[Job]) -> None:
    owners: dict[str | None, str] = {}
    for job in jobs:
        if job.output in owners:
            raise typer.BadParameter(f"{owners[job.output]} and {job.input} would both become {job.output}")
        owners[job.output] = job.input


def _check_stdout(as_json: bool) -> None:
    if as_json:
        raise typer.BadParameter("--json and a result on stdout do not go together; name a file with -o")
    if sys.stdout.isatty():
        raise typer.BadParameter("a result is not written to a terminal; name a file with -o")
