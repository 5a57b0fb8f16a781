"""What encoding and decoding can be asked for: every option is declared here, once.

A codec names the options it takes in its `CodecInfo`. Everything between the user and the codec hands one object on.
The command line makes its flags from these fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Any, NamedTuple, TypedDict

from .errors import Unsupported, WrongType

DEFAULT_MAX_PIXELS = 500_000_000


class Region(NamedTuple):
    """A rectangle in pixels; `x, y` is its upper left corner."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Flag:
    """How one option looks to a user."""

    names: tuple[str, ...]
    """On the command line."""
    help: str
    least: float | None = None
    most: float | None = None
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    """Values it has, where they are words."""
    served: bool = False
    """Whether every codec can be asked: the option is met outside the codec, or the codec may leave it to others."""


def _flag(*names: str, help: str, **more: Any) -> dict[str, Flag]:
    return {"flag": Flag(names, help, **more)}


@dataclass(frozen=True)
class Target:
    """What a file must keep to, in place of a quality: one of these is given."""

    bytes: int | None = None
    bpp: float | None = None
    """Bits per pixel, over all views."""
    psnr: float | None = None
    """In dB, of the colours that can be seen: the smallest file that reaches it."""

    def limit(self, pixels: int) -> int | None:
        """Largest size in bytes for an image of so many pixels, if a size is what is asked for."""
        if self.bytes is not None:
            return self.bytes
        return None if self.bpp is None else int(self.bpp * pixels / 8)


@dataclass(frozen=True)
class EncodeOptions:
    """What an encoder is asked for.

    Raises
    ------
    Unsupported
        No codec can take a value, or two options exclude each other.
    """

    quality: float | None = field(
        default=None,
        metadata=_flag(
            "-q", "--quality", least=0, most=100, help="0 (smallest) to 100 (best); default: the model's own."
        ),
    )
    lossless: bool = field(
        default=False,
        metadata=_flag("--lossless", served=True, help="Every pixel comes back as it was; takes a lossless model."),
    )
    max_error: int | None = field(
        default=None,
        metadata=_flag(
            "--max-error",
            least=0,
            most=65535,
            help="No sample is off by more than this (0: lossless); for models with a bound.",
        ),
    )
    effort: int | None = field(
        default=None,
        metadata=_flag(
            "-e",
            "--effort",
            least=1,
            most=9,
            help="1 (quickest) to 9 (fewest bits for what is shown), of models that have efforts.",
        ),
    )
    seconds: float | None = field(
        default=None,
        metadata=_flag(
            "--time",
            metavar="TIME",
            least=0.1,
            help="As long on the clock, for each image: 90, 60s, 5m; in place of an effort, of models that fit.",
        ),
    )
    tune: str | None = field(
        default=None,
        metadata=_flag(
            "--tune",
            choices=("psnr", "ms-ssim"),
            help="What a file of this size should be best in, of models that fit: psnr (default) or ms-ssim.",
        ),
    )
    target_bytes: int | None = field(
        default=None,
        metadata=_flag(
            "--target-size",
            "--target-bytes",
            metavar="SIZE",
            least=1,
            served=True,
            help="Largest file of at most so many bytes: 8000, 200k, 1.5M.",
        ),
    )
    target_bpp: float | None = field(
        default=None,
        metadata=_flag("--target-bpp", least=0, served=True, help="Largest file of at most so many bits per pixel."),
    )
    target_psnr: float | None = field(
        default=None,
        metadata=_flag("--target-psnr", least=0, most=100, served=True, help="Smallest file of at least so many dB."),
    )
    threads: int = field(
        default=0,
        metadata=_flag("-T", "--threads", least=0, served=True, help="Processor threads; 0: up to the machine."),
    )

    def __post_init__(self) -> None:
        _check_ranges(self)
        choices = ("quality", "target_bytes", "target_bpp", "target_psnr")
        rates = [name for name in choices if getattr(self, name) is not None]
        if len(rates) > 1:
            raise Unsupported(f"give only one of {' and '.join(rates)}")
        if self.seconds is not None and (self.effort is not None or rates not in ([], ["quality"])):
            other = "effort" if self.effort is not None else rates[0]
            raise Unsupported(f"a time is that of one fit; give only one of seconds and {other}")
        if self.target_bpp == 0:
            raise Unsupported("a target of 0 bits per pixel is no size; it must be positive")
        if self.lossless and (self.quality is not None or self.max_error is not None):
            other = "quality" if self.quality is not None else "max_error"
            raise Unsupported(f"lossless files have no {other}; give only one of {other} and lossless")
        if self.max_error is not None and rates:
            raise Unsupported(f"a bound on the error decides the rate; give only one of max_error and {rates[0]}")

    @property
    def target(self) -> Target | None:
        """What the file must keep to in place of a quality, if that is asked for."""
        target = Target(self.target_bytes, self.target_bpp, self.target_psnr)
        return None if target == Target() else target

    @property
    def plain(self) -> EncodeOptions:
        """The same without a target: what a codec gets."""
        return replace(self, target_bytes=None, target_bpp=None, target_psnr=None)


