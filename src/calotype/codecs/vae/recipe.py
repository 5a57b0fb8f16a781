"""What a `vae` model is: read from `recipes/<name>.toml`, stored again in its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...errors import Unsupported
from ...runtime.recipe import BaseRecipe

LATENT_STRIDE = 16  # pixels per latent, each way
HYPER_STRIDE = 64  # pixels per hyper-latent; padded sizes are multiples of it


@dataclass(frozen=True)
class Recipe(BaseRecipe):
    """The choices that make one model; see the papers' names in `recipes/`."""

    transform: Literal["gdn", "shuffle", "hific"]
    """Analysis and synthesis: strided convolutions with GDN, pixel shuffles with residual blocks, or those of HiFiC."""
    width: int
    """Features inside the transforms; at the picture's own resolution for "hific", which doubles them each time."""
    latents: int
    """Channels of y; a multiple of 4."""
    prior: Literal["factorized", "gaussian"]
    """Prior of y: one table per channel, or zero-mean Gaussians whose width (and mean) hyper-latents tell."""
    lmbda: tuple[float, float]
    """Rate-distortion trade-off, loss = bpp + lmbda * distortion: at the lowest and at the highest rate. With a
    `rate_target`: where the rate is above it, and where it is not."""
    metric: Literal["mse", "ms-ssim", "perceptual"] = "mse"
    """What distortion is: 255^2 * MSE, or 1300 * (1 - MS-SSIM), which has the same lmbda at about the same rate; or
    MSE and LPIPS together (Mentzer et al. 2020)."""
    rate_target: float = 0.0
    """Bits per pixel that a model of one rate comes to, by two trade-offs (Mentzer et al. 2020, appendix A.2); 0: by
    one alone."""
    critic_width: int = 0
    """Features of the first layer of a critic that the synthesis is trained to deceive; 0: none."""
    blocks: tuple[int, int] = (0, 0)
    """Residual blocks of analysis and synthesis; of synthesis only for "hific", none for "gdn"."""
    knots: int = 1
    """Knots of the learned rate vectors; 1 is a model of one rate."""
    default_quality: float | None = None
    """Quality used where none is given; None for a model of one rate."""
    hyper_latents: int = 0
    """Channels of z; 0 without hyper-latents."""
    hyper_width: int = 0
    """Features inside the hyper networks, and of what they tell the context networks."""
    means: bool = True
    """Whether the Gaussians have predicted means (Minnen et al. 2018) or are centred (Ballé et al. 2018)."""
    context_width: int = 0
    """Features inside the networks that predict y's distribution."""
    context_steps: Literal[1, 2, 4] = 1
    """Steps in which y is decoded, each seeing the ones before."""
    of: str | None = None
    """Recipe whose weights this is a second synthesis for (`realism.py`), of the same sizes; None for a whole model."""

    def __post_init__(self) -> None:
        if self.latents % 4:
            raise Unsupported(f"recipe {self.name}: latents must be a multiple of 4, not {self.latents}")
        if (self.prior == "gaussian") != (self.hyper_latents > 0):
            raise Unsupported(f"recipe {self.name}: a gaussian prior, and only that, needs hyper_latents")
        if self.rate_target and self.variable_rate:
            raise Unsupported(f"recipe {self.name}: only a model of one rate has a rate_target")

    @property
    def variable_rate(self) -> bool:
        return self.knots > 1

    @property
    def halo(self) -> int:
        """Pixels around a tile that its transforms see, whole hyper-latents: more than they reach."""
        if self.transform != "hific":
            return HYPER_STRIDE
        latents = 2 * self.blocks[1] + 4  # two layers in each block, one before, and less than three after them
        return -(-latents * LATENT_STRIDE // HYPER_STRIDE) * HYPER_STRIDE
