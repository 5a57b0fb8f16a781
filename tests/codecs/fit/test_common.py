"""Where fitting begins: latents told from the picture, and networks for more grids than were trained."""

from __future__ import annotations

import numpy as np
import pytest

from calotype.codecs.fit import common
from calotype.codecs.fit.architecture import PRESETS, Architecture
from calotype.codecs.fit.fitter import Fitter, Floats, Iteration
from calotype.codecs.fit.fitting import Fitted, cold_start, fit

RATE = 1e-3


def waves(height: int, width: int) -> Floats:
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([0.5 + 0.3 * np.sin(rows / 9 + i) * np.cos(columns / (7 + i)) for i in range(3)], -1)


def test_a_pyramid_halves_by_means_and_repeats_the_last_row() -> None:
    picture = np.arange(9, dtype=np.float32).reshape(3, 3, 1)
    levels = common.pyramid(picture)
    assert [level.shape[:2] for level in levels[:4]] == [(3, 3), (2, 2), (1, 1), (1, 1)]
    np.testing.assert_allclose(levels[1][..., 0] + 0.5, [[2, 3.5], [6.5, 8]])


@pytest.mark.parametrize("k", [0, 1, 6])
def test_bands_of_rows_see_what_the_whole_sees(k: int) -> None:
    levels = common.pyramid(waves(150, 37))
    height = levels[k].shape[0]
    whole = common.surroundings(levels, k, 0, height)
    middle = height // 2
    bands = [common.surroundings(levels, k, r, s) for r, s in ((0, middle), (middle, height)) if s > r]
    np.testing.assert_array_equal(np.concatenate(bands), whole)
    np.testing.assert_array_equal(whole[:, :, 12 * 3 : 13 * 3], levels[k])  # the place itself


@pytest.mark.parametrize("preset", PRESETS)
def test_coarser_grids_begin_without_effect(preset: str) -> None:
    picture = waves(70, 90)
    found = []
    for grids in (common.GRIDS, common.GRIDS + 2):
        architecture = Architecture(70, 90, 3, grids, *PRESETS[preset])
        parameters = common.common_parameters(architecture, RATE)
        assert parameters is not None
        fitter = Fitter(picture, architecture)
        fitter.latents = common.common_latents(picture, architecture, RATE)
        found.append(fitter.iterate(Iteration(RATE, hard=1), parameters)[0])
    assert found[1].error == pytest.approx(found[0].error, rel=1e-6)
    assert 0 <= found[1].bits - found[0].bits < 64  # the four latents of the grids that were added


def test_shapes_that_were_not_trained_begin_cold() -> None:
    assert common.common_parameters(Architecture.of("small", 70, 90, 1), RATE) is None
    assert common.common_parameters(Architecture(70, 90, 3, 7, 9, 2, 8), RATE) is None


@pytest.mark.parametrize("preset", PRESETS)
def test_it_is_a_better_start_than_chance(preset: str) -> None:
    picture, architecture = waves(96, 80), Architecture.of(preset, 96, 80, 3)

    def loss(found: Fitted) -> float:
        return found.mse + RATE * found.rate_bits / (96 * 80)

    warm = fit(picture, architecture, RATE, steps=30)
    cold = fit(picture, architecture, RATE, steps=30, start=cold_start(architecture, 0))
    assert loss(warm) < 0.7 * loss(cold)
