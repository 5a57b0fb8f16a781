"""The filter that an encoder fits to an image: what it mends, when it is worth its bits, and its borders."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from calotype.coding.wiener import UNIT, WAYS, Fit, Taps, shown

Floats = npt.NDArray[np.float32]


@pytest.fixture
def sharp() -> Floats:
    """(2, 60, 70), random."""
    return np.random.default_rng(0).random((2, 60, 70)).astype(np.float32)


def plain(planes: Floats, taps: Taps) -> Floats:
    """The formula, with borders continued."""
    around = np.pad(planes, ((0, 0), (2, 2), (2, 2)), "edge").astype(np.float64)
    _, height, width = planes.shape

    def at(down: int, right: int) -> npt.NDArray[np.float64]:
        return around[:, 2 + down : 2 + down + height, 2 + right : 2 + right + width]

    out = at(0, 0).copy()
    for (down, right), tap in zip(WAYS, taps.T / UNIT, strict=True):
        out += tap[:, None, None] * (at(down, right) + at(-down, -right) - 2 * at(0, 0))
    return out.astype(np.float32)


def as_bytes(planes: Floats) -> npt.NDArray[np.uint8]:
    return np.rint(np.clip(planes.transpose(1, 2, 0) * np.float32(255), 0, 255)).astype(np.uint8)


def random_taps(planes: int) -> Taps:
    return np.random.default_rng(1).integers(-30, 31, (planes, len(WAYS))).astype(np.int8)


def whole(planes: Floats) -> tuple[slice, slice]:
    return slice(0, planes.shape[1]), slice(0, planes.shape[2])


def test_it_is_the_formula_of_the_specification(sharp: Floats) -> None:
    taps = random_taps(2)
    found = shown(sharp, *whole(sharp), taps)
    assert found.std() > 20
    assert np.abs(found.astype(int) - as_bytes(plain(sharp, taps))).max() <= 1
    assert (found == as_bytes(plain(sharp, taps))).mean() > 0.999  # the order of sums is free


@pytest.mark.parametrize(
    ("rows", "columns"), [((0, 1), (0, 1)), ((1, 30), (2, 70)), ((58, 60), (10, 11)), ((20, 40), (20, 40))]
)
def test_parts_equal_the_whole(sharp: Floats, rows: tuple[int, int], columns: tuple[int, int]) -> None:
    taps, part = random_taps(2), (slice(*rows), slice(*columns))
    np.testing.assert_array_equal(shown(sharp, *part, taps), shown(sharp, *whole(sharp), taps)[*part])


def test_wide_planes_are_filtered_in_blocks() -> None:
    wide = np.random.default_rng(2).random((1, 7, 2500)).astype(np.float32)
    taps = random_taps(1)
    assert (shown(wide, *whole(wide), taps) == as_bytes(plain(wide, taps))).mean() > 0.999


def test_without_taps_samples_are_rounded(sharp: Floats) -> None:
    planes = 1.2 * sharp - np.float32(0.1)
    planes[0, 0, :4] = np.array([0.5, 1.5, 2.5, 254.5]) / 255
    np.testing.assert_array_equal(shown(planes, slice(0, 9), slice(0, 7), None), as_bytes(planes)[:9, :7])


def test_the_taps_of_a_known_filter_are_found(sharp: Floats) -> None:
    taps = random_taps(2)
    wanted = plain(sharp, taps)
    fit = Fit(2)
    seen = np.ones(sharp.shape[1:], np.bool_)
    fit.add(sharp, slice(0, 30), slice(0, 70), wanted[:, :30], seen[:30])
    fit.add(sharp, slice(30, 60), slice(0, 70), wanted[:, 30:], seen[30:])
    found = fit.taps(1e6)
    assert found is not None
    np.testing.assert_array_equal(found, taps)


def test_what_is_not_seen_does_not_count(sharp: Floats) -> None:
    taps = random_taps(2)
    wanted = plain(sharp, taps)
    seen = np.zeros(sharp.shape[1:], np.bool_)
    seen[:, :40] = True
    fit = Fit(2)
    fit.add(sharp, *whole(sharp), np.where(seen, wanted, 9).astype(np.float32), seen)
    np.testing.assert_array_equal(fit.taps(1e6), taps)


def test_a_filter_that_is_not_worth_its_bits_is_left_out(sharp: Floats) -> None:
    wanted = plain(sharp, random_taps(2))
    fit = Fit(2)
    fit.add(sharp, *whole(sharp), wanted, np.ones(sharp.shape[1:], np.bool_))
    gain = float(np.square(wanted - sharp).sum())
    bits = 8 * 2 * len(WAYS)
    assert fit.taps(1.1 * bits / gain) is not None
    assert fit.taps(0.9 * bits / gain) is None


def test_plain_images_and_unseen_ones_have_no_filter() -> None:
    for value, seen in ((0.5, True), (0.5, False)):
        fit = Fit(1)
        planes = np.full((1, 20, 20), value, np.float32)
        fit.add(planes, *whole(planes), planes, np.full((20, 20), seen))
        assert fit.taps(1e9) is None
