"""`calotype votes`: codecs ranked by what people prefer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def votes(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Votes saved from vote.html, of any voters.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object per codec on stdout.")] = False,
) -> None:
    """Rank codecs by votes, on Elo's scale.

    `calotype report` makes the page for votes. Ranks are Elo's as Bradley and Terry's strengths of greatest likelihood,
    which no order of votes changes; the mean is 1500. Intervals of 95 % come from votes drawn again 1000 times.
    """
    from dataclasses import asdict
    from json import dumps

    from ..evaluate.report.vote import standings_table
    from ..evaluate.tables.votes import read_votes, standings

    found = standings(read_votes(files))
    if json:
        for each in found:
            print(dumps(asdict(each)))
    else:
        print(standings_table(found))
