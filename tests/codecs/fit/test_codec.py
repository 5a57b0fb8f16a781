"""What is true of `fit` only; the rest is the contract's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest

import calotype
from calotype import container
from calotype.codec import Chunk
from calotype.codecs.fit import codec as fit
from calotype.codecs.fit._kernel import lib
from calotype.codecs.fit.architecture import Architecture
from calotype.codecs.fit.layout import Layout
from calotype.codecs.fit.network import GROUPS, Decoder, Network, Rounded
from calotype.codecs.fit.rounding import START, START_STATE_BITS, Rounding, squared_error, tame
from calotype.codecs.fit.stream import Stream
from calotype.errors import CorruptFile, Desync, Unsupported
from calotype.evaluate.measure.ms_ssim import ms_ssim
from calotype.image import Image, empty
from calotype.options import EncodeOptions
from calotype.parallel import heard_by
from calotype.tiled import open_record
from tests.codecs.fit.drawn import drawn

Texture = Callable[..., npt.NDArray[np.uint8]]
SAMPLE = Path(__file__).parents[3] / "samples" / "coffee.png"


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "TILE", 64)
    monkeypatch.setattr(fit, "ITERATIONS", dict.fromkeys(fit.ITERATIONS, 60))
    monkeypatch.setattr(fit, "AS_MANY", dict.fromkeys(fit.AS_MANY, 1))


@pytest.fixture
def portable_after() -> Iterator[None]:
    yield
    lib.fit_portable(0)


def psnr(found: npt.NDArray[np.generic], wanted: npt.NDArray[np.generic], depth: int = 8) -> float:
    error = np.mean((found.astype(np.float64) - wanted.astype(np.float64)) ** 2)
    return float(10 * np.log10(((1 << depth) - 1) ** 2 / error))


def repacked(data: bytes, stream: bytes, side: int = 2048) -> bytes:
    """A file of one tile with another stream, whose seal is that of the first."""
    header, chunks = container.unpack(data)
    sealed, _ = open_record(Layout.parse(chunks).tiles[0])
    return container.pack(header, list(Layout(side, [sealed + stream]).chunks()))


# --- pixels -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("portable_after")
@pytest.mark.parametrize("shape", [(1, 1, 1), (6, 2, 8), (10, 4, 16), (13, 8, 5), (14, 6, 48)], ids=str)
def test_every_instruction_set_gives_the_same_integers(shape: tuple[int, int, int]) -> None:
    architecture = Architecture(61, 83, 3, 7, *shape)
    network, latents = drawn(architecture, sum(shape))
    decoder, found = Decoder(network, 12), []
    for portable in (0, 1):
        lib.fit_portable(portable)
        stream = Stream()
        decoder.code(stream, latents)
        found.append((stream.finish(), decoder.render(latents).tobytes()))
    assert found[0] == found[1]
    lib.fit_portable(0)
    np.testing.assert_array_equal(decoder.code(Stream(found[1][0])), latents)


@pytest.mark.parametrize("depth", [8, 10, 16])
def test_quality_100_is_near_the_picture_at_every_depth(texture: Texture, depth: int) -> None:
    pixels = empty((48, 64, 3), depth)
    pixels[:] = texture(48, 64, 3).astype(np.uint16) << depth - 8
    image = Image(pixels, depth)
    found = calotype.decode_image(calotype.encode(image, 100, model="fit"))
    assert found.depth == depth
    assert psnr(found.pixels, pixels, depth) > 30


def test_alpha_of_16_bits_is_kept(small_tiles: None) -> None:
    pixels = np.random.default_rng(0).integers(0, 1 << 16, (70, 90, 4), np.uint16)
    found = calotype.decode(calotype.encode(Image(pixels, 16), 50, model="fit", effort=1))
    np.testing.assert_array_equal(found[..., 3], pixels[..., 3])


def test_tiles_decode_by_themselves(texture: Texture, small_tiles: None) -> None:
    pixels = texture(130, 150, 3)
    data = calotype.encode(pixels, 60, model="fit", effort=1)
    assert len(Layout.parse(container.unpack(data)[1]).tiles) == 9
    whole = calotype.decode(data)
    assert psnr(whole, pixels) > 20
    for x, y, w, h in [(0, 0, 150, 130), (60, 61, 10, 7), (149, 129, 1, 1)]:
        np.testing.assert_array_equal(calotype.decode(data, region=(x, y, w, h)), whole[y : y + h, x : x + w])


# --- encoding ---------------------------------------------------------------------------------------------------------


def test_threads_change_nothing(texture: Texture) -> None:
    pixels = texture(64, 96, 3)
    files = [calotype.encode(pixels, 50, model="fit", effort=1, threads=threads) for threads in (1, 2, 3)]
    assert files[0] == files[1] == files[2]


def test_more_effort_costs_less(texture: Texture) -> None:
    pixels = texture(64, 96, 3)

    def cost(effort: int) -> float:
        data = calotype.encode(pixels, 50, model="fit", effort=effort, threads=1)
        error = squared_error(calotype.decode(data), pixels.astype(np.int64), 8)
        return error + fit.lambda_of(50) * 8 * len(data)

    assert cost(5) < cost(1)


def test_a_time_in_place_of_an_effort(texture: Texture) -> None:
    pixels = texture(64, 64, 3)
    assert psnr(calotype.decode(calotype.encode(pixels, 50, model="fit", seconds=0.1)), pixels) > 20
    with pytest.raises(Unsupported, match="takes no seconds"):
        calotype.encode(pixels, model="prism", seconds=5)


def test_who_listens_hears_of_iterations(texture: Texture, small_tiles: None) -> None:
    heard: list[tuple[int, int]] = []
    with heard_by(lambda done, total: heard.append((done, total))):
        calotype.encode(texture(65, 64, 1), 50, model="fit", effort=1)
    assert heard == sorted(heard)
    assert heard[-1] == (120, 120)
    assert len(heard) >= 100


def test_a_target_is_kept(texture: Texture, small_tiles: None) -> None:
    pixels = texture(64, 64, 3)
    sizes = [len(calotype.encode(pixels, quality, model="fit", effort=1)) for quality in (0, 100)]
    limit = sum(sizes) // 2
    assert sizes[0] < len(calotype.encode(pixels, model="fit", effort=1, target_bytes=limit)) <= limit


def test_another_quality_continues_the_first(
    texture: Texture, small_tiles: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "CONTINUED_LEAST", 0)
    heard: list[tuple[int, int]] = []
    options = EncodeOptions(effort=1, threads=1)
    code = fit.FitCodec().continued(Image(texture(64, 64, 3)), options)
    with heard_by(lambda done, total: heard.append((done, total))):
        payloads = [code(quality) for quality in (50.0, 60.0)]
    assert {total for _, total in heard} == {60, 15}
    assert payloads[0] == fit.FitCodec().encode(Image(texture(64, 64, 3)), EncodeOptions(50, effort=1, threads=1))
    assert payloads[1] != payloads[0]


def test_tuned_for_similarity_it_is_more_similar() -> None:
    pixels = np.asarray(PIL.Image.open(SAMPLE).convert("RGB"))[100:292, 200:392]
    plain, tuned = (calotype.encode(pixels, 30, model="fit", effort=1, tune=tune) for tune in ("psnr", "ms-ssim"))
    assert len(tuned) < len(plain)
    assert ms_ssim(calotype.decode(tuned), pixels) > ms_ssim(calotype.decode(plain), pixels)


def test_squared_error_is_what_it_is_tuned_for_unless_told(texture: Texture, small_tiles: None) -> None:
    pixels = texture(40, 40, 3)
    assert calotype.encode(pixels, 50, model="fit", tune="psnr") == calotype.encode(pixels, 50, model="fit")
    with pytest.raises(Unsupported, match="takes no tune"):
        calotype.encode(pixels, 50, model="vae.swift", tune="ms-ssim")


def test_pytorch_can_do_the_fitting(texture: Texture, small_tiles: None) -> None:
    pytest.importorskip("torch")
    pixels = texture(40, 40, 3)
    model = calotype.load("fit.photo", device="cpu")
    data, usual = (calotype.encode(pixels, 50, model=which, effort=1) for which in (model, "fit"))
    assert len(data) == pytest.approx(len(usual), rel=0.1)
    assert psnr(calotype.decode(data), pixels) == pytest.approx(psnr(calotype.decode(usual), pixels), abs=2)


def test_only_a_rest_may_be_too_small_for_similarity(texture: Texture, small_tiles: None) -> None:
    assert calotype.encode(texture(64, 70, 3), 50, model="fit", tune="ms-ssim")
    with pytest.raises(Unsupported, match="windows of 11 pixels"):
        calotype.encode(texture(10, 40, 3), 50, model="fit", tune="ms-ssim")


def test_the_ends_of_quality_are_lambdas() -> None:
    assert (fit.lambda_of(0), fit.lambda_of(100)) == pytest.approx(fit.LAMBDA)
    assert fit.lambda_of(50) == pytest.approx(np.sqrt(fit.LAMBDA[0] * fit.LAMBDA[1]))


def test_rounding_finds_what_costs_less() -> None:
    architecture = Architecture(40, 48, 3, 7, 6, 2, 8)
    network, latents = drawn(architecture, 3)
    pixels = Decoder(network, 8).render(latents).astype(np.uint8)
    parameters = np.zeros(architecture.parameters, np.float32)
    for name, group in GROUPS.items():
        for part in group.parts:
            place = architecture.slices[part]
            parameters[place] = network.numbers[place] / np.float32(1 << network.bits[name])

    def cost(network: Network) -> float:
        stream, decoder = Stream.counter(), Decoder(network, 8)
        network.put(stream)
        decoder.code(stream, latents)
        return squared_error(decoder.render(latents), pixels.astype(np.int64), 8) + 1e-3 * stream.count

    groups = {name: Rounded.of(architecture, parameters, name, START[name]) for name in GROUPS}
    at_first = cost(Network.of(architecture, groups, START_STATE_BITS))
    assert cost(Rounding(architecture, parameters, latents, pixels, 8, 1e-3).best()) < at_first


def test_weights_of_residual_layers_are_rounded_together() -> None:
    """So that what they give of a smooth picture is nearer to what unrounded ones give."""
    architecture, random = Architecture(64, 64, 3, 7, 6, 2, 8), np.random.default_rng(2)
    parameters = np.zeros(architecture.parameters, np.float32)
    for part in GROUPS["residual"].parts:
        parameters[architecture.slices[part]] = random.normal(0, 0.1, 81)
    inputs = np.cumsum(random.normal(0, 0.1, (2000, 27)), 1)
    moments = inputs.T @ inputs
    errors = []
    for known in (None, {"residual": moments}):
        rounded = Rounded.of(architecture, parameters, "residual", 5, known)
        off = rounded.numbers[:81] / 32 - parameters[architecture.slices["R1"]]
        errors.append(np.square(inputs @ off.reshape(3, 27).T).mean())
    assert errors[1] < errors[0] / 3


def test_parameters_beyond_all_bounds_are_tamed() -> None:
    architecture = Architecture(8, 8, 3, 7, 14, 8, 64)
    wild = np.random.default_rng(0).standard_normal(architecture.parameters).astype(np.float32) * 1e4
    wild[::97] = np.nan
    latents = np.zeros(Decoder(drawn(architecture, 0)[0], 8).latent_count, np.int16)
    network = Rounding(architecture, wild, latents, np.zeros((8, 8, 3), np.uint8), 8, 1e-3).best()
    Decoder(network, 8)
    assert np.isfinite(tame(architecture, wild)).all()


# --- damage -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(texture: Texture) -> bytes:
    return calotype.encode(texture(40, 40, 3), 50, model="fit", effort=1)


def test_another_picture_than_was_encoded_is_not_returned(data: bytes) -> None:
    stream = Stream()
    network, latents = drawn(Architecture(40, 40, 3, 7, 6, 2, 8), 1)
    network.put(stream)
    Decoder(network, 8).code(stream, latents)
    with pytest.raises(Desync, match="nothing is returned"):
        calotype.decode(repacked(data, stream.finish()))


def test_streams_that_end_too_early_or_late_are_refused(data: bytes) -> None:
    _, stream = open_record(Layout.parse(container.unpack(data)[1]).tiles[0])
    for damaged in (stream[: len(stream) // 2], b"", stream + bytes(5)):
        with pytest.raises(CorruptFile):
            calotype.decode(repacked(data, damaged))


def test_networks_that_might_overflow_are_refused(data: bytes) -> None:
    stream = Stream()
    network, _ = drawn(Architecture(40, 40, 3, 7, 6, 2, 8), 1)
    numbers = network.numbers.copy()
    numbers[network.architecture.slices["A1"]] = 30000
    bits = {**network.bits, "states": 0}
    Network(network.architecture, network.state_bits, bits, network.scales, numbers).put(stream)
    with pytest.raises(CorruptFile, match="too large"):
        calotype.decode(repacked(data, stream.finish()))


@pytest.mark.parametrize(
    ("bits", "number"), [((4,), (15,)), ((4, 3, 6, 4), (5, 1, 7, 13)), ((4, 3, 6, 4, 4), (5, 1, 7, 6, 11))]
)
def test_shapes_that_are_none_are_refused(data: bytes, bits: tuple[int, ...], number: tuple[int, ...]) -> None:
    stream = Stream()
    for size, value in zip(bits, number, strict=True):
        stream.bits(size, value)
    with pytest.raises(CorruptFile):
        calotype.decode(repacked(data, stream.finish() + bytes(3000)))


def test_tiles_that_need_more_memory_are_refused(data: bytes) -> None:
    header, chunks = container.unpack(data)
    body = bytes([33]) + chunks[0].body[1:]
    with pytest.raises(CorruptFile, match="2112"):
        calotype.decode(container.pack(header, [Chunk(chunks[0].tag, body)]))


def test_records_of_alpha_must_be_there(data: bytes, texture: Texture) -> None:
    header, chunks = container.unpack(data)
    with pytest.raises(CorruptFile, match="should have 0 records"):
        calotype.decode(container.pack(header, [*chunks, Chunk("A", b"\1\0")]))


def test_options_of_others_are_refused(texture: Texture) -> None:
    with pytest.raises(Unsupported, match="max_error"):
        calotype.encode(texture(8, 8, 3), model="fit", max_error=1)
