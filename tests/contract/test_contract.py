"""What every codec keeps, over every installed model and specimen, chosen by what its `CodecInfo` declares."""

from __future__ import annotations

import importlib.util
import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import calotype
from calotype import container
from calotype.codec import Chunk
from calotype.errors import CorruptFile, PartialFile, Unsupported
from calotype.image import Image, empty, psnr
from calotype.options import DecodeOptions, EncodeOptions, asked, flags
from tests import specimens

# Of each codec one, the default or the largest: others run the same code, with other numbers.
BY_WORTH = sorted(calotype.list_models(), key=lambda model: (model.default, model.bytes))
INSTALLED = list({model.codec: model.name for model in BY_WORTH}.values())
SPECIMENS = specimens.names()
QUALITIES = [0.0, 37.5, 100.0]
SIZES = [(1, 1), (1, 40), (17, 3), (64, 64), (75, 131)]
CHANNELS = [1, 2, 3, 4]

BIT_TOLERANCE = 0.005  # of the file; the project's promise
FLOAT_TOLERANCE = (
    1  # of 255: engines round floats differently in a lossy codec's synthesis, never the integers before it
)
CODER_BYTES = 8  # what the ends of entropy-coded streams may differ by, which small files feel

Pixels = npt.NDArray[np.uint8]
Texture = Callable[..., Pixels]


@pytest.fixture(scope="module", params=[*INSTALLED, *SPECIMENS])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[calotype.Model]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param in SPECIMENS:
            specimens.install(request.param, tmp_path_factory.mktemp("specimen"), patch)
        else:
            specimens.hasten(request.param.partition(".")[0], patch)
        yield calotype.load(request.param)


def at(model: calotype.Model, quality: float) -> dict[str, Any]:
    """The quality, of models that have one."""
    return {"quality": quality} if model.info.accepts("quality") else {}


def need(condition: bool, what: str) -> None:
    """Leave a test to the codecs that declare what it is about."""
    if not condition:
        pytest.skip(f"the codec has no {what}")


# --- images -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_any_size_and_mode_comes_back(
    model: calotype.Model, texture: Texture, size: tuple[int, int], channels: int
) -> None:
    need(0 in model.info.views and channels in model.info.channels, "such images")
    pixels = texture(*size, channels)
    image = calotype.decode_image(model.encode(pixels, **at(model, 50)))
    assert (image.pixels.shape, image.depth) == (pixels.shape, 8)
    if model.info.lossless:
        np.testing.assert_array_equal(image.pixels, pixels)
    if channels in (2, 4):
        np.testing.assert_array_equal(image.pixels[..., -1], pixels[..., -1])  # alpha is always exact


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("depth", [1, 2, 7, 10, 12, 16])
def test_every_depth_is_kept_or_refused(model: calotype.Model, depth: int, channels: int) -> None:
    pixels = empty((9, 11, channels), depth)
    pixels[:] = np.random.default_rng(0).integers(0, 1 << depth, pixels.shape)
    image = Image(pixels, depth)
    if depth not in model.info.depths:
        with pytest.raises(Unsupported, match=f"{depth} bits"):
            model.encode(image)
        return
    decoded = calotype.decode_image(model.encode(image, **at(model, 100)))
    assert (decoded.pixels.shape, decoded.pixels.dtype, decoded.depth) == (pixels.shape, pixels.dtype, depth)
    if model.info.lossless:
        np.testing.assert_array_equal(decoded.pixels, pixels)


