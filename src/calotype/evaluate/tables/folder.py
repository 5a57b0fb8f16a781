"""The folder that `calotype bench` writes: its tables, and where the coded files lie in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import CalotypeError
from .published import Published, load_published
from .rows import Row, Timing, read_table
from .summary import ImageSet, summarise

ROWS, TIMINGS = "rows.parquet", "speed.parquet"
FILES = "files"  # below it, a folder for each set, in that one for each image
ORIGINAL = "original.png"  # beside the coded files of an image


@dataclass(frozen=True)
class Bench:
    """A folder that `calotype bench` wrote."""

    folder: Path
    sets: Mapping[str, ImageSet]
    timings: Sequence[Timing]

    @property
    def rows(self) -> list[Row]:
        return [row for each in self.sets.values() for series in each.series.values() for row in series.rows]

    def file(self, row: Row) -> Path:
        """Where the coded file of a row lies, if it was kept."""
        return file_of(self.folder, row)

    def original(self, row: Row) -> Path:
        """Where the image lies, as a PNG, if files were kept."""
        return self.file(row).with_name(ORIGINAL)


def file_of(folder: Path, row: Row) -> Path:
    """Where the coded file of a row lies, if it was kept."""
    return folder / FILES / row.set / row.image / f"{row.codec}@{row.quality:g}{row.ending}"


def load_bench(folder: Path, published: Path | None = None) -> Bench:
    """Read what `calotype bench` wrote.

    Parameters
    ----------
    published
        File of published curves. None: found by CALOTYPE_DATA, or left out.

    Raises
    ------
    CalotypeError
        The folder holds no bench, or the named file is not there.
    """
    if not (folder / ROWS).is_file():
        raise CalotypeError(f"{folder} holds no {ROWS}; run: calotype bench IMAGES --out {folder}")
    rows = read_table(folder / ROWS, Row)
    timings = read_table(folder / TIMINGS, Timing) if (folder / TIMINGS).is_file() else []
    return Bench(folder, summarise(rows, _published(published)), timings)


def _published(path: Path | None) -> Mapping[str, Published]:
    try:
        return load_published(path)
    except CalotypeError:
        if path is not None:
            raise
        return {}
