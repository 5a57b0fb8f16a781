"""The report: figures equal to those of the tables, nothing from outside, and a slider that moves in a real browser."""

from __future__ import annotations

import io
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image as Pillow

pytest.importorskip("pyarrow")
pytest.importorskip("plotly")
pytest.importorskip("scipy")

from calotype.evaluate.measure.metrics import psnr
from calotype.evaluate.measure.subjects import decode_kept
from calotype.evaluate.report.html import pages
from calotype.evaluate.tables.folder import ROWS, Bench, load_bench
from calotype.evaluate.tables.rows import Row, read_table, write_table
from tests.evaluate.report.browsing import wait

MODEL = "deflate.coarse"
RATE = 2.5  # bpp, where the viewer begins
LOADS = r"""(?:src|href)\s*=\s*["']?\s*(?:https?:)?//|url\(\s*["']?\s*(?:https?:)?//|@import"""


@pytest.fixture(scope="module")
def bench(bench_folder: Path) -> Bench:
    return load_bench(bench_folder)


@pytest.fixture(scope="module")
def text(bench: Bench) -> str:
    return pages(bench, at=RATE).report


def _blocks(text: str) -> dict[str, Any]:
    found = re.findall(r'<script type="application/json" id="([\w-]+)">(.*?)</script>', text, re.DOTALL)
    return {name: json.loads(body) for name, body in found}


def _without_plotly(text: str) -> str:
    return re.sub(r"<script>/\*.*?</script>", "", text, count=1, flags=re.DOTALL)


def test_curves_are_those_of_the_rows(bench: Bench, text: str) -> None:
    data = _blocks(text)["data"]
    lossy = bench.sets["small"].of_kind("lossy")
    assert [curve["name"] for curve in data["sets"]["small"]["curves"]] == [series.codec for series in lossy]
    for curve, series in zip(data["sets"]["small"]["curves"], lossy, strict=True):
        assert [point["bpp"] for point in curve["points"]] == [point.bpp for point in series.points]
        assert [point["metrics"]["psnr"] for point in curve["points"]] == [p.metrics["psnr"] for p in series.points]


def test_tables_are_those_of_the_summary(bench: Bench, text: str) -> None:
    for difference in bench.sets["small"].differences(MODEL):
        assert f">{difference.rate:+.1f} %</td><td>{difference.rate_akima:+.1f} %</td>" in text
    assert f"<td>{bench.sets['small'].series['png'].points[0].bpsp:.3f}</td>" in text
    assert "of_kind" not in text
    assert text.count("JPEG 4:2:0") > 3


def test_every_quality_that_was_run_is_offered(bench: Bench, text: str) -> None:
    lossy = [series for series in bench.sets["small"].series.values() if series.kind == "lossy"]
    assert {(series.codec, len(series.points)) for series in lossy} >= {(MODEL, 4), ("webp", 16)}
    for image in _blocks(text)["data"]["images"]:
        offered = sorted((one["codec"], one["quality"]) for one in image["shown"] if one["codec"] != "original")
        rows = [row for series in lossy for row in series.rows if row.image == image["name"]]
        assert offered == sorted((row.codec, row.quality) for row in rows)
        assert len(image["shown"]) == 1 + len(rows)
    assert len(text) < 6e6  # most of it Plotly's


def test_images_are_what_the_files_decode_to(bench: Bench, text: str) -> None:
    """Files that browsers show are named, of others a lossless WebP of the decoded pixels."""
    checked = 0
    for image in _blocks(text)["data"]["images"]:
        for one in image["shown"]:
            content = (bench.folder / unquote(one["file"])).read_bytes()
            pixels = np.asarray(Pillow.open(io.BytesIO(content)).convert("RGB"))
            rows = bench.sets["small"].series[one["codec"]].rows if one["codec"] != "original" else ()
            for row in rows:
                if (row.image, row.quality) == (image["name"], one["quality"]):
                    data = bench.file(row).read_bytes()
                    assert (content == data) == (row.ending != ".calo")
                    np.testing.assert_array_equal(pixels, decode_kept(row.codec, data).pixels)
                    assert (one["bytes"], one["psnr"]) == (row.bytes, row.metrics["psnr"])
                    checked += 1
            if one["codec"] == "original":
                original = bench.original(bench.sets["small"].series[MODEL].rows[0]).parents[1] / image["name"]
                np.testing.assert_array_equal(pixels, np.asarray(Pillow.open(original / "original.png")))
    assert checked == sum(len(series.rows) for series in bench.sets["small"].of_kind("lossy"))


def test_nothing_is_loaded_from_outside(text: str) -> None:
    assert "default-src 'none'" in text
    assert not re.findall(LOADS, _without_plotly(text))


