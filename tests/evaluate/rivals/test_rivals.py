"""The conventional codecs: whole files, ladders that rise, bounds and exactness that hold."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as Pillow

from calotype.errors import CalotypeError, Unsupported
from calotype.evaluate import rivals
from calotype.evaluate.rivals import BOUNDS, EXACT, GROUPS, RIVALS, Rival, Rung, find_rivals
from calotype.evaluate.rivals.flif import Flif
from calotype.evaluate.rivals.jpegxl import dequantise, quantise
from calotype.image import Image

Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Texture = Callable[..., npt.NDArray[np.uint8]]

KODAK_BPSP = [("png", 1, 4.457), ("webp-lossless", 8, 3.112), ("jxl-lossless-e7", 1, 2.902)]
"""Bits per sub-pixel: name, every how many images, mean. WebP, slow, has 3.166 over all 24."""
KODAK_TOLERANCE = 0.005  # of a size: versions of zlib differ by 0.3 %

SHAPES = [(17, 23), (1, 1), (1, 9), (9, 1)]

FAKE_FLIF = """#!{python}
import sys, zlib
if sys.argv[1] == "--version":
    print(" (___ | | | ___)   FLIF (Free Lossless Image Format) 0.4 [21 Nov 2021]")
elif sys.argv[1] in ("-e", "-d"):
    if sys.argv[1] == "-e":
        assert sys.argv[2] == "-E100"
    change = zlib.compress if sys.argv[1] == "-e" else zlib.decompress
    data = open(sys.argv[-2], "rb").read()
    open(sys.argv[-1], "wb").write(change(data))
