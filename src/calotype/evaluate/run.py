"""Measure codecs over pictures: real files, decoded again, one row each. `calotype bench` in Python."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import CalotypeError
from ..image import Image
from ..io import PICTURE_ENDINGS, encode_image, read_image, write_bytes
from .footprint import processor
from .metrics import Metric
from .rivals import RGB, Rival
from .rows import ROWS, Row, read_table, write_table
from .subjects import describe, digest, source
from .summary import ORIGINAL, file_of
from .worker import TIMEOUT, Coded, CodingFailed, Worker

PATIENCE = 0.5  # seconds between looks: a thread that only waits may not see an interrupt
SAVE_EVERY = 10.0  # seconds between two savings of the table: what a power cut may cost


@dataclass(frozen=True)
class Picture:
    """A picture file; its pixels are read when they are needed."""

    set: str
    """Name of its folder."""
    name: str
    """Of the file, without the ending."""
    path: Path

    @property
    def pixels(self) -> RGB:
        """Its colours, see `to_rgb`. Raises `CalotypeError` or `OSError`."""
        return _read(self.path)

    @property
    def hash(self) -> str:
        """First 16 hexadecimal digits of SHA-256 over the samples."""
        return _hash(self.path)


class Progress(NamedTuple):
    done: int
    """Rows finished, those kept from before included."""
    total: int
    row: Row | None
    """The latest; None at the start."""


_Identity = tuple[str, str | None]  # version of the library, digest of the weights


class _Job(NamedTuple):
    subject: Rival
    picture: Picture
    quality: float


class _Key(NamedTuple):
    """What tells rows apart."""

    codec: str
    set: str
    picture: str
    quality: float


def find_pictures(sources: Iterable[Path]) -> list[Picture]:
    """Pictures from files, and from folders those directly in them, by name.

    Raises
    ------
    CalotypeError
        A source is not there or holds none, or two pictures have the same name in folders of the same name.
    """
    pictures = []
    for place in sources:
        files = [place]
        if place.is_dir():
            files = sorted(path for path in place.iterdir() if path.suffix.lower() in PICTURE_ENDINGS)
        if not files or not files[0].is_file():
            raise CalotypeError(f"{place} holds no pictures to measure; name picture files, or folders with some")
        pictures += [Picture(file.resolve().parent.name, file.stem, file) for file in files]
    names = [(picture.set, picture.name) for picture in pictures]
    for twice in {name for name in names if names.count(name) > 1}:
        raise CalotypeError(f"two pictures are called {'/'.join(twice)}; rename one, or its folder")
    return pictures


def bench(
    pictures: Sequence[Picture],
    subjects: Sequence[Rival],
    out: Path,
    *,
    metrics: Sequence[Metric],
    jobs: int = 1,
    timeout: float = TIMEOUT,
    keep_files: bool = True,
    report: Callable[[Progress], None] = lambda progress: None,
) -> list[Row]:
    """Code every picture with every subject at each of its qualities, and measure what comes back.

    A coding runs on one thread, `jobs` of them at a time, each in a process of its own; what fails becomes a row with
    its `error`. Rows that `out` already holds are not measured again if picture, version, weights and metrics are
    the same; failed ones are tried again, and those of the same subjects with other versions or weights are dropped.

    Parameters
    ----------
    out
        Folder for the table and the coded files; see `rows`.
    keep_files
        Keep the coded files and the originals as PNG, which the viewer of the report shows.
    timeout
        Seconds for coding and decoding one picture.
    report
        Called after each row, from one thread at a time.

    Returns
    -------
    list[Row]
        All rows of these pictures and subjects, in the order of subjects, pictures and qualities.
    """
    wanted = [_Job(subject, picture, q) for subject in subjects for picture in pictures for q in subject.qualities]
    keys = [_key(job) for job in wanted]
    kept = out if keep_files else None
    with _Table(out / ROWS, keys, {subject.name: _identity(subject) for subject in subjects}) as table:
        todo = [job for job, key in zip(wanted, keys, strict=True) if not _is_done(table.get(key), job, metrics, kept)]
        count = _Count(len(wanted) - len(todo), len(wanted), report)
        queue = _Shared(todo)

        def work() -> None:
            with _Slot(timeout) as slot, queue:
                for job in queue:
                    row = _measure(slot, job, metrics, jobs, kept)
                    if not queue.stopped:  # then the worker may have been stopped too
                        table.put(row)
                        count.add(row)

        with ThreadPoolExecutor(jobs) as pool:
            try:  # begins before the first thread does: an interrupt may come at once
                futures = [pool.submit(work) for _ in range(jobs)]
                while wait(futures, timeout=PATIENCE, return_when=FIRST_EXCEPTION).not_done and not queue.stopped:
                    pass
            finally:
                queue.stopped = True
        for future in futures:
            future.result()
        return [row for row in map(table.get, keys) if row is not None]


def to_rgb(image: Image) -> RGB:
    """The colours of an image as (height, width, 3) of 8 bits: grey is repeated, alpha left out, 16 bits rounded."""
    colours = image.pixels[..., : 1 if image.channels < 3 else 3].astype(np.uint32)
    peak = (1 << image.depth) - 1
    return np.broadcast_to((colours * 255 + peak // 2) // peak, (image.height, image.width, 3)).astype(np.uint8)


class _Slot:
    """A worker that is exchanged when another codec is asked for, or when it died."""

    def __init__(self, timeout: float):
        self.timeout = timeout
        self._worker: Worker | None = None

    def worker(self, codec: str) -> Worker:
        if self._worker is None or self._worker.codec != codec or not self._worker.alive:
            self.__exit__()
            self._worker = Worker(codec, threads=1, timeout=self.timeout)
        return self._worker

    def __enter__(self) -> _Slot:
        return self

    def __exit__(self, *_: object) -> None:
        if self._worker is not None:
            self._worker.close()
        self._worker = None


class _Shared(Iterator[_Job]):
    """One list of jobs for several threads; when one of them fails, all stop."""

    def __init__(self, jobs: Iterable[_Job]):
        self._jobs, self._lock, self.stopped = iter(jobs), threading.Lock(), False

    def __enter__(self) -> _Shared:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.stopped |= kind is not None

    def __next__(self) -> _Job:
        with self._lock:
            if self.stopped:
                raise StopIteration
            return next(self._jobs)


class _Table:
    """Rows by key, saved now and then and at the end, however it comes.

    Those of subjects that are now another version, or have other weights, do not go with new ones and are left out.
    """

    def __init__(self, path: Path, order: Sequence[_Key], identities: Mapping[str, _Identity]):
        self.path, self._order, self._lock = path, order, threading.Lock()
        rows = read_table(path, Row) if path.is_file() else []
        rows = [row for row in rows if identities.get(row.codec) in (None, (row.version, row.digest))]
        self._rows = {self._key(row): row for row in rows}
        self._saved = time.monotonic()

    def get(self, key: _Key) -> Row | None:
        return self._rows.get(key)

    def put(self, row: Row) -> None:
        with self._lock:
            self._rows[self._key(row)] = row
            if time.monotonic() - self._saved > SAVE_EVERY:
                self._save()

    def __enter__(self) -> _Table:
        return self

    def __exit__(self, *_: object) -> None:
        self._save()

    @staticmethod
    def _key(row: Row) -> _Key:
        return _Key(row.codec, row.set, row.picture, row.quality)

    def _save(self) -> None:
        """The rows asked for now in their order, then those of earlier benches."""
        keys = dict.fromkeys([*self._order, *self._rows])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_table(self.path, [self._rows[key] for key in keys if key in self._rows], Row)
        self._saved = time.monotonic()


class _Count:
    def __init__(self, done: int, total: int, report: Callable[[Progress], None]):
        self._done, self._total, self._report, self._lock = done, total, report, threading.Lock()
        report(Progress(done, total, None))

    def add(self, row: Row) -> None:
        with self._lock:
            self._done += 1
            self._report(Progress(self._done, self._total, row))


def _identity(subject: Rival) -> _Identity:
    return subject.version(), digest(subject)


def _key(job: _Job) -> _Key:
    return _Key(job.subject.name, job.picture.set, job.picture.name, job.quality)


def _is_done(row: Row | None, job: _Job, metrics: Sequence[Metric], kept: Path | None) -> bool:
    """Whether a row of an earlier bench is what would be measured now."""
    return (
        row is not None
        and row.error is None
        and row.picture_hash == job.picture.hash
        and {metric.name for metric in metrics} <= row.metrics.keys()
        and (kept is None or file_of(kept, row).is_file())
    )


def _measure(slot: _Slot, job: _Job, metrics: Sequence[Metric], jobs: int, kept: Path | None) -> Row:
    """Code, decode and compare one picture; what fails goes into the row."""
    subject, picture = job.subject, job.picture
    row = Row(
        set=picture.set,
        picture=picture.name,
        **describe(subject),
        ending=subject.ending,
        quality=job.quality,
        device="cpu",
        threads=1,
        jobs=jobs,
        processor=processor(),
    )
    try:
        height, width, _ = picture.pixels.shape
        row = replace(row, width=width, height=height, picture_hash=picture.hash)
        coded = slot.worker(source(subject)).code(picture.pixels, job.quality, count=True)
        return _complete(row, coded, picture, metrics, kept)
    except (CalotypeError, OSError) as error:
        return replace(row, error=str(error))
    except Exception as error:  # a night's work must not end with one picture
        return replace(row, error=f"{type(error).__name__}: {error}")


def _complete(row: Row, coded: Coded, picture: Picture, metrics: Sequence[Metric], kept: Path | None) -> Row:
    if coded.decoded.shape != picture.pixels.shape:
        raise CodingFailed(f"decoded to {coded.decoded.shape} instead of {picture.pixels.shape}")
    found = {metric.name: metric.measure(picture.pixels, coded.decoded) for metric in metrics}
    row = replace(
        row,
        bytes=len(coded.data),
        encode_seconds=coded.encode_seconds,
        decode_seconds=coded.decode_seconds,
        encode_peak_bytes=coded.encode_peak_bytes,
        decode_peak_bytes=coded.decode_peak_bytes,
        ideal_bits=coded.ideal_bits,
        frame_bytes=coded.frame_bytes,
        metrics={name: math.nan if value is None else value for name, value in found.items()},
    )
    if kept is not None:
        _keep(file_of(kept, row), coded.data, picture)
    return row


def _keep(path: Path, data: bytes, picture: Picture) -> None:
    """The coded file, and once the picture itself beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    original = path.with_name(ORIGINAL)
    if not original.exists():
        write_bytes(original, encode_image(Image.from_array(picture.pixels), "PNG"))
    write_bytes(path, data)


@lru_cache(maxsize=4)  # jobs go through the qualities of one picture first
def _read(path: Path) -> RGB:
    pixels = to_rgb(read_image(path))
    pixels.flags.writeable = False
    return pixels


@cache
def _hash(path: Path) -> str:
    pixels = _read(path)
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:16]
