"""Tables in Markdown of what was measured of codecs: rates, differences, speeds."""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from pathlib import Path

from ...errors import CalotypeError
from ..tables.folder import Bench
from ..tables.series import Point, Series
from ..tables.speeds import REFERENCES, Speed, speeds
from ..tables.summary import LOSSLESS_REFERENCE, Difference, ImageSet


def bd_table(measured: ImageSet, short_of: Container[str] | None = None) -> str:
    """Our lossy codecs against all others; in short, of those codecs only, if some are named."""
    own = [series.codec for series in measured.of_kind("lossy") if series.own]
    if short_of is not None:
        own = [codec for codec in own if codec in short_of]
    by_anchor: dict[str, dict[str, Difference]] = {}
    for codec in own:
        for found in measured.differences(codec):
            by_anchor.setdefault(found.anchor, {})[codec] = found
    titles = {name: title for name, (title, _) in measured.anchors().items()}
    cell = _difference if short_of is None else _short_difference
    rows = [
        [titles[name], *(cell(by_anchor[name][codec]) if codec in by_anchor[name] else "no overlap" for codec in own)]
        for name in titles
        if name in by_anchor
    ]
    return table(("against", *own), rows)


def _difference(found: Difference) -> str:
    return (
        f"{found.rate:+.1f} % (Akima {found.rate_akima:+.1f} %), {found.decibels:+.2f} dB, "
        f"from {found.low:.1f} to {found.high:.1f} dB"
    )


def _short_difference(found: Difference) -> str:
    return f"{found.rate:+.1f} %"


_RATE_COLUMNS = {
    "psnr": ("PSNR, dB", "{:.2f}"),
    "psnr_y": ("luma PSNR, dB", "{:.2f}"),
    "ms_ssim": ("MS-SSIM", "{:.4f}"),
}


def rate_table(series: Series) -> str:
    shown = {name: column for name, column in _RATE_COLUMNS.items() if name in series.points[0].metrics}

    def cells(point: Point) -> list[str]:
        ideal = "" if point.bpp_ideal is None else f"{point.bpp_ideal:.4f}"
        metrics = [form.format(point.metrics[name]) for name, (_, form) in shown.items()]
        return [
            f"{point.quality:g}", f"{point.bpp:.4f}", ideal, *metrics,
            f"{point.encode_seconds:.3f}", f"{point.decode_seconds:.3f}",
        ]  # fmt: skip

    titles = ("quality", "bpp", "ideal bpp", *(title for title, _ in shown.values()), "encode, s", "decode, s")
    return table(titles, map(cells, series.points))


def counter_note(series: Series) -> str:
    counted = [row for row in series.rows if row.ideal_bits is not None and row.bytes is not None]
    if not counted:
        return ""
    off = max(abs((row.ideal_bits or 0) - 8 * (row.bytes or 0)) / (8 * (row.bytes or 1)) for row in counted)
    return (
        "`ideal bpp` is what the bit counter says without writing a file; it differs from a file's bytes by "
        f"{100 * off:.3f} % at most. Header, checksums and lengths take {max(row.frame_bytes or 0 for row in counted)} "
        "bytes of a file."
    )


def lossless_parts(bench: Bench) -> list[str]:
    table = lossless_table(bench)
    return ["## Lossless", *table] if table else []


def lossless_table(bench: Bench, rivals: Collection[str] | None = None) -> list[str]:
    """Lines about our lossless models, and all rivals or some."""
    found = {
        name: {s.codec: s for s in measured.of_kind("lossless") if rivals is None or s.own or s.codec in rivals}
        for name, measured in bench.sets.items()
    }
    found = {name: series for name, series in found.items() if series}
    if not found:
        return []
    clocks = {speed.codec: (f"{speed.encode:.2f}", f"{speed.decode:.2f}") for speed in speeds(bench.timings)[::-1]}
    codecs = {codec: series for of_set in found.values() for codec, series in of_set.items()}
    rows = []
    for codec, series in codecs.items():
        cells = [series.title]
        for of_set in found.values():
            cells.append(_bpsp(of_set.get(codec), of_set.get(LOSSLESS_REFERENCE)))
        rows.append([*cells, *clocks.get(codec, ("", ""))])
    head = ("codec", *(f"{name}, bpsp" for name in found), "encode, MP/s", "decode, MP/s")
    note = (
        "Lossless, bits per sub-pixel of whole files, and the difference to JPEG XL at effort 7; `@` and a number are "
        "an effort; speeds of one core, if timed."
    )
    return [note, table(head, rows)]


