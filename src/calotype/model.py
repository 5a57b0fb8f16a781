"""What a loaded model does: images to the bytes of files and back, one or many."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, Unpack, cast

import numpy as np
import numpy.typing as npt

from . import io, registry
from .codec import Carried, Carrying, Chunk, Codec, CodecInfo, Continuing, Payload
from .container import METADATA_TAGS, Bound, Buffer, Header, pack, unpack_cut
from .errors import (
    BatchFailed,
    BoundExceeded,
    CalotypeError,
    CorruptFile,
    Desync,
    PartialFile,
    TruncatedFile,
    Unsupported,
    UnsupportedFile,
    WeightsNotFound,
    WrongType,
)
from .fallback import Fallback
from .foreign import ForeignCodec, mistakes_of
from .image import Image, Metadata, Pixels, largest_error, psnr
from .options import DecodeKeywords, DecodeOptions, EncodeKeywords, EncodeOptions, asked
from .parallel import at_a_time, in_order
from .registry import ModelInfo
from .runtime.engine import resolve_device
from .target import first_reaching, largest_of, largest_within, smallest_reaching
from .tiling import check_region

if TYPE_CHECKING:
    from PIL import Image as Pillow

ImageLike: TypeAlias = "Image | npt.NDArray[np.generic] | Pillow.Image"  # what is taken for an image
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Model:
    """One loaded model; see `load`."""

    card: ModelInfo
    codec: Codec
    device: str | None = None
    """Where PyTorch runs its networks, as `cuda:0`; None is ONNX Runtime on the processor."""
    precision: str | None = None
    """How networks compute that decide no integers of a file, if it was asked for."""
    exact: ModelInfo | None = None
    """A lossless model for images that this one is not for; None where this one was asked for by name."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by its name: it is opened again where it arrives."""
        return reopen_model, (self.card, self.device, self.precision, self.exact)

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def info(self) -> CodecInfo:
        """What its codec can do with it."""
        return self.card.info

    def encode(self, image: ImageLike, quality: float | None = None, **options: Unpack[EncodeKeywords]) -> bytes:
        """Code an image into the bytes of a file; as `calotype.encode`."""
        return self.encode_with(image, EncodeOptions(quality, **options))

    def encode_with(self, image: ImageLike, options: EncodeOptions) -> bytes:
        """As `encode`, with the options in one object."""
        image = as_image(image, self.is_exact(options))
        check_options(self.card, options)
        _check_capability(self.info, image)
        plain, target = options.plain, options.target
        fallback = self._fallback(image, plain)
        if target is not None and target.psnr is not None:
            return self._encode_reaching(image, plain, target.psnr, fallback)
        if target is not None and (limit := target.limit(image.pixels[..., 0].size)) is not None:
            return self._encode_within(image, plain, limit, fallback)
        payload = self.codec.encode(image, plain)
        data = self._pack(image, payload, self._bound(image, payload, plain.max_error))
        return data if fallback is None else fallback.instead_of(data, plain.quality, lambda: self._shown(payload))

    def is_exact(self, options: EncodeOptions) -> bool:
        """Whether files coded so promise something of every sample."""
        return options.lossless or self.info.lossless or options.max_error is not None

    def encode_batch(
        self, images: Iterable[ImageLike], quality: float | None = None, **options: Unpack[EncodeKeywords]
    ) -> list[bytes]:
        """Code many images into the bytes of files; as `calotype.encode_batch`."""
        wanted = EncodeOptions(quality, **options)
        check_options(self.card, wanted)
        single = replace(wanted, threads=1)
        threads = wanted.threads or at_a_time(self.device)
        return run_batch(lambda image: self.encode_with(image, single), images, "image", threads)

    def decode(self, data: Buffer, **options: Unpack[DecodeKeywords]) -> Pixels:
        """Decode a file of this model to an array; as `calotype.decode`."""
        return as_array(self.decode_image(data, **options))

    def decode_image(self, data: Buffer, **options: Unpack[DecodeKeywords]) -> Image:
        """Decode a file of this model; as `calotype.decode_image`."""
        return self.decode_with(data, DecodeOptions.of(**options))

    def decode_with(self, data: Buffer, options: DecodeOptions) -> Image:
        """As `decode_image`, with the options in one object."""
        file = CodedFile.parse(data, options)
        named = file.header.codec, file.header.digest
        if self.exact is not None and self.exact.reads_files_of(*named):  # an image that was left to it
            return open_model(self.exact, self.device).decode_file(file, options)
        if not self.card.reads_files_of(*named):
            raise Unsupported(f"the file was not coded with {self.name}; calotype.decode finds the right model")
        return self.decode_file(file, options)

    def decode_batch(self, files: Iterable[Buffer], **options: Unpack[DecodeKeywords]) -> list[Pixels]:
        """Decode many files of this model to arrays; as `calotype.decode_batch`."""
        wanted = DecodeOptions.of(**options)
        single = replace(wanted, threads=1)
        threads = wanted.threads or at_a_time(self.device)
        return run_batch(lambda data: as_array(self.decode_with(data, single)), files, "file", threads)

    def count_bits(self, image: ImageLike, quality: float | None = None, **options: Unpack[EncodeKeywords]) -> float:
        """Size to expect of the file without metadata, in bits, by ideal code lengths; nothing is written.

        With layers it is the size itself: only coding tells how many there are, and each has its frame.
        """
        image, wanted = as_image(image), EncodeOptions(quality, **options)
        check_options(self.card, wanted)
        _check_capability(self.info, image)
        if wanted.target is not None:
            raise Unsupported("bits are counted at a quality, not for a target")
        if self.info.layered:
            return 8.0 * len(self._pack(Image(image.pixels, image.depth), self.codec.encode(image, wanted)))
        bits = self.codec.count_bits(image, wanted)
        body = bytes(math.ceil(bits / 8))
        plain = Payload(image.pixels.shape, image.depth, (Chunk("A", body),))
        return bits + 8 * (len(self._pack(Image(image.pixels, image.depth), plain)) - len(body))

    def carried(self, data: Buffer) -> Carried | None:
        """The networks that a file of this model holds; None if its codec does not write any into files."""
        if not isinstance(self.codec, Carrying):
            return None
        file = CodedFile.parse(data, DecodeOptions())
        header = file.header
        return self.codec.carried(
            Payload(header.shape, header.depth, self._layers(file, DecodeOptions()), header.wire_version)
        )

    def decode_file(self, file: CodedFile, options: DecodeOptions) -> Image:
        """Decode a parsed file, or as many of its layers as are there or asked for."""
        check_options(self.card, options)
        if file.cut is not None and not (self.info.layered or options.base):
            if self.info.has_base and any(chunk.tag.isupper() for chunk in file.chunks):
                raise TruncatedFile(f"{file.cut}; its base is there, which decodes if asked for (base, --base)")
            raise file.cut
        header = file.header
        if header.wire_version > self.info.wire_version:
            raise UnsupportedFile(
                f"the file has version {header.wire_version} of the codec {header.codec!r}, "
                f"this Calotype reads {self.info.wire_version}; update it"
            )
        if not _makes(self.info, header):
            raise CorruptFile(f"the codec {header.codec!r} makes no files of {header.shape} with {header.depth} bits")
        payload = Payload(header.shape, header.depth, self._layers(file, options), header.wire_version)
        image = _decode(self.codec, payload, options)
        return Image(image.pixels, image.depth, metadata_of(file.chunks))

    def _layers(self, file: CodedFile, options: DecodeOptions) -> tuple[Chunk, ...]:
        """The chunks that the codec gets to see."""
        coded = tuple(chunk for chunk in file.chunks if chunk.tag.isupper())
        if file.cut is not None and not coded:
            raise file.cut
        if options.base:
            return coded[:1]
        if file.cut is not None:
            warnings.warn(PartialFile(f"{file.cut}; decoded its first layers, {len(coded)} in number"), stacklevel=2)
        if options.layers is None:
            return coded
        if options.layers > len(coded):
            raise Unsupported(f"the file has {len(coded)} layers, not {options.layers}")
        return coded[: options.layers]

    def _encode_within(self, image: Image, options: EncodeOptions, limit: int, fallback: Fallback | None) -> bytes:
        """The largest file of at most `limit` bytes."""
        code = self._at_qualities(image, options)

        def encode(quality: float) -> bytes:
            return self._pack(image, code(quality))

        if fallback is not None and (exact := fallback.within(limit)) is not None:
            return exact
        if self.info.accepts("quality"):
            try:
                if self._is_graded:
                    grades = self._grades(image, options)
                    return largest_of((self._pack(image, payload) for payload in reversed(grades)), limit)
                return largest_within(encode, limit)
            except Unsupported as error:
                exact = None if fallback is None else fallback.within(image.pixels.nbytes)
                hint = "" if exact is None else f"; without loss it has {len(exact):,}"
                raise Unsupported(f"{error}{hint}") from None
        data = self._pack(image, self.codec.encode(image, options))
        if len(data) > limit:
            raise Unsupported(
                f"the file of {self.name} has {len(data):,} bytes, above {limit:,}, and it has one size only; "
                "use a lossy model"
            )
        return data

    def _encode_reaching(self, image: Image, options: EncodeOptions, wanted: float, fallback: Fallback | None) -> bytes:
        """The smallest file of at least so many dB."""
        code = self._at_qualities(image, options)

        def shown(payload: Payload) -> tuple[bytes, float]:
            return self._pack(image, payload), psnr(image, self._shown(payload))

        if self.info.accepts("quality"):
            if self._is_graded:
                grades = self._grades(image, options)
                data = first_reaching(map(shown, grades), wanted)
            else:
                data = smallest_reaching(lambda quality: shown(code(quality)), wanted)
            return data if fallback is None else fallback.within(len(data)) or data
        data, found = shown(self.codec.encode(image, options))
        if found < wanted:
            raise Unsupported(f"the file of {self.name} has {found:.2f} dB, below {wanted:g}; it has one quality only")
        return data

    def _at_qualities(self, image: Image, options: EncodeOptions) -> Callable[[float], Payload]:
        """What codes an image at one quality after the other."""
        if isinstance(self.codec, Continuing):
            return self.codec.continued(image, options)
        return lambda quality: self.codec.encode(image, replace(options, quality=quality))

    @property
    def _is_graded(self) -> bool:
        """Whether a file of less quality is the beginning of a better one."""
        return self.info.layered and not self.info.lossless

    def _grades(self, image: Image, options: EncodeOptions) -> list[Payload]:
        """The best payload and its beginnings, the smallest first."""
        best = self.codec.encode(image, replace(options, quality=100.0))
        return [replace(best, chunks=best.chunks[:count]) for count in range(1, len(best.chunks) + 1)]

    def _shown(self, payload: Payload) -> Image:
        """What a payload of this model decodes to."""
        version = self.info.wire_version if payload.wire_version is None else payload.wire_version
        return self.codec.decode(replace(payload, wire_version=version), DecodeOptions())

    def _bound(self, image: Image, payload: Payload, promised: int | None) -> Bound | None:
        """What the file says of its errors, if a bound was asked for. Raises `BoundExceeded` where it is not kept."""
        if not promised:
            return None
        reached = payload.largest_error
        if reached is None:
            reached = largest_error(image, self._shown(payload))
        if reached > promised:
            raise BoundExceeded(f"{self.name} would be off by {reached}, above {promised}; nothing is written")
        return Bound(promised, reached)

    def _fallback(self, image: Image, options: EncodeOptions) -> Fallback | None:
        """What an image becomes that this model is not for, if there is a model for it."""
        if self.exact is None or not self.exact.info.takes_image(image):
            return None
        card, effort = self.exact, options.effort if options.effort in self.exact.info.efforts else None
        lossless = EncodeOptions(lossless=True, effort=effort, threads=options.threads)
        return Fallback(image, lambda: open_model(card).encode_with(image, lossless))

    def _pack(self, image: Image, payload: Payload, bound: Bound | None = None) -> bytes:
        version = self.info.wire_version if payload.wire_version is None else payload.wire_version
        header = Header(self.card.codec, version, self.card.digest, payload.shape, payload.depth)
        if lower := [chunk.tag for chunk in payload.chunks if not chunk.tag.isupper()]:
            raise ValueError(f"the codec {self.info.name!r} wrote a chunk {lower[0]!r}; its own have upper-case tags")
        promise = [] if bound is None else [bound.pack()]
        return pack(header, [*_metadata_chunks(image.metadata), *promise, *payload.chunks])


