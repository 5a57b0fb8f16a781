"""Results as Markdown: `docs/results/README.md`, and the short table in the README of the project.

Everything on them comes from the tables of a bench, from `footprint.json` and from the models' cards.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ..errors import CalotypeError
from ..registry import ModelInfo
from .published import HYPERPRIOR, VTM
from .speed import REFERENCES
from .summary import LOSSLESS_REFERENCE, Bench, Difference, PictureSet, Point, Series, Speed, speeds

HEADLINE_RIVALS = {"png", "webp-lossless", "jxl-lossless-e7", "jxl-lossless-e9"}  # of the lossless
BEGIN, END = "<!-- results: made by `make results` -->", "<!-- end of results -->"

Footprint = Mapping[str, Any]


def render(bench: Bench, footprint: Footprint | None, models: Sequence[ModelInfo]) -> str:
    """The page of results; the plot of a set lies beside it as `<set>.png`."""
    names = " and ".join(filter(None, [", ".join(list(bench.sets)[:-1]), list(bench.sets)[-1]]))
    parts = [
        f"# Results on {names}",
        "Made by `make results` from `rows.parquet` and `speed.parquet` beside this page; edit none by hand.",
        "Rates are `8 * bytes of the file / pixels` with header, checksums and everything else. PSNR is that of RGB, "
        "the mean over the pictures in dB. Our codecs and their rivals ran on the same machine; curves marked as "
        "published did not.",
        "BD-rate is the mean difference of bits at equal PSNR (piecewise cubic Hermite on the logarithm of the rate; "
        "Akima beside it), over the range of PSNR that both curves reach. Negative: fewer bits than the other.",
    ]
    for pictures in bench.sets.values():
        parts += _set_parts(pictures)
    parts += _lossless_parts(bench) + _near_lossless_parts(bench) + _speed_parts(bench)
    if footprint is not None:
        parts += ["## Start and size", _footprint_table(footprint)]
    parts += ["## Models", _model_table(models), "## Where this ran", _machine_table(bench, footprint)]
    return "\n\n".join(part for part in parts if part) + "\n"


def headline(bench: Bench, footprint: Footprint | None, page: str) -> str:
    """The block for the project's README: the first set, and speeds."""
    pictures = next(iter(bench.sets.values()))
    lines = [
        f"BD-rate on {_title(pictures)}, whole files, RGB PSNR; negative is fewer bits than the other:",
        _bd_table(pictures, short=True),
        *_lossless_table(bench, HEADLINE_RIVALS),
    ]
    fastest = max((speed.cores for speed in speeds(bench.timings)), default=0)
    for speed in speeds(bench.timings):
        if speed.own and speed.cores == fastest:
            lines.append(
                f"`{speed.codec}` decodes {speed.decode:.1f} and encodes {speed.encode:.1f} megapixels a second on "
                f"{_cores(speed.cores)} of {bench.timings[0].processor}{_ratios(speed)}."
            )
    for name, model in (footprint or {}).get("models", {}).items():
        lines.append(
            f"`{name}` has {model['weights_bytes'] / 1e6:.1f} MB of weights; `calotype decode` takes "
            f"{model['command_line']['seconds']:.2f} s from process start to PNG."
        )
    lines.append(f"All figures, and how they were measured: [{page}]({page}).")
    return "\n\n".join(lines)


def put_headline(text: str, block: str) -> str:
    """A page with the block between its two marks replaced. Raises `CalotypeError` where the marks are missing."""
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(text):
        raise CalotypeError(f"the page lacks the marks {BEGIN} and {END}")
    return pattern.sub(lambda _: f"{BEGIN}\n{block}\n{END}", text)


# --- lossy --------------------------------------------------------------------------------------------------------


