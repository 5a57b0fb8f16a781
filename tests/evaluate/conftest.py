"""A folder of small images and a bench over it, made once; and the command line without a new process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as Pillow

MODEL = "deflate.coarse"  # of tests/plugin
LADDER = (0.0, 40.0, 70.0, 95.0)
RIVALS = ("jpeg-420", "jpeg-444", "webp", "png")


class Ran(NamedTuple):
    """What a command line did."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture
def calotype_cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """`calotype_cli("bench", folder, ...)` runs a verb in this process."""
    from calotype.cli.app import main

    def run(*arguments: object) -> Ran:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Ran(int(stop.value.code or 0), said.out, said.err)

    return run


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory, texture: Callable[..., npt.NDArray[np.uint8]]) -> Path:
    """A folder with two images, one large enough for MS-SSIM, and a text."""
    folder = tmp_path_factory.mktemp("sets") / "small"
    folder.mkdir()
    Pillow.fromarray(texture(170, 180, 3)).save(folder / "b.png")
    Pillow.fromarray(texture(70, 64, 3, seed=1)).save(folder / "a.png")
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture(scope="session")
def bench_folder(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `bench` makes of the set, with timings."""
    pytest.importorskip("pyarrow")
    from calotype.evaluate.measure.images import find_images
    from calotype.evaluate.measure.metrics import find_metrics
    from calotype.evaluate.measure.run import bench
    from calotype.evaluate.measure.speed import Contender, time_codecs
    from calotype.evaluate.measure.subjects import Own
    from calotype.evaluate.rivals import Rung, find_rivals
    from calotype.evaluate.tables.folder import TIMINGS
    from calotype.evaluate.tables.rows import Timing, write_table

    out = tmp_path_factory.mktemp("bench")
    images, own = find_images([small_set]), Own(MODEL, LADDER)
    subjects = [own, *find_rivals(RIVALS)]
    bench(images, subjects, out, metrics=find_metrics(("psnr", "ms_ssim", "largest_error")), jobs=2)
    contenders = [Contender(own, Rung(70.0)), Contender(subjects[1], Rung(50))]
    write_table(out / TIMINGS, time_codecs(contenders, images, cores=(1,), rounds=2), Timing)
    return out
