"""`calotype`: one command line for everything.

Exit status: 0 good; 1 bad data, a missing model, input or output that failed; 2 a command line that makes no
sense. Errors are one line on stderr; with CALOTYPE_DEBUG set they are tracebacks.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .. import __version__
from ..errors import CalotypeWarning
from .failures import DEBUG, explain, fail, say

VERBS = (
    "encode",
    "decode",
    "info",
    "verify",
    "models",
    "compare",
    "bench",
    "report",
    "train",
    "curves",
    "export",
    "quantise",
)
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
    signal.signal(signal.SIGTERM, _stop)  # so that a half-written file is cleaned up as after Ctrl-C
    warnings.showwarning = _show_warning
    try:
        status = run(arguments or ["--help"])
    except _UsageError as error:
        fail(f"{error.format_message()} ({' '.join(_path(error))} --help shows how)")  # type: ignore[attr-defined]
        status = 2
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except Exception as error:
        if DEBUG in os.environ:
            raise
        fail(explain(error))
        status = 1
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Run one command; its exit status. Raises what went wrong."""
    status = typer.main.get_command(app).main(arguments, prog_name="calotype", standalone_mode=False)
    return int(status or 0)


def _path(error: Any) -> list[str]:
    """The command that was misused, as words."""
    context = getattr(error, "ctx", None)
    return [context.command_path] if context is not None else ["calotype"]


def _show_warning(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    kind = "note" if issubclass(category, CalotypeWarning) else f"warning: {category.__name__}"
    say(f"calotype: {kind}: {message}")


def _stop(number: int, frame: object) -> None:
    sys.exit(128 + number)
