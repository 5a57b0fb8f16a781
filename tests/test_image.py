from __future__ import annotations

import numpy as np
import pytest

from calotype.errors import Unsupported
from calotype.image import Image, Metadata, largest_error


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_modes(channels: int, mode: str) -> None:
    image = Image(np.zeros((2, 5, 7, channels), np.uint8))
    assert (image.mode, image.channels, image.height, image.width, image.views) == (
        mode,
        channels,
        5,
        7,
        (2,),
    )


def test_arrays_become_images() -> None:
    grey = np.arange(6, dtype=np.uint16).reshape(2, 3)
    image = Image.from_array(grey)
    assert (image.depth, image.mode) == (16, "L")
    np.testing.assert_array_equal(image.pixels, grey[..., None])
    assert Image.from_array(np.zeros((2, 3, 4), np.uint8)).depth == 8


@pytest.mark.parametrize(
    ("pixels", "depth"),
    [
        (np.zeros((2, 2), np.uint8), 8),
        (np.zeros((2, 2, 5), np.uint8), 8),
        (np.zeros((0, 2, 3), np.uint8), 8),
        (np.zeros((2, 2, 3), np.uint16), 8),
        (np.zeros((2, 2, 3), np.uint8), 16),
        (np.zeros((2, 2, 3), np.uint8), 0),
        (np.full((2, 2, 3), 1024, np.uint16), 10),
    ],
)
def test_what_is_no_image_is_refused(pixels: np.ndarray, depth: int) -> None:
    with pytest.raises(Unsupported):
        Image(pixels, depth)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.bool_])
def test_other_numbers_are_refused(dtype: type) -> None:
    with pytest.raises(Unsupported, match="uint8 or uint16"):
        Image.from_array(np.zeros((2, 2, 3), dtype))


def test_depth_between_bytes() -> None:
    assert Image(np.full((2, 2, 3), 1023, np.uint16), 10).depth == 10


def test_metadata_is_true_where_there_is_some() -> None:
    assert not Metadata()
    assert Metadata(xmp=b"")


def test_the_largest_error_is_signed_neither_way() -> None:
    a, b = (Image(np.array([[samples]], np.uint8)) for samples in ([0, 255, 7], [0, 250, 200]))
    assert largest_error(a, b) == largest_error(b, a) == 193
    assert largest_error(a, a) == 0
