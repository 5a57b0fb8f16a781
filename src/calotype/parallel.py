"""Work on several threads at a time, results in order, memory for a few pieces only; and who hears how far it is.

Networks, the entropy coder and NumPy release Python's lock, so that threads really work beside each other.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import TypeVar

AHEAD = 2  # one in work, one waiting
ON_A_GPU = 4  # threads for one GPU: it runs the networks of one image while others are read and entropy-coded

Listener = Callable[[int, int], None]  # called with the number of pieces that are done, and that of all
_mine = threading.local()  # `given_up` of a thread of `in_order`: an event that says so
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def at_a_time(device: str | None) -> int:
    """How many images to have in work where nothing was asked for."""
    return cores() if device in (None, "cpu") else min(cores(), ON_A_GPU)


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int = AHEAD
) -> Generator[Result, None, None]:
    """`map(work, items)` on threads, with up to `ahead` items per thread taken before their turn.

    What is raised, here or by `work`, ends it; work on items that were taken may then go on for a moment, or until it
    looks whether it is `still_wanted`.
    """
    if threads == 1:
        yield from map(work, items)
        return
    from concurrent.futures import Future, ThreadPoolExecutor  # not needed for a single image

    given_up = threading.Event()

    def attempt(item: Item) -> Result:
        _mine.given_up = given_up
        return work(item)

    coming, running = iter(items), deque[Future[Result]]()
    pool = ThreadPoolExecutor(threads)
    try:
        while True:
            running.extend(pool.submit(attempt, item) for item in islice(coming, ahead * threads - len(running)))
            if not running:
                return
            yield running.popleft().result()
    finally:
        given_up.set()
        pool.shutdown(wait=False, cancel_futures=True)


class GivenUp(Exception):
    """Raised in a thread whose result nobody waits for."""


def still_wanted() -> None:
    """Raise `GivenUp` on a thread of `in_order` that has ended: for loops of seconds, which Ctrl-C leaves behind."""
    given_up = getattr(_mine, "given_up", None)
    if given_up is not None and given_up.is_set():
        raise GivenUp


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Within, `listener` hears of all that is `told`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def told(results: Iterable[Result], total: int) -> Iterator[Result]:
    """The same results; who listens hears how many of all there are."""
    tell(0, total)
    for done, result in enumerate(results, 1):
        tell(done, total)
        yield result


def tell(done: int, total: int) -> None:
    """Who listens hears that so many pieces of all are done; for work that is no loop over results."""
    if listener := _listener.get():
        listener(done, total)
