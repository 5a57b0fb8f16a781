"""Large images: memory of 100 megapixels, and seams between tiles. Not part of the test suite; `make bench` runs it.

Needs Kodak below `CALOTYPE_DATA` for the seams.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from calotype import registry
from calotype.codecs.vae import codec as vae
from calotype.image import Image
from calotype.options import DecodeOptions, EncodeOptions

SIDE = 10_000
MEMORY_LIMIT = 2**30  # bytes beyond the image itself
SEAM_LIMIT = 0.02  # of the mean squared error
CODE = """
import resource, sys, time, numpy as np, calotype
side = int(sys.argv[1])
rng = np.random.default_rng(0)
patch = np.kron(rng.integers(0, 256, (50, 50, 3), np.uint8), np.ones((10, 10, 1), np.uint8))
image = np.tile(patch, (side // 500, side // 500, 1))
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.monotonic()
data = calotype.encode(image, quality=50)
coded = time.monotonic()
encoding = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base
del image
decoded = calotype.decode(data)
done = time.monotonic()
decoding = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base
print(decoded.shape[0], len(data), encoding * 1024, decoding * 1024, coded - start, done - coded)
"""


def test_memory_of_100_megapixels() -> None:
    done = subprocess.run([sys.executable, "-c", CODE, str(SIDE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    side, size, encoding, decoding, encode_seconds, decode_seconds = map(float, done.stdout.split())
    print(
        f"\n{SIDE}x{SIDE}: {size / 1e6:.1f} MB; beyond the image {encoding / 2**20:.0f} MiB encoding, "
        f"{decoding / 2**20:.0f} MiB in all; {encode_seconds:.0f} s and {decode_seconds:.0f} s"
    )
    assert side == SIDE
    assert max(encoding, decoding) < MEMORY_LIMIT


def kodak() -> list[Path]:
    folder = Path(os.environ.get("CALOTYPE_DATA", "../shared/data")) / "eval" / "kodak"
    images = sorted(folder.glob("*.png"))
    if not images:
        pytest.skip(f"no Kodak images in {folder}; set CALOTYPE_DATA")
    return images


@pytest.mark.parametrize("quality", [20, 60])
def test_tiles_leave_no_seams(quality: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the same image in one tile: the error at seams must not grow more than elsewhere."""
    codec = registry.open_codec(registry.find("vae.swift"))
    errors = {}
    for tile in (1024, 256):
        monkeypatch.setattr(vae, "TILE", tile)
        at_seam, elsewhere = [], []
        for path in kodak():
            pixels = np.asarray(PIL.Image.open(path))
            decoded = codec.decode(codec.encode(Image(pixels), EncodeOptions(quality=quality)), DecodeOptions())
            square = (decoded.pixels.astype(float) - pixels) ** 2
            seam = np.zeros(pixels.shape[:2], bool)
            seam[255:-1:256] = seam[256::256] = True
            seam[:, 255:-1:256] = seam[:, 256::256] = True
            at_seam.append(square[seam].mean())
            elsewhere.append(square[~seam].mean())
        errors[tile] = np.mean(at_seam), np.mean(elsewhere)
    growth = [tiled / whole for tiled, whole in zip(errors[256], errors[1024], strict=True)]
    print(f"\nquality {quality}: error at seams {growth[0] - 1:+.2%} with small tiles, elsewhere {growth[1] - 1:+.2%}")
    assert abs(growth[0] / growth[1] - 1) < SEAM_LIMIT
