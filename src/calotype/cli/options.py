"""Flags that several verbs share, and those that are made from the options of encoding and decoding."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from ..errors import Unsupported
from ..options import DEFAULT_MAX_PIXELS, DecodeOptions, EncodeOptions, Region, flags

LIMIT = DEFAULT_MAX_PIXELS

Out = Annotated[
    str | None,
    typer.Option("-o", "--output", help="File, or folder for several inputs; - is stdout. Default: beside the input."),
]
Force = Annotated[bool, typer.Option("-f", "--force", help="Overwrite files, and do what looks like a slip.")]
Skip = Annotated[bool, typer.Option("-n", "--skip-existing", help="Skip what is there already: go on with a cut run.")]
Recursive = Annotated[
    bool, typer.Option("-r", "--recursive", help="Take the folders in folders, too; -o gets the same tree.")
]
Jobs = Annotated[
    int, typer.Option("-j", "--jobs", min=0, help="Processes for several inputs, with a thread each; 0: one per core.")
]
Device = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Run networks with PyTorch on cpu, cuda, cuda:1 ... Default: ONNX Runtime."),
]
Strip = Annotated[bool, typer.Option("--strip", help="Leave out all metadata: colour profile, Exif, XMP and others.")]
Perceptual = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="SqueezeNet's weights, for LPIPS and distances of patches. Default: beside CALOTYPE_DATA."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per input on stdout.")]


def complete_model(typed: str) -> list[str]:
    """For shells: names of installed models."""
    from ..registry import list_models

    return [model.name for model in list_models() if model.name.startswith(typed)]


def parse_region(text: str) -> Region:
    """X,Y,W,H in pixels."""
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not X,Y,W,H in pixels") from None
    if min(x, y) < 0 or min(width, height) < 1:
        raise typer.BadParameter(f"{text!r}: X and Y start at 0, W and H at 1")
    return Region(x, y, width, height)


def parse_view(text: str) -> tuple[int, ...]:
    """N or U,V."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not the number of a view, or two with a comma") from None


def parse_size(text: str) -> int:
    """Bytes: 8000, 200k, 1.5M."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([kMG]?)(i?)B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a size in bytes, such as 8000, 200k, 1.5M or 64Ki")
    number, prefix, binary = match.groups()
    return int(Decimal(number) * (1024 if binary else 1000) ** " KMG".index(prefix.upper() or " "))


def parse_time(text: str) -> float:
    """Seconds: 90, 60s, 5m, 1.5h, 1h30m."""
    parts = re.findall(r"(\d+\.?\d*|\.\d+)\s*([smh]|$)", text.strip())
    if not parts or "".join(number + unit for number, unit in parts) != re.sub(r"\s", "", text):
        raise typer.BadParameter(f"{text!r} is not a time, such as 90, 60s, 5m or 1h30m")
    return sum(float(number) * {"": 1, "s": 1, "m": 60, "h": 3600}[unit] for number, unit in parts)


_PARSERS: dict[str, Callable[[str], Any]] = {
    "region": parse_region,
    "view": parse_view,
    "target_bytes": parse_size,
    "max_bytes": parse_size,
    "seconds": parse_time,
}


def _flag(options: type[EncodeOptions] | type[DecodeOptions], name: str) -> Any:
    """What the command line knows of an option."""
    flag, parser = flags(options)[name], _PARSERS.get(name)
    if parser is not None:
        return typer.Option(*flag.names, help=flag.help, metavar=flag.metavar, parser=parser)
    return typer.Option(
        *flag.names, help=flag.help, min=flag.least, max=flag.most, metavar="|".join(flag.choices) or flag.metavar
    )


Threads = Annotated[int, _flag(DecodeOptions, "threads")]
MaxPixels = Annotated[int, _flag(DecodeOptions, "max_pixels")]


def takes(options: type[EncodeOptions] | type[DecodeOptions]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb the flags of all options: they arrive as one object in its parameter `options`."""
    names = [entry.name for entry in fields(options)]

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(verb)
        def with_flags(**arguments: Any) -> None:
            try:
                asked = options(**{name: arguments.pop(name) for name in names})
            except Unsupported as error:
                raise typer.BadParameter(str(error)) from None
            verb(options=asked, **arguments)

        only, hints = inspect.Parameter.KEYWORD_ONLY, get_type_hints(options)
        own = [
            inspect.Parameter(
                entry.name,
                only,
                default=entry.default,
                annotation=Annotated[Any if entry.name in _PARSERS else hints[entry.name], _flag(options, entry.name)],
            )
            for entry in fields(options)
        ]
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(verb, eval_str=True).parameters.values():
            parameters += own if parameter.name == "options" else [parameter.replace(kind=only)]
        with_flags.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_flags.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return with_flags

    return decorate
