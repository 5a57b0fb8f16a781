"""What `calotype bench` makes of its rows when it is asked for more than a table: pages about classes and realism."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .failures import say
from .progress import bench_bar

if TYPE_CHECKING:
    from ..evaluate.measure.images import ImageFile
    from ..evaluate.rivals import Rival
    from ..evaluate.tables.rows import Row

NEEDED = ("scipy", "matplotlib", "torch")
LPIPS = "lpips_squeeze"  # where it can be measured, distances of patches can, too
METRICS = ("psnr", "ms_ssim", LPIPS)  # where none are named
AT_REALISM = "@realism="


@dataclass(frozen=True)
class Measured:
    """What was measured, and where a page about it goes."""

    folder: Path
    images: Sequence[ImageFile]
    subjects: Sequence[Rival]
    rows: Sequence[Row]
    page: Path | None
    """None: one in the folder."""


def write_survey(found: Measured) -> None:
    """A page about classes of codecs; what of them is not there is said."""
    from ..api import list_models
    from ..evaluate.measure.complexity import known
    from ..evaluate.report.survey import PAGE, write_survey
    from ..evaluate.tables.survey import members

    installed = {info.name for info in list_models()}
    for family, name in members(installed).items():
        if name not in installed:
            say(f"not installed: {name} ({family})")
    target = found.page or found.folder / PAGE
    write_survey(found.rows, known(found.subjects, found.images, found.rows, found.folder, say), installed, target)
    say(f"the survey is in {target}")


def at_realism(models: Sequence[str], values: Sequence[float]) -> list[str]:
    """Names of models at each realism."""
    return [f"{model}{AT_REALISM}{value:g}" for model in models for value in values]


def write_realism(found: Measured, values: Sequence[float], metrics: Sequence[str], perceptual: Path | None) -> None:
    """A page about distortion and perception of models at each realism, and of others at the same bytes."""
    from ..evaluate.measure.perception import set_distances
    from ..evaluate.report.realism import PAGE, write_realism
    from ..evaluate.tables.realism import Look

    looks = {
        subject.name: Look(subject.name.removesuffix(f"{AT_REALISM}{value:g}"), value)
        for subject in found.subjects
        for value in values
        if subject.name.endswith(f"{AT_REALISM}{value:g}")
    }
    distances = {}
    if LPIPS in metrics:
        with bench_bar("distances of patches") as advance:
            distances = set_distances(found.subjects, found.images, found.rows, found.folder, perceptual, advance)
    target = found.page or found.folder / PAGE
    write_realism(found.rows, looks, distances, target)
    say(f"distortion against perception is in {target}")