def test_hostile_names_stay_text(bench: Bench, tmp_path: Path) -> None:
    evil = "</script><b>x</b>"
    rows = [
        Row(**{**vars(row), "set": evil, "image": evil, "title": evil}) for row in read_table(bench.folder / ROWS, Row)
    ]
    rows.append(Row(**{**vars(rows[0]), "bytes": None, "metrics": {}, "error": evil, "quality": 3.0}))
    write_table(tmp_path / ROWS, rows, Row)
    made = pages(load_bench(tmp_path)).report
    assert "<b>x</b>" not in made
    assert "&lt;b&gt;x&lt;/b&gt;" in made
    assert set(_blocks(made)["data"]["sets"]) == {evil}


def test_a_page_says_what_it_lacks(bench: Bench, tmp_path: Path) -> None:
    shutil.copy(bench.folder / ROWS, tmp_path)
    bare = pages(load_bench(tmp_path)).report
    assert "No images: the coded files were not kept" in bare
    assert "--speed none" in bare
    assert _blocks(bare)["data"]["images"] == []
    assert len(_blocks(pages(bench, images=1).report)["data"]["images"]) == 1
    assert _blocks(pages(bench, images=0).report)["data"]["images"] == []


def test_a_file_that_cannot_be_decoded_is_left_out(bench: Bench, tmp_path: Path) -> None:
    folder, said = Path(shutil.copytree(bench.folder, tmp_path / "bench")), list[str]()
    for path in folder.glob("files/small/a/*.calo"):
        path.write_bytes(path.read_bytes()[:-3])
    images = _blocks(pages(load_bench(folder), report=said.append).report)["data"]["images"]
    codecs = {image["name"]: {one["codec"] for one in image["shown"]} for image in images}
    assert MODEL not in codecs["a"]
    assert MODEL in codecs["b"]
    assert [line for line in said if line.startswith(f"not shown: {MODEL} of small/a: ")]


# --- in a browser -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def opened(browser: Any, bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = tmp_path_factory.mktemp("report") / "index.html"
    file.write_text(pages(bench, folder=file.parent, at=RATE).report, encoding="utf-8")
    browser.get(file.as_uri())
    wait(lambda: browser.execute_script("return document.querySelectorAll('.curves .scatterlayer .trace').length"))
    return browser


def _choose(browser: Any, id_or_css: str, value: str) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    Select(browser.find_element(By.CSS_SELECTOR, id_or_css)).select_by_value(value)


def _caption(browser: Any, side: str) -> str:
    return str(browser.execute_script(f"return document.getElementById('{side}-caption').innerText"))


def _screen(browser: Any, css: str) -> np.ndarray:
    from selenium.webdriver.common.by import By

    element = browser.find_element(By.CSS_SELECTOR, css)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    return np.asarray(Pillow.open(io.BytesIO(element.screenshot_as_png)).convert("RGB"))


def _slide(browser: Any, percent: int) -> None:
    """As the keyboard does."""
    browser.execute_script(
        "const s = document.getElementById('split'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))",
        percent,
    )


def _show(browser: Any, image: str, left: str, right: str) -> None:
    _choose(browser, "#image", image)
    _choose(browser, "#left", left)
    _choose(browser, "#right", right)
    _wait_for_images(browser)


def _rows(bench: Bench, codec: str, image: str) -> list[Row]:
    """In the order in which the page offers them."""
    rows = (row for row in bench.sets["small"].series[codec].rows if row.image == image)
    return sorted(rows, key=lambda row: row.bpp)


def _wait_for_images(browser: Any) -> None:
    images = "return ['left', 'right'].every((s) => { const i = document.getElementById(s + '-image');" \
             " return i.complete && i.naturalWidth > 0 })"  # fmt: skip
    wait(lambda: browser.execute_script(images))


def test_curves_are_drawn_and_the_metric_changes(opened: Any, bench: Bench) -> None:
    lossy = len(bench.sets["small"].of_kind("lossy"))
    traces = "return document.querySelectorAll('.curves .scatterlayer .trace').length"
    assert opened.execute_script(traces) == lossy
    path = "return document.querySelector('.curves .scatterlayer .trace path.js-line').getAttribute('d')"
    before = opened.execute_script(path)
    _choose(opened, "select.metric", "largest_error")
    wait(lambda: opened.execute_script(path) != before)
    axis = "return document.querySelector('.curves .ytitle').textContent"
    assert opened.execute_script(axis) == "largest error"
    _choose(opened, "select.metric", "psnr")


def test_a_point_tells_its_figures_when_hovered(opened: Any, bench: Bench) -> None:
    series = bench.sets["small"].series["jpeg-420"]
    opened.execute_script(
        "const chart = document.querySelector('.curves'); chart.scrollIntoView();"
        "const k = chart.data.findIndex((trace) => trace.name.startsWith('JPEG 4:2:0'));"
        "Plotly.Fx.hover(chart, [{curveNumber: k, pointNumber: 2}])"
    )
    label = "return document.querySelector('.curves .hoverlayer')?.textContent"
    wait(lambda: opened.execute_script(label))
    assert f"quality {series.points[2].quality:g}, {series.points[2].metrics['psnr']:.4f}" in opened.execute_script(
        label
    )


