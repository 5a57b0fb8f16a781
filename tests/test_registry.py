from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from calotype import registry
from calotype.errors import CalotypeWarning, CorruptFile, UnsupportedFile, WeightsNotFound


def install(folder: Path, name: str, weights: bytes, more: str = "") -> Path:
    """Put a weights file and its card into a folder."""
    folder.mkdir(exist_ok=True)
    stem = name.partition(".")[2]
    (folder / f"{stem}.calow").write_bytes(weights)
    digest = hashlib.sha256(weights).hexdigest()[:8]
    (folder / f"{stem}.toml").write_text(f'name = "{name}"\ndigest = "{digest}"\n{more}\n')
    return folder / f"{stem}.calow"


def test_third_parties_are_found_by_their_entry_point() -> None:
    model = registry.find("deflate.coarse")
    assert model.weights is not None
    assert (model.codec, model.weights.read_bytes(), model.description) == ("deflate", b"64", "For tests.")
    assert {"deflate.coarse", "deflate.fine"} <= {model.name for model in registry.list_models()}
    assert registry.codec_info("deflate").wire_version == 3
    assert registry.find_digest("deflate", model.digest) == model


def test_models_are_loaded_once() -> None:
    first = registry.open_codec(registry.find("deflate.coarse"))
    assert registry.open_codec(registry.find("deflate.coarse")) is first
    assert first.coarsest == 64  # type: ignore[attr-defined]
    assert registry.open_codec(registry.find("deflate.fine")).coarsest == 9  # type: ignore[attr-defined]


def test_the_search_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = registry.find("deflate.fine")
    install(tmp_path / "a", "deflate.fine", b"5")
    install(tmp_path / "b", "deflate.mine", b"6", "default = true")
    monkeypatch.setenv(registry.SEARCH_PATH, os.pathsep.join([str(tmp_path / "a"), "", str(tmp_path / "b")]))
    assert registry.find("deflate.fine").weights == tmp_path / "a" / "fine.calow"
    assert registry.find().name == "deflate.mine"
    assert [model.name for model in registry.list_models()].count("deflate.fine") == 1
    assert registry.find_digest("deflate", installed.digest).path == installed.path  # hidden, yet files need it


def test_a_model_by_the_path_of_its_weights(tmp_path: Path) -> None:
    path = install(tmp_path, "deflate.mine", b"7")
    assert registry.open_codec(registry.find(path)).coarsest == 7  # type: ignore[attr-defined]
    assert registry.find(str(path)).name == "deflate.mine"
    path.with_suffix(".toml").unlink()
    with pytest.raises(WeightsNotFound, match=r"mine\.toml"):
        registry.find(path)


def test_what_is_missing_says_what_to_do() -> None:
    with pytest.raises(WeightsNotFound, match=r"calotype models.*deflate.coarse"):
        registry.find("vae.nonsense")
    with pytest.raises(WeightsNotFound, match=r"00000000.*CALOTYPE_WEIGHTS"):
        registry.find_digest("deflate", bytes(4))
    with pytest.raises(UnsupportedFile, match="plug-in"):
        registry.find_digest("nonsense", bytes(4))


def test_weights_must_belong_to_their_card(tmp_path: Path) -> None:
    path = install(tmp_path, "deflate.mine", b"7")
    path.write_bytes(b"8")
    with pytest.raises(CorruptFile, match="card"):
        registry.open_codec(registry.find(path))


def test_one_bad_card_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry._pass_over.cache_clear()
    install(tmp_path, "deflate.mine", b"7")
    (tmp_path / "broken.toml").write_text("name =")
    (tmp_path / "unknown.toml").write_text('name = "nonsense.x"\ndigest = "00000000"')
    monkeypatch.setenv(registry.SEARCH_PATH, str(tmp_path))
    with pytest.warns(CalotypeWarning) as seen:
        names = {model.name for _ in range(2) for model in registry.list_models()}
    assert {"deflate.mine", "deflate.fine"} <= names
    assert not {"nonsense.x", "broken"} & names
    messages = [str(warning.message) for warning in seen]
    assert len(messages) == 2  # said once
    assert "broken.toml" in messages[0]
    assert "nonsense" in messages[1]


def test_a_plug_in_that_cannot_be_loaded_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "calotype_broken").mkdir()
    (tmp_path / "calotype_broken" / "__init__.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_third_parties", lambda: {"broken": "calotype_broken"})
    with pytest.raises(UnsupportedFile, match=r"plug-in calotype_broken .* ZeroDivisionError"):
        registry.codec_info("broken")
    with pytest.raises(UnsupportedFile, match="plug-in"):
        registry.find_digest("broken", bytes(4))


def test_what_is_foreign() -> None:
    assert not registry.find("vae.swift").is_foreign
    assert registry.find("deflate.fine").is_foreign


@pytest.mark.parametrize(
    "card", ["", "name = ", 'name = "x"\ndigest = "00000000"', 'name = "a.b"\ndigest = "00"', "name = 1\ndigest = 2"]
)
def test_broken_cards_are_named(tmp_path: Path, card: str) -> None:
    path = install(tmp_path, "deflate.mine", b"7")
    path.with_suffix(".toml").write_text(card)
    with pytest.raises(CorruptFile, match=r"mine\.toml"):
        registry.find(path)
