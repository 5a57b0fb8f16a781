"""Writes what pages take from the code: cli.md, tables of formats.md, files that how-tos show. `make docs` runs it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import typer

from calotype.cli.app import VERBS, app

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/cli.md"
SHOWN = re.compile(r"(<!-- file: (\S+) -->\n```[^\n]*\n).*?(?=```$)", re.DOTALL | re.MULTILINE)

HEAD = """# Command line

Made by `make docs` from the program; do not edit.

- The exit status is 0 if all went well, 1 for bad data, a missing model, or an input or output that failed, and 2 for a
  command line that makes no sense.
- Errors are one line on stderr. Progress goes to stderr too.
- `-` is stdin or stdout.
- Nothing is overwritten without `-f`, and a run that fails leaves no output file. Folders of outputs are made.
- What looks like a slip needs `-f`, too: a `.calo` file with the name of an image, an output that is the input, and
  coding a `.calo` file again.
- Sizes in bytes may end in `k`, `M` or `G` (1000, a million ...), `Ki`, `Mi` or `Gi` (1024 ...).
- Ctrl-C and SIGTERM end a command at once, with the status 130 or 143. Files that were finished stay; none is half
  written.
- `calotype --install-completion` lets your shell complete verbs, options and the names of models.

| environment variable | what |
| --- | --- |
| `CALOTYPE_WEIGHTS` | folders with further weights, separated as in `PATH` |
| `CALOTYPE_PRECISION` | `float` or `int8` instead of the faster one, for networks that decide no integers of a file |
| `CALOTYPE_DEBUG` | `1` shows tracebacks |

`--json` prints one object per input, with at least `input`, `output`, `bytes`, `width`, `height`, `bpp` and `seconds`;
`bytes` and `bpp` are those of the `.calo` file. An input that failed has `input` and `error`. One that `-n` left out
has `input`, `output` and `skipped`."""


def render() -> str:
    """The whole page."""
    group = typer.main.get_command(app)
    context = typer.Context(group, info_name="calotype")
    parts = [HEAD]
    for verb in VERBS:
        command = group.get_command(context, verb)  # type: ignore[attr-defined]
        parts += [f"## calotype {verb}", inspect.cleandoc(command.help or ""), f"`{_usage(verb, command)}`"]
        parts += [_options(command)]
    return "\n\n".join(parts) + "\n"


def show_files(page: str) -> str:
    """A page with the present text of the files that it shows, each in the block below a comment that names it."""
    return SHOWN.sub(lambda match: match[1] + (ROOT / match[2]).read_text(encoding="utf-8"), page)


def _usage(verb: str, command: Any) -> str:
    arguments = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = parameter.metavar or parameter.name.upper()
            arguments.append(f"{name} [{name}...]" if parameter.nargs == -1 else name)
    return " ".join(["calotype", verb, *arguments, "[OPTIONS]"])


def _options(command: Any) -> str:
    rows = ["| option | what | default |", "| --- | --- | --- |"]
    for parameter in command.params:
        if parameter.param_type_name == "option" and not parameter.hidden and parameter.name != "help":
            names = ", ".join(f"`{name}`" for name in sorted({*parameter.opts, *parameter.secondary_opts}, key=len))
            rows.append(f"| {names} | {_cell(parameter.help)} | {_default(parameter)} |")
    return "\n".join(rows)


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    return "" if value is None or isinstance(value, bool) or callable(value) else f"`{value}`"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", r"\|")


if __name__ == "__main__":
    import formats

    PAGE.write_text(render(), encoding="utf-8")
    formats.PAGE.write_text(formats.fill(formats.PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    for path in ROOT.glob("docs/howto/*.md"):
        path.write_text(show_files(path.read_text(encoding="utf-8")), encoding="utf-8")
