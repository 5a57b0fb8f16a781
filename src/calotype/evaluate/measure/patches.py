"""How far the patches of decoded images are from those of the originals, as two sets.

Features are means over a patch of SqueezeNet's last ones, and distances are named after that network: FID has those of
Inception, and its figures do not compare.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...image import Image

SIDE = 256  # pixels of a patch (Mentzer et al. 2020, sec. A.7)
FEWEST = 2  # patches that make a set
AT_ONCE = 8  # patches, for their memory

Features = npt.NDArray[np.float64]
"""(patches, 512)."""


def cut_patches(pixels: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Patches of an image (h, w, c): side by side from the corner, and again from half a patch down and right.

    Mentzer et al. 2020 (HiFiC), sec. A.7. What is left over at the right and the bottom is unused.
    """
    height, width = pixels.shape[:2]
    return [
        pixels[y : y + SIDE, x : x + SIDE]
        for start in (0, SIDE // 2)
        for y in range(start, height - SIDE + 1, SIDE)
        for x in range(start, width - SIDE + 1, SIDE)
    ]


def describe_image(image: Image, folder: Path | None = None) -> Features | None:
    """Features of the patches of an image's colours; None where it has no patches, is grey, or has views."""
    if image.views or image.channels < 3 or min(image.height, image.width) < SIDE:
        return None
    return describe(cut_patches(image.pixels[..., :3]), (1 << image.depth) - 1, folder)


def describe(patches: Iterable[npt.NDArray[Any]], peak: int = 255, folder: Path | None = None) -> Features:
    """Features of RGB patches (SIDE, SIDE, 3).

    Parameters
    ----------
    folder
        Of the network's weights; None is as `nets.perceptual.perceptual_folder`.

    Raises
    ------
    WeightsNotFound
        They are not there.
    """
    import torch

    from ...nets.perceptual import open_lpips

    network, found = open_lpips(folder), []
    images = np.stack([np.asarray(patch, np.float32) for patch in patches]) / peak
    with torch.inference_mode():
        for part in torch.split(torch.from_numpy(images).permute(0, 3, 1, 2), AT_ONCE):
            found.append(network.describe(part).numpy().astype(np.float64))
    return np.concatenate(found)


def frechet(a: Features, b: Features) -> float:
    """Fréchet distance of the Gaussians with the means and covariances of two sets (Heusel et al. 2017, eq. 6).

    The trace of the root of the covariances' product is the sum of the singular values of A B^T, where rows of A and B
    are centred features: (A^T A B^T B) has the same eigenvalues as (A B^T)(A B^T)^T. With few patches it is too high.
    """
    centred = [(x - x.mean(0)) / np.sqrt(len(x) - 1) for x in (a, b)]
    spread = sum(float((x * x).sum()) for x in centred)
    common = float(np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum())
    return float(((a.mean(0) - b.mean(0)) ** 2).sum()) + spread - 2 * common


def kernel(a: Features, b: Features) -> float:
    """Squared maximum mean discrepancy under (x y / d + 1)^3, unbiased (Bińkowski et al. 2018, sec. 4)."""

    def similar(x: Features, y: Features) -> Features:
        products: Features = (x @ y.T / x.shape[1] + 1) ** 3
        return products

    def within(x: Features) -> float:
        products = similar(x, x)
        return float(products.sum() - np.trace(products)) / (len(x) * (len(x) - 1))

    return within(a) + within(b) - 2 * float(similar(a, b).mean())
