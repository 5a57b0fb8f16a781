"""Image files of every format that is read: mutated, read, coded without loss, decoded, and written again.

The corpus are small images that Pillow, tifffile and imagecodecs (the extra `bench`) write, and the small files of the
folder that the environment variable `CALOTYPE_CASES` names, if it does. Checksums of PNG are made right again, and half
of its mutants are damaged where they are packed. An image that was read must come back from its lossless file.
"""

from __future__ import annotations

import io
import itertools
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import imagecodecs
import numpy as np
import PIL.Image
import tifffile

import calotype
from calotype.io import WRITE_FORMATS

from .mutate import mutate

LARGEST = 100_000  # bytes of files that are taken
MAX_PIXELS = 1 << 20
CODED = 1 << 12  # pixels of an image that is coded with the default model too
PNG = b"\x89PNG\r\n\x1a\n"
FORMATS = (*sorted(set(WRITE_FORMATS.values())), "calo")


@dataclass(frozen=True)
class Seed:
    """A file to begin with."""

    kind: str
    data: bytes


class Target:
    """See the module."""

    memory = 1 << 30  # bytes that one mutant may take

    def __init__(self) -> None:
        self._seeds: dict[str, list[Seed]] = {}
        for seed in itertools.chain(_made(), _stored()):
            self._seeds.setdefault(seed.kind, []).append(seed)

    def make(self, random: Random) -> tuple[bytes, Callable[[], str]]:
        """A mutant, and how to read it."""
        seed = random.choice(self._seeds[random.choice(sorted(self._seeds))])
        data = _mutated_png(seed.data, random) if seed.data.startswith(PNG) else mutate(seed.data, random)
        format = random.choice(FORMATS)

        def attempt() -> str:
            try:
                image = calotype.read(io.BytesIO(data), max_pixels=MAX_PIXELS, exact=len(data) % 2 == 0)
            except calotype.CalotypeError as error:
                return f"{seed.kind}: {type(error).__name__}"
            _keep(image, format)
            return f"{seed.kind}: an image"

        return data, attempt


def _keep(image: calotype.Image, format: str) -> None:
    """Code an image without loss, and write it."""
    coded = calotype.encode(image, lossless=True, effort=1, threads=1)
    decoded = calotype.decode_image(coded, threads=1)
    if not (np.array_equal(decoded.pixels, image.pixels) and decoded.depth == image.depth):
        raise AssertionError("another image came back from a lossless file")
    if decoded.metadata != image.metadata:
        raise AssertionError("other metadata came back from a lossless file")
    try:
        if format != "calo":
            calotype.io.write_image(io.BytesIO(), image, format)
        elif image.pixels.size < CODED:
            calotype.decode(calotype.encode(image, effort=1, threads=1), threads=1)
    except calotype.Unsupported:
        pass  # not every format holds every image


def _mutated_png(data: bytes, random: Random) -> bytes:
    """A PNG file with a chunk damaged, inside its packed data where it has some, and the checksum right."""
    if random.random() < 0.1:
        return mutate(data, random)
    chunks = list(_chunks(data))
    at = random.randrange(len(chunks))
    kind, body = chunks[at]
    match random.randrange(6):
        case 0:
            chunks.insert(at, random.choice(chunks))
        case 1:
            del chunks[at]
        case 2 | 3 if b"IDAT" in dict(chunks):
            at = [kind for kind, _ in chunks].index(b"IDAT")
            chunks[at] = b"IDAT", zlib.compress(mutate(zlib.decompress(chunks[at][1]), random), 1)
        case _:
            chunks[at] = kind, mutate(body, random)
    return PNG + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of each chunk, with the image's data in one."""
    packed, place = b"", len(PNG)
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        place += length + 12
        if kind == b"IDAT":
            packed += body
            continue
        if kind == b"IEND":
            yield b"IDAT", packed
        yield kind, body


# --- files to begin with ----------------------------------------------------------------------------------------------


def _stored() -> Iterator[Seed]:
    folder = os.environ.get("CALOTYPE_CASES")
    for path in sorted(Path(folder).iterdir()) if folder else ():
        if path.suffix not in (".py", ".md") and path.stat().st_size < LARGEST:
            yield Seed(path.suffix.lower().lstrip("."), path.read_bytes())


