"""What a bench measured as one HTML page: curves, tables, and pictures under a slider; no server, no network.

The page holds all it needs: Plotly from the installed package, our own small script and style from `assets`, the
figures as JSON, and the pictures. Files that browsers can show go in as they are, all others as lossless WebP of what
they decode to.
"""

from __future__ import annotations

import base64
import html
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from PIL import Image as Pillow

from ..errors import CalotypeError
from .metrics import METRICS
from .published import HYPERPRIOR, VTM
from .rows import Row
from .speed import REFERENCES
from .subjects import decode_kept
from .summary import LOSSLESS_REFERENCE, Bench, Difference, PictureSet, Point, Series, Speed, speeds

SHOWN_BY_BROWSERS = {".jpg": "image/jpeg", ".webp": "image/webp", ".avif": "image/avif", ".png": "image/png"}
NEAR = 1.25  # the viewer shows a codec only where its rate is within this factor of the one asked for

Say = Callable[[str], None]


def page(
    bench: Bench, *, at: Sequence[float] = (0.5,), pictures: int | None = None, report: Say = lambda line: None
) -> str:
    """The whole page.

    Parameters
    ----------
    at
        Rates in bits per pixel at which the viewer shows pictures.
    pictures
        Only the first so many of each set are shown; 0: none, None: all.
    report
        Gets a line about each file that cannot be shown.
    """
    from plotly.offline import get_plotlyjs

    shown = list(_pictures(bench, at, pictures, report))
    sections = [_verdicts(bench), *map(_curves, bench.sets.values()), _speed(bench), _lossless(bench)]
    sections += [_near_lossless(bench), _viewer(shown), _origin(bench), _failures(bench)]
    data = {
        "sets": {name: _set_data(measured) for name, measured in bench.sets.items()},
        "metrics": {name: {"title": metric.title, "better": metric.better} for name, metric in METRICS.items()},
        "speeds": [asdict(speed) for speed in speeds(bench.timings)],
        "pictures": [{key: value for key, value in picture.items() if key != "shown"} for picture in shown],
    }
    return Template(_asset("report.html")).substitute(
        title=_text(f"Bench: {', '.join(bench.sets)}"),
        style=_asset("report.css"),
        sections="\n".join(filter(None, sections)),
        plotly=get_plotlyjs(),
        script=_asset("report.js"),
        data=_json(data),
        pictures="\n".join(
            f'<script type="application/json" id="picture-{k}">{_json(picture["shown"])}</script>'
            for k, picture in enumerate(shown)
        ),
    )


# --- what is compared ---------------------------------------------------------------------------------------------


def _verdicts(bench: Bench) -> str:
    """The result in a sentence for each of our codecs and sets."""
    lines = []
    for pictures in bench.sets.values():
        for series in pictures.of_kind("lossy"):
            if series.own:
                found = {d.anchor: d for d in pictures.differences(series.codec)}
                parts = [
                    _verdict(found[name])
                    for name in ("jpeg-420", "webp", "avif-444-s6", "jxl-e7", VTM)
                    if name in found
                ]
                if parts:
                    text = f"needs {_listed(parts)} on {pictures.name} ({len(pictures.pictures)} pictures)."
                    lines.append(f"<p><strong>{_text(series.codec)}</strong> {_text(text)}</p>")
    note = (
        "<p class='note'>At equal PSNR of RGB, by BD-rate: the mean difference of bits over the range of PSNR that "
        "both codecs reach. Rates are <em>bpp</em>, 8 × bytes of the whole file / pixels.</p>"
    )
    return _section("result", "In short", "".join(lines) + note) if lines else ""


def _verdict(found: Difference) -> str:
    return f"{abs(found.rate):.1f} % {'fewer' if found.rate < 0 else 'more'} bits than {found.anchor_title}"


def _curves(pictures: PictureSet) -> str:
    if not pictures.of_kind("lossy"):
        return ""
    own = [series for series in pictures.of_kind("lossy") if series.own]
    chart = f"""
<div class="controls"><label>Measure <select class="metric" data-set="{_text(pictures.name)}"></select></label></div>
<div class="chart curves" data-set="{_text(pictures.name)}" role="img"
  aria-label="Rate-distortion curves on {_text(pictures.name)}"></div>
<p class="note">Thick: Calotype. Dashed: published curves, which did not run here; click a name to show or hide it. Drag
to zoom, double-click to return.</p>"""
    tables = "".join(_differences(pictures, series) for series in own)
    return _section(f"curves-{pictures.name}", f"{pictures.name}: rate and distortion", chart + tables)


def _differences(pictures: PictureSet, series: Series) -> str:
    found = {difference.anchor: difference for difference in pictures.differences(series.codec)}
    rows = []
    for name, (title, _) in pictures.anchors().items():
        if name == series.codec:
            continue
        if name not in found:
            rows.append(f"<tr><th>{_text(title)}</th><td colspan=4>the curves do not overlap</td></tr>")
            continue
        d = found[name]
        tint = "good" if d.rate < 0 else "bad"
        rows.append(
            f"<tr><th>{_text(title)}</th><td class='{tint}'>{d.rate:+.1f} %</td><td>{d.rate_akima:+.1f} %</td>"
            f"<td>{d.decibels:+.2f} dB</td><td>{d.low:.1f} to {d.high:.1f} dB</td></tr>"
        )
    head = ("against", "BD-rate", "with Akima", "BD-PSNR", "over")
    return f"<h3>{_text(series.codec)}</h3>{_table(head, rows)}" if rows else ""


