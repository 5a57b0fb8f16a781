"""What an `rnn` model is: read from `recipes/<name>.toml`, stored again in its weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, islice
from operator import floordiv, mul
from typing import Literal, NamedTuple

from ...errors import Unsupported
from ...runtime.recipe import BaseRecipe

START = "bits_start"  # array of what predicts the bits, before it has seen an image
TABLES = "refine_"  # prefix of arrays: tables of the coefficients,
PLACES = "refine_places"  # and where those lie in their patches, (k, 4)
MOST_REFINEMENTS = 15
COPIES = 4  # of an associative LSTM's memory
STATES = {"lstm": (1, 1), "gru": (1,), "associative": (1, COPIES)}  # of each unit, in times its width


class State(NamedTuple):
    """What a unit remembers."""

    features: int
    stride: int
    """Pixels per place, each way."""


@dataclass(frozen=True)
class Recipe(BaseRecipe):
    """The choices that make one model. Both networks are a row of recurrent units between layers without state."""

    unit: Literal["lstm", "gru", "associative"]
    """ConvLSTM, residual GRU or associative LSTM (Toderici et al. 2017, sec. 3.1)."""
    reconstruction: Literal["one-shot", "additive", "scaled"]
    """Each iteration decodes the whole image, or what is to be added to the one before; or that, in units that the
    decoder expects what is missing to have (sec. 3.2)."""
    surface: Literal["conv", "patch"]
    """What stands between pixels and units: 3x3 convolutions, or patches that do not overlap."""
    surface_stride: int
    """Pixels per place behind the encoder's surface, each way."""
    surface_width: int
    """Features of the surface."""
    encoder: tuple[int, ...]
    """Features of the encoder's units."""
    encoder_strides: tuple[int, ...]
    """How many times smaller each of them makes height and width."""
    decoder: tuple[int, ...]
    """Features of the decoder's units."""
    decoder_strides: tuple[int, ...]
    """How many times larger the pixel shuffle behind each of them makes height and width."""
    kernel: int
    """Side of the kernels over a unit's input."""
    hidden_kernel: int
    """Side of the kernels over its state."""
    entry_kernel: int
    """Side of the kernel with which the decoder takes codes in."""
    bits: int
    """Bits of an iteration per place of the codes."""
    iterations: int = 16
    refinements: int = 0
    """How many of them, the last ones, are not the networks' but tell coefficients (`refine.py`)."""

    def __post_init__(self) -> None:
        if not 0 <= self.refinements < self.iterations or self.refinements > MOST_REFINEMENTS:
            raise Unsupported(f"recipe {self.name}: {self.refinements} of {self.iterations} iterations cannot refine")
        if self.refinements and (self.surface != "patch" or self.surface_stride != self.stride):
            raise Unsupported(
                f"recipe {self.name}: what refines are coefficients of patches, one for each place of bits"
            )
        if len(self.encoder) != len(self.encoder_strides) or len(self.decoder) != len(self.decoder_strides):
            raise Unsupported(f"recipe {self.name}: each unit needs its stride")
        if self.stride % math.prod(self.decoder_strides):
            raise Unsupported(f"recipe {self.name}: the decoder's strides do not divide the encoder's {self.stride}")
        if self.scaled and (self.surface != "patch" or self.head_stride != self.surface_stride):
            raise Unsupported(f"recipe {self.name}: scales are those of patches, which both networks must have alike")

    @property
    def networked(self) -> int:
        """How many iterations are the networks'."""
        return self.iterations - self.refinements

    @property
    def stride(self) -> int:
        """Pixels per place of the codes, each way."""
        return self.surface_stride * math.prod(self.encoder_strides)

    @property
    def encoder_states(self) -> tuple[State, ...]:
        """Features of the encoder's states, and pixels per place, each way."""
        strides = accumulate(self.encoder_strides, mul, initial=self.surface_stride)
        return self._states(self.encoder, islice(strides, 1, None))

    @property
    def decoder_states(self) -> tuple[State, ...]:
        """Features of the decoder's states, and pixels per place, each way; first the scales, if there are any."""
        scale = (State(self.surface_width, self.head_stride),) if self.scaled else ()
        return scale + self._states(self.decoder, accumulate(self.decoder_strides, floordiv, initial=self.stride))

    def _states(self, widths: Iterable[int], strides: Iterable[int]) -> tuple[State, ...]:
        return tuple(
            State(copies * width, stride)
            for width, stride in zip(widths, strides, strict=False)
            for copies in STATES[self.unit]
        )

    @property
    def scaled(self) -> bool:
        return self.reconstruction == "scaled"

    @property
    def head_stride(self) -> int:
        """Pixels per place in front of the decoder's surface, each way: what its units leave of the stride."""
        return self.stride // math.prod(self.decoder_strides)

    @property
    def bpp(self) -> float:
        """Bits of an iteration per pixel, before entropy coding."""
        return self.bits / self.stride**2
