"""Files of earlier versions decode for ever; see `make.py`."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import calotype

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
    assert np.abs(pixels.astype(int) - expected).max() <= FLOAT_TOLERANCE
    assert expected.std() > 20
    if image.mode in ("LA", "RGBA"):
        np.testing.assert_array_equal(pixels[..., -1], expected[..., -1])
    assert (image.metadata.xmp is not None) == (path.stem == "rgba")


def test_there_are_golden_files():
    assert {path.stem for path in HERE.glob("*.calo")} >= {"grey", "grey-alpha", "rgb", "rgba"}