def _set_data(pictures: PictureSet) -> dict[str, Any]:
    curves = [
        {
            "name": series.codec,
            "title": series.title,
            "own": series.own,
            "points": [_point_data(point) for point in series.points],
        }
        for series in pictures.of_kind("lossy")
    ]
    published = [
        {
            "name": entry.short_name,
            "shown": name in (VTM, HYPERPRIOR),
            "curves": {metric: entry.curve(metric) for metric in ("psnr", "ms_ssim") if entry.curve(metric)},
        }
        for name, entry in sorted(pictures.published.items(), key=lambda item: item[0] not in (VTM, HYPERPRIOR))
    ]
    return {"curves": curves, "published": published}


def _point_data(point: Point) -> dict[str, Any]:
    metrics = {name: value for name, value in point.metrics.items() if math.isfinite(value)}
    return {"quality": point.quality, "bpp": point.bpp, "metrics": metrics}


# --- speed, lossless ----------------------------------------------------------------------------------------------


def _speed(bench: Bench) -> str:
    found = speeds(bench.timings)
    if not found:
        return _section("speed", "Speed", "<p>Not measured: <code>calotype bench</code> ran with --speed none.</p>")
    controls = """
<div class="controls"><label>Clock <select id="clock"><option value="decode">decoding</option>
<option value="encode">encoding</option></select></label>
<label>Cores <select id="cores"></select></label></div>
<div class="chart" id="speed-chart" role="img" aria-label="Speed against rate"></div>
<p class="note">The codecs took turns on the same pictures, each in a process of its own. Medians; ratios are medians of
ratios within a round. Start is from the start of the process until it had coded and decoded 64×64 pixels. Memory is the
peak of the process, interpreter included.</p>"""
    references = [name for name in REFERENCES if any(name in speed.decode_ratio for speed in found)]
    ratios = [f"decoding against {name}" for name in references]
    head = (
        "codec",
        "cores",
        "bpp",
        "encode, MP/s",
        "decode, MP/s",
        *ratios,
        "start, s",
        "encoding, MiB",
        "decoding, MiB",
    )
    return _section("speed", "Speed", controls + _table(head, (_speed_row(speed, references) for speed in found)))


def _speed_row(speed: Speed, references: Iterable[str]) -> str:
    ratios = [f"{speed.decode_ratio[name]:.2f} ×" if name in speed.decode_ratio else "" for name in references]
    cells = [
        speed.cores, f"{speed.bpp:.2f}", f"{speed.encode:.2f}", f"{speed.decode:.2f}", *ratios,
        f"{speed.start_seconds:.2f}",
        f"{speed.encode_peak_bytes / 2**20:.0f}", f"{speed.decode_peak_bytes / 2**20:.0f}",
    ]  # fmt: skip
    return _row(speed.title, cells, own=speed.own)


def _lossless(bench: Bench) -> str:
    parts = []
    clocks = {speed.codec: [f"{speed.encode:.2f}", f"{speed.decode:.2f}"] for speed in speeds(bench.timings)[::-1]}
    for pictures in bench.sets.values():
        found = sorted(pictures.of_kind("lossless"), key=lambda series: series.points[0].bpsp)
        reference = pictures.series.get(LOSSLESS_REFERENCE)
        rows = []
        for series in found:
            bpsp = series.points[0].bpsp
            against = ""
            if reference is not None and reference.points:
                against = f"{100 * (bpsp / reference.points[0].bpsp - 1):+.1f} %"
            rows.append(
                _row(
                    series.title,
                    [f"{bpsp:.3f}", against, *clocks.get(series.codec, ("", ""))],
                    own=series.own,
                )
            )
        if rows:
            head = (pictures.name, "bits per sub-pixel", "to JPEG XL, effort 7", "encode, MP/s", "decode, MP/s")
            parts.append(_table(head, rows))
    note = "<p class='note'>Whole files. Speeds on one core, of codecs that were timed.</p>"
    return _section("lossless", "Lossless", "".join(parts) + note) if parts else ""


def _near_lossless(bench: Bench) -> str:
    parts = []
    for pictures in bench.sets.values():
        found = pictures.of_kind("near-lossless")
        bounds = sorted({point.quality for series in found for point in series.points})
        rows = []
        for series in found:
            by_bound = {point.quality: f"{point.bpsp:.3f}" for point in series.points}
            rows.append(_row(series.title, [by_bound.get(bound, "") for bound in bounds], own=series.own))
        if rows:
            parts.append(_table((f"{pictures.name}, largest error", *(f"{bound:g}" for bound in bounds)), rows))
    note = "<p class='note'>Bits per sub-pixel of whole files.</p>"
    return _section("near-lossless", "Near-lossless", "".join(parts) + note) if parts else ""