def _bpsp(series: Series | None, reference: Series | None) -> str:
    if series is None:
        return ""
    bpsp = series.points[0].bpsp
    if reference is None or reference is series:
        return f"{bpsp:.3f}"
    return f"{bpsp:.3f} ({100 * (bpsp / reference.points[0].bpsp - 1):+.1f} %)"


def near_lossless_parts(bench: Bench) -> list[str]:
    parts = []
    for measured in bench.sets.values():
        bounds, rows = measured.near_lossless()
        if rows:
            head = (f"{measured.name}, bpsp (PSNR) at a largest error of", *bounds)
            parts.append(table(head, ([series.title, *cells] for series, cells in rows)))
    return ["## Near-lossless", *parts] if parts else []


def speed_parts(bench: Bench) -> list[str]:
    if not bench.timings:
        return []
    rows = [
        (
            speed.title, speed.cores, f"{speed.bpp:.2f}", f"{speed.encode:.2f}", f"{speed.decode:.2f}",
            _times(speed, speed.encode_ratio), _times(speed, speed.decode_ratio), f"{speed.start_seconds:.2f}",
            f"{speed.encode_peak_bytes / 2**20:.0f}", f"{speed.decode_peak_bytes / 2**20:.0f}",
        )
        for speed in speeds(bench.timings)
    ]  # fmt: skip
    head = (
        "codec", "cores", "bpp", "encode, MP/s", "decode, MP/s", "times as fast encoding", "times as fast decoding",
        "start, s", "peak encoding, MiB", "peak decoding, MiB",
    )  # fmt: skip
    images = len({(timing.set, timing.image) for timing in bench.timings})
    rounds = len({timing.round for timing in bench.timings})
    note = (
        f"{images} images, {rounds} rounds; the codecs take turns on each image, each in a process of its own "
        "with as many threads as cores. Medians; 'times as fast' is the median of ratios within a round. Start is "
        "from the start of the process until it has coded and decoded 64x64 pixels (libraries, weights), and "
        "no part of the speeds; memory is the peak resident size of the process, the interpreter included."
    )
    return ["## Speed", note, table(head, rows)]


def _times(speed: Speed, ratios: Mapping[str, float]) -> str:
    return ", ".join(f"{ratios[name]:.2f} of {name}" for name in REFERENCES if name in ratios)


def ratios(speed: Speed) -> str:
    found = [(name, speed.decode_ratio[name]) for name in REFERENCES if name in speed.decode_ratio]
    return "".join(f"; decoding is {ratio:.2f} times as fast as {name}" for name, ratio in found)


MEASURED, END = "<!-- measured -->", "<!-- end -->"
NONE = "–"  # in a cell


def check_marks(page: Path) -> None:
    """Raise `CalotypeError` if a page is there and lacks the marks."""
    if page.is_file():
        put_between(page.read_text(encoding="utf-8"), MEASURED, END, "")


def put_block(page: Path, block: str) -> None:
    """Write what was measured between the two marks of a page; where there is no page, into a new one.

    Raises `CalotypeError` where the marks are missing.
    """
    text = page.read_text(encoding="utf-8") if page.is_file() else f"{MEASURED}\n{END}\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(put_between(text, MEASURED, END, block), encoding="utf-8")


def put_between(text: str, begin: str, end: str, block: str) -> str:
    """A text with the block between its two marks replaced. Raises `CalotypeError` where the marks are missing."""
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise CalotypeError(f"the page lacks the marks {begin} and {end}")
    return pattern.sub(lambda _: f"{begin}\n{block}\n{end}", text, count=1)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
