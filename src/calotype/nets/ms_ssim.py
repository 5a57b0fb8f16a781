"""Multi-scale structural similarity (Wang, Simoncelli, Bovik 2003, eq. 7), to be trained for."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import Unsupported

WINDOW, SIGMA = 11, 1.5  # Wang, Simoncelli, Bovik 2003, sec. 3.2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # likewise
C1, C2 = 0.01**2, 0.03**2  # Wang et al. 2004, sec. III-C, for samples in [0, 1]
LEAST = 1e-4  # of a scale: keeps the gradient of its power finite


def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    """Similarity of images (n, c, h, w) in [0, 1] -> (n,), the mean over channels.

    As `calotype.evaluate` measures it: windows only where they fit, 2x2 means between scales. Sides are multiples of
    16, and 176 pixels or more.

    Raises
    ------
    Unsupported
        Sides that do not fit.
    """
    halvings = 2 ** (len(SCALE_WEIGHTS) - 1)
    height, width = a.shape[2:]
    least = (WINDOW - 1) * halvings
    if min(height, width) <= least or height % halvings or width % halvings:
        raise Unsupported(
            f"crops of {width} x {height} pixels: MS-SSIM takes multiples of {halvings} above {least}, such as 192"
        )
    result = torch.ones_like(a[:, :, 0, 0])
    for scale, weight in enumerate(SCALE_WEIGHTS):
        similarity, structure = _ssim(a, b)
        last = scale == len(SCALE_WEIGHTS) - 1
        result = result * (similarity if last else structure).clamp_min(LEAST) ** weight
        if not last:
            a, b = functional.avg_pool2d(a, 2), functional.avg_pool2d(b, 2)
    return result.mean(1)


def _ssim(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM and its contrast-structure part, means of each channel (n, c). Wang et al. 2004, eq. 13."""
    planes = torch.cat((a, b, a * a + b * b, a * b), 1)
    mu_a, mu_b, squares, products = _blur(planes).chunk(4, 1)
    mu_ab, mu_squares = mu_a * mu_b, mu_a * mu_a + mu_b * mu_b
    structures = (2 * (products - mu_ab) + C2) / (squares - mu_squares + C2)
    luminances = (2 * mu_ab + C1) / (mu_squares + C1)
    return (luminances * structures).mean((2, 3)), structures.mean((2, 3))


def _blur(planes: Tensor) -> Tensor:
    """The Gaussian window where it fits, on each channel."""
    offsets = torch.arange(WINDOW, dtype=planes.dtype, device=planes.device) - WINDOW // 2
    window = torch.exp(-offsets.square() / (2 * SIGMA**2))
    kernel = (window / window.sum()).expand(planes.shape[1], 1, WINDOW)
    rows = functional.conv2d(planes, kernel[..., None], groups=planes.shape[1])
    return functional.conv2d(rows, kernel[..., None, :], groups=planes.shape[1])
