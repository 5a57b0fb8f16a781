"""Planes of samples through the kernel, several at a time: one runs a few rows behind those that it refers to."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from ...errors import CorruptFile
from ...parallel import still_wanted
from ._kernel import ffi, lib
from .layout import EXACT, Bound

BLOCK = 16  # rows coded between looks at what the other threads have done

Samples = npt.NDArray[np.uint16]


class Plane:
    """One plane being coded, or decoded where a stream is given; `samples` (h, w) is read, or written.

    Coding with a bound, which no sample may be off by more than, writes what a decoder will find.

    References are other planes of the same size and effort that a decoder has before this one: 0, 1 or 2, the most
    alike first. Samples are numbers of `depth` bits in [low, high].
    """

    def __init__(
        self,
        samples: Samples,
        depth: int,
        low: int,
        high: int,
        references: Sequence[Plane],
        effort: int,
        stream: bytes | None = None,
        bound: Bound = EXACT,
    ) -> None:
        self.height, width = map(int, samples.shape)
        self.references = references
        self.rows = 0
        self._held = samples, stream  # the kernel points into them
        plane = lib.prism_open(
            width, self.height, depth, low, high, len(references), effort, *bound,
            ffi.from_buffer("uint16_t[]", samples, require_writable=stream is not None or bound.error > 0),
            ffi.NULL if stream is None else ffi.from_buffer("uint8_t[]", stream), 0 if stream is None else len(stream),
        )  # fmt: skip
        if plane == ffi.NULL:
            raise MemoryError("no memory for a plane's model")
        self._kernel = ffi.gc(plane, lib.prism_close)

    @property
    def done(self) -> bool:
        return self.rows == self.height

    @property
    def ready(self) -> bool:
        """Whether all that the next block refers to is there."""
        end: int = self.rows + BLOCK + lib.PRISM_AHEAD
        return not self.done and all(other.done or other.rows >= end for other in self.references)

    def advance(self) -> None:
        """Code the next block of rows. Raises `CorruptFile` where the stream has ended."""
        end = min(self.rows + BLOCK, self.height)
        first, second, *_ = [*(other._kernel for other in self.references), ffi.NULL, ffi.NULL]
        status = lib.prism_code(self._kernel, first, second, end)
        if status == lib.PRISM_NO_MEMORY:
            raise MemoryError("no memory for a plane's stream")
        if status:
            raise CorruptFile("a plane's stream ends too early")
        self.rows = end

    def finish(self) -> bytes:
        """The stream of a coded plane. Of a decoded one: raises `CorruptFile` where its stream goes on."""
        size = ffi.new("size_t *")
        data = lib.prism_finish(self._kernel, size)
        if self._held[1] is not None:
            if size[0]:
                raise CorruptFile("a plane's stream goes on after its last sample")
            return b""
        if data == ffi.NULL and size[0]:
            raise MemoryError("no memory for a plane's stream")
        return bytes(ffi.buffer(data, size[0])) if size[0] else b""


def code(planes: Sequence[Plane], threads: int) -> None:
    """Code planes to their ends, on up to `threads` threads. Planes come after those that they refer to."""
    if threads == 1 or len(planes) == 1:
        for plane in planes:
            while not plane.done:
                still_wanted()
                plane.advance()
        return
    changed = threading.Condition()
    waiting = list(planes)  # not in work, not done
    failed = False

    def work() -> None:
        nonlocal failed
        while True:
            with changed:
                while not (ready := [plane for plane in waiting if plane.ready]):
                    if failed or all(plane.done for plane in planes):
                        return
                    changed.wait()
                if failed:
                    return
                waiting.remove(plane := ready[-1])
            try:
                plane.advance()
            except BaseException:
                failed = True
                raise
            finally:
                with changed:
                    if not plane.done:
                        waiting.append(plane)
                    changed.notify_all()

    workers = min(threads, len(planes))
    with ThreadPoolExecutor(workers) as pool:
        try:
            for future in [pool.submit(work) for _ in range(workers)]:
                future.result()
        except BaseException:  # an interrupt too: the others end with their block
            failed = True
            raise
