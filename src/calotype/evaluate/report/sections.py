"""Sections of the HTML page: verdicts, curves, speed, lossless and near-lossless codecs, origin, failures."""

from __future__ import annotations

from collections.abc import Iterable

from ..tables.folder import Bench
from ..tables.published import VTM
from ..tables.series import Series
from ..tables.speeds import REFERENCES, Speed, speeds
from ..tables.summary import LOSSLESS_REFERENCE, Difference, ImageSet
from . import markup


def verdicts(bench: Bench) -> str:
    """The result in a sentence for each of our codecs and sets."""
    lines = []
    for measured in bench.sets.values():
        for series in measured.of_kind("lossy"):
            if series.own:
                found = {d.anchor: d for d in measured.differences(series.codec)}
                parts = [
                    _verdict(found[name])
                    for name in ("jpeg-420", "webp", "avif-444-s6", "jxl-e7", VTM)
                    if name in found
                ]
                if parts:
                    text = f"needs {markup.listed(parts)} on {measured.name} ({len(measured.images)} images)."
                    lines.append(f"<p><strong>{markup.text(series.codec)}</strong> {markup.text(text)}</p>")
    note = (
        "<p class='note'>At equal PSNR of RGB, by BD-rate: the mean difference of bits over the range of PSNR that "
        "both codecs reach. Rates are <em>bpp</em>, 8 × bytes of the whole file / pixels.</p>"
    )
    return markup.section("result", "In short", "".join(lines) + note) if lines else ""


def _verdict(found: Difference) -> str:
    return f"{abs(found.rate):.1f} % {'fewer' if found.rate < 0 else 'more'} bits than {found.anchor_title}"


def curves(measured: ImageSet) -> str:
    if not measured.of_kind("lossy"):
        return ""
    own = [series for series in measured.of_kind("lossy") if series.own]
    name = markup.text(measured.name)
    chart = f"""
<div class="controls"><label>Measure <select class="metric" data-set="{name}"></select></label></div>
<div class="chart curves" data-set="{name}" role="img" aria-label="Rate-distortion curves on {name}"></div>
<p class="note">Thick: Calotype. Dashed: published curves, which did not run here; click a name to show or hide it. Drag
to zoom, double-click to return.</p>"""
    tables = "".join(_differences(measured, series) for series in own)
    return markup.section(f"curves-{measured.name}", f"{measured.name}: rate and distortion", chart + tables)


def _differences(measured: ImageSet, series: Series) -> str:
    found = {difference.anchor: difference for difference in measured.differences(series.codec)}
    rows = []
    for name, (title, _) in measured.anchors().items():
        if name == series.codec:
            continue
        if name not in found:
            rows.append(f"<tr><th>{markup.text(title)}</th><td colspan=4>the curves do not overlap</td></tr>")
            continue
        d = found[name]
        tint = "good" if d.rate < 0 else "bad"
        rows.append(
            f"<tr><th>{markup.text(title)}</th><td class='{tint}'>{d.rate:+.1f} %</td><td>{d.rate_akima:+.1f} %</td>"
            f"<td>{d.decibels:+.2f} dB</td><td>{d.low:.1f} to {d.high:.1f} dB</td></tr>"
        )
    head = ("against", "BD-rate", "with Akima", "BD-PSNR", "over")
    return f"<h3>{markup.text(series.codec)}</h3>{markup.table(head, rows)}" if rows else ""


