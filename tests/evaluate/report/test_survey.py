"""The page of the survey: its lines, its marks, its plots."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

pytest.importorskip("pyarrow")
pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

from calotype.errors import CalotypeError
from calotype.evaluate.report.markdown import check_marks
from calotype.evaluate.report.survey import write_survey
from calotype.evaluate.tables.folder import ROWS
from calotype.evaluate.tables.rows import Row, read_table
from calotype.evaluate.tables.survey import Complexity, Known, members

MODEL, OTHER = "deflate.coarse", "toy.other"
TRAINING = {"seconds": 7200, "steps": 3000, "device": "a slide rule", "note": "By a lake."}
KNOWN = {
    MODEL: Known(MODEL, Complexity(1_234_567, None, 4321.0), TRAINING),
    OTHER: Known(OTHER, Complexity(1_000, 2000.0, 1000.0), {}),
}


@pytest.fixture(scope="module")
def rows(bench_folder: Path) -> list[Row]:
    """Those of WebP twice, once as if it were ours."""
    rows = read_table(bench_folder / ROWS, Row)
    return rows + [replace(row, codec=OTHER, own=True) for row in rows if row.codec == "webp"]


def cells(text: str, codec: str) -> list[list[str]]:
    """The lines of a codec in the table."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    first = next(number for number, line in enumerate(lines) if line[1] == codec)
    last = next((n for n, line in enumerate(lines[first + 1 :], first + 1) if line[1]), len(lines))
    return lines[first:last]


def test_the_page_has_a_line_for_each_rate_and_what_is_missing(rows: list[Row], tmp_path: Path) -> None:
    write_survey(rows, KNOWN, {"vae.swift"}, tmp_path / "new" / "survey.md")
    text = (tmp_path / "new" / "survey.md").read_text()
    head, *others = cells(text, MODEL)
    assert head[:5] == ["other", MODEL, "1.23", "fitting", "4.3"]
    assert [line[7] for line in (head, *others)] == ["0.125", "0.250", "0.500", "1.000"]
    assert [line[:7] for line in others] == [[""] * 7] * 3
    for name in members({"vae.swift"}).values():
        (line,) = cells(text, name)
        assert line[7] == ("not measured" if name == "vae.swift" else "not installed")
    assert f"`{MODEL}` has 1,235 times the parameters of `{OTHER}`." in text
    assert f"- `{MODEL}`: 2.00 hours, 3,000 steps, on a slide rule. By a lake." in text
    assert f"- `{OTHER}`: no training." in text
    assert np.asarray(Pillow.open(tmp_path / "new" / "survey-small.png")).std() > 10


def test_figures_are_those_of_the_rows(rows: list[Row], tmp_path: Path) -> None:
    """With one rate, what is shown is what was measured."""
    few = [row for row in rows if (row.codec, row.image, row.quality) == ("webp", "b", 50)][:1]
    write_survey(few, {}, (), tmp_path / "survey.md")
    ((*about, rate, psnr, ms_ssim, lpips),) = cells((tmp_path / "survey.md").read_text(), few[0].title)
    assert about[0] == "made by hand"
    assert rate == f"{few[0].bpp:.3f}, the one rate measured"
    assert (psnr, ms_ssim) == (f"{few[0].metrics['psnr']:.2f}", f"{few[0].metrics['ms_ssim']:.4f}")
    assert lpips == "–"  # was not measured


def test_a_page_keeps_all_but_what_stands_between_its_marks(rows: list[Row], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Before.\n\n<!-- measured -->\nold\n<!-- end -->\n\nAfter.\n")
    check_marks(page)
    write_survey(rows, {}, (), page)
    text = page.read_text()
    assert text.startswith("Before.\n\n<!-- measured -->\nsmall, 2 images:\n")
    assert text.endswith("<!-- end -->\n\nAfter.\n")
    assert "old" not in text
    page.write_text("no marks")
    with pytest.raises(CalotypeError, match="lacks the marks"):
        check_marks(page)
