"""What verbs share that work on one input or many: doing all, reporting each."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import CalotypeError
from .failures import DEBUG, explain, say
from .jobs import STREAM, Job, Make, Record

if TYPE_CHECKING:
    from ..image import Image

AHEAD = 100  # jobs per process that may be done before an earlier one is: so many records wait to be reported in order

Failure = CalotypeError | OSError | MemoryError  # costs one input; anything else is a mistake of ours and ends the run


def run(jobs: list[Job], work: Callable[[Job], Record], as_json: bool, verb: str | None) -> None:
    """Do all jobs, go on after failures, report each; exit status 1 if one failed.

    `verb` names the progress bar; without it `work` itself says what it found, so nothing is said about
    successes. `work` returns what is known of one result, with at least `bytes`, `width`, `height` and `bpp`.
    """
    with _progress(len(jobs), verb) as (advance, note):
        _report(jobs, map(partial(_attempt, work, advance), jobs), as_json, verb, note)


def run_files(
    jobs: list[Job], make: Make, processes: int, *, force: bool, skip: bool, as_json: bool, verb: str
) -> None:
    """As `run`, on several processes, where each job makes files; with `skip`, files that exist are done."""

    def work(make: Make, job: Job) -> Record:
        assert job.output is not None
        if skip and job.output != STREAM and os.path.isfile(job.output):
            return {"input": job.input, "output": job.output, "skipped": True}
        check_output(job.output, force)
        record, files, notes = make(job)
        for path, _ in files:
            check_output(path, force)
        for path, data in files:
            write_output(path, data, force)
        return record | ({"notes": list(notes)} if notes else {})

    if processes == 1:
        run(jobs, partial(work, make), as_json, verb)
        return
    from ..parallel import in_order
    from .processes import Crew

    with _progress(len(jobs), verb) as (advance, note), closing(Crew(make)) as crew:
        attempt = partial(_attempt, partial(work, crew.make), advance)
        with closing(in_order(attempt, jobs, processes, AHEAD)) as outcomes:
            _report(jobs, outcomes, as_json, verb, note)


def refuse_both(force: bool, skip: bool) -> None:
    """Raises a usage error."""
    if force and skip:
        raise typer.BadParameter("give only one of -f and -n")


def share(asked: int, threads: int, device: str | None, count: int) -> tuple[int, int]:
    """Processes for `count` jobs, and threads for each: the machine is divided, unless numbers were asked for."""
    if count == 1 or asked == 1:
        return 1, threads
    from ..parallel import at_a_time

    processes = min(count, asked or max(1, at_a_time(device) // max(threads, 1)))
    return processes, threads if processes == 1 else max(threads, 1)


def record_of(job: Job, image: Image, size: int, seconds: float, **more: object) -> Record:
    """What `--json` says of every input; `size` in bytes is that of the `.calo` file."""
    pixels = image.pixels[..., 0].size
    return {
        "input": job.input,
        "output": job.output,
        "bytes": size,
        "width": image.width,
        "height": image.height,
        "bpp": round(8 * size / pixels, 6),
        "seconds": round(seconds, 4),
        "mode": image.mode,
        "depth": image.depth,
        **more,
    }


def read_bytes(name: str) -> bytes:
    """All of a file or of stdin."""
    return sys.stdin.buffer.read() if name == STREAM else Path(name).read_bytes()


def read_image(name: str, threads: int, max_pixels: int) -> Image:
    """An image or `.calo` file, or stdin with either."""
    from .. import api, io
    from ..container import is_calotype

    if name != STREAM:
        return api.read(name, threads=threads, max_pixels=max_pixels)
    data = read_bytes(name)
    if is_calotype(data[:8]):
        return api.decode_image(data, threads=threads, max_pixels=max_pixels)
    from io import BytesIO

    return io.read_image(BytesIO(data), max_pixels)


def check_output(output: str, force: bool) -> None:
    """Fail early where writing would fail in the end."""
    if output == STREAM:
        return
    path = Path(output)
    if path.is_dir():
        raise IsADirectoryError(f"{output} is a folder")
    if not force and path.exists() and path.is_file():
        raise FileExistsError(f"{output} exists; add -f to overwrite it, or -n to skip it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder {path.parent} does not exist")


def write_output(output: str, data: bytes, force: bool) -> None:
    """Write a file whole or not at all, or to stdout."""
    from ..io import write_bytes

    if output == STREAM:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        write_bytes(output, data, overwrite=force)
    except FileExistsError:  # made by someone else meanwhile
        raise FileExistsError(f"{output} exists; add -f to overwrite it, or -n to skip it") from None


@contextmanager
def _progress(total: int, verb: str | None) -> Iterator[tuple[Callable[[], None], Callable[[str], None]]]:
    """A bar on stderr for several jobs; gives a step forward and a way to print beside the bar."""
    if total == 1 or verb is None or not sys.stderr.isatty():
        yield (lambda: None), say
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(verb, total=total)
        yield (
            lambda: progress.advance(task),
            lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True),
        )


def _attempt(work: Callable[[Job], Record], advance: Callable[[], None], job: Job) -> Record | Failure:
    try:
        return work(job)
    except (CalotypeError, OSError, MemoryError) as error:
        return error
    finally:
        advance()


def _report(
    jobs: list[Job],
    outcomes: Iterable[Record | Failure],
    as_json: bool,
    verb: str | None,
    note: Callable[[str], None],
) -> None:
    started, done, skipped, failed = time.perf_counter(), [], 0, 0
    for job, outcome in zip(jobs, outcomes, strict=True):
        if isinstance(outcome, Exception):
            failed += 1
            _report_failure(job, outcome, as_json, note)
            continue
        for text in outcome.get("notes", ()):
            note(f"calotype: note: {job.input}: {text}")
        if "skipped" in outcome:
            skipped += 1
        else:
            done.append(outcome)
        if as_json:
            print(json.dumps(outcome), flush=True)
        elif len(jobs) == 1 and verb is not None:
            note(_line(outcome))
    if len(jobs) > 1 and verb is not None and not as_json:
        note(_summary(done, skipped, failed, time.perf_counter() - started))
    if failed:
        raise typer.Exit(1)


def _report_failure(job: Job, error: Exception, as_json: bool, note: Callable[[str], None]) -> None:
    if DEBUG in os.environ:
        raise error
    message = " ".join(explain(error).split())
    if as_json:
        print(json.dumps({"input": job.input, "error": message}), flush=True)
    name = "standard input" if job.input == STREAM else job.input
    known = name in message or (job.output is not None and job.output in message)
    note(f"calotype: error: {message}" if known else f"calotype: error: {name}: {message}")


def _line(record: Record) -> str:
    if "skipped" in record:
        return f"{record['input']}: skipped, {record['output']} exists"
    goal = f" -> {record['output']}" if record["output"] is not None else ""
    return (
        f"{record['input']}{goal}: {record['width']}x{record['height']} {record['mode']}, "
        f"{record['bytes']:,} bytes, {record['bpp']:.3f} bpp, {record['seconds']:.2f} s"
    )


def _summary(done: list[Record], skipped: int, failed: int, seconds: float) -> str:
    size = sum(record["bytes"] for record in done)
    pixels = sum(8 * record["bytes"] / record["bpp"] for record in done)
    rate = f", {8 * size / pixels:.3f} bpp" if pixels else ""
    before = f" {skipped} skipped," if skipped else ""
    return f"{len(done)} done,{before} {failed} failed: {size:,} bytes{rate}, {seconds:.2f} s"
