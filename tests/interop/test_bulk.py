"""Folders on a local Ray with two workers; and the file systems that fsspec reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import calotype
from calotype.errors import Unsupported, WeightsNotFound
from calotype.options import EncodeOptions

pytest.importorskip("fsspec")
ray = pytest.importorskip("ray")

from calotype.interop import bulk  # noqa: E402

MODEL = "deflate.coarse"
NAMES = ("a.png", "b.PNG", "deep/c.png", "deep/er/d e.png")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(include_dashboard=False, num_cpus=2, log_to_driver=False, logging_level="ERROR")
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield
        ray.shutdown()


@pytest.fixture
def images(tmp_path: Path, texture: Callable[..., np.ndarray]) -> dict[str, np.ndarray]:
    """Four images in and below the folder `in`, one that is broken, and a file that is none."""
    arrays = {name: texture(20 + place, 30, 3, place) for place, name in enumerate(NAMES)}
    for name, pixels in arrays.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(pixels).save(tmp_path / "in" / name)
    (tmp_path / "in" / "deep" / "broken.png").write_bytes(b"broken")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    return arrays


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_there_and_back_on_two_workers(cluster: None, tmp_path: Path, images: dict[str, np.ndarray]) -> None:
    source, target = str(tmp_path / "in"), f"file://{tmp_path}/out"
    expected = {
        f"{name[:-4]}.calo": calotype.encode(pixels, 100, model=MODEL, threads=1) for name, pixels in images.items()
    }

    report = bulk.encode_folder(source, target, 100, model=MODEL, workers=2)
    assert files(tmp_path / "out") == expected
    assert (report.done, report.skipped, report.bytes) == (4, 0, sum(map(len, expected.values())))
    (failed,) = report.failures.items()
    assert failed[0].endswith("deep/broken.png")
    assert "intact image" in failed[1]

    (tmp_path / "out" / "a.calo").write_bytes(b"mine")  # what exists is not looked at
    (tmp_path / "out" / "deep" / "c.calo").unlink()
    Pillow.fromarray(images["a.png"]).save(tmp_path / "in" / "deep" / "broken.png")
    again = bulk.encode_folder(source, target, 100, model=MODEL)
    assert (again.done, again.skipped, again.failures) == (2, 3, {})
    assert files(tmp_path / "out")["a.calo"] == b"mine"
    assert files(tmp_path / "out")["deep/c.calo"] == expected["deep/c.calo"]
    assert bulk.encode_folder(source, target, 100, model=MODEL, overwrite=True, workers=1).done == 5

    back = bulk.decode_folder(target, str(tmp_path / "back"), workers=2)
    assert (back.done, back.failures) == (5, {})
    for name, pixels in images.items():
        np.testing.assert_array_equal(np.asarray(Pillow.open(tmp_path / "back" / f"{name[:-4]}.png")), pixels)


def test_nothing_to_do_needs_no_cluster(tmp_path: Path, images: dict[str, np.ndarray]) -> None:
    for name in files(tmp_path / "in"):
        result = (tmp_path / "out" / name).with_suffix(".calo")
        result.parent.mkdir(parents=True, exist_ok=True)
        result.write_bytes(b"")
    report = bulk.encode_folder(str(tmp_path / "in"), str(tmp_path / "out"), model=MODEL)
    assert report == bulk.Report(skipped=5)


def test_what_cannot_go_well_is_refused_at_once(tmp_path: Path, images: dict[str, np.ndarray]) -> None:
    source, target = str(tmp_path / "in"), str(tmp_path / "out")
    with pytest.raises(WeightsNotFound, match="nonsense"):
        bulk.encode_folder(source, target, model="vae.nonsense")
    with pytest.raises(Unsupported, match=r"holds no file of: \.calo"):
        bulk.decode_folder(source, target)
    with pytest.raises(Unsupported, match="possible endings"):
        bulk.decode_folder(source, target, ending=".xyz")
    with pytest.raises(Unsupported, match="holds no file"):
        bulk.encode_folder(str(tmp_path / "nowhere"), target, model=MODEL)
    (tmp_path / "in" / "a.jpg").write_bytes(b"")
    with pytest.raises(Unsupported, match=r"a\.jpg and a\.png would both become a\.calo"):
        bulk.encode_folder(source, target, model=MODEL)
    assert not (tmp_path / "out").exists()


def test_any_file_system(texture: Callable[..., np.ndarray]) -> None:
    """Planning, reading and writing on one that lives in this process's memory, without Ray."""
    pixels = texture(9, 11, 3)
    source, target = "memory://photos/raw", "memory://photos/calo"
    bulk._write(f"{source}/x/a.png", calotype.io.encode_image(calotype.Image(pixels), "PNG"))
    (job,), skipped = bulk.plan(source, target, ".calo", {".png"})
    assert (job, skipped) == (bulk.Job(f"{source}/x/a.png", f"{target}/x/a.calo"), 0)
    worker = bulk._Worker(bulk._Encode(MODEL, None, EncodeOptions(100, threads=1), None))
    row = worker(job._asdict())
    data = bulk._read(job.output)
    assert (row["bytes"], row["error"]) == (len(data), "")
    np.testing.assert_array_equal(calotype.decode(data), pixels)
    assert bulk.plan(source, target, ".calo", {".png"}) == ([], 1)
    missing = worker({"input": f"{source}/nowhere.png", "output": f"{target}/nowhere.calo"})
    assert "FileNotFoundError" in missing["error"]


def test_nothing_half_written_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(calotype.io.files, "_rename", fail)
    with pytest.raises(OSError, match="full"):
        bulk._write(str(tmp_path / "deep" / "a.calo"), b"data")
    assert files(tmp_path) == {}
