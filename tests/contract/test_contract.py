"""What every codec keeps, over every installed model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import calotype
from calotype.errors import CorruptFile, Unsupported

MODELS = [model.name for model in calotype.list_models()]
QUALITIES = [0.0, 37.5, 100.0]
SIZES = [(1, 1), (1, 40), (17, 3), (64, 64), (75, 131)]
CHANNELS = [1, 2, 3, 4]

BIT_TOLERANCE = 0.005  # of the file; the project's promise
CODER_BYTES = 8  # what the ends of entropy-coded streams may differ by, which small files feel

Picture = Callable[..., np.ndarray]


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> calotype.Model:
    return calotype.load(request.param)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_any_size_and_mode_comes_back(
    model: calotype.Model, picture: Picture, size: tuple[int, int], channels: int
) -> None:
    pixels = picture(*size, channels)
    image = calotype.decode_image(model.encode(pixels, 50))
    assert (image.pixels.shape, image.depth) == (pixels.shape, 8)
    if model.info.lossless:
        np.testing.assert_array_equal(image.pixels, pixels)
    if channels in (2, 4):
        np.testing.assert_array_equal(image.pixels[..., -1], pixels[..., -1])  # alpha is always exact


@pytest.mark.parametrize("quality", QUALITIES)
def test_the_picture_is_recognised(model: calotype.Model, picture: Picture, quality: float) -> None:
    pixels = picture(64, 96, 3)
    decoded = calotype.decode(model.encode(pixels, quality))
    error = np.sqrt(np.mean((decoded.astype(float) - pixels) ** 2))
    assert error < pixels.std()  # better than a grey area; how good is for benchmarks


def test_more_quality_costs_and_gives_more(model: calotype.Model, picture: Picture) -> None:
    if model.info.lossless:
        pytest.skip("a lossless codec has one quality")
    pixels = picture(64, 96, 3)
    files = [model.encode(pixels, quality) for quality in QUALITIES]
    errors = [np.mean((calotype.decode(data).astype(float) - pixels) ** 2) for data in files]
    assert len(files[0]) < len(files[1]) < len(files[2])
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_exact_or_refused(model: calotype.Model, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (9, 11, channels), np.uint16)
    if 16 not in model.info.depths:
        with pytest.raises(Unsupported, match="16 bits"):
            model.encode(pixels)
        return
    image = calotype.decode_image(model.encode(pixels, 100))
    assert (image.pixels.shape, image.depth) == (pixels.shape, 16)
    if model.info.lossless:
        np.testing.assert_array_equal(image.pixels, pixels)


def test_threads_change_nothing(model: calotype.Model, picture: Picture) -> None:
    pixels = picture(130, 150, 3)
    files = [model.encode(pixels, 60, threads=threads) for threads in (1, 2)]
    for data in files:
        one, two = (calotype.decode(data, threads=threads) for threads in (1, 2))
        np.testing.assert_array_equal(one, two)


def test_equal_calls_give_equal_bytes(model: calotype.Model, picture: Picture) -> None:
    pixels = picture(40, 56, 4)
    files = {model.encode(pixels, 60, threads=1) for _ in range(3)}
    assert len(files) == 1


def test_every_cut_is_noticed(model: calotype.Model, picture: Picture) -> None:
    data = model.encode(picture(5, 4, 4), 0)
    for length in range(len(data)):
        with pytest.raises(CorruptFile):
            calotype.decode(data[:length])


def test_every_change_of_a_byte_is_noticed(model: calotype.Model, picture: Picture) -> None:
    data = bytearray(model.encode(picture(5, 4, 4), 0))
    for position in range(len(data)):
        for change in (1, 0x20, 0x80, 0xFF):
            data[position] ^= change
            with pytest.raises(CorruptFile):
                calotype.decode(bytes(data))
            data[position] ^= change


def test_hostile_payloads_are_refused_or_decoded(model: calotype.Model, picture: Picture) -> None:
    """With right checksums around wrong bodies, which only an attacker or a faulty writer makes."""
    from calotype.codec import Chunk
    from calotype.container import pack, unpack

    header, chunks = unpack(model.encode(picture(33, 47, 3), 40))
    random = np.random.default_rng(0)
    for _ in range(60):
        hostile = []
        for tag, body in chunks:
            changed = bytearray(body)
            for position in random.integers(0, max(len(changed), 1), random.integers(0, 4)):
                if changed:
                    changed[position] ^= random.integers(1, 256)
            hostile.append(Chunk(tag, bytes(changed[: random.integers(0, len(changed) + 1)])))
        try:
            pixels = calotype.decode(pack(header, hostile))
        except calotype.CalotypeError:
            continue
        assert pixels.shape == (33, 47, 3)


def test_missing_and_unknown_chunks_are_refused(model: calotype.Model, picture: Picture) -> None:
    from calotype.codec import Chunk
    from calotype.container import pack, unpack

    header, chunks = unpack(model.encode(picture(9, 8, 3), 40))
    used = {chunk.tag for chunk in chunks}
    unknown = next(tag for tag in "QZYXWVUTSRPONM" if tag not in used)
    with pytest.raises(calotype.UnsupportedFile):
        calotype.decode(pack(header, [*chunks, Chunk(unknown, b"")]))
    with pytest.raises(calotype.CalotypeError):
        calotype.decode(pack(header, [Chunk("n", b"only a note")]))


def test_a_header_that_the_codec_cannot_mean_is_refused(model: calotype.Model, picture: Picture) -> None:
    from dataclasses import replace

    from calotype.container import pack, unpack

    header, chunks = unpack(model.encode(picture(70, 80, 3), 40))
    others = [replace(header, depth=16), replace(header, depth=7), replace(header, shape=(20000, 20000, 3))]
    others += [replace(header, shape=shape) for shape in ((2, 70, 80, 3), (70, 80, 4), (70, 129, 3))]
    for other in others:
        with pytest.raises(calotype.CalotypeError):
            calotype.decode(pack(other, chunks))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_bit_counter_agrees_with_the_file(model: calotype.Model, picture: Picture, channels: int) -> None:
    pixels = picture(160, 200, channels)
    size = 8 * len(model.encode(pixels, 70))
    assert abs(model.count_bits(pixels, 70) - size) <= BIT_TOLERANCE * size + 8 * CODER_BYTES


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("region", [(0, 0, 1, 1), (3, 5, 60, 41), (130, 74, 1, 1), (0, 0, 131, 75)], ids=str)
def test_a_region_is_a_crop_of_the_whole(
    model: calotype.Model, picture: Picture, region: tuple[int, int, int, int], channels: int
) -> None:
    data = model.encode(picture(75, 131, channels), 50)
    x, y, width, height = region
    whole = calotype.decode(data)
    part = calotype.decode(data, region=region)
    np.testing.assert_array_equal(part, whole[y : y + height, x : x + width])


def test_metadata_comes_back(model: calotype.Model, picture: Picture) -> None:
    metadata = calotype.Metadata(icc=bytes(range(256)), exif=b"MM\0*", xmp=b"")
    data = model.encode(calotype.Image(picture(5, 6, 3), metadata=metadata))
    assert calotype.decode_image(data).metadata == metadata
    assert calotype.info(data).model == model.name


def test_the_default_quality_is_one_of_the_scale(model: calotype.Model, picture: Picture) -> None:
    pixels = picture(40, 56, 3)
    sizes = [len(model.encode(pixels, quality)) for quality in (0, None, 100)]
    assert sizes[0] <= sizes[1] <= sizes[2]


@pytest.mark.parametrize("quality", [-0.1, 100.1])
def test_other_qualities_are_refused(model: calotype.Model, picture: Picture, quality: float) -> None:
    with pytest.raises(Unsupported):
        model.encode(picture(5, 6, 3), quality)


def test_arrays_of_any_layout_and_read_only_ones_are_taken(model: calotype.Model, picture: Picture) -> None:
    pixels = picture(20, 30, 3)
    plain = model.encode(pixels, 50, threads=1)
    strided = np.repeat(pixels, 2, axis=1)[:, ::2]
    strided.flags.writeable = False
    assert model.encode(strided, 50, threads=1) == plain
    assert model.encode(np.asfortranarray(pixels), 50, threads=1) == plain
