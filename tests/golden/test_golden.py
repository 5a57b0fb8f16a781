"""Files of earlier versions decode for ever; `<codec>/make.py` says how each was made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import calotype
import calotype.container
from calotype import registry
from tests.golden.prism.make import with_a_bound

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*/*.calo"))
INTEGER = {"fit"}  # lossy codecs whose synthesis is integers
FLOAT_TOLERANCE = 1  # of 255: what a lossy codec's synthesis may differ by; the latents are hashed in the file


def golden(files: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", files, ids=lambda path: f"{path.parent.name}-{path.stem}")


@golden(FILES)
def test_golden_file_decodes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALOTYPE_WEIGHTS", str(path.parent))
    image = calotype.decode_image(path.read_bytes())
    with PIL.Image.open(path.with_suffix(".png")) as opened:
        expected = np.asarray(opened)
        assert image.mode == opened.mode
    pixels = image.pixels.reshape(expected.shape)
    exact = path.parent.name in INTEGER or registry.codec_info(path.parent.name).lossless
    tolerance = 0 if exact else FLOAT_TOLERANCE
    assert np.abs(pixels.astype(int) - expected).max() <= tolerance
    assert expected.std() > 20
    if image.mode in ("LA", "RGBA"):
        np.testing.assert_array_equal(pixels[..., -1], expected[..., -1])
    assert (image.metadata.xmp is not None) == (image.mode == "RGBA")


@pytest.mark.parametrize(
    ("codec", "names"),
    {
        "vae": "grey grey-alpha rgb rgba adapted-grey adapted-grey-alpha adapted-rgb adapted-rgba",
        "prism": "1-effort-5 2-effort-8 3-effort-1 3-effort-2 3-effort-5 3-effort-9 4-effort-3 3-stored-effort-5 "
        + " ".join(name for name, _, _ in with_a_bound()),
        "rnn": "grey grey-alpha rgb rgba",
        "fit": "grey grey-alpha rgb rgba rgb-large",
        "l3c": "1-samples 2-samples 3-samples 4-samples 3-learned 3-joint 3-drawn 2-noisy",
    }.items(),
)
def test_there_are_golden_files(codec: str, names: str) -> None:
    assert {path.stem for path in FILES if path.parent.name == codec} >= set(names.split())


@golden([path for path in FILES if path.parent.name == "prism" and "bound" not in path.stem])
def test_encoding_without_loss_gives_the_golden_file_again(path: Path) -> None:
    """Its floats are the same on every machine, so the bytes are, too; but for the digest that files once named."""
    header, _ = calotype.container.unpack(path.read_bytes())
    with PIL.Image.open(path.with_suffix(".png")) as opened:
        pixels = np.asarray(opened)
    data = calotype.encode(pixels, lossless=True, effort=int(path.stem.rsplit("-", 1)[1]))
    chunks = [chunk for chunk in calotype.container.unpack(path.read_bytes())[1] if chunk.tag.isupper()]
    assert calotype.container.unpack(data) == (replace(header, digest=registry.NO_WEIGHTS), chunks)


@pytest.mark.parametrize(("name", "pixels", "options"), list(with_a_bound()))
def test_encoding_with_a_bound_gives_the_golden_file_again(
    name: str, pixels: np.ndarray, options: dict[str, Any]
) -> None:
    data = (HERE / "prism" / f"{name}.calo").read_bytes()
    written = calotype.container.unpack(calotype.encode(pixels, **options))
    stored = calotype.container.unpack(data)
    assert (written[0], [*written[1]]) == (stored[0], [chunk for chunk in stored[1] if chunk.tag not in "iex"])
    error = np.abs(calotype.decode(data).reshape(pixels.shape).astype(int) - pixels)
    assert error.max() == options["max_error"]
