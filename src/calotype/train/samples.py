"""Pictures of what a model decodes while it learns: held-out crops, each beside what became of it."""

from __future__ import annotations

from pathlib import Path

import PIL.Image
import torch
from torch import Tensor

from ..nets.objective import Model
from .protocol import ShowsSamples, Training

FOLDER = "samples"
CROPS = 4  # rows of a strip
SIDE = 128  # of a crop in pixels, or what the model takes instead


@torch.no_grad()
def save_samples(training: Training[Model], model: Model, images: Tensor, out: Path, step: int) -> Path | None:
    """Write `samples/<step>.png` and return its path; None for codecs that show none, and images that are too small.

    A row holds the middle of an image and then, from left to right, what `ShowsSamples.samples` says.

    Parameters
    ----------
    model
        In evaluation mode.
    images
        Bytes (n, 3, h, w).
    """
    if not isinstance(training, ShowsSamples):
        return None
    unit = training.crop_unit(model)
    side = max(SIDE // unit * unit, unit)
    height, width = images.shape[2:]
    if side > min(height, width):
        return None
    y, x = (height - side) // 2, (width - side) // 2
    crops = images[:CROPS, :, y : y + side, x : x + side].to(next(model.parameters()).device).float() / 255
    columns = [crops, *training.samples(model, crops)]
    strip = torch.cat([column.clamp(0, 1).cpu() for column in columns], 3)  # (b, 3, side, side * columns)
    pixels = (255 * strip).round().byte().permute(0, 2, 3, 1).flatten(0, 1)
    path = out / FOLDER / f"{step:07}.png"
    path.parent.mkdir(exist_ok=True)
    PIL.Image.fromarray(pixels.numpy()).save(path)
    return path
