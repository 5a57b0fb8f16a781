"""What verbs share that work on one input or many: which files, where results go, what is said about them."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from ..errors import CalotypeError

if TYPE_CHECKING:
    from ..image import Image

STREAM = "-"  # stdin or stdout
AHEAD = 100  # jobs per process that may be done before an earlier one is: so many records wait to be reported in order
Record = dict[str, Any]


class Job(NamedTuple):
    """One input and where its result goes; paths, `-`, or None for no output."""

    input: str
    output: str | None = None


class Made(NamedTuple):
    """What became of one input, before it is written."""

    record: Record
    data: bytes


Make = Callable[[Job], Made]  # survives pickling, for `processes`
Failure = CalotypeError | OSError | MemoryError  # costs one input; anything else is a mistake of ours and ends the run


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
    """As `run`, on several processes, where each job makes a file; with `skip`, files that exist are done."""

    def work(make: Make, job: Job) -> Record:
        assert job.output is not None
        if skip and job.output != STREAM and os.path.isfile(job.output):
            return {"input": job.input, "output": job.output, "skipped": True}
        check_output(job.output, force)
        record, data = make(job)
        write_output(job.output, data, force)
        return record

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


def read_picture(name: str, threads: int, max_pixels: int) -> Image:
    """A picture or `.calo` file, or stdin with either."""
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


def say(text: str) -> None:
    """A line for people."""
    print(text, file=sys.stderr)


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
    from .app import DEBUG, explain

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
