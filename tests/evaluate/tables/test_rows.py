"""Tables: what is written comes back, also from tables of earlier versions; all else is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from calotype.errors import CalotypeError

pytest.importorskip("pyarrow")

from calotype.evaluate.tables.folder import ROWS, load_bench
from calotype.evaluate.tables.rows import Row, Timing, read_table, write_table


@pytest.fixture(scope="module")
def rows(bench_folder: Path) -> list[Row]:
    return read_table(bench_folder / ROWS, Row)


def test_tables_come_back_as_they_were(rows: list[Row], tmp_path: Path) -> None:
    failed = dataclasses.replace(rows[0], bytes=None, metrics={}, error="it broke", width=None)
    write_table(tmp_path / ROWS, [*rows, failed], Row)
    again = read_table(tmp_path / ROWS, Row)
    assert repr(again) == repr([*rows, failed])  # repr, for NaN is not equal to itself
    write_table(tmp_path / ROWS, [], Row)
    assert read_table(tmp_path / ROWS, Row) == []


@pytest.mark.parametrize("content", [b"", b"PAR1 but not really", b"x" * 100])
def test_a_table_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ROWS).write_bytes(content)
    with pytest.raises(CalotypeError, match="delete it"):
        read_table(tmp_path / ROWS, Row)


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / ROWS, [], Timing)
    with pytest.raises(CalotypeError, match="delete it"):
        load_bench(tmp_path)
    with pytest.raises(CalotypeError, match="calotype bench"):
        load_bench(tmp_path / "nothing")


def test_tables_of_earlier_versions_are_read(rows: list[Row], tmp_path: Path) -> None:
    """Columns had other names, and there were none for what was 8-bit RGB always."""
    import pyarrow.parquet as pq

    table = pq.read_table(_written(tmp_path, rows)).drop_columns(["channels", "depth", "views", "applicable"])
    former = {"image": "picture", "image_hash": "picture_hash"}
    pq.write_table(table.rename_columns([former.get(name, name) for name in table.column_names]), tmp_path / ROWS)
    assert repr(read_table(tmp_path / ROWS, Row)) == repr(rows)
    pq.write_table(table.drop_columns(["codec"]), tmp_path / ROWS)
    with pytest.raises(CalotypeError, match="delete it"):
        read_table(tmp_path / ROWS, Row)


def test_rates_are_over_all_channels_and_views(rows: list[Row]) -> None:
    row = dataclasses.replace(rows[0], width=10, height=20, channels=4, views=6, depth=16, bytes=900)
    assert row.pixels == 1200
    assert row.bpp == 6
    assert row.bpsp == 1.5


def _written(folder: Path, rows: list[Row]) -> Path:
    write_table(folder / ROWS, rows, Row)
    return folder / ROWS
