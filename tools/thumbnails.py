"""SSIM of thumbnails at 64 and 128 bytes, without headers: `python tools/thumbnails.py kodak/ rnn.thumb-fc ...`.

As in Toderici et al. 2015, table 1. Of each image three squares along its longer side, shrunk to 32 x 32 pixels with
Lanczos. What counts is the best SSIM (mean of three channels) of all files whose payload fits: of every number of
layers of a model, of every quality of a rival. Payloads are

- of a model with layers, the streams: chunks without the container's frame and without their checksums,
- of JPEG (4:2:0 and 4:4:4, each with standard and with optimised Huffman tables), what follows the scan's header,
- of JPEG 2000 (a bare codestream of 2 or 3 resolutions; more are worse), what follows its marker SOD,
- of WebP, what follows the RIFF chunk's header and the frame's of 10 bytes.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image

import calotype
from calotype import container
from calotype.codecs.rnn.layout import Layout
from calotype.evaluate.measure.ms_ssim import ssim
from calotype.tiled import open_record

SIDE = 32
TARGETS = (64, 128)  # bytes of payload

Pixels = npt.NDArray[np.uint8]
Coded = tuple[int, int, Pixels]
"""Bytes of payload, of the whole file, and what is decoded."""


def thumbnails(folder: Path) -> Iterator[Pixels]:
    for path in sorted(folder.glob("*.png")):
        with PIL.Image.open(path) as image:
            rgb, short = image.convert("RGB"), min(image.size)
            for part in range(3):
                x, y = ((side - short) * part // 2 for side in image.size)
                yield np.asarray(rgb.resize((SIDE, SIDE), PIL.Image.Resampling.LANCZOS, (x, y, x + short, y + short)))


def ours(name: str, pixels: Pixels) -> Iterator[Coded]:
    data = calotype.encode(pixels, 100, model=name)
    view = memoryview(data)
    _, position = container.unpack_header(view)
    chunks, payload = [], 0
    for chunk, end in container.read_chunks(view, position):
        chunks.append(chunk)
        payload += len(open_record(Layout.parse(chunks).iterations[-1])[1])
        yield payload, end, calotype.decode(data, layers=len(chunks))


def jpeg(pixels: Pixels) -> Iterator[Coded]:
    for quality in range(1, 96):
        for subsampling in (0, 2):
            for optimize in (False, True):
                data = saved(pixels, "JPEG", quality=quality, subsampling=subsampling, optimize=optimize)
                scan = data.index(b"\xff\xda")
                header = int.from_bytes(data[scan + 2 : scan + 4], "big")
                yield len(data) - (scan + 2 + header) - len(b"\xff\xd9"), len(data), opened(data)


def jpeg_2000(pixels: Pixels) -> Iterator[Coded]:
    for size in range(142, 462, 2):  # of a whole file, about
        for levels in (2, 3):
            options = {"mct": 1, "num_resolutions": levels, "quality_layers": [3 * SIDE**2 / size]}
            data = saved(pixels, "JPEG2000", no_jp2=True, irreversible=True, **options)
            yield len(data) - data.index(b"\xff\x93") - 2 - len(b"\xff\xd9"), len(data), opened(data)


def webp(pixels: Pixels) -> Iterator[Coded]:
    for quality in range(100):
        data = saved(pixels, "WEBP", quality=quality, method=6)
        assert data[12:16] == b"VP8 "
        yield int.from_bytes(data[16:20], "little") - 10, len(data), opened(data)


def saved(pixels: Pixels, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def opened(data: bytes) -> Pixels:
    with PIL.Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of PNG images")
    parser.add_argument("models", nargs="*", help="models with layers")
    arguments = parser.parse_args()
    pixels = list(thumbnails(arguments.folder))
    coders = [("JPEG", jpeg), ("JPEG 2000", jpeg_2000), ("WebP", webp)]
    coders += [(name, lambda image, name=name: ours(name, image)) for name in arguments.models]
    print(f"{len(pixels)} thumbnails; SSIM where the payload fits, then bytes of the whole file")
    for name, coder in coders:
        best: list[list[tuple[float, int]]] = [[] for _ in TARGETS]
        for image in pixels:
            coded = [(payload, size, ssim(image, decoded)) for payload, size, decoded in coder(image)]
            for target, found in zip(TARGETS, best, strict=True):
                fits = [(value, size) for payload, size, value in coded if payload <= target]
                found.append(max(fits, default=(np.nan, 0)))
        for target, found in zip(TARGETS, best, strict=True):
            value, size = np.nanmean(found, axis=0)
            missing = sum(size == 0 for _, size in found)
            print(f"{name:16}{target:4} bytes  {value:.3f}  {size:.0f}  {missing or 'none'} did not fit", flush=True)


if __name__ == "__main__":
    main()
