"""What verbs share that work on one input or many: doing all, reporting each."""

from __future__ import annotations

import errno
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import typer

from ..errors import CalotypeError, CalotypeWarning, Unsupported
from .failures import DEBUG, OutputFailed, explain, flush_output, one_line, say
from .interrupts import beside
from .jobs import STREAM, Job, Made, Make, Record

if TYPE_CHECKING:
    from ..image import Image

HEADER_BYTES = 512  # more than any header has
AHEAD = 100  # jobs per process that may be done before an earlier one is: so many records wait to be reported in order

_EXISTS = "{} exists; add -f to overwrite it, or -n to skip it"


def run(jobs: list[Job], work: Callable[[Job], Record], as_json: bool, verb: str | None) -> None:
    """Do all jobs, go on after failures, report each; exit status 1 if one failed.

    `verb` names the progress bar; without it `work` itself says what it found, so nothing is said about
    successes. `work` returns what is known of one result, with at least `bytes`, `width`, `height` and `bpp`.
    """
    with _progress(len(jobs), verb) as (advance, note):
        _report(jobs, map(partial(_attempt, partial(beside, work), advance), jobs), as_json, verb, note)


def run_files(
    jobs: list[Job], make: Make, processes: int, *, force: bool, skip: bool, as_json: bool, verb: str
) -> None:
    """As `run`, on several processes, where each job makes files; with `skip`, files that exist are done."""
    writing, stopped = Lock(), False

    def work(make: Make, job: Job) -> Record:
        assert job.output is not None
        done = {"input": job.input, "output": job.output, "skipped": True}
        if skip and job.output != STREAM and os.path.isfile(job.output) and not _has_views(job.input):
            return done
        record, files, notes = make(job)
        if skip:
            files = tuple(file for file in files if not os.path.isfile(file[0]))
            if not files:
                return done
        for path, _ in files:
            check_output(job, path, force)
        with writing:
            if stopped:
                raise CalotypeError("stopped")
            for path, data in files:
                write_output(path, data, force)
        return record | ({"notes": list(notes)} if notes else {})

    with _progress(len(jobs), verb) as (advance, note):
        if processes == 1:
            apart = partial(_with_a_bar, verb, make) if len(jobs) == 1 and _is_terminal() else partial(beside, make)
            attempt = partial(_attempt, partial(work, apart), advance)
            _report(jobs, map(attempt, jobs), as_json, verb, note)
            return
        from ..parallel import in_order
        from .processes import Crew

        with closing(Crew(make)) as crew:
            attempt = partial(_attempt, partial(work, crew.make), advance)
            with closing(in_order(attempt, jobs, processes, AHEAD)) as outcomes:
                try:
                    _report(jobs, outcomes, as_json, verb, note)
                finally:
                    with writing:  # whoever writes has ended, and nobody begins
                        stopped = True


def _has_views(name: str) -> bool:
    """Whether this is a file with several views, whose outputs have other names than planned."""
    from ..container import unpack_header

    try:
        with open(name, "rb") as file:
            header, _ = unpack_header(memoryview(file.read(HEADER_BYTES)))
    except (OSError, CalotypeError):
        return False
    return len(header.shape) > 3


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


def record_of(job: Job, image: Image, size: int, seconds: float, pixels: int | None = None, **more: object) -> Record:
    """What `--json` says of every input; `size` in bytes is that of the `.calo` file, `pixels` those in it."""
    pixels = pixels or image.pixels[..., 0].size
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
    if name == STREAM and sys.stdin is None:
        raise CalotypeError("standard input is closed")
    return sys.stdin.buffer.read() if name == STREAM else Path(name).read_bytes()


def refuse_coded(name: str) -> None:
    """Raise `Unsupported` for a `.calo` file, which would lose once more."""
    from ..container import is_calotype

    if name == STREAM:
        start = b"" if sys.stdin is None else sys.stdin.buffer.peek(8)[:8]  # type: ignore[union-attr]
    elif Path(name).is_fifo():  # what is looked at there is gone
        return
    else:
        with open(name, "rb") as file:
            start = file.read(8)
    if is_calotype(start):
        raise Unsupported(f"{'it' if name == STREAM else name} is a .calo file already; add -f to code it again")


