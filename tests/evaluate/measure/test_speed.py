"""Clocks: codecs in turns, each in a process of its own; what is timed, and what is not timed twice."""

from __future__ import annotations

import math
import os
from pathlib import Path
from statistics import fmean

import pytest

from calotype.errors import Unsupported
from calotype.evaluate.measure.images import find_images
from calotype.evaluate.measure.speed import Contender, choose, is_timed, spread, time_codecs
from calotype.evaluate.measure.subjects import Own
from calotype.evaluate.rivals import Rung, find_rivals

pytest.importorskip("pyarrow")

from calotype.evaluate.tables.folder import ROWS, TIMINGS
from calotype.evaluate.tables.rows import Row, Timing, read_table

MODEL, LADDER = "deflate.coarse", (0.0, 40.0, 70.0, 95.0)
FAULTY = Own(MODEL, (40.0, 55.0, 70.0))  # tests/plugin fails at 55, if it is told to


@pytest.fixture(scope="module")
def rows(bench_folder: Path) -> list[Row]:
    return read_table(bench_folder / ROWS, Row)


def test_codecs_take_turns(bench_folder: Path) -> None:
    timings = read_table(bench_folder / TIMINGS, Timing)
    expected = [(turn, image, codec) for turn in (0, 1) for image in ("a", "b") for codec in (MODEL, "jpeg-420")]
    assert [(t.round, t.image, t.codec) for t in timings] == expected
    assert all(t.start_seconds > 0 and t.encode_seconds > 0 and t.decode_seconds > 0 for t in timings)
    assert {t.cores for t in timings} == {1}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores cannot be chosen on this system")
def test_more_cores_than_there_are_are_left_out(small_set: Path) -> None:
    have = len(os.sched_getaffinity(0))
    contender = Contender(Own(MODEL), Rung(40.0))
    timings = time_codecs([contender], find_images([small_set / "a.png"]), cores=(1, have, have + 1), rounds=1)
    assert [t.cores for t in timings] == [1, have]


def test_a_codec_that_fails_takes_no_more_turns(small_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALOTYPE_TESTING_FAULT", "die")
    said, turns = list[str](), list[int]()
    contenders = [Contender(FAULTY, Rung(55.0)), Contender(FAULTY, Rung(40.0))]
    timings = time_codecs(
        contenders, find_images([small_set]), cores=(1,), rounds=2, complain=said.append,
        report=lambda done, total, codec: turns.append(done),
    )  # fmt: skip
    assert {timing.quality for timing in timings} == {40.0}
    assert len(timings) == 4
    assert len(said) == 1
    assert said[0].startswith(f"timed no further: {MODEL} on a: ")


def test_what_is_timed_is_chosen_by_rate(rows: list[Row], small_set: Path) -> None:
    subjects = [Own(MODEL, LADDER), *find_rivals(("jpeg-420", "webp", "png"))]
    assert [contender.subject.name for contender in choose(subjects, rows)] == [MODEL]
    chosen = choose(subjects, rows, ["png", "webp"])
    assert [contender.subject.name for contender in chosen] == ["png", "webp"]
    rates: dict[Rung, float] = {}
    for rung in subjects[2].ladder:
        of_rung = [row.bpp for row in rows if row.codec == "webp" and row.quality == rung.number]
        rates[rung] = fmean(of_rung)
    assert chosen[1].rung == min(rates, key=lambda rung: abs(math.log(rates[rung] / 0.75)))
    with pytest.raises(Unsupported, match="jxl-e7"):
        choose(subjects, rows, ["jxl-e7"])


def test_timings_are_not_taken_twice(bench_folder: Path, small_set: Path) -> None:
    timings, images = read_table(bench_folder / TIMINGS, Timing), find_images([small_set])
    same = [Contender(Own(MODEL), Rung(70.0)), Contender(find_rivals(("jpeg-420",))[0], Rung(50))]
    assert is_timed(timings, same, images)
    assert not is_timed(timings, same[:1], images)
    assert not is_timed(timings, [same[0]._replace(rung=Rung(40.0)), same[1]], images)


def test_few_images_are_spread_over_many(small_set: Path) -> None:
    images = find_images([small_set]) * 10
    assert spread(images, 3) == [images[0], images[10], images[19]]
    assert spread(images[:2], 6) == images[:2]
