"""Measure codecs over images: real files, decoded again, one row each. `calotype bench` in Python."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import CalotypeError
from ...image import Image
from ...io import encode_image, write_bytes
from ..rivals import Rival, Rung
from ..tables.folder import ORIGINAL, ROWS, file_of
from ..tables.rows import Row
from .images import ImageFile
from .ledger import Key, Ledger
from .machine import processor
from .metrics import Metric
from .subjects import describe, identities, source
from .worker import TIMEOUT, Coded, CodingFailed, Worker

PATIENCE = 0.5  # seconds between looks: a thread that only waits may not see an interrupt


class Progress(NamedTuple):
    done: int
    """Rows finished, those kept from before included."""
    total: int
    row: Row | None
    """The latest; None at the start."""


class _Job(NamedTuple):
    subject: Rival
    file: ImageFile
    rung: Rung


def bench(
    files: Sequence[ImageFile],
    subjects: Sequence[Rival],
    out: Path,
    *,
    metrics: Sequence[Metric],
    jobs: int = 1,
    timeout: float = TIMEOUT,
    keep_files: bool = True,
    report: Callable[[Progress], None] = lambda progress: None,
) -> list[Row]:
    """Code every image with every subject at each rung of its ladder, and measure what comes back.

    A coding runs on one thread, `jobs` of them at a time, each in a process of its own; what fails becomes a row with
    its `error`, and so does what a subject does not take: no image is converted for it. Rows that `out` already holds
    are not measured again if image, version, weights and metrics are the same; failed ones are tried again, and those
    of the same subjects with other versions or weights are dropped.

    Parameters
    ----------
    out
        Folder for the table and the coded files; see `tables.folder`.
    keep_files
        Keep the coded files and the originals as PNG, which the viewer of the report shows.
    timeout
        Seconds for coding and decoding one image.
    report
        Called after each row, from one thread at a time.

    Returns
    -------
    list[Row]
        All rows of these images and subjects, in the order of subjects, images and rungs.
    """
    wanted = [_Job(subject, file, rung) for subject in subjects for file in files for rung in subject.ladder]
    keys = [_key(job) for job in wanted]
    kept = out if keep_files else None
    with Ledger(out / ROWS, keys, {subject.name: identities(subject) for subject in subjects}) as table:
        todo = [job for job, key in zip(wanted, keys, strict=True) if not _is_done(table.get(key), job, metrics, kept)]
        count = _Count(len(wanted) - len(todo), len(wanted), report)
        queue = _Shared(todo)

        def work(slot: _Slot) -> None:
            with slot, queue:
                for job in queue:
                    row = _measure(slot, job, metrics, jobs, kept)
                    if not queue.stopped:  # then the worker may have been stopped too
                        table.put(row)
                        count.add(row)

        slots = [_Slot(timeout) for _ in range(jobs)]
        with ThreadPoolExecutor(jobs) as pool:
            try:  # begins before the first thread does: an interrupt may come at once
                futures = [pool.submit(work, slot) for slot in slots]
                while wait(futures, timeout=PATIENCE, return_when=FIRST_EXCEPTION).not_done and not queue.stopped:
                    pass
            finally:
                queue.stopped = True
                for slot in slots:
                    slot.stop()  # an interrupt does not wait for what is being coded
        for future in futures:
            future.result()
        return [row for row in map(table.get, keys) if row is not None]


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

    def stop(self) -> None:
        """End what is being coded; from any thread."""
        if (worker := self._worker) is not None:
            worker.stop()

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


class _Count:
    def __init__(self, done: int, total: int, report: Callable[[Progress], None]):
        self._done, self._total, self._report, self._lock = done, total, report, threading.Lock()
        report(Progress(done, total, None))

    def add(self, row: Row) -> None:
        with self._lock:
            self._done += 1
            self._report(Progress(self._done, self._total, row))


def _key(job: _Job) -> Key:
    return Key(job.subject.name, job.file.set, job.file.name, job.rung.number)


def _is_done(row: Row | None, job: _Job, metrics: Sequence[Metric], kept: Path | None) -> bool:
    """Whether a row of an earlier bench is what would be measured now."""
    return (
        row is not None
        and row.error is None
        and row.image_hash == job.file.hash
        and {metric.name for metric in metrics} <= row.metrics.keys()
        and (kept is None or file_of(kept, row).is_file())
    )


def _measure(slot: _Slot, job: _Job, metrics: Sequence[Metric], jobs: int, kept: Path | None) -> Row:
    """Code, decode and compare one image; what fails or cannot be goes into the row."""
    subject, file = job.subject, job.file
    row = Row(
        set=file.set,
        image=file.name,
        **describe(subject),
        ending=subject.ending,
        quality=job.rung.number,
        device="cpu",
        threads=1,
        jobs=jobs,
        processor=processor(),
    )
    try:
        image = file.image
        row = replace(row, **_shape(image), image_hash=file.hash)
        if refusal := subject.takes.refusal(image):
            return replace(row, applicable=False, error=f"{subject.name} {refusal}")
        coded = slot.worker(source(subject)).code(image, job.rung, count=True)
        return _complete(row, coded, image, metrics, kept)
    except (CalotypeError, OSError) as error:
        return replace(row, error=str(error))
    except Exception as error:  # a night's work must not end with one image
        return replace(row, error=f"{type(error).__name__}: {error}")


def _shape(image: Image) -> dict[str, Any]:
    """What a row says of its image."""
    return {
        "width": image.width,
        "height": image.height,
        "channels": image.channels,
        "depth": image.depth,
        "views": math.prod(image.views),
    }


def _complete(row: Row, coded: Coded, image: Image, metrics: Sequence[Metric], kept: Path | None) -> Row:
    got, expected = ((each.pixels.shape, each.depth) for each in (coded.decoded, image))
    if got != expected:
        raise CodingFailed("decoded to {} of {} bits instead of {} of {}".format(*got, *expected))
    found = {metric.name: metric.measure(image, coded.decoded) for metric in metrics}
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
        _keep(file_of(kept, row), coded.data, image)
    return row


def _keep(path: Path, data: bytes, image: Image) -> None:
    """Write the coded file, and once the image itself beside it, if one file can hold it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    original = path.with_name(ORIGINAL)
    if not original.exists() and not image.views:
        write_bytes(original, encode_image(image, "PNG"))
    write_bytes(path, data)
