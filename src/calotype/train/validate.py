"""What a model is worth on held-out tiles: its loss, and points of a rate-distortion curve."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

AT_ONCE = 4  # tiles, for their memory


@torch.no_grad()
def validate(training: Any, model: nn.Module, tiles: Tensor) -> dict[str, Any]:
    """Code tiles (n, 3, h, w), bytes, with a model in evaluation mode.

    `validation_curve` has (bpp, PSNR in dB) for each of the codec's `fixed_numbers`, means over the tiles, unless it is
    lossless; the other figures are means over those points.
    """
    points = [_measure(training, model, tiles, number) for number in training.fixed_numbers(model)]
    means = {f"validation_{name}": round(fmean(point[name] for point in points), 5) for name in points[0]}
    if "psnr" not in points[0]:
        return means
    return means | {"validation_curve": [[round(point["bpp"], 5), round(point["psnr"], 4)] for point in points]}


def _measure(training: Any, model: nn.Module, tiles: Tensor, number: float) -> dict[str, float]:
    device = next(model.parameters()).device
    sums: dict[str, float] = {}
    for part in torch.split(tiles, AT_ONCE):
        numbers = torch.full((len(part),), number, device=device)
        loss, figures = training.loss(model, part.to(device).float() / 255, numbers)
        for name, value in {"loss": loss, **figures}.items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(part)
    return {name: total / len(tiles) for name, total in sums.items()}
