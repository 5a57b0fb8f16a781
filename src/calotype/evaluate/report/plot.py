"""Rate-distortion curves and training runs, drawn; Matplotlib comes with the extra `bench`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from ..measure.metrics import METRICS
from ..tables.bd import Curve
from ..tables.published import HYPERPRIOR, VTM
from ..tables.runs import Line, TrainingLog
from ..tables.series import Series
from ..tables.summary import ImageSet
from .figures import COLOURS, save, tidy

# Models first, published curves grey.
OWN_COLOURS = COLOURS
RIVAL_COLOURS = {
    "jpeg-420": "#E69F00",
    "jpeg-444": "#B58900",
    "webp": "#56B4E9",
    "avif-444-s6": "#8C6BB1",
    "jxl-e7": "#7A9A01",
    "jpeg2000": "#937860",
}
PUBLISHED_COLOUR = "#777777"
SETTLED = 0.1  # part of a training run after which its loss is of interest; from nothing it starts thousands higher
WIDEST = 2.0  # bpp: what lies beyond is of no interest for lossy files and squeezes the rest


def plot(measured: ImageSet, path: Path, metric: str = "psnr") -> None:
    """Write the curves of our codecs, the usual rivals and published ones; the format follows from the ending."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 5.2), layout="constrained")
    axes = figure.subplots()

    def draw(curve: Curve, label: str, **style: object) -> None:
        if curve:
            bpp, values = zip(*curve, strict=True)
            axes.plot(bpp, values, label=label, **style)  # type: ignore[arg-type]

    own, rivals = _drawn(measured)
    for series, colour in zip(own, OWN_COLOURS, strict=False):
        draw(series.curve(metric), series.title, color=colour, linewidth=2.4, marker="o", markersize=5, zorder=5)
    for name, style in ((VTM, "--"), (HYPERPRIOR, ":")):
        if name in measured.published:
            entry = measured.published[name]
            draw(entry.curve(metric), entry.title, color=PUBLISHED_COLOUR, linestyle=style, linewidth=1.4)
    for series in rivals:
        colour = RIVAL_COLOURS[series.codec]
        draw(series.curve(metric), series.title, color=colour, linewidth=1.4, marker=".", markersize=6)
    axes.set_xlim(0, WIDEST)
    axes.set_ylim(*_heights([series.curve(metric) for series in (*own, *rivals)]))
    axes.set_xlabel("bits per pixel, whole file")
    axes.set_ylabel(f"{METRICS[metric].title}, mean over images")
    axes.set_title(f"{measured.name}, {len(measured.images)} images")
    axes.legend(frameon=False, loc="lower right", fontsize="small")
    tidy(axes)
    save(figure, path)


def plot_runs(logs: Sequence[TrainingLog], path: Path) -> None:
    """Write training runs: loss against minutes, and the curves of held-out tiles at their ends."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.4, 4.6), layout="constrained")
    losses, curves = figure.subplots(1, 2)
    for number, log in enumerate(logs):
        colour = OWN_COLOURS[number % len(OWN_COLOURS)]
        style = ("-", "--", ":")[number // len(OWN_COLOURS) % 3]
        losses.plot(*_columns(log.losses), color=colour, linewidth=1, alpha=0.25)
        losses.plot(*_columns(_smooth(log.losses)), color=colour, linestyle=style, linewidth=1.4, label=log.name)
        losses.plot(*_columns(log.validations), color=colour, linestyle="", marker="o", markersize=5)
        curves.plot(*_columns(log.curve), color=colour, linestyle=style, marker="o", markersize=4, label=log.name)
    settled = [loss for log in logs for minutes, loss in _smooth(log.losses) if minutes >= SETTLED * log.minutes]
    shown = [*settled, *(loss for log in logs for _, loss in log.validations)]
    if shown:
        margin = 0.05 * (max(shown) - min(shown)) + 1e-3
        losses.set_ylim(min(shown) - margin, max(shown) + margin)
    losses.set_xlabel("minutes of training")
    losses.set_ylabel("loss; dots: held-out tiles")
    losses.legend(frameon=False, fontsize="small")
    curves.set_xlabel("bits per pixel")
    curves.set_ylabel("PSNR (dB), mean over held-out tiles")
    for axes in (losses, curves):
        tidy(axes)
    save(figure, path)


def _columns(line: Line | Curve) -> tuple[list[float], list[float]]:
    return [x for x, _ in line], [y for _, y in line]


def _smooth(line: Line) -> Line:
    """Each point becomes the mean of those around it, about a fiftieth of the run: batches differ in difficulty."""
    reach = len(line) // 100
    return [
        (minutes, fmean(loss for _, loss in line[max(0, place - reach) : place + reach + 1]))
        for place, (minutes, _) in enumerate(line)
    ]


def _drawn(measured: ImageSet) -> tuple[list[Series], list[Series]]:
    found = measured.of_kind("lossy")
    return [series for series in found if series.own], [series for series in found if series.codec in RIVAL_COLOURS]


def _heights(curves: list[Curve]) -> tuple[float, float]:
    """From the lowest to the highest of what is drawn, with a margin."""
    inside = [value for curve in curves for bpp, value in curve if bpp <= WIDEST]
    margin = 0.03 * (max(inside) - min(inside)) if inside else 0
    return (min(inside) - margin, max(inside) + margin) if inside else (0, 1)
