"""`calotype rdp`: rate, distortion and perception of a source."""

from __future__ import annotations

import json as to_json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .failures import need, say
from .options import Json
from .progress import bench_bar, passing_bar

if TYPE_CHECKING:
    from ..rdp import Solution, Source

POINTS, SURFACE = "points.json", "surface.png"
CODECS, LEARNED = "digits.json", "digits.png"


def rdp(
    source: Annotated[str, typer.Option(metavar="LIST", help="Probabilities of a discrete source, as 0.3,0.7.")] = "",
    distortion: Annotated[
        str,
        typer.Option(metavar="NAME", help="hamming, squared or absolute, or a CSV file: d(x, y), a row for each x."),
    ] = "hamming",
    perception: Annotated[
        Literal["tv", "kl", "wasserstein"],
        typer.Option(help="Total variation, D(p_X || p_Y) in bits, or Wasserstein-1."),
    ] = "tv",
    places: Annotated[str, typer.Option(metavar="LIST", help="Where symbols lie on a line. Default: 0,1,2,...")] = "",
    max_distortion: Annotated[
        str,
        typer.Option("-D", metavar="LIST", help="Bounds on the distortion. Default: 25, up to where the rate is 0."),
    ] = "",
    max_perception: Annotated[
        str,
        typer.Option(
            "-P", metavar="LIST", help="Bounds on the perception; inf: none. Default: evenly from 0, and inf."
        ),
    ] = "",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Folder for the table as JSON and a plot.")
    ] = None,
    json: Json = False,
    digits: Annotated[
        bool, typer.Option("--digits", help="Train codecs for scikit-learn's digits, at several rates and weights.")
    ] = False,
    steps: Annotated[int, typer.Option(min=1, help="Steps of training of each codec of digits.")] = 800,
    seed: Annotated[int, typer.Option(help="Where all randomness of digits starts.")] = 0,
    threads: Annotated[int, typer.Option("-T", "--threads", min=1, help="Threads that train codecs of digits.")] = 1,
) -> None:
    """Compute the rate that a bound on distortion and one on perception need.

    Perception is the distance between the distributions of a source and of what is decoded (Blau and Michaeli 2019). Of
    a discrete source the rate is computed exactly, for all given bounds. With --digits, codecs are trained with a
    critic and measured on digits that were held out; that takes some minutes.
    """
    if digits == bool(source):
        raise typer.BadParameter("name a --source, as 0.3,0.7, or --digits")
    if digits:
        _digits(out, json, steps, seed, threads)
    else:
        from ..rdp import Source

        chosen = distortion if distortion in ("hamming", "squared", "absolute") else _matrix(distortion)
        given = Source(_numbers(source), chosen, _numbers(places) if places else None)
        _discrete(given, perception, _numbers(max_distortion), _numbers(max_perception), out, json)


def _discrete(
    source: Source, measure: Any, distortions: list[float], perceptions: list[float], out: Path | None, json: bool
) -> None:
    from ..rdp import grid, solve

    if out is not None:
        need("matplotlib")
    distortions, perceptions = grid(source, measure, distortions, perceptions)
    table: list[list[Solution]] = []
    with passing_bar("solving") as advance:
        for done, limit in enumerate(distortions, 1):
            table.append([solve(source, limit, p, measure) for p in perceptions])
            advance(done, len(distortions))
    records = [
        {
            "max_distortion": d,
            "max_perception": p if math.isfinite(p) else None,
            "rate": point.rate,
            "lower": point.lower,
            "distortion": point.distortion,
            "perception": point.perception if math.isfinite(point.perception) else None,
            "channel": point.channel.tolist(),
        }
        for d, row in zip(distortions, table, strict=True)
        for p, point in zip(perceptions, row, strict=True)
    ]
    _print(records, ("max_distortion", "max_perception", "rate", "distortion", "perception"), json)
    if out is not None:
        from ..rdp.plot import plot_surface

        _write(out / POINTS, records)
        plot_surface(table, distortions, perceptions, measure, out / SURFACE)
        say(f"{len(records)} points in {out / POINTS}, drawn in {out / SURFACE}")


def _digits(out: Path | None, json: bool, steps: int, seed: int, threads: int) -> None:
    need("torch", "sklearn", *(["matplotlib"] if out is not None else []))
    import torch

    from ..rdp.learn import held_out, learn, load_digits

    torch.set_num_threads(threads)
    samples = load_digits()
    with bench_bar("training") as advance:
        codecs = learn(samples, steps=steps, seed=seed, report=advance)
    names = ("bits", "latents", "levels", "weight", "distortion", "perception")
    records = [{name: getattr(codec, name) for name in names} for codec in codecs]
    _print(records, names, json)
    if out is not None:
        from ..rdp.plot import plot_learned

        _write(out / CODECS, records)
        plot_learned(codecs, held_out(samples, seed)[0], 8, out / LEARNED)
        say(f"{len(records)} codecs in {out / CODECS}, drawn in {out / LEARNED}")


def _print(records: list[dict[str, Any]], names: tuple[str, ...], json: bool) -> None:
    """Objects, one a line; or a table, in which a bound that is none is a dash."""
    if json:
        for record in records:
            print(to_json.dumps(record))
        return
    print("  ".join(f"{name:>14}" for name in names))
    for record in records:
        print(
            "  ".join(f"{'-' if record[name] is None else format(round(record[name], 9), '.6g'):>14}" for name in names)
        )


def _write(path: Path, records: list[dict[str, Any]]) -> None:
    from ..io import write_bytes

    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(to_json.dumps(record) for record in records)
    write_bytes(path, f"[\n{lines}\n]\n".encode())


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",") if word.strip()]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers with commas") from None


def _matrix(name: str) -> list[list[float]]:
    if not Path(name).is_file():
        raise typer.BadParameter(f"{name!r} is neither hamming, squared or absolute, nor a CSV file")
    return [_numbers(line) for line in Path(name).read_text(encoding="utf-8").splitlines() if line.strip()]
