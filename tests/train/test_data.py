"""Tiles and crops: where they come from, how they lie, how they are shrunk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from calotype.errors import CalotypeError
from calotype.train.data import cut_crops, draw_places, draw_side, load_tiles, load_whole, shrink
from tests.train.toys import SIDE, make_image


def random_tiles(number: int, height: int = SIDE, width: int = SIDE) -> torch.Tensor:
    return torch.randint(256, (number, 3, height, width), dtype=torch.uint8)


def test_tiles_are_cut_and_some_held_out(images: Path) -> None:
    tiles, held_out = load_tiles([images])
    assert (len(tiles), len(held_out)) == (3, 1)
    archive = np.asarray(make_image(2, SIDE, SIDE)).transpose(2, 0, 1)
    wide = np.asarray(make_image(0, SIDE + 90, 2 * SIDE + 40)).transpose(2, 0, 1)
    everything = [tile.numpy() for tile in [*tiles, *held_out]]
    assert any(np.array_equal(tile, archive) for tile in everything)
    assert any(np.array_equal(tile, wide[:, :SIDE, SIDE : 2 * SIDE]) for tile in everything)


def test_images_are_taken_whole(tmp_path: Path, images: Path) -> None:
    small = make_image(3, 37, 53)
    small.save(tmp_path / "small.png")
    np.testing.assert_array_equal(load_whole([tmp_path]).numpy(), np.asarray(small).transpose(2, 0, 1)[None])
    with pytest.raises(CalotypeError, match="2 sizes"):
        load_whole([images])


def test_missing_and_empty_data_are_refused(tmp_path: Path) -> None:
    for load in (load_tiles, load_whole):
        with pytest.raises(CalotypeError, match="does not exist"):
            load([tmp_path / "nothing"])
        with pytest.raises(CalotypeError, match=r"found 0|of 0 sizes"):
            load([tmp_path])


def test_crops_are_parts_of_tiles_in_all_orientations() -> None:
    tiles = random_tiles(1)
    generator = torch.Generator().manual_seed(0)
    crops = (cut_crops(tiles, draw_places(48, tiles, SIDE, generator), SIDE) * 255).round().to(torch.uint8)
    seen = {tuple(crop[:, 0, 0].tolist() + crop[:, 0, -1].tolist()) for crop in crops}
    assert len(seen) == 8  # four turns, each mirrored or not
    for crop in crops:
        assert torch.equal(crop.flatten(1).sort(1).values, tiles[0].flatten(1).sort(1).values)


def test_crops_lie_where_they_were_drawn() -> None:
    tiles = random_tiles(2, 100, 140)
    places = torch.tensor([[0, 5, 9, 0, 0, 0], [1, 5, 9, 1, 0, 0], [1, 0, 70, 0, 1, 0], [0, 7, 7, 0, 0, 1]])
    crops = cut_crops(tiles, places, 64)
    assert crops.is_contiguous(memory_format=torch.channels_last)
    cut = [tiles[0, :, 5:69, 9:73], tiles[1, :, 5:69, 9:73].flip(1), tiles[1, :, :64, 70:134].flip(2),
           tiles[0, :, 7:71, 7:71].transpose(1, 2)]  # fmt: skip
    torch.testing.assert_close(crops, torch.stack(cut).float() / 255)
    drawn = draw_places(2000, random_tiles(7, 100, 140), 64, torch.Generator().manual_seed(0))
    assert drawn.amin(0).tolist() == [0, 0, 0, 0, 0, 0]
    assert drawn.amax(0).tolist() == [6, 36, 76, 1, 1, 1]


def test_some_batches_are_cut_larger_and_shrunk() -> None:
    generator = torch.Generator().manual_seed(0)
    sides = [draw_side(256, 512, 0.7, generator) for _ in range(1000)]
    assert 400 < sides.count(256) < 600
    assert 360 < max(sides) <= round(256 / 0.7)
    assert max(draw_side(384, 512, 0.5, generator) for _ in range(200)) <= 512  # no tile has more
    assert {draw_side(256, 512, 1.0, generator) for _ in range(200)} == {256}

    waves = torch.linspace(0, 40, 96).sin()[None, None, None, :].expand(2, 3, 96, 96) * 0.4 + 0.5
    small = shrink(waves, 64)
    assert small.is_contiguous(memory_format=torch.channels_last)
    middle = (torch.arange(64) + 0.5) * 96 / 64 - 0.5  # of the small image's pixels in the large one
    expected = (middle * 40 / 95).sin() * 0.4 + 0.5
    torch.testing.assert_close(small[0, 0, 32, 4:-4], expected[4:-4], atol=0.02, rtol=0)
    stripes = (torch.arange(96) % 2).float()[None, None, None, :].expand(2, 3, 96, 96)
    assert (shrink(stripes, 48)[..., 4:-4] - 0.5).abs().max() < 0.05  # finer than what is left: grey, not a pattern
    assert shrink(waves, 96) is waves