def read_image(name: str, threads: int, max_pixels: int, exact: bool = False) -> Image:
    """An image or `.calo` file, or stdin with either; `exact` as for `calotype.read`."""
    from .. import api, io
    from ..container import is_calotype

    if name != STREAM:
        return api.read(name, exact, threads=threads, max_pixels=max_pixels)
    data = read_bytes(name)
    if is_calotype(data[:8]):
        return api.decode_image(data, threads=threads, max_pixels=max_pixels)
    from io import BytesIO

    return io.read_image(BytesIO(data), max_pixels, exact)


@contextmanager
def noting() -> Iterator[list[str]]:
    """Collects our warnings of one input as notes to be reported with it; they are there when the block has ended."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", CalotypeWarning)
        yield notes
    notes += dict.fromkeys(str(warning.message) for warning in caught)


def check_output(job: Job, output: str, force: bool) -> None:
    """Fail early where writing would fail in the end, or would lose what may be needed."""
    if output == STREAM:
        return
    path = Path(output)
    if path.is_dir():
        raise IsADirectoryError(f"{output} is a folder")
    if not force and path.is_file():
        if any(os.path.exists(name) and path.samefile(name) for name in (job.input, *job.views)):
            raise FileExistsError(f"{output} is the input itself; add -f to overwrite it")
        raise FileExistsError(_EXISTS.format(output))
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise NotADirectoryError(f"{output}: {above} is no folder")


def write_output(output: str, data: bytes, force: bool) -> None:
    """Write a file whole or not at all, with the folder that it lies in; or to stdout."""
    from ..io import write_bytes

    if output == STREAM:
        _write_stdout(data)
        return
    try:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(output, data, overwrite=force)
    except FileExistsError:  # made by someone else meanwhile
        raise FileExistsError(_EXISTS.format(output)) from None
    except OSError as error:  # names no file, or one that lay aside
        raise OSError(error.errno, error.strerror, output) from None


def _write_stdout(data: bytes) -> None:
    if sys.stdout is None:
        raise OutputFailed(errno.EBADF, "it is closed")
    try:
        sys.stdout.buffer.write(data)
    except OSError as error:
        raise OutputFailed(error.errno, error.strerror) from None
    flush_output()


@contextmanager
def _progress(total: int, verb: str | None) -> Iterator[tuple[Callable[[], None], Callable[[str], None]]]:
    """A bar on stderr for several jobs; gives a step forward and a way to print beside the bar."""
    if total == 1 or verb is None or not _is_terminal():
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


def _with_a_bar(verb: str, make: Make, job: Job) -> Made:
    """What `make` makes of the only job, while its tiles are counted on stderr."""
    from ..parallel import heard_by
    from .progress import passing_bar

    with passing_bar(verb) as advance, heard_by(advance):
        return beside(make, job)


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _attempt(work: Callable[[Job], Record], advance: Callable[[], None], job: Job) -> Record | Exception:
    """What became of one input: whatever goes wrong with it is no reason to leave out the others."""
    try:
        return work(job)
    except (OutputFailed, BrokenPipeError):
        raise
    except Exception as error:
        return error
    finally:
        advance()


def _report(
    jobs: list[Job],
    outcomes: Iterable[Record | Exception],
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
            note(one_line(f"calotype: note: {job.input}: {text}"))
        if "skipped" in outcome:
            skipped += 1
        else:
            done.append(outcome)
        if as_json:
            print(json.dumps(outcome), flush=True)
        elif len(jobs) == 1 and verb is not None:
            note(one_line(_line(outcome)))
    if len(jobs) > 1 and verb is not None and not as_json:
        note(_summary(done, skipped, failed, time.perf_counter() - started))
    if failed:
        raise typer.Exit(1)


def _report_failure(job: Job, error: Exception, as_json: bool, note: Callable[[str], None]) -> None:
    if DEBUG in os.environ:
        raise error
    message = explain(error)
    if as_json:
        print(json.dumps({"input": job.input, "error": one_line(message)}), flush=True)
    name = "standard input" if job.input == STREAM else job.input
    known = name in message or (job.output is not None and job.output in message)
    note(one_line(f"calotype: error: {message}" if known else f"calotype: error: {name}: {message}"))


def _line(record: Record) -> str:
    if "skipped" in record:
        return f"{record['input']}: skipped, {record['output']} exists"
    made = record["output"]
    goal = "" if made is None else f" -> {', '.join(made) if isinstance(made, list) else made}"
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
