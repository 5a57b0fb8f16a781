"""The trade-off learned from samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calotype.errors import Unsupported  # noqa: E402
from calotype.rdp.learn import Codec, Samples, held_out, learn, load_digits, sliced_wasserstein  # noqa: E402


def blobs(count: int = 400) -> Samples:
    """Points of two variables around four places."""
    random = np.random.default_rng(0)
    places = np.array([[0.2, 0.2], [0.8, 0.2], [0.2, 0.8], [0.8, 0.8]])
    points = places[random.integers(0, 4, count)] + random.normal(0, 0.08, (count, 2))
    return np.clip(points, 0, 1).astype(np.float32)


def test_the_distance_of_a_shift() -> None:
    """A projection moves by the shift's share in its direction: in the plane 2 / pi of its length on average."""
    points = blobs()
    shifted = points + np.array([0.3, 0], dtype=np.float32)
    assert sliced_wasserstein(points, points[::-1]) == pytest.approx(0, abs=1e-7)
    assert sliced_wasserstein(points, shifted, directions=4096) == pytest.approx(0.3 * 2 / np.pi, rel=0.03)
    with pytest.raises(Unsupported, match="equally many"):
        sliced_wasserstein(points, points[1:])


def test_dithered_latents_are_uniform_noise_around_what_was_coded() -> None:
    """So gradients that pass the rounding unchanged are right; and there are `levels` integers, no more."""
    torch.manual_seed(0)
    codec = Codec(2, 1, 4)
    seen = []
    codec.decoder = torch.nn.Identity()
    codec.encoder = torch.nn.Identity()
    for wanted in (-9.0, 0.3, 9.0):
        decoded = codec(torch.full((20000, 1), wanted))
        y = (torch.logit(decoded) + 1) / 2 * 3
        error = y - 3 * torch.sigmoid(torch.tensor(wanted))
        assert error.abs().max() <= 0.5 + 1e-4
        assert error.mean().abs() < 0.02
        assert error.var().item() == pytest.approx(1 / 12, rel=0.05)
        seen.append(y)
    assert min(part.min() for part in seen) >= -0.5 - 1e-3
    assert max(part.max() for part in seen) <= 3.5 + 1e-3


@pytest.mark.slow
def test_at_equal_rate_less_perceptual_distance_costs_distortion() -> None:
    pytest.importorskip("sklearn")
    faithful, natural = learn(load_digits(), latents=(2,), weights=(0, 10), steps=400)
    assert faithful.bits == natural.bits == 4
    assert natural.perception < 0.85 * faithful.perception
    assert 1.02 * faithful.distortion < natural.distortion < 2 * faithful.distortion


def test_the_same_seed_gives_the_same_figures() -> None:
    state = torch.random.get_rng_state()
    first, second = (learn(blobs(100), latents=(1,), weights=(0, 1), steps=3, seed=5) for _ in range(2))
    assert torch.equal(state, torch.random.get_rng_state())
    for a, b in zip(first, second, strict=True):
        assert (a.distortion, a.perception) == (b.distortion, b.perception)
        np.testing.assert_array_equal(a.decoded, b.decoded)


def test_samples_are_held_out() -> None:
    points = blobs(100)
    tests, train = held_out(points, seed=1)
    assert (len(tests), len(train)) == (25, 75)
    np.testing.assert_array_equal(np.sort(np.concatenate([tests, train]), axis=0), np.sort(points, axis=0))


@pytest.mark.parametrize("change", [{"latents": (0,)}, {"weights": (-1,)}, {"levels": 1}, {"steps": 0}])
def test_what_makes_no_sense_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(Unsupported):
        learn(blobs(20), **change)  # type: ignore[arg-type]
    for samples in (blobs(4), blobs() * 2, blobs()[0], blobs() * np.float32(np.nan)):
        with pytest.raises(Unsupported, match="samples"):
            learn(samples)


def test_a_plot_of_what_was_learned(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from calotype.rdp.plot import plot_learned

    pixels = np.random.default_rng(0).random((40, 16), dtype=np.float32)
    codecs = learn(pixels, latents=(1, 2), weights=(0, 1), steps=2)
    plot_learned(codecs, held_out(pixels)[0], 4, tmp_path / "new/plot.svg")
    text = (tmp_path / "new/plot.svg").read_text()
    assert text.startswith("<?xml")


def test_digits() -> None:
    pytest.importorskip("sklearn")
    digits = load_digits()
    assert digits.shape == (1797, 64)
    assert (digits.min(), digits.max()) == (0, 1)
