"""Models and rivals by name, with options; and images of any depth, channels and views through them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import calotype
from calotype.errors import Unsupported, WeightsNotFound
from calotype.evaluate.measure.subjects import Own, example, find_subject
from calotype.evaluate.measure.worker import CodingFailed, Worker
from calotype.evaluate.rivals import BOUNDS, EXACT, RIVALS, Rung, rungs
from calotype.image import Image

Texture = Callable[..., npt.NDArray[np.uint8]]
MODEL = "deflate.coarse"


def test_weights_files_are_told_apart(tmp_path: Path) -> None:
    installed = calotype.load(MODEL).card
    assert installed.weights is not None
    shutil.copy(installed.weights, tmp_path / "coarse.calow")
    shutil.copy(installed.path, tmp_path / "coarse.toml")
    own = find_subject(str(tmp_path / "coarse.calow"))
    assert own.name == f"{MODEL}-{installed.digest.hex()}"
    assert find_subject(MODEL).name == MODEL
    assert find_subject("webp").name == "webp"


def test_a_codec_that_cannot_be_loaded_says_why() -> None:
    with pytest.raises(CodingFailed, match="not installed"):
        Worker("no.such", 1)
    with pytest.raises(WeightsNotFound):
        _ = Own("no.such").digest


def test_ladders_follow_from_kind_and_options() -> None:
    assert Own(MODEL, (20.0, 60.0)).ladder == rungs(20, 60)
    assert Own(f"{MODEL}@quality=30").ladder == rungs(30)
    assert Own(f"{MODEL}@max_error").ladder == BOUNDS
    assert Own(f"{MODEL}@max_error=2").ladder == (Rung(max_error=2),)
    assert Own("prism.photo@3").ladder == EXACT
    kinds = [
        Own(name).kind for name in (MODEL, f"{MODEL}@max_error", "prism.photo@3", "toy.plain", "toy.plain@layers=1")
    ]
    assert kinds == ["lossy", "near-lossless", "lossless", "lossless", "lossy"]
    assert Own("prism.photo@3").name == "prism.photo@3"
    assert [rung.number for rung in (*EXACT, *BOUNDS[:2], Rung(2.5))] == [0, 5, 4, 2.5]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("prism.photo@quality=3", "takes no quality"),
        (f"{MODEL}@3", "takes no effort"),
        (f"{MODEL}@layers=1", "takes no layers"),
        ("prism.photo@effort=much", "needs a number"),
        ("prism.photo@10", "effort 10"),
    ],
)
def test_options_that_a_model_does_not_take_are_refused(name: str, said: str) -> None:
    with pytest.raises(Unsupported, match=said):
        _ = Own(name).ladder


def test_options_reach_the_codec(texture: Texture) -> None:
    image = Image.from_array(texture(40, 56, 3))
    own = Own(f"{MODEL}@max_error")
    for rung in own.ladder:
        decoded = own.decode(own.encode(image, rung, 1), 1)
        assert np.abs(decoded.pixels.astype(int) - image.pixels).max() == rung.max_error
    quick, slow = (Own(f"prism.photo@{effort}") for effort in (1, 7))
    files = [own.encode(image, Rung(), 1) for own in (quick, slow)]
    model = calotype.load("prism.photo")
    assert files == [model.encode(image, effort=effort) for effort in (1, 7)]
    base = Own("toy.plain@layers=1")
    assert not np.array_equal(base.decode(base.encode(image, Rung(), 1), 1).pixels, image.pixels)


def test_models_take_what_their_codec_takes(texture: Texture) -> None:
    pair = Image(np.stack([texture(20, 30, 3, seed=seed) for seed in (0, 1)]))
    deep = Image(texture(20, 30, 1).astype(np.uint16) * 257, depth=16)
    own, vae = Own(MODEL), Own("vae.swift")
    for image in (pair, deep):
        assert own.takes.refusal(image) is None
        decoded = own.decode(own.encode(image, Rung(100), 1), 1)
        np.testing.assert_array_equal(decoded.pixels, image.pixels)
        assert decoded.depth == image.depth
    assert vae.takes.refusal(deep) == "takes 8 bits per sample, not 16"
    assert vae.takes.refusal(pair) == "takes 0 dimensions of views, not 1"


def test_workers_begin_with_what_their_codec_takes() -> None:
    for rival in RIVALS:
        assert rival.takes.refusal(example(rival)) is None
    assert example(Own("toy.plain")).pixels.shape == (64, 64, 3)
