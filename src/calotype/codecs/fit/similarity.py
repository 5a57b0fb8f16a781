"""Structural similarity as something to fit for: the slope of MS-SSIM by the samples of a picture.

Multi-scale structural similarity of one channel is a product over scales of mean similarities m_s, each to a power
(Wang, Simoncelli, Bovik 2003, eq. 7). What is fitted for is the mean over channels of -ln of it, times a number that
makes it about as large as the squared error of the same file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fitter import Floats

WINDOW, SIGMA = 11, 1.5  # Wang, Simoncelli, Bovik 2003, sec. 3.2
POWERS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # likewise, of the scales
C1, C2 = 0.01**2, 0.03**2  # Wang et al. 2004, sec. III-C, for samples in [0, 1]
LEAST = 1e-3  # of a mean similarity: keeps the slope of its logarithm finite
SHARE = 0.25  # of what a squared error of the same visibility counts
PLAIN = 0.5  # of squared error itself, beside it: similarity alone would let brightness and colour drift
EVEN = 0.3  # of the weights is the same everywhere

Plane = NDArray[np.floating[Any]]
TAPS = np.exp(-((np.arange(WINDOW, dtype=np.float32) - WINDOW // 2) ** 2) / np.float32(2 * SIGMA**2))
TAPS /= TAPS.sum()


def blur(plane: Plane) -> Plane:
    """The Gaussian window where it fits: sides lose 10 samples. Leading axes are kept."""
    height, width = (side - WINDOW + 1 for side in plane.shape[-2:])
    rows = sum(tap * plane[..., i : i + height, :] for i, tap in enumerate(TAPS))
    return np.asarray(sum(tap * rows[..., i : i + width] for i, tap in enumerate(TAPS)), np.float32)


def spread(plane: Plane) -> Plane:
    """The transpose of `blur`."""
    pad = [(0, 0)] * (plane.ndim - 2) + [(WINDOW - 1, WINDOW - 1)] * 2
    return blur(np.pad(plane, pad))


def halve(plane: Plane) -> Plane:
    """Means of 2 x 2; a last odd row or column is left out."""
    height, width = (side // 2 for side in plane.shape[-2:])
    even = plane[..., : 2 * height, : 2 * width].reshape(*plane.shape[:-2], height, 2, width, 2)
    return np.asarray(even.mean((-3, -1)))


def double(plane: Plane, height: int, width: int) -> Plane:
    """Each sample four times; zero in a last odd row or column."""
    large = plane.repeat(2, -2).repeat(2, -1)
    return np.pad(large, [(0, 0)] * (plane.ndim - 2) + [(0, height - large.shape[-2]), (0, width - large.shape[-1])])


@dataclass(frozen=True)
class _Scale:
    """What is known of the picture at one scale: samples, and means in windows."""

    wanted: Plane
    mean: Plane
    square: Plane
    power: float
    coarsest: bool

    def slope(self, found: Plane) -> Plane:
        """Of ln of the mean similarity to the power, of each channel, by the samples."""
        channels = zip(found, self.wanted, self.mean, self.square, strict=True)  # one at a time takes less memory
        return np.stack([self._slope(*channel) for channel in channels])

    def _slope(self, found: Plane, wanted: Plane, wanted_mean: Plane, wanted_square: Plane) -> Plane:
        """Of one channel."""
        mu, square, product = blur(np.stack([found, found * found, found * wanted]))
        n = 2 * (product - mu * wanted_mean) + C2
        d = square + wanted_square - mu * mu - wanted_mean * wanted_mean + C2
        p, q = 2 * mu * wanted_mean + C1, mu * mu + wanted_mean * wanted_mean + C1
        structure = n / d
        similarity = structure * p / q if self.coarsest else structure
        by = self.power / (np.maximum(similarity.mean(), LEAST) * mu.size)
        by_structure = by * p / q if self.coarsest else np.full_like(mu, by)
        by_mu = by_structure * 2 * (mu * structure - wanted_mean) / d
        if self.coarsest:
            by_mu += by * structure * 2 * (wanted_mean - mu * p / q) / q
        back = spread(np.stack([by_mu, -by_structure * structure / d, 2 * by_structure / d]))
        return np.asarray(back[0] + 2 * found * back[1] + wanted * back[2])


class Similarity:
    """Of one picture."""

    def __init__(self, picture: Floats) -> None:
        """`picture` [height, width, channels] in [0, 1]; of 11 samples a side at least."""
        wanted = np.ascontiguousarray(picture.transpose(2, 0, 1), dtype=np.float32)
        sides = [min(wanted.shape[1:]) >> scale for scale in range(len(POWERS))]
        count = sum(side >= WINDOW for side in sides)
        if not count:
            raise ValueError(f"a picture of {picture.shape} holds no window")
        self._scales, self._wanted = list[_Scale](), picture
        for scale, power in enumerate(POWERS[:count]):
            mean, square = blur(wanted), blur(wanted * wanted)
            self._scales.append(_Scale(wanted, mean, square, power / sum(POWERS[:count]), scale == count - 1))
            wanted = halve(wanted)
        visible = self._visible()
        self._as_error = SHARE / float(np.exp(np.log(visible).mean()))
        visible += np.float32(EVEN) * (visible.mean() - visible)
        self.weight: Floats = visible * np.float32(self._as_error)
        """[height, width]: about what a squared error of each pixel, if it is like noise, adds to the loss."""

    def _visible(self) -> Floats:
        """How much noise in a pixel makes the picture less similar: the less, the more contrast is around it."""
        total = np.zeros(self._wanted.shape[:2], np.float32)
        for number, scale in enumerate(self._scales):
            contrast = np.maximum(scale.square - scale.mean * scale.mean, 0)
            hidden = spread(1 / (2 * contrast + C2)).mean(0) / np.maximum(spread(np.ones_like(contrast[0])), 1e-6)
            part = hidden * np.float32(scale.power / 4**number)
            for finer in reversed(self._scales[:number]):
                part = double(part, *finer.wanted.shape[-2:])
            total += part
        return np.maximum(total, np.float32(1e-6))

    def slope(self, found: Floats) -> Floats:
        """Of the loss, summed over pixels, by the samples [height, width, channels] of a picture like it."""
        height, width, channels = self._wanted.shape
        planes: list[Plane] = [np.ascontiguousarray(found.transpose(2, 0, 1), dtype=np.float32)]
        for _ in self._scales[1:]:
            planes.append(halve(planes[-1]))
        slope: Plane = np.zeros_like(planes[-1])
        for scale, plane in zip(reversed(self._scales), reversed(planes), strict=True):
            if slope.shape != plane.shape:
                slope = double(slope, *plane.shape[-2:]) / 4
            slope -= scale.slope(plane)
        slope *= np.float32(self._as_error * height * width / channels)
        plain = np.float32(2 * PLAIN / channels) * (found - self._wanted)
        return np.asarray(slope.transpose(1, 2, 0) + plain, np.float32)
