"""The `nearlossless` codec on a small untrained model, beside the contract that every codec keeps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

import calotype
from calotype.codec import Chunk, Host, Payload
from calotype.codecs.nearlossless import codec as nearlossless
from calotype.codecs.nearlossless.bins import Bins, middles_of
from calotype.codecs.nearlossless.freeze import thaw
from calotype.codecs.nearlossless.layout import BASE, MISSING
from calotype.codecs.nearlossless.networks import NearLossless
from calotype.codecs.nearlossless.recipe import Recipe
from calotype.codecs.nearlossless.training import analyse, loss, quantised
from calotype.codecs.nearlossless.units import LEVELS, LUMA_LEVELS, ORDER, PHASES, bound_inputs, known
from calotype.coding import BitCounter, Mixture
from calotype.errors import CorruptFile, Desync, Unsupported
from calotype.image import Image
from calotype.options import DecodeOptions, EncodeOptions
from calotype.runtime.engine import Networks
from calotype.runtime.weights import Weights
from tests import specimens
from tests.codecs.nearlossless import specimen

Bytes = npt.NDArray[np.uint8]
Int32 = npt.NDArray[np.int32]

NEAR = 2e-3  # of the code length: what the training's floating point and the coder's table may differ by
COARSER = 0.03  # likewise, of bins: scales are rounded to eighths of an octave once more


@pytest.fixture(autouse=True)
def networks_only(monkeypatch: pytest.MonkeyPatch) -> None:
    specimen.prepare(monkeypatch)


@pytest.fixture(scope="module")
def weights() -> Weights:
    return specimens.weights("nearlossless.small")


@pytest.fixture(scope="module")
def codec(weights: Weights) -> nearlossless.NearLosslessCodec:
    return nearlossless.NearLosslessCodec(Host(weights))


@pytest.fixture(scope="module")
def photo() -> Bytes:
    """Smooth colours, some of them saturated, with texture."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:72, :88] / 40
    waves = np.stack([np.sin(x + y), np.cos(x - 2 * y), np.sin(0.5 * x)], -1)
    return np.clip(128 + 120 * waves + rng.normal(0, 6, waves.shape), 0, 255).astype(np.uint8)


# --- bins -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [*range(8), 15, 42, 84, 85, 127, 128, 200, 254, 255])
def test_every_sample_is_found_within_the_bound(bound: int) -> None:
    """Each of 65,536 pairs of a sample and the middle of its bin 0."""
    samples, middles = (part.astype(np.int32) for part in np.mgrid[:256, :256])
    bins = Bins(bound)
    symbols = bins.symbols_of(samples, middles)
    assert symbols.min() >= 0
    assert symbols.max() < bins.symbols
    found = bins.samples_of(symbols, middles)
    assert np.abs(found - samples).max() <= bound
    planes, base = (torch.from_numpy(part).float() for part in (samples, middles))
    as_trained = quantised(planes, base, torch.tensor(float(bound)))
    np.testing.assert_array_equal(found, as_trained.numpy())


@pytest.mark.parametrize("bound", [0, 1, 2, 5, 16])
def test_a_bin_has_the_probability_of_its_samples(bound: int) -> None:
    rng = np.random.default_rng(bound)
    count = 4000
    middles = rng.integers(60, 190, count).astype(np.int32)
    parameters = np.stack([
        (middles << 6) + rng.integers(-600, 600, (3, count)),
        rng.integers(44, 64, (3, count)),
        rng.integers(1, 60000, (3, count)),
    ]).astype(np.int32)  # fmt: skip
    bins = Bins(bound)
    symbols = bins.symbols_of(middles + rng.normal(0, 9, count).astype(np.int32), middles)
    fine, total = Mixture(256, 3), np.zeros(count)
    for value in range(256):
        there = bins.symbols_of(np.full_like(middles, value), middles) == symbols
        total += there * 2.0 ** -fine.bits(np.full_like(middles, value), parameters)
    coded = Mixture(bins.symbols, 3).bits(symbols, bins.parameters_of(parameters, middles))
    assert coded.sum() == pytest.approx(-np.log2(total).sum(), rel=COARSER)


def test_middles_are_means() -> None:
    parameters = np.array([[[640, -9000], [704, 90000]], [[9, 9], [9, 9]], [[1, 5], [3, 5]]], np.int32)
    np.testing.assert_array_equal(middles_of(parameters), [11, 255])  # (640 + 3 * 704) / 4 / 64 = 10.75


