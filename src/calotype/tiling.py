"""Large images in bounded memory: a grid of tiles, and windows around them that overlap by a halo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from .errors import Unsupported
from .options import Region

Item = TypeVar("Item")


class Span(NamedTuple):
    """A half-open range of rows or columns."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start

    def grown(self, halo: int, limit: int) -> Span:
        """Wider by the halo on both sides, within 0..limit."""
        return Span(max(0, self.start - halo), min(limit, self.stop + halo))

    def within(self, outer: Span) -> slice:
        """Where this range lies in an array that holds `outer`."""
        return slice(self.start - outer.start, self.stop - outer.start)

    def shared(self, other: Span) -> Span:
        """The common part; empty (size <= 0) where there is none."""
        return Span(max(self.start, other.start), min(self.stop, other.stop))


class Tile(NamedTuple):
    """One place of a grid."""

    row: int
    column: int
    y: Span
    x: Span


@dataclass(frozen=True)
class Grid:
    """Square tiles of side `size` over a height x width plane; those at the right and the bottom may be smaller."""

    height: int
    width: int
    size: int

    @property
    def rows(self) -> int:
        return -(-self.height // self.size)

    @property
    def columns(self) -> int:
        return -(-self.width // self.size)

    def tile(self, row: int, column: int) -> Tile:
        y, x = row * self.size, column * self.size
        return Tile(row, column, Span(y, min(y + self.size, self.height)), Span(x, min(x + self.size, self.width)))

    def __iter__(self) -> Iterator[Tile]:
        """Row by row."""
        return (self.tile(row, column) for row in range(self.rows) for column in range(self.columns))

    def of(self, items: Sequence[Item], tile: Tile, part: int = 0, parts: int = 1) -> Item:
        """A tile's own of `parts` items for each tile, row by row."""
        return items[(tile.row * self.columns + tile.column) * parts + part]

    def padded(self, multiple: int) -> Grid:
        """The same tiles over a plane whose sides are grown to multiples."""
        height, width = (-(-side // multiple) * multiple for side in (self.height, self.width))
        return Grid(height, width, self.size)

    def touching(self, y: Span, x: Span) -> list[Tile]:
        """The tiles that overlap a rectangle."""
        rows = range(y.start // self.size, -(-y.stop // self.size))
        columns = range(x.start // self.size, -(-x.stop // self.size))
        return [self.tile(row, column) for row in rows for column in columns]


def check_region(region: Region | None, height: int, width: int) -> Region:
    """The region itself, or the whole image. Raises `Unsupported` if it leaves the image."""
    if region is None:
        return Region(0, 0, width, height)
    x, y, w, h = region
    if x < 0 or y < 0 or w < 1 or h < 1 or x + w > width or y + h > height:
        raise Unsupported(f"region {x},{y},{w},{h} (x, y, width, height) is not inside {width}x{height} pixels")
    return region
