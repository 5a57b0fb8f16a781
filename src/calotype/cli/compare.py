"""`calotype compare`: how far apart two images are."""

from __future__ import annotations

import math
import os
import time
from typing import Annotated, Any

import typer

from .batch import read_image, record_of, run
from .jobs import STREAM, Job, Record
from .options import LIMIT, Json, MaxPixels, Perceptual, Threads


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="Image or .calo file; - is stdin.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Image or .calo file of the same size and mode.")],
    metrics: Annotated[
        str,
        typer.Option(metavar="LIST", help="As psnr, ms_ssim, lpips, in place of the usual ones."),
    ] = "",
    perceptual: Perceptual = None,
    json: Json = False,
    threads: Threads = 0,
    max_pixels: MaxPixels = LIMIT,
) -> None:
    """Compare two images: PSNR, MS-SSIM, largest error.

    Both have the same size and mode. PSNR and MS-SSIM are those of the colour channels, the largest error is
    over all channels. `bytes` and `bpp` in JSON are those of B; a PSNR of null stands for equal images, an
    MS-SSIM of null for images below 161 pixels.

    --metrics names others, those that `calotype bench` knows. LPIPS is that of SqueezeNet (lpips_squeeze).
    """
    if a == b == STREAM:
        raise typer.BadParameter("only one of the two can be stdin")
    from ..evaluate.measure.metrics import check_alike, find_metrics
    from ..evaluate.measure.metrics import compare as measure

    chosen = find_metrics([word for part in metrics.split(",") if (word := part.strip())], perceptual)

    def work(job: Job) -> Record:
        started = time.perf_counter()
        first, second = (read_image(name, threads, max_pixels) for name in (a, b))
        size = os.path.getsize(b) if b != STREAM else 0
        figures: dict[str, Any]
        if chosen:
            check_alike(first, second)
            values = {metric.name: metric.measure(first, second) for metric in chosen}
            if not json:
                width = max(len(metric.title) for metric in chosen)
                for metric in chosen:
                    print(f"{metric.title:{width}}  {_shown(values[metric.name])}")
            figures = {name: value if _is_finite(value) else None for name, value in values.items()}
            return record_of(job, first, size, time.perf_counter() - started, **figures)
        found = measure(first, second)
        psnr = found.psnr if math.isfinite(found.psnr) else None
        if not json:
            print(f"PSNR           {'equal' if psnr is None else f'{psnr:.4f} dB'}")
            similarity = "needs 161 pixels a side" if found.ms_ssim is None else f"{found.ms_ssim:.6f}"
            print(f"MS-SSIM        {similarity}")
            print(f"largest error  {found.largest_error}")
        figures = {"psnr": psnr, "ms_ssim": found.ms_ssim, "largest_error": found.largest_error}
        return record_of(job, first, size, time.perf_counter() - started, **figures)

    run([Job(a, b)], work, json, None)


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _shown(value: float | None) -> str:
    if value is None:
        return "not defined for such images"
    return f"{value:.6g}" if math.isfinite(value) else "equal"
