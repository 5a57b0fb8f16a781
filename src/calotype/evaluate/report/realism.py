"""Distortion against perception as a page with a table and a plot; see `tables.realism`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..measure.metrics import METRICS as TITLES
from ..tables.realism import Distances, Group, Line, Look, groups
from ..tables.rows import Row
from ..tables.summary import summarise
from .figures import COLOURS, save, tidy
from .markdown import NONE, put_block, table

PAGE, PLOT = "realism.md", "realism-{}.png"
DISTORTION, PERCEPTION = "psnr", ("lpips_squeeze", "frechet_squeeze")
MARKERS = "sD^vP*X<>"
_FORMS = {"psnr": "{:.2f}", "psnr_y": "{:.2f}", "ssimulacra2": "{:.1f}"}
_FORMS |= {"frechet_squeeze": "{:.1f}", "kernel_squeeze": "{:.2f}"}
_USUAL = "{:.4f}"


def write_realism(rows: Sequence[Row], looks: Mapping[str, Look], distances: Distances, page: Path) -> None:
    """Write the page, or of one that is there the part between its marks; and a plot of each set beside it."""
    parts = []
    for name, measured in summarise(rows, {}).items():
        found = groups(measured, looks, distances)
        count = len(measured.images)
        parts += [f"{name}, {count} {'image' if count == 1 else 'images'}:", realism_table(found)]
        if plot_realism(found, name, page.with_name(PLOT.format(name))):
            parts.append(f"![PSNR against LPIPS and the distance of patches on {name}]({PLOT.format(name)})")
    put_block(page, "\n\n".join(parts))


def realism_table(found: Sequence[Group]) -> str:
    """A line for each codec at each rate: others first, then the model by rising realism."""
    have = {name for group in found for line in (*group.looks, *group.others) for name in line.values}
    names = [name for name in TITLES if name in have]
    lines = [
        [
            line.title if line.realism is None else f"{line.title}, realism {line.realism:g}",
            f"{line.bpp:.3f}",
            *(_cell(line.values[name], name) for name in names),
        ]
        for group in found
        for line in (*group.others, *group.looks)
    ]
    return table(("codec", "bpp", *(TITLES[name].title for name in names)), lines)


def _cell(value: float | None, name: str) -> str:
    return NONE if value is None else _FORMS.get(name, _USUAL).format(value)


def plot_realism(found: Sequence[Group], name: str, path: Path) -> bool:
    """Write PSNR against each measure of perception, a line for each rate; false where none of them was measured."""
    from matplotlib.figure import Figure

    wanted = [
        measure
        for measure in PERCEPTION
        if any(_place(line, measure) is not None for group in found for line in group.looks)
    ]
    if not wanted:
        return False
    figure = Figure(figsize=(6.2 * len(wanted), 4.8), layout="constrained")
    panels = figure.subplots(1, len(wanted), squeeze=False)[0]
    titles = list(dict.fromkeys(line.title for group in found for line in group.others))
    for measure, axes in zip(wanted, panels, strict=True):
        for number, group in enumerate(found):
            colour = COLOURS[number % len(COLOURS)]
            places = [(place, line.realism) for line in group.looks if (place := _place(line, measure)) is not None]
            if places:
                x, y = zip(*(place for place, _ in places), strict=True)
                axes.plot(x, y, "o-", color=colour, label=f"{group.model}, {group.looks[0].bpp:.3f} bpp")
                for place, realism in (places[0], places[-1]):
                    axes.annotate(f"{realism:g}", place, (5, 4), textcoords="offset points", fontsize="small")
            for line in group.others:
                place = _place(line, measure)
                if place is not None:
                    axes.plot(*place, MARKERS[titles.index(line.title) % len(MARKERS)], color=colour, alpha=0.6)
        for number, title in enumerate(titles):
            axes.plot([], [], MARKERS[number % len(MARKERS)], color="#777777", label=f"{title}, at the same bytes")
        axes.set_xlabel(TITLES[DISTORTION].title)
        axes.set_ylabel(TITLES[measure].title)
        tidy(axes)
    panels[0].set_title(f"{name}; numbers: realism")
    panels[0].legend(frameon=False, fontsize="x-small")
    save(figure, path)
    return True


def _place(line: Line, measure: str) -> tuple[float, float] | None:
    x, y = line.values.get(DISTORTION), line.values.get(measure)
    return None if x is None or y is None else (x, y)