"""


def runnable(rival: Rival) -> Rival:
    """The rival, or a skipped test where its library is absent."""
    if reason := rival.missing():
        pytest.skip(reason)
    return rival


@pytest.fixture(params=RIVALS, ids=lambda rival: rival.name)
def rival(request: pytest.FixtureRequest) -> Rival:
    found: Rival = request.param
    return runnable(found)


def coded(rival: Rival, pixels: Samples, rung: Rung, threads: int = 1) -> Samples:
    """What comes back of the pixels."""
    return rival.decode(rival.encode(Image.from_array(pixels), rung, threads), threads).pixels


def sample(rival: Rival, texture: Texture, height: int, width: int) -> Samples:
    """RGB of the largest depth that the rival takes."""
    pixels = texture(height, width, 3)
    return pixels if 8 in rival.takes.depths else pixels.astype(np.uint16) * 257


def squared_error(a: Samples, b: Samples) -> float:
    return float(np.mean((a.astype(np.float64) - b) ** 2))


def largest_error(a: Samples, b: Samples) -> int:
    return int(np.abs(a.astype(np.int32) - b).max())


def test_ladders_rise(rival: Rival, texture: Texture) -> None:
    """Files grow and errors fall: at the ends and in the middle, for small images hide small steps."""
    pixels = sample(rival, texture, 96, 120)
    ladder = rival.ladder
    rungs = [ladder[0], ladder[len(ladder) // 2], ladder[-1]] if rival.kind != "lossless" else [ladder[0]]
    files = [rival.encode(Image.from_array(pixels), rung, 1) for rung in rungs]
    errors = [squared_error(pixels, rival.decode(data, 1).pixels) for data in files]
    sizes = [len(data) for data in files]
    assert sizes == sorted(set(sizes))
    assert errors == sorted(set(errors), reverse=True)


def test_files_of_all_shapes_decode(rival: Rival, texture: Texture) -> None:
    for height, width in SHAPES:
        pixels = sample(rival, texture, height, width)
        decoded = coded(rival, pixels, rival.ladder[-1])
        assert decoded.shape == pixels.shape
        assert decoded.dtype == pixels.dtype
        assert squared_error(pixels, decoded) < 300  # it is the same image, not shifted and no other colours


def test_threads_do_not_change_the_image(rival: Rival, texture: Texture) -> None:
    image = Image.from_array(sample(rival, texture, 96, 120))
    rung = rival.ladder[len(rival.ladder) // 2]
    files = [rival.encode(image, rung, threads) for threads in (1, 2)]
    first, *others = (rival.decode(data, threads).pixels for data in files for threads in (1, 2))
    for other in others:
        np.testing.assert_array_equal(other, first)


@pytest.mark.parametrize("name", ["jpeg-420", "jpeg-444", "webp", "avif-444-s6", "jpeg2000", "png", "webp-lossless"])
def test_files_have_no_metadata(name: str, texture: Texture) -> None:
    rival = runnable(*find_rivals([name]))
    data = rival.encode(Image.from_array(texture(64, 80, 3)), rival.ladder[-1], 1)
    with Pillow.open(io.BytesIO(data)) as opened:
        assert opened.size == (80, 64)
        assert not {"exif", "icc_profile", "xmp"} & opened.info.keys()


def test_subsampling_is_what_it_says(texture: Texture) -> None:
    image, rung = Image.from_array(texture(64, 80, 3)), Rung(90)
    half, full = (rival.encode(image, rung, 1) for rival in find_rivals(["jpeg-420", "jpeg-444"]))
    assert len(half) < len(full)
    assert b"\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01" in half  # SOF: 2x2, 1x1, 1x1
    assert b"\x03\x01\x11\x00\x02\x11\x01\x03\x11\x01" in full


def difficult_images(texture: Texture) -> list[npt.NDArray[np.uint8]]:
    """Noise, extreme values only, one colour, every value, and something smooth; odd sizes, and one sample wide."""
    random = np.random.default_rng(1)
    every_value = np.stack(np.meshgrid(np.arange(256), np.arange(3)), axis=-1)[..., [0, 1, 0]]
    return [
        random.integers(0, 256, (33, 47, 3)).astype(np.uint8),
        random.choice(np.array([0, 255], np.uint8), (21, 30, 3)),
        random.choice(np.array([0, 1, 2, 253, 254, 255], np.uint8), (21, 30, 3)),
        np.full((5, 4, 3), 255, np.uint8),
        np.zeros((5, 4, 3), np.uint8),
        every_value.astype(np.uint8),
        texture(17, 23, 3),
        texture(1, 1, 3),
        texture(1, 9, 3),
    ]


@pytest.mark.parametrize("name", GROUPS["lossless"])
def test_lossless_is_exact(name: str, texture: Texture) -> None:
    rival = runnable(*find_rivals([name]))
    for pixels in difficult_images(texture):
        np.testing.assert_array_equal(coded(rival, pixels, Rung()), pixels)


@pytest.mark.parametrize("name", GROUPS["lossless-16"])
def test_lossless_is_exact_with_16_bits(name: str, texture: Texture) -> None:
    """Low bits of their own, so that a codec that kept 8 would be seen."""
    rival = runnable(*find_rivals([name]))
    random = np.random.default_rng(1)
    for pixels in difficult_images(texture):
        deep = (pixels.astype(np.uint16) * 256 + random.integers(0, 256, pixels.shape)).astype(np.uint16)
        decoded = coded(rival, deep, Rung())
        assert decoded.dtype == np.uint16
        np.testing.assert_array_equal(decoded, deep)


@pytest.mark.parametrize("depth", [8, 16])
def test_all_that_is_taken_comes_back_alike(rival: Rival, depth: int, texture: Texture) -> None:
    """The declaration is true: depth and channels of what is decoded are those of the image."""
    for channels in (1, 2, 3, 4):
        pixels = texture(24, 40, channels)
        image = Image.from_array(pixels if depth == 8 else pixels.astype(np.uint16) * 257)
        taken = depth in rival.takes.depths and channels in rival.takes.channels
        assert (rival.takes.refusal(image) is None) == taken
        if taken:
            decoded = rival.decode(rival.encode(image, rival.ladder[-1], 1), 1)
            assert (decoded.pixels.shape, decoded.depth) == (image.pixels.shape, depth)
            if rival.kind == "lossless":
                np.testing.assert_array_equal(decoded.pixels, image.pixels)


def test_views_are_refused(rival: Rival) -> None:
    pair = Image(np.zeros((2, 5, 6, 3), np.uint8))
    assert rival.takes.refusal(pair)


@pytest.mark.parametrize("delta", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", GROUPS["near-lossless"])
def test_near_lossless_keeps_its_bound(name: str, delta: int, texture: Texture) -> None:
    rival = runnable(*find_rivals([name]))
    for pixels in difficult_images(texture):
        assert largest_error(pixels, coded(rival, pixels, Rung(max_error=delta))) <= delta
    noise = difficult_images(texture)[0]
    assert largest_error(noise, coded(rival, noise, Rung(max_error=delta))) == delta  # it uses what it may


@pytest.mark.parametrize("name", ["jpegls-near", "jxl-near"])
def test_near_lossless_keeps_its_bound_with_16_bits(name: str) -> None:
    rival = runnable(*find_rivals([name]))
    deep = np.random.default_rng(1).integers(0, 1 << 16, (33, 47, 3)).astype(np.uint16)
    for delta in (1, 200):
        assert largest_error(deep, coded(rival, deep, Rung(max_error=delta))) == delta


@pytest.mark.parametrize("delta", [0, 1, 2, 3, 4, 5, 127, 255])
def test_every_value_is_quantised_within_the_bound(delta: int) -> None:
    values = Image.from_array(np.arange(256, dtype=np.uint8)[None])
    assert largest_error(values.pixels, dequantise(quantise(values, delta), delta).pixels) <= delta


def test_rivals_are_complete(rival: Rival) -> None:
    assert rival.title
    assert rival.ending.startswith(".")
    assert len(set(rival.ladder)) == len(rival.ladder)
    assert any(character.isdigit() for character in rival.version())


def test_groups_hold_rivals() -> None:
    names = [rival.name for rival in RIVALS]
    assert len(set(names)) == len(names)
    assert not set(names) & GROUPS.keys()
    assert GROUPS["all"] == tuple(names)
    assert GROUPS["usual"] == ("jpeg-420", "webp", "avif-444-s6", "jxl-e7", "jpeg2000")
    kinds = ("lossy", "lossless", "lossless-16", "near-lossless")
    assert {name for kind in kinds for name in GROUPS[kind]} == set(names)
    assert set(GROUPS["lossless-16"]) >= {"png-16", "jxl-lossless-e7", "jpegls", "jpeg2000-lossless"}
    assert "png-16" not in GROUPS["lossless"]
    for rival in RIVALS:
        if rival.kind != "lossy":
            assert rival.ladder == (EXACT if rival.kind == "lossless" else BOUNDS)


def test_rivals_are_found_in_order_and_once() -> None:
    found = [rival.name for rival in find_rivals(["png", "usual", "webp", "heic-444", "png"])]
    assert found == ["png", *GROUPS["usual"], "heic-444"]
    assert find_rivals([]) == ()


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(Unsupported, match=r"called gif, bmp; there are jpeg-420, .*groups are usual, "):
        find_rivals(["png", "gif", "bmp"])


@pytest.mark.parametrize(("module", "group"), [("imagecodecs", ("jxl", "jpegls")), ("pillow_heif", ("heic",))])
def test_missing_packages_are_named(module: str, group: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    for rival in RIVALS:
        if rival.name.startswith(group):
            reason = rival.missing()
            assert reason == f"{module} is not installed; run: pip install 'calotype[bench]'"


def test_missing_features_of_pillow_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.features.check", lambda feature: False)
    for rival in find_rivals(["avif-444-s6", "jpeg2000"]):
        reason = rival.missing()
        assert reason is not None
        assert "Pillow" in reason
        assert "run: pip install" in reason


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    reason = Flif().missing()
    assert reason is not None
    assert "flif is not on the PATH" in reason


@pytest.mark.skipif(sys.platform == "win32", reason="the fake program needs a shebang line")
def test_flif_runs_its_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, texture: Texture) -> None:
    program = tmp_path / "flif"
    program.write_text(FAKE_FLIF.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    flif, pixels = Flif(), texture(17, 23, 3)
    assert flif.missing() is None
    assert flif.version() == "FLIF 0.4"
    np.testing.assert_array_equal(coded(flif, pixels, Rung()), pixels)
    with pytest.raises(CalotypeError, match=r"(?s)flif failed: .*zlib"):
        flif.decode(b"no such file", 1)


@pytest.mark.parametrize("name", ["avif-444-s6", "heic-444"])
def test_settings_of_libraries_are_put_back(name: str, texture: Texture) -> None:
    from PIL import AvifImagePlugin

    rival = runnable(*find_rivals([name]))
    heif = pytest.importorskip("pillow_heif")
    before = AvifImagePlugin.DEFAULT_MAX_THREADS, heif.options.DECODE_THREADS, sorted(Pillow.OPEN)
    coded(rival, texture(17, 23, 3), Rung(50), threads=3)
    assert (AvifImagePlugin.DEFAULT_MAX_THREADS, heif.options.DECODE_THREADS, sorted(Pillow.OPEN)) == before


def test_the_module_loads_no_library() -> None:
    code = f"import sys, {rivals.__name__}; assert not {{'imagecodecs', 'pillow_heif'}} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "step", "bpsp"), KODAK_BPSP)
def test_lossless_sizes_on_kodak(name: str, step: int, bpsp: float) -> None:
    if not (data := os.environ.get("CALOTYPE_DATA")):
        pytest.skip("CALOTYPE_DATA does not name a folder of data with eval/kodak in it")
    rival = runnable(*find_rivals([name]))
    paths = sorted(Path(data, "eval", "kodak").glob("*.png"))
    if len(paths) != 24:
        pytest.skip(f"{data}/eval/kodak does not hold the 24 images")
    with ThreadPoolExecutor(2) as pool:
        sizes = list(pool.map(lambda path: _bpsp(rival, path), paths[::step]))
    assert np.mean(sizes) == pytest.approx(bpsp, rel=KODAK_TOLERANCE)


def _bpsp(rival: Rival, path: Path) -> float:
    with Pillow.open(path) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    return 8 * len(rival.encode(Image.from_array(pixels), Rung(), 1)) / pixels.size
