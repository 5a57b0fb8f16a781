"""How far a decoded image is from the original. What is not in NumPy is imported when it is asked for."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...errors import CalotypeError, Unsupported
from ...image import Image, largest_error
from ...io import encode_image
from ..rivals.libraries import missing_package
from .ms_ssim import SMALLEST_SIDE, ms_ssim
from .patches import FEWEST, Features, cut_patches, describe_image, frechet, kernel

Samples = npt.NDArray[np.integer]

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
SMALLEST_LPIPS_SIDE = 32  # AlexNet has no features of images with less than 31 pixels, SqueezeNet with less than 17
SMALLEST_SSIMULACRA2_SIDE = 8  # the package scores anything smaller 100, whatever it is


@dataclass(frozen=True)
class Comparison:
    psnr: float
    """dB over the colour channels; infinite for equal images."""
    ms_ssim: float | None
    """Over the colour channels, the mean of the views; None where a side is below 161 pixels."""
    largest_error: int
    """Largest absolute difference over all channels, alpha too."""


def compare(a: Image, b: Image) -> Comparison:
    """Compare two images of the same shape and depth.

    Raises
    ------
    Unsupported
        They differ in size, mode or depth.
    """
    check_alike(a, b)
    return Comparison(_psnr(a, b), _ms_ssim(a, b), largest_error(a, b))


def check_alike(a: Image, b: Image) -> None:
    """Raise `Unsupported` if two images differ in size, mode or depth."""
    if (a.pixels.shape, a.depth) != (b.pixels.shape, b.depth):
        raise Unsupported(f"cannot compare {_describe(a)} with {_describe(b)}; make them alike first")


def psnr(a: Samples, b: Samples, peak: int = 255) -> float:
    """Peak signal-to-noise ratio in dB over all samples of two equally shaped arrays."""
    difference = a.astype(np.int64) - b
    squares = int((difference * difference).sum())
    return math.inf if squares == 0 else 10 * math.log10(peak**2 * difference.size / squares)


def psnr_y(a: Samples, b: Samples, peak: int = 255) -> float:
    """PSNR in dB of the luma of two (..., 3) arrays: full-range BT.601 as in JPEG, not rounded."""
    difference = (a.astype(np.float64) - b) @ LUMA
    squares = float(np.mean(difference * difference))
    return math.inf if squares == 0 else 10 * math.log10(peak**2 / squares)


# --- by name, for tables ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Metric:
    """A metric of two images of the same shape and depth, original and decoded.

    All are over the colours, without alpha, but `largest_error` is over all channels.
    """

    name: str
    title: str
    better: Literal["higher", "lower"]
    measure: Callable[[Image, Image], float | None]
    """None where it is not defined for such images: too small, or without colours."""
    missing: Callable[[], str | None] = lambda: None
    """Why it cannot be measured here, and what to do; None if it can."""


def find_metrics(names: Iterable[str], perceptual: Path | None = None) -> tuple[Metric, ...]:
    """Metrics by name; `lpips` is short for `lpips_squeeze`.

    Parameters
    ----------
    perceptual
        Folder of the weights of those with SqueezeNet; None: beside the folder in CALOTYPE_DATA.

    Raises
    ------
    Unsupported
        A name is unknown, or something that it needs is not installed.
    """
    found = []
    for name in names:
        metric = METRICS.get(SHORT.get(name, name))
        if metric is None:
            raise Unsupported(f"there is no metric {name!r}; there are: {', '.join([*METRICS, *SHORT])}")
        if metric.name in _WITH_SQUEEZENET:
            measure, missing = _WITH_SQUEEZENET[metric.name], partial(_no_lpips, perceptual)
            metric = replace(metric, measure=partial(measure, folder=perceptual), missing=missing)
        if (reason := metric.missing()) is not None:
            raise Unsupported(f"{name} cannot be measured: {reason}")
        found.append(metric)
    return tuple(found)


def _psnr(a: Image, b: Image) -> float:
    return psnr(_colours(a), _colours(b), _peak(a))


def _psnr_y(a: Image, b: Image) -> float:
    """PSNR of luma; of grey, which is its own luma, that of the samples."""
    x, y = _colours(a), _colours(b)
    return psnr(x, y, _peak(a)) if x.shape[-1] == 1 else psnr_y(x, y, _peak(a))


def _ms_ssim(a: Image, b: Image) -> float | None:
    """MS-SSIM, the mean over views."""
    if min(a.height, a.width) < SMALLEST_SIDE:
        return None
    return fmean(ms_ssim(x, y, _peak(a)) for x, y in zip(_each_view(a), _each_view(b), strict=True))


def _lpips_squeeze(a: Image, b: Image, folder: Path | None = None) -> float | None:
    import torch

    from ...nets.perceptual import open_lpips

    if not _is_photo(a, SMALLEST_LPIPS_SIDE):
        return None
    with torch.inference_mode():
        return float(open_lpips(folder)(*(_tensor(x) / _peak(x) for x in (a, b))))


def _frechet_squeeze(a: Image, b: Image, folder: Path | None = None) -> float | None:
    return _of_patches(frechet, a, b, folder)


def _kernel_squeeze(a: Image, b: Image, folder: Path | None = None) -> float | None:
    return _of_patches(kernel, a, b, folder)


def _of_patches(
    distance: Callable[[Features, Features], float], a: Image, b: Image, folder: Path | None
) -> float | None:
    """The distance of the sets of patches of two images; None where there are too few."""
    if len(cut_patches(a.pixels)) < FEWEST:
        return None
    found, other = (describe_image(x, folder) for x in (a, b))
    return None if found is None or other is None else distance(found, other)


def _lpips_alex(a: Image, b: Image) -> float | None:
    import torch

    if not _is_photo(a, SMALLEST_LPIPS_SIDE):
        return None
    with torch.inference_mode():
        return float(_lpips_package()(*(_tensor(x) / (_peak(x) / 2) - 1 for x in (a, b))))


def _ssimulacra2(a: Image, b: Image) -> float | None:
    from ssimulacra2 import compute_ssimulacra2

    if not _is_photo(a, SMALLEST_SSIMULACRA2_SIDE) or a.depth != 8:
        return None
    files = (io.BytesIO(encode_image(Image.from_array(_colours(x)), "PPM")) for x in (a, b))
    return float(compute_ssimulacra2(*files))


def _colours(image: Image) -> Samples:
    """Samples without those of alpha."""
    return image.pixels[..., : image.channels - (image.channels in (2, 4))]


def _each_view(image: Image) -> Samples:
    """Colours of each view: (count, height, width, channels)."""
    colours = _colours(image)
    return colours.reshape(-1, *colours.shape[-3:])


def _peak(image: Image) -> int:
    return (1 << image.depth) - 1


def _is_photo(image: Image, smallest_side: int) -> bool:
    """Whether it is a plain RGB image, with or without alpha, and not too small."""
    return not image.views and image.channels >= 3 and min(image.height, image.width) >= smallest_side


def _tensor(image: Image) -> Any:
    """Colours as (1, 3, height, width), from 0 to the peak."""
    import torch

    return torch.from_numpy(_colours(image).astype(np.float32)).permute(2, 0, 1)[None]


@cache
def _lpips_package() -> Any:
    import lpips

    return lpips.LPIPS(net="alex", verbose=False).eval()


def _no_lpips(folder: Path | None = None) -> str | None:
    if reason := missing_package("torch", "pip install 'calotype[train]'"):
        return reason
    from ...nets.perceptual import open_lpips

    try:
        open_lpips(folder)
    except CalotypeError as error:
        return str(error)
    return None


def _no_lpips_package() -> str | None:
    return missing_package("lpips", "pip install lpips")


def _no_ssimulacra2() -> str | None:
    return missing_package("ssimulacra2")


METRICS = {
    metric.name: metric
    for metric in (
        Metric("psnr", "PSNR of RGB, dB", "higher", _psnr),
        Metric("psnr_y", "PSNR of luma, dB", "higher", _psnr_y),
        Metric("ms_ssim", "MS-SSIM", "higher", _ms_ssim),
        Metric("largest_error", "largest error", "lower", largest_error),
        Metric("lpips_squeeze", "LPIPS (SqueezeNet)", "lower", _lpips_squeeze, _no_lpips),
        Metric("frechet_squeeze", "Fréchet distance of patches (SqueezeNet)", "lower", _frechet_squeeze, _no_lpips),
        Metric("kernel_squeeze", "kernel distance of patches (SqueezeNet)", "lower", _kernel_squeeze, _no_lpips),
        Metric("lpips_alex", "LPIPS (AlexNet)", "lower", _lpips_alex, _no_lpips_package),
        Metric("ssimulacra2", "SSIMULACRA 2", "higher", _ssimulacra2, _no_ssimulacra2),
    )
}
SHORT = {"lpips": "lpips_squeeze"}
_WITH_SQUEEZENET = {
    "lpips_squeeze": _lpips_squeeze,
    "frechet_squeeze": _frechet_squeeze,
    "kernel_squeeze": _kernel_squeeze,
}
DEFAULT_METRICS = ("psnr", "psnr_y", "ms_ssim", "largest_error")


def _describe(image: Image) -> str:
    return f"{image.width}x{image.height} {image.mode} of {image.depth} bits"