@pytest.mark.parametrize("views", [(), (2,), (2, 3)], ids=str)
def test_views_are_kept_or_refused(model: calotype.Model, texture: Texture, views: tuple[int, ...]) -> None:
    plain = [texture(12, 17, 3, seed) for seed in range(int(np.prod(views)))]
    pixels = np.reshape(plain, (*views, 12, 17, 3))
    if len(views) not in model.info.views:
        with pytest.raises(Unsupported, match="views"):
            model.encode(Image(pixels))
        return
    data = model.encode(Image(pixels), **at(model, 60))
    whole = calotype.decode(data)
    assert whole.shape == pixels.shape
    if model.info.lossless:
        np.testing.assert_array_equal(whole, pixels)
    for view in itertools.product(*map(range, views)) if views else ():
        np.testing.assert_array_equal(calotype.decode(data, view=view), whole[view])
        part = calotype.decode(data, view=view, region=(2, 3, 9, 7))
        np.testing.assert_array_equal(part, whole[view][3:10, 2:11])
    for beyond in [(0,) * (len(views) + 1), views, tuple(-1 for _ in views)]:
        if beyond:
            with pytest.raises(Unsupported, match="view"):
                calotype.decode(data, view=beyond)


@pytest.mark.parametrize("quality", QUALITIES)
def test_the_image_is_recognised(model: calotype.Model, texture: Texture, quality: float) -> None:
    pixels = texture(64, 96, 3)
    decoded = calotype.decode(model.encode(pixels, **at(model, quality)))
    error = np.sqrt(np.mean((decoded.astype(float) - pixels) ** 2))
    assert error < pixels.std()  # better than a grey area; how good is for benchmarks


