"""How a bench names a model and what it is asked for: `NAME`, and behind it `@` and an option, any number of times.

`prism.photo@7` is at effort 7, `NAME@realism=0.5` decodes with that option, `NAME@max_error` is measured at a ladder of
error bounds. The options are the fields of `EncodeOptions` and `DecodeOptions` that reach a codec.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_type_hints

from ...errors import Unsupported
from ...options import DecodeOptions, EncodeOptions, flags

BOUND = "max_error"


@dataclass(frozen=True)
class Spec:
    """A model and its options."""

    place: str
    """Name of an installed model, or path of a weights file."""
    suffix: str
    """The options as they were written, each with its `@`."""
    encode: EncodeOptions
    decode: DecodeOptions
    bounds: bool
    """Whether it is measured at a ladder of error bounds."""


def parse(text: str) -> Spec:
    """Take a name apart. Raises `Unsupported` for values that an option cannot have."""
    place, words = text, list[str]()
    while (split := place.rpartition("@"))[0] and _is_option(split[2]):
        place, words = split[0], [split[2], *words]
    given = dict(_value(word) for word in words)
    bounds = BOUND in given and given[BOUND] is None
    encode = {name: value for name, value in given.items() if name in _ENCODE and value is not None}
    decode = {name: value for name, value in given.items() if name in _DECODE}
    suffix = "".join(f"@{word}" for word in words)
    return Spec(place, suffix, EncodeOptions(**encode), DecodeOptions(**decode), bounds)


_ENCODE = {name for name, flag in flags(EncodeOptions).items() if not flag.served} | {"lossless"}
_DECODE = {name for name, flag in flags(DecodeOptions).items() if not flag.served}
_TYPES = get_type_hints(EncodeOptions) | get_type_hints(DecodeOptions)


def _is_option(word: str) -> bool:
    name = word.partition("=")[0]
    return word.isdecimal() or name in _ENCODE or name in _DECODE


def _value(word: str) -> tuple[str, Any]:
    """Name and value; a number alone is an effort, and a bound may be left open."""
    if word.isdecimal():
        return "effort", int(word)
    name, equals, text = word.partition("=")
    if _TYPES[name] is bool and not equals:
        return name, True
    if name == BOUND and not equals:
        return name, None
    if _TYPES[name] == str | None:
        return name, text
    try:
        return name, float(text) if _TYPES[name] == float | None else int(text)
    except ValueError:
        raise Unsupported(f"@{word}: {name} needs a number, such as {name}=1") from None
