"""Measure screen content: `python tools/screen_content.py docs/results/screens.md IMAGE ...` beside some that it makes.

Every image is coded with the default model at five qualities and without loss, and decoded again; lossless WebP and
JPEG XL (effort 7) beside it. Needs the extra `bench`. The images of the table in docs/results come with Debian 12:
`icons/Adwaita/512x512` of adwaita-icon-theme (devices/camera-web, mimetypes/x-office-document, places/folder-music),
`doc/valgrind/html/images/kcachegrind_xtree`, `doc/python3-pip/html/topics/deps`, and two in
`doc/nodejs/contributing/doc_img`, all under /usr/share.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageDraw

import calotype

HEAD = """# Screen content

Bytes of whole files of the default model at five qualities, with PSNR in dB of what can be seen; and without loss,
beside others. Made by `tools/screen_content.py`.

"""
QUALITIES = (0, 25, 50, 75, 100)
Pixels = npt.NDArray[Any]


def made() -> dict[str, Pixels]:
    """Text, a dither, two patterns of single pixels, and enlarged pixel art."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:256, :320]
    checker = (x + y) % 2
    page = PIL.Image.new("RGB", (320, 256), "white")
    draw = PIL.ImageDraw.Draw(page)
    for line in range(16):
        draw.text((5, 5 + 15 * line), f"The quick brown fox jumps over the lazy dog {line}", (line * 10, 0, 80))
    grey = x / 320 + random.uniform(-0.5, 0.5, x.shape) > 0.5
    palette = random.integers(0, 256, (8, 3))
    art = {
        "text": np.asarray(page),
        "dither": np.stack([255 * grey] * 3, -1),
        "checker": np.stack([255 * checker] * 3, -1),
        "red and green": np.stack([255 * checker, 255 * (1 - checker), 0 * x], -1),
        "pixel art": palette[random.integers(0, 8, (32, 40))].repeat(8, 0).repeat(8, 1),
    }
    return {name: pixels.astype(np.uint8) for name, pixels in art.items()}


def psnr(image: Pixels, decoded: Pixels) -> float:
    """PSNR in dB of what can be seen; 99 where it is equal."""
    if image.shape[-1] in (2, 4):
        seen = image[..., -1] > 0
        image, decoded = image[seen][:, :-1], decoded[seen][:, :-1]
    error = float(np.mean((image.astype(float) - decoded) ** 2))
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def webp(pixels: Pixels) -> int:
    """Bytes of lossless WebP, at its slowest."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels.squeeze()).save(buffer, "WEBP", lossless=True, quality=100, method=6, exact=True)
    return buffer.tell()


def main(out: Path, files: list[Path]) -> None:
    """Write the table; exits with 1 where a promise is broken."""
    images = made() | {file.stem: calotype.read(file).pixels for file in files}
    rows, broken = [], []
    for name, pixels in sorted(images.items()):
        exact = len(calotype.encode(pixels, lossless=True))
        coded = [calotype.encode(pixels, quality) for quality in QUALITIES]
        shown = [psnr(pixels, calotype.decode_image(data).pixels) for data in coded]
        sizes = [len(data) for data in coded]
        if max(sizes) > exact or sizes != sorted(sizes) or shown != sorted(shown):
            broken.append(name)
        jxl = len(imagecodecs.jpegxl_encode(pixels, effort=7, lossless=True))
        lossy = [
            f"{size:,} ({'exact' if value == 99 else f'{value:.1f}'})" for size, value in zip(sizes, shown, strict=True)
        ]
        rows.append([name, *lossy, f"{exact:,}", f"{webp(pixels):,}", f"{jxl:,}"])
        print(*rows[-1], sep=" | ", flush=True)
    heads = ["image", *(f"-q {quality}" for quality in QUALITIES), "--lossless", "WebP lossless", "JPEG XL e7 lossless"]
    lines = ["| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows]]
    out.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    if broken:
        sys.exit(f"larger than lossless, or falling with quality: {', '.join(broken)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
