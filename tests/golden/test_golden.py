"""Files of earlier versions decode for ever; see `make.py`."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import calotype
import calotype.container

HERE = Path(__file__).parent
FLOAT_TOLERANCE = 1  # of 255: what the synthesis may differ by; the latents are hashed in the file


@pytest.mark.parametrize("path", sorted(HERE.glob("*.calo")), ids=lambda path: path.stem)
def test_golden_file_decodes(path, monkeypatch):
    monkeypatch.setenv("CALOTYPE_WEIGHTS", str(HERE))
    image = calotype.decode_image(path.read_bytes())
    with PIL.Image.open(path.with_suffix(".png")) as picture:
        expected = np.asarray(picture)
        assert image.mode == picture.mode
    pixels = image.pixels.reshape(expected.shape)
    assert np.abs(pixels.astype(int) - expected).max() <= (
        0 if path.stem.startswith(("prism", "l3c")) else FLOAT_TOLERANCE
    )
    assert expected.std() > 20
    if image.mode in ("LA", "RGBA"):
        np.testing.assert_array_equal(pixels[..., -1], expected[..., -1])
    assert (image.metadata.xmp is not None) == (image.mode == "RGBA")


def test_there_are_golden_files():
    stems = {path.stem for path in HERE.glob("*.calo")}
    assert stems >= {
        "grey",
        "grey-alpha",
        "rgb",
        "rgba",
        "prism-3-effort-1",
        "prism-3-effort-5",
        "prism-2-effort-8",
        "l3c-3",
    }


@pytest.mark.parametrize("path", sorted(HERE.glob("prism-*.calo")), ids=lambda path: path.stem)
def test_encoding_without_loss_gives_the_golden_file_again(path):
    """Its floats are the same on every machine, so the bytes are, too."""
    header, _ = calotype.container.unpack(path.read_bytes())
    with PIL.Image.open(path.with_suffix(".png")) as picture:
        pixels = np.asarray(picture)
    data = calotype.encode(pixels, lossless=True, effort=int(path.stem.rsplit("-", 1)[1]))
    chunks = [chunk for chunk in calotype.container.unpack(path.read_bytes())[1] if chunk.tag.isupper()]
    assert calotype.container.unpack(data) == (header, chunks)
