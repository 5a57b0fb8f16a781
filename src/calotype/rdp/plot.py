"""The trade-off drawn: R(D, P) of a source, and what was learned. Matplotlib comes with the extra `rdp`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluate.report.figures import COLOURS, save, tidy
from .learn import Learned, Samples
from .solver import Solution

SHOWN = 10  # samples
RATES = 9  # lines of equal rate


def plot_surface(
    points: Sequence[Sequence[Solution]],
    distortions: Sequence[float],
    perceptions: Sequence[float],
    measure: str,
    path: Path,
) -> None:
    """Write `surface` of these bounds: the rate against D for each P, and lines of equal rate in the plane of both."""
    from matplotlib.figure import Figure

    rates = np.array([[point.rate for point in row] for row in points])
    finite = np.isfinite(perceptions)
    both = len(distortions) > 1 and finite.sum() > 1 and np.ptp(rates[:, finite]) > 0
    figure = Figure(figsize=(10.4 if both else 5.6, 4.6), layout="constrained")
    curves = figure.add_subplot(1, 2 if both else 1, 1)
    for number, limit in enumerate(perceptions):
        colour = _shade(number / max(1, len(perceptions) - 1))
        label = "no bound" if np.isinf(limit) else f"P = {limit:.3g}"
        curves.plot(
            distortions, rates[:, number], color=colour, marker="." if len(distortions) < 3 else "", label=label
        )
    curves.set_xlabel("distortion D")
    curves.set_ylabel("rate R(D, P) in bits")
    curves.legend(frameon=False, fontsize="small", title=measure)
    tidy(curves)
    if both:
        plane = figure.add_subplot(1, 2, 2)
        lines = plane.contour(
            np.array(perceptions)[finite], distortions, rates[:, finite], levels=RATES, cmap="viridis_r"
        )
        plane.clabel(lines, fontsize="small")
        plane.set_xlabel(f"perception P, {measure}")
        plane.set_ylabel("distortion D")
        plane.set_title("lines of equal rate in bits", fontsize="medium")
        tidy(plane)
    save(figure, path)


def plot_learned(codecs: Sequence[Learned], originals: Samples, side: int, path: Path) -> None:
    """Write what codecs reached, a line for each rate, and held-out samples of `side` pixels a side as decoded.

    `originals` are the samples of `Learned.decoded`, in their order.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.2, 5.2), layout="constrained")
    plane, pictures = figure.subplots(1, 2, width_ratios=(1, 1.25))
    rates = sorted({codec.bits for codec in codecs})
    for number, bits in enumerate(rates):
        chosen = [codec for codec in codecs if codec.bits == bits]
        colour = COLOURS[number % len(COLOURS)]
        at = [[codec.perception for codec in chosen], [codec.distortion for codec in chosen]]
        plane.plot(*at, color=colour, marker="o", markersize=5, label=f"{bits:g} bits")
        for codec in chosen:
            plane.annotate(f" {codec.weight:g}", (codec.perception, codec.distortion), fontsize="x-small", color=colour)
    plane.set_xlabel("perception: sliced Wasserstein-1 to held-out samples")
    plane.set_ylabel("distortion: mean squared error")
    plane.set_title("at each rate; the figures are weights of perception", fontsize="medium")
    plane.legend(frameon=False, fontsize="small")
    tidy(plane)
    labels, rows = ["original"], [originals]
    for codec in codecs:
        labels.append(f"{codec.bits:g} bits, {codec.weight:g}")
        rows.append(codec.decoded)
    pictures.imshow(np.concatenate([_strip(row, side) for row in rows]), cmap="gray_r", vmin=0, vmax=1)
    pictures.set_yticks([(number + 0.5) * (side + 1) for number in range(len(rows))], labels, fontsize="x-small")
    pictures.set_xticks([])
    pictures.spines[:].set_visible(False)
    pictures.tick_params(length=0)
    save(figure, path)


def _strip(samples: Samples, side: int) -> Any:
    """The first samples beside each other, a white line on the right of and below each: (side + 1, ...)."""
    images = samples[:SHOWN].reshape(-1, side, side)
    return np.concatenate(np.pad(images, ((0, 0), (0, 1), (0, 1))), axis=1)


def _shade(part: float) -> Any:
    """From dark for the strictest bound to pale for none."""
    from matplotlib import colormaps

    return colormaps["viridis"](0.9 * part)
