"""Results as Markdown: `docs/results/README.md`, and the short table in the README of the project.

Everything on them comes from the tables of a bench, from `footprint.json` and from the models' cards.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from ...registry import ModelInfo
from ..tables.folder import Bench
from ..tables.published import HYPERPRIOR, VTM
from ..tables.speeds import speeds
from ..tables.summary import ImageSet
from .markdown import (
    bd_table,
    counter_note,
    lossless_parts,
    lossless_table,
    near_lossless_parts,
    put_between,
    rate_table,
    ratios,
    speed_parts,
    table,
)

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
        "the mean over the images in dB. Our codecs and their rivals ran on the same machine; curves marked as "
        "published did not.",
        "BD-rate is the mean difference of bits at equal PSNR (piecewise cubic Hermite on the logarithm of the rate; "
        "Akima beside it), over the range of PSNR that both curves reach. Negative: fewer bits than the other.",
    ]
    for measured in bench.sets.values():
        parts += _set_parts(measured)
    parts += lossless_parts(bench) + near_lossless_parts(bench) + speed_parts(bench)
    if footprint is not None:
        parts += ["## Start and size", _footprint_table(footprint)]
    parts += ["## Models", _model_table(models), "## Where this ran", _machine_table(bench, footprint)]
    return "\n\n".join(part for part in parts if part) + "\n"


def headline(bench: Bench, footprint: Footprint | None, page: str, defaults: Container[str]) -> str:
    """The block for the project's README: the first set, and speeds; of lossy models those that are defaults."""
    measured = next(iter(bench.sets.values()))
    lines = [
        f"BD-rate on {_title(measured)}, whole files, RGB PSNR; negative is fewer bits than the other:",
        bd_table(measured, short_of=defaults),
        *lossless_table(bench, HEADLINE_RIVALS),
    ]
    fastest = max((speed.cores for speed in speeds(bench.timings)), default=0)
    for speed in speeds(bench.timings):
        if speed.own and speed.cores == fastest:
            lines.append(
                f"`{speed.codec}` decodes {speed.decode:.1f} and encodes {speed.encode:.1f} megapixels a second on "
                f"{_cores(speed.cores)} of {bench.timings[0].processor}{ratios(speed)}."
            )
    for name, model in (footprint or {}).get("models", {}).items():
        if name in defaults:
            lines.append(
                f"`{name}` has {model['weights_bytes'] / 1e6:.1f} MB of weights; `calotype decode` takes "
                f"{model['command_line']['seconds']:.2f} s from process start to PNG."
            )
    lines.append(f"All figures, and how they were measured: [{page}]({page}).")
    return "\n\n".join(lines)


def put_headline(text: str, block: str) -> str:
    """A page with the block between its two marks replaced. Raises `CalotypeError` where the marks are missing."""
    return put_between(text, BEGIN, END, block)


# --- lossy --------------------------------------------------------------------------------------------------------


def _set_parts(measured: ImageSet) -> list[str]:
    own = [series for series in measured.of_kind("lossy") if series.own]
    if not own:
        return []
    parts = [f"## {_title(measured)}", f"![Rate and distortion on {measured.name}]({measured.name}.png)"]
    parts += [bd_table(measured)]
    for series in own:
        parts += [
            f"`{series.codec}`, means over the images; seconds per image on one core of a busy machine, see Speed:",
            rate_table(series),
        ]
        parts += [counter_note(series)]
    return parts


# --- speed, start, size -------------------------------------------------------------------------------------------


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
    return table(("what", "measured"), rows)


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
    return table(("model", "what it is", "digest", "weights, MB", "trained on", "hours", "steps", "tiles"), rows)


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
    for measured in bench.sets.values():
        rows += [
            (f"{p.title}: source", p.source) for name, p in measured.published.items() if name in (VTM, HYPERPRIOR)
        ]
    return table(("what", "which"), rows)


def _title(measured: ImageSet) -> str:
    names = {"kodak": "Kodak", "mcmaster": "McMaster", "urban": "Urban"}
    return f"{names.get(measured.name, measured.name)}, {len(measured.images)} images"


def _cores(count: int) -> str:
    return "one core" if count == 1 else f"{count} cores"


def _joined(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))
