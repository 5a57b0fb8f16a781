"""Rate-distortion curves as a picture; Matplotlib comes with the extra `bench`."""

from __future__ import annotations

from pathlib import Path

from .results import Results, curve_of

# Colours that stay apart for colour-blind readers (Okabe and Ito 2008); models first, published curves grey.
MODEL_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
RIVAL_COLOURS = ("#E69F00", "#B58900", "#56B4E9", "#8C6BB1")
PUBLISHED_COLOUR = "#777777"
WIDEST = 2.0  # bpp: what lies beyond is of no interest for lossy files and squeezes the rest


def plot(results: Results, path: Path) -> None:
    """Write the curves of all models, rivals and published codecs; the format follows from the ending."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 5.2), layout="constrained")
    axes = figure.subplots()

    def draw(entry: dict[str, object], label: str, **style: object) -> None:
        bpp, psnr = zip(*curve_of(entry), strict=True)
        axes.plot(bpp, psnr, label=label, **style)  # type: ignore[arg-type]

    for (name, entry), colour in zip(results["models"].items(), MODEL_COLOURS, strict=False):
        draw(entry, f"Calotype {name}", color=colour, linewidth=2.4, marker="o", markersize=5, zorder=5)
    for entry, style in zip(results["published"].values(), ("--", ":"), strict=False):
        draw(entry, entry["title"], color=PUBLISHED_COLOUR, linestyle=style, linewidth=1.4)
    for entry, colour in zip(results["rivals"].values(), RIVAL_COLOURS, strict=False):
        draw(entry, entry["title"], color=colour, linewidth=1.4, marker=".", markersize=6)
    axes.set_xlim(0, WIDEST)
    axes.set_ylim(*_heights(results))
    axes.set_xlabel("bits per pixel, whole file")
    axes.set_ylabel("PSNR of RGB in dB, mean over pictures")
    axes.set_title(f"{results['set']['name'].capitalize()}, {results['set']['pictures']} pictures")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None} if path.suffix == ".png" else None)


def _heights(results: Results) -> tuple[float, float]:
    """PSNR from the lowest to the highest of what is drawn, with a margin."""
    entries = [*results["models"].values(), *results["rivals"].values()]
    inside = [psnr for entry in entries for bpp, psnr in curve_of(entry) if bpp <= WIDEST]
    return min(inside) - 0.5, max(inside) + 0.8
