"""What a bench measured as one HTML page: curves, tables, and images under a slider; no server, no network.

The page holds all it needs but the images, which lie in the folder of the bench: Plotly from the installed package, our
own small script and style from `assets`, and the figures as JSON.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from ..measure.metrics import METRICS
from ..tables.folder import Bench
from ..tables.published import HYPERPRIOR, VTM
from ..tables.series import Point
from ..tables.speeds import speeds
from ..tables.summary import ImageSet
from . import markup, sections
from .viewer import Advance, Say, shown_images, viewer
from .vote import trials, vote_page


class Pages(NamedTuple):
    """The text of each page."""

    report: str
    vote: str | None
    """For people to vote on; lies beside the report as `vote.PAGE`. None where no two codecs have files of one size."""


def pages(
    bench: Bench,
    *,
    folder: Path | None = None,
    at: float = 0.5,
    images: int | None = None,
    report: Say = lambda line: None,
    advance: Advance = lambda done, total: None,
) -> Pages:
    """The report, and what goes with it.

    Parameters
    ----------
    folder
        Where the pages will lie. None: in the folder of the bench.
    at
        Rate in bits per pixel near which the viewer begins, and at about which people vote.
    images
        Only the first so many of each set are shown; 0: none, None: all.
    report
        Gets a line about each file that cannot be shown.
    advance
        Gets the number of images that are ready to be shown, and that of all.
    """
    from plotly.offline import get_plotlyjs

    shown = shown_images(bench, folder or bench.folder, images, report, advance)
    asked, title = trials(shown, at), f"Bench: {', '.join(bench.sets)}"
    parts = [
        sections.verdicts(bench), *map(sections.curves, bench.sets.values()), sections.speed(bench),
        sections.lossless(bench), sections.near_lossless(bench), viewer(shown, bool(asked)), sections.origin(bench),
        sections.refusals(bench), sections.failures(bench),
    ]  # fmt: skip
    data = {
        "sets": {name: _set_data(measured) for name, measured in bench.sets.items()},
        "metrics": {name: {"title": metric.title, "better": metric.better} for name, metric in METRICS.items()},
        "speeds": [asdict(speed) for speed in speeds(bench.timings)],
        "images": shown,
        "at": at,
    }
    report_page = Template(markup.asset("report.html")).substitute(
        title=markup.text(title),
        style=markup.asset("report.css"),
        sections="\n".join(filter(None, parts)),
        plotly=get_plotlyjs(),
        script=markup.asset("report.js"),
        data=markup.as_json(data),
    )
    return Pages(report_page, vote_page(asked, title) if asked else None)


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
