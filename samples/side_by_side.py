"""Original, Calotype and a JPEG of the same size next to each other, with their sizes and PSNR.

python samples/side_by_side.py samples/coffee.png demo/coffee.calo demo/side-by-side.png
"""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import calotype
from calotype.evaluate.measure.metrics import psnr

CAPTION = 28  # pixels


def jpeg_within(image: Image.Image, limit: int) -> tuple[bytes, str]:
    """The JPEG nearest to the image among those of at most so many bytes; else the smallest one there is."""
    files = []
    for quality in range(1, 96):
        for subsampling in ("4:2:0", "4:4:4"):
            file = io.BytesIO()
            image.save(file, "JPEG", quality=quality, optimize=True, subsampling=subsampling)
            files.append((file.getvalue(), f"JPEG {subsampling}, quality {quality}"))
    small = [entry for entry in files if len(entry[0]) <= limit]
    if not small:
        return min(files, key=lambda entry: len(entry[0]))
    return max(small, key=lambda entry: psnr(np.asarray(image), _open(entry[0])))


def _open(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def panel(pixels: np.ndarray, caption: str) -> Image.Image:
    """An image with a line of text above it."""
    height, width = pixels.shape[:2]
    framed = Image.new("RGB", (width, height + CAPTION), "white")
    framed.paste(Image.fromarray(pixels), (0, CAPTION))
    ImageDraw.Draw(framed).text((6, 5), caption, "black", ImageFont.load_default(15))
    return framed


def main(source: str, coded: str, out: str) -> None:
    image = Image.open(source).convert("RGB")
    original, data = np.asarray(image), Path(coded).read_bytes()
    decoded = calotype.decode(data)  # loads the weights, which the clock below leaves out
    start = time.perf_counter()
    calotype.decode(data)
    seconds = time.perf_counter() - start
    jpeg, settings = jpeg_within(image, len(data))

    count = original[..., 0].size
    panels = [panel(original, f"original, {Path(source).stat().st_size:,} bytes as PNG")]
    for title, size, pixels in (("Calotype", len(data), decoded), (settings, len(jpeg), _open(jpeg))):
        line = f"{title}: {size:,} bytes, {8 * size / count:.3f} bpp, PSNR {psnr(original, pixels):.2f} dB"
        panels.append(panel(pixels, line))
        print(line)
    print(f"Calotype decodes it in {seconds:.3f} s ({count / 1e6 / seconds:.1f} megapixels a second) once loaded")

    joined = Image.new("RGB", (sum(p.width for p in panels), panels[0].height))
    for index, part in enumerate(panels):
        joined.paste(part, (index * part.width, 0))
    joined.save(out)
    print(f"wrote {out}")


if __name__ == "__main__":
    main(*sys.argv[1:])
