"""Progress bars on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


@contextmanager
def training_bar(total: float) -> Iterator[Callable[[float, Mapping[str, float]], None]]:
    """A bar over `total` seconds of training; call it with the seconds done and the latest figures."""
    with _bar() as progress:
        task = progress.add_task("training", total=total)

        def advance(done: float, figures: Mapping[str, float]) -> None:
            text = "  ".join(f"{key} {value:.4g}" for key, value in figures.items() if key != "norm")
            progress.update(task, completed=done, description=text)

        yield advance


@contextmanager
def bench_bar(doing: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar over turns; call it with the number done, that of all, and what is being measured."""
    with _bar() as progress:
        task = progress.add_task(doing, total=None)

        def advance(done: int, total: int, what: str) -> None:
            progress.update(task, completed=done, total=total, description=f"{doing} {what} {done}/{total}")

        yield advance


@contextmanager
def passing_bar(doing: str) -> Iterator[Callable[[int, int], None]]:
    """A bar over parts, if there are several, that goes when they are done; call it with the number done and of all."""
    with ExitStack() as shown:
        bar: Progress | None = None

        def advance(done: int, total: int) -> None:
            nonlocal bar
            if bar is None and total > 1:
                bar = shown.enter_context(_bar(transient=True))
                bar.add_task(doing)
            if bar is not None:
                bar.update(bar.task_ids[0], completed=done, total=total)

        yield advance


def _bar(transient: bool = False) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=transient,
    )
