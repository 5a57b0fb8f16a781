"""Colours under full transparency cost nothing."""

from __future__ import annotations

import numpy as np

import calotype
from calotype.codecs.vae.hidden import continue_smoothly


def test_visible_colours_stay_and_others_continue_them() -> None:
    y, x = np.mgrid[:37, :50]
    colours = np.stack([4 * x, 5 * y, 128 + 0 * x], -1).astype(np.uint8)
    visible = (x - 25) ** 2 + (y - 18) ** 2 < 150
    noise = np.random.default_rng(0).integers(0, 256, colours.shape, np.uint8)
    noisy = np.where(visible[..., None], colours, noise)
    filled = continue_smoothly(noisy, visible)
    np.testing.assert_array_equal(filled[visible], colours[visible])
    np.testing.assert_array_equal(filled, continue_smoothly(np.where(visible[..., None], colours, 0), visible))
    beside = ~visible & (np.roll(visible, 1, 0) | np.roll(visible, -1, 0) | np.roll(visible, 1, 1))
    assert np.abs(filled[beside].astype(int) - colours[beside]).mean() < 20  # like what is near
    low, high = colours[visible].min(0), colours[visible].max(0)
    assert ((filled >= low) & (filled <= high)).all()


def test_all_or_nothing_visible() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    assert continue_smoothly(colours, np.ones((5, 7), np.bool_)) is colours
    np.testing.assert_array_equal(continue_smoothly(colours, np.zeros((5, 7), np.bool_)), 0)
    np.testing.assert_array_equal(continue_smoothly(colours[:1, :1], np.zeros((1, 1), np.bool_)), 0)


def test_noise_that_nobody_sees_costs_no_bytes() -> None:
    y, x = np.mgrid[:128, :128]
    photo = np.stack([128 + 60 * np.sin(x / 9), 128 + 60 * np.cos(y / 11), 128 + 40 * np.sin((x + y) / 7)], -1)
    alpha = np.where((x - 64) ** 2 + (y - 64) ** 2 < 2500, 255, 0)[..., None]
    noise = np.random.default_rng(0).integers(0, 256, photo.shape)
    sizes = []
    for hidden in (noise, np.zeros_like(photo)):
        pixels = np.concatenate([np.where(alpha > 0, photo, hidden), alpha], -1).astype(np.uint8)
        sizes.append(len(calotype.encode(pixels, 50, model="vae.swift", threads=1)))
    assert sizes[0] == sizes[1]
