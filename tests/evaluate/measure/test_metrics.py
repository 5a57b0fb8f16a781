from __future__ import annotations

import io
import math
import os
import sys
import types
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from calotype.errors import Unsupported
from calotype.evaluate.measure import metrics
from calotype.evaluate.measure.metrics import METRICS, compare, find_metrics, psnr, psnr_y
from calotype.evaluate.measure.ms_ssim import ms_ssim, ssim
from calotype.image import Image

FLOAT32 = 2e-6  # the other implementation computes in float32
SAMPLE = Path(__file__).parents[3] / "samples/coffee.png"


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Pillow.open(file))


def measured(name: str, a: np.ndarray, b: np.ndarray) -> float:
    """A metric that is defined for these."""
    value = METRICS[name].measure(Image.from_array(a), Image.from_array(b))
    assert value is not None
    return value


@pytest.fixture(scope="module")
def photos() -> dict[str, np.ndarray]:
    """The sample photo, and Kodak where it is."""
    paths = [SAMPLE]
    if "CALOTYPE_DATA" in os.environ:
        paths += sorted(Path(os.environ["CALOTYPE_DATA"], "eval/kodak").glob("*.png"))[:3]
    return {path.stem: np.asarray(Pillow.open(path).convert("RGB")) for path in paths}


@pytest.mark.parametrize("quality", [95, 30])
def test_real_images_agree_with_other_implementations(photos: dict[str, np.ndarray], quality: int) -> None:
    torch = pytest.importorskip("torch")
    other = pytest.importorskip("pytorch_msssim")
    reference = pytest.importorskip("skimage.metrics").peak_signal_noise_ratio
    for name, a in photos.items():
        b = jpeg(a, quality)
        assert psnr(a, b) == pytest.approx(reference(a, b, data_range=255), abs=1e-9), name
        luma = [x[..., 0] * 0.299 + x[..., 1] * 0.587 + x[..., 2] * 0.114 for x in (a, b)]
        assert psnr_y(a, b) == pytest.approx(reference(*luma, data_range=255), abs=1e-9), name
        tensors = [torch.from_numpy(x.copy()).permute(2, 0, 1)[None].float() for x in (a, b)]
        assert ms_ssim(a, b) == pytest.approx(float(other.ms_ssim(*tensors, data_range=255)), abs=FLOAT32), name
        assert ssim(a, b) == pytest.approx(float(other.ssim(*tensors, data_range=255)), abs=FLOAT32), name


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.missing() is None])
def test_metrics_order_images_by_quality(photos: dict[str, np.ndarray], name: str) -> None:
    metric, a = METRICS[name], photos["coffee"][:256, :512]  # two patches
    values = [measured(name, a, jpeg(a, quality)) for quality in (10, 40, 90)]
    assert values == sorted(values, reverse=metric.better == "lower")
    assert len(set(values)) == 3
    best = {"psnr": math.inf, "psnr_y": math.inf, "ms_ssim": 1, "ssimulacra2": 100}
    if name == "kernel_squeeze":  # unbiased, so that equal sets are below 0
        assert measured(name, a, a) < min(values)
    else:
        assert measured(name, a, a) == pytest.approx(best.get(name, 0), abs=1e-6)


def test_ssimulacra2_is_where_its_authors_put_jpeg() -> None:
    """Their README gives rounded scores of libjpeg-turbo, 4:2:0."""
    pytest.importorskip("ssimulacra2")
    paths = sorted(Path(os.environ.get("CALOTYPE_DATA", ""), "eval/kodak").glob("*.png"))[::6]
    if not paths:
        pytest.skip("CALOTYPE_DATA does not name the folder with eval/kodak; the scores are means over photos")
    kodak = [np.asarray(Pillow.open(path).convert("RGB")) for path in paths]
    for quality, expected in {20: 30, 70: 70}.items():
        scores = [measured("ssimulacra2", a, jpeg(a, quality)) for a in kodak]
        assert np.mean(scores) == pytest.approx(expected, abs=4), quality


def test_metrics_that_do_not_fit_are_none() -> None:
    small = np.zeros((31, 160, 3), np.uint8)
    measurable = {name: metric for name, metric in METRICS.items() if metric.missing() is None}
    undefined = {name for name, metric in measurable.items() if metric.measure(Image(small), Image(small)) is None}
    patches = {"frechet_squeeze", "kernel_squeeze"}
    assert undefined == {"ms_ssim", "lpips_squeeze", "lpips_alex", *patches} & measurable.keys()
    tiny = small[:7, :7]
    undefined = {name for name, metric in measurable.items() if metric.measure(Image(tiny), Image(tiny)) is None}
    assert undefined == {"ms_ssim", "lpips_squeeze", "lpips_alex", "ssimulacra2", *patches} & measurable.keys()


