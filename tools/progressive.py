"""How good a model with layers is after each of them, beside JPEG: `python tools/progressive.py rnn.compact kodak/`.

For each layer, means over the images: bits per pixel of the file so far, PSNR, MS-SSIM. And the area under the curve of
MS-SSIM over 0 to 2 bits per pixel, as in Toderici et al. 2017, sec. 5: straight lines from (0, 0) through the
points, the last one going on to the end. JPEG files are Pillow's, optimised, with all that belongs to them.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import PIL.Image

import calotype
from calotype import container
from calotype.evaluate.measure.ms_ssim import ms_ssim
from calotype.image import Image, psnr

QUALITIES = (2, 5, 8, 12, 17, 25, 35, 50, 65, 75, 82, 88, 93, 96)
MOST = 2.0  # bits per pixel

Point = tuple[float, float, float]
"""Bits per pixel, PSNR in dB, MS-SSIM."""


def layers(model: calotype.Model, image: Image) -> list[Point]:
    """After each layer of the best file."""
    data = model.encode(image, 100)
    view = memoryview(data)
    _, position = container.unpack_header(view)
    ends = [end for chunk, end in container.read_chunks(view, position) if chunk.tag.isupper()]
    return [measured(image, end, model.decode_image(data, layers=count)) for count, end in enumerate(ends, 1)]


def jpeg(image: Image) -> list[Point]:
    """At each of `QUALITIES`."""
    found = []
    for quality in QUALITIES:
        file = io.BytesIO()
        PIL.Image.fromarray(image.pixels).save(file, "JPEG", quality=quality, optimize=True)
        found.append(measured(image, len(file.getvalue()), Image(np.asarray(PIL.Image.open(file)))))
    return found


def measured(image: Image, size: int, decoded: Image) -> Point:
    pixels = image.pixels[..., 0].size
    return 8 * size / pixels, psnr(image, decoded), ms_ssim(image.pixels, decoded.pixels)


def area(points: list[Point]) -> float:
    """Under MS-SSIM, from 0 to `MOST` bits per pixel."""
    rates, _, values = zip((0.0, 0.0, 0.0), *points, strict=True)
    at = np.union1d(np.clip(rates, 0, MOST), MOST)
    return float(np.trapezoid(np.interp(at, rates, values), at))


def report(name: str, curves: list[list[Point]]) -> None:
    print(f"\n{name}: mean area {np.mean([area(curve) for curve in curves]):.4f}")
    for number, (bpp, decibel, similarity) in enumerate(np.mean(curves, axis=0), 1):
        print(f"{number:4}  {bpp:.4f} bpp  {decibel:.2f} dB  {similarity:.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model with layers, or jpeg")
    parser.add_argument("folder", type=Path, help="of RGB images")
    arguments = parser.parse_args()
    images = [calotype.read(path) for path in sorted(arguments.folder.iterdir()) if path.suffix == ".png"]
    if arguments.model == "jpeg":
        report("JPEG", [jpeg(image) for image in images])
        return
    model = calotype.load(arguments.model)
    report(model.name, [layers(model, image) for image in images])


if __name__ == "__main__":
    main()
