"""`calotype bench`: codecs and their rivals over images, into a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import studies
from .failures import need, say
from .options import Perceptual
from .progress import bench_bar

if TYPE_CHECKING:
    from ..evaluate.measure.images import ImageFile
    from ..evaluate.rivals import Rival
    from ..evaluate.tables.rows import Row

USUAL, ALL, NONE, SURVEY = "usual", "all", "none", "survey"
SHOWN = 5  # failures; all stand in the table


def bench(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES...", help="Images, or folders of images.")],
    codecs: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="Models, weights files, all, survey, none; options behind @ (as prism.photo@3). Default: the default.",
        ),
    ] = "",
    rivals: Annotated[
        str,
        typer.Option(metavar="LIST", help="Rivals, or usual, lossy, lossless, lossless-16, near-lossless, all, none."),
    ] = USUAL,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the results; a cut run there goes on.")] = Path(
        "bench"
    ),
    metrics: Annotated[
        str,
        typer.Option(metavar="LIST", help="As psnr, psnr_y, ms_ssim, largest_error, lpips_squeeze, ssimulacra2."),
    ] = "",
    perceptual: Perceptual = None,
    qualities: Annotated[str, typer.Option(metavar="LIST", help="Ladder of lossy models. Default: 0,10,...,100.")] = "",
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=0, help="Codings at a time; 0: as many as cores.")] = 0,
    speed: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="What is timed in turns afterwards; usual: models, AVIF and JPEG XL, if no page is made. Or none.",
        ),
    ] = USUAL,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for one image at one quality.")] = 600,
    keep: Annotated[
        bool, typer.Option("--files/--no-files", help="Keep the coded files, which the report shows.")
    ] = True,
    rgb: Annotated[bool, typer.Option("--rgb", help="Convert all images to 8-bit RGB first.")] = False,
    views: Annotated[
        str, typer.Option(metavar="SHAPE", help="Files that make one image: 2 for pairs, 9x9 for a light field.")
    ] = "",
    survey: Annotated[
        bool,
        typer.Option("--survey", help="Compare a model of each class that is installed: survey.md and plots in DIR."),
    ] = False,
    realism: Annotated[
        str,
        typer.Option(
            metavar="LIST", help="Draw distortion against perception at these, as 0,0.5,1: realism.md and plots in DIR."
        ),
    ] = "",
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Page that gets either between its marks instead.")
    ] = None,
) -> None:
    """Measure models and rivals on images.

    Every image is coded and decoded at every rung of each codec's ladder, as it is: grey, colours, alpha, 8 or 16
    bits. DIR gets a row for each in rows.parquet, clocks in speed.parquet, and the coded files. Failures, and images
    that a codec does not take, become rows too. `calotype report DIR` makes a page of it. --survey takes the codecs
    `survey` where none are named, and it and --realism the metrics psnr,ms_ssim,lpips_squeeze.
    """
    from ..api import load
    from ..evaluate.measure.images import find_images
    from ..evaluate.measure.metrics import DEFAULT_METRICS, find_metrics
    from ..evaluate.measure.run import bench as measure
    from ..evaluate.report.markdown import check_marks
    from ..parallel import cores

    looks = _numbers(realism, most=1)
    if survey and looks:
        raise typer.BadParameter("--survey and --realism make a page each; run them one after the other")
    studied = "--survey" if survey else "--realism" if looks else None
    if page is not None and studied is None:
        raise typer.BadParameter("--page takes what --survey or --realism finds; name one of them")
    if studied and not keep:
        raise typer.BadParameter(f"{studied} looks into the files; leave out --no-files")
    need("pyarrow", *(studies.NEEDED if studied else ()), *(["onnx"] if survey else []))
    if page is not None:
        check_marks(page)
    found = find_images(images, _shape(views), rgb=rgb)
    models = _words(codecs) or ([SURVEY] if survey else [load().name])
    subjects = _subjects(studies.at_realism(models, looks) if looks else models, rivals, _numbers(qualities))
    chosen = find_metrics(_words(metrics) or (studies.METRICS if studied else DEFAULT_METRICS), perceptual)
    with bench_bar("measuring") as advance:
        rows = measure(
            found,
            subjects,
            out,
            metrics=chosen,
            jobs=jobs or cores(),
            timeout=timeout,
            keep_files=keep,
            report=lambda progress: advance(progress.done, progress.total, progress.row.codec if progress.row else ""),
        )
    for reason, count in Counter(row.error for row in rows if not row.applicable).items():
        say(f"not applicable: {reason} ({count} {'row' if count == 1 else 'rows'})")
    failed = [row for row in rows if row.error is not None and row.applicable]
    for row in failed[:SHOWN]:
        say(f"failed: {row.codec} at {row.quality:g} on {row.set}/{row.image}: {row.error}")
    measured = studies.Measured(out, found, subjects, rows, page)
    if survey:
        studies.write_survey(measured)
    if looks:
        studies.write_realism(measured, looks, [metric.name for metric in chosen], perceptual)
    if speed != NONE and not (studied and speed == USUAL):
        _time(out, found, subjects, rows, None if speed == USUAL else _words(speed))
    say(f"{len(rows)} rows in {out}, {len(failed)} of them failures; next: calotype report {out}")
    if failed:
        raise typer.Exit(1)


def _subjects(models: Sequence[str], rivals: str, ladder: tuple[float, ...]) -> list[Rival]:
    """Models first, then rivals. What is not installed is refused if it was named, and left out if its group was."""
    from ..api import list_models
    from ..errors import Unsupported
    from ..evaluate.measure.subjects import QUALITIES, Own
    from ..evaluate.rivals import find_rivals
    from ..evaluate.tables.survey import members

    installed = [info.name for info in list_models()]
    groups = {ALL: installed, SURVEY: [name for name in members(installed).values() if name in installed]}
    names = [name for word in models for name in groups.get(word, [word])]
    found: list[Rival] = [Own(name, ladder or QUALITIES) for name in names if name != NONE]
    named = [name for name in _words(rivals) if name != NONE]
    for rival in find_rivals(named):
        reason = rival.missing()
        if reason is None:
            found.append(rival)
        elif rival.name in named:
            raise Unsupported(f"{rival.name} cannot be measured: {reason}")
        else:
            say(f"left out: {rival.name}: {reason}")
    if not found:
        raise typer.BadParameter("there is nothing to measure; name --codecs or --rivals")
    return found


def _time(
    out: Path, images: Sequence[ImageFile], subjects: Sequence[Rival], rows: Sequence[Row], names: list[str] | None
) -> None:
    """Clocks of some of them in turns, unless the folder has just these."""
    from ..evaluate.measure.speed import choose, is_timed, spread, time_codecs
    from ..evaluate.tables.folder import TIMINGS
    from ..evaluate.tables.rows import Timing, read_table, write_table

    path = out / TIMINGS
    readable = {(row.set, row.image) for row in rows if row.width is not None}
    contenders = choose(subjects, rows, names)
    few = spread([image for image in images if (image.set, image.name) in readable])
    if path.is_file() and is_timed(read_table(path, Timing), contenders, few):
        return
    with bench_bar("timing") as advance:
        timings = time_codecs(contenders, few, report=advance, complain=say)
    write_table(path, timings, Timing)


def _shape(text: str) -> tuple[int, ...]:
    """The shape of an image's views: () of "", (2,) of "2", (9, 9) of "9x9"."""
    sides = text.split("x") if text else []
    if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise typer.BadParameter(f"{text!r} is no number of views, such as 2 or 9x9")
    return tuple(map(int, sides))


def _words(text: str) -> list[str]:
    return [word for word in (part.strip() for part in text.split(",")) if word]


def _numbers(text: str, most: float = 100) -> tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in _words(text))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers with commas") from None
    if any(not 0 <= number <= most for number in numbers):
        raise typer.BadParameter(f"{text!r}: they lie between 0 and {most:g}")
    return numbers
