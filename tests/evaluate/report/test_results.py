"""Pages of results: made from the tables and from nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import calotype
from calotype.errors import CalotypeError
from calotype.evaluate.measure import footprint, machine
from calotype.evaluate.tables.card import results_table, update_card

pytest.importorskip("pyarrow")
pytest.importorskip("scipy")

from calotype.evaluate.report import results
from calotype.evaluate.tables.folder import Bench, load_bench
from calotype.parallel import cores

MODEL, ROOT = "deflate.coarse", Path(__file__).parents[3]
COSTS = {
    "machine": {"processor": "one", "cores": 2, "system": "Linux"},
    "versions": {"numpy": "2.0"},
    "help_seconds": 0.1,
    "install_bytes": 201_000_000,
    "models": {
        MODEL: {"weights_bytes": 9_100_000, "digest": "0", "command_line": {"seconds": 0.5, "torch_loaded": False}}
    },
}


@pytest.fixture(scope="module")
def bench(bench_folder: Path) -> Bench:
    return load_bench(bench_folder)


def test_the_page_shows_every_point_and_difference(bench: Bench) -> None:
    page, images = results.render(bench, COSTS, calotype.list_models()), bench.sets["small"]
    for point in images.series[MODEL].points:
        assert f"| {point.quality:g} | {point.bpp:.4f} | {point.bpp_ideal:.4f} | " in page
    for difference in images.differences(MODEL):
        assert f"| {difference.anchor_title} | {difference.rate:+.1f} % (Akima {difference.rate_akima:+.1f} %)" in page
    (png,) = images.series["png"].points
    assert f"| {png.bpsp:.3f} |" in page
    assert "| 201.0 MB |" in page
    assert "JPEG 4:2:0" in page.partition("## Speed")[2]
    assert f"| {MODEL} |" in page.partition("## Models")[2]


def test_a_page_leaves_out_what_was_not_measured(bench: Bench) -> None:
    bare = Bench(bench.folder, bench.sets, [])
    page = results.render(bare, None, [])
    assert "## Speed" not in page
    assert "## Start and size" not in page
    assert "## Near-lossless" not in page
    assert "## Lossless" in page


def test_the_block_in_the_readme_is_replaced(bench: Bench) -> None:
    page = f"before\n{results.BEGIN}\nold \\1\n{results.END}\nafter"
    block = results.headline(bench, COSTS, "docs/results/README.md", {MODEL})
    new = results.put_headline(page, block)
    assert new.startswith(f"before\n{results.BEGIN}\nBD-rate on small, 2 images")
    assert new.endswith(f"{results.END}\nafter")
    assert "old" not in new
    assert "0.50 s from process start" in block
    assert f"| against | {MODEL} |" in block
    others = results.headline(bench, COSTS, "docs/results/README.md", set())
    assert MODEL not in others.partition("Lossless")[0]
    assert "from process start" not in others
    assert "| PNG, optimised by Pillow | " in block
    with pytest.raises(CalotypeError, match="marks"):
        results.put_headline("no marks", "x")


def test_the_readme_has_the_marks() -> None:
    assert results.BEGIN in (ROOT / "README.md").read_text(encoding="utf-8")


def test_results_go_into_the_card(bench: Bench, tmp_path: Path) -> None:
    pytest.importorskip("tomli_w")
    card, images = tmp_path / "coarse.toml", bench.sets["small"]
    digest = images.series[MODEL].digest
    card.write_text(f'name = "{MODEL}"\ndigest = "{digest}"\n[training]\nsteps = 3\n[results.other]\nbpp = [1.0]\n')
    update_card(card, images, MODEL)
    update_card(card, images, MODEL)
    entries = tomllib.loads(card.read_text())
    assert entries["training"] == {"steps": 3}
    assert entries["results"]["other"] == {"bpp": [1.0]}
    table = entries["results"]["small"]
    assert table == results_table(images, MODEL)
    assert table["quality"] == [0, 40, 70, 95]
    assert table["images"] == 2
    assert table["bd_rate_percent"]["jpeg-420"] == round(images.differences(MODEL)[1].rate, 2)
    card.write_text(f'name = "{MODEL}"\ndigest = "00000000"\n')
    with pytest.raises(CalotypeError, match="measure again"):
        update_card(card, images, MODEL)


def test_the_program_writes_pages_and_plots(bench_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    folder, front = Path(shutil.copytree(bench_folder, tmp_path / "bench")), tmp_path / "FRONT.md"
    front.write_text(f"{results.BEGIN}{results.END}")
    (folder / "footprint.json").write_text(json.dumps(COSTS))
    subprocess.run([sys.executable, "-m", "calotype.evaluate", str(folder), "--readme", str(front)], check=True)
    bench = load_bench(folder)
    assert (folder / "README.md").read_text() == results.render(bench, COSTS, calotype.list_models())
    assert MODEL in front.read_text()
    assert np.asarray(Pillow.open(folder / "small.png")).std() > 5


def test_absent_results_are_said_in_one_line(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-m", "calotype.evaluate", str(tmp_path)], capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.startswith("calotype.evaluate: error: ")
    assert "calotype bench" in run.stderr


def test_the_costs_are_measured() -> None:
    """All but the size of an install, which takes a minute."""
    model = calotype.load(MODEL)
    command = footprint.decode_command(model.encode(np.zeros((20, 30, 3), np.uint8)), runs=1)
    assert command["torch_loaded"] is False
    assert command["seconds"] > 0
    assert footprint.help_seconds(1) > 0
    assert {"calotype", "python", "onnxruntime", "pillow"} <= machine.versions().keys()
    assert machine.processor()
    assert 1 <= cores() <= (os.cpu_count() or 1)
