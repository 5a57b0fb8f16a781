"""A process that codes and decodes with one codec: its memory is its own, and if it dies, nothing else does.

`main` is the other end of `Worker`: pickled requests come on stdin, answers leave on stdout. Both ends are ours, so
pickle is safe here.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ...errors import CalotypeError
from ...image import Image
from ..rivals import Rival, Rung
from .subjects import Own, example, find_subject

TIMEOUT = 600.0  # seconds for coding and decoding one image

_ENTRY = f"from {__name__} import main; main()"


class CodingFailed(CalotypeError):
    """A codec raised, died or took too long."""


@dataclass(frozen=True)
class Coded:
    """One image coded and decoded."""

    data: bytes
    """The whole file."""
    decoded: Image
    encode_seconds: float
    decode_seconds: float
    encode_peak_bytes: int
    """Peak resident memory of the process, interpreter and libraries included."""
    decode_peak_bytes: int
    ideal_bits: float | None = None
    """Size of the file by the bit counter; Calotype only."""
    frame_bytes: int | None = None
    """All of the file but the bodies of its chunks; Calotype only."""


class Worker:
    """A process with one codec, which has coded and decoded an empty image of 64x64 pixels and waits.

    Parameters
    ----------
    codec
        As `subjects.find_subject` takes it.
    cores
        Processor cores that the process may use; empty for all.

    Raises
    ------
    CodingFailed
        The codec could not be loaded.
    """

    def __init__(self, codec: str, threads: int, cores: Sequence[int] = (), timeout: float = TIMEOUT):
        self.codec, self.timeout = codec, timeout
        started = time.perf_counter()
        command = [sys.executable, "-c", _ENTRY, codec, str(threads), ",".join(map(str, cores))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._receive()  # what says that it is ready
        self.start_seconds = time.perf_counter() - started

    def code(self, image: Image, rung: Rung, *, count: bool = False) -> Coded:
        """Code and decode an image; `count` asks for the bit counter too, where there is one.

        Raises
        ------
        CodingFailed
            It raised, died or took too long; after the last two the worker is of no more use (`alive`).
        """
        try:
            pickle.dump((image, rung, count), self._process.stdin, protocol=pickle.HIGHEST_PROTOCOL)  # type: ignore[arg-type]
            self._process.stdin.flush()  # type: ignore[union-attr]
        except BrokenPipeError:
            raise self._death() from None
        return self._receive()  # type: ignore[no-any-return]

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Kill the process; from any thread. What it codes now fails."""
        self._process.kill()

    def close(self) -> None:
        """Kill the process and wait for its end."""
        self._process.kill()
        self._process.communicate()

    def _receive(self) -> Any:
        timer = threading.Timer(self.timeout, self._process.kill)
        timer.start()
        try:
            answer = pickle.load(self._process.stdout)  # type: ignore[arg-type]
        except (EOFError, pickle.UnpicklingError):
            raise self._death() from None
        finally:
            timer.cancel()
        if isinstance(answer, str):
            raise CodingFailed(answer)
        return answer

    def _death(self) -> CodingFailed:
        status = self._process.wait()
        if status == -signal.SIGKILL:
            return CodingFailed(f"killed: out of memory, or longer than {self.timeout:g} s")
        reason = signal.Signals(-status).name if status < 0 else f"status {status}"
        return CodingFailed(f"the process died ({reason})")


def main() -> None:
    """Serve requests for one codec: `sys.argv` holds its name, the number of threads, and cores with commas."""
    codec, threads, cores = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes us
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, map(int, cores.split(",")))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with answers
    _serve(sys.stdin.buffer, answers, codec, int(threads))


def _serve(requests: IO[bytes], answers: IO[bytes], codec: str, threads: int) -> None:
    def answer(value: object) -> None:
        pickle.dump(value, answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()

    try:
        subject = find_subject(codec)
        subject.decode(subject.encode(example(subject), subject.ladder[-1], threads), threads)
    except Exception as error:
        return answer(_describe(error))
    answer(True)
    warm = False
    while True:
        try:
            image, rung, count = pickle.load(requests)
        except EOFError:
            return None
        try:
            if not warm:  # so that no clock sees anything being loaded
                subject.decode(subject.encode(image, rung, threads), threads)
                warm = True
            answer(_code(subject, image, rung, threads, count))
        except Exception as error:
            answer(_describe(error))


def _code(subject: Rival, image: Image, rung: Rung, threads: int, count: bool) -> Coded:
    _reset_peak()
    start = time.perf_counter()
    data = subject.encode(image, rung, threads)
    encoded = time.perf_counter()
    encode_peak = _peak_bytes()
    _reset_peak()
    middle = time.perf_counter()
    decoded = subject.decode(data, threads)
    end = time.perf_counter()
    own = subject if isinstance(subject, Own) else None
    return Coded(
        data=data,
        decoded=decoded,
        encode_seconds=encoded - start,
        decode_seconds=end - middle,
        encode_peak_bytes=encode_peak,
        decode_peak_bytes=_peak_bytes(),
        ideal_bits=own.ideal_bits(image, rung, threads) if own and count else None,
        frame_bytes=own.frame_bytes(data) if own else None,
    )


_PROC = Path("/proc/self")  # Linux; elsewhere the peak is that since the process began


def _reset_peak() -> None:
    if (_PROC / "clear_refs").exists():
        (_PROC / "clear_refs").write_text("5")  # proc(5): resets VmHWM


def _peak_bytes() -> int:
    if not (_PROC / "status").exists():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    fields = dict(line.split(":", 1) for line in (_PROC / "status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) * 1024


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
