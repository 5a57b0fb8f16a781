"""Pictures of held-out crops, each beside what became of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from calotype.train import loop
from calotype.train.loop import Run, train
from calotype.train.samples import CROPS, SIDE, save_samples
from calotype.train.schedule import Schedule
from tests.train.toys import Clock, Thumbnail, ThumbnailTraining


class Darker(ThumbnailTraining):
    """Shows crops at half their light, and at twice."""

    def samples(self, model: Thumbnail, crops: torch.Tensor) -> list[torch.Tensor]:
        assert not torch.is_grad_enabled()
        return [crops / 2, crops * 2]


def test_a_row_is_the_middle_and_what_it_became(tmp_path: Path) -> None:
    images = torch.full((CROPS + 1, 3, SIDE + 20, SIDE + 40), 100, dtype=torch.uint8)
    images[1, 0, 10:-10, 20:-20] = 200
    images[:, :, 0] = 0
    path = save_samples(Darker(), Thumbnail(), images, tmp_path, 50)
    assert path == tmp_path / "samples" / "0000050.png"
    with PIL.Image.open(path) as opened:
        pixels = np.asarray(opened)
    assert pixels.shape == (CROPS * SIDE, 3 * SIDE, 3)
    rows = pixels.reshape(CROPS, SIDE, 3, SIDE, 3).transpose(0, 2, 1, 3, 4)
    assert [np.unique(part[..., 0]).tolist() for part in rows[1]] == [[200], [100], [255]]
    assert [np.unique(part).tolist() for part in rows[2]] == [[100], [50], [200]]


def test_none_are_shown_where_there_is_nothing_to_show(tmp_path: Path) -> None:
    images = torch.zeros(2, 3, SIDE, SIDE - 1, dtype=torch.uint8)
    assert save_samples(Darker(), Thumbnail(), images, tmp_path, 50) is None
    assert save_samples(ThumbnailTraining(), Thumbnail(), images.repeat(1, 1, 1, 2), tmp_path, 50) is None
    assert not list(tmp_path.iterdir())


def test_a_run_saves_them_with_its_state(
    clock: Clock, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "codec_training", lambda model: (Darker(), "any"))
    train(Run("deflate.tiny", [images], tmp_path, Schedule(5, batch=1, crop=64, late_crop=64), save_every=2))
    assert len(list((tmp_path / "samples").glob("*.png"))) >= 2