def test_metrics_are_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [metric.name for metric in find_metrics(("ms_ssim", "psnr"))] == ["ms_ssim", "psnr"]
    with pytest.raises(Unsupported, match="psnr, psnr_y, ms_ssim"):
        find_metrics(("psnr", "beauty"))
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(Unsupported, match=r"lpips_alex cannot be measured: .*pip install lpips"):
        find_metrics(("lpips_alex",))


def test_the_lpips_package_gets_what_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """RGB in [-1, 1], shape (1, 3, h, w), and the backbone's name."""
    pytest.importorskip("torch")
    asked: dict[str, Any] = {}

    class Fake:
        def __init__(self, **options: Any) -> None:
            asked.update(options)

        def eval(self) -> Fake:
            return self

        def __call__(self, a: Any, b: Any) -> Any:
            asked.update(shape=tuple(a.shape), low=float(a.min()), high=float(b.max()))
            return (a - b).abs().mean().reshape(1, 1, 1, 1)

    module = types.ModuleType("lpips")
    module.__spec__ = ModuleSpec("lpips", None)
    module.LPIPS = Fake  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lpips", module)
    monkeypatch.setattr(metrics, "_lpips_package", metrics._lpips_package.__wrapped__)  # keep the fake for this test
    (metric,) = find_metrics(("lpips_alex",))
    black, white = np.zeros((40, 50, 3), np.uint8), np.full((40, 50, 3), 255, np.uint8)
    assert metric.measure(Image(black), Image(white)) == 2.0
    assert asked == {"net": "alex", "verbose": False, "shape": (1, 3, 40, 50), "low": -1.0, "high": 1.0}


def test_psnr_by_hand() -> None:
    a = np.zeros((2, 2, 3), np.uint8)
    b = a.copy()
    b[0, 0, 0] = 12  # mean squared error 144 / 12 = 12
    assert psnr(a, b) == pytest.approx(10 * math.log10(255**2 / 12), rel=1e-12)
    assert psnr(a, a) == math.inf


@pytest.mark.parametrize(("height", "width", "channels"), [(161, 161, 3), (200, 331, 3), (177, 256, 1)])
@pytest.mark.parametrize("noise", [2, 60])
def test_ms_ssim_equals_pytorch_msssim(
    texture: Callable[..., np.ndarray], height: int, width: int, channels: int, noise: float
) -> None:
    torch = pytest.importorskip("torch")
    other = pytest.importorskip("pytorch_msssim")
    a = texture(height, width, channels)
    b = np.clip(a + np.random.default_rng(1).normal(0, noise, a.shape), 0, 255).astype(np.uint8)
    tensors = [torch.from_numpy(x).permute(2, 0, 1)[None].float() for x in (a, b)]
    expected = float(other.ms_ssim(*tensors, data_range=255))
    assert ms_ssim(a, b) == pytest.approx(expected, abs=FLOAT32)
    assert 0.5 < expected < 0.9995


def test_ms_ssim_of_equal_images(texture: Callable[..., np.ndarray]) -> None:
    a = texture(170, 161, 3)
    assert ms_ssim(a, a) == pytest.approx(1, abs=1e-12)


def test_compare(texture: Callable[..., np.ndarray]) -> None:
    a = texture(170, 180, 4)
    b = a.copy()
    b[..., 3] ^= 64
    found = compare(Image(a), Image(b))
    assert (found.psnr, found.largest_error) == (math.inf, 64)
    assert found.ms_ssim == pytest.approx(1, abs=1e-12)
    b[3, 4, 1] = 255 - b[3, 4, 1]
    assert compare(Image(a), Image(b)).psnr == pytest.approx(psnr(a[..., :3], b[..., :3]))


def test_small_images_have_no_ms_ssim(photo: np.ndarray) -> None:
    assert compare(Image(photo), Image(photo)).ms_ssim is None
    with pytest.raises(Unsupported, match="161"):
        ms_ssim(photo, photo)


def test_sixteen_bits() -> None:
    a = np.zeros((3, 3, 1), np.uint16)
    b = np.full((3, 3, 1), 65535, np.uint16)
    found = compare(Image(a, 16), Image(b, 16))
    assert (found.psnr, found.largest_error) == (0, 65535)


def test_images_that_differ_in_kind_are_refused(photo: np.ndarray) -> None:
    with pytest.raises(Unsupported, match="40 RGB"):
        compare(Image(photo), Image(photo[..., :1]))
