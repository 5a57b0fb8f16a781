"""Multi-scale structural similarity in NumPy, strip by strip, so that a large image needs little memory."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from ...errors import Unsupported

Array = npt.NDArray[np.float64]

WINDOW, SIGMA = 11, 1.5  # Wang, Simoncelli, Bovik 2003, sec. 3.2; as in Wang et al. 2004
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli, Bovik 2003, sec. 3.2
STRIP = 32  # rows and columns at a time: stays in the cache, and so small a product that BLAS starts no threads
K1, K2 = 0.01, 0.03  # Wang et al. 2004, sec. III-C
SMALLEST_SIDE = (WINDOW - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1  # so that the last scale holds a window


def ms_ssim(a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], peak: int = 255) -> float:
    """Multi-scale structural similarity of two (height, width, channels) arrays, the mean over channels.

    Wang, Simoncelli, Bovik 2003, eq. 7. As in the `pytorch-msssim` package, which the field reports: windows
    only where they fit, 2x2 means between scales (odd sides padded with zeros on both ends), negative terms
    taken as 0.
    """
    if min(a.shape[:2]) < SMALLEST_SIDE:
        raise Unsupported(f"MS-SSIM needs {SMALLEST_SIDE} pixels a side, not {a.shape[1]}x{a.shape[0]}")
    return float(np.mean([_channel_ms_ssim(a[..., k], b[..., k], peak) for k in range(a.shape[2])]))


def ssim(a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], peak: int = 255) -> float:
    """Structural similarity of two (height, width, channels) arrays, the mean over channels. Wang et al. 2004, eq. 13.

    Windows only where they fit: each side has at least 11 samples.
    """
    if min(a.shape[:2]) < WINDOW:
        raise Unsupported(f"SSIM needs {WINDOW} pixels a side, not {a.shape[1]}x{a.shape[0]}")
    x, y = a.astype(np.float64), b.astype(np.float64)
    return float(np.mean([_ssim(x[..., k], y[..., k], peak)[0] for k in range(a.shape[2])]))


def _channel_ms_ssim(a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], peak: int) -> float:
    """MS-SSIM of one channel: a channel at a time stays in the processor's cache."""
    x, y, result = a.astype(np.float64), b.astype(np.float64), 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        similarity, structure = _ssim(x, y, peak)
        last = scale == len(SCALE_WEIGHTS) - 1
        result *= max(similarity if last else structure, 0.0) ** weight
        x, y = _halve(x), _halve(y)
    return result


def _ssim(x: Array, y: Array, peak: int) -> tuple[float, float]:
    """SSIM and its contrast-structure part. Wang et al. 2004, eq. 13; the variances only occur as their sum."""
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    height, width = (side - WINDOW + 1 for side in x.shape)
    similarity = structure = 0.0
    for top in range(0, height, STRIP):
        a, b = (z[top : top + STRIP + WINDOW - 1] for z in (x, y))
        mu_a, mu_b, squares, products = _blur(np.stack([a, b, a * a + b * b, a * b]))
        mu_ab, mu_squares = mu_a * mu_b, mu_a * mu_a + mu_b * mu_b
        structures = (2 * (products - mu_ab) + c2) / (squares - mu_squares + c2)
        luminances = (2 * mu_ab + c1) / (mu_squares + c1)
        similarity += float((luminances * structures).sum())
        structure += float(structures.sum())
    return similarity / (height * width), structure / (height * width)


def _blur(planes: Array) -> Array:
    """Gaussian window where it fits, of STRIP rows or fewer: (k, h, w) -> (k, h - 10, w - 10)."""
    count, height, width = planes.shape[0], planes.shape[1] - WINDOW + 1, planes.shape[2] - WINDOW + 1
    window, result = _window_matrix(), np.empty((count, height, width))
    for left in range(0, width, STRIP):
        part = planes[:, :, left : left + STRIP + WINDOW - 1]
        columns = part.shape[2] - WINDOW + 1
        rows = window[:height, : part.shape[1]] @ part
        result[:, :, left : left + columns] = rows @ window[:columns, : part.shape[2]].T
    return result


@cache
def _window_matrix() -> Array:
    """(STRIP, STRIP + 10): row i weighs samples i to i + 10."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    window = np.exp(-(offsets**2) / (2 * SIGMA**2))
    matrix = np.zeros((STRIP, STRIP + WINDOW - 1))
    for i, row in enumerate(matrix):
        row[i : i + WINDOW] = window / window.sum()
    return matrix


def _halve(x: Array) -> Array:
    """Means of 2x2 cells; an odd side gets a zero on both ends first."""
    x = np.pad(x, [(side % 2, side % 2) for side in x.shape])
    height, width = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    means: Array = (x[0:height:2, 0:width:2] + x[1:height:2, 0:width:2]
                    + x[0:height:2, 1:width:2] + x[1:height:2, 1:width:2]) / 4  # fmt: skip
    return means