class EncodeKeywords(TypedDict, total=False):
    """`EncodeOptions` as keywords beside `quality`, for type checkers."""

    lossless: bool
    max_error: int | None
    effort: int | None
    seconds: float | None
    tune: str | None
    target_bytes: int | None
    target_bpp: float | None
    target_psnr: float | None
    threads: int


@dataclass(frozen=True)
class DecodeOptions:
    """What a decoder is asked for.

    Raises
    ------
    Unsupported
        No codec can take a value.
    """

    region: Region | None = field(
        default=None,
        metadata=_flag("--region", metavar="X,Y,W,H", served=True, help="Decode only this rectangle, in pixels."),
    )
    view: tuple[int, ...] | None = field(
        default=None,
        metadata=_flag(
            "--view", metavar="N or U,V", served=True, help="Decode only this view of a file with several, from 0."
        ),
    )
    layers: int | None = field(
        default=None, metadata=_flag("--layers", least=1, help="Decode only so many layers, of files that have layers.")
    )
    base: bool = field(
        default=False,
        metadata=_flag("--base", help="Decode only the first layer, of files that have layers, whole or cut off."),
    )
    max_bytes: int | None = field(
        default=None,
        metadata=_flag(
            "--max-bytes",
            metavar="SIZE",
            least=1,
            help="Decode what the file's first bytes give, of files that have layers.",
        ),
    )
    realism: float | None = field(
        default=None,
        metadata=_flag(
            "--realism", least=0, most=1, help="0 (most faithful) to 1 (most natural), of models that can choose."
        ),
    )
    seed: int | None = field(
        default=None, metadata=_flag("--seed", least=0, help="Of invented texture: the same seed gives the same image.")
    )
    threads: int = field(
        default=0,
        metadata=_flag("-T", "--threads", least=0, served=True, help="Processor threads; 0: up to the machine."),
    )
    max_pixels: int | None = field(
        default=DEFAULT_MAX_PIXELS,
        metadata=_flag("--max-pixels", least=1, served=True, help="Refuse files that declare more."),
    )

    def __post_init__(self) -> None:
        _check_ranges(self)
        if self.base and self.layers is not None:
            raise Unsupported("the base is the first layer; give only one of layers and base")

    @classmethod
    def of(cls, **keywords: Any) -> DecodeOptions:
        """From `DecodeKeywords`, where a region may be a plain tuple and a view a plain number."""
        region, view = keywords.pop("region", None), keywords.pop("view", None)
        return cls(
            region=None if region is None else Region(*region),
            view=(int(view),) if isinstance(view, Integral) else view,
            **keywords,
        )


class DecodeKeywords(TypedDict, total=False):
    """`DecodeOptions` as keywords, for type checkers."""

    region: Region | tuple[int, int, int, int] | None
    view: int | tuple[int, ...] | None
    layers: int | None
    base: bool
    max_bytes: int | None
    realism: float | None
    seed: int | None
    threads: int
    max_pixels: int | None


def flags(options: type[EncodeOptions] | type[DecodeOptions]) -> dict[str, Flag]:
    """The flag of each option, by its name."""
    return {entry.name: entry.metadata["flag"] for entry in fields(options)}


def asked(options: EncodeOptions | DecodeOptions) -> Iterator[str]:
    """Names of the options that are not left at their default and must be taken by a codec."""
    for entry in fields(options):
        if not entry.metadata["flag"].served and getattr(options, entry.name) != entry.default:
            yield entry.name


def _check_type(name: str, value: object, kind: str) -> None:
    """Refuse what is of another type than the field's, as `True` where a number belongs. Raises `WrongType`."""
    if value is None:
        fits = "None" in kind
    elif kind.startswith(("int", "float")):
        fits = isinstance(value, Integral if kind.startswith("int") else Real) and not isinstance(value, bool)
    else:
        fits = isinstance(value, {"bool": bool, "str | None": str}.get(kind, tuple))
    if not fits:
        raise WrongType(f"{name} is {kind.replace('|', 'or')}, not {value!r}")


def _check_ranges(options: EncodeOptions | DecodeOptions) -> None:
    kinds = {entry.name: str(entry.type) for entry in fields(options)}
    for name, flag in flags(type(options)).items():
        value = getattr(options, name)
        _check_type(name, value, kinds[name])
        if isinstance(value, str) and value not in flag.choices:
            raise Unsupported(f"{name} {value!r}: it must be {' or '.join(flag.choices)}")
        if value is None or isinstance(value, (bool, tuple, str)):
            continue
        too_small = flag.least is not None and not value >= flag.least  # `not` refuses NaN
        if too_small or (flag.most is not None and value > flag.most):
            upper = "or more" if flag.most is None else f"to {flag.most:g}"
            raise Unsupported(f"{name} {value}: it must be {flag.least:g} {upper}")
        if value == float("inf"):
            raise Unsupported(f"{name} {value} is no size")