def test_phases_are_all_pixels_once() -> None:
    times = np.zeros((16, 16), int)
    for phase in PHASES:
        for other in known(phase):
            assert times[other.of_pixels].min() == 1
        assert times[phase.of_pixels].max() == 0
        times[phase.of_pixels] += 1
    assert times.min() == times.max() == 1


# --- images -----------------------------------------------------------------------------------------------------------


def _pictures() -> dict[str, Bytes]:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:41, :50]
    outlier = np.full((41, 50, 3), 17)
    outlier[20, 20] = 255
    pictures = {
        "noise": rng.integers(0, 256, (41, 50, 3)),
        "edges": np.repeat((255 * ((x // 5 + y // 7) % 2))[..., None], 3, 2),
        "ramp": np.stack([5 * x, 6 * y, 255 - 5 * x], -1),
        "outlier": outlier,
        "ends": rng.choice([0, 1, 254, 255], (41, 50, 4)),
        "grey": rng.integers(0, 256, (41, 50, 1)),
        "grey and alpha": rng.integers(0, 256, (41, 50, 2)),
    }
    return {name: picture.astype(np.uint8) for name, picture in pictures.items()}


@pytest.mark.parametrize("name", _pictures())
def test_a_bound_is_kept(codec: nearlossless.NearLosslessCodec, name: str) -> None:
    pixels = _pictures()[name]
    for bound in (0, 1, 2, 3, 5, 31, 127, 255):
        payload = codec.encode(Image(pixels), EncodeOptions(max_error=bound))
        found = codec.decode(payload, DecodeOptions()).pixels
        error = int(np.abs(found.astype(int) - pixels).max())
        assert error == payload.largest_error
        assert error <= bound
        if pixels.shape[2] in (2, 4):
            np.testing.assert_array_equal(found[..., -1], pixels[..., -1])


def test_the_base_is_the_same_at_every_bound(codec: nearlossless.NearLosslessCodec, photo: Bytes) -> None:
    payloads = [codec.encode(Image(photo), EncodeOptions(max_error=bound)) for bound in (0, 4)]
    assert payloads[0].chunks[0] == payloads[1].chunks[0]
    base = codec.decode(payloads[0], DecodeOptions(base=True)).pixels
    alone = Payload(photo.shape, 8, payloads[0].chunks[:1])
    np.testing.assert_array_equal(codec.decode(alone, DecodeOptions(base=True)).pixels, base)
    with pytest.raises(CorruptFile, match="lacks a part"):
        codec.decode(alone, DecodeOptions())


def test_what_no_network_predicts_is_kept_without_loss(
    codec: nearlossless.NearLosslessCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    for channels in (1, 3):
        drawn = np.zeros((40, 60, channels), np.uint8)
        drawn[::4] = 200
        payload = codec.encode(Image(drawn), EncodeOptions(max_error=3))
        assert payload.largest_error == 0
        np.testing.assert_array_equal(codec.decode(payload, DecodeOptions()).pixels, drawn)


def test_a_bound_above_the_largest_value_is_refused(codec: nearlossless.NearLosslessCodec, photo: Bytes) -> None:
    with pytest.raises(Unsupported, match="0 to 255"):
        codec.encode(Image(photo), EncodeOptions(max_error=256))


def _with_tiles(payload: Payload, change: Callable[[list[bytes], list[bytes]], None]) -> Payload:
    side, base, _ = BASE.parse(payload.chunks[0].body)
    _, missing, head = MISSING.parse(payload.chunks[1].body)
    change(base, missing)
    return Payload(payload.shape, 8, (BASE.pack(side, base), MISSING.pack(side, missing, *head)))


def test_wrong_layers_are_refused(codec: nearlossless.NearLosslessCodec, photo: Bytes) -> None:
    payload = codec.encode(Image(photo), EncodeOptions())
    other = codec.encode(Image(photo[:, ::-1].copy()), EncodeOptions())

    def seal(base: list[bytes], missing: list[bytes]) -> None:
        missing[0] = bytes(4) + missing[0][4:]

    def kind(base: list[bytes], missing: list[bytes]) -> None:
        missing[0] = missing[0][:4] + b"\x07" + missing[0][5:]

    def base_seal(base: list[bytes], missing: list[bytes]) -> None:
        base[0] = bytes(4) + base[0][4:]

    for change, error in ((seal, Desync), (base_seal, Desync), (kind, CorruptFile)):
        with pytest.raises(error):
            codec.decode(_with_tiles(payload, change), DecodeOptions())
    with pytest.raises((CorruptFile, Desync)):  # layers of two files
        codec.decode(Payload(photo.shape, 8, (payload.chunks[0], other.chunks[1])), DecodeOptions())
    body = payload.chunks[1].body
    smaller = Chunk("M", body[:1] + b"\x04" + body[2:])
    with pytest.raises(CorruptFile, match="tiles of 512 pixels in one layer"):
        codec.decode(Payload(photo.shape, 8, (payload.chunks[0], smaller)), DecodeOptions())


# --- training ---------------------------------------------------------------------------------------------------------


def test_training_counts_the_coders_bits(weights: Weights, codec: nearlossless.NearLosslessCodec, photo: Bytes) -> None:
    model = thaw(weights).eval()
    x = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
    _, figures = loss(model, x, torch.zeros(1))
    # samples and levels only: seals, lengths and ends of streams are not among what is trained
    counters: list[BitCounter] = []

    def make() -> BitCounter:
        counters.append(BitCounter())
        return counters[-1]

    codec._payload(Image(photo), EncodeOptions(), make)
    assert float(figures["bpsp"]) * photo.size == pytest.approx(sum(counter.bits for counter in counters), rel=NEAR)
    levels = analyse(torch.round(x[:, ORDER] * 255))[0].numpy().astype(np.int32)
    np.testing.assert_array_equal(levels, nearlossless._analyse(nearlossless._planes(photo), 3))


def test_every_parameter_learns(photo: Bytes) -> None:
    model = specimen.build(specimen.RECIPES["small"]).train()
    x = torch.from_numpy(photo[:64, :64].copy()).permute(2, 0, 1)[None].float().div(255).repeat(4, 1, 1, 1)
    value, figures = loss(model, x, torch.tensor([0.1, 0.3, 0.6, 0.9]))
    value.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(value)
    assert float(figures["bpsp"]) > 0
    idle = [name for name, part in model.named_parameters() if part.grad is None or not part.grad.any()]
    assert not idle


def test_weights_thaw_into_the_same_model(weights: Weights) -> None:
    """Its layers in PyTorch give what the exported networks give, integer by integer."""
    model, networks = thaw(weights).eval(), Networks(weights, Host(weights).engine)
    rng = np.random.default_rng(0)

    def check(name: str, network: torch.nn.Module, **inputs: npt.NDArray[np.float32]) -> None:
        with torch.no_grad():
            ours = network(*(torch.from_numpy(part) for part in inputs.values()))
        for one, other in zip(ours, networks.get(name, 1)(**inputs), strict=True):
            np.testing.assert_array_equal(one.numpy(), other)

    def whole(low: int, high: int, *shape: int) -> npt.NDArray[np.float32]:
        return rng.integers(low, high, shape).astype(np.float32)

    levels = whole(-40, 41, 1, LEVELS, 4, 5)
    check("base", model.base, levels=levels)
    check("prior", model.prior, levels=levels, is_known=whole(0, 2, 1, 1, 4, 5))
    for number, phase in enumerate(PHASES):
        size = 32 // phase.step, 40 // phase.step
        handed = model.recipe.coarse if phase.step == 4 else model.recipe.fine
        inputs = {"slopes": whole(-255, 256, 1, 3, *size), "features": whole(0, 2048, 1, handed, *size)}
        before = {"off": whole(-255, 256, 1, 3 * len(known(phase)), *size)} if known(phase) else {}
        for bound in (0, 5):
            told = {"bound": bound_inputs()[bound : bound + 1]}
            check(f"phase{number}", model.phases[number], **inputs, **told, **before)


def test_recipes_refuse_what_they_cannot_be() -> None:
    for wrong in ({"features": 7}, {"mixtures": 0}, {"base": 0}):
        values = {**specimen.RECIPES["small"].to_dict(), **wrong}
        with pytest.raises(Unsupported):
            Recipe.from_dict(values, "a test")
    assert NearLossless(Recipe.load("compact")).recipe.features % 2 == 0
    assert LUMA_LEVELS == 36


def test_a_cut_file_says_that_its_base_is_there(
    photo: Bytes, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    specimens.install("nearlossless.small", tmp_path_factory.mktemp("specimen"), monkeypatch)
    data = calotype.encode(photo, model="nearlossless.small", max_error=2)
    about = calotype.info(data)
    assert about.layers == tuple(size for tag, size in about.chunks if tag in "BM")
    with pytest.raises(CorruptFile, match="--base"):
        calotype.decode(data[:-1])
    base = calotype.decode(data[:-1], base=True)
    np.testing.assert_array_equal(base, calotype.decode(data, base=True))
    images = [image.pixels for image in calotype.decode_progressive([data[:-1], data[-1:]])]
    np.testing.assert_array_equal(images[0], base)
    np.testing.assert_array_equal(images[1], calotype.decode(data))
