"""Grids of tiles: every pixel in exactly one tile, and the arithmetic of spans and regions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.errors import Unsupported
from calotype.options import Region
from calotype.tiling import Grid, Span, Tile, check_region

GRIDS = st.builds(Grid, height=st.integers(1, 40), width=st.integers(1, 40), size=st.integers(1, 17))
SPANS = st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda ends: Span(min(ends), max(ends)))


@given(GRIDS)
def test_every_pixel_is_in_one_tile(grid: Grid) -> None:
    counts = np.zeros((grid.height, grid.width), int)
    for tile in grid:
        assert 0 < tile.y.size <= grid.size
        assert 0 < tile.x.size <= grid.size
        counts[slice(*tile.y), slice(*tile.x)] += 1
    np.testing.assert_array_equal(counts, 1)


@given(GRIDS)
def test_tiles_come_row_by_row(grid: Grid) -> None:
    places = [(tile.row, tile.column) for tile in grid]
    assert places == [(row, column) for row in range(grid.rows) for column in range(grid.columns)]
    assert all(grid.tile(*place) == tile for place, tile in zip(places, grid, strict=True))


def test_tiles_at_the_edges_are_smaller() -> None:
    grid = Grid(height=70, width=64, size=32)
    assert (grid.rows, grid.columns) == (3, 2)
    assert grid.tile(2, 1) == Tile(2, 1, Span(64, 70), Span(32, 64))


@given(GRIDS, st.data())
def test_a_rectangle_touches_the_tiles_it_overlaps(grid: Grid, data: st.DataObject) -> None:
    top, left = data.draw(st.integers(0, grid.height - 1)), data.draw(st.integers(0, grid.width - 1))
    y, x = (
        Span(top, data.draw(st.integers(top + 1, grid.height))),
        Span(left, data.draw(st.integers(left + 1, grid.width))),
    )
    overlapping = [tile for tile in grid if tile.y.shared(y).size > 0 and tile.x.shared(x).size > 0]
    assert grid.touching(y, x) == overlapping


@given(SPANS, SPANS)
def test_what_spans_share(one: Span, other: Span) -> None:
    shared = one.shared(other)
    assert shared == other.shared(one)
    assert list(range(*shared)) == [place for place in range(*one) if place in range(*other)]
    assert (shared.size > 0) == bool(set(range(*one)) & set(range(*other)))


@given(SPANS, st.integers(0, 20), st.integers(0, 20))
def test_spans_grow_up_to_the_limits(span: Span, halo: int, room: int) -> None:
    limit = span.stop + room
    grown = span.grown(halo, limit)
    wanted = range(span.start - halo, span.stop + halo)
    assert list(range(*grown)) == [place for place in wanted if 0 <= place < limit]
    np.testing.assert_array_equal(np.arange(*grown)[span.within(grown)], np.arange(*span))


@pytest.mark.parametrize(
    "region", [Region(0, 0, 1, 1), Region(29, 19, 1, 1), Region(0, 0, 30, 20), Region(3, 4, 27, 16)]
)
def test_regions_inside_are_kept(region: Region) -> None:
    assert check_region(region, height=20, width=30) == region


def test_no_region_is_everything() -> None:
    assert check_region(None, height=20, width=30) == Region(0, 0, 30, 20)


@pytest.mark.parametrize(
    "region",
    [
        (-1, 0, 5, 5),
        (0, -1, 5, 5),
        (0, 0, 0, 5),
        (0, 0, 5, 0),
        (0, 0, 31, 1),
        (0, 0, 1, 21),
        (30, 0, 1, 1),
        (0, 20, 1, 1),
    ],
)
def test_other_regions_are_refused(region: tuple[int, int, int, int]) -> None:
    with pytest.raises(Unsupported, match=",".join(map(str, region))):
        check_region(Region(*region), height=20, width=30)
