"""How far a decoded picture is from the original. What is not in NumPy is imported when it is asked for."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import CalotypeError, Unsupported
from ..image import Image
from ..io import encode_image
from .published import data_folder

Array = npt.NDArray[np.float64]
RGB = npt.NDArray[np.uint8]  # (height, width, 3)

WINDOW, SIGMA = 11, 1.5  # Wang, Simoncelli, Bovik 2003, sec. 3.2; as in Wang et al. 2004
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli, Bovik 2003, sec. 3.2
STRIP = 32  # rows and columns at a time: stays in the cache, and so small a product that BLAS starts no threads
K1, K2 = 0.01, 0.03  # Wang et al. 2004, sec. III-C
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
SMALLEST_LPIPS_SIDE = 32  # AlexNet has no features of pictures with less than 31 pixels, SqueezeNet with less than 17
SMALLEST_SSIMULACRA2_SIDE = 8  # the package scores anything smaller 100, whatever it is
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
        largest_error=largest_error(a.pixels, b.pixels),
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
    return float(np.mean([_channel_ms_ssim(a[..., k], b[..., k], peak) for k in range(a.shape[2])]))


def psnr_y(a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], peak: int = 255) -> float:
    """PSNR in dB of the luma of two (height, width, 3) arrays: full-range BT.601 as in JPEG, not rounded."""
    difference = (a.astype(np.float64) - b) @ LUMA
    squares = float(np.mean(difference * difference))
    return math.inf if squares == 0 else 10 * math.log10(peak**2 / squares)


def largest_error(a: npt.NDArray[np.integer], b: npt.NDArray[np.integer]) -> int:
    """Largest absolute difference of two equally shaped arrays."""
    return int(np.abs(a.astype(np.int32) - b).max())


# --- by name, for tables ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Metric:
    """A metric of two 8-bit RGB pictures, original and decoded."""

    name: str
    title: str
    better: Literal["higher", "lower"]
    measure: Callable[[RGB, RGB], float | None]
    """None where it is not defined for pictures of this size."""
    missing: Callable[[], str | None] = lambda: None
    """Why it cannot be measured here, and what to do; None if it can."""


def find_metrics(names: Iterable[str]) -> tuple[Metric, ...]:
    """Metrics by name.

    Raises
    ------
    Unsupported
        A name is unknown, or something that it needs is not installed.
    """
    found = []
    for name in names:
        if name not in METRICS:
            raise Unsupported(f"there is no metric {name!r}; there are: {', '.join(METRICS)}")
        reason = METRICS[name].missing()
        if reason is not None:
            raise Unsupported(f"{name} cannot be measured: {reason}")
        found.append(METRICS[name])
    return tuple(found)


def _where_large(a: RGB, b: RGB) -> float | None:
    return ms_ssim(a, b) if min(a.shape[:2]) >= SMALLEST_SIDE else None


def _lpips_squeeze(a: RGB, b: RGB) -> float | None:
    import torch

    if min(a.shape[:2]) < SMALLEST_LPIPS_SIDE:
        return None
    with torch.inference_mode():
        return float(_lpips()(*(torch.from_numpy(x.copy()).permute(2, 0, 1)[None] / 255 for x in (a, b))))


def _lpips_alex(a: RGB, b: RGB) -> float | None:
    import torch

    if min(a.shape[:2]) < SMALLEST_LPIPS_SIDE:
        return None
    with torch.inference_mode():
        inputs = (torch.from_numpy(x.copy()).permute(2, 0, 1)[None] / 127.5 - 1 for x in (a, b))
        return float(_lpips_package()(*inputs))


@cache
def _lpips() -> Any:
    import torch

    from ..nets.perceptual import Lpips

    network: Any = Lpips(_perceptual_folder())  # the types of `to` do not know memory_format
    return network.to(memory_format=torch.channels_last)  # as the pictures are; a third less time


@cache
def _lpips_package() -> Any:
    import lpips

    return lpips.LPIPS(net="alex", verbose=False).eval()


def _perceptual_folder() -> Path:
    """The folder `perceptual` beside the one in CALOTYPE_DATA."""
    return data_folder() / ".." / "perceptual"


def _no_lpips() -> str | None:
    if find_spec("torch") is None:
        return "torch is not installed; run: pip install 'calotype[train]'"
    try:
        _lpips()
    except CalotypeError as error:
        return str(error)
    return None


def _ssimulacra2(a: RGB, b: RGB) -> float | None:
    from ssimulacra2 import compute_ssimulacra2

    if min(a.shape[:2]) < SMALLEST_SSIMULACRA2_SIDE:
        return None
    return float(compute_ssimulacra2(*(io.BytesIO(encode_image(Image.from_array(x), "PPM")) for x in (a, b))))


def _no_package(name: str, extra: str) -> Callable[[], str | None]:
    return lambda: None if find_spec(name) else f"{name} is not installed; run: pip install {extra}"


METRICS = {
    metric.name: metric
    for metric in (
        Metric("psnr", "PSNR of RGB, dB", "higher", psnr),
        Metric("psnr_y", "PSNR of luma, dB", "higher", psnr_y),
        Metric("ms_ssim", "MS-SSIM", "higher", _where_large),
        Metric("largest_error", "largest error", "lower", largest_error),
        Metric("lpips_squeeze", "LPIPS (SqueezeNet)", "lower", _lpips_squeeze, _no_lpips),
        Metric("lpips_alex", "LPIPS (AlexNet)", "lower", _lpips_alex, _no_package("lpips", "lpips")),
        Metric("ssimulacra2", "SSIMULACRA 2", "higher", _ssimulacra2, _no_package("ssimulacra2", "'calotype[bench]'")),
    )
}
DEFAULT_METRICS = ("psnr", "psnr_y", "ms_ssim", "largest_error")


# --- MS-SSIM ------------------------------------------------------------------------------------------------------


def _channel_ms_ssim(a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], peak: int) -> float:
    """Of one channel: a channel at a time stays in the processor's cache."""
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


def _describe(image: Image) -> str:
    return f"{image.width}x{image.height} {image.mode} of {image.depth} bits"
