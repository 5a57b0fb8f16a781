"""`calotype`: one command line for everything.

Exit status: 0 good; 1 bad data, a missing model, input or output that failed; 2 a command line that makes no
sense. Errors are one line on stderr; with CALOTYPE_DEBUG set they are tracebacks.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .. import __version__
from ..errors import CalotypeWarning
from .failures import DEBUG, OutputFailed, explain, fail, flush_output, say
from .interrupts import leave, stopping

VERBS = (
    "encode",
    "decode",
    "info",
    "verify",
    "models",
    "compare",
    "bench",
    "report",
    "votes",
    "train",
    "curves",
    "export",
    "adapt",
    "quantise",
    "rdp",
)
_COMPLETION = "_CALOTYPE_COMPLETE"
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]  # typer carries its own click, or did not


class _Verbs(TyperGroup):
    """Imports a verb's file when the verb, or its line of help, is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f".{cmd_name}", __package__)
        verb = typer.Typer(rich_markup_mode=None, add_completion=False)
        verb.command(cmd_name, context_settings=_HELP)(getattr(module, cmd_name))
        return typer.main.get_command(verb)


_HELP = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    cls=_Verbs, name="calotype", rich_markup_mode=None, context_settings=_HELP, pretty_exceptions_enable=False
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"calotype {__version__}")
        raise typer.Exit


@app.callback()
def _calotype(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Learned image compression: images to small .calo files and back."""


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    arguments = list(sys.argv[1:] if args is None else args)
    warnings.showwarning = _show_warning
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")  # no name is too odd to be printed
    with stopping():
        sys.exit(_status(arguments or ["--help"]))


def run(arguments: list[str]) -> int:
    """Run one command; its exit status. Raises what went wrong."""
    command = typer.main.get_command(app)
    if _COMPLETION in os.environ:  # a shell asks
        command.main(prog_name="calotype")
    try:
        with command.make_context("calotype", arguments) as context:
            command.invoke(context)
            return 0
    except typer.Exit as end:
        return end.exit_code


def _status(arguments: list[str]) -> int:
    """Exit status of a command; what went wrong is said."""
    try:
        status = run(arguments)
        flush_output()
        return status
    except _UsageError as error:
        fail(f"{error.format_message()} ({' '.join(_path(error))} --help shows how)")  # type: ignore[attr-defined]
        return 2
    except typer.Abort:
        return 130
    except (OutputFailed, BrokenPipeError) as error:
        fail(f"standard output: {error.strerror}")
        leave(1)  # a usual end would try once more to write what is left
    except Exception as error:
        if DEBUG in os.environ:
            raise
        fail(explain(error))
        return 1


def _path(error: Any) -> list[str]:
    """The command that was misused, as words."""
    context = getattr(error, "ctx", None)
    return [context.command_path] if context is not None else ["calotype"]


def _show_warning(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    kind = "note" if issubclass(category, CalotypeWarning) else f"warning: {category.__name__}"
    say(f"calotype: {kind}: {message}")