@dataclass(frozen=True)
class CodedFile:
    """A file taken apart; only codecs with layers decode one that was cut off."""

    header: Header
    chunks: list[Chunk]
    cut: CorruptFile | None = None
    """What is to be said of it where its end is missing."""

    @classmethod
    def parse(cls, data: Buffer, options: DecodeOptions) -> CodedFile:
        """Read a file, or its first `max_bytes`. Raises as `container.unpack`, but not of a cut file."""
        view = memoryview(data).cast("B")
        return cls(*unpack_cut(view[: options.max_bytes], options.max_pixels))


def open_model(
    card: ModelInfo, device: str | None = None, precision: str | None = None, exact: ModelInfo | None = None
) -> Model:
    """Load a model where it is to run; as `calotype.load`. `exact` is for images that it is not for."""
    device = resolve_device(device)
    if not card.is_foreign:
        return Model(card, registry.open_codec(card, device, precision), device, precision, exact)
    with mistakes_of(card):
        codec = registry.open_codec(card, device, precision)
    return Model(card, ForeignCodec(codec, card), device, precision, exact)


def reopen_model(card: ModelInfo, device: str | None, precision: str | None, exact: ModelInfo | None) -> Model:
    """Load a model that was pickled: the installed one with its digest, else the file it came from."""
    with suppress(WeightsNotFound):  # then it may lie where it lay
        card = registry.find_digest(card.codec, card.digest)
    return open_model(card, device, precision, exact)


