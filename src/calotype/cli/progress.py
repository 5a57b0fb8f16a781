"""Progress bars on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def training_bar(total: float) -> Iterator[Callable[[float, Mapping[str, float]], None]]:
    """A bar over `total` seconds of training; call it with the seconds done and the latest figures."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("training", total=total)

        def advance(done: float, figures: Mapping[str, float]) -> None:
            text = "  ".join(f"{key} {value:.4g}" for key, value in figures.items() if key != "norm")
            progress.update(task, completed=done, description=text)

        yield advance