# --- the viewer ---------------------------------------------------------------------------------------------------


def _pictures(bench: Bench, at: Sequence[float], limit: int | None, report: Say) -> Iterator[dict[str, Any]]:
    """Of each picture whose files were kept: the original, and each lossy codec at each rate."""
    for pictures in bench.sets.values():
        for name in pictures.pictures[:limit]:
            rows = {
                series.codec: [row for row in series.rows if row.picture == name]
                for series in pictures.of_kind("lossy")
            }
            first = next((row for of_codec in rows.values() for row in of_codec), None)
            if first is None or not bench.original(first).is_file():
                continue
            shown = [_original(bench.original(first))]
            for rate in at:
                for series in pictures.of_kind("lossy"):
                    if rows[series.codec]:
                        row = series.nearest(rate, name)
                        assert isinstance(row, Row)
                        shown += _shown(bench.file(row), row, rate, report)
            yield {
                "set": pictures.name, "name": name, "width": first.width, "height": first.height, "rates": list(at),
                "shown": shown,
            }  # fmt: skip


def _original(path: Path) -> dict[str, Any]:
    with Pillow.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    return {"codec": "original", "title": "Original", "at": None, **_lossless_webp(pixels)}


def _shown(path: Path, row: Row, rate: float, report: Say) -> list[dict[str, Any]]:
    """One entry, or none if the rate is too far off or the file cannot be shown."""
    if not 1 / NEAR <= row.bpp / rate <= NEAR:
        return []
    try:
        data = path.read_bytes()
        if row.ending in SHOWN_BY_BROWSERS:
            content = {"type": SHOWN_BY_BROWSERS[row.ending], "data": base64.b64encode(data).decode()}
        else:
            content = _lossless_webp(decode_kept(row.codec, data))
    except (OSError, ImportError, CalotypeError) as error:
        report(f"not shown: {row.codec} of {row.set}/{row.picture}: {error}")
        return []
    psnr = row.metrics.get("psnr")
    return [
        {
            "codec": row.codec,
            "title": row.title,
            "at": rate,
            "quality": row.quality,
            "bytes": row.bytes,
            "bpp": row.bpp,
            "psnr": psnr if psnr is not None and math.isfinite(psnr) else None,
            **content,
        }
    ]


def _lossless_webp(pixels: np.ndarray[Any, Any]) -> dict[str, str]:
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "WEBP", lossless=True, quality=30, method=1)
    return {"type": "image/webp", "data": base64.b64encode(file.getvalue()).decode()}


def _viewer(shown: Sequence[Mapping[str, Any]]) -> str:
    if not shown:
        return _section(
            "viewer", "Side by side", "<p>No pictures: the coded files were not kept, or not asked for.</p>"
        )
    return _section("viewer", "Side by side", _asset("viewer.html"))


# --- origin -------------------------------------------------------------------------------------------------------


def _origin(bench: Bench) -> str:
    codecs = {series.codec: series for each in bench.sets.values() for series in each.series.values()}
    rows = [
        _row(
            series.title,
            [series.codec, series.version, f"weights {series.digest}" if series.digest else ""],
            series.own,
        )
        for series in codecs.values()
    ]
    processors = _listed(dict.fromkeys(row.processor for row in bench.rows))
    jobs = _listed(dict.fromkeys(f"{row.jobs}" for row in bench.rows))
    note = f"<p>Ran on {_text(processors)}; codings at a time, one thread each: {_text(jobs)}.</p>"
    table = _table(("codec", "name", "version", ""), rows)
    sources = {p.source for each in bench.sets.values() for p in each.published.values()}
    published = f"<p class='note'>Published curves: {_text('; '.join(sorted(sources)))}.</p>" if sources else ""
    return _section("origin", "What was measured", note + table + published)


def _failures(bench: Bench) -> str:
    rows = [
        _row(row.codec, [f"{row.set}/{row.picture}", f"{row.quality:g}", row.error])
        for each in bench.sets.values()
        for series in each.series.values()
        for row in series.failures
    ]
    return _section("failures", "Failures", _table(("codec", "picture", "quality", "reason"), rows)) if rows else ""


# --- HTML ---------------------------------------------------------------------------------------------------------


def _section(name: str, title: str, body: str) -> str:
    return f'<section id="{_text(name)}"><h2>{_text(title)}</h2>{body}</section>'


def _table(head: Iterable[str], rows: Iterable[str]) -> str:
    cells = "".join(f"<th scope=col>{_text(cell)}</th>" for cell in head)
    return f"<div class='scroll'><table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"


def _row(title: str, cells: Iterable[object], own: bool = False) -> str:
    tail = "".join(f"<td>{_text(str(cell))}</td>" for cell in cells)
    return f"<tr{' class=own' if own else ''}><th scope=row>{_text(title)}</th>{tail}</tr>"


def _text(text: str) -> str:
    return html.escape(text)


def _json(value: object) -> str:
    """For a script element, which ends at the first `</` whatever it holds."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def _listed(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def _asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")
