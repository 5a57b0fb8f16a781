"""Inputs and where their results go, decided before anything is read."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
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


def split_output(inputs: list[str], out: str | None, endings: Collection[str]) -> tuple[list[str], str | None]:
    """Inputs and output of `VERB in out`: the second of two names is the output if it has one of its `endings`."""
    if out is None and len(inputs) == 2 and Path(inputs[1]).suffix.lower() in endings:
        return inputs[:1], inputs[1]
    return inputs, out


def plan(
    inputs: list[str],
    out: str | None,
    ending: str,
    endings: Collection[str],
    *,
    recursive: bool = False,
    as_json: bool = False,
) -> list[Job]:
    """Pair inputs with outputs before anything is read.

    A folder stands for the files directly in it, or with `recursive` for all below it, with one of `endings`, sorted by
    name. With one input, `out` is a file, `-` or a folder; with several or a folder, it is a folder. Without it results
    lie beside their inputs. They are named after the stems of their inputs, and where two would have the same name,
    after their whole names. Raises a usage error if that does not help.
    """
    files, several = _expand(inputs, endings, recursive)
    if several:
        if out is not None:
            _check_folder(out, {ending, *endings})
        jobs = _pair(files, out, ending)
    else:
        jobs = [Job(files[0].name, _single(files[0].name, out, ending))]
    if jobs[0].output == STREAM:
        _check_stdout(as_json)
    return jobs


def plan_views(
    inputs: list[str], out: str | None, ending: str, endings: Collection[str], *, recursive: bool, as_json: bool
) -> Job:
    """All inputs as the views of one image, in the order given; the result lies beside the first of them."""
    files = [file.name for file in _expand(inputs, endings, recursive)[0]]
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


class _Found(NamedTuple):
    """An input file."""

    name: str
    below: Path = Path()
    """Its folder, relative to the one that was named."""


def _expand(inputs: list[str], endings: Collection[str], recursive: bool) -> tuple[list[_Found], bool]:
    """All input files, and whether they are a batch."""
    files: list[_Found] = []
    if "" in inputs:
        raise typer.BadParameter("an input is empty; . is the folder one is in")
    for name in inputs:
        if name == STREAM or not Path(name).is_dir():
            files.append(_Found(name))
            continue
        inside = list(_inside(Path(name), endings, recursive))
        if not inside:
            hint = "" if recursive else "; -r looks into the folders in it, too"
            raise typer.BadParameter(f"the folder {name} holds no file of: {', '.join(sorted(endings))}{hint}")
        files += inside
    several = len(inputs) > 1 or [file.name for file in files] != inputs
    if several and _Found(STREAM) in files:
        raise typer.BadParameter("- (stdin) must be the only input")
    return files, several


def _inside(folder: Path, endings: Collection[str], recursive: bool) -> Iterator[_Found]:
    """Files of a folder, and the folders that cannot be read: to be reported as files are that cannot."""
    closed: list[str] = []
    for root, folders, names in os.walk(folder, onerror=lambda error: closed.append(error.filename)):
        folders[:] = sorted(folders) if recursive else []
        for path in (Path(root, name) for name in sorted(names)):
            # A pipe or a device would be waited for; a link that leads nowhere is an input that fails.
            if path.suffix.lower() in endings and (path.is_file() or not path.exists()):
                yield _Found(str(path), path.parent.relative_to(folder))
    yield from map(_Found, closed)


def _pair(files: list[_Found], out: str | None, ending: str) -> list[Job]:
    """Each input with its output."""
    paths = {Path(file.name): Path(file.name).parent if out is None else Path(out) / file.below for file in files}
    outputs = [folder / f"{path.stem}{ending}" for path, folder in paths.items()]
    while True:
        count = Counter(outputs)
        places = zip(paths.items(), outputs, strict=True)
        whole = [folder / f"{path.name}{ending}" if count[output] > 1 else output for (path, folder), output in places]
        if whole == outputs:
            break
        outputs = whole
    owners: dict[Path, Path] = {}
    for path, output in zip(paths, outputs, strict=True):
        if output in owners:
            raise typer.BadParameter(f"{owners[output]} and {path} would both become {output}")
        owners[output] = path
    return [Job(str(path), str(output)) for output, path in owners.items()]


def _single(file: str, out: str | None, ending: str) -> str:
    if out is None:
        return STREAM if file == STREAM else _beside(file, None, ending)
    if out != STREAM and (Path(out).is_dir() or _is_named_as_folder(out)):
        if file == STREAM:
            raise typer.BadParameter(f"{out} is a folder; what comes from stdin needs a name")
        return _beside(file, out, ending)
    return out


def _beside(file: str, folder: str | None, ending: str) -> str:
    path = Path(file)
    return str((path.parent if folder is None else Path(folder)) / f"{path.stem}{ending}")


def _check_folder(out: str, endings: Collection[str]) -> None:
    """Refuse what several results cannot lie in."""
    path = Path(out)
    if out == STREAM or (path.exists() and not path.is_dir()):
        raise typer.BadParameter(f"-o {out} must be a folder for several inputs")
    if path.suffix.lower() in endings and not path.is_dir() and not _is_named_as_folder(out):
        raise typer.BadParameter(f"-o {out} must be a folder for several inputs; if it shall be one, write {out}/")


def _is_named_as_folder(out: str) -> bool:
    return out.endswith(("/", os.sep))


def _check_stdout(as_json: bool) -> None:
    if as_json:
        raise typer.BadParameter("--json and a result on stdout do not go together; name a file with -o")
    if sys.stdout is not None and sys.stdout.isatty():
        raise typer.BadParameter("a result is not written to a terminal; name a file with -o")
