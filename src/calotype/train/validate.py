"""What a model is worth on held-out images: its loss, and points of a rate-distortion curve."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from ..nets.objective import Model, Objective
from .protocol import Training

AT_ONCE = 4  # images, for their memory


@torch.no_grad()
def validate(training: Training[Model], model: Model, images: Tensor, lossless: bool) -> dict[str, Any]:
    """Code images (n, 3, h, w), bytes, with a model in evaluation mode.

    Figures are means over the codec's `validation_rates`; of a lossy codec there is `validation_curve` besides, (bpp,
    PSNR in dB) at each of them, means over the images.
    """
    objective = training.objectives(model)[0]
    points = [_measure(objective, model, images, rate) for rate in training.validation_rates(model)]
    means = {f"validation_{name}": round(fmean(point[name] for point in points), 5) for name in points[0]}
    if lossless:
        return means
    return means | {"validation_curve": [[round(point["bpp"], 5), round(point["psnr"], 4)] for point in points]}


def _measure(objective: Objective[Model], model: Model, images: Tensor, rate: float) -> dict[str, float]:
    device = next(model.parameters()).device
    sums: dict[str, float] = {}
    for part in torch.split(images, AT_ONCE):
        rates = torch.full((len(part),), rate, device=device)
        loss, figures = objective.loss(model, part.to(device).float() / 255, rates)
        for name, value in {"loss": loss, **figures}.items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(part)
    return {name: total / len(images) for name, total in sums.items()}