def _set_parts(pictures: PictureSet) -> list[str]:
    own = [series for series in pictures.of_kind("lossy") if series.own]
    if not own:
        return []
    parts = [f"## {_title(pictures)}", f"![Rate and distortion on {pictures.name}]({pictures.name}.png)"]
    parts += [_bd_table(pictures)]
    for series in own:
        parts += [
            f"`{series.codec}`, means over the pictures; seconds per picture on one core of a busy machine, see Speed:",
            _rate_table(series),
        ]
        parts += [_counter_note(series)]
    return parts


def _bd_table(pictures: PictureSet, short: bool = False) -> str:
    own = [series.codec for series in pictures.of_kind("lossy") if series.own]
    by_anchor: dict[str, dict[str, Difference]] = {}
    for codec in own:
        for found in pictures.differences(codec):
            by_anchor.setdefault(found.anchor, {})[codec] = found
    titles = {name: title for name, (title, _) in pictures.anchors().items()}
    cell = _short_difference if short else _difference
    rows = [
        [titles[name], *(cell(by_anchor[name][codec]) if codec in by_anchor[name] else "no overlap" for codec in own)]
        for name in titles
        if name in by_anchor
    ]
    return _table(("against", *own), rows)


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


def _rate_table(series: Series) -> str:
    shown = {name: column for name, column in _RATE_COLUMNS.items() if name in series.points[0].metrics}

    def cells(point: Point) -> list[str]:
        ideal = "" if point.bpp_ideal is None else f"{point.bpp_ideal:.4f}"
        metrics = [form.format(point.metrics[name]) for name, (_, form) in shown.items()]
        return [
            f"{point.quality:g}", f"{point.bpp:.4f}", ideal, *metrics,
            f"{point.encode_seconds:.3f}", f"{point.decode_seconds:.3f}",
        ]  # fmt: skip

    titles = ("quality", "bpp", "ideal bpp", *(title for title, _ in shown.values()), "encode, s", "decode, s")
    return _table(titles, map(cells, series.points))


def _counter_note(series: Series) -> str:
    counted = [row for row in series.rows if row.ideal_bits is not None and row.bytes is not None]
    if not counted:
        return ""
    off = max(abs((row.ideal_bits or 0) - 8 * (row.bytes or 0)) / (8 * (row.bytes or 1)) for row in counted)
    return (
        "`ideal bpp` is what the bit counter says without writing a file; it differs from a file's bytes by "
        f"{100 * off:.3f} % at most. Header, checksums and lengths take {max(row.frame_bytes or 0 for row in counted)} "
        "bytes of a file."
    )


# --- lossless and near-lossless -----------------------------------------------------------------------------------


def _lossless_parts(bench: Bench) -> list[str]:
    table = _lossless_table(bench)
    return ["## Lossless", *table] if table else []


