"""Flags that several verbs share, and those that are made from the options of encoding and decoding."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any, get_type_hints

import typer

from ..errors import Unsupported
from ..options import DEFAULT_MAX_PIXELS, DecodeOptions, EncodeOptions, Region, flags

LIMIT = DEFAULT_MAX_PIXELS

Out = Annotated[
    str | None,
    typer.Option("-o", "--output", help="File, or folder for several inputs; - is stdout. Default: beside the input."),
]
Force = Annotated[bool, typer.Option("-f", "--force", help="Overwrite files.")]
Skip = Annotated[bool, typer.Option("-n", "--skip-existing", help="Skip what is there already: go on with a cut run.")]
Jobs = Annotated[
    int, typer.Option("-j", "--jobs", min=0, help="Processes for several inputs, with a thread each; 0: one per core.")
]
Device = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Run networks with PyTorch on cpu, cuda, cuda:1 ... Default: ONNX Runtime."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per input on stdout.")]


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


_PARSERS: dict[str, Callable[[str], Any]] = {"region": parse_region, "view": parse_view}


def _flag(options: type[EncodeOptions] | type[DecodeOptions], name: str) -> Any:
    """What the command line knows of an option."""
    flag, parser = flags(options)[name], _PARSERS.get(name)
    if parser is not None:
        return typer.Option(*flag.names, help=flag.help, metavar=flag.metavar, parser=parser)
    return typer.Option(*flag.names, help=flag.help, min=flag.least, max=flag.most)


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