def check_options(card: ModelInfo, options: EncodeOptions | DecodeOptions) -> None:
    """Refuse options that the model's codec does not take, and say what would do. Raises `Unsupported`."""
    info = card.info
    for option in asked(options):
        if info.accepts(option):
            continue
        others = [other.name for other in registry.list_models() if other.info.accepts(option)]
        hint = f"or choose a model that does: {', '.join(others)}" if others else "no installed model takes it"
        raise Unsupported(f"{card.name} takes no {option}; leave it out, {hint}")
    if not isinstance(options, EncodeOptions):
        return
    if options.effort is not None and options.effort not in info.efforts:
        raise Unsupported(f"{card.name} has efforts {min(info.efforts)} to {max(info.efforts)}, not {options.effort}")
    if options.lossless and not (info.lossless or info.accepts("lossless")):
        raise Unsupported(f"{card.name} is not lossless; leave out the model to take one that is")


def as_image(image: Any, exact: bool = False) -> Image:
    """An `Image` of what users have; `exact` as for `io.from_pillow`.

    Raises `WrongType` for what is none, `Unsupported` for what is not taken.
    """
    if isinstance(image, Image):
        return image
    if isinstance(image, np.ndarray):
        return Image.from_array(image)
    if hasattr(image, "getexif"):  # a Pillow image; Pillow may not even be imported
        return io.from_pillow(image, exact)
    raise WrongType(f"an image is an array, a calotype.Image or a Pillow image, not {type(image).__name__}")


