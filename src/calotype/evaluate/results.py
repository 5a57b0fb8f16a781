"""All figures of a page of results as one table: what is measured here joined with what others published.

`evaluate` makes the table, which is what stands in `docs/results/<set>.json`; `report` and `plot` only read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import api
from ..errors import Unsupported
from . import footprint
from .bd import Curve, bd_psnr, bd_rate, envelope, psnr_overlap
from .published import HYPERPRIOR, VTM, Published
from .rivals import JPEG_420, JPEG_444, Rival
from .run import LADDER, Measured, Picture, Point, Sample, measure, summarise

Results = dict[str, Any]

BETTER_JPEG = "jpeg"  # name of the envelope of both subsamplings
PUBLISHED_SET = ("kodak", 24)  # name and number of the pictures that the published curves are of
ANCHORS = {VTM: "VTM, published", HYPERPRIOR: "Ballé et al. 2018 (hyperprior), published by CompressAI"}


def evaluate(
    models: Sequence[api.Model],
    rivals: Sequence[Rival],
    pictures: Sequence[Picture],
    *,
    name: str,
    published: Mapping[str, Published],
    qualities: tuple[float, ...] = LADDER,
    runs: int = footprint.RUNS,
    install: str | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Results:
    """Measure models and rivals over a set of pictures.

    Parameters
    ----------
    name
        Of the set. Published curves are used only if it is `kodak`, and whole.
    published
        By name; `VTM` and `HYPERPRIOR` are used.
    qualities
        The models' ladder.
    runs
        Of each command line that is timed.
    install
        A folder or wheel to install into a fresh environment for its size; None leaves that out.
    report
        Gets a line of text now and then.
    """
    results: Results = {
        "set": {
            "name": name,
            "pictures": len(pictures),
            "megapixels": round(sum(picture.pixels[..., 0].size for picture in pictures) / 1e6, 3),
        },
        "machine": footprint.machine(),
        "versions": footprint.versions(),
    }

    def measured(rival: Rival, similarity: bool) -> list[Sample]:
        def say(point: Point) -> None:
            report(f"{rival.name} {point.quality:g}: {point.bpp:.3f} bpp, {point.psnr:.2f} dB")

        return measure(rival, pictures, similarity=similarity, report=say)

    results["rivals"] = {
        rival.name: {"title": rival.title, "points": _points(measured(rival, False))} for rival in rivals
    }
    results["published"] = {
        anchor: {
            "title": title,
            "source": published[anchor].source,
            "points": [list(p) for p in published[anchor].points],
        }
        for anchor, title in ANCHORS.items()
        if (name, len(pictures)) == PUBLISHED_SET and anchor in published
    }
    results["anchors"] = {anchor: title for anchor, (title, _) in _anchors(results).items()}
    results["models"] = {}
    for model in models:
        entry = _describe(model) | _of_samples(measured(Measured(model, qualities), True))
        entry["bd"] = _differences(curve_of(entry), {key: curve for key, (_, curve) in _anchors(results).items()})
        entry["speed"] = footprint.speed(model, pictures)
        entry["command_line"] = footprint.decode_command(model.encode(pictures[0].pixels), runs)
        results["models"][model.name] = entry
        report(f"{model.name}: {entry['speed']}, {entry['command_line']}")
    results["help_seconds"] = footprint.help_seconds(runs)
    if install is not None:
        report(f"installing {Path(install).name or install} into a fresh environment")
        results["install_bytes"] = footprint.install_bytes(install)
    return results


def curve_of(entry: Mapping[str, Any]) -> Curve:
    """(bpp, PSNR) of a model, a rival or a published codec in the results."""
    return [tuple(point) if isinstance(point, list) else (point["bpp"], point["psnr"]) for point in entry["points"]]


def _points(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    return [point.to_dict() for point in summarise(samples)]


def _describe(model: api.Model) -> dict[str, Any]:
    card = model.card
    return {
        "digest": card.digest.hex(),
        "default": card.default,
        "description": card.description,
        "weights_bytes": card.path.stat().st_size,
        "training": dict(card.card.get("training", {})),
    }


def _of_samples(samples: Sequence[Sample]) -> dict[str, Any]:
    points = summarise(samples)
    return {
        "points": [point.to_dict() for point in points],
        "counter": {
            "largest_of_mean_percent": _percent(_off(p.bpp_ideal, p.bpp) for p in points),
            "largest_of_file_percent": _percent(_off(s.ideal_bits, 8 * s.bytes) for s in samples),
        },
        "frame_bytes": max(sample.frame_bytes or 0 for sample in samples),
    }


def _off(ideal: float | None, real: float) -> float:
    return abs(float(ideal or 0.0) - real) / real


def _percent(parts: Iterable[float]) -> float:
    return round(100 * max(parts), 3)


def _anchors(results: Results) -> dict[str, tuple[str, Curve]]:
    """Title and curve of everything that models are compared with."""
    anchors: dict[str, tuple[str, Curve]] = {}
    rivals = results["rivals"]
    for name, rival in rivals.items():
        anchors[name] = rival["title"], curve_of(rival)
        if name == JPEG_444.name and JPEG_420.name in rivals:
            both = envelope(*(curve_of(rivals[jpeg.name]) for jpeg in (JPEG_420, JPEG_444)))
            anchors[BETTER_JPEG] = "JPEG, the better of 4:2:0 and 4:4:4 at each PSNR", both
    for name, entry in results["published"].items():
        anchors[name] = entry["title"], curve_of(entry)
    return anchors


def _differences(curve: Curve, anchors: Mapping[str, Curve]) -> dict[str, dict[str, float]]:
    """BD figures against each anchor that the curve overlaps with."""
    found = {}
    for name, anchor in anchors.items():
        try:
            low, high = psnr_overlap(curve, anchor)
            found[name] = {
                "rate_percent": round(bd_rate(curve, anchor), 2),
                "psnr_db": round(bd_psnr(curve, anchor), 3),
                "overlap_low_db": round(low, 2),
                "overlap_high_db": round(high, 2),
            }
        except Unsupported:
            continue
    return found
