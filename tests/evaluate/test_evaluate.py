"""Measuring: real bytes, honest means, pages made from the table and from nothing else."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import calotype
from calotype.errors import CalotypeError
from calotype.evaluate import footprint, report, rivals
from calotype.evaluate.card import results_table, update_card
from calotype.evaluate.metrics import psnr
from calotype.evaluate.plot import plot
from calotype.evaluate.results import BETTER_JPEG, Results, evaluate
from calotype.evaluate.rivals import JPEG_420, JPEG_444, WEBP
from calotype.evaluate.run import Measured, Picture, load_pictures, measure, summarise

MODEL = "deflate.coarse"


@pytest.fixture(scope="module")
def pictures(picture: Callable[..., np.ndarray]) -> list[Picture]:
    return [Picture("a", picture(96, 130, 3)), Picture("b", picture(70, 64, 3, seed=1))]


@pytest.fixture(scope="module")
def results(pictures: list[Picture]) -> Results:
    pytest.importorskip("scipy")
    models, anchors = [calotype.load(MODEL)], [JPEG_420, JPEG_444, WEBP]
    ladder = (0.0, 40.0, 70.0, 95.0)
    return evaluate(models, anchors, pictures, name="made-up", published={}, qualities=ladder, runs=1)


@pytest.mark.parametrize("rival", rivals.available(), ids=lambda rival: rival.name)
def test_rivals_make_whole_files_without_metadata(rival: rivals.Rival, picture: Callable[..., np.ndarray]) -> None:
    pixels = picture(64, 80, 3)
    files = [rival.encode(pixels, quality) for quality in rival.qualities]
    errors = [psnr(pixels, rival.decode(data)) for data in files]
    assert len(files[0]) < len(files[len(files) // 2]) < len(files[-1])
    assert errors[0] < errors[len(files) // 2] < errors[-1]
    with Pillow.open(io.BytesIO(files[-1])) as opened:
        assert opened.size == (80, 64)
        assert not {"exif", "icc_profile", "xmp"} & opened.info.keys()


def test_subsampling_is_what_it_says(picture: Callable[..., np.ndarray]) -> None:
    pixels = picture(64, 80, 3)
    half, full = (rival.encode(pixels, 90) for rival in (JPEG_420, JPEG_444))
    assert len(half) < len(full)
    assert b"\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01" in half  # SOF: 2x2, 1x1, 1x1
    assert b"\x03\x01\x11\x00\x02\x11\x01\x03\x11\x01" in full


def test_samples_count_the_whole_file(pictures: list[Picture]) -> None:
    model = calotype.load(MODEL)
    samples = measure(Measured(model, (10.0, 90.0)), pictures)
    assert [(sample.quality, sample.picture) for sample in samples] == [
        (10, "a"), (10, "b"), (90, "a"), (90, "b"),
    ]  # fmt: skip
    for sample in samples:
        pixels = next(picture.pixels for picture in pictures if picture.name == sample.picture)
        data = model.encode(pixels, sample.quality)
        assert sample.bytes == len(data)
        assert sample.bpp == 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
        assert sample.psnr == psnr(pixels, model.decode(data))
        assert sample.ideal_bits == model.count_bits(pixels, sample.quality)
        assert sample.frame_bytes == len(data) - sum(size for _, size in calotype.info(data).chunks)


def test_points_are_means_over_pictures(pictures: list[Picture]) -> None:
    samples = measure(JPEG_420, pictures)
    points = summarise(samples)
    assert [point.quality for point in points] == list(JPEG_420.qualities)
    first = [sample for sample in samples if sample.quality == points[0].quality]
    assert points[0].psnr == pytest.approx(np.mean([sample.psnr for sample in first]))  # not of the mean error
    assert points[0].bpp == pytest.approx(np.mean([sample.bpp for sample in first]))
    assert points[0].bpp_ideal is None
    assert "bpp_ideal" not in points[0].to_dict()


def test_results_hold_what_was_measured(results: Results) -> None:
    assert results["set"] == {"name": "made-up", "pictures": 2, "megapixels": 0.017}
    assert [*results["anchors"]] == ["jpeg-420", "jpeg-444", BETTER_JPEG, "webp"]
    entry = results["models"][MODEL]
    assert [point["quality"] for point in entry["points"]] == [0, 40, 70, 95]
    assert entry["command_line"]["torch_loaded"] is False
    assert entry["frame_bytes"] < 60
    assert entry["counter"]["largest_of_file_percent"] > 0
    assert results["help_seconds"] > 0
    assert results == json.loads(json.dumps(results))


def test_the_better_jpeg_is_never_beaten_by_more(results: Results) -> None:
    bd = results["models"][MODEL]["bd"]
    if BETTER_JPEG in bd and "jpeg-444" in bd:
        assert bd[BETTER_JPEG]["rate_percent"] >= bd["jpeg-444"]["rate_percent"] - 1e-6


def test_the_page_shows_every_rate_and_goal(results: Results) -> None:
    page = report.render(results, "plot.png")
    for point in results["models"][MODEL]["points"]:
        assert f"| {point['bpp']:.4f} |" in page
    for label, *_ in report.GOALS.values():
        assert label in page
    assert "not measured" in page  # the size of an install
    assert page.count("### JPEG") == 2


def test_goals_are_judged(results: Results) -> None:
    entry = results["models"][MODEL]
    slow = entry | {"command_line": entry["command_line"] | {"seconds": 5.0}}
    page = report.render(results | {"models": {MODEL: slow}}, None)
    (line,) = (line for line in page.splitlines() if "process start to PNG" in line)
    assert line.endswith("| 5 s | at most 0.7 s | **no** |")


def test_models_trained_on_a_gpu_have_the_harder_goal(results: Results) -> None:
    entry = results["models"][MODEL]
    bd = {"jpeg-420": {"rate_percent": -20.0, "psnr_db": 1.0, "overlap_low_db": 25.0, "overlap_high_db": 40.0}}
    for device, verdict in (("cpu", "yes"), ("NVIDIA H100", "**no**")):
        trained = entry | {"bd": bd, "training": {"device": device}}
        page = report.render(results | {"models": {MODEL: trained}}, None)
        (line,) = (line for line in page.splitlines() if "BD-rate against JPEG 4:2:0" in line)
        assert line.endswith(f"| {verdict} |")


def test_the_block_in_the_readme_is_replaced(results: Results) -> None:
    page = f"before\n{report.BEGIN}\nold \\1\n{report.END}\nafter"
    new = report.put_headline(page, report.headline(results, "docs/results/README.md"))
    assert new.startswith(f"before\n{report.BEGIN}\nBD-rate on Made-up")
    assert new.endswith(f"{report.END}\nafter")
    assert "old" not in new
    with pytest.raises(CalotypeError, match="marks"):
        report.put_headline("no marks", "x")


def test_the_readme_has_the_marks() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    assert report.BEGIN in readme.read_text(encoding="utf-8")


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_plot_is_a_picture(results: Results, tmp_path: Path, ending: str) -> None:
    pytest.importorskip("matplotlib")
    plot(results, tmp_path / "new" / f"plot.{ending}")
    assert (tmp_path / "new" / f"plot.{ending}").stat().st_size > 5000


def test_pages_are_made_anew_from_the_table(results: Results, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "made-up.json").write_text(json.dumps(results))
    (tmp_path / "FRONT.md").write_text(f"{report.BEGIN}{report.END}")
    options = ["--render-only", "--data", "made-up", "--out", tmp_path, "--readme", tmp_path / "FRONT.md"]
    subprocess.run([sys.executable, "-m", "calotype.evaluate", *map(str, options)], check=True)
    assert (tmp_path / "README.md").read_text() == report.render(results, "made-up.png")
    assert MODEL in (tmp_path / "FRONT.md").read_text()
    assert (tmp_path / "made-up.png").is_file()


def test_absent_data_is_said_in_one_line() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "CALOTYPE_DATA"}
    command = [sys.executable, "-m", "calotype.evaluate"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.startswith("calotype.evaluate: error: ")


def test_results_go_into_the_card(results: Results, tmp_path: Path) -> None:
    pytest.importorskip("tomli_w")
    card = tmp_path / "coarse.toml"
    digest = results["models"][MODEL]["digest"]
    card.write_text(f'name = "{MODEL}"\ndigest = "{digest}"\n[training]\nsteps = 3\n[results.other]\nbpp = [1.0]\n')
    update_card(card, results, MODEL)
    update_card(card, results, MODEL)
    entries = tomllib.loads(card.read_text())
    assert entries["training"] == {"steps": 3}
    assert entries["results"]["other"] == {"bpp": [1.0]}
    assert entries["results"]["made-up"] == results_table(results, MODEL)
    assert entries["results"]["made-up"]["quality"] == [0, 40, 70, 95]
    card.write_text(f'name = "{MODEL}"\ndigest = "00000000"\n')
    with pytest.raises(CalotypeError, match="measure again"):
        update_card(card, results, MODEL)


def test_pictures_come_in_order_as_rgb(tmp_path: Path, picture: Callable[..., np.ndarray]) -> None:
    for name, channels in (("b.png", 1), ("a.png", 4), ("c.png", 3)):
        Pillow.fromarray(picture(9, 8, channels).squeeze()).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    loaded = load_pictures(tmp_path)
    assert [picture.name for picture in loaded] == ["a.png", "b.png", "c.png"]
    assert all(picture.pixels.shape == (9, 8, 3) for picture in loaded)
    assert len(load_pictures(tmp_path, 2)) == 2
    with pytest.raises(CalotypeError, match="no pictures"):
        load_pictures(tmp_path / "none")


def test_equal_pictures_have_no_finite_psnr() -> None:
    """A lossless point would make means infinite; curves are for lossy files."""
    assert math.isinf(psnr(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)))


def test_the_machine_is_described() -> None:
    assert {"processor", "threads", "system"} <= footprint.machine().keys()
    assert {"calotype", "python", "onnxruntime", "pillow"} <= footprint.versions().keys()
