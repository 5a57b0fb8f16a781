"""`calotype quantise` and `adapt`: what a weights file is given from images."""

from __future__ import annotations

import functools
import hashlib
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

import calotype
from calotype.codecs.vae.adapt import adapt
from calotype.codecs.vae.freeze import freeze
from calotype.codecs.vae.networks import VAE
from calotype.codecs.vae.recipe import Recipe
from calotype.errors import CalotypeError, Unsupported
from calotype.runtime.weights import Weights, companion_path, pack_weights
from calotype.train.finish import adapt_model, quantise_model
from tests.train.toys import SIDE

SMALL = replace(Recipe.load("swift"), blocks=(2, 1), latents=64, hyper_latents=8, hyper_width=16, context_width=32)


@functools.cache
def frozen(recipe: Recipe, noise: float) -> bytes:
    torch.manual_seed(0)
    model = VAE(recipe)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(noise * torch.randn_like(parameter))
    return freeze(model)


def install(folder: Path, recipe: Recipe, noise: float = 0.004) -> Path:
    """Weights of a model and a card that has a word of its own; with noise blocks do something, as after training."""
    data = frozen(recipe, noise)
    path = folder / f"{recipe.name}.calow"
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()[:8]
    path.with_suffix(".toml").write_text(f'name = "vae.{recipe.name}"\ndigest = "{digest}"\ndescription = "Fresh."\n')
    return path


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiles to calibrate on, and one that `load_tiles` holds out."""
    folder = tmp_path_factory.mktemp("tiles")
    noise = np.random.default_rng(0).integers(0, 256, (8, 24, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).resize((3 * SIDE, SIDE), PIL.Image.Resampling.BICUBIC).save(folder / "noise.png")
    return folder


def test_a_model_gets_its_companion(tmp_path: Path, tiles: Path) -> None:
    path = install(tmp_path, SMALL)
    before = path.read_bytes()
    companion = quantise_model(str(path), [tiles], 2)
    assert companion == companion_path(path)
    assert path.read_bytes() == before
    card = tomllib.loads(path.with_suffix(".toml").read_text())
    assert card["description"] == "Fresh."
    assert card["int8"] == {"bytes": companion.stat().st_size, "tiles": 2}
    pixels = np.asarray(PIL.Image.open(tiles / "noise.png"))[:, SIDE : 2 * SIDE]
    slow, fast = (calotype.load(path, precision=precision) for precision in ("float", "int8"))
    data = slow.encode(pixels, 60)
    difference = fast.decode(data).astype(int) - slow.decode(data)
    assert 0 < np.abs(difference).mean() < 0.5  # of 255


def test_what_has_no_int8_version_is_refused(tmp_path: Path, tiles: Path) -> None:
    with pytest.raises(Unsupported, match="only the transforms of swift"):
        quantise_model(str(install(tmp_path, replace(Recipe.load("factorized"), width=16, latents=16))), [tiles], 2)
    with pytest.raises(Unsupported, match="train it before"):
        quantise_model(str(install(tmp_path, SMALL, noise=0)), [tiles], 2)
    with pytest.raises(Unsupported, match="'deflate' has no int8 version"):
        quantise_model("deflate.fine", [tiles], 2)
    with pytest.raises(CalotypeError, match="does not exist"):
        quantise_model("vae.swift", [tmp_path / "nowhere"], 2)
    assert not list(tmp_path.glob("*.int8.*"))


def test_an_entropy_coder_is_fitted_and_old_files_still_decode(tmp_path: Path, tiles: Path) -> None:
    path = install(tmp_path, SMALL)
    quantise_model(str(path), [tiles], 2)
    with PIL.Image.open(tiles / "noise.png") as opened:
        pixels = np.asarray(opened)[:, :SIDE]
    plain = calotype.load(str(path), precision="int8")
    before = plain.encode(pixels, quality=50)
    decoded = plain.decode(before)

    assert adapt_model(str(path), [tiles], 2) == path
    adapted = calotype.load(str(path), precision="int8")
    assert adapted.card.digest == hashlib.sha256(path.read_bytes()).digest()[:4]
    np.testing.assert_array_equal(adapted.decode(before), decoded)
    after = adapted.encode(pixels, quality=50)
    assert len(after) < len(before)
    card = tomllib.loads(path.with_suffix(".toml").read_text())
    assert card["reads"] == [plain.card.digest.hex()]
    assert card["description"] == "Fresh."
    assert card["adaptive"] == {"tiles": 2}

    noise = np.random.default_rng(1).integers(0, 256, (SIDE, 3 * SIDE, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(tmp_path / "other.png")
    adapt_model(str(path), [tmp_path / "other.png"], 2)
    again = calotype.load(str(path))
    np.testing.assert_array_equal(again.decode(before), calotype.load(str(path)).decode(before))
    assert not again.card.reads_files_of("vae", adapted.card.digest)  # its tables are gone
    with pytest.raises(CalotypeError):
        again.decode(after)


def test_codecs_without_tables_of_networks_are_not_fitted(tiles: Path) -> None:
    factorized = replace(SMALL, prior="factorized", hyper_latents=0)
    with pytest.raises(Unsupported, match="predicted width"):
        adapt(Weights(pack_weights(factorized.to_dict(), {}, {}), "factors"), [])
    with pytest.raises(Unsupported, match="no entropy coder that adapts"):
        adapt_model("prism.photo", [tiles], 2)
