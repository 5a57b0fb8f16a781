"""Bjøntegaard differences against cases that can be worked out by hand, and against published figures."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from calotype.errors import CalotypeError, Unsupported
from calotype.evaluate.tables.bd import Curve, Method, bd_psnr, bd_rate, envelope, interpolate, psnr_overlap
from calotype.evaluate.tables.published import HYPERPRIOR, VTM, load_published, published_path

pytest.importorskip("scipy")

# Straight in (log rate, PSNR): 6 dB per doubling. PCHIP reproduces a straight line.
LINE = [(0.25 * 2**k, 28.0 + 6 * k) for k in range(4)]

TABLE_TOLERANCE = 0.3  # percent points; the table has one digit after the point


def test_a_constant_ratio_of_rates_is_the_percentage() -> None:
    dearer = [(1.25 * bpp, psnr) for bpp, psnr in LINE]
    assert bd_rate(dearer, LINE) == pytest.approx(25)
    assert bd_rate(LINE, dearer) == pytest.approx(-20)


def test_a_constant_ratio_holds_for_any_shape() -> None:
    bent = [(0.1, 25.0), (0.2, 29.5), (0.5, 33.1), (1.0, 35.0), (2.0, 39.9)]
    assert bd_rate([(0.7 * bpp, psnr) for bpp, psnr in bent], bent) == pytest.approx(-30)


def test_a_constant_distance_of_psnr() -> None:
    better = [(bpp, psnr + 1.5) for bpp, psnr in LINE]
    assert bd_psnr(better, LINE) == pytest.approx(1.5)
    assert bd_rate(better, LINE) == pytest.approx(100 * (2 ** (-1.5 / 6) - 1))


def test_lines_of_different_slope() -> None:
    """log2 of the rate is p / 6 and p / 3 from a common start: the mean over 0..6 dB is 0.5 and 1."""
    steep = [(2.0**k, 6.0 * k) for k in range(4)]
    flat = [(2.0**k, 3.0 * k) for k in range(3)]
    assert psnr_overlap(flat, steep) == (0, 6)
    assert bd_rate(flat, steep) == pytest.approx(100 * (math.sqrt(2) - 1))


def test_only_the_overlap_counts() -> None:
    upper = [(bpp, psnr) for bpp, psnr in LINE if psnr > 30] + [(99.0, 60.0)]
    assert psnr_overlap(LINE, upper) == (34.0, 46.0)
    assert bd_rate(upper[:3], LINE) == pytest.approx(0)


def test_the_order_of_points_does_not_matter() -> None:
    assert bd_rate(LINE[::-1], LINE) == pytest.approx(0)


@pytest.mark.parametrize("curve", [[(1.0, 60.0), (2.0, 70.0)], [(1.0, 30.0)], [(1.0, 30.0), (2.0, 30.0)]])
def test_curves_that_cannot_be_compared(curve: list[tuple[float, float]]) -> None:
    with pytest.raises(Unsupported):
        bd_rate(curve, LINE)


def test_the_envelope_takes_the_better_curve_at_each_point() -> None:
    """In log2 of the rate: (p - 30) / 6 and (p - 31) / 3, which meet at 32 dB; the second is better below."""
    steep = [(2.0**k, 30.0 + 6 * k) for k in range(-2, 4)]
    flat = [(2.0**k, 31.0 + 3 * k) for k in range(-2, 4)]
    for bpp, psnr in envelope(steep, flat):
        if 25 < psnr < 40:  # both reach it
            expected = (psnr - 31) / 3 if psnr < 32 else (psnr - 30) / 6
            assert math.log2(bpp) == pytest.approx(expected)


def test_interpolation_follows_the_curve() -> None:
    assert interpolate(LINE, 0.5) == pytest.approx(34)
    assert math.isnan(interpolate(LINE, 10))


def test_an_envelope_of_one_is_itself() -> None:
    assert bd_rate(envelope(LINE), LINE) == pytest.approx(0, abs=1e-9)


def published_table() -> dict[str, tuple[float, float]]:
    """BD-rates against VTM and the hyperprior from the table beside the file of published curves."""
    try:
        readme = published_path().with_name("README.md")
    except CalotypeError as error:
        pytest.skip(str(error))
    if not readme.is_file():
        pytest.skip(f"{readme} does not exist")
    return dict(_rows(readme))


def _rows(readme: Path) -> Iterator[tuple[str, tuple[float, float]]]:
    for names, vtm, hyperprior in re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", readme.read_text(), re.MULTILINE):
        columns = [_numbers(vtm), _numbers(hyperprior)]
        codecs = _expand(names)
        if len(codecs) == len(columns[0]) == len(columns[1]):
            yield from zip(codecs, zip(columns[0], columns[1], strict=True), strict=True)


def _numbers(cell: str) -> list[float]:
    return [float(text) for text in re.findall(r"[+-]?\d+(?:\.\d+)?", cell)]


def _expand(names: str) -> list[str]:
    """Names of codecs in the file of curves: `cheng2020-anchor / attn` are two with a common beginning."""
    files = {"bmshj2018": "compressai-bmshj2018", "mbt2018": "compressai-mbt2018", "cheng2020": "compressai-cheng2020"}
    found: list[str] = []
    for name in re.sub(r"\(.*?\)", "", names).split("/"):
        name = name.strip()
        if found and name in ("attn", "Middle", "Small"):
            stem = found[-1].removesuffix("_mse_cuda").rpartition("-")[0]
            name = f"{stem}-{name}"
        name = files.get(name.partition("-")[0], name.partition("-")[0]) + name[len(name.partition("-")[0]) :]
        found.append(f"{name}_mse_cuda" if name.startswith("compressai-") else name)
    return found


def test_published_figures_come_out() -> None:
    table, curves = published_table(), load_published()
    compared = 0
    for name, (vtm, hyperprior) in table.items():
        if name in curves:
            assert bd_rate(curves[name].points, curves[VTM].points) == pytest.approx(vtm, abs=TABLE_TOLERANCE), name
            against = bd_rate(curves[name].points, curves[HYPERPRIOR].points)
            assert against == pytest.approx(hyperprior, abs=TABLE_TOLERANCE), name
            compared += 1
    assert compared >= 18


def test_published_curves_are_found_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CALOTYPE_DATA", raising=False)
    with pytest.raises(CalotypeError, match="CALOTYPE_DATA"):
        load_published()
    (tmp_path / "data").mkdir()
    (tmp_path / "anchors").mkdir()
    monkeypatch.setenv("CALOTYPE_DATA", str(tmp_path / "data"))
    with pytest.raises(CalotypeError, match="does not exist"):
        load_published()
    text = '{"x": {"source": "a paper", "points": [{"bpp": 2, "psnr": 40}, {"bpp": 1, "psnr": 35}]}}'
    (tmp_path / "anchors" / "kodak_published.json").write_text(text)
    assert load_published()["x"].points == [(1, 35), (2, 40)]


@pytest.mark.parametrize("method", ["pchip", "akima"])
def test_another_implementation_agrees(method: Method) -> None:
    bjontegaard = pytest.importorskip("bjontegaard")
    curves: dict[str, Curve] = {"bent": [(0.1, 25.0), (0.2, 29.5), (0.5, 33.1), (1.0, 35.0), (2.0, 39.9)], "line": LINE}
    with contextlib.suppress(CalotypeError):
        curves |= {name: curve.points for name, curve in load_published().items()}
    anchor = curves.get(VTM, LINE)
    for name, curve in curves.items():
        both = [part for line in (anchor, curve) for part in zip(*line, strict=True)]
        try:
            ours = bd_rate(curve, anchor, method), bd_psnr(curve, anchor, method)
        except Unsupported:
            continue
        theirs = [
            find(*both, method=method, require_matching_points=False, min_overlap=0)
            for find in (bjontegaard.bd_rate, bjontegaard.bd_psnr)
        ]
        assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-6), name
