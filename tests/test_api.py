from __future__ import annotations

import io
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calotype_testing.codec import CODEC
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

import calotype
from calotype import container
from calotype.codec import Chunk, Host, Payload
from calotype.coding import crc32c
from calotype.container import pack, unpack
from calotype.errors import CorruptFile, LimitExceeded, Unsupported, UnsupportedFile, WeightsNotFound, WrongType
from calotype.options import EncodeOptions
from calotype.runtime.weights import Weights

MODEL = "deflate.coarse"
HOST = Host(Weights(b"64", "coarse"))  # of that model
EXIF = b"MM\0*\0\0\0\x08\0\0\0\0\0\0"  # the shortest: no tags
METADATA = calotype.Metadata(icc=b"profile", exif=b"MM\0*", xmp=b"<x/>")


def test_everything_promised_is_there() -> None:
    for name in calotype.__all__:
        assert getattr(calotype, name) is not None
        assert name in dir(calotype)
    with pytest.raises(AttributeError):
        _ = calotype.nonsense


def test_arrays_come_back(photo: np.ndarray) -> None:
    np.testing.assert_array_equal(calotype.decode(calotype.encode(photo, 100, model=MODEL)), photo)
    grey = calotype.decode(calotype.encode(photo[..., 0], 100, model=MODEL))
    np.testing.assert_array_equal(grey, photo[..., 0])


def test_pillow_images_and_images_carry_their_metadata(photo: np.ndarray) -> None:
    pillow_image = Pillow.fromarray(photo)
    pillow_image.info["icc_profile"] = b"profile"
    decoded = calotype.decode_image(calotype.encode(pillow_image, 100, model=MODEL))
    np.testing.assert_array_equal(decoded.pixels, photo)
    assert decoded.metadata == calotype.Metadata(icc=b"profile")
    image = calotype.Image(photo, metadata=METADATA)
    assert calotype.decode_image(calotype.encode(image, model=MODEL)).metadata == METADATA


def test_other_things_are_no_images() -> None:
    with pytest.raises(Unsupported, match="list"):
        calotype.encode([[1, 2], [3, 4]], model=MODEL)  # type: ignore[arg-type]


def test_views(texture: Callable[..., np.ndarray]) -> None:
    pair = np.stack([texture(9, 8, 3), texture(9, 8, 3, 1)])
    data = calotype.encode(calotype.Image(pair), 100, model=MODEL)
    np.testing.assert_array_equal(calotype.decode(data), pair)
    np.testing.assert_array_equal(calotype.decode(data, region=(1, 2, 3, 4)), pair[:, 2:6, 1:4])
    assert calotype.info(data).views == (2,)
    assert calotype.info(data).bpp == 8 * len(data) / (2 * 9 * 8)


def test_what_a_codec_does_not_take_is_refused_with_a_hint(photo: np.ndarray) -> None:
    field = np.broadcast_to(photo, (2, 2, *photo.shape))
    with pytest.raises(Unsupported, match=r"'deflate' does not take images with views \(2, 2\); these models do: toy"):
        calotype.encode(calotype.Image(field), model=MODEL)
    with pytest.raises(Unsupported, match="10 bits"):
        calotype.encode(calotype.Image(photo.astype(np.uint16), 10), model=MODEL)


@pytest.mark.parametrize("quality", [-1, 100.5, float("nan")])
def test_quality_has_a_range(photo: np.ndarray, quality: float) -> None:
    with pytest.raises(Unsupported, match="must be 0 to 100"):
        calotype.encode(photo, quality, model=MODEL)


