"""Learning rate and crops as functions of training time, so that every run ends annealed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ..errors import Unsupported

WARM_UP = 0.01  # of the run
WARM_UP_STEPS = 100  # at least
LATE_CROPS = (512, 384)  # pixels, the preferred first
LATE_BATCH = 6  # fewer crops than this see too few rates in a step
UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """Parse "90s", "40m", "1.5h" or "1h30m" into seconds. Raises `Unsupported`."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise Unsupported(f"{text!r} is not a duration; write it like 90s, 40m or 1h30m")
    return sum(float(number) * UNITS[unit] for number, unit in parts)


@dataclass(frozen=True)
class Schedule:
    """How a run of fixed length spends its time."""

    total: float
    """Seconds of training, all resumed parts together."""
    rate: float = 1.2e-3
    """Highest learning rate."""
    batch: int = 3
    """Crops per step at the first crop size."""
    crop: int = 256
    """Side of the crops in pixels. Smaller ones, all border to networks at 1/64, do not prepare for whole pictures."""
    late_crop: int = 0
    """Side of the crops near the end; the batch shrinks so that a step sees about as many pixels. 0: the largest of
    `LATE_CROPS` of which a step then holds `LATE_BATCH` or more, else `crop`."""
    late_from: float = 0.85
    """Part of the run after which the late crop size is used."""
    rescale: float = 0.7
    """Half of the batches are cut larger and shrunk, by a factor between this and 1. 1: none."""

    def __post_init__(self) -> None:
        if not 0 < self.rescale <= 1:
            raise Unsupported(f"pictures are shrunk by a factor above 0 and up to 1, not {self.rescale}")
        if self.late_crop == 0:
            fitting = (side for side in LATE_CROPS if self.batch * self.crop**2 >= LATE_BATCH * side**2)
            object.__setattr__(self, "late_crop", next(fitting, self.crop))

    def learning_rate(self, elapsed: float, step: int) -> float:
        """Linear warm-up, then a cosine to zero."""
        progress = min(elapsed / self.total, 1.0)
        warm = min(progress / WARM_UP, 1.0) if step >= WARM_UP_STEPS else min(progress / WARM_UP, step / WARM_UP_STEPS)
        return self.rate * warm * 0.5 * (1 + math.cos(math.pi * progress))

    def crops(self, elapsed: float) -> tuple[int, int]:
        """Batch and crop side at that time."""
        if elapsed < self.late_from * self.total:
            return self.batch, self.crop
        return max(1, round(self.batch * self.crop**2 / self.late_crop**2)), self.late_crop
