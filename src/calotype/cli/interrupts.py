"""Ctrl-C and SIGTERM: the process ends at once, whatever its threads do, and says so in one line.

Python interrupts only its main thread, and there only between two steps of Python; and it waits at its end for threads
at work. So what takes long runs `beside` the main thread, which alone writes files, cleans up, and ends the process.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, TypeVar

from .failures import say

LOOK = 0.1  # seconds; an interrupt just before a wait begins is seen when it ends, so none may be endless

Result = TypeVar("Result")


@contextmanager
def stopping() -> Iterator[None]:
    """A block that Ctrl-C or SIGTERM ends, and the process with it; `finally` and `with` inside are honoured."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    except KeyboardInterrupt as stopped:
        say("calotype: interrupted")
        leave(128 + (stopped.args or (signal.SIGINT,))[0])


def beside(work: Callable[..., Result], *arguments: object) -> Result:
    """What `work` returns, from a thread of its own: an interrupt leaves it to itself."""
    from concurrent.futures import Future, wait
    from contextvars import copy_context
    from threading import Thread

    future: Future[Result] = Future()

    def call() -> None:
        try:
            future.set_result(work(*arguments))
        except BaseException as error:
            future.set_exception(error)

    Thread(target=copy_context().run, args=(call,), daemon=True).start()
    while not future.done():
        wait([future], LOOK)
    return future.result()


def leave(status: int) -> NoReturn:
    """End the process without waiting for its threads."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(status)


def _stop(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt(number)
