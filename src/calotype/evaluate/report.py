"""Results as pages for people: `docs/results/README.md`, and the short table in the README of the project.

Everything on them comes from the table that `results.evaluate` made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import CalotypeError
from .results import BETTER_JPEG, Results
from .rivals import JPEG_420

BEGIN, END = "<!-- results: made by `make results` -->", "<!-- end of results -->"

# What the foundation set out to reach: label, limit, unit, whether smaller is better. BD-rates are those asked of a
# model that was trained on a processor; one that a GPU trained must do better.
GPU_BD_RATE = -35.0
GOALS = {
    "bd_jpeg_420": ("BD-rate against JPEG 4:2:0", -10.0, "%", True),
    "bd_jpeg": ("BD-rate against the better JPEG", -10.0, "%", True),
    "command_line": ("`calotype decode`, process start to PNG on disk, median", 0.7, "s", True),
    "torch_loaded": ("PyTorch loaded by `calotype decode` (1: yes)", 0, "", True),
    "help": ("`calotype --help`, median", 0.3, "s", True),
    "decode": ("decoding in process, median", 1.5, "MP/s", False),
    "counter": ("bit counter against the bytes of a file, largest difference", 0.5, "%", True),
    "frame": ("header, checksums and lengths of a file", 40, "bytes", True),
    "install": ("install without extras, Python's caches included", 200, "MB", True),
    "weights": ("weights file", 25, "MB", True),
}


def render(results: Results, plot: str | None) -> str:
    """The page of results in Markdown; `plot` is the picture's name beside it."""
    name = results["set"]["name"].capitalize()
    pictures, megapixels = results["set"]["pictures"], results["set"]["megapixels"]
    parts = [
        f"# Results on {name}",
        "Made by `python -m calotype.evaluate` (`make results`) from measurements in the JSON file beside this page; "
        "edit neither by hand.",
        f"{pictures} pictures, {megapixels:g} megapixels. Rates are `8 * bytes of the file / pixels` with header, "
        "checksums and everything else; PSNR is that of RGB, the mean over the pictures in dB. Models and rivals ran "
        "in the same run on the same machine; curves marked as published did not.",
        f"![Rate and distortion on {name}]({plot})" if plot else "",
        "## Against others",
        "BD-rate: mean difference of bits at equal PSNR (PCHIP on the logarithm of the rate), over the range of PSNR "
        "given in brackets, which both curves reach. Negative: fewer bits than the anchor.",
        _bd_table(results),
    ]
    for model, entry in results["models"].items():
        parts += [f"## {model}", entry["description"], _goals_table(results, entry), _rate_table(entry)]
        parts += [_counter_note(entry)]
    parts += ["## Models", _model_table(results), "## Rivals"]
    parts += [f"### {entry['title']}\n\n{_rate_table(entry)}" for entry in results["rivals"].values()]
    parts += ["## Where this ran", _machine_table(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def headline(results: Results, page: str) -> str:
    """The block for the project's README."""
    name = results["set"]["name"].capitalize()
    lines = [
        f"BD-rate on {name}'s {results['set']['pictures']} pictures, whole files, RGB PSNR; "
        "negative is fewer bits than the other:",
        _bd_table(results, False),
    ]
    for model, entry in results["models"].items():
        speed, command = entry["speed"], entry["command_line"]
        lines.append(
            f"`{model}`: {entry['weights_bytes'] / 1e6:.1f} MB of weights; a {name} file decodes in "
            f"{command['seconds']:.2f} s from process start to PNG, in process at "
            f"{speed['decode_megapixels_per_second']:.1f} megapixels a second (encoding "
            f"{speed['encode_megapixels_per_second']:.1f}), on {results['machine']['threads']} threads of "
            f"{results['machine']['processor']}."
        )
    lines.append(f"All figures, and how they were measured: [{page}]({page}).")
    return "\n\n".join(lines)


def put_headline(text: str, block: str) -> str:
    """A page with the block between its two marks replaced. Raises `CalotypeError` where the marks are missing."""
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(text):
        raise CalotypeError(f"the page lacks the marks {BEGIN} and {END}")
    return pattern.sub(lambda _: f"{BEGIN}\n{block}\n{END}", text)


def goal_values(results: Results, entry: Mapping[str, Any]) -> dict[str, float]:
    """The measured value for each of `GOALS`; those that were not measured are missing."""
    bd = {name: difference["rate_percent"] for name, difference in entry["bd"].items()}
    values = {
        "bd_jpeg_420": bd.get(JPEG_420.name),
        "bd_jpeg": bd.get(BETTER_JPEG),
        "command_line": entry["command_line"]["seconds"],
        "torch_loaded": int(entry["command_line"]["torch_loaded"]),
        "help": results["help_seconds"],
        "decode": entry["speed"]["decode_megapixels_per_second"],
        "counter": entry["counter"]["largest_of_file_percent"],
        "frame": entry["frame_bytes"],
        "install": results["install_bytes"] / 1e6 if "install_bytes" in results else None,
        "weights": entry["weights_bytes"] / 1e6,
    }
    return {key: value for key, value in values.items() if value is not None}


def _goals_table(results: Results, entry: Mapping[str, Any]) -> str:
    values, rows = goal_values(results, entry), []
    for key, (label, limit, unit, smaller) in GOALS.items():
        goal = f"{'at most' if smaller else 'at least'} {limit:g} {unit}".strip()
        if key not in values:
            rows.append((label, "not measured", goal, ""))
            continue
        if key.startswith("bd_") and entry["training"].get("device", "cpu") != "cpu":
            goal, limit = f"at most {GPU_BD_RATE:g} %", GPU_BD_RATE
        met = values[key] <= limit if smaller else values[key] >= limit
        rows.append((label, f"{values[key]:.4g} {unit}".strip(), goal, "yes" if met else "**no**"))
    return _table(("what", "measured", "goal", "met"), rows)


def _bd_table(results: Results, ranges: bool = True) -> str:
    rows = []
    for anchor, title in results["anchors"].items():
        cells = [title]
        for entry in results["models"].values():
            found = entry["bd"].get(anchor)
            if found is None:
                cells.append("no overlap")
                continue
            text = f"{found['rate_percent']:+.1f} %"
            if ranges:
                text += f" / {found['psnr_db']:+.2f} dB"
                text += f" ({found['overlap_low_db']:.1f} to {found['overlap_high_db']:.1f} dB)"
            cells.append(text)
        rows.append(cells)
    return _table(("against", *results["models"]), rows)


_COLUMNS = {
    "quality": ("quality", "{:g}"),
    "bpp": ("bpp", "{:.4f}"),
    "bpp_ideal": ("ideal bpp", "{:.4f}"),
    "psnr": ("PSNR, dB", "{:.2f}"),
    "ms_ssim": ("MS-SSIM", "{:.4f}"),
    "encode_seconds": ("encode, s", "{:.3f}"),
    "decode_seconds": ("decode, s", "{:.3f}"),
}


def _rate_table(entry: Mapping[str, Any]) -> str:
    points = entry["points"]
    shown = {key: column for key, column in _COLUMNS.items() if key in points[0]}
    rows = [[form.format(point[key]) for key, (_, form) in shown.items()] for point in points]
    return _table([title for title, _ in shown.values()], rows)


def _counter_note(entry: Mapping[str, Any]) -> str:
    counter = entry["counter"]
    return (
        "`ideal bpp` is what the bit counter says without writing a file. Its largest difference from a rate's mean is "
        f"{counter['largest_of_mean_percent']:.2f} %, from a single file "
        f"{counter['largest_of_file_percent']:.2f} %. Seconds are means per picture, in process."
    )


def _model_table(results: Results) -> str:
    rows = []
    for model, entry in results["models"].items():
        training = entry["training"]
        rows.append(
            (
                f"{model}{' (default)' if entry['default'] else ''}",
                entry["digest"],
                f"{entry['weights_bytes'] / 1e6:.1f}",
                training.get("device", "unknown"),
                f"{training['seconds'] / 3600:.2f}" if "seconds" in training else "unknown",
                f"{training['steps']:,}" if "steps" in training else "unknown",
                f"{training['tiles']:,}" if "tiles" in training else "unknown",
            )
        )
    return _table(("model", "digest", "weights, MB", "trained on", "hours", "steps", "tiles"), rows)


def _machine_table(results: Results) -> str:
    machine = results["machine"]
    rows = [
        ("processor", machine["processor"]),
        ("threads", machine["threads"]),
        ("system", machine["system"]),
        ("load before the start", machine["load_before"]),
        *results["versions"].items(),
    ]
    rows += [(f"{entry['title']}: source", entry["source"]) for entry in results["published"].values()]
    return _table(("what", "which"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