def _lossless_table(bench: Bench, rivals: Collection[str] | None = None) -> list[str]:
    """Of our models and all rivals, or some."""
    found = {
        name: {s.codec: s for s in pictures.of_kind("lossless") if rivals is None or s.own or s.codec in rivals}
        for name, pictures in bench.sets.items()
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
    return [note, _table(head, rows)]


def _bpsp(series: Series | None, reference: Series | None) -> str:
    if series is None:
        return ""
    bpsp = series.points[0].bpsp
    if reference is None or reference is series:
        return f"{bpsp:.3f}"
    return f"{bpsp:.3f} ({100 * (bpsp / reference.points[0].bpsp - 1):+.1f} %)"


def _near_lossless_parts(bench: Bench) -> list[str]:
    parts = []
    for pictures in bench.sets.values():
        found = pictures.of_kind("near-lossless")
        bounds = sorted({point.quality for series in found for point in series.points})
        rows = []
        for series in found:
            by_bound = {point.quality: f"{point.bpsp:.3f}" for point in series.points}
            rows.append([series.title, *(by_bound.get(bound, "") for bound in bounds)])
        if rows:
            head = (f"{pictures.name}, bpsp at a largest error of", *(f"{bound:g}" for bound in bounds))
            parts.append(_table(head, rows))
    return ["## Near-lossless", *parts] if parts else []


# --- speed, start, size -------------------------------------------------------------------------------------------


def _speed_parts(bench: Bench) -> list[str]:
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
    pictures = len({(timing.set, timing.picture) for timing in bench.timings})
    rounds = len({timing.round for timing in bench.timings})
    note = (
        f"{pictures} pictures, {rounds} rounds; the codecs take turns on each picture, each in a process of its own "
        "with as many threads as cores. Medians; 'times as fast' is the median of ratios within a round. Start is "
        "from the start of the process until it has coded and decoded 64x64 pixels (libraries, weights), and "
        "no part of the speeds; memory is the peak resident size of the process, the interpreter included."
    )
    return ["## Speed", note, _table(head, rows)]


def _times(speed: Speed, ratios: Mapping[str, float]) -> str:
    return ", ".join(f"{ratios[name]:.2f} of {name}" for name in REFERENCES if name in ratios)


def _ratios(speed: Speed) -> str:
    found = [(name, speed.decode_ratio[name]) for name in REFERENCES if name in speed.decode_ratio]
    return "".join(f"; decoding is {ratio:.2f} times as fast as {name}" for name, ratio in found)


def _footprint_table(footprint: Footprint) -> str:
    rows = [
        ("`calotype --help`, median", f"{footprint['help_seconds']:.3f} s"),
        ("install without extras, Python's caches included", f"{footprint['install_bytes'] / 1e6:.1f} MB"),
    ]
    for name, model in footprint["models"].items():
        command = model["command_line"]
        torch = "loaded" if command["torch_loaded"] else "not loaded"
        rows += [
            (f"`calotype decode` of a file of {name}, process start to PNG, median", f"{command['seconds']:.3f} s"),
            (f"PyTorch in `calotype decode` of {name}", torch),
            (f"weights of {name}", f"{model['weights_bytes'] / 1e6:.2f} MB"),
        ]
    return _table(("what", "measured"), rows)


# --- models and machine -------------------------------------------------------------------------------------------


def _model_table(models: Sequence[ModelInfo]) -> str:
    rows = []
    for model in models:
        training = model.card.get("training", {})
        rows.append(
            (
                f"{model.name}{' (default)' if model.default else ''}",
                model.description,
                model.digest.hex(),
                f"{model.bytes / 1e6:.1f}",
                training.get("device", "unknown"),
                f"{training['seconds'] / 3600:.2f}" if "seconds" in training else "unknown",
                f"{training['steps']:,}" if "steps" in training else "unknown",
                f"{training['tiles']:,}" if "tiles" in training else "unknown",
            )
        )
    return _table(("model", "what it is", "digest", "weights, MB", "trained on", "hours", "steps", "tiles"), rows)


def _machine_table(bench: Bench, footprint: Footprint | None) -> str:
    all_rows = bench.rows
    rows = [
        ("processor", _joined(row.processor for row in all_rows)),
        ("codings at a time, one thread each", _joined(row.jobs for row in all_rows)),
    ]
    if footprint is not None:
        rows += [("system", footprint["machine"]["system"]), *footprint["versions"].items()]
    rows += [
        (title, version)
        for title, version in dict.fromkeys((row.title, row.version) for row in all_rows if not row.own)
    ]
    for pictures in bench.sets.values():
        rows += [
            (f"{p.title}: source", p.source) for name, p in pictures.published.items() if name in (VTM, HYPERPRIOR)
        ]
    return _table(("what", "which"), rows)


def _title(pictures: PictureSet) -> str:
    names = {"kodak": "Kodak", "mcmaster": "McMaster", "urban": "Urban"}
    return f"{names.get(pictures.name, pictures.name)}, {len(pictures.pictures)} pictures"


def _cores(count: int) -> str:
    return "one core" if count == 1 else f"{count} cores"


def _joined(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
