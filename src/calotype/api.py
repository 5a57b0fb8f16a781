"""The verbs: images to `.calo` files and back.

The names here are also names of the package: `calotype.encode`, `calotype.decode`, and so on.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from typing import IO, TypeAlias, Unpack

from . import io, registry
from .container import METADATA_TAGS, Bound, Buffer, is_calotype, read_chunks, unpack, unpack_header
from .errors import PartialFile, TruncatedFile, Unsupported, UnsupportedFile, WeightsNotFound
from .image import MODES, Image, Pixels
from .model import CodedFile, ImageLike, Model, as_array, as_image, check_options, open_model, run_batch
from .options import DecodeKeywords, DecodeOptions, EncodeKeywords, EncodeOptions
from .parallel import at_a_time
from .registry import ModelInfo, list_models
from .runtime.engine import resolve_device

__all__ = [
    "FileInfo", "Model", "ModelInfo", "decode", "decode_batch", "decode_image", "decode_progressive", "encode",
    "encode_batch", "info", "list_models", "load", "read", "write",
]  # fmt: skip

ENDING = ".calo"
BLOCK = 1 << 16  # bytes asked of a stream at a time

PathLike: TypeAlias = "str | os.PathLike[str]"


@dataclass(frozen=True)
class FileInfo:
    """What a file says about itself; see `info`."""

    codec: str
    wire_version: int
    digest: str
    """First 4 bytes of the digest of its weights, hexadecimal; zeros where it needs none."""
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
    layers: tuple[int, ...]
    """Bytes of the body of each layer, the base first; empty where the codec has no layers or is not installed."""
    metadata: dict[str, int]
    """Bytes of `icc`, `exif`, `xmp`, `cicp`, `gamma`, `density`, where present."""
    max_error: int | None
    """No sample is off by more: the bound that was asked for, or 0 of a lossless codec; None promises nothing."""
    largest_error: int | None
    """By how much a sample is off at most, where there is a bound."""


def encode(
    image: ImageLike,
    quality: float | None = None,
    *,
    model: PathLike | Model | None = None,
    **options: Unpack[EncodeKeywords],
) -> bytes:
    """Code an image into the bytes of a `.calo` file.

    Options that the model's codec does not take are refused, never ignored.

    Parameters
    ----------
    image
        Unsigned integers of shape (height, width) or `(*views, height, width, channels)`, with 1 to 4 channels:
        grey, grey and alpha, RGB, RGB and alpha; or an `Image` or a Pillow image, with its metadata.
    quality
        0 (smallest) to 100 (best); None is the model's default.
    model
        Name of a model (`list_models`), path of a weights file, or a loaded model (which may be on a GPU, see `load`);
        None is the default for what is asked for.
    lossless
        Every pixel comes back; a lossy model is refused then.
    max_error
        No sample is off by more than this, up to the largest value; for models with a bound. 0 is lossless.
    target_bytes, target_bpp
        Instead of a quality: the largest file not above this many bytes, or bits per pixel. Metadata counts.
    target_psnr
        Instead of a quality: the smallest file of at least so many dB, over the colours that can be seen.
    effort
        For models that have efforts (`Model.info`): a larger number gives a smaller file in more time, or of a lossy
        model a better one; above 6 those of `vae` need PyTorch.
    seconds
        In place of an effort and of a target, for models that fit (`fit`): as long on the clock. What comes of it
        depends on the machine and on what else it does; the same effort gives the same file.
    tune
        What a file of this size should be best in, for models that fit (`fit`): "psnr", the default, or "ms-ssim".
    threads
        Processor threads; 0 leaves it to the machine.

    Raises
    ------
    Unsupported
        The model does not take such images or options, or no quality gives so small a file.
    BoundExceeded
        The model would not keep to `max_error`, which is a mistake in its codec.
    WeightsNotFound
        The model is not installed.
    """
    wanted = EncodeOptions(quality, **options)
    return choose(model, wanted).encode_with(image, wanted)


def encode_batch(
    images: Iterable[ImageLike],
    quality: float | None = None,
    *,
    model: PathLike | Model | None = None,
    **options: Unpack[EncodeKeywords],
) -> list[bytes]:
    """Code many images, several at a time, into the files that `encode(..., threads=1)` makes of each.

    Other parameters are those of `encode`, the same for all images.

    Parameters
    ----------
    images
        Images of any sizes, each as `encode` takes it. An iterator is consumed lazily, a few images ahead.
    threads
        Images in work at a time, each on one thread; 0 is as many as there are cores, on a GPU at most 4.

    Raises
    ------
    BatchFailed
        Some images failed. All others were coded; their files are in the error's `results`.
    """
    return choose(model, EncodeOptions(quality, **options)).encode_batch(images, quality, **options)


def decode(data: Buffer, *, device: str | None = None, **options: Unpack[DecodeKeywords]) -> Pixels:
    """Decode a `.calo` file to an array.

    Its shape is `(*views, height, width)` for grey, else `(*views, height, width, channels)`. Options that the file's
    codec does not take are refused, never ignored.

    Parameters
    ----------
    data
        The whole file. Of codecs with layers, its beginning is enough: see `PartialFile`.
    region
        (x, y, width, height) in pixels: decode only this rectangle.
    view
        Index of the view to decode, of files with several: a number, or (u, v) in a light field.
    layers, max_bytes
        Of codecs with layers: decode only so many of them, or those within the first bytes.
    base
        Decode only the first layer, the base, of codecs that have one; a file that is cut off after it will do.
    realism
        Of models that can choose: 0 is the most faithful image, 1 the most natural one.
    seed
        Of invented texture.
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
        The region, view or layers are not in the image, the codec does not take an option, or there is no such device.
    Desync
        Decoding went wrong although the file is intact.

    Warns
    -----
    PartialFile
        The file was cut off, or `max_bytes` cut it, and its first layers were decoded.
    """
    return as_array(decode_image(data, device=device, **options))


def decode_image(data: Buffer, *, device: str | None = None, **options: Unpack[DecodeKeywords]) -> Image:
    """Decode a `.calo` file to an `Image` with its metadata; otherwise as `decode`."""
    return decode_with(data, DecodeOptions.of(**options), device)


def decode_with(data: Buffer, options: DecodeOptions, device: str | None = None) -> Image:
    """As `decode_image`, with the options in one object."""
    file = CodedFile.parse(data, options)
    return _model_of(file, device).decode_file(file, options)


def decode_batch(
    files: Iterable[Buffer], *, device: str | None = None, **options: Unpack[DecodeKeywords]
) -> list[Pixels]:
    """Decode many `.calo` files to arrays, several at a time; each as `decode`, `threads` as for `encode_batch`.

    Raises
    ------
    BatchFailed
        Some files failed. All others were decoded; their arrays are in the error's `results`.
    """
    wanted, device = DecodeOptions.of(**options), resolve_device(device)
    single = replace(wanted, threads=1)
    threads = wanted.threads or at_a_time(device)
    return run_batch(lambda data: as_array(decode_with(data, single, device)), files, "file", threads)


def decode_progressive(
    stream: IO[bytes] | Iterable[bytes], *, device: str | None = None, **options: Unpack[DecodeKeywords]
) -> Iterator[Image]:
    """Decode a file while its bytes arrive.

    Yields an image whenever another layer is complete, of codecs with layers, or once the base is, of those that have
    one; then, if not yet shown, the image at the end. Other parameters, errors and warnings are those of `decode`.

    Parameters
    ----------
    stream
        A file open for reading, or pieces of the file's bytes in their order.
    """
    wanted = DecodeOptions.of(**options)
    blocks = iter(lambda: stream.read(BLOCK), b"") if hasattr(stream, "read") else iter(stream)
    data, shown, base_shown, arrived = bytearray(), 0, False, _Layers()
    most = 1 if wanted.base else wanted.layers
    model: Model | None = None
    for block in blocks:
        data += block
        with memoryview(data) as whole, whole[: wanted.max_bytes] as start:
            layers = arrived.count(start)
        layers = min(layers, most or layers)
        if layers > shown and (model is None or model.info.layered or (model.info.has_base and not base_shown)):
            file = CodedFile.parse(bytes(data[: wanted.max_bytes]), wanted)
            model = model or _model_of(file, device)
            if model.info.layered:
                shown = layers
                yield model.decode_file(CodedFile(file.header, file.chunks), replace(wanted, base=False, layers=layers))
            elif model.info.has_base and not base_shown:
                base_shown = True
                yield model.decode_file(file, replace(wanted, base=True))
    if base_shown and wanted.base:
        return
    if shown == 0 or shown < (most or 0):
        yield decode_with(bytes(data), wanted, device)  # all of it, or what is wrong with it
    elif (cut := CodedFile.parse(bytes(data), wanted).cut) is not None and most is None:
        warnings.warn(PartialFile(f"{cut}; decoded its first layers, {shown} in number"), stacklevel=2)


class _Layers:
    """Counts the complete chunks of a codec in a file that grows, and looks at each once."""

    def __init__(self) -> None:
        self._position = self._found = 0
        self._ended = False

    def count(self, view: memoryview) -> int:
        """How many there are in the first bytes of the file."""
        try:
            if self._position == 0:
                _, self._position = unpack_header(view)
            if not self._ended:
                for chunk, end in read_chunks(view, self._position):
                    self._found += chunk.tag.isupper()
                    self._position = end
                self._ended = True
        except TruncatedFile:
            pass
        return self._found


def read(source: PathLike | IO[bytes], exact: bool = False, **options: Unpack[DecodeKeywords]) -> Image:
    """Read a `.calo` file or an image file (PNG, JPEG, WebP, TIFF, ...), told apart by their first bytes.

    The source is a path, or a file open for reading in binary, which is read to its end. Options are those of `decode`;
    an image file takes `max_pixels` only, and `threads` change nothing there.

    Parameters
    ----------
    exact
        Refuse image files that can only be read by a conversion that cannot be undone (CMYK, premultiplied alpha);
        without it, that is done with a warning.

    Warns
    -----
    CalotypeWarning
        Something was converted or left out, as viewers do.
    """
    wanted = DecodeOptions.of(**options)
    if hasattr(source, "read"):
        return _read(BytesIO(source.read()), wanted, exact)
    with open(source, "rb") as file:
        return _read(file, wanted, exact)


def _read(file: IO[bytes], options: DecodeOptions, exact: bool) -> Image:
    if not file.seekable():  # a pipe
        file = BytesIO(file.read())
    start = file.read(8)
    if is_calotype(start):
        return decode_with(start + file.read(), options)
    if options != DecodeOptions(threads=options.threads, max_pixels=options.max_pixels):
        raise Unsupported(f"options of decoding are for {ENDING} files; an image file is read whole")
    file.seek(0)
    return io.read_image(file, options.max_pixels, exact)


def write(
    target: PathLike | IO[bytes],
    image: ImageLike,
    quality: float | None = None,
    *,
    model: PathLike | Model | None = None,
    **options: Unpack[EncodeKeywords],
) -> None:
    """Write a `.calo` file, or an image file if the path ends so. A failure leaves no file.

    A file that is open for writing in binary gets a `.calo` file.
    """
    wanted = EncodeOptions(quality, **options)
    if hasattr(target, "write"):
        target.write(choose(model, wanted).encode_with(image, wanted))
    elif os.fspath(target).lower().endswith(ENDING):
        io.write_bytes(target, choose(model, wanted).encode_with(image, wanted))
    elif model is not None or wanted != EncodeOptions(threads=wanted.threads):
        raise Unsupported(f"quality, model, target and effort belong to {ENDING} files, not to {os.fspath(target)!r}")
    else:
        io.write_image(target, as_image(image))


def load(
    model: PathLike | None = None,
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
    card = find(model, EncodeOptions(lossless=lossless))
    return open_model(card, device, precision, _exact_beside(card) if model is None else None)


def find(model: PathLike | None, options: EncodeOptions) -> ModelInfo:
    """The model that is named, or the default for what is asked for; it takes the options.

    Raises
    ------
    WeightsNotFound
        It is not installed.
    Unsupported
        It does not take an option.
    """
    card = registry.find(model, options)
    check_options(card, options)
    return card


def choose(model: PathLike | Model | None, options: EncodeOptions, device: str | None = None) -> Model:
    """As `find`, but loaded; a loaded model stands for itself.

    The default lossy model leaves images that it is not for to the default lossless one (`fallback`).
    """
    if isinstance(model, Model):
        return model
    card = find(model, options)
    return open_model(card, device, exact=_exact_beside(card) if model is None else None)


def _exact_beside(card: ModelInfo) -> ModelInfo | None:
    """The default lossless model, beside a lossy one."""
    if card.info.lossless:
        return None
    with suppress(WeightsNotFound):
        return registry.find(None, EncodeOptions(lossless=True))
    return None


def info(data: Buffer) -> FileInfo:
    """Describe a `.calo` file without decoding it; checks all checksums.

    Raises
    ------
    CorruptFile, UnsupportedFile
        As `decode`.
    """
    header, chunks = unpack(data, max_pixels=None)
    bound = Bound.of(chunks)
    layers: tuple[int, ...] = ()
    try:
        card = registry.find_digest(header.codec, header.digest)
        name = card.name
        if card.info.accepts("base"):
            layers = tuple(len(chunk.body) for chunk in chunks if chunk.tag.isupper())
        if bound is None and card.info.lossless:
            bound = Bound(0, 0)
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
        layers=layers,
        metadata={METADATA_TAGS[chunk.tag]: len(chunk.body) for chunk in chunks if chunk.tag in METADATA_TAGS},
        max_error=None if bound is None else bound.promised,
        largest_error=None if bound is None else bound.reached,
    )


def _model_of(file: CodedFile, device: str | None) -> Model:
    """The installed model that a file was coded with. Of a cut file of an unknown one, says that it is cut."""
    try:
        return open_model(registry.find_digest(file.header.codec, file.header.digest), device)
    except (UnsupportedFile, WeightsNotFound):
        if file.cut is not None:
            raise file.cut from None
        raise
