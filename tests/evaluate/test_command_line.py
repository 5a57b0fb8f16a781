"""`calotype bench` and `calotype report`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as Pillow

pytest.importorskip("pyarrow")

from calotype.cli.progress import bench_bar
from calotype.evaluate.tables.folder import ROWS, load_bench
from calotype.evaluate.tables.rows import Row, read_table

Run = Callable[..., Any]
MODEL = "deflate.coarse"


def test_bench_and_report_from_the_command_line(calotype_cli: Run, small_set: Path, tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    options = ["--codecs", MODEL, "--rivals", "png", "--qualities", "20,60,90", "--metrics", "psnr,ms_ssim"]
    ran = calotype_cli("bench", small_set, *options, "--speed", MODEL, "--out", out)
    assert ran.status == 0, ran.stderr
    bench = load_bench(out)
    assert [point.quality for point in bench.sets["small"].series[MODEL].points] == [20, 60, 90]
    assert {timing.codec for timing in bench.timings} == {MODEL}
    made = calotype_cli("report", out, "-o", tmp_path / "new" / "page.html", "--at", 2, "--images", 1)
    assert made.status == 0, made.stderr
    assert MODEL in (tmp_path / "new" / "page.html").read_text()
    assert not (tmp_path / "new" / "vote.html").exists()  # one lossy codec alone
    for ending in ("png", "svg"):
        assert (tmp_path / "new" / f"small.{ending}").stat().st_size > 5000


def test_a_survey_from_the_command_line(calotype_cli: Run, small_set: Path, tmp_path: Path) -> None:
    for module in ("scipy", "matplotlib", "torch", "onnx"):
        pytest.importorskip(module)
    page = tmp_path / "page.md"
    page.write_text("<!-- measured -->\n<!-- end -->\n")
    options = ["--survey", "--codecs", MODEL, "--rivals", "none", "--qualities", "20,90", "--metrics", "psnr"]
    ran = calotype_cli("bench", small_set, *options, "--out", tmp_path / "out", "--page", page)
    assert ran.status == 0, ran.stderr
    assert f"the survey is in {page}" in ran.stderr
    assert f"| other | {MODEL} |" in page.read_text()
    assert (tmp_path / "survey-small.png").is_file()
    assert not (tmp_path / "out" / "speed.parquet").exists()


def test_realism_from_the_command_line(calotype_cli: Run, small_set: Path, tmp_path: Path) -> None:
    for module in ("scipy", "matplotlib", "torch"):
        pytest.importorskip(module)
    options = ["--realism", "0,1", "--rivals", "none", "--qualities", "30", "--metrics", "psnr", "-j", 1]
    ran = calotype_cli("bench", small_set / "a.png", *options, "--out", tmp_path)
    assert ran.status == 0, ran.stderr
    assert f"distortion against perception is in {tmp_path / 'realism.md'}" in ran.stderr
    faithful, natural = (row.metrics["psnr"] for row in read_table(tmp_path / ROWS, Row))
    assert faithful > natural
    text = (tmp_path / "realism.md").read_text()
    assert f"realism 0 | {read_table(tmp_path / ROWS, Row)[0].bpp:.3f} | {faithful:.2f} |" in text
    assert f"realism 1 | {read_table(tmp_path / ROWS, Row)[1].bpp:.3f} | {natural:.2f} |" in text


def test_a_failure_is_said_and_the_status_is_1(
    calotype_cli: Run, small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALOTYPE_TESTING_FAULT", "raise")
    options = ["--codecs", MODEL, "--rivals", "none", "--qualities", "40,55,70", "--speed", "none"]
    ran = calotype_cli("bench", small_set, *options, "--out", tmp_path)
    assert ran.status == 1
    assert "failed: deflate.coarse at 55 on small/a: CalotypeError: a mistake in the model deflate.coarse" in ran.stderr
    assert "ZeroDivisionError('as was asked for')" in ran.stderr
    assert "6 rows" in ran.stderr
    assert "2 of them failures" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["bench", "nowhere"], 1, "no images"),
        (["bench", "IMAGES", "--rivals", "gif"], 1, "gif"),
        (["bench", "IMAGES", "--codecs", "no.such"], 1, "not installed"),
        (["bench", "IMAGES", "--metrics", "beauty"], 1, "beauty"),
        (["bench", "IMAGES", "--qualities", "much"], 2, "numbers"),
        (["bench", "IMAGES", "--qualities", "101"], 2, "between 0 and 100"),
        (["bench", "IMAGES", "--codecs", f"{MODEL}@7"], 1, "takes no effort"),
        (["bench", "IMAGES", "--views", "two"], 2, "number of views"),
        (["bench", "IMAGES", "--rivals", "none", "--codecs", "none"], 2, "nothing to measure"),
        (["bench", "IMAGES", "--page", "page.md"], 2, "--survey"),
        (["bench", "IMAGES", "--realism", "0,2"], 2, "between 0 and 1"),
        (["bench", "IMAGES", "--realism", "0,1", "--survey"], 2, "one after the other"),
        (["bench", "IMAGES", "--realism", "0,1", "--metrics", "psnr", "--codecs", MODEL], 1, "takes no realism"),
        (["bench", "IMAGES", "--survey", "--no-files"], 2, "--no-files"),
        (["bench", "IMAGES", "--survey", "--metrics", "psnr", "--page", "IMAGES/notes.txt"], 1, "lacks the marks"),
        (["report", "nowhere"], 1, "calotype bench"),
        (["report", "nowhere", "--at", "0"], 2, "above 0"),
    ],
)  # fmt: skip
def test_requests_that_make_no_sense(
    calotype_cli: Run, arguments: list[str], status: int, said: str, small_set: Path, tmp_path: Path
) -> None:
    arguments = [argument.replace("IMAGES", str(small_set)) for argument in arguments]
    options = ["--out", str(tmp_path / "out")] if arguments[0] == "bench" else []
    ran = calotype_cli(*arguments, *options)
    assert ran.status == status
    assert said in ran.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("module", "options", "extra"),
    [
        ("pyarrow", [], "'calotype[bench]'"),
        ("ssimulacra2", ["--metrics", "psnr,ssimulacra2"], "'calotype[bench]'"),
        ("torch", ["--metrics", "lpips_squeeze"], "'calotype[train]'"),
        ("lpips", ["--metrics", "lpips_alex"], "lpips"),
        ("pillow_heif", ["--rivals", "png,heic-444"], "'calotype[bench]'"),
        ("imagecodecs", ["--rivals", "usual,jxl-e7"], "'calotype[bench]'"),
    ],
)
def test_what_is_not_installed_is_said_before_anything_is_measured(
    calotype_cli: Run,
    module: str,
    options: list[str],
    extra: str,
    small_set: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    ran = calotype_cli("bench", small_set, "--codecs", "none", *options, "--out", tmp_path / "out")
    assert ran.status == 1
    assert ran.stderr.count("\n") == 1
    assert ran.stderr.endswith(f"{module} is not installed; run: pip install {extra}\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("module", ["pyarrow", "scipy", "plotly", "matplotlib"])
def test_a_report_asks_for_what_it_needs_first(
    calotype_cli: Run, module: str, bench_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    ran = calotype_cli("report", bench_folder, "-o", tmp_path / "page.html")
    assert (ran.status, ran.stderr) == (
        1, f"calotype: error: {module} is not installed; run: pip install 'calotype[bench]'\n",
    )  # fmt: skip
    assert not [*tmp_path.iterdir()]


def test_the_bar_ends_with_nothing_left(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = count(step=10)
    monkeypatch.setattr("rich.console.monotonic", lambda: float(next(ticks)))
    with bench_bar("measuring") as advance:
        for done in range(3):
            advance(done, 2, "toy.plain")
    assert "measuring toy.plain 2/2" in (said := capsys.readouterr().err)
    assert said.split()[-2:] == ["left", "0:00:00"]


def test_rivals_of_a_group_that_are_not_installed_are_left_out(
    calotype_cli: Run, small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    options = ["--codecs", "none", "--rivals", "png,lossless-16", "--speed", "none", "--out", tmp_path / "out"]
    ran = calotype_cli("bench", small_set, *options)
    assert ran.status == 0, ran.stderr
    assert "left out: jxl-lossless-e7: imagecodecs is not installed" in ran.stderr
    assert {row.codec for row in read_table(tmp_path / "out" / ROWS, Row)} == {"png"}


def test_images_that_a_codec_does_not_take_are_no_failures(
    calotype_cli: Run, tmp_path: Path, texture: Callable[..., npt.NDArray[np.uint8]]
) -> None:
    grey = tmp_path / "grey"
    grey.mkdir()
    Pillow.fromarray(texture(20, 30, 1)[..., 0]).save(grey / "a.png")
    options = ["--codecs", "none", "--rivals", "png,webp-lossless", "--speed", "none", "--no-files"]
    ran = calotype_cli("bench", grey, *options, "--out", tmp_path / "out")
    assert ran.status == 0, ran.stderr
    assert "not applicable: webp-lossless takes RGB or RGBA images, not L (1 row)" in ran.stderr
    ran = calotype_cli("bench", grey, *options, "--rgb", "--out", tmp_path / "rgb")
    assert ran.status == 0, ran.stderr
    assert {(row.codec, row.channels) for row in read_table(tmp_path / "rgb" / ROWS, Row)} == {
        ("png", 3), ("webp-lossless", 3),
    }  # fmt: skip


def test_views_from_the_command_line(
    calotype_cli: Run, tmp_path: Path, texture: Callable[..., npt.NDArray[np.uint8]]
) -> None:
    pair = tmp_path / "pair"
    pair.mkdir()
    for seed, name in enumerate(("left", "right")):
        Pillow.fromarray(texture(20, 30, 3, seed=seed)).save(pair / f"{name}.png")
    options = ["--codecs", "toy.plain", "--rivals", "none", "--speed", "none", "--out", tmp_path / "out"]
    ran = calotype_cli("bench", pair, *options, "--views", "2")
    assert ran.status == 0, ran.stderr
    (row,) = read_table(tmp_path / "out" / ROWS, Row)
    assert (row.image, row.views, row.pixels) == ("left", 2, 1200)
    assert row.metrics["largest_error"] == 0
