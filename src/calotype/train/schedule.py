"""Learning rate, crops and average as functions of training time, so that every run ends annealed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import Unsupported

WARM_UP = 0.01  # of the run,
WARM_UP_SECONDS = 120.0  # at most,
WARM_UP_STEPS = 100  # and at least
WHOLE = 0  # in place of a crop's side: whole images, of any size
LATE_CROPS = (512, 384)  # pixels, the preferred first
LATE_BATCH = 6  # fewer crops than this see too few rates in a step
AVERAGE_PART = 50  # the average spans about one in so many of the steps so far; a longer one lags behind


@dataclass(frozen=True)
class Schedule:
    """How a run of fixed length spends its time."""

    total: float
    """Seconds of training, all resumed parts together."""
    rate: float = 1.2e-3
    """Highest learning rate."""
    anneal: float = 1.0
    """Part of the run, at its end, over which the learning rate falls to zero; before, it is constant."""
    batch: int = 3
    """Crops per step at the first crop size."""
    crop: int = 256
    """Side of the crops in pixels. Smaller ones, all border to networks at 1/64, do not prepare for whole images.
    `WHOLE`: images as they are, as in a fit to one image."""
    late_crop: int = 0
    """Side of the crops near the end; the batch shrinks so that a step sees about as many pixels. 0: the largest of
    `LATE_CROPS` of which a step then holds `LATE_BATCH` or more, else `crop`."""
    late_from: float = 0.85
    """Part of the run after which the late crop size is used."""
    rescale: float = 0.7
    """Half of the batches are cut larger and shrunk, by a factor between this and 1. 1: none."""
    average: int = 1000
    """Steps that the average of the parameters spans at most."""

    def __post_init__(self) -> None:
        if not 0 < self.rescale <= 1:
            raise Unsupported(f"images are shrunk by a factor above 0 and up to 1, not {self.rescale}")
        if not 0 < self.anneal <= 1:
            raise Unsupported(f"the learning rate falls over a part of the run above 0 and up to 1, not {self.anneal}")
        if self.average < 1:
            raise Unsupported(f"an average of parameters spans 1 step or more, not {self.average}")
        if self.late_crop == 0 and self.crop != WHOLE:
            fitting = (side for side in LATE_CROPS if self.batch * self.crop**2 >= LATE_BATCH * side**2)
            object.__setattr__(self, "late_crop", next(fitting, self.crop))

    def learning_rate(self, elapsed: float, step: int) -> float:
        """Linear warm-up, a constant rate, then a cosine to zero."""
        warm = min(elapsed / min(WARM_UP * self.total, WARM_UP_SECONDS), step / WARM_UP_STEPS, 1.0)
        fallen = max(0.0, min(elapsed / self.total, 1.0) - (1 - self.anneal)) / self.anneal
        return self.rate * warm * 0.5 * (1 + math.cos(math.pi * fallen))

    def crops(self, elapsed: float) -> tuple[int, int]:
        """Batch and crop side at that time."""
        if self.crop == WHOLE or elapsed < self.late_from * self.total:
            return self.batch, self.crop
        return max(1, round(self.batch * self.crop**2 / self.late_crop**2)), self.late_crop

    def follow(self, step: int) -> float:
        """Part of the way to the parameters that their average goes, after so many steps."""
        return 1 - min(1 - 1 / self.average, (1 + step) / (AVERAGE_PART + step))
