"""What a bench measured as one HTML page: curves, tables, and images under a slider; no server, no network.

The page holds all it needs: Plotly from the installed package, our own small script and style from `assets`, the
figures as JSON, and the images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from string import Template
from typing import Any

from ..measure.metrics import METRICS
from ..tables.folder import Bench
from ..tables.published import HYPERPRIOR, VTM
from ..tables.series import Point
from ..tables.speeds import speeds
from ..tables.summary import ImageSet
from . import markup, sections
from .viewer import Say, shown_images, viewer


def page(
    bench: Bench, *, at: Sequence[float] = (0.5,), images: int | None = None, report: Say = lambda line: None
) -> str:
    """The whole page.

    Parameters
    ----------
    at
        Rates in bits per pixel at which the viewer shows images.
    images
        Only the first so many of each set are shown; 0: none, None: all.
    report
        Gets a line about each file that cannot be shown.
    """
    from plotly.offline import get_plotlyjs

    shown = list(shown_images(bench, at, images, report))
    parts = [
        sections.verdicts(bench), *map(sections.curves, bench.sets.values()), sections.speed(bench),
        sections.lossless(bench), sections.near_lossless(bench), viewer(shown), sections.origin(bench),
        sections.refusals(bench), sections.failures(bench),
    ]  # fmt: skip
    data = {
        "sets": {name: _set_data(measured) for name, measured in bench.sets.items()},
        "metrics": {name: {"title": metric.title, "better": metric.better} for name, metric in METRICS.items()},
        "speeds": [asdict(speed) for speed in speeds(bench.timings)],
        "images": [{key: value for key, value in image.items() if key != "shown"} for image in shown],
    }
    return Template(markup.asset("report.html")).substitute(
        title=markup.text(f"Bench: {', '.join(bench.sets)}"),
        style=markup.asset("report.css"),
        sections="\n".join(filter(None, parts)),
        plotly=get_plotlyjs(),
        script=markup.asset("report.js"),
        data=markup.as_json(data),
        images="\n".join(
            f'<script type="application/json" id="image-{k}">{markup.as_json(image["shown"])}</script>'
            for k, image in enumerate(shown)
        ),
    )


def _set_data(measured: ImageSet) -> dict[str, Any]:
    curves = [
        {
            "name": series.codec,
            "title": series.title,
            "own": series.own,
            "points": [_point_data(point) for point in series.points],
        }
        for series in measured.of_kind("lossy")
    ]
    published = [
        {
            "name": entry.short_name,
            "shown": name in (VTM, HYPERPRIOR),
            "curves": {metric: entry.curve(metric) for metric in ("psnr", "ms_ssim") if entry.curve(metric)},
        }
        for name, entry in sorted(measured.published.items(), key=lambda item: item[0] not in (VTM, HYPERPRIOR))
    ]
    return {"curves": curves, "published": published}


def _point_data(point: Point) -> dict[str, Any]:
    metrics = {name: value for name, value in point.metrics.items() if math.isfinite(value)}
    return {"quality": point.quality, "bpp": point.bpp, "metrics": metrics}
