"""What a loaded model does beyond the contract: another model inside it, views, Pillow's options."""

from __future__ import annotations

import io
import pickle
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

import calotype
import calotype.interop.pillow
from calotype import registry
from calotype.codec import Payload
from calotype.errors import BoundExceeded, CalotypeWarning, Unsupported
from calotype.image import Image
from calotype.options import EncodeOptions
from calotype.runtime.weights import Weights

NESTED = """
from calotype.codec import CodecInfo
INFO = CodecInfo("nested", wire_version=1, lossless=True, depths=frozenset({8}))
"""
NESTED_CODEC = '''
from . import INFO
class Nested:
    """Codes everything with the model that its weights name."""
    info = INFO
    def __init__(self, host):
        codec, digest = host.weights.data.decode().split()
        self.base = host.model(codec, bytes.fromhex(digest))
    def encode(self, image, options):
        return self.base.encode(image, options)
    def decode(self, payload, options):
        return self.base.decode(payload, options)
    def count_bits(self, image, options):
        return self.base.count_bits(image, options)
CODEC = Nested
'''


@pytest.fixture
def nested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes], str]:
    """Install a codec that asks for another model; `nested(codec, digest)` names its weights."""
    package = tmp_path / "nested_codec"
    package.mkdir()
    (package / "__init__.py").write_text(NESTED)
    (package / "codec.py").write_text(NESTED_CODEC)
    for name in ("nested_codec", "nested_codec.codec"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "_third_parties", lambda: {"nested": "nested_codec", "toy": "calotype_toy"})

    def install(codec: str, digest: bytes) -> str:
        path = tmp_path / "whole.calow"
        path.write_bytes(f"{codec} {digest.hex()}".encode())
        own = Weights.open(path).digest.hex()
        path.with_suffix(".toml").write_text(f'name = "nested.whole"\ndigest = "{own}"\n')
        monkeypatch.setenv(registry.SEARCH_PATH, str(tmp_path))
        return str(path)

    return install


def test_a_model_can_have_another_one_inside(nested: Callable[[str, bytes], str], photo: np.ndarray) -> None:
    model = calotype.load(nested("toy", registry.NO_WEIGHTS))
    np.testing.assert_array_equal(model.decode(model.encode(photo)), photo)
    np.testing.assert_array_equal(calotype.decode(model.encode(photo)), photo)


def test_a_missing_inner_model_is_named(nested: Callable[[str, bytes], str]) -> None:
    with pytest.raises(calotype.WeightsNotFound, match="01020304 of the codec 'toy'"):
        calotype.load(nested("toy", bytes([1, 2, 3, 4])))


def test_a_codec_alone_stands_for_its_only_model() -> None:
    assert calotype.load("toy").name == "toy.plain"
    assert calotype.load("prism").name == "prism.photo"
    with pytest.raises(calotype.WeightsNotFound, match=r"several models: deflate.coarse, deflate.fine"):
        calotype.load("deflate")


def test_views_are_joined_and_parted(texture: Callable[..., np.ndarray]) -> None:
    plain = [Image(texture(9, 8, 3, seed)) for seed in range(6)]
    pair = Image.of_views(plain[:2])
    assert pair.views == (2,)
    field = Image.of_views(plain, rows=2)
    assert field.views == (2, 3)
    np.testing.assert_array_equal(field.view(1, 2).pixels, plain[5].pixels)
    np.testing.assert_array_equal(calotype.decode(calotype.encode(field, model="toy"), view=(1, 0)), plain[3].pixels)
    for wrong in ([], [plain[0], Image(texture(9, 7, 3))], [plain[0], Image(texture(9, 8, 4))], [pair, pair]):
        with pytest.raises(Unsupported):
            Image.of_views(wrong)
    with pytest.raises(Unsupported, match="do not fill 4 rows"):
        Image.of_views(plain, rows=4)
    with pytest.raises(Unsupported, match="profile"):
        Image.of_views([plain[0], Image(plain[1].pixels, metadata=calotype.Metadata(icc=b"other"))])


class TestPillow:
    def test_lossless_is_lossless(self, photo: np.ndarray) -> None:
        file = io.BytesIO()
        Pillow.fromarray(photo).save(file, "CALOTYPE", lossless=True)
        assert calotype.info(file.getvalue()).codec == calotype.load(lossless=True).card.codec
        np.testing.assert_array_equal(np.asarray(Pillow.open(file)), photo)

    def test_efforts_arrive(self, photo: np.ndarray) -> None:
        for effort in (1, 3):
            file = io.BytesIO()
            Pillow.fromarray(photo).save(file, "CALOTYPE", lossless=True, effort=effort, threads=1)
            assert file.getvalue() == calotype.encode(photo, lossless=True, effort=effort, threads=1)

    def test_what_is_not_taken_is_refused(self, photo: np.ndarray) -> None:
        with pytest.raises(OSError, match="takes no quality"):
            Pillow.fromarray(photo).save(io.BytesIO(), "CALOTYPE", model="prism.photo", quality=50)
        with pytest.raises(OSError, match="lossless files have no quality"):
            Pillow.fromarray(photo).save(io.BytesIO(), "CALOTYPE", lossless=True, quality=50)

    def test_options_of_other_formats_are_left_out_with_a_warning(self, photo: np.ndarray) -> None:
        with pytest.warns(CalotypeWarning, match="no option optimize, qualty"):
            Pillow.fromarray(photo).save(io.BytesIO(), "CALOTYPE", model="toy", optimize=True, qualty=30)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Pillow.fromarray(photo).save(io.BytesIO(), "CALOTYPE", model="toy", threads=1, icc_profile=None)


