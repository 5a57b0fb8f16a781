"""How far a decoded picture is from the original; NumPy only."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import Unsupported
from ..image import Image

Array = npt.NDArray[np.float64]

WINDOW, SIGMA = 11, 1.5  # Wang, Simoncelli, Bovik 2003, sec. 3.2; as in Wang et al. 2004
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli, Bovik 2003, sec. 3.2
K1, K2 = 0.01, 0.03  # Wang et al. 2004, sec. III-C
SMALLEST_SIDE = (WINDOW - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1  # so that the last scale holds a window


@dataclass(frozen=True)
class Comparison:
    psnr: float
    """dB over the colour channels; infinite for equal pictures."""
    ms_ssim: float | None
    """Over the colour channels; None where a side is below 161 pixels."""
    largest_error: int
    """Largest absolute difference over all channels, alpha too."""


def compare(a: Image, b: Image) -> Comparison:
    """Compare two images of the same shape and depth.

    Raises
    ------
    Unsupported
        They differ in size, mode or depth.
    """
    if (a.pixels.shape, a.depth) != (b.pixels.shape, b.depth):
        raise Unsupported(f"cannot compare {_describe(a)} with {_describe(b)}; make them alike first")
    peak = (1 << a.depth) - 1
    colours = a.channels - (a.channels in (2, 4))
    first, second = a.pixels[..., :colours], b.pixels[..., :colours]
    large = min(a.width, a.height) >= SMALLEST_SIDE and not a.views
    return Comparison(
        psnr=psnr(first, second, peak),
        ms_ssim=ms_ssim(first, second, peak) if large else None,
        largest_error=int(np.abs(a.pixels.astype(np.int32) - b.pixels).max()),
    )


def psnr(a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], peak: int = 255) -> float:
    """Peak signal-to-noise ratio in dB over all samples of two equally shaped arrays."""
    difference = a.astype(np.int64) - b
    squares = int((difference * difference).sum())
    return math.inf if squares == 0 else 10 * math.log10(peak**2 * difference.size / squares)


def ms_ssim(a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], peak: int = 255) -> float:
    """Multi-scale structural similarity of two (height, width, channels) arrays, the mean over channels.

    Wang, Simoncelli, Bovik 2003, eq. 7. As in the `pytorch-msssim` package, which the field reports: windows
    only where they fit, 2x2 means between scales (odd sides padded with zeros on both ends), negative terms
    taken as 0.
    """
    if min(a.shape[:2]) < SMALLEST_SIDE:
        raise Unsupported(f"MS-SSIM needs {SMALLEST_SIDE} pixels a side, not {a.shape[1]}x{a.shape[0]}")
    x, y = (np.moveaxis(image, -1, 0).astype(np.float64) for image in (a, b))
    result = np.ones(len(x))
    for scale, weight in enumerate(SCALE_WEIGHTS):
        similarity, structure = _ssim(x, y, peak)
        last = scale == len(SCALE_WEIGHTS) - 1
        result *= np.maximum(similarity if last else structure, 0) ** weight
        x, y = _halve(x), _halve(y)
    return float(result.mean())


def _ssim(x: Array, y: Array, peak: int) -> tuple[Array, Array]:
    """SSIM and its contrast-structure part, both of shape (channels,). Wang et al. 2004, eq. 13."""
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    mu_x, mu_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mu_x * mu_x
    var_y = _blur(y * y) - mu_y * mu_y
    cov = _blur(x * y) - mu_x * mu_y
    structure = (2 * cov + c2) / (var_x + var_y + c2)
    luminance = (2 * mu_x * mu_y + c1) / (mu_x**2 + mu_y**2 + c1)
    return (luminance * structure).mean(axis=(1, 2)), structure.mean(axis=(1, 2))


def _blur(x: Array) -> Array:
    """Gaussian window where it fits: (c, h, w) -> (c, h - 10, w - 10)."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    window = np.exp(-(offsets**2) / (2 * SIGMA**2))
    window /= window.sum()
    height, width = x.shape[1] - WINDOW + 1, x.shape[2] - WINDOW + 1
    rows: Array = sum((w * x[:, i : i + height] for i, w in enumerate(window)), np.zeros(()))
    columns: Array = sum((w * rows[:, :, i : i + width] for i, w in enumerate(window)), np.zeros(()))
    return columns


def _halve(x: Array) -> Array:
    """Means of 2x2 cells; an odd side gets a zero on both ends first."""
    x = np.pad(x, ((0, 0), *((side % 2, side % 2) for side in x.shape[1:])))
    channels, height, width = x.shape
    cells = x[:, : height // 2 * 2, : width // 2 * 2].reshape(channels, height // 2, 2, width // 2, 2)
    means: Array = cells.mean(axis=(2, 4))
    return means


def _describe(image: Image) -> str:
    return f"{image.width}x{image.height} {image.mode} of {image.depth} bits"
