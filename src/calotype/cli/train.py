"""`calotype train`: train a model for a given time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .failures import say
from .options import parse_time


def train(
    model: Annotated[str, typer.Argument(help="Codec and recipe, as in vae.swift.")],
    data: Annotated[list[Path], typer.Option(help="Folder or tar archive of images; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; an unfinished run there is resumed.")],
    time: Annotated[
        str, typer.Option(help="Length of the run, as in 40m or 1h30m; the schedule ends with it.")
    ] = "40m",
    init: Annotated[Path | None, typer.Option(help="Weights (.calow) to start from.")] = None,
    perceptual: Annotated[
        Path | None,
        typer.Option(help="Folder of the networks of a perceptual loss. Default: beside that in CALOTYPE_DATA."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    rate: Annotated[
        float, typer.Option(help="Highest learning rate; to go on from good weights, about 4e-4.")
    ] = 1.2e-3,
    anneal: Annotated[
        float,
        typer.Option(help="Part of the run, at its end, over which the learning rate falls; it is constant before."),
    ] = 1.0,
    batch: Annotated[int, typer.Option(min=1, help="Crops per step.")] = 3,
    crop: Annotated[
        int, typer.Option(min=8, help="Side of the crops in pixels, a multiple of what the model asks for.")
    ] = 256,
    late_crop: Annotated[
        int,
        typer.Option(
            min=0, help="Side of the crops in the last 15 % of the run. 0: 512 or 384 if the batch allows for it."
        ),
    ] = 0,
    rescale: Annotated[
        float, typer.Option(help="Half of the batches are shrunk, by a factor between this and 1. 1: none.")
    ] = 0.7,
    stop_after: Annotated[
        str | None, typer.Option(help="Save and stop after so long, start included; the same command goes on.")
    ] = None,
    half: Annotated[
        bool | None,
        typer.Option("--half/--no-half", help="Compute in bfloat16 what stands it. Default: on a GPU."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Where all randomness starts.")] = 0,
    pieces: Annotated[
        Path | None, typer.Option(help="Folder for a copy of each saved state, in pieces of 15 MiB.")
    ] = None,
    compile: Annotated[bool, typer.Option(help="Let torch.compile fuse the loss; costs a minute or two.")] = False,
    threads: Annotated[int, typer.Option("-T", "--threads", min=0, help="0: as many as there are cores.")] = 0,
) -> None:
    """Train MODEL on images for a given time.

    The run's folder keeps the state (resume by repeating the command) and a log, one JSON object a line.
    `calotype export` turns the state into weights.
    """
    import torch

    from ..train.loop import Progress, Run
    from ..train.loop import train as run_training
    from ..train.schedule import Schedule
    from .progress import training_bar

    if threads:
        torch.set_num_threads(threads)
    total = parse_time(time)
    schedule = Schedule(total, rate=rate, anneal=anneal, batch=batch, crop=crop, late_crop=late_crop, rescale=rescale)
    limit = parse_time(stop_after) if stop_after else None
    run = Run(
        model,
        data,
        out,
        schedule,
        device=device,
        seed=seed,
        init=init,
        perceptual=perceptual,
        pieces=pieces,
        half=half,
        compile=compile,
        stop_after=limit,
    )
    with training_bar(total) as advance:

        def report(progress: Progress) -> None:
            advance(progress.elapsed, {"step": progress.step, **progress.figures})

        done = run_training(run, report)
    if done.elapsed < total:
        say(f"stopped after {done.elapsed / 60:.1f} of {total / 60:.1f} minutes; the same command goes on")