def as_array(image: Image) -> Pixels:
    """The samples; without the last dimension where there is one channel."""
    return cast(Pixels, np.asarray(image))


def run_batch(work: Callable[[Item], Result], items: Iterable[Item], what: str, threads: int) -> list[Result]:
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


def _decode(codec: Codec, payload: Payload, options: DecodeOptions) -> Image:
    """What the codec decodes, cut to the view and region that were asked for where the codec does not do that."""
    *views, height, width, channels = payload.shape
    view, region = options.view, options.region
    if view is not None:
        _check_view(view, tuple(views))
    if region is not None:
        check_region(region, height, width)
    takes_view, takes_region = codec.info.accepts("view"), codec.info.accepts("region")
    inner = replace(options, view=view if takes_view else None, region=region if takes_region else None)
    image = codec.decode(payload, inner)
    decoded = image.pixels
    inner_views = () if inner.view is not None else tuple(views)
    inner_size = (inner.region.height, inner.region.width) if inner.region is not None else (height, width)
    if (decoded.shape, image.depth) != ((*inner_views, *inner_size, channels), payload.depth):
        raise Desync(f"decoded {decoded.shape} of {image.depth} bits where the file has {payload.shape}")
    if view is not None and not takes_view:
        decoded = decoded[view]
    if region is not None and not takes_region:
        x, y, w, h = region
        decoded = decoded[..., y : y + h, x : x + w, :]
    return Image(cast(Pixels, np.ascontiguousarray(decoded)), image.depth)


def _check_view(view: tuple[int, ...], views: tuple[int, ...]) -> None:
    if len(view) != len(views) or not all(0 <= index < count for index, count in zip(view, views, strict=True)):
        have = f"{'x'.join(map(str, views))} views, counted from 0" if views else "no views"
        raise Unsupported(f"there is no view {','.join(map(str, view))}: the file has {have}")


def _makes(info: CodecInfo, header: Header) -> bool:
    """Whether a codec could have written such a header."""
    *views, _, _, channels = header.shape
    return header.depth in info.depths and len(views) in info.views and channels in info.channels


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
    others = [model.name for model in registry.list_models() if model.info.takes_image(image)]
    if others:
        hint = f"these models do: {', '.join(others)}"
    elif image.depth > 8:
        hint = "reduce them to 8 bits first if that is good enough"
    else:
        hint = "no installed model does"
    raise Unsupported(f"the codec {info.name!r} does not take {what}; {hint}")


def _metadata_chunks(metadata: Metadata) -> list[Chunk]:
    entries = [(tag, getattr(metadata, field)) for tag, field in METADATA_TAGS.items()]
    return [Chunk(tag, body) for tag, body in entries if body is not None]


def metadata_of(chunks: Iterable[Chunk]) -> Metadata:
    """What the chunks of the container say beside the pixels."""
    return Metadata(**{METADATA_TAGS[chunk.tag]: chunk.body for chunk in chunks if chunk.tag in METADATA_TAGS})
