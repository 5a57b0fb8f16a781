"""SOAP: it knows every parameter, and goes down valleys that lie across the axes."""

from __future__ import annotations

import numpy as np
import pytest

from calotype.codecs.fit.architecture import PRESETS, Architecture
from calotype.codecs.fit.fitter import Floats
from calotype.codecs.fit.soap import MATRICES, Soap


def test_every_part_is_in_one_matrix() -> None:
    names = [name for names in MATRICES for name in names]
    assert sorted(names) == sorted(Architecture.of("medium", 64, 64, 3).shapes)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_first_step_has_the_same_size_everywhere(preset: str) -> None:
    architecture, random = Architecture.of(preset, 64, 64, 3), np.random.default_rng(0)
    gradient = random.standard_normal(architecture.parameters).astype(np.float32)
    moved = Soap(architecture).step(np.zeros_like(gradient), gradient, 0.5)
    for part in architecture.split(moved * gradient).values():
        assert part.sum() < 0
    # Of one gradient, the vectors of the singular values are the basis: each direction of it goes a step of 0.5.
    states = np.concatenate([architecture.split(moved)["A1"], architecture.split(moved)["a1"][:, None]], 1)
    np.testing.assert_allclose(np.linalg.svd(states)[1], 0.5, rtol=0.3)


def test_valleys_across_the_axes_are_gone_down() -> None:
    architecture, random = Architecture.of("small", 64, 64, 3), np.random.default_rng(1)
    wanted = random.standard_normal(architecture.parameters).astype(np.float32)
    bends = {
        name: [np.linalg.qr(random.standard_normal((n, n)))[0] * 10.0 ** -np.linspace(0, 2, n) for n in shape]
        for name, shape in architecture.shapes.items()
        if len(shape) == 2
    }

    def gradient(parameters: Floats) -> tuple[float, Floats]:
        off, slope, loss = architecture.split(parameters - wanted), np.zeros_like(parameters), 0.0
        for name, (left, right) in bends.items():
            bent = left.T @ off[name] @ right
            architecture.split(slope)[name][...] = left @ bent @ right.T
            loss += 0.5 * float(np.square(bent).sum())
        return loss, slope

    soap, parameters = Soap(architecture), np.zeros_like(wanted)
    begun = gradient(parameters)[0]
    for step in range(300):
        parameters = soap.step(parameters, gradient(parameters)[1], 0.05 * (1 - step / 300))
    assert gradient(parameters)[0] < 1e-3 * begun
