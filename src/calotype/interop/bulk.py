"""Folders anywhere, coded by the machines of a cluster: Ray Data hands out the files, fsspec reads and writes them.

    import ray
    from calotype.interop import bulk

    ray.init()
    report = bulk.encode_folder("s3://photos/raw", "s3://photos/calo", quality=40)

Needs the extra `bulk` on every machine. `ray.init` is the caller's: whether the cluster is this machine or a thousand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Unpack

import fsspec
import ray.data

from .. import api, io
from ..errors import CalotypeError, Unsupported
from ..image import Image
from ..options import DEFAULT_MAX_PIXELS, DecodeKeywords, DecodeOptions, EncodeKeywords, EncodeOptions

BLOCKS_PER_WORKER = 8  # files are handed out in so many pieces: the last ones to finish are short
LARGEST_BLOCK = 1000  # files, so that rows come back now and then


@dataclass
class Report:
    """What became of the files of a folder."""

    done: int = 0
    skipped: int = 0
    """Their results were there before."""
    bytes: int = 0
    """Total size of the `.calo` files that were written or read."""
    failures: dict[str, str] = field(default_factory=dict)
    """What went wrong, by input."""


class Job(NamedTuple):
    """One file and where its result goes, as fsspec URLs."""

    input: str
    output: str


def encode_folder(
    source: str,
    target: str,
    quality: float | None = None,
    *,
    model: str | None = None,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    workers: int | None = None,
    device: str | None = None,
    gpus: float = 0,
    overwrite: bool = False,
    **options: Unpack[EncodeKeywords],
) -> Report:
    """Code the images in a folder and in those below it to `.calo` files with the same relative names.

    A file that fails does not stop the others. Files are written whole or not at all where the file system allows it
    (disks and object stores), and what exists is skipped, so that a cut run goes on when it is started again.

    Parameters
    ----------
    source, target
        Folders as fsspec names them: paths, `s3://...`, `gs://...`; credentials as for fsspec.
    quality, model, options
        As for `calotype.encode`; each worker has one thread unless `threads` says otherwise.
    workers
        Processes on the cluster, with one thread each; None lets Ray choose by what is free.
    device, gpus
        As for `calotype.load`, and the GPUs to reserve for each worker: 0.25 puts four on one.
    overwrite
        Code everything again.

    Raises
    ------
    Unsupported
        Two images would become the same file, there is no image, or the model does not take an option.
    WeightsNotFound
        The model is not installed here.
    """
    options.setdefault("threads", 1)
    wanted = EncodeOptions(quality, **options)
    api.find(model, wanted)  # one error here instead of one for each image
    work = _Encode(model, device, wanted, max_pixels)
    jobs, skipped = plan(source, target, api.ENDING, io.IMAGE_ENDINGS, overwrite)
    return _run(jobs, skipped, work, workers, gpus)


def decode_folder(
    source: str,
    target: str,
    *,
    ending: str = ".png",
    workers: int | None = None,
    device: str | None = None,
    gpus: float = 0,
    overwrite: bool = False,
    **options: Unpack[DecodeKeywords],
) -> Report:
    """Decode the `.calo` files in a folder and in those below it to images; otherwise as `encode_folder`."""
    options.setdefault("threads", 1)
    wanted = DecodeOptions.of(**options)
    work = _Decode(io.format_of(f"image{ending}"), device, wanted)
    jobs, skipped = plan(source, target, ending, {api.ENDING}, overwrite)
    return _run(jobs, skipped, work, workers, gpus)


def plan(
    source: str, target: str, ending: str, endings: Collection[str], overwrite: bool = False
) -> tuple[list[Job], int]:
    """The files to do, by name, and how many are done already. Raises `Unsupported`."""
    names = [name for name in _names(source) if PurePosixPath(name).suffix.lower() in endings]
    if not names:
        raise Unsupported(f"{source} holds no file of: {', '.join(sorted(endings))}")
    owners: dict[str, str] = {}
    for name in names:
        result = str(PurePosixPath(name).with_suffix(ending))
        if result in owners:
            raise Unsupported(f"{owners[result]} and {name} would both become {result}; rename one")
        owners[result] = name
    there = set() if overwrite else set(_names(target))
    jobs = [Job(_join(source, name), _join(target, result)) for result, name in owners.items() if result not in there]
    return jobs, len(names) - len(jobs)


def _names(folder: str) -> list[str]:
    """Names of all files in and below a folder, relative to it; none if there is no such folder."""
    system, root = fsspec.core.url_to_fs(folder)
    try:
        found = system.find(root)
    except FileNotFoundError:
        return []
    return sorted(str(PurePosixPath(path).relative_to(PurePosixPath(root))) for path in found)


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"


def _run(jobs: list[Job], skipped: int, work: _Encode | _Decode, workers: int | None, gpus: float) -> Report:
    report = Report(skipped=skipped)
    if not jobs:
        return report
    at_a_time = workers or int(ray.cluster_resources().get("CPU", 1))
    blocks = max(min(len(jobs), BLOCKS_PER_WORKER * at_a_time), len(jobs) // LARGEST_BLOCK)
    rows = ray.data.from_items([job._asdict() for job in jobs], override_num_blocks=blocks).map(
        _Worker,
        fn_constructor_args=(work,),
        num_cpus=1,
        num_gpus=gpus or None,
        compute=None if workers is None else ray.data.ActorPoolStrategy(size=workers),
    )
    return _count(report, rows.iter_rows())


def _count(report: Report, rows: Iterable[dict[str, Any]]) -> Report:
    for row in rows:
        if row["error"]:
            report.failures[row["input"]] = row["error"]
        else:
            report.done += 1
            report.bytes += row["bytes"]
    return report


class _Worker:
    """What Ray makes one of in each process."""

    def __init__(self, work: _Encode | _Decode) -> None:
        self._work = work

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        try:
            return row | {"bytes": self._work(Job(**row)), "error": ""}
        except CalotypeError as error:
            return row | {"bytes": 0, "error": str(error)}
        except Exception as error:  # file systems raise errors of their own; a night's work must not end with one file
            return row | {"bytes": 0, "error": f"{type(error).__name__}: {error}"}


@dataclass(frozen=True)
class _Encode:
    model: str | None
    device: str | None
    options: EncodeOptions
    max_pixels: int | None

    def __call__(self, job: Job) -> int:
        """Bytes of the `.calo` file."""
        model = api.choose(self.model, self.options, self.device)
        image: Image = io.read_image(BytesIO(_read(job.input)), self.max_pixels, model.is_exact(self.options))
        data = model.encode_with(image, self.options)
        _write(job.output, data)
        return len(data)


@dataclass(frozen=True)
class _Decode:
    format: str
    device: str | None
    options: DecodeOptions

    def __call__(self, job: Job) -> int:
        """Bytes of the `.calo` file."""
        data = _read(job.input)
        image = api.decode_with(data, self.options, self.device)
        _write(job.output, io.encode_image(image, self.format))
        return len(data)


def _read(url: str) -> bytes:
    system, path = fsspec.core.url_to_fs(url)
    return system.cat_file(path)  # type: ignore[no-any-return]


def _write(url: str, data: bytes) -> None:
    """Whole or not at all on disks; object stores do so by themselves."""
    system, path = fsspec.core.url_to_fs(url)
    system.makedirs(system._parent(path), exist_ok=True)
    if isinstance(system, fsspec.get_filesystem_class("file")):
        io.write_bytes(path, data)
    else:
        system.pipe_file(path, data)
