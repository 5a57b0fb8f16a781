"""Measures `vae.swift` over realism, and other formats at the same bytes: the table of realism.md.

    python docs/explain/realism.py IMAGES... --out FOLDER

FOLDER keeps a JSON file of figures for each image and is gone on with. Needs `CALOTYPE_DATA` for SqueezeNet's weights.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

import calotype
from calotype.evaluate.measure.metrics import find_metrics
from calotype.evaluate.measure.patches import cut_patches, describe, frechet, kernel
from calotype.evaluate.rivals import find_rivals
from calotype.evaluate.rivals.rival import Rival, Rung
from calotype.image import Image
from calotype.io import read_image

PAGE = Path(__file__).with_name("realism.md")
MODEL, REALISMS = "vae.swift", (0.0, 0.5, 1.0)
QUALITIES = (20, 35, 48)
RIVALS = {"jpeg-420": (8.0, 23.0), "webp": (5.0, 30.0), "avif-444-s6": (25.0, 45.0), "jxl-e7": (12.0, 5.0)}
"""Names, and two settings to begin with."""
STEPS = {"jpeg-420": 1.0, "webp": 1.0, "avif-444-s6": 1.0, "jxl-e7": 0.05}
SMALLEST, LARGEST = {"jpeg-420": 1.0, "webp": 0.0, "avif-444-s6": 0.0, "jxl-e7": 0.5}, 95.0
TRIES, CLOSE = 5, 0.015
METRICS = ("psnr", "ms_ssim", "lpips_squeeze", "ssimulacra2")


class Shown(NamedTuple):
    """What became of an image."""

    codec: str
    bytes: int
    image: Image


def ours(image: Image, quality: int) -> Iterator[Shown]:
    """The file decoded at every realism."""
    model = calotype.load(MODEL)
    data = model.encode(image, quality, threads=1)
    for realism in REALISMS:
        yield Shown(f"{MODEL}@{realism:g}", len(data), model.decode_image(data, realism=realism, threads=1))


def rivals(image: Image, size: int) -> Iterator[Shown]:
    """Of each rival the file whose size is nearest to `size`."""
    for rival in find_rivals(list(RIVALS)):
        data = nearest(rival, image, size)
        yield Shown(rival.name, len(data), rival.decode(data, 1))


def nearest(rival: Rival, image: Image, size: int) -> bytes:
    """The file nearest in size, by drawing a line between two files again and again: log size over setting."""
    step = STEPS[rival.name]
    tried: dict[float, bytes] = {}

    def encode(setting: float) -> float:
        """How much the file is too large, in logarithms."""
        if setting not in tried:
            tried[setting] = rival.encode(image, Rung(setting), 1)
        return math.log(len(tried[setting]) / size)

    settings = list(RIVALS[rival.name])
    errors = [encode(setting) for setting in settings]
    for _ in range(TRIES):
        if errors[0] == errors[1]:  # two settings with the same file
            break
        slope = (errors[1] - errors[0]) / (settings[1] - settings[0])
        setting = round((settings[1] - errors[1] / slope) / step) * step
        setting = min(max(setting, SMALLEST[rival.name]), LARGEST)
        if setting in tried:
            break
        worse = 0 if abs(errors[0]) > abs(errors[1]) else 1
        settings[worse], errors[worse] = setting, encode(setting)
        if abs(errors[worse]) < CLOSE:
            break
    return min(tried.values(), key=lambda data: abs(len(data) - size))


def measured(image: Image, make: Callable[[], Iterator[Shown]]) -> dict[str, Any]:
    metrics = find_metrics(METRICS)
    return {
        shown.codec: {
            "bpp": 8 * shown.bytes / (image.width * image.height),
            **{metric.name: metric.measure(image, shown.image) for metric in metrics},
            "patches": describe(cut_patches(shown.image.pixels)).round(5).tolist(),
        }
        for shown in make()
    }


def measure(path: Path, out: Path) -> dict[str, Any]:
    """Figures of an image, kept apart for our model, which may change, and for rivals."""
    image = read_image(path)
    name, digest = path.stem, calotype.load(MODEL).card.digest.hex()
    found: dict[str, Any] = {}
    for quality in QUALITIES:
        data = calotype.load(MODEL).encode(image, quality, threads=1)
        for kind, make in (("rivals", partial(rivals, image, len(data))), ("ours", partial(ours, image, quality))):
            kept = out / f"{name}-{quality}-{digest}-{kind}.json"
            if kind not in ONLY:
                continue
            if not kept.is_file():
                kept.write_text(json.dumps(measured(image, make)), encoding="utf-8")
            found.setdefault(str(quality), {}).update(json.loads(kept.read_text(encoding="utf-8")))
    found["patches"] = describe(cut_patches(image.pixels)).tolist()
    return found


def table(images: list[dict[str, Any]]) -> str:
    """Means over the images, and distances of all their patches."""
    lines = [
        "| | bpp | PSNR | MS-SSIM | LPIPS (SqueezeNet) | SSIMULACRA 2 | Fréchet of patches | kernel of patches |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    originals = np.concatenate([np.array(image["patches"]) for image in images])
    for quality in map(str, QUALITIES):
        for codec in images[0][quality]:
            rows = [image[quality][codec] for image in images]
            mean = {name: fmean(row[name] for row in rows) for name in ("bpp", *METRICS)}
            patches = np.concatenate([np.array(row["patches"]) for row in rows])
            title = codec.replace("@", ", realism ")
            lines.append(
                f"| {title} | {mean['bpp']:.3f} | {mean['psnr']:.2f} | {mean['ms_ssim']:.4f} "
                f"| {mean['lpips_squeeze']:.4f} | {mean['ssimulacra2']:.1f} "
                f"| {frechet(originals, patches):.2f} | {1000 * kernel(originals, patches):.2f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, nargs="+", help="image files")
    parser.add_argument("--out", type=Path, required=True, help="folder of the figures")
    parser.add_argument("--only", choices=("ours", "rivals"), help="measure just these, and write no page")
    arguments = parser.parse_args()
    ONLY = (arguments.only,) if arguments.only else ("ours", "rivals")
    arguments.out.mkdir(parents=True, exist_ok=True)
    found = [measure(path, arguments.out) for path in arguments.images]
    if not arguments.only:
        text = f"{table(found)}\n"
        page = PAGE.read_text(encoding="utf-8")
        page = re.sub(r"(?<=<!-- measured -->\n).*?(?=<!-- end -->)", lambda _: text, page, flags=re.DOTALL)
        PAGE.write_text(page, encoding="utf-8")
        print(text)