def _patterns() -> dict[str, Pixels]:
    """What no photo is: extremes beside each other, (48, 56, 3)."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:48, :56]
    checker = (x + y) % 2
    grey = {
        "checker": 255 * checker,
        "columns": 255 * (x % 2),
        "rows": 255 * (y % 2),
        "dither": np.where(x / 56 + random.uniform(-0.5, 0.5, x.shape) > 0.5, 255, 0),
        "white": np.full_like(x, 255),
        "black": np.zeros_like(x),
    }
    colours = {
        "noise": random.choice([0, 255], (48, 56, 3)),
        "blocks": random.choice([0, 255], (6, 7, 3)).repeat(8, 0).repeat(8, 1),
        "mosaic": random.integers(0, 256, (16, 19, 3)).repeat(3, 0).repeat(3, 1)[:, :56],
        "red and green": np.stack([255 * checker, 255 * (1 - checker), 0 * x], -1),
    }
    all_ = {name: np.stack([plane] * 3, -1) for name, plane in grey.items()} | colours
    return {name: pixels.astype(np.uint8) for name, pixels in all_.items()}


@pytest.mark.parametrize("name", _patterns())
def test_patterns_are_coded(model: calotype.Model, name: str) -> None:
    pixels = _patterns()[name]
    for channels in (3, 1):
        image = pixels[..., :channels]
        decoded = calotype.decode_image(model.encode(image)).pixels
        assert decoded.shape == image.shape
        if model.info.lossless:
            np.testing.assert_array_equal(decoded, image)


def test_metadata_comes_back(model: calotype.Model, texture: Texture) -> None:
    metadata = calotype.Metadata(bytes(range(256)), b"MM\0*", b"", cicp=bytes(4), gamma=bytes(36), density=bytes(9))
    data = model.encode(calotype.Image(texture(5, 6, 3), metadata=metadata))
    assert calotype.decode_image(data).metadata == metadata
    assert calotype.info(data).model == model.name


def test_arrays_of_any_layout_and_read_only_ones_are_taken(model: calotype.Model, texture: Texture) -> None:
    pixels = texture(20, 30, 3)
    plain = model.encode(pixels, threads=1)
    strided = np.repeat(pixels, 2, axis=1)[:, ::2]
    strided.flags.writeable = False
    assert model.encode(strided, threads=1) == plain
    assert model.encode(np.asfortranarray(pixels), threads=1) == plain


# --- options ----------------------------------------------------------------------------------------------------------


def test_more_quality_costs_and_gives_more(model: calotype.Model, texture: Texture) -> None:
    need(model.info.accepts("quality"), "quality")
    pixels = texture(64, 96, 3)
    files = [model.encode(pixels, quality) for quality in QUALITIES]
    errors = [np.mean((calotype.decode(data).astype(float) - pixels) ** 2) for data in files]
    assert len(files[0]) < len(files[1]) < len(files[2])
    assert errors[0] > errors[1] > errors[2]


def test_the_default_quality_is_between_the_ends(model: calotype.Model, texture: Texture) -> None:
    need(model.info.accepts("quality"), "quality")
    pixels = texture(64, 96, 3)
    sizes = [len(model.encode(pixels, quality)) for quality in (0, None, 100)]
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize("quality", [-0.1, 100.1, float("nan")])
def test_other_qualities_are_refused(model: calotype.Model, texture: Texture, quality: float) -> None:
    with pytest.raises(Unsupported):
        model.encode(texture(5, 6, 3), quality)


@pytest.mark.parametrize(
    "options",
    [EncodeOptions(quality=50), EncodeOptions(max_error=2), EncodeOptions(effort=3), EncodeOptions(seconds=0.1)],
    ids=lambda options: next(asked(options)),
)
def test_an_option_to_encode_is_taken_or_refused(
    model: calotype.Model, texture: Texture, options: EncodeOptions
) -> None:
    (name,) = asked(options)
    pixels = texture(5, 6, 3)
    if model.info.accepts(name):
        assert model.encode_with(pixels, options)
        return
    with pytest.raises(Unsupported, match=f"{model.name} takes no {name}; leave it out"):
        model.encode_with(pixels, options)
    with pytest.raises(Unsupported, match=f"{model.name} takes no {name}; leave it out"):
        model.count_bits(pixels, **{name: getattr(options, name)})


@pytest.mark.parametrize(
    "options",
    [
        DecodeOptions(layers=1),
        DecodeOptions(base=True),
        DecodeOptions(max_bytes=10_000),
        DecodeOptions(realism=0.5),
        DecodeOptions(seed=1),
    ],
    ids=lambda options: next(asked(options)),
)
def test_an_option_to_decode_is_taken_or_refused(
    model: calotype.Model, texture: Texture, options: DecodeOptions
) -> None:
    (name,) = asked(options)
    data = model.encode(texture(5, 6, 3))
    if model.info.accepts(name):
        assert model.decode_with(data, options).width == 6
        return
    with pytest.raises(Unsupported, match=f"{model.name} takes no {name}; leave it out"):
        model.decode_with(data, options)


def test_realism_begins_at_what_there_is_without(model: calotype.Model, texture: Texture) -> None:
    need(model.info.accepts("realism"), "realism")
    for channels in (1, 3, 4):
        data = model.encode(texture(70, 90, channels))
        plain = model.decode(data)
        np.testing.assert_array_equal(model.decode(data, realism=0), plain)
        changes = [np.abs(model.decode(data, realism=value).astype(int) - plain).mean() for value in (0.2, 0.6, 1)]
        assert 0 < changes[0] < changes[1] < changes[2]
        region = model.decode(data, realism=1, region=(8, 16, 40, 30))
        np.testing.assert_array_equal(region, model.decode(data, realism=1)[16:46, 8:48])
    for value in (-0.1, 1.5, float("nan")):
        with pytest.raises(Unsupported, match=r"realism .*: it must be 0 to 1"):
            model.decode(data, realism=value)


def test_declared_options_exist(model: calotype.Model) -> None:
    assert model.info.takes <= flags(EncodeOptions).keys() | flags(DecodeOptions).keys()
    assert model.info is model.card.info


@pytest.mark.parametrize("channels", [1, 3])
def test_every_effort_decodes_alike(model: calotype.Model, texture: Texture, channels: int) -> None:
    need(bool(model.info.efforts), "efforts")
    pixels = texture(40, 56, channels)
    for effort in sorted(model.info.efforts)[::4]:  # of nine the first, the middle, the last
        try:
            data = model.encode(pixels, effort=effort)
        except Unsupported:  # some need more than is installed
            if importlib.util.find_spec("torch") and importlib.util.find_spec("onnx"):
                raise
            continue
        decoded = calotype.decode_image(data).pixels
        assert decoded.shape == pixels.shape
        if model.info.lossless:
            np.testing.assert_array_equal(decoded, pixels)


@pytest.mark.parametrize("channels", CHANNELS)
def test_a_bound_is_kept_and_told(model: calotype.Model, texture: Texture, channels: int) -> None:
    need(model.info.accepts("max_error"), "max_error")
    pixels, sizes = texture(40, 56, channels), []
    for bound in (0, 1, 7, 255):
        data = model.encode(pixels, max_error=bound)
        error = int(np.abs(calotype.decode_image(data).pixels.astype(int) - pixels).max())
        about = calotype.info(data)
        assert error <= bound
        if bound or model.info.lossless:
            assert (about.max_error, about.largest_error) == (bound, error)
        sizes.append(len(data))
    assert sizes == sorted(sizes, reverse=True)
    if model.info.lossless:
        assert model.encode(pixels, max_error=0) == model.encode(pixels)


def test_lossless_is_kept_or_refused(model: calotype.Model, texture: Texture) -> None:
    pixels = texture(30, 20, 3)
    if model.info.lossless or model.info.accepts("lossless"):
        np.testing.assert_array_equal(calotype.decode(model.encode(pixels, lossless=True)), pixels)
        return
    with pytest.raises(Unsupported, match="not lossless"):
        model.encode(pixels, lossless=True)


def test_a_target_is_kept_or_refused(model: calotype.Model, texture: Texture) -> None:
    pixels = texture(64, 96, 3)
    whole = len(model.encode(pixels))
    assert len(model.encode(pixels, target_bytes=whole)) <= whole
    with pytest.raises(Unsupported):
        model.encode(pixels, target_bytes=20)  # less than a header


def test_a_target_of_quality_is_reached_with_little_more(model: calotype.Model, texture: Texture) -> None:
    image = calotype.Image(texture(64, 96, 3))
    ends = (0.0, 60.0) if model.info.accepts("quality") else (None, None)
    low, high = (psnr(image, calotype.decode_image(model.encode(image, quality))) for quality in ends)
    target = min((low + high) / 2, 99.0)
    data = model.encode(image, target_psnr=target)
    assert target <= psnr(image, calotype.decode_image(data))
    if model.info.accepts("quality"):
        assert len(model.encode(image, 0)) <= len(data) <= len(model.encode(image, 60))
    if not model.info.lossless and model.name.startswith("vae"):
        with pytest.raises(Unsupported, match="below 99"):
            model.encode(image, target_psnr=99)


# --- equal results ----------------------------------------------------------------------------------------------------


def test_threads_change_nothing(model: calotype.Model, texture: Texture) -> None:
    pixels = texture(130, 150, 3)
    files = [model.encode(pixels, threads=threads) for threads in (1, 2)]
    for data in files:
        one, two = (calotype.decode(data, threads=threads) for threads in (1, 2))
        np.testing.assert_array_equal(one, two)


def test_engines_read_each_others_files(model: calotype.Model, texture: Texture) -> None:
    """And find the same integers: a codec whose networks decide them notices others."""
    need(model.card.weights is not None, "networks")
    pytest.importorskip("torch")
    pixels = texture(75, 131, 3)
    engines = [calotype.load(model.name, precision="float"), calotype.load(model.name, device="cpu")]
    for data in [engine.encode(pixels) for engine in engines]:
        one, other = (engine.decode(data).astype(int) for engine in engines)
        assert np.abs(one - other).max() <= (0 if model.info.lossless else FLOAT_TOLERANCE)


def test_equal_calls_give_equal_bytes(model: calotype.Model, texture: Texture) -> None:
    pixels = texture(40, 56, 4)
    files = {model.encode(pixels, threads=1) for _ in range(3)}
    assert len(files) == 1


@pytest.mark.parametrize("channels", [1, 3])
def test_the_bit_counter_agrees_with_the_file(model: calotype.Model, texture: Texture, channels: int) -> None:
    pixels = texture(160, 200, channels)
    size = 8 * len(model.encode(pixels, **at(model, 70)))
    assert abs(model.count_bits(pixels, **at(model, 70)) - size) <= BIT_TOLERANCE * size + 8 * CODER_BYTES


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("region", [(0, 0, 1, 1), (3, 5, 60, 41), (130, 74, 1, 1), (0, 0, 131, 75)], ids=str)
def test_a_region_is_a_crop_of_the_whole(
    model: calotype.Model, texture: Texture, region: tuple[int, int, int, int], channels: int
) -> None:
    data = model.encode(texture(75, 131, channels))
    x, y, width, height = region
    whole = calotype.decode(data)
    part = calotype.decode(data, region=region)
    np.testing.assert_array_equal(part, whole[y : y + height, x : x + width])


@pytest.mark.parametrize("region", [(0, 0, 132, 1), (-1, 0, 5, 5), (3, 3, 0, 4), (131, 75, 1, 1)], ids=str)
def test_a_region_outside_is_refused(
    model: calotype.Model, texture: Texture, region: tuple[int, int, int, int]
) -> None:
    data = model.encode(texture(75, 131, 3))
    with pytest.raises(Unsupported, match="not inside 131x75"):
        calotype.decode(data, region=region)


@pytest.mark.parametrize("channels", [3, 4])
def test_several_tiles_are_one_image(model: calotype.Model, texture: Texture, channels: int) -> None:
    """Wider than the tiles of all codecs; regions across a seam and on one side of it, and threads."""
    need(0 in model.info.views, "plain images")
    data = model.encode(texture(40, 1100, channels))
    whole = calotype.decode(data, threads=1)
    np.testing.assert_array_equal(calotype.decode(data, threads=2), whole)
    for x, width in [(500, 600), (1000, 60), (1030, 70), (10, 20)]:
        part = calotype.decode(data, region=(x, 7, width, 21), threads=2)
        np.testing.assert_array_equal(part, whole[7:28, x : x + width])
    if model.info.lossless:
        np.testing.assert_array_equal(whole, texture(40, 1100, channels))


# --- layers -----------------------------------------------------------------------------------------------------------


def _cuts(data: bytes) -> Iterator[tuple[int, int]]:
    """Every place where the file can be cut short, and the complete layers before it."""
    view = memoryview(data)
    _, position = container.unpack_header(view)
    ends = [(chunk.tag.isupper(), end) for chunk, end in container.read_chunks(view, position)]
    for length in range(len(data)):
        yield length, sum(coded and end <= length for coded, end in ends)


def test_every_cut_is_noticed(model: calotype.Model, texture: Texture) -> None:
    """An error, or of codecs with layers a warning and the image of the complete ones."""
    data = model.encode(texture(5, 4, 4), **at(model, 0))
    for length, layers in _cuts(data):
        if not (model.info.layered and layers):
            with pytest.raises(CorruptFile, match="cut off"):
                calotype.decode(data[:length])
            continue
        with pytest.warns(PartialFile, match=f"{layers} in number"):
            part = calotype.decode(data[:length])
        np.testing.assert_array_equal(part, calotype.decode(data, layers=layers))


def test_layers_come_closer_and_closer(model: calotype.Model, texture: Texture) -> None:
    need(model.info.layered, "layers")
    pixels = texture(60, 50, 3)
    data = model.encode(pixels)
    count = sum(tag.isupper() for tag, _ in calotype.info(data).chunks)
    assert count > 1
    images = [calotype.decode(data, layers=layers) for layers in range(1, count + 1)]
    errors = [float(np.mean((image.astype(float) - pixels) ** 2)) for image in images]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > errors[-1]
    np.testing.assert_array_equal(images[-1], calotype.decode(data))
    with pytest.raises(Unsupported, match=f"{count} layers"):
        calotype.decode(data, layers=count + 1)


@pytest.mark.parametrize("channels", CHANNELS)
def test_the_base_decodes_alone(model: calotype.Model, texture: Texture, channels: int) -> None:
    need(model.info.accepts("base"), "base")
    pixels = texture(60, 50, channels)
    data = model.encode(pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        base = calotype.decode_image(data, base=True).pixels
        ends = [length for length, layers in _cuts(data) if layers == 1]
        for length in (ends[0], ends[-1]):
            np.testing.assert_array_equal(calotype.decode_image(data[:length], base=True).pixels, base)
            (shown,) = calotype.decode_progressive([data[:length]], base=True)
            np.testing.assert_array_equal(shown.pixels, base)
        part = calotype.decode_image(data, base=True, region=(7, 8, 30, 20)).pixels
    assert base.shape == pixels.shape
    np.testing.assert_array_equal(part, base[8:28, 7:37])
    assert np.mean((base.astype(float) - pixels) ** 2) < pixels.astype(float).var()
    with pytest.raises(CorruptFile, match="cut off"):
        calotype.decode(data[: ends[0] - 1], base=True)


def test_a_file_decodes_while_it_arrives(model: calotype.Model, texture: Texture) -> None:
    data = model.encode(texture(30, 20, 3))
    pieces = [data[start : start + 7] for start in range(0, len(data), 7)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = [image.pixels for image in calotype.decode_progressive(pieces)]
    assert len(images) == max(1, len(calotype.info(data).layers))
    np.testing.assert_array_equal(images[-1], calotype.decode_image(data).pixels)


# --- damage -----------------------------------------------------------------------------------------------------------


def test_every_change_of_a_byte_is_noticed(model: calotype.Model, texture: Texture) -> None:
    data = bytearray(model.encode(texture(5, 4, 4), **at(model, 0)))
    for position in range(len(data)):
        for change in (1, 0x20, 0x80, 0xFF):
            data[position] ^= change
            with pytest.raises(CorruptFile):
                _decode_strictly(bytes(data))
            data[position] ^= change


def _decode_strictly(data: bytes) -> None:
    """Decode; where a damaged length looks like a cut file, that counts as damage."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PartialFile)
            calotype.decode(data)
    except PartialFile as warning:
        raise CorruptFile(str(warning)) from None


