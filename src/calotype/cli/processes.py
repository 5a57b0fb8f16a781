"""Child processes that share the inputs of one verb: they read and code, the parent writes.

Because only the parent writes, children can be killed at any moment without leaving half a file. `main` is the other
end of `Child`: pickled jobs come on stdin, answers leave on stdout. Both ends are ours, so pickle is safe here. A child
whose parent is gone finds its stdin closed and ends.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import IO

from ..errors import CalotypeError
from .failures import DEBUG
from .jobs import Job, Made, Make

_ENTRY = f"from {__name__} import main; main()"


class Crew:
    """Up to as many children as threads call `make` at a time; each starts with its first job.

    Raises
    ------
    CalotypeError
        From `make`: the child died, and with it this job. Everything else is what the job itself raised.
    """

    def __init__(self, make: Make) -> None:
        self._make = make
        self._children: list[Child] = []
        self._idle: list[Child] = []
        self._closed = False
        self._lock = threading.Lock()

    def make(self, job: Job) -> Made:
        with self._lock:
            if self._closed:
                raise CalotypeError("stopped")
            if not self._idle:
                self._children.append(Child(self._make))
                self._idle.append(self._children[-1])
            child = self._idle.pop()
        answer = child.ask(job)
        self._idle.append(child)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Kill all, at work or not."""
        with self._lock:
            self._closed = True
            for child in self._children:
                child.close()


class Child:
    """One process."""

    def __init__(self, make: Make) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ENTRY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the parent, which closes us
        )
        self._first: tuple[Make, ...] = (make,)

    def ask(self, job: Job) -> Made | Exception:
        try:
            for message in (*self._first, job):
                pickle.dump(message, self._process.stdin)  # type: ignore[arg-type]
            self._first = ()
            self._process.stdin.flush()  # type: ignore[union-attr]
            return pickle.load(self._process.stdout)  # type: ignore[arg-type, no-any-return]
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            status = self._process.wait()
            reason = signal.Signals(-status).name if status < 0 else f"status {status}"
            memory = "; fewer --jobs need less memory" if status == -signal.SIGKILL else ""
            raise CalotypeError(f"the process that worked on it died ({reason}){memory}") from None

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def main() -> None:
    """Serve one parent."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with answers
    for answer in _answers(sys.stdin.buffer):
        try:
            pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
            answers.flush()
        except BrokenPipeError:  # nobody waits for it
            os._exit(1)


def _answers(requests: IO[bytes]) -> Iterator[Made | Exception]:
    try:
        make = pickle.load(requests)
        while True:
            job = pickle.load(requests)
            try:
                yield make(job)
            except Exception as error:
                yield _portable(error)
    except EOFError:
        return


def _portable(error: Exception) -> Exception:
    """The error if it survives the way, else one that says the same."""
    if DEBUG in os.environ:
        error.add_note(traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
