"""The page about distortion and perception: a line for each look, and a plot where there is a measure of perception."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

pytest.importorskip("pyarrow")
pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

from calotype.evaluate.report.realism import write_realism
from calotype.evaluate.tables.folder import ROWS
from calotype.evaluate.tables.realism import Look
from calotype.evaluate.tables.rows import Row, read_table

LOOKS = {"m@realism=0": Look("m", 0.0), "m@realism=1": Look("m", 1.0)}


@pytest.fixture
def rows(bench_folder: Path) -> list[Row]:
    """A model's rows twice, the second time with 0.5 dB less."""
    table = read_table(bench_folder / ROWS, Row)
    own = [row for row in table if row.codec == "deflate.coarse" and row.quality in (40, 70)]
    made = [
        replace(row, codec=codec, metrics={"psnr": row.metrics["psnr"] - look.realism / 2})
        for codec, look in LOOKS.items()
        for row in own
    ]
    return made + [row for row in table if row.codec == "jpeg-444"]


def test_a_line_for_each_look_and_others_at_its_rate(rows: list[Row], tmp_path: Path) -> None:
    distances = {
        ("small", codec, quality): {"frechet_squeeze": 100 - 50 * look.realism, "kernel_squeeze": 0.125}
        for codec, look in LOOKS.items()
        for quality in (40.0, 70.0)
    }
    write_realism(rows, LOOKS, distances, tmp_path / "new" / "page.md")
    text = (tmp_path / "new" / "page.md").read_text()
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert lines[0][:3] == ["codec", "bpp", "PSNR of RGB, dB"]
    assert [line[0] for line in lines[2:]] == [rows[-1].title, "m, realism 0", "m, realism 1"] * 2
    for faithful, natural in (lines[3:5], lines[6:8]):
        assert float(faithful[2]) - float(natural[2]) == pytest.approx(0.5, abs=0.011)
        assert faithful[1] == natural[1]
        assert (faithful[-2:], natural[-2:]) == (["100.0", "0.12"], ["50.0", "0.12"])
    assert "small, 2 images:" in text
    assert "(realism-small.png)" in text
    assert np.asarray(Pillow.open(tmp_path / "new" / "realism-small.png")).std() > 10


def test_without_perception_there_is_no_plot(rows: list[Row], tmp_path: Path) -> None:
    write_realism(rows, LOOKS, {}, tmp_path / "page.md")
    assert "m, realism 1" in (tmp_path / "page.md").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]