def test_the_slider_shows_one_image_left_and_the_other_right(opened: Any, tmp_path: Path, bench: Bench) -> None:
    _show(opened, "1", MODEL, "original")
    original = np.asarray(Pillow.open(next(bench.folder.glob("files/small/b/original.png"))))
    rows = _rows(bench, MODEL, "b")
    coded = next(row for row in rows if row.bpp / RATE > 0.8)
    _choose(opened, "#left-point", str(rows.index(coded)))
    _wait_for_images(opened)
    decoded = decode_kept(MODEL, bench.file(coded).read_bytes()).pixels
    for percent in (100, 25, 0):
        _slide(opened, percent)
        screen = _screen(opened, "#canvas")
        height, width = original.shape[:2]
        scale = screen.shape[1] / width
        shown = (
            np.asarray(Pillow.fromarray(screen).resize((width, height), Pillow.Resampling.BOX)) if scale > 1 else screen
        )
        cut, edge = round(width * percent / 100), 8  # the line and its knob cover a few columns
        for part, mine, other in (
            (slice(0, max(0, cut - edge)), decoded, original),
            (slice(cut + edge, width), original, decoded),
        ):
            above = slice(0, height // 3)  # of the knob
            if shown[above, part].size and part.stop - part.start > edge:
                assert psnr(shown[above, part], mine[above, part]) > psnr(shown[above, part], other[above, part]) + 1
    opened.save_screenshot(str(tmp_path / "report.png"))
    assert np.asarray(Pillow.open(tmp_path / "report.png")).std() > 10


def test_the_line_can_be_dragged(opened: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    _show(opened, "1", MODEL, "original")
    _slide(opened, 50)
    stage = opened.find_element(By.ID, "stage")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", stage)
    before = float(opened.execute_script("return document.getElementById('split').value"))
    ActionChains(opened).move_to_element(stage).click_and_hold().move_by_offset(-40, 0).release().perform()
    after = float(opened.execute_script("return document.getElementById('split').value"))
    assert after < before - 5
    clip = opened.execute_script("return document.getElementById('left-image').style.clipPath")
    assert clip.startswith("inset(0")


def test_codecs_qualities_and_images_can_be_changed(opened: Any, bench: Bench) -> None:
    seen = set()
    for image, name in (("0", "a"), ("1", "b")):
        for left, right in ((MODEL, "jpeg-444"), ("webp", MODEL)):
            _show(opened, image, left, right)
            for side, codec in (("left", left), ("right", right)):
                rows = _rows(bench, codec, name)
                count = opened.execute_script(f"return document.getElementById('{side}-point').options.length")
                assert count == len(rows)
                for k, row in enumerate(rows):
                    _choose(opened, f"#{side}-point", str(k))
                    caption = _caption(opened, side)
                    assert row.title in caption
                    assert f"quality {row.quality:g}, {row.bytes:,} bytes, {row.bpp:.3f} bpp" in caption
                    assert f"{row.metrics['psnr']:.2f} dB" in caption
                    seen.add(caption)
    assert len(seen) == sum(len(_rows(bench, codec, name)) for codec in (MODEL, "jpeg-444", "webp") for name in "ab")


def test_a_codec_begins_at_the_rate_of_the_other_and_an_image_at_the_quality_of_the_last(
    opened: Any, bench: Bench
) -> None:
    _show(opened, "1", "webp", "original")
    for k, shown in enumerate(_rows(bench, "webp", "b")):
        _choose(opened, "#left-point", str(k))
        _choose(opened, "#right", "original")
        _choose(opened, "#right", "jpeg-444")
        near = min(_rows(bench, "jpeg-444", "b"), key=lambda row: abs(math.log(row.bpp / shown.bpp)))
        assert f"quality {near.quality:g}, " in _caption(opened, "right")
    _choose(opened, "#image", "0")
    assert f"quality {shown.quality:g}, " in _caption(opened, "left")
    assert f"quality {near.quality:g}, " in _caption(opened, "right")


def test_zoom_enlarges_and_goes_back(opened: Any) -> None:
    from selenium.webdriver.common.by import By

    width = "return document.getElementById('canvas').clientWidth"
    before = opened.execute_script(width)
    for _ in range(2):
        opened.find_element(By.ID, "zoom-in").click()
    assert opened.execute_script(width) == pytest.approx(2 * before, abs=2)
    assert opened.execute_script("return document.getElementById('zoom').textContent") == "2×"
    assert (
        opened.execute_script("return getComputedStyle(document.getElementById('left-image')).imageRendering")
        == "pixelated"
    )
    for _ in range(2):
        opened.find_element(By.ID, "zoom-out").click()
    assert opened.execute_script(width) == before


def test_the_page_made_no_complaint(opened: Any) -> None:
    """Last: the log is that of all that was done above. The policy in the page would tell of any request."""
    assert [entry for entry in opened.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
