"""`in_order`: results in order, items taken only when they are needed, and an end when something is raised."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from calotype.parallel import AHEAD, ON_A_GPU, GivenUp, at_a_time, cores, in_order, still_wanted

TIMEOUT = 60.0  # seconds, after which a thread that nobody wakes is a failure


class Counted:
    """Numbers from 0, and how many of them were taken."""

    def __init__(self, count: int) -> None:
        self.count, self.taken = count, 0

    def __iter__(self) -> Iterator[int]:
        for number in range(self.count):
            self.taken += 1
            yield number


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 23])
def test_it_is_a_map(count: int, threads: int) -> None:
    assert list(in_order(lambda number: number**2, range(count), threads)) == [number**2 for number in range(count)]


def test_order_does_not_depend_on_what_is_ready_first() -> None:
    second_is_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_is_done.wait(TIMEOUT)
        else:
            second_is_done.set()
        return number

    assert list(in_order(work, range(6), threads=2)) == list(range(6))


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_work_beside_each_other(threads: int) -> None:
    meeting = threading.Barrier(threads, timeout=TIMEOUT)
    assert len(list(in_order(lambda _: meeting.wait(), range(2 * threads), threads))) == 2 * threads


def test_one_thread_is_the_callers() -> None:
    assert set(in_order(lambda _: threading.get_ident(), range(5), threads=1)) == {threading.get_ident()}


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("ahead", [1, AHEAD, 4])
def test_items_are_consumed_lazily(threads: int, ahead: int) -> None:
    items = Counted(50)
    results = in_order(lambda number: number, items, threads, ahead)
    assert items.taken == 0
    for done in range(1, 40):
        assert next(results) == done - 1
        assert items.taken == (done if threads == 1 else ahead * threads + done - 1)
    results.close()


@pytest.mark.parametrize("threads", [1, 3])
def test_what_work_raises_comes_in_its_turn(threads: int) -> None:
    items = Counted(50)
    results = in_order(lambda number: 60 // (7 - number), items, threads)
    assert [next(results) for _ in range(7)] == [60 // (7 - number) for number in range(7)]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []
    assert items.taken <= 8 + AHEAD * threads


@pytest.mark.parametrize("threads", [1, 3])
def test_what_the_items_raise_ends_it(threads: int) -> None:
    def items() -> Iterator[int]:
        yield from range(2)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(in_order(lambda number: number, items(), threads))


def test_what_has_not_begun_when_it_is_closed_never_does() -> None:
    go_on, begun = threading.Event(), set[int]()

    def work(number: int) -> None:
        begun.add(number)
        if number:
            assert go_on.wait(TIMEOUT)

    others = set(threading.enumerate())
    results = in_order(work, range(50), threads=2)  # takes four: one is done, two wait in both threads, one is left
    next(results)
    results.close()
    go_on.set()
    for thread in set(threading.enumerate()) - others:
        thread.join(TIMEOUT)
    assert begun <= {0, 1, 2}


def test_cores_are_those_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


@pytest.mark.parametrize("count", [1, 2, 64])
def test_a_gpu_has_few_images_in_work(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("calotype.parallel.cores", lambda: count)
    assert at_a_time(None) == at_a_time("cpu") == count
    assert at_a_time("cuda:0") == min(count, ON_A_GPU)


def test_work_that_nobody_waits_for_can_end_itself() -> None:
    """After Ctrl-C threads would else go on for as long as their items take, and Python waits for them at its end."""
    began, ended = threading.Event(), threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert began.wait(TIMEOUT)
            raise KeyboardInterrupt
        began.set()
        try:
            while True:
                still_wanted()
        except GivenUp:
            ended.set()
            raise

    with pytest.raises(KeyboardInterrupt):
        list(in_order(work, [0, 1], 2))
    assert ended.wait(TIMEOUT)
    still_wanted()  # here nothing was given up
