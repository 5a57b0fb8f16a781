"""Speed, honestly: codecs take turns on the same images, so that a slow minute of the machine hits all alike.

Each codec runs in a process of its own, on one core and on two, with as many threads; starting it is a figure of its
own, and so is the peak of its memory. See `summary.speeds` for medians and ratios.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import NamedTuple

import numpy as np

from ...errors import CalotypeError, Unsupported
from ..rivals import Rival, Rung
from ..tables.rows import Row, Timing
from ..tables.series import series
from ..tables.speeds import REFERENCES
from .images import ImageFile
from .machine import processor
from .subjects import Own, describe, identities, source
from .worker import Worker

ROUNDS = 3
CORES = (1, 2)
IMAGES = 6  # spread over all; more make a run longer, not its medians much surer
LOSSY_BPP = 0.75  # lossy codecs are timed at the point of their ladder whose rate is nearest


class Contender(NamedTuple):
    subject: Rival
    rung: Rung


class _Lane(NamedTuple):
    contender: Contender
    cores: int
    worker: Worker


def choose(subjects: Sequence[Rival], rows: Sequence[Row], names: Sequence[str] | None = None) -> list[Contender]:
    """The codecs to time, each at the rung nearest to `LOSSY_BPP`, or its only one.

    Parameters
    ----------
    rows
        What was measured of the subjects; those that failed throughout are left out.
    names
        Of subjects. None: our models and `REFERENCES`.

    Raises
    ------
    Unsupported
        A name is not among the subjects.
    """
    by_name = {subject.name: subject for subject in subjects}
    for name in names or ():
        if name not in by_name:
            raise Unsupported(f"{name} was not measured, so it cannot be timed; measured: {', '.join(by_name)}")
    usual = [subject.name for subject in subjects if isinstance(subject, Own) or subject.name in REFERENCES]
    chosen = [by_name[name] for name in names or usual]
    measured = {subject.name: series([row for row in rows if row.codec == subject.name]) for subject in chosen}
    contenders = []
    for subject in chosen:
        if measured[subject.name].points:
            number = measured[subject.name].nearest(LOSSY_BPP).quality
            contenders += [Contender(subject, rung) for rung in subject.ladder if rung.number == number]
    return contenders


def spread(images: Sequence[ImageFile], count: int = IMAGES) -> list[ImageFile]:
    """So many of the images, evenly from first to last."""
    chosen = np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(int)
    return [images[index] for index in chosen]


def is_timed(timings: Sequence[Timing], contenders: Sequence[Contender], images: Sequence[ImageFile]) -> bool:
    """Whether timings of an earlier run are those that would be taken now."""
    had = {(t.codec, t.quality, t.set, t.image): (t.version, t.digest) for t in timings}
    wanted = {
        (subject.name, rung.number, image.set, image.name): identities(subject)
        for subject, rung in contenders
        for image in images
    }
    return had.keys() == wanted.keys() and all(had[key] in wanted[key] for key in had)


def time_codecs(
    contenders: Sequence[Contender],
    images: Sequence[ImageFile],
    *,
    cores: Sequence[int] = CORES,
    rounds: int = ROUNDS,
    report: Callable[[int, int, str], None] = lambda done, total, codec: None,
    complain: Callable[[str], None] = lambda line: None,
) -> list[Timing]:
    """Code and decode every image in turn with every contender, `rounds` times.

    Parameters
    ----------
    cores
        Numbers of cores to run on; those that the machine does not have are left out.
    report
        Gets the number of turns done, of all, and the codec whose turn it was.
    complain
        Gets a line about a codec that raised or died; it takes no more turns.
    """
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    counts = [count for count in cores if count <= len(usable)]
    timings: list[Timing] = []
    done, total = 0, rounds * len(images) * len(counts) * len(contenders)
    with ExitStack() as stack:
        lanes: list[_Lane] = []
        for count in counts:
            for contender in contenders:
                try:
                    worker = _start(contender, usable[-count:])
                    lanes.append(_Lane(contender, count, stack.enter_context(closing(worker))))
                except CalotypeError as error:
                    complain(f"not timed: {contender.subject.name}: {error}")
        for turn in range(rounds):
            for image in images:
                for lane in lanes.copy():
                    try:
                        timings.append(_time(lane, image, turn))
                    except CalotypeError as error:
                        lanes.remove(lane)
                        complain(f"timed no further: {lane.contender.subject.name} on {image.name}: {error}")
                    done += 1
                    report(done, total, lane.contender.subject.name)
    return timings


def _start(contender: Contender, cores: Sequence[int]) -> Worker:
    return Worker(source(contender.subject), len(cores), cores)


def _time(lane: _Lane, file: ImageFile, turn: int) -> Timing:
    subject, rung = lane.contender
    image = file.image
    coded = lane.worker.code(image, rung)
    return Timing(
        set=file.set,
        image=file.name,
        **describe(subject),
        quality=rung.number,
        processor=processor(),
        cores=lane.cores,
        round=turn,
        megapixels=image.pixels[..., 0].size / 1e6,
        bytes=len(coded.data),
        start_seconds=lane.worker.start_seconds,
        encode_seconds=coded.encode_seconds,
        decode_seconds=coded.decode_seconds,
        encode_peak_bytes=coded.encode_peak_bytes,
        decode_peak_bytes=coded.decode_peak_bytes,
    )