def test_targets(photo: np.ndarray) -> None:
    sizes = [len(calotype.encode(photo, quality, model=MODEL)) for quality in range(101)]
    for target in (min(sizes), (min(sizes) + max(sizes)) // 2, max(sizes), 10**6):
        found = len(calotype.encode(photo, model=MODEL, target_bytes=target))
        best = max(size for size in sizes if size <= target)
        assert 0.9 * best <= found <= target  # few steps here, and their sizes are far apart
    found = len(calotype.encode(photo, model=MODEL, target_bpp=8.0))
    assert found * 8 / photo[..., 0].size <= 8.0
    with pytest.raises(Unsupported, match=f"{min(sizes):,} bytes, above 50"):
        calotype.encode(photo, model=MODEL, target_bytes=50)


def test_metadata_counts_for_the_target(photo: np.ndarray) -> None:
    image = calotype.Image(photo, metadata=calotype.Metadata(icc=bytes(2000)))
    assert len(calotype.encode(image, model=MODEL, target_bytes=5000)) <= 5000


@pytest.mark.parametrize(
    "options",
    [{"quality": 50, "target_bytes": 9}, {"target_bpp": 1, "target_bytes": 9}, {"target_bpp": 0.0}, {"threads": -1}],
)
def test_requests_that_make_no_sense(photo: np.ndarray, options: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        calotype.encode(photo, model=MODEL, **options)


@pytest.mark.parametrize("region", [(-1, 0, 2, 2), (0, 0, 57, 1), (0, 39, 1, 2), (3, 3, 0, 1), (56, 0, 1, 1)])
def test_a_region_lies_inside(photo: np.ndarray, region: tuple[int, int, int, int]) -> None:
    data = calotype.encode(photo, model=MODEL)
    with pytest.raises(Unsupported, match="not inside 56x40"):
        calotype.decode(data, region=region)


def test_limit(photo: np.ndarray) -> None:
    data = calotype.encode(photo, 100, model=MODEL)
    with pytest.raises(LimitExceeded):
        calotype.decode(data, max_pixels=photo[..., 0].size - 1)
    np.testing.assert_array_equal(calotype.decode(data, max_pixels=photo[..., 0].size), photo)


def rewritten(data: bytes, **changes: Any) -> bytes:
    from dataclasses import replace

    header, chunks = unpack(data)
    return pack(replace(header, **changes), chunks)


def test_files_of_other_codecs_weights_and_versions(photo: np.ndarray) -> None:
    data = calotype.encode(photo, 100, model=MODEL)
    with pytest.raises(UnsupportedFile, match="'other'"):
        calotype.decode(rewritten(data, codec="other"))
    with pytest.raises(WeightsNotFound, match="64696765"):
        calotype.decode(rewritten(data, digest=b"dige"))
    with pytest.raises(UnsupportedFile, match="version 4 of the codec"):
        calotype.decode(rewritten(data, wire_version=4))
    np.testing.assert_array_equal(calotype.decode(rewritten(data, wire_version=2)), photo)
    with pytest.raises(UnsupportedFile, match="forgotten"):  # the codec knows which version it reads
        calotype.decode(rewritten(data, wire_version=1))


def test_unknown_chunks(photo: np.ndarray) -> None:
    header, chunks = unpack(calotype.encode(photo, 100, model=MODEL))
    with_note = pack(header, [Chunk("n", b"a note"), *chunks])
    np.testing.assert_array_equal(calotype.decode(with_note), photo)
    assert calotype.info(with_note).chunks[0] == ("n", 6)
    with pytest.raises(UnsupportedFile, match="unknown chunks"):
        calotype.decode(pack(header, [*chunks, Chunk("Q", b"")]))


def test_info(photo: np.ndarray) -> None:
    data = calotype.encode(calotype.Image(photo, metadata=METADATA), model=MODEL)
    about = calotype.info(data)
    assert (about.codec, about.model, about.wire_version) == ("deflate", MODEL, 3)
    assert (about.width, about.height, about.mode, about.depth) == (56, 40, "RGB", 8)
    assert (about.bytes, about.bpp) == (len(data), 8 * len(data) / (56 * 40))
    assert about.metadata == {"icc": 7, "exif": 4, "xmp": 4}
    assert [tag for tag, _ in about.chunks] == ["i", "e", "x", "S", "D"]
    assert calotype.info(rewritten(data, digest=b"dige")).model is None
    assert calotype.info(rewritten(data, codec="other")).model is None
    with pytest.raises(CorruptFile):
        calotype.info(data[:-1])


def test_a_loaded_model(photo: np.ndarray) -> None:
    model = calotype.load(MODEL)
    assert (model.name, model.info.name) == (MODEL, "deflate")
    data = model.encode(photo, 30)
    assert data == calotype.encode(photo, 30, model=MODEL) == calotype.encode(photo, 30, model=model)
    np.testing.assert_array_equal(model.decode(data), calotype.decode(data))
    assert model.count_bits(photo, 30) == 8 * (len(data) - 6)  # one frame of a chunk is expected, this codec writes two
    with pytest.raises(Unsupported, match=r"not coded with deflate\.fine"):
        calotype.load("deflate.fine").decode(data)


class TestBatch:
    def test_files_and_arrays_are_those_of_single_calls(self, texture: Callable[..., np.ndarray]) -> None:
        images = [texture(9 + place, 30 - place, 1 + place % 4, place) for place in range(13)]
        files = [calotype.encode(image, 30, model=MODEL) for image in images]
        for threads in (0, 1, 3):
            assert calotype.encode_batch(iter(images), 30, model=MODEL, threads=threads) == files
            for back, data in zip(calotype.decode_batch(iter(files), threads=threads), files, strict=True):
                np.testing.assert_array_equal(back, calotype.decode(data))
        model = calotype.load(MODEL)
        assert model.encode_batch(images, target_bytes=900) == [
            model.encode(image, target_bytes=900) for image in images
        ]
        assert [back.shape for back in model.decode_batch(files)] == [calotype.decode(data).shape for data in files]
        assert calotype.encode_batch([], model=MODEL) == calotype.decode_batch([]) == []

    def test_files_of_several_models_in_one_batch(self, photo: np.ndarray) -> None:
        files = [calotype.encode(photo, 100, model=model) for model in (MODEL, "deflate.fine")]
        assert all((pixels == photo).all() for pixels in calotype.decode_batch(files))
        with pytest.raises(calotype.BatchFailed, match=r"1 of 2 failed.*file 1: .*not coded with deflate\.coarse"):
            calotype.load(MODEL).decode_batch(files)

    @pytest.mark.parametrize("threads", [1, 2])
    def test_a_failure_costs_its_own_image_only(self, photo: np.ndarray, threads: int) -> None:
        images: list[Any] = [photo, photo.astype(np.float32), photo[:9], "no image", photo[:5]]
        with pytest.raises(calotype.BatchFailed, match=r"2 of 5 failed.*image 1: .*float") as caught:
            calotype.encode_batch(images, 50, model=MODEL, threads=threads)
        good = [calotype.encode(images[place], 50, model=MODEL) for place in (0, 2, 4)]
        assert caught.value.results == [good[0], None, good[1], None, good[2]]
        assert list(caught.value.errors) == [1, 3]
        assert isinstance(caught.value.errors[3], Unsupported)

    def test_the_error_survives_a_process(self, photo: np.ndarray) -> None:
        with pytest.raises(calotype.BatchFailed) as caught:
            calotype.decode_batch([b"nothing"])
        copy = pickle.loads(pickle.dumps(caught.value))
        assert str(copy) == str(caught.value)
        assert (copy.results, list(copy.errors)) == ([None], [0])

    def test_requests_that_make_no_sense_are_refused_at_once(self, photo: np.ndarray) -> None:
        with pytest.raises(Unsupported, match="threads"):
            calotype.encode_batch([photo], model=MODEL, threads=-1)
        with pytest.raises(Unsupported, match="must be 0 to 100"):
            calotype.encode_batch([photo], 101, model=MODEL)
        with pytest.raises(Unsupported, match="threads"):
            calotype.decode_batch([b""], threads=-1)

    def test_mistakes_of_ours_and_of_the_iterator_come_through(self, photo: np.ndarray) -> None:
        def broken() -> Iterator[np.ndarray]:
            yield photo
            raise ZeroDivisionError("in the reader")

        with pytest.raises(ZeroDivisionError, match="reader"):
            calotype.encode_batch(broken(), model=MODEL, threads=2)

    def test_few_images_are_held(self, photo: np.ndarray) -> None:
        """How far an iterator is ahead of the results, by a codec that waits."""
        taken, done, ahead = 0, 0, []

        def images() -> Iterator[np.ndarray]:
            nonlocal taken
            for _ in range(40):
                taken += 1
                ahead.append(taken - done)
                yield photo

        class Slow(CODEC):
            def encode(self, image: calotype.Image, options: EncodeOptions) -> Payload:
                nonlocal done
                time.sleep(0.005)
                done += 1
                return super().encode(image, options)

        model = replace(calotype.load(MODEL), codec=Slow(HOST))
        assert len(model.encode_batch(images(), threads=2)) == 40
        assert max(ahead) <= 2 * 2 + 2

    def test_images_are_in_work_beside_each_other(self, photo: np.ndarray) -> None:
        barrier = threading.Barrier(3, timeout=300)

        class Meeting(CODEC):
            def encode(self, image: calotype.Image, options: EncodeOptions) -> Payload:
                barrier.wait()
                assert options.threads == 1
                return super().encode(image, options)

        model = replace(calotype.load(MODEL), codec=Meeting(HOST))
        assert len(model.encode_batch([photo] * 6, threads=3)) == 6


def test_read_and_write(tmp_path: Path, photo: np.ndarray) -> None:
    image = calotype.Image(photo, metadata=calotype.Metadata(xmp=b"<x/>"))
    for name in ("a.calo", "a.png"):
        options: dict[str, Any] = {"quality": 100, "model": MODEL} if name.endswith("calo") else {}
        calotype.write(tmp_path / name, image, **options)
        again = calotype.read(tmp_path / name)
        np.testing.assert_array_equal(again.pixels, photo)
        assert again.metadata == image.metadata
    (tmp_path / "a.calo").rename(tmp_path / "b.png")  # the first bytes count, not the name
    np.testing.assert_array_equal(calotype.read(tmp_path / "b.png").pixels, photo)
    with pytest.raises(Unsupported, match="quality"):
        calotype.write(tmp_path / "c.png", photo, 50)
    with pytest.raises(Unsupported):
        calotype.write(tmp_path / "c.calo", photo.astype(np.float32), model=MODEL)
    assert not (tmp_path / "c.calo").exists()


class TestPillow:
    def test_open_and_save(self, photo: np.ndarray) -> None:
        import calotype.interop.pillow

        file = io.BytesIO()
        Pillow.fromarray(photo).save(file, "CALOTYPE", quality=100, model=MODEL, exif=b"Exif\0\0" + EXIF, xmp=b"<x/>")
        opened = Pillow.open(io.BytesIO(file.getvalue()))
        assert (opened.format, opened.size, opened.mode) == ("CALOTYPE", (56, 40), "RGB")
        assert opened.get_format_mimetype() == "image/x-calotype"
        assert opened.info == {"exif": b"Exif\0\0" + EXIF, "xmp": b"<x/>"}
        np.testing.assert_array_equal(np.asarray(opened), photo)
        assert calotype.decode_image(file.getvalue()).metadata == calotype.Metadata(exif=EXIF, xmp=b"<x/>")

    def test_metadata_follows_unless_it_is_left_out(self, photo: np.ndarray, tmp_path: Path) -> None:

        image = Pillow.fromarray(photo)
        image.info.update(icc_profile=b"profile", xmp=b"<x/>")
        image.save(tmp_path / "a.calo", model=MODEL, xmp=None)
        assert Pillow.open(tmp_path / "a.calo").info == {"icc_profile": b"profile"}
        assert image.info["xmp"] == b"<x/>"

    def test_decoding_waits_for_load(self, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
        import calotype.api
        import calotype.interop.pillow

        data = calotype.encode(photo, 100, model=MODEL)

        def fail(*_: object, **__: object) -> None:
            raise CorruptFile("too early")

        monkeypatch.setattr(calotype.api, "decode_image", fail)
        opened = Pillow.open(io.BytesIO(data))
        assert opened.size == (56, 40)
        with pytest.raises(OSError, match="too early"):
            opened.load()

    @pytest.mark.parametrize("shape", [(5, 7), (5, 7, 2), (5, 7, 4)])
    def test_modes(self, shape: tuple[int, ...]) -> None:
        import calotype.interop.pillow

        pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        opened = Pillow.open(io.BytesIO(calotype.encode(pixels, 100, model=MODEL)))
        np.testing.assert_array_equal(np.asarray(opened), pixels)

    def test_sixteen_bits(self) -> None:
        import calotype.interop.pillow

        pixels = np.arange(35, dtype=np.uint16).reshape(5, 7) * 1777
        opened = Pillow.open(io.BytesIO(calotype.encode(pixels, 100, model=MODEL)))
        assert opened.mode == "I;16"
        np.testing.assert_array_equal(np.asarray(opened), pixels)

    @pytest.mark.parametrize(
        ("key", "value"),
        [("dpi", 300), ("dpi", (1, 2, 3)), ("dpi", ("x", "y")), ("exif", "text"), ("icc_profile", 7), ("xmp", 1.5)],
    )
    def test_metadata_of_another_type_is_refused(self, photo: np.ndarray, key: str, value: object) -> None:
        import calotype.interop.pillow

        with pytest.raises(OSError, match=key.removesuffix("_profile")):
            Pillow.fromarray(photo).save(io.BytesIO(), "CALOTYPE", model=MODEL, **{key: value})
        image = Pillow.fromarray(photo)
        image.info[key] = value
        with pytest.raises(WrongType, match=key.removesuffix("_profile")):
            calotype.encode(image, model=MODEL)

    def test_wrong_data_is_left_to_other_plugins(self, photo: np.ndarray, tmp_path: Path) -> None:
        import calotype.interop.pillow

        data = calotype.encode(photo, model=MODEL)
        with pytest.raises(UnidentifiedImageError):
            Pillow.open(io.BytesIO(data[:-1]))
        with pytest.raises(OSError, match="must be 0 to 100"):
            Pillow.fromarray(photo).save(tmp_path / "a.calo", model=MODEL, quality=101)
        assert not (tmp_path / "a.calo").exists()


def test_a_file_that_arrives_in_pieces_is_looked_at_once(photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not from its beginning with every piece: thousands of small chunks would cost minutes."""
    header, chunks = unpack(calotype.encode(photo, model=MODEL))
    data = pack(header, [*chunks, *[Chunk("Q", b"")] * 2000])
    looked_at = 0
    checksum = crc32c

    def count(body: bytes) -> int:
        nonlocal looked_at
        looked_at += len(body)
        return checksum(body)

    monkeypatch.setattr(container, "crc32c", count)
    with pytest.raises(UnsupportedFile):
        list(calotype.decode_progressive(data[start : start + 7] for start in range(0, len(data), 7)))
    assert looked_at < 4 * len(data)