def _made() -> Iterator[Seed]:
    """By other libraries, in many ways."""
    random = np.random.default_rng(3)
    y, x, c = np.ogrid[:13, :17, :4]
    rgba = (128 + 90 * np.sin(x / 3 + c) + 20 * np.cos(y)).astype(np.uint8)
    deep = random.integers(0, 65536, (13, 17, 4), dtype=np.uint16)
    grey, grey_alpha, rgb = rgba[..., 0], rgba[..., 2:], rgba[..., :3]
    exif = PIL.Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a text"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    blocks: dict[str, Any] = {"exif": exif, "icc_profile": b"\0" * 128, "dpi": (300, 300)}
    for pixels in (grey, grey_alpha, rgb, rgba):
        yield _saved("PNG", pixels, **blocks)
        yield _saved("PNG", pixels)
        yield _saved("WEBP", pixels, lossless=True, **blocks)
        yield _saved("WEBP", pixels, quality=50)
        yield _saved("TGA", pixels, compression="tga_rle")
        yield _saved("JPEG2000", pixels)
        yield _saved("JPEG2000", pixels, no_jp2=True, irreversible=True)
        yield _saved("AVIF", pixels, quality=60, speed=10, **blocks)
        for way in ("raw", "tiff_lzw", "packbits", "tiff_adobe_deflate"):
            yield _saved("TIFF", pixels, compression=way, **blocks)
    for pixels in (grey, rgb):
        yield _saved("JPEG", pixels, **blocks)
        yield _saved("JPEG", pixels, progressive=True, subsampling=0)
        yield _saved("PPM", pixels)
        yield _saved("BMP", pixels)
        yield _saved("TIFF", pixels, compression="jpeg")
    picture = PIL.Image.fromarray(rgb)
    for mode, format in [
        ("P", "PNG"), ("P", "GIF"), ("P", "BMP"), ("P", "TGA"), ("P", "TIFF"), ("1", "PNG"), ("1", "BMP"),
        ("1", "TIFF"), ("1", "PPM"), ("CMYK", "JPEG"), ("CMYK", "TIFF"), ("LAB", "TIFF"), ("YCbCr", "TIFF"),
    ]:  # fmt: skip
        yield _saved(format, picture.convert(mode))
    yield _saved("TIFF", PIL.Image.fromarray(grey).convert("1"), compression="group4")
    yield _saved("PNG", picture.quantize(4), transparency=1, bits=2)
    yield _saved("GIF", picture.quantize(4), transparency=1)
    yield _saved("GIF", picture, save_all=True, append_images=[picture.rotate(90)])
    yield _saved("BMP", rgba)
    yield _saved("MPO", rgb, save_all=True, append_images=[picture])
    yield Seed("qoi", imagecodecs.qoi_encode(np.ascontiguousarray(rgba)))
    for pixels in (deep[..., 0], deep[..., :2], deep[..., :3], deep):
        yield Seed("png", imagecodecs.png_encode(np.ascontiguousarray(pixels)))
        yield Seed("jpeg2000", imagecodecs.jpeg2k_encode(np.ascontiguousarray(pixels), level=0))
        for options in ({}, {"compression": "zlib", "predictor": True}, {"bigtiff": True, "tile": (16, 16)}):
            photometric = "rgb" if pixels.ndim == 3 and pixels.shape[-1] > 2 else "minisblack"
            yield _tiff(pixels, photometric=photometric, planarconfig="contig", **options)
    yield Seed("avif", imagecodecs.avif_encode(np.ascontiguousarray(deep[..., :3] >> 6), bitspersample=10, speed=10))
    yield _tiff(deep[..., 0].astype(np.float32))
    yield _tiff(deep[..., 0], photometric="miniswhite", byteorder=">")
    yield _tiff(np.moveaxis(deep[..., :3], -1, 0), photometric="rgb", planarconfig="separate", compression="lzw")
    yield Seed("ppm", b"P2 4 2 7 0 1 2 3 4 5 6 7\n")
    yield Seed("ppm", b"P3 2 1 255 0 1 2 3 4 5\n")
    yield Seed("ppm", b"P5 17 13 65535\n" + deep[..., 0].astype(">u2").tobytes())
    yield Seed("ppm", b"P6 17 13 4095\n" + (deep[..., :3] >> 4).astype(">u2").tobytes())
    yield Seed("ppm", b"P7\nWIDTH 17\nHEIGHT 13\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n" + rgba.tobytes())
    yield Seed("png", _with_chunks(_saved("PNG", rgb).data))


def _saved(format: str, pixels: Any, **options: Any) -> Seed:
    """By Pillow."""
    image = pixels if isinstance(pixels, PIL.Image.Image) else PIL.Image.fromarray(np.ascontiguousarray(pixels))
    out = io.BytesIO()
    image.save(out, format, **options)
    return Seed(format.lower(), out.getvalue())


def _tiff(pixels: np.ndarray[Any, Any], **options: Any) -> Seed:
    """By tifffile."""
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, **options)
    return Seed("tiff", out.getvalue())


def _with_chunks(data: bytes) -> bytes:
    """A PNG file that says much of its colours."""
    more = {
        b"gAMA": struct.pack(">I", 45455), b"cHRM": struct.pack(">8I", *range(30000, 38000, 1000)), b"sBIT": b"\5\6\5",
        b"sRGB": b"\0", b"cICP": bytes((9, 16, 0, 1)), b"tRNS": struct.pack(">3H", 1, 2, 3),
        b"pHYs": struct.pack(">IIB", 2835, 2835, 1), b"iTXt": b"XML:com.adobe.xmp\0\0\0\0\0<x/>",
        b"tEXt": b"Raw profile type exif\0\nexif\n       6\n457869660000\n",
    }  # fmt: skip
    extra = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in more.items()
    )
    return data[:33] + extra + data[33:]
