"""Coded files of every codec: the bodies of chunks, headers and whole chunks mutated, checksums made right again.

The corpus are the golden files, and small images of every kind that the same models code. A file that a lossless codec
decodes under its own header must give the image that was coded: the hash inside it says so.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt

import calotype
from calotype import container, registry
from calotype.codec import Chunk
from calotype.image import Image, empty
from calotype.options import EncodeOptions

from .mutate import mutate

GOLDEN = Path(__file__).parents[2] / "tests/golden"
SIDES = ((1, 1), (1, 9), (7, 1), (8, 8), (13, 21))
MAX_PIXELS = 1 << 20
SLOW, SELDOM = ("fit",), 9  # a network is fitted to each image: only every ninth
STORED = 0.01  # of the cases begin with a golden file, which takes longer
Pixels = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Seed:
    """A file to begin with."""

    codec: str
    data: bytes
    header: container.Header
    chunks: tuple[Chunk, ...]
    pixels: Pixels | None
    """What it must decode to, of lossless codecs."""

    @classmethod
    def of(cls, data: bytes) -> Seed:
        header, chunks = container.unpack(data)
        exact = registry.codec_info(header.codec).lossless
        return cls(header.codec, data, header, tuple(chunks), calotype.decode_image(data).pixels if exact else None)


class Target:
    """See the module."""

    memory = 1 << 30  # bytes that one mutant may take

    def __init__(self) -> None:
        folders = sorted({path.parent for path in GOLDEN.glob("*/*.calo")})
        os.environ[registry.SEARCH_PATH] = os.pathsep.join(map(str, folders))
        # Models of the golden files count as foreign, whose mistakes are reported as such. Here they are ours.
        registry.ModelInfo.is_foreign = property(lambda card: False)  # type: ignore[assignment, method-assign]
        registry._open = functools.cache(registry._open.__wrapped__)  # type: ignore[assignment]
        models = tuple(registry._all_models())  # folders and cards are read once
        registry._all_models = lambda: iter(models)  # type: ignore[assignment]
        self._golden = _by_codec(Seed.of(path.read_bytes()) for path in sorted(GOLDEN.glob("*/*.calo")))
        self._small = _by_codec(_small())

    def make(self, random: Random) -> tuple[bytes, Callable[[], str]]:
        """A mutant, and how to decode it."""
        codec = random.choice(sorted(self._small))
        seed = random.choice((self._golden if random.random() < STORED else self._small)[codec])
        other = random.choice(self._small[codec])
        data, pixels = _mutant(seed, other, random)
        way = random.randrange(20)

        def attempt() -> str:
            try:
                _decode(data, seed, pixels, way)
            except calotype.CalotypeError as error:
                return f"{codec}: {type(error).__name__}"
            return f"{codec}: an image"

        return data, attempt


def _decode(data: bytes, seed: Seed, pixels: Pixels | None, way: int) -> None:
    """Mostly as it is, or in another way."""
    match way:
        case 0:
            calotype.info(data)
        case 1:
            pieces = [data[start : start + 50] for start in range(0, len(data), 50)]
            list(calotype.decode_progressive(pieces, max_pixels=MAX_PIXELS, threads=1))
        case 2 if seed.header.shape[-2] > 1:
            region = (1, 0, seed.header.shape[-2] - 1, 1)
            calotype.decode(data, region=region, max_pixels=MAX_PIXELS, threads=1)
        case 3 if registry.codec_info(seed.codec).layered:
            calotype.decode(data, layers=2, max_pixels=MAX_PIXELS, threads=1)
        case _:
            found = calotype.decode_image(data, max_pixels=MAX_PIXELS, threads=1)
            if pixels is not None and not np.array_equal(found.pixels, pixels):
                raise AssertionError("another image came back from a lossless file")


def _mutant(seed: Seed, other: Seed, random: Random) -> tuple[bytes, Pixels | None]:
    """A damaged file with right checksums, and what it must decode to if it decodes at all."""
    header, chunks, pixels = seed.header, list(seed.chunks), seed.pixels
    at = random.randrange(len(chunks))
    match random.randrange(12):
        case 0:
            return mutate(seed.data, random), pixels
        case 1:
            header, pixels = _header(header, other, random), None
        case 2:
            chunks = _rearranged(chunks, other, random)
            pixels = None
        case 3:
            mine, theirs = chunks[at].body, random.choice(other.chunks).body
            cut = random.randrange(len(mine) + 1)
            chunks[at] = Chunk(chunks[at].tag, mine[:cut] + theirs[random.randrange(len(theirs) + 1) :])
            pixels = None
        case _:
            for place in {at, random.randrange(len(chunks))}:
                chunks[place] = Chunk(chunks[place].tag, mutate(chunks[place].body, random))
    return container.pack(header, chunks), pixels


def _header(header: container.Header, other: Seed, random: Random) -> container.Header:
    shape = list(header.shape)
    match random.randrange(6):
        case 0:
            return replace(header, wire_version=random.randrange(6))
        case 1:
            return replace(header, depth=random.randrange(1, 17))
        case 2:
            shape[-1] = random.randrange(1, 5)
        case 3:
            return replace(other.header, codec=header.codec, digest=header.digest)
        case 4:
            shape[:0] = [random.choice((1, 2, 1000))] * random.choice((1, 2))
        case _:
            sides = (1, 2, 8, 63, 65, 513, 4097, 1 << 20, (1 << 32) - 1)
            shape[random.choice((-3, -2))] = random.choice(sides)
    return replace(header, shape=tuple(shape[-6:]))


def _rearranged(chunks: list[Chunk], other: Seed, random: Random) -> list[Chunk]:
    at = random.randrange(len(chunks))
    match random.randrange(6):
        case 0 if len(chunks) > 1:
            del chunks[at]
        case 1:
            chunks.insert(at, chunks[at])
        case 2:
            random.shuffle(chunks)
        case 3:
            chunks[at] = Chunk(random.choice("AFILNPVbcdegixqQ"), chunks[at].body)
        case 4:
            chunks[at:at] = [Chunk(random.choice("aAIPVi"), b"")] * random.choice((1, 3, 3000))
        case _:
            chunks[at] = random.choice(other.chunks)
    return chunks


def _by_codec(seeds: Iterator[Seed]) -> dict[str, list[Seed]]:
    found: dict[str, list[Seed]] = {}
    for seed in seeds:
        found.setdefault(seed.codec, []).append(seed)
    return found


# --- small files ------------------------------------------------------------------------------------------------------


def _small() -> Iterator[Seed]:
    """Small images of every size, depth and colour as every model of a golden file takes them, in many ways."""
    for path in sorted(GOLDEN.glob("*")):
        cards = sorted(path.glob("*.toml")) or sorted(registry._BUILT_IN.glob(f"{path.name}/weights/*.toml"))
        for card in cards:
            model = calotype.load(registry._read_card(card).name)
            step = SELDOM if model.info.name in SLOW else 1
            for image in itertools.islice(images(), 0, None, step):
                if model.info.takes_image(image):
                    for options in _options(model.info, image):
                        yield Seed.of(model.encode_with(image, options))


def _options(info: calotype.CodecInfo, image: Image) -> Iterator[EncodeOptions]:
    """Every way of coding for the largest images, one for others."""
    efforts = info.accepts("effort")
    plain = EncodeOptions(effort=1 if efforts else None, threads=1)
    yield plain
    if image.height != max(SIDES)[0]:
        return
    if info.accepts("quality"):
        yield from (replace(plain, quality=quality) for quality in (0.0, 100.0))
    if info.accepts("max_error"):
        if efforts:
            yield from (replace(plain, effort=effort) for effort in (2, 5, 7, 9))
        if image.depth > 2:
            yield from (replace(plain, max_error=bound) for bound in (1, 3))
            yield replace(plain, max_error=2, effort=9 if efforts else None)


def images() -> Iterator[Image]:
    """Small images: waves with noise, what is drawn, extremes; of several depths, channels and views."""
    random = np.random.default_rng(5)
    for height, width in SIDES:
        for channels in (1, 2, 3, 4):
            y, x, c = np.ogrid[:height, :width, :channels]
            waves = 128 + 70 * np.sin(x / 3 + c) + 40 * np.cos(y / 2) + random.normal(0, 6, (height, width, channels))
            drawn = random.choice([0, 17, 255], (height, width, 1)) * np.ones(channels)
            for values in (waves, drawn):
                yield Image(np.clip(values, 0, 255).astype(np.uint8))
            for depth in (1, 10, 16):
                pixels = empty((height, width, channels), depth)
                pixels[:] = random.integers(0, 1 << depth, pixels.shape)
                yield Image(pixels, depth)
    metadata = calotype.Metadata(icc=b"profile", exif=b"MM\0*\0\0\0\x08\0\0\0\0\0\0", xmp=b"<x/>", cicp=bytes(4))
    yield Image(random.integers(0, 256, (8, 8, 3), dtype=np.uint8), metadata=metadata)
    yield Image(random.integers(0, 256, (2, 6, 6, 3), dtype=np.uint8))
