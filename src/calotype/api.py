"""Images to `.calo` files and back: joins codecs, weights, container and picture files.

The names here are also names of the package: `calotype.encode`, `calotype.decode`, and so on.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from . import io, registry
from .codec import Chunk, Codec, CodecInfo, DecodeOptions, EncodeOptions, Payload, Region
from .container import DEFAULT_MAX_PIXELS, METADATA_TAGS, Header, is_calotype, pack, unpack
from .errors import BatchFailed, CalotypeError, CorruptFile, Desync, Unsupported, UnsupportedFile, WeightsNotFound
from .image import MODES, Image, Metadata, Pixels
from .parallel import at_a_time, in_order
from .registry import ModelInfo, list_models
from .runtime.engine import resolve_device
from .target import largest_within

if TYPE_CHECKING:
    from PIL import Image as Pillow

__all__ = [
    "FileInfo", "Model", "decode", "decode_batch", "decode_image", "encode", "encode_batch", "info", "list_models",
    "load", "read", "write",
]  # fmt: skip

ENDING = ".calo"

Picture: TypeAlias = "Image | npt.NDArray[np.generic] | Pillow.Image"  # what `encode` takes
RegionLike = Region | tuple[int, int, int, int]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class FileInfo:
    """What a file says about itself; see `info`."""

    codec: str
    wire_version: int
    digest: str
    """First 4 bytes of the digest of its weights, hexadecimal."""
    model: str | None
    """Name of the model with these weights; None if it is not installed."""
    views: tuple[int, ...]
    height: int
    width: int
    mode: str
    """L, LA, RGB or RGBA."""
    depth: int
    bytes: int
    """Size of the whole file."""
    bpp: float
    """Bits of the whole file per pixel, over all views."""
    chunks: tuple[tuple[str, int], ...]
    """Tag and bytes of the body of each chunk."""
    metadata: dict[str, int]
    """Bytes of `icc`, `exif`, `xmp`, where present."""


@dataclass(frozen=True)
class Model:
    """One loaded model; see `load`."""

    card: ModelInfo
    codec: Codec
    device: str | None = None
    """Where PyTorch runs its networks, as `cuda:0`; None is ONNX Runtime on the processor."""

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def info(self) -> CodecInfo:
        """What its codec can do."""
        return self.codec.info

    def encode(
        self,
        image: Picture,
        quality: float | None = None,
        *,
        target_bytes: int | None = None,
        target_bpp: float | None = None,
        effort: int | None = None,
        threads: int = 0,
    ) -> bytes:
        """Code an image into the bytes of a file; as `calotype.encode`."""
        image = _as_image(image)
        _check_request(quality, target_bytes, target_bpp, threads)
        _check_effort(self.info, effort)
        _check_capability(self.info, image)
        if target_bpp is not None:
            target_bytes = int(target_bpp * image.pixels[..., 0].size / 8)

        def at(quality: float | None) -> bytes:
            return self._pack(image, self.codec.encode(image, EncodeOptions(quality, threads, effort)))

        if target_bytes is None:
            return at(quality)
        return _within(at, target_bytes, None if self.info.lossless else self.name)

    def encode_batch(
        self,
        images: Iterable[Picture],
        quality: float | None = None,
        *,
        target_bytes: int | None = None,
        target_bpp: float | None = None,
        effort: int | None = None,
        threads: int = 0,
    ) -> list[bytes]:
        """Code many images into the bytes of files; as `calotype.encode_batch`."""
        _check_request(quality, target_bytes, target_bpp, threads)
        _check_effort(self.info, effort)

        def work(image: Picture) -> bytes:
            return self.encode(
                image, quality, target_bytes=target_bytes, target_bpp=target_bpp, effort=effort, threads=1
            )

        return _batch(work, images, "image", threads or at_a_time(self.device))

    def decode_image(
        self,
        data: bytes,
        *,
        region: RegionLike | None = None,
        threads: int = 0,
        max_pixels: int | None = DEFAULT_MAX_PIXELS,
    ) -> Image:
        """Decode a file of this model; as `calotype.decode_image`."""
        header, chunks = unpack(data, max_pixels)
        if (header.codec, header.digest) != (self.card.codec, self.card.digest):
            raise Unsupported(f"the file was not coded with {self.name}; calotype.decode finds the right model")
        return self._decode(header, chunks, region, threads)

    def decode(
        self,
        data: bytes,
        *,
        region: RegionLike | None = None,
        threads: int = 0,
        max_pixels: int | None = DEFAULT_MAX_PIXELS,
    ) -> Pixels:
        """Decode a file of this model to an array; as `calotype.decode`."""
        return _as_array(self.decode_image(data, region=region, threads=threads, max_pixels=max_pixels))

    def decode_batch(
        self, files: Iterable[bytes], *, threads: int = 0, max_pixels: int | None = DEFAULT_MAX_PIXELS
    ) -> list[Pixels]:
        """Decode many files of this model to arrays; as `calotype.decode_batch`."""
        _check_threads(threads)

        def work(data: bytes) -> Pixels:
            return self.decode(data, threads=1, max_pixels=max_pixels)

        return _batch(work, files, "file", threads or at_a_time(self.device))

    def count_bits(
        self, image: Picture, quality: float | None = None, *, effort: int | None = None, threads: int = 0
    ) -> float:
        """Size to expect of the file without metadata, in bits, by ideal code lengths; nothing is written."""
        image = _as_image(image)
        _check_request(quality, None, None, threads)
        _check_effort(self.info, effort)
        _check_capability(self.info, image)
        bits = self.codec.count_bits(image, EncodeOptions(quality, threads, effort))
        body = bytes(math.ceil(bits / 8))
        plain = Payload(image.pixels.shape, image.depth, (Chunk("A", body),))
        return bits + 8 * (len(self._pack(Image(image.pixels, image.depth), plain)) - len(body))

    def _pack(self, image: Image, payload: Payload) -> bytes:
        header = Header(self.card.codec, self.info.wire_version, self.card.digest, payload.shape, payload.depth)
        return pack(header, [*_metadata_chunks(image.metadata), *payload.chunks])

    def _decode(self, header: Header, chunks: list[Chunk], region: RegionLike | None, threads: int) -> Image:
        if header.wire_version > self.info.wire_version:
            raise UnsupportedFile(
                f"the file has version {header.wire_version} of the codec {header.codec!r}, "
                f"this Calotype reads {self.info.wire_version}; update it"
            )
        *views, _, _, channels = header.shape
        if (
            header.depth not in self.info.depths
            or len(views) not in self.info.views
            or channels not in self.info.channels
        ):
            raise CorruptFile(f"the codec {header.codec!r} makes no files of {header.shape} with {header.depth} bits")
        _check_threads(threads)
        region = None if region is None else _check_region(Region(*region), header.shape)
        coded = tuple(chunk for chunk in chunks if chunk.tag.isupper())
        payload = Payload(header.shape, header.depth, coded, header.wire_version)
        image = self.codec.decode(payload, DecodeOptions(region, threads))
        size = (region.height, region.width) if region else header.shape[-3:-1]
        shape = (*header.shape[:-3], *size, header.shape[-1])
        if (image.pixels.shape, image.depth) != (shape, header.depth):
            raise Desync(f"decoded {image.pixels.shape} of {image.depth} bits, not {shape} of {header.depth}")
        return Image(image.pixels, image.depth, _metadata(chunks))


def encode(
    image: Picture,
    quality: float | None = None,
    *,
    model: str | os.PathLike[str] | Model | None = None,
    lossless: bool = False,
    target_bytes: int | None = None,
    target_bpp: float | None = None,
    effort: int | None = None,
    threads: int = 0,
) -> bytes:
    """Code an image into the bytes of a `.calo` file.

    Parameters
    ----------
    image
        Unsigned integers of shape (height, width) or (height, width, channels), with 1 to 4 channels: grey,
        grey and alpha, RGB, RGB and alpha; or an `Image` or a Pillow image, with its metadata.
    quality
        0 (smallest) to 100 (best); None is the model's default.
    model
        Name of a model (`list_models`), path of a weights file, or a loaded model (which may be on a GPU, see `load`);
        None is the default model.
    lossless
        Take a lossless model, where none is named the default one; a lossy one is refused then.
    target_bytes, target_bpp
        Instead of a quality: the largest file not above this many bytes, or bits per pixel. Metadata counts.
    effort
        For models that have efforts (`Model.info`): a larger number gives a smaller file in more time.
    threads
        Processor threads; 0 leaves it to the machine.

    Raises
    ------
    Unsupported
        The model does not take such images, or no quality gives so small a file.
    WeightsNotFound
        The model is not installed.
    """
    return _choose(model, lossless).encode(
        image, quality, target_bytes=target_bytes, target_bpp=target_bpp, effort=effort, threads=threads
    )


def encode_batch(
    images: Iterable[Picture],
    quality: float | None = None,
    *,
    model: str | os.PathLike[str] | Model | None = None,
    lossless: bool = False,
    target_bytes: int | None = None,
    target_bpp: float | None = None,
    effort: int | None = None,
    threads: int = 0,
) -> list[bytes]:
    """Code many images, several at a time, into the files that `encode(..., threads=1)` makes of each.

    Parameters
    ----------
    images
        Of any sizes, each as `encode` takes it. An iterator is taken from as there is room, a few images ahead.
    quality, model, lossless, target_bytes, target_bpp, effort
        As for `encode`, the same for all.
    threads
        Images in work at a time, each on one thread; 0 is as many as there are cores, on a GPU at most 4.

    Raises
    ------
    BatchFailed
        Some images failed. All others were coded; their files are in the error's `results`.
    """
    return _choose(model, lossless).encode_batch(
        images, quality, target_bytes=target_bytes, target_bpp=target_bpp, effort=effort, threads=threads
    )


def decode(
    data: bytes,
    *,
    region: RegionLike | None = None,
    threads: int = 0,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    device: str | None = None,
) -> Pixels:
    """Decode a `.calo` file to an array.

    Its shape is (*views, height, width) for grey, else (*views, height, width, channels).

    Parameters
    ----------
    data
        The whole file.
    region
        (x, y, width, height) in pixels: decode only this rectangle.
    threads
        Processor threads; 0 leaves it to the machine.
    max_pixels
        Refuse files that declare more; None is no limit.
    device
        Where the networks run; as for `load`.

    Raises
    ------
    CorruptFile
        The file is damaged, truncated, or not a Calotype file.
    UnsupportedFile
        The file needs a newer Calotype or a codec that is not installed.
    WeightsNotFound
        The file needs weights that are not installed.
    LimitExceeded
        The file declares more than `max_pixels`.
    Unsupported
        The region is not inside the image, or there is no such device.
    Desync
        Decoding went wrong although the file is intact.
    """
    return _as_array(decode_image(data, region=region, threads=threads, max_pixels=max_pixels, device=device))


def decode_image(
    data: bytes,
    *,
    region: RegionLike | None = None,
    threads: int = 0,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    device: str | None = None,
) -> Image:
    """Decode a `.calo` file to an `Image` with its metadata; otherwise as `decode`."""
    header, chunks = unpack(data, max_pixels)
    card = registry.find_digest(header.codec, header.digest)
    return _open(card, device)._decode(header, chunks, region, threads)


def decode_batch(
    files: Iterable[bytes],
    *,
    threads: int = 0,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    device: str | None = None,
) -> list[Pixels]:
    """Decode many `.calo` files to arrays, several at a time; each as `decode`, `threads` as for `encode_batch`.

    Raises
    ------
    BatchFailed
        Some files failed. All others were decoded; their arrays are in the error's `results`.
    """
    _check_threads(threads)
    device = resolve_device(device)

    def work(data: bytes) -> Pixels:
        return decode(data, threads=1, max_pixels=max_pixels, device=device)

    return _batch(work, files, "file", threads or at_a_time(device))


def read(path: str | os.PathLike[str], *, threads: int = 0, max_pixels: int | None = DEFAULT_MAX_PIXELS) -> Image:
    """Read a `.calo` file or a picture file (PNG, JPEG, WebP, TIFF, ...), told apart by their first bytes."""
    with open(path, "rb") as file:
        start = file.read(8)
        if is_calotype(start):
            return decode_image(start + file.read(), threads=threads, max_pixels=max_pixels)
    return io.read_image(path, max_pixels)


def write(
    path: str | os.PathLike[str],
    image: Picture,
    quality: float | None = None,
    *,
    model: str | os.PathLike[str] | Model | None = None,
    lossless: bool = False,
    target_bytes: int | None = None,
    target_bpp: float | None = None,
    effort: int | None = None,
    threads: int = 0,
) -> None:
    """Write a `.calo` file, or a picture file if the path ends so. A failure leaves no file."""
    if os.fspath(path).lower().endswith(ENDING):
        data = encode(
            image, quality, model=model, lossless=lossless,
            target_bytes=target_bytes, target_bpp=target_bpp, effort=effort, threads=threads,
        )  # fmt: skip
        io.write_bytes(path, data)
    elif lossless or any(option is not None for option in (quality, model, target_bytes, target_bpp, effort)):
        raise Unsupported(f"quality, model, target and effort belong to {ENDING} files, not to {os.fspath(path)!r}")
    else:
        io.write_image(path, _as_image(image))


def load(
    model: str | os.PathLike[str] | None = None,
    *,
    lossless: bool = False,
    device: str | None = None,
    precision: str | None = None,
) -> Model:
    """Load a model by name or path of its weights file, to use it many times; None is the default model.

    Parameters
    ----------
    lossless
        Take the default lossless model where none is named; a lossy one is refused then.
    device
        Where its networks run: "cuda", "cuda:1" or "cpu" on PyTorch (the extra `gpu`). None, the default, is ONNX
        Runtime on the processor. Files are read by either; those that are written may differ by a few bytes.

    precision
        "float" or "int8", or None for the faster one here (or what `CALOTYPE_PRECISION` says); a device takes float.
        Files are the same to every decoder; decoded pixels differ by a level or two.

    Raises
    ------
    WeightsNotFound
        The model is not installed, or has no int8 networks.
    Unsupported
        There is no such device or precision, or no PyTorch; or the model is not lossless.
    """
    return _open(registry.find(model, lossless), device, precision)


def _open(card: ModelInfo, device: str | None, precision: str | None = None) -> Model:
    device = resolve_device(device)
    return Model(card, registry.open_codec(card, device, precision), device)


def info(data: bytes) -> FileInfo:
    """Describe a `.calo` file without decoding it; checks all checksums.

    Raises
    ------
    CorruptFile, UnsupportedFile
        As `decode`.
    """
    header, chunks = unpack(data, max_pixels=None)
    try:
        name = registry.find_digest(header.codec, header.digest).name
    except (UnsupportedFile, WeightsNotFound):
        name = None
    *views, height, width, channels = header.shape
    return FileInfo(
        codec=header.codec,
        wire_version=header.wire_version,
        digest=header.digest.hex(),
        model=name,
        views=tuple(views),
        height=height,
        width=width,
        mode=MODES[channels],
        depth=header.depth,
        bytes=len(data),
        bpp=8 * len(data) / header.pixels,
        chunks=tuple((chunk.tag, len(chunk.body)) for chunk in chunks),
        metadata={METADATA_TAGS[chunk.tag]: len(chunk.body) for chunk in chunks if chunk.tag in METADATA_TAGS},
    )


def _choose(model: str | os.PathLike[str] | Model | None, lossless: bool) -> Model:
    if not isinstance(model, Model):
        return load(model, lossless=lossless)
    if lossless:
        registry.refuse_lossy(model.name, model.info)
    return model


def _as_image(image: Any) -> Image:
    if isinstance(image, Image):
        return image
    if isinstance(image, np.ndarray):
        return Image.from_array(image)
    if hasattr(image, "getexif"):  # a Pillow image; Pillow may not even be imported
        return io.from_pillow(image)
    raise Unsupported(f"an image is an array, a calotype.Image or a Pillow image, not {type(image).__name__}")


def _as_array(image: Image) -> Pixels:
    return image.pixels[..., 0] if image.channels == 1 else image.pixels


def _metadata_chunks(metadata: Metadata) -> list[Chunk]:
    entries = [(tag, getattr(metadata, field)) for tag, field in METADATA_TAGS.items()]
    return [Chunk(tag, body) for tag, body in entries if body is not None]


def _metadata(chunks: list[Chunk]) -> Metadata:
    return Metadata(**{METADATA_TAGS[chunk.tag]: chunk.body for chunk in chunks if chunk.tag in METADATA_TAGS})


def _batch(work: Callable[[Item], Result], items: Iterable[Item], what: str, threads: int) -> list[Result]:
    """All results. Raises `BatchFailed` at the end; mistakes of ours at once."""
    errors: dict[int, Exception] = {}

    def attempt(numbered: tuple[int, Item]) -> Result | None:
        place, item = numbered
        try:
            return work(item)
        except (CalotypeError, OSError, MemoryError) as error:
            errors[place] = error
            return None

    results = list(in_order(attempt, enumerate(items), threads))
    if errors:
        raise BatchFailed(what, results, dict(sorted(errors.items())))
    return results  # type: ignore[return-value]


def _check_request(quality: float | None, target_bytes: int | None, target_bpp: float | None, threads: int) -> None:
    if sum(option is not None for option in (quality, target_bytes, target_bpp)) > 1:
        raise Unsupported("give only one of quality, target_bytes and target_bpp")
    if quality is not None and not 0 <= quality <= 100:
        raise Unsupported(f"quality {quality}: 0 (smallest) to 100 (best) are possible")
    target = target_bytes if target_bytes is not None else target_bpp
    if target is not None and not 0 < target < float("inf"):
        raise Unsupported(f"a target of {target} is no size; it must be positive")
    _check_threads(threads)


def _check_effort(info: CodecInfo, effort: int | None) -> None:
    if effort is None or effort in info.efforts:
        return
    have = f"it has {min(info.efforts)} to {max(info.efforts)}" if info.efforts else "it has none; leave it out"
    raise Unsupported(f"the codec {info.name!r} has no effort {effort}: {have}")


def _check_threads(threads: int) -> None:
    if threads < 0:
        raise Unsupported(f"{threads} threads: 1 or more, or 0 to leave it to the machine")


def _check_capability(info: CodecInfo, image: Image) -> None:
    """Refuse what the codec does not take, and name a model that does."""
    if image.depth not in info.depths:
        what = f"images of {image.depth} bits"
    elif len(image.views) not in info.views:
        what = f"images with views {image.views}" if image.views else "images without views"
    elif image.channels not in info.channels:
        what = f"{image.mode} images"
    else:
        return
    others = [model.name for model in list_models() if _takes(registry.codec_info(model.codec), image)]
    if others:
        hint = f"these models do: {', '.join(others)}"
    elif image.depth > 8:
        hint = "reduce them to 8 bits first if that is good enough"
    else:
        hint = "no installed model does"
    raise Unsupported(f"the codec {info.name!r} does not take {what}; {hint}")


def _takes(info: CodecInfo, image: Image) -> bool:
    return image.depth in info.depths and len(image.views) in info.views and image.channels in info.channels


def _check_region(region: Region, shape: tuple[int, ...]) -> Region:
    height, width = shape[-3:-1]
    inside = 0 <= region.x <= width - region.width and 0 <= region.y <= height - region.height
    if region.width < 1 or region.height < 1 or not inside:
        raise Unsupported(f"region {tuple(region)} (x, y, width, height) is not inside {width}x{height} pixels")
    return region


def _within(at: Callable[[float | None], bytes], target: int, name: str | None) -> bytes:
    """Largest file of at most `target` bytes; without a model's name there is only one file."""
    if name is not None:
        return largest_within(at, target)
    data = at(None)
    if len(data) > target:
        raise Unsupported(f"the lossless file has {len(data):,} bytes, above {target:,}; use a lossy model")
    return data
