"""The model of `fit`: latent grids, a context network, upsampling and synthesis; shapes and parameters, wire version 1.

A picture of H x W x C holds grids k = 0 ... K - 1 of integers, grid k of ceil(H / 2^k) x ceil(W / 2^k). They are coded
from the coarsest, K - 1, to the finest, 0, each in raster order. d = neighbours + features.

Features of a latent at (r, c) of grid k (k < `FEATURE_GRIDS`; zero for others): F_k times the vector of the grids
k + 1 ... K - 1 at that place, finest first. They are computed once per position (r >> 1, c >> 1) of grid k + 1; grid j
has the value y_j[r >> (j - k), c >> (j - k)] there.

Context network: x = neighbours of the same grid in the order of `NEIGHBOURS` (zero outside the grid), then features;

    h1 = relu(A1 x + a1 + x),    h2 = relu(A2 h1 + a2 + h1),    (mu, s) = A3 h2 + L x + b_k

and the latent has a Laplace distribution of mean mu and scale exp(clamp(s, LOG_SCALE_MIN, LOG_SCALE_MAX)).

Upsampling: u_{K-1} = [y_{K-1}], u_k = [up_k(u_{k+1}), y_k] cropped to grid k, so u_0 has K channels, the coarsest grid
first. up_k doubles rows and columns by the four numbers t of `taps[k]`, edges replicated:

    out[2 m]     = t0 x[m-2] + t2 x[m-1] + t3 x[m] + t1 x[m+1]
    out[2 m + 1] = t1 x[m-1] + t3 x[m] + t2 x[m+1] + t0 x[m+2]

Synthesis of each pixel: v = B2 relu(B1 u_0 + c1) + c2 + M u_0; then v <- v + relu(R1 * v + r1) and
v <- v + R2 * v + r2, 3x3 correlations with replicated edges. The picture, scaled to [0, 1], is v + 1/2, clipped.

Sources: Cool-Chic (Ladune et al. 2023, and its version 5), C3 (Kim et al. 2024).
"""

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)

# (row, column) from the latent: before it in raster order, nearest first.
NEIGHBOURS = (
    (0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0),
    (-1, -2), (-1, 2), (-2, -1), (-2, 1), (-2, -2), (-2, 2), (0, -3), (-3, 0),
)  # fmt: skip
FEATURE_GRIDS = 3  # grids 0, 1, 2 see features of coarser ones
GRIDS_MIN, GRIDS_MAX = 4, 9
FEATURES_MAX = 8
HIDDEN_MAX = 64
LATENT_MAX = 255  # latents lie in -LATENT_MAX ... LATENT_MAX
LOG_SCALE_MIN, LOG_SCALE_MAX = -5.0, 5.0

PRESETS = {  # neighbours, features, hidden; about 0.5, 1 and 2 kMAC per pixel
    "small": (6, 2, 8),
    "medium": (10, 4, 16),
    "large": (14, 6, 48),
}


def grids_for(height: int, width: int) -> int:
    """How many grids a picture or tile of this size has."""
    pixels = height * width
    return 7 if pixels < 1_000_000 else 8 if pixels < 3_000_000 else 9


@dataclass(frozen=True)
class Architecture:
    """Shape of one model; `split` names the parts of its parameter vector."""

    height: int
    width: int
    channels: int
    """1 or 3."""
    grids: int
    neighbours: int
    """Causal neighbours that the context network sees, the first of `NEIGHBOURS`."""
    features: int
    """Numbers it sees of coarser grids."""
    hidden: int
    """Width of the synthesis."""

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1 or self.channels not in (1, 3):
            raise ValueError(f"no picture of {self.height} x {self.width} x {self.channels}")
        if not GRIDS_MIN <= self.grids <= GRIDS_MAX:
            raise ValueError(f"{self.grids} grids: from {GRIDS_MIN} to {GRIDS_MAX}")
        if not 1 <= self.neighbours <= len(NEIGHBOURS):
            raise ValueError(f"{self.neighbours} neighbours: from 1 to {len(NEIGHBOURS)}")
        if not 1 <= self.features <= FEATURES_MAX:
            raise ValueError(f"{self.features} features: from 1 to {FEATURES_MAX}")
        if not 1 <= self.hidden <= HIDDEN_MAX:
            raise ValueError(f"width {self.hidden} of the synthesis: from 1 to {HIDDEN_MAX}")

    @classmethod
    def of(cls, preset: str, height: int, width: int, channels: int) -> "Architecture":
        """The preset, with as many grids as the size asks for."""
        return cls(height, width, channels, grids_for(height, width), *PRESETS[preset])

    @property
    def inputs(self) -> int:
        """Width d of the context network."""
        return self.neighbours + self.features

    def grid(self, k: int) -> tuple[int, int]:
        """Height and width of grid k."""
        return -(-self.height >> k), -(-self.width >> k)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Parts of the parameter vector in their order; matrices have outputs first."""
        d, c, s, k, f = self.inputs, self.channels, self.hidden, self.grids, self.features
        return {
            "F0": (f, k - 1), "F1": (f, k - 2), "F2": (f, k - 3),
            "A1": (d, d), "a1": (d,), "A2": (d, d), "a2": (d,), "A3": (2, d), "L": (2, d), "b": (k, 2),
            "taps": (k - 1, 4),
            "B1": (s, k), "c1": (s,), "B2": (c, s), "c2": (c,), "M": (c, k),
            "R1": (c, c, 3, 3), "r1": (c,), "R2": (c, c, 3, 3), "r2": (c,),
        }  # fmt: skip

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each part lies in the flat parameter vector."""
        ends = np.cumsum([prod(shape) for shape in self.shapes.values()]).tolist()
        return {
            name: slice(end - prod(shape), end) for (name, shape), end in zip(self.shapes.items(), ends, strict=True)
        }

    @property
    def parameters(self) -> int:
        """Length of the flat parameter vector."""
        return sum(prod(shape) for shape in self.shapes.values())

    def split(self, vector: NDArray[T]) -> dict[str, NDArray[T]]:
        """Views of the parts of a flat vector, by name."""
        return {name: vector[self.slices[name]].reshape(shape) for name, shape in self.shapes.items()}

    @property
    def macs(self) -> float:
        """Multiplications per pixel to decode."""
        d, c, s, k, f = self.inputs, self.channels, self.hidden, self.grids, self.features
        context = sum((2 * d * d + 4 * d) * 0.25**i for i in range(k))
        context += sum(f * (k - 1 - i) * 0.25 ** (i + 1) for i in range(FEATURE_GRIDS))
        upsampling = sum(6 * (k - 1 - i) * 0.25**i for i in range(k - 1))
        synthesis = s * k + c * s + c * k + 2 * 9 * c * c
        return context + upsampling + synthesis