@pytest.mark.parametrize("bound", [None, 3])
def test_hostile_payloads_are_refused_or_decoded(model: calotype.Model, texture: Texture, bound: int | None) -> None:
    """With right checksums around wrong bodies, which only an attacker or a faulty writer makes."""
    need(bound is None or model.info.accepts("max_error"), "max_error")
    options = at(model, 40) if bound is None else {"max_error": bound}
    header, chunks = container.unpack(model.encode(texture(33, 47, 3), **options))
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
            pixels = calotype.decode(container.pack(header, hostile))
        except calotype.CalotypeError:
            continue
        assert pixels.shape == (33, 47, 3)


def test_missing_and_unknown_chunks_are_refused(model: calotype.Model, texture: Texture) -> None:
    header, chunks = container.unpack(model.encode(texture(9, 8, 3), **at(model, 40)))
    used = {chunk.tag for chunk in chunks}
    unknown = next(tag for tag in "QZYXWVUTSRPONM" if tag not in used)
    with pytest.raises(calotype.UnsupportedFile):
        calotype.decode(container.pack(header, [*chunks, Chunk(unknown, b"")]))
    with pytest.raises(calotype.CalotypeError):
        calotype.decode(container.pack(header, [Chunk("n", b"only a note")]))


def test_a_header_that_the_codec_cannot_mean_is_refused(model: calotype.Model, texture: Texture) -> None:
    header, chunks = container.unpack(model.encode(texture(70, 80, 3), **at(model, 40)))
    others = [replace(header, shape=shape) for shape in ((20000, 20000, 3), (2, 70, 80, 3), (70, 80, 4), (70, 129, 3))]
    others += [replace(header, depth=depth) for depth in {7, 16} - model.info.depths]
    for other in others:
        with pytest.raises(calotype.CalotypeError):
            calotype.decode(container.pack(other, chunks))