class TestPython:
    """What Python users expect of an image library."""

    def test_images_are_arrays(self, texture: Callable[..., np.ndarray]) -> None:
        for channels in (1, 3):
            image = Image(texture(9, 8, channels))
            array = np.asarray(image)
            np.testing.assert_array_equal(array, calotype.decode(calotype.encode(image, model="toy")))
            assert np.shares_memory(array, image.pixels)
            assert np.asarray(image, np.float32).dtype == np.float32
            assert not np.shares_memory(np.array(image), image.pixels)
            with pytest.raises(ValueError, match="copy"):
                np.asarray(image, np.float32, copy=False)

    def test_open_files_are_read_and_written(self, photo: np.ndarray, tmp_path: Path) -> None:
        file = io.BytesIO()
        calotype.write(file, photo, model="toy")
        file.seek(0)
        np.testing.assert_array_equal(calotype.read(file).pixels, photo)
        calotype.write(tmp_path / "a.png", photo)
        with open(tmp_path / "a.png", "rb") as opened:
            np.testing.assert_array_equal(calotype.read(opened).pixels, photo)
            opened.seek(0)
            with pytest.raises(Unsupported, match="read whole"):
                calotype.read(opened, region=(0, 0, 1, 1))

    def test_images_become_pillow_images(self, texture: Callable[..., np.ndarray]) -> None:
        image = Image(texture(9, 8, 4), metadata=calotype.Metadata(xmp=b"<x/>"))
        made = image.to_pillow()
        assert (made.mode, made.info["xmp"]) == ("RGBA", b"<x/>")
        np.testing.assert_array_equal(np.asarray(made), image.pixels)
        with pytest.raises(Unsupported, match="one view"):
            Image.of_views([image, image]).to_pillow()

    def test_models_are_pickled_by_name(self, photo: np.ndarray) -> None:
        for name, precision in (("toy.plain", None), ("vae.swift", "float")):
            model = calotype.load(name, precision=precision)
            again = pickle.loads(pickle.dumps(model))
            assert (again.name, again.precision) == (name, precision)
            assert again.codec == model.codec  # opened once
            assert len(pickle.dumps(model)) < 10_000

    @pytest.mark.parametrize("wrong", ["photo.png", b"bytes", None, [[1, 2], [3, 4]], 7], ids=repr)
    def test_what_is_no_image_is_a_type_error(self, wrong: Any) -> None:
        with pytest.raises(TypeError, match=r"an image is an array, a .* or a Pillow image, not"):
            calotype.encode(wrong)

    def test_what_is_no_file_is_a_type_error(self) -> None:
        with pytest.raises(TypeError, match="bytes"):
            calotype.decode("photo.calo")  # type: ignore[arg-type]

    def test_the_package_shows_its_names_only(self) -> None:
        assert set(dir(calotype)) == {*calotype.__all__, "__version__"}


class TestProgressive:
    """Layers that arrive, of the two that `toy` has."""

    @pytest.fixture
    def data(self, photo: np.ndarray) -> bytes:
        return calotype.encode(photo, model="toy")

    def test_it_ends_with_the_layers_that_are_wanted(self, data: bytes) -> None:
        pieces = [data[start : start + 50] for start in range(0, len(data), 50)]
        for layers in (1, 2):
            images = list(calotype.decode_progressive(pieces, layers=layers))
            assert len(images) == layers
            np.testing.assert_array_equal(images[-1].pixels, calotype.decode(data, layers=layers))
        with pytest.raises(Unsupported, match="2 layers, not 3"):
            list(calotype.decode_progressive(io.BytesIO(data), layers=3))

    def test_bytes_beyond_the_limit_are_not_looked_at(self, data: bytes) -> None:
        pieces = [data[start : start + 50] for start in range(0, len(data), 50)]
        with pytest.warns(calotype.PartialFile, match="1 in number"):
            (image,) = calotype.decode_progressive(pieces, max_bytes=len(data) - 1)
        np.testing.assert_array_equal(image.pixels, calotype.decode(data, layers=1))
        with pytest.raises(calotype.TruncatedFile):
            list(calotype.decode_progressive(pieces, max_bytes=60))

    def test_a_cut_stream_gives_each_layer_once(self, data: bytes) -> None:
        with pytest.warns(calotype.PartialFile):
            assert len(list(calotype.decode_progressive([data[:-1]]))) == 1


def test_a_model_reads_what_it_left_to_the_lossless_one() -> None:
    checker = (255 * (np.indices((40, 50)).sum(0) % 2)).astype(np.uint8)
    model = calotype.load()
    data = model.encode(checker)
    assert calotype.info(data).model != model.name
    np.testing.assert_array_equal(model.decode(data), checker)
    np.testing.assert_array_equal(model.decode_batch(model.encode_batch([checker]))[0], checker)


def test_a_missing_folder_is_told_by_the_name_of_the_file(photo: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "a.calo"
    with pytest.raises(FileNotFoundError) as caught:
        calotype.write(path, photo, model="toy")
    assert caught.value.filename == str(path)


def test_a_bound_that_a_codec_breaks_is_noticed(photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it wrote is decoded and compared, as it does not say by how much it is off."""
    model = calotype.load("deflate.coarse")
    assert calotype.info(model.encode(photo, max_error=3)).largest_error == 3
    honest = type(model.codec).encode

    def careless(codec: Any, image: Image, options: EncodeOptions) -> Payload:
        return honest(codec, image, replace(options, max_error=20))

    monkeypatch.setattr(type(model.codec), "encode", careless)
    with pytest.raises(BoundExceeded, match=r"deflate.coarse would be off by 20, above 3; nothing is written"):
        model.encode(photo, max_error=3)
