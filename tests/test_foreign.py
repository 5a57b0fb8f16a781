"""Mistakes in codecs and weights from outside the package are said to be theirs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calotype import registry
from calotype.codec import Codec
from calotype.errors import CalotypeError, Unsupported
from calotype.foreign import ForeignCodec
from calotype.image import Image
from calotype.options import DecodeOptions, EncodeOptions

IMAGE = Image.from_array(np.zeros((4, 4, 3), np.uint8))


def failing(error: Exception) -> ForeignCodec:
    card = registry.find("deflate.fine")
    codec = registry.open_codec(card)

    class Failing(type(codec)):  # type: ignore[misc]
        def encode(self, image: Image, options: EncodeOptions) -> None:
            raise error

    found: Codec = object.__new__(Failing)
    return ForeignCodec(found, card)


def test_a_mistake_names_the_model() -> None:
    with pytest.raises(CalotypeError, match=r"model deflate\.fine of .*weights: IndexError\('far out'\)") as caught:
        failing(IndexError("far out")).encode(IMAGE, EncodeOptions())
    assert isinstance(caught.value.__cause__, IndexError)


@pytest.mark.parametrize("error", [Unsupported("no"), OSError("disk"), MemoryError()])
def test_what_is_no_mistake_passes(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        failing(error).encode(IMAGE, EncodeOptions())
    assert caught.value is error


def test_it_is_the_codec_that_it_holds() -> None:
    card = registry.find("deflate.fine")
    codec = registry.open_codec(card)
    held = ForeignCodec(codec, card)
    assert held.info is codec.info
    payload = held.encode(IMAGE, EncodeOptions())
    assert payload == codec.encode(IMAGE, EncodeOptions())
    named = replace(payload, wire_version=codec.info.wire_version)
    np.testing.assert_array_equal(held.decode(named, DecodeOptions()).pixels, IMAGE.pixels)
    assert held.count_bits(IMAGE, EncodeOptions()) == codec.count_bits(IMAGE, EncodeOptions())