def speed(bench: Bench) -> str:
    found = speeds(bench.timings)
    if not found:
        return markup.section(
            "speed", "Speed", "<p>Not measured: <code>calotype bench</code> ran with --speed none.</p>"
        )
    controls = """
<div class="controls"><label>Clock <select id="clock"><option value="decode">decoding</option>
<option value="encode">encoding</option></select></label>
<label>Cores <select id="cores"></select></label></div>
<div class="chart" id="speed-chart" role="img" aria-label="Speed against rate"></div>
<p class="note">The codecs took turns on the same images, each in a process of its own. Medians; ratios are medians of
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
    return markup.section(
        "speed", "Speed", controls + markup.table(head, (_speed_row(speed, references) for speed in found))
    )


def _speed_row(speed: Speed, references: Iterable[str]) -> str:
    ratios = [f"{speed.decode_ratio[name]:.2f} ×" if name in speed.decode_ratio else "" for name in references]
    cells = [
        speed.cores, f"{speed.bpp:.2f}", f"{speed.encode:.2f}", f"{speed.decode:.2f}", *ratios,
        f"{speed.start_seconds:.2f}",
        f"{speed.encode_peak_bytes / 2**20:.0f}", f"{speed.decode_peak_bytes / 2**20:.0f}",
    ]  # fmt: skip
    return markup.row(speed.title, cells, own=speed.own)


def lossless(bench: Bench) -> str:
    parts = []
    clocks = {speed.codec: [f"{speed.encode:.2f}", f"{speed.decode:.2f}"] for speed in speeds(bench.timings)[::-1]}
    for measured in bench.sets.values():
        found = sorted(measured.of_kind("lossless"), key=lambda series: series.points[0].bpsp)
        reference = measured.series.get(LOSSLESS_REFERENCE)
        rows = []
        for series in found:
            bpsp = series.points[0].bpsp
            against = ""
            if reference is not None and reference.points:
                against = f"{100 * (bpsp / reference.points[0].bpsp - 1):+.1f} %"
            rows.append(
                markup.row(
                    series.title,
                    [f"{bpsp:.3f}", against, *clocks.get(series.codec, ("", ""))],
                    own=series.own,
                )
            )
        if rows:
            head = (measured.name, "bits per sub-pixel", "to JPEG XL, effort 7", "encode, MP/s", "decode, MP/s")
            parts.append(markup.table(head, rows))
    note = "<p class='note'>Whole files. Speeds on one core, of codecs that were timed.</p>"
    return markup.section("lossless", "Lossless", "".join(parts) + note) if parts else ""


def near_lossless(bench: Bench) -> str:
    parts = []
    for measured in bench.sets.values():
        bounds, rows = measured.near_lossless()
        if rows:
            lines = (markup.row(series.title, cells, own=series.own) for series, cells in rows)
            parts.append(markup.table((f"{measured.name}, largest error", *bounds), lines))
    note = "<p class='note'>Bits per sub-pixel of whole files, and PSNR.</p>"
    return markup.section("near-lossless", "Near-lossless", "".join(parts) + note) if parts else ""


def origin(bench: Bench) -> str:
    codecs = {series.codec: series for each in bench.sets.values() for series in each.series.values()}
    rows = [
        markup.row(
            series.title,
            [series.codec, series.version, f"weights {series.digest}" if series.digest else ""],
            series.own,
        )
        for series in codecs.values()
    ]
    processors = markup.listed(dict.fromkeys(row.processor for row in bench.rows))
    jobs = markup.listed(dict.fromkeys(f"{row.jobs}" for row in bench.rows))
    note = f"<p>Ran on {markup.text(processors)}; codings at a time, one thread each: {markup.text(jobs)}.</p>"
    table = markup.table(("codec", "name", "version", ""), rows)
    sources = {p.source for each in bench.sets.values() for p in each.published.values()}
    published = f"<p class='note'>Published curves: {markup.text('; '.join(sorted(sources)))}.</p>" if sources else ""
    return markup.section("origin", "What was measured", note + table + published)


def refusals(bench: Bench) -> str:
    """Codecs that do not take some of the images, and why."""
    images: dict[tuple[str, str, str], set[str]] = {}
    for measured in bench.sets.values():
        for series in measured.series.values():
            for row in series.refusals:
                images.setdefault((series.title, measured.name, row.error or ""), set()).add(row.image)
    rows = [markup.row(title, [name, len(found), reason]) for (title, name, reason), found in images.items()]
    table = markup.table(("codec", "set", "images", "reason"), rows)
    return markup.section("refusals", "Not applicable", table) if rows else ""


def failures(bench: Bench) -> str:
    rows = [
        markup.row(row.codec, [f"{row.set}/{row.image}", f"{row.quality:g}", row.error])
        for each in bench.sets.values()
        for series in each.series.values()
        for row in series.failures
    ]
    return (
        markup.section("failures", "Failures", markup.table(("codec", "image", "quality", "reason"), rows))
        if rows
        else ""
    )
