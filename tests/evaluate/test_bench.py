"""`bench`: real bytes in every row, failures as rows, and nothing measured twice."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import calotype
from calotype.errors import CalotypeError, Unsupported, WeightsNotFound
from calotype.evaluate.measure.images import find_images, to_rgb
from calotype.evaluate.measure.metrics import find_metrics, psnr
from calotype.evaluate.measure.run import Progress, bench
from calotype.evaluate.measure.speed import Contender, choose, is_timed, spread, time_codecs
from calotype.evaluate.measure.subjects import Own, decode_kept, find_subject
from calotype.evaluate.measure.worker import CodingFailed, Worker
from calotype.evaluate.rivals import find_rivals
from calotype.image import Image

pytest.importorskip("pyarrow")

from calotype.evaluate.tables.folder import ROWS, TIMINGS, load_bench
from calotype.evaluate.tables.rows import Row, Timing, read_table, write_table

MODEL, LADDER = "deflate.coarse", (0.0, 40.0, 70.0, 95.0)
FAULTY = Own(MODEL, (40.0, 55.0, 70.0))  # tests/plugin fails at 55, if it is told to
PSNR = find_metrics(("psnr",))


# --- rows ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows(bench_folder: Path) -> list[Row]:
    return read_table(bench_folder / ROWS, Row)


def test_there_is_a_row_for_every_image_and_quality_in_order(rows: list[Row]) -> None:
    own = [(row.image, row.quality) for row in rows if row.codec == MODEL]
    assert own == [(image, quality) for image in ("a", "b") for quality in LADDER]
    assert [*dict.fromkeys(row.codec for row in rows)] == [MODEL, "jpeg-420", "jpeg-444", "webp", "png"]
    assert {row.error for row in rows} == {None}


def test_rows_count_the_whole_file(rows: list[Row], small_set: Path, bench_folder: Path) -> None:
    model = calotype.load(MODEL)
    for row in (row for row in rows if row.own):
        pixels = np.asarray(Pillow.open(small_set / f"{row.image}.png"))
        data = model.encode(pixels, row.quality)
        assert row.bytes == len(data)
        assert row.bpp == 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
        assert row.metrics["psnr"] == psnr(pixels, model.decode(data))
        assert row.ideal_bits == model.count_bits(pixels, row.quality)
        assert row.frame_bytes == len(data) - sum(size for _, size in calotype.info(data).chunks)
        assert (row.digest, row.version) == (model.card.digest.hex(), f"calotype {calotype.__version__}")


def test_files_are_kept_with_their_originals(rows: list[Row], small_set: Path, bench_folder: Path) -> None:
    found = load_bench(bench_folder)
    for row in rows:
        assert found.file(row).stat().st_size == row.bytes
        original = np.asarray(Pillow.open(found.original(row)))
        np.testing.assert_array_equal(original, np.asarray(Pillow.open(small_set / f"{row.image}.png")))
        decoded = decode_kept(row.codec, found.file(row).read_bytes())
        assert psnr(original, decoded) == row.metrics["psnr"]


def test_clocks_and_memory_are_those_of_a_process(rows: list[Row]) -> None:
    for row in rows:
        assert 0 < row.encode_seconds < 10
        assert 0 < row.decode_seconds < 10
        assert 10 * 2**20 < row.encode_peak_bytes < 2**30  # an interpreter with NumPy, not 20 GB
        assert row.threads == 1
        assert row.jobs == 2


def test_what_is_not_defined_is_not_a_number(rows: list[Row]) -> None:
    """MS-SSIM needs 161 pixels a side: the small image has none, and is not measured again for it."""
    assert all(math.isnan(row.metrics["ms_ssim"]) == (row.image == "a") for row in rows)
    assert all(math.isinf(row.metrics["psnr"]) for row in rows if row.kind == "lossless")


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


# --- going on -----------------------------------------------------------------------------------------------------


def _copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "bench"))


def test_nothing_is_measured_twice(bench_folder: Path, small_set: Path, tmp_path: Path) -> None:
    out, seen = _copy(bench_folder, tmp_path), list[Progress]()
    before = read_table(out / ROWS, Row)
    subjects = [Own(MODEL, LADDER), *find_rivals(("webp",))]
    rows = bench(find_images([small_set]), subjects, out, metrics=PSNR, report=seen.append)
    assert [progress.row for progress in seen] == [None]
    assert seen[0].done == seen[0].total == len(rows)
    assert sorted(map(repr, read_table(out / ROWS, Row))) == sorted(map(repr, before))


def test_what_changed_is_measured_again(bench_folder: Path, small_set: Path, tmp_path: Path) -> None:
    out = _copy(bench_folder, tmp_path)
    rows = read_table(out / ROWS, Row)
    changes = {
        ("a", 0.0): {"digest": "00000000"},
        ("a", 40.0): {"image_hash": "0" * 16},
        ("a", 70.0): {"error": "out of memory"},
        ("b", 0.0): {"version": "calotype 0.0"},
        ("b", 40.0): {"metrics": {}},
    }
    old = [
        dataclasses.replace(row, **changes.get((row.image, row.quality), {}), title="old") if row.own else row
        for row in rows
    ]
    write_table(out / ROWS, old, Row)
    load_bench(out).file(rows[7]).unlink()  # b at 95
    found = bench(find_images([small_set]), [Own(MODEL, LADDER)], out, metrics=PSNR)
    fresh = {(row.image, row.quality) for row in found if row.title != "old"}
    assert fresh == {*changes, ("b", 95.0)}
    assert all(row.error is None for row in found)


def test_rows_of_other_weights_do_not_stay(bench_folder: Path, small_set: Path, tmp_path: Path) -> None:
    """Else a curve would be made of two models."""
    out = _copy(bench_folder, tmp_path)
    rows = read_table(out / ROWS, Row)
    write_table(out / ROWS, [dataclasses.replace(row, digest="00000000") if row.own else row for row in rows], Row)
    bench(find_images([small_set]), [Own(MODEL, (30.0, 60.0))], out, metrics=PSNR)
    after = read_table(out / ROWS, Row)
    assert {row.quality for row in after if row.own} == {30.0, 60.0}
    others = [[repr(row) for row in some if not row.own] for some in (rows, after)]  # repr: NaN is not equal to itself
    assert others[0] == others[1]


def test_a_bench_that_is_stopped_goes_on(small_set: Path, tmp_path: Path) -> None:
    """Ctrl-C in the middle: the rows so far are on disk, and the next run does the others."""
    out = tmp_path / "out"
    qualities = ",".join(str(quality / 2) for quality in range(200))
    command = [sys.executable, "-c", "from calotype.cli.app import main; main()", "bench", str(small_set)]
    command += ["--codecs", MODEL, "--qualities", qualities, "--rivals", "none", "--out", str(out), "--speed", "none"]
    process = subprocess.Popen([*command, "--jobs", "1"], stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list(out.glob("files/small/*/*.calo"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    done = read_table(out / ROWS, Row)
    assert 4 <= len(done) < 400
    assert all(row.error is None for row in done)
    stderr = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    assert "400 rows" in stderr
    assert len(read_table(out / ROWS, Row)) == 400


# --- failures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "reason"), [("raise", "as was asked for"), ("die", "SIGABRT"), ("hang", "longer than 3 s")]
)
def test_a_failure_is_a_row(
    fault: str, reason: str, small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALOTYPE_TESTING_FAULT", fault)
    rows = bench(find_images([small_set / "a.png"]), [FAULTY], tmp_path, metrics=PSNR, timeout=3)
    good, bad, after = rows
    assert (good.error, after.error) == (None, None)
    assert reason in bad.error
    assert (bad.quality, bad.bytes, bad.metrics) == (55.0, None, {})
    with pytest.raises(CalotypeError, match="failed on a"):
        _ = bad.bpp
    series = load_bench(tmp_path).sets["small"].series[MODEL]
    assert [point.quality for point in series.points] == [40, 70]
    assert [row.quality for row in series.failures] == [55]
    monkeypatch.setenv("CALOTYPE_TESTING_FAULT", "none")
    again = bench(find_images([small_set / "a.png"]), [FAULTY], tmp_path, metrics=PSNR)
    assert [row.error for row in again] == [None] * 3


def test_a_image_that_cannot_be_read_is_a_row(small_set: Path, tmp_path: Path) -> None:
    broken = tmp_path / "set" / "broken.png"
    broken.parent.mkdir()
    broken.write_bytes((small_set / "a.png").read_bytes()[:200])
    rows = bench(find_images([broken]), find_rivals(("webp",)), tmp_path / "out", metrics=PSNR)
    assert all("broken.png" in row.error and row.width is None for row in rows)
    assert load_bench(tmp_path / "out").sets["set"].series["webp"].points == []
    (broken.parent / "a.png").write_bytes((small_set / "a.png").read_bytes())
    bench(find_images([broken.parent]), find_rivals(("webp",)), tmp_path / "out", metrics=PSNR)
    series = load_bench(tmp_path / "out").sets["set"].series["webp"]
    assert len(series.points) == len(find_rivals(("webp",))[0].qualities)  # those of the other image


def test_a_codec_that_cannot_be_loaded_says_why() -> None:
    with pytest.raises(CodingFailed, match="not installed"):
        Worker("no.such", 1)
    with pytest.raises(WeightsNotFound):
        _ = Own("no.such").digest


# --- images and subjects ----------------------------------------------------------------------------------------


def test_images_come_in_order(small_set: Path, tmp_path: Path) -> None:
    assert [(image.set, image.name) for image in find_images([small_set])] == [("small", "a"), ("small", "b")]
    assert [image.name for image in find_images([small_set / "b.png", small_set / "a.png"])] == ["b", "a"]
    with pytest.raises(CalotypeError, match="no images"):
        find_images([tmp_path])
    with pytest.raises(CalotypeError, match="no images"):
        find_images([tmp_path / "none.png"])
    with pytest.raises(CalotypeError, match="small/a"):
        find_images([small_set, small_set / "a.png"])


def test_hashes_are_of_pixels(small_set: Path, tmp_path: Path) -> None:
    (image,) = find_images([small_set / "a.png"])
    expected = hashlib.sha256(repr(image.pixels.shape).encode() + image.pixels.tobytes()).hexdigest()[:16]
    assert image.hash == expected
    Pillow.fromarray(image.pixels).save(tmp_path / "other.bmp")
    assert find_images([tmp_path / "other.bmp"])[0].hash == expected


def test_every_mode_becomes_rgb(picture: Callable[..., np.ndarray]) -> None:
    for channels in (1, 2, 3, 4):
        pixels = picture(5, 7, channels)
        colours = pixels[..., :3] if channels > 2 else np.repeat(pixels[..., :1], 3, axis=-1)
        np.testing.assert_array_equal(to_rgb(Image.from_array(pixels)), colours)
    deep = np.array([[[0], [128], [129], [65535]]], np.uint16)  # 257 to a level: 128 rounds down, 129 up
    np.testing.assert_array_equal(to_rgb(Image(deep, depth=16))[0, :, 0], [0, 0, 1, 255])


def test_weights_files_are_told_apart(tmp_path: Path) -> None:
    installed = calotype.load(MODEL).card
    shutil.copy(installed.path, tmp_path / "coarse.calow")
    shutil.copy(installed.path.with_suffix(".toml"), tmp_path / "coarse.toml")
    own = find_subject(str(tmp_path / "coarse.calow"))
    assert own.name == f"{own.model.name}-{installed.digest.hex()}"
    assert find_subject(MODEL).name == MODEL
    assert find_subject("webp").name == "webp"


# --- speed --------------------------------------------------------------------------------------------------------


def test_codecs_take_turns(bench_folder: Path) -> None:
    timings = read_table(bench_folder / TIMINGS, Timing)
    expected = [(turn, image, codec) for turn in (0, 1) for image in ("a", "b") for codec in (MODEL, "jpeg-420")]
    assert [(t.round, t.image, t.codec) for t in timings] == expected
    assert all(0.05 < t.start_seconds < 60 and t.encode_seconds > 0 and t.decode_seconds > 0 for t in timings)
    assert {t.cores for t in timings} == {1}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores cannot be chosen on this system")
def test_more_cores_than_there_are_are_left_out(small_set: Path) -> None:
    have = len(os.sched_getaffinity(0))
    contender = Contender(Own(MODEL), 40.0)
    timings = time_codecs([contender], find_images([small_set / "a.png"]), cores=(1, have, have + 1), rounds=1)
    assert [t.cores for t in timings] == [1, have]


def test_a_codec_that_fails_takes_no_more_turns(small_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALOTYPE_TESTING_FAULT", "die")
    said, turns = list[str](), list[int]()
    contenders = [Contender(FAULTY, 55.0), Contender(FAULTY, 40.0)]
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
    rates = {}
    for quality in subjects[2].qualities:
        of_quality = [row.bpp for row in rows if row.codec == "webp" and row.quality == quality]
        rates[quality] = np.mean(of_quality)
    assert chosen[1].quality == min(rates, key=lambda quality: abs(math.log(rates[quality] / 0.75)))
    with pytest.raises(Unsupported, match="jxl-e7"):
        choose(subjects, rows, ["jxl-e7"])


def test_timings_are_not_taken_twice(bench_folder: Path, small_set: Path) -> None:
    timings, images = read_table(bench_folder / TIMINGS, Timing), find_images([small_set])
    same = [Contender(Own(MODEL), 70.0), Contender(find_rivals(("jpeg-420",))[0], 50.0)]
    assert is_timed(timings, same, images)
    assert not is_timed(timings, same[:1], images)
    assert not is_timed(timings, [same[0]._replace(quality=40.0), same[1]], images)


def test_few_images_are_spread_over_many(small_set: Path) -> None:
    images = find_images([small_set]) * 10
    assert spread(images, 3) == [images[0], images[10], images[19]]
    assert spread(images[:2], 6) == images[:2]


# --- the command line ---------------------------------------------------------------------------------------------


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from calotype.cli.app import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_bench_and_report_from_the_command_line(small_set: Path, tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    options = ["--codecs", MODEL, "--rivals", "jpeg-420,png", "--qualities", "20,60,90", "--metrics", "psnr,ms_ssim"]
    ran = _run("bench", small_set, *options, "--speed", f"{MODEL},jpeg-420", "--out", out)
    assert ran.returncode == 0, ran.stderr
    bench = load_bench(out)
    assert [point.quality for point in bench.sets["small"].series[MODEL].points] == [20, 60, 90]
    assert {timing.codec for timing in bench.timings} == {MODEL, "jpeg-420"}
    made = _run("report", out, "--at", 2)
    assert made.returncode == 0, made.stderr
    page = (out / "index.html").read_text()
    assert MODEL in page
    assert (out / "small.png").stat().st_size > 5000
    assert (out / "small.svg").stat().st_size > 5000
    elsewhere = _run("report", out, "-o", tmp_path / "new" / "page.html", "--images", 0)
    assert elsewhere.returncode == 0, elsewhere.stderr
    assert (tmp_path / "new" / "small.png").is_file()


def test_a_failure_is_said_and_the_status_is_1(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALOTYPE_TESTING_FAULT", "raise")
    options = ["--codecs", MODEL, "--rivals", "none", "--qualities", "40,55,70", "--speed", "none"]
    ran = _run("bench", small_set, *options, "--out", tmp_path)
    assert ran.returncode == 1
    assert "failed: deflate.coarse at 55 on small/a: ZeroDivisionError: as was asked for" in ran.stderr
    assert "6 rows" in ran.stderr
    assert "2 of them failures" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["bench", "nowhere"], 1, "no images"),
        (["bench", "PICTURES", "--rivals", "gif"], 1, "gif"),
        (["bench", "PICTURES", "--codecs", "no.such"], 1, "not installed"),
        (["bench", "PICTURES", "--metrics", "beauty"], 1, "beauty"),
        (["bench", "PICTURES", "--qualities", "much"], 2, "numbers"),
        (["bench", "PICTURES", "--qualities", "101"], 2, "between 0 and 100"),
        (["bench", "PICTURES", "--rivals", "none", "--codecs", "none"], 2, "nothing to measure"),
        (["report", "nowhere"], 1, "calotype bench"),
        (["report", "nowhere", "--at", "0"], 2, "above 0"),
    ],
)  # fmt: skip
def test_requests_that_make_no_sense(
    arguments: list[str], status: int, said: str, small_set: Path, tmp_path: Path
) -> None:
    arguments = [str(small_set) if argument == "PICTURES" else argument for argument in arguments]
    options = ["--out", str(tmp_path / "out")] if arguments[0] == "bench" else []
    ran = _run(*arguments, *options)
    assert ran.returncode == status
    assert said in ran.stderr
    assert not (tmp_path / "out").exists()


def test_rivals_that_are_not_installed_are_left_out(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imagecodecs.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}")
    options = ["--codecs", "none", "--rivals", "webp,jxl-e7", "--speed", "none", "--out", tmp_path / "out"]
    ran = _run("bench", small_set, *options)
    assert ran.returncode == 0, ran.stderr
    assert "left out: jxl-e7" in ran.stderr
    assert {row.codec for row in read_table(tmp_path / "out" / ROWS, Row)} == {"webp"}
