"""The comparison of classes as a page with tables and plots; see `tables.survey`."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from ..measure.metrics import METRICS as TITLES
from ..tables.rows import Row
from ..tables.summary import summarise
from ..tables.survey import CLOCKED, METRICS, RATES, Entry, Known, survey
from .figures import COLOURS, save, tidy
from .markdown import NONE, put_block, table

PAGE, PLOT = "survey.md", "survey-{}.png"
MORE_COLOURS = (*COLOURS, "#E69F00", "#56B4E9", "#8C6BB1", "#7A9A01", "#937860")
GREY = "#777777"
WIDEST = 2.0  # bpp
TICKS = (0.0625, *RATES, WIDEST)
_FORMS = {"psnr": "{:.2f}", "ms_ssim": "{:.4f}", "lpips_squeeze": "{:.4f}"}


def write_survey(rows: Sequence[Row], known: Mapping[str, Known], installed: Container[str], page: Path) -> None:
    """Write the page, or of one that is there the part between its marks; and a plot of each set beside it."""
    sets = {name: survey(measured, known, installed) for name, measured in summarise(rows, {}).items()}
    for name, entries in sets.items():
        plot_survey(entries, name, page.with_name(PLOT.format(name)))
    put_block(page, survey_block(sets, rows))


def survey_block(sets: Mapping[str, Sequence[Entry]], rows: Sequence[Row]) -> str:
    """Tables of each set of images, with its plot beside the page, and how the models came about."""
    parts = []
    for name, entries in sets.items():
        count = len({row.image for row in rows if row.set == name})
        parts += [
            f"{name}, {count} {'image' if count == 1 else 'images'}:",
            survey_table(entries),
            f"![Rate against PSNR, MS-SSIM and LPIPS on {name}]({PLOT.format(name)})",
        ]
    processors, jobs = sorted({row.processor for row in rows}), sorted({f"{row.jobs}" for row in rows})
    parts += [
        f"Multiplications, and seconds for a megapixel, are those of the setting whose rate is nearest to {CLOCKED:g} "
        f"bits per pixel; seconds on one thread of {', '.join(processors)}, codings at a time: {', '.join(jobs)}."
    ]
    known = {entry.title: entry.known for entry in next(iter(sets.values())) if entry.known is not None}
    sizes = {title: each.complexity.parameters for title, each in known.items() if each.complexity is not None}
    parts += filter(None, [_spread(sizes)])
    parts += ["\n".join(f"- `{title}`: {_training(each)}" for title, each in known.items())]
    return "\n\n".join(parts)


def survey_table(entries: Sequence[Entry]) -> str:
    """A line for each codec and rate; a rate beyond a codec's own has dashes, and what is not installed says so."""
    head = (
        "class", "codec", "parameters, million", "kMAC per pixel, encode", "kMAC per pixel, decode",
        "seconds, encode", "seconds, decode", "bpp", *(TITLES[name].title for name in METRICS),
    )  # fmt: skip
    lines = []
    for entry in entries:
        about = [entry.family, entry.title, *_size(entry), *_seconds(entry)]
        if not entry.at:
            lines.append([*about, entry.absent or "failed", *[NONE] * len(METRICS)])
        for at in entry.at:
            rate = f"{at.bpp:.3f}" + (", the one rate measured" if len(entry.at) == 1 else "")
            lines.append([*about, rate, *(_cell(at.metrics[name], _FORMS[name]) for name in METRICS)])
            about = [""] * len(about)
    return table(head, lines)


def _size(entry: Entry) -> list[str]:
    found = entry.known.complexity if entry.known is not None else None
    if found is None:
        return [NONE] * 3
    encode = "fitting" if found.encode_macs is None else f"{found.encode_macs / 1e3:.1f}"
    millions = found.parameters / 1e6
    return [f"{millions:.0f}" if millions >= 100 else f"{millions:#.3g}", encode, f"{found.decode_macs / 1e3:.1f}"]


def _seconds(entry: Entry) -> list[str]:
    return [NONE] * 2 if entry.seconds is None else [f"{seconds:.3g}" for seconds in entry.seconds]


def _cell(value: float | None, form: str) -> str:
    return NONE if value is None else form.format(value)


def _spread(sizes: Mapping[str, int]) -> str:
    """How many times the least of parameters the most are, in a sentence; of less than two models, nothing."""
    if len(sizes) < 2:
        return ""
    least, *_, most = sorted(sizes, key=sizes.__getitem__)
    ratio = sizes[most] / max(sizes[least], 1)
    return f"`{most}` has {ratio:,.{0 if ratio > 100 else 1}f} times the parameters of `{least}`."


def _training(known: Known) -> str:
    """What a card says of it."""
    told = known.training
    parts = [("seconds", 3600, "{:.2f} hours"), ("steps", 1, "{:,.0f} steps"), ("tiles", 1, "{:,.0f} tiles")]
    figures = [form.format(told[name] / unit) for name, unit, form in parts if told.get(name)]
    if figures and "device" in told:
        figures.append(f"on {told['device']}")
    return f"{', '.join(figures) or 'no training'}. {told.get('note', '')}".rstrip()


def plot_survey(entries: Sequence[Entry], name: str, path: Path) -> None:
    """Write each metric against the rate: a line for each codec, grey for others' codecs, a dot for one of one rate."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.2, 5.2), layout="constrained")
    panels = figure.subplots(1, len(METRICS))
    measured = [entry for entry in entries if entry.series is not None]
    looks = _looks(measured)
    for metric, axes in zip(METRICS, panels, strict=True):
        for entry, look in zip(measured, looks, strict=True):
            curve = [] if entry.series is None else entry.series.curve(metric)
            shown = [(bpp, _shown(metric, value)) for bpp, value in curve if bpp <= WIDEST]
            if shown:
                size = 4 if len(shown) > 1 else 9
                axes.plot(*zip(*shown, strict=True), marker="o", markersize=size, label=entry.label, **look)
        axes.set_xscale("log")
        axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("bits per pixel, whole file")
        axes.set_ylabel("MS-SSIM, -10 log10(1 - x), dB" if metric == "ms_ssim" else TITLES[metric].title)
        tidy(axes)
    panels[0].set_title(name)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    save(figure, path)


def _looks(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """A colour for each of our codecs, a pattern for each of the others."""
    colours, patterns = cycle(MORE_COLOURS), cycle(("--", ":", "-.", (0, (1, 3)), (0, (6, 3))))
    return [
        {"color": next(colours)} if entry.known is not None else {"color": GREY, "linestyle": next(patterns)}
        for entry in entries
    ]


def _shown(metric: str, value: float) -> float:
    """MS-SSIM in decibels, so that curves near 1 come apart."""
    return -10 * math.log10(1 - value) if metric == "ms_ssim" and value < 1 else value
