"""`bench`: real bytes in every row, failures as rows, and nothing measured twice."""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

import calotype
from calotype.errors import CalotypeError
from calotype.evaluate.measure.images import find_images
from calotype.evaluate.measure.metrics import find_metrics, psnr
from calotype.evaluate.measure.run import Progress, bench
from calotype.evaluate.measure.subjects import Own, decode_kept
from calotype.evaluate.rivals import find_rivals

pytest.importorskip("pyarrow")

from calotype.evaluate.tables.folder import ROWS, load_bench
from calotype.evaluate.tables.rows import Row, read_table, write_table

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
        assert psnr(original, decoded.pixels) == row.metrics["psnr"]


def test_clocks_and_memory_are_those_of_a_process(rows: list[Row]) -> None:
    for row in rows:
        assert row.encode_seconds is not None
        assert row.decode_seconds is not None
        assert row.encode_peak_bytes is not None
        assert row.encode_seconds > 0
        assert row.decode_seconds > 0
        assert 10 * 2**20 < row.encode_peak_bytes < 2**30  # an interpreter with NumPy, not 20 GB
        assert row.threads == 1
        assert row.jobs == 2


def test_what_is_not_defined_is_not_a_number(rows: list[Row]) -> None:
    """MS-SSIM needs 161 pixels a side: the small image has none, and is not measured again for it."""
    assert all(math.isnan(row.metrics["ms_ssim"]) == (row.image == "a") for row in rows)
    assert all(math.isinf(row.metrics["psnr"]) for row in rows if row.kind == "lossless")


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
    changes: dict[tuple[str, float], dict[str, Any]] = {
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
    """Ctrl-C while something is coded: it is not waited for, the rows so far are on disk, the next run adds the others.

    What is coded then hangs, so that no machine is too quick for it.
    """
    out = tmp_path / "out"
    command = [sys.executable, "-m", "calotype", "bench", str(small_set), "--codecs", MODEL, "--qualities", "30,40,55"]
    command += ["--rivals", "none", "--out", str(out), "--speed", "none", "--jobs", "1"]
    hanging = os.environ | {"CALOTYPE_TESTING_FAULT": "hang"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True, env=hanging)
    while len(list(out.glob("files/small/a/*.calo"))) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    done = [(row.image, row.quality, row.error) for row in read_table(out / ROWS, Row)]
    assert done in ([("a", 30, None)], [("a", 30, None), ("a", 40, None)])  # a row comes after its file
    stderr = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    assert "6 rows" in stderr
    assert len(read_table(out / ROWS, Row)) == 6


# --- failures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "reason"), [("raise", "as was asked for"), ("die", "SIGABRT")])
def test_a_failure_is_a_row(
    fault: str, reason: str, small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALOTYPE_TESTING_FAULT", fault)
    rows = bench(find_images([small_set / "a.png"]), [FAULTY], tmp_path, metrics=PSNR)
    good, bad, after = rows
    assert (good.error, after.error) == (None, None)
    assert reason in str(bad.error)
    assert (bad.quality, bad.bytes, bad.metrics, bad.applicable) == (55.0, None, {}, True)
    with pytest.raises(CalotypeError, match="failed on a"):
        _ = bad.bpp
    series = load_bench(tmp_path).sets["small"].series[MODEL]
    assert [point.quality for point in series.points] == [40, 70]
    assert [row.quality for row in series.failures] == [55]
    monkeypatch.setenv("CALOTYPE_TESTING_FAULT", "none")
    again = bench(find_images([small_set / "a.png"]), [FAULTY], tmp_path, metrics=PSNR)
    assert [row.error for row in again] == [None] * 3


def test_what_hangs_is_stopped(small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALOTYPE_TESTING_FAULT", "hang")
    hanging = Own(MODEL, (55.0,))
    (row,) = bench(find_images([small_set / "a.png"]), [hanging], tmp_path, metrics=PSNR, timeout=2)
    assert "longer than 2 s" in str(row.error)


def test_a_image_that_cannot_be_read_is_a_row(small_set: Path, tmp_path: Path) -> None:
    broken = tmp_path / "set" / "broken.png"
    broken.parent.mkdir()
    broken.write_bytes((small_set / "a.png").read_bytes()[:200])
    rows = bench(find_images([broken]), find_rivals(("webp",)), tmp_path / "out", metrics=PSNR)
    assert all("broken.png" in str(row.error) and row.width is None for row in rows)
    assert load_bench(tmp_path / "out").sets["set"].series["webp"].points == []
    (broken.parent / "a.png").write_bytes((small_set / "a.png").read_bytes())
    bench(find_images([broken.parent]), find_rivals(("webp",)), tmp_path / "out", metrics=PSNR)
    series = load_bench(tmp_path / "out").sets["set"].series["webp"]
    assert len(series.points) == len(find_rivals(("webp",))[0].ladder)  # those of the other image


# --- images of all kinds ------------------------------------------------------------------------------------------


def test_what_a_codec_does_not_take_is_a_row(tmp_path: Path) -> None:
    """Nothing is converted for a codec; what it does not take is no failure, but it has no mean over the set either."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    grey = np.arange(600, dtype=np.uint8).reshape(20, 30)
    Pillow.fromarray(grey).save(folder / "grey.png")
    Pillow.fromarray(np.stack([grey, grey[::-1], grey], axis=-1)).save(folder / "rgb.png")
    rows = bench(find_images([folder]), find_rivals(["png", "webp-lossless"]), tmp_path / "out", metrics=PSNR)
    found = {(row.codec, row.image): row for row in rows}
    refused = found["webp-lossless", "grey"]
    assert refused.error == "webp-lossless takes RGB or RGBA images, not L"
    assert (refused.applicable, refused.bytes, refused.channels) == (False, None, 1)
    assert [row.error for row in rows if row is not refused] == [None] * 3
    series = load_bench(tmp_path / "out").sets["mixed"].series
    assert series["webp-lossless"].points == []
    assert (len(series["webp-lossless"].refusals), len(series["webp-lossless"].failures)) == (1, 0)
    (point,) = series["png"].points
    rates = [8 * (found["png", name].bytes or 0) / (600 * channels) for name, channels in (("grey", 1), ("rgb", 3))]
    assert point.bpsp == pytest.approx(np.mean(rates))


def test_16_bits_are_measured_with_their_peak(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    random = np.random.default_rng(0)
    slope = 20000 + 40 * np.add.outer(np.arange(40), np.arange(56))
    deep = (slope + random.integers(0, 99, slope.shape)).astype(np.uint16)
    Pillow.fromarray(deep).save(folder / "a.png")
    exact = [Own("prism.photo@1"), *find_rivals(["lossless-16"])]
    subjects = [*exact, Own(MODEL, (40.0,)), *find_rivals(["jpegls-near", "png"])]
    metrics = find_metrics(("psnr", "largest_error"))
    rows = bench(find_images([folder]), subjects, tmp_path / "out", metrics=metrics)
    names = {subject.name for subject in exact}
    assert {"png-16", "jxl-lossless-e7", "jpegls", "jpeg2000-lossless", "prism.photo@1"} <= names
    for row in rows:
        assert row.depth == 16
        if row.codec in names - {"jpegls-green"}:
            assert (row.error, row.metrics["largest_error"]) == (None, 0)
        elif row.codec == "jpegls-near":
            assert row.metrics["largest_error"] == row.quality
        elif row.codec == MODEL:
            decoded = decode_kept(MODEL, load_bench(tmp_path / "out").file(row).read_bytes())
            error = np.mean((decoded.pixels[..., 0].astype(np.float64) - deep) ** 2)
            assert row.metrics["psnr"] == pytest.approx(10 * math.log10(65535**2 / error))
        else:
            assert not row.applicable


def test_views_are_measured_together(small_set: Path, tmp_path: Path) -> None:
    folder = tmp_path / "views"
    folder.mkdir()
    for name in ("left", "right"):
        shutil.copy(small_set / "a.png", folder / f"{name}.png")
    subjects = [Own(MODEL, (40.0,)), *find_rivals(["png"])]
    metrics = find_metrics(("psnr", "psnr_y", "ms_ssim"))
    ours, theirs = bench(find_images([folder], (2,)), subjects, tmp_path / "out", metrics=metrics)
    (single,) = bench(find_images([folder / "left.png"]), subjects[:1], tmp_path / "one", metrics=metrics)
    assert (ours.views, ours.pixels) == (2, 2 * single.pixels)
    assert ours.metrics["psnr"] == single.metrics["psnr"]
    assert ours.bpsp == pytest.approx(8 * (ours.bytes or 0) / (2 * 70 * 64 * 3))
    assert (theirs.applicable, theirs.error) == (False, "png takes 0 dimensions of views, not 1")
