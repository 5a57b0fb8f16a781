"""The networks of every `vae` recipe. Glossary: x image, y latents, z hyper-latents, t rate position in [0, 1].

Integers here are float32 tensors that hold integers. Scaled latents are `y * gain`; where they meet the entropy model
they count sixteenths, because predicted means do (`LATENT_UNIT`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...nets.critic import Critic
from ...nets.dct import dct_stem, dct_stride
from ...nets.density import FactorizedDensity
from ...nets.exact import INDEX, SIGNED, ExactConv, halves
from ...nets.fixed_point import ACTIVATION_BITS, ACTIVATION_MAX
from ...nets.gdn import GDN
from ...nets.rate import RateVectors
from ...nets.residual import SLOPE, Block, Inner
from .hific import HiFiCAnalysis, HiFiCSynthesis
from .recipe import Recipe
from .scales import LATENT_UNIT

BLOCK = 8  # pixels per feature of the "shuffle" transforms
HYPER_UNIT = 2**ACTIVATION_BITS  # activations per step of z
KNOWN_UNIT = 2**ACTIVATION_BITS // LATENT_UNIT  # and per sixteenth of a latent
HYPER_START = 4.0  # z starts wide enough that rounding leaves something of it


class ShuffleAnalysis(nn.Module):
    """Pixel-unshuffle by 8, residual blocks at 1/8, one stride to 1/16.

    Starts as the orthonormal 16x16 DCT in an orthonormal luma-chroma space, with the strongest coefficients kept.
    Features between stem and stride are divided by their usual spread, so that all weigh the same in the blocks.
    """

    spread: Tensor

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.unshuffle = nn.PixelUnshuffle(BLOCK)
        self.stem = nn.Conv2d(3 * BLOCK**2, recipe.width, 1)
        self.blocks = nn.ModuleList(Block(recipe.width) for _ in range(recipe.blocks[0]))
        self.stride = nn.Conv2d(recipe.width, recipe.latents, 3, stride=2, padding=1)
        stem, spread = dct_stem(recipe.width)
        stride, _ = dct_stride(recipe.width, recipe.latents)
        self.register_buffer("spread", spread)
        with torch.no_grad():
            self.stride.weight.zero_()
            self.stride.weight[:, :, 1:, 1:] = stride
        start_with(self.stem, stem[:, :, None, None])
        start_with(self.stride, self.stride.weight)

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        """(b, 3, h, w) in [0, 1] and feature scales (b, width, 1, 1) -> y (b, latents, h/16, w/16)."""
        x = self.stem(self.unshuffle(x - 0.5)) / self.spread
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index == 0:
                x = x * scale
        return self.stride(x * self.spread)  # type: ignore[no-any-return]


class ShuffleSynthesis(nn.Module):
    """The mirror of `ShuffleAnalysis`; starts as its inverse."""

    spread: Tensor
    latent_spread: Tensor

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.stride = nn.Conv2d(recipe.latents, 4 * recipe.width, 1)
        self.shuffle = nn.PixelShuffle(2)
        self.blocks = nn.ModuleList(Block(recipe.width) for _ in range(recipe.blocks[1]))
        self.head = nn.Sequential(nn.Conv2d(recipe.width, 3 * BLOCK**2, 1), nn.PixelShuffle(BLOCK))
        stem, spread = dct_stem(recipe.width)
        stride, latent_spread = dct_stride(recipe.width, recipe.latents)
        self.register_buffer("spread", spread)
        self.register_buffer("latent_spread", latent_spread)
        normalised = stride * latent_spread[:, None] / spread
        # (latents, width, 2, 2) -> rows ordered as PixelShuffle reads them: width, then the place in the 2x2 cell
        start_with(self.stride, normalised.permute(1, 2, 3, 0).flatten(0, 2)[:, :, None, None])
        start_with(self.head[0], stem.T[:, :, None, None])

    def forward(self, y: Tensor, scale: Tensor) -> Tensor:
        """Y (b, latents, h, w) and feature scales (b, width, 1, 1) -> (b, 3, 16h, 16w), nominally in [0, 1]."""
        x = self.shuffle(self.stride(y / self.latent_spread))
        last = len(self.blocks) - 1
        for index, block in enumerate(self.blocks):
            if index == last:
                x = x * scale
            x = block(x)
        return self.head(x * self.spread) + 0.5  # type: ignore[no-any-return]


def start_with(layer: nn.Module, weight: Tensor) -> None:
    """Set a convolution's starting weight, without bias."""
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.zero_()


class GDNAnalysis(nn.Module):
    """Four 5x5 convolutions of stride 2 with GDN between (Ballé et al. 2018, fig. 4)."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        n = recipe.width
        widths = [(3, n), (n, n), (n, n), (n, recipe.latents)]
        layers: list[nn.Module] = []
        for channels_in, channels_out in widths:
            layers += [nn.Conv2d(channels_in, channels_out, 5, stride=2, padding=2), GDN(channels_out)]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        """As `ShuffleAnalysis.forward`; `scale` is unused, these recipes have one rate."""
        return self.layers(x)  # type: ignore[no-any-return]


class GDNSynthesis(nn.Module):
    """Four transposed 5x5 convolutions of stride 2 with inverse GDN between (Ballé et al. 2018, fig. 4)."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        n = recipe.width
        widths = [(recipe.latents, n), (n, n), (n, n), (n, 3)]
        layers: list[nn.Module] = []
        for channels_in, channels_out in widths:
            up = nn.ConvTranspose2d(channels_in, channels_out, 5, stride=2, padding=2, output_padding=1)
            layers += [up, GDN(channels_out, inverse=True)]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, y: Tensor, scale: Tensor) -> Tensor:
        """As `ShuffleSynthesis.forward`; `scale` is unused, these recipes have one rate."""
        return self.layers(y)  # type: ignore[no-any-return]


TRANSFORMS = {
    "shuffle": (ShuffleAnalysis, ShuffleSynthesis),
    "gdn": (GDNAnalysis, GDNSynthesis),
    "hific": (HiFiCAnalysis, HiFiCSynthesis),
}


class HyperAnalysis(nn.Module):
    """Scaled latents to hyper-latents at 1/64; only the encoder runs it, so it may be a float network."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        width = recipe.hyper_width
        self.layers = Inner(
            nn.Conv2d(recipe.latents, width, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * width, width, 1),
            nn.LeakyReLU(SLOPE),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * width, recipe.hyper_latents, 1),
        )
        with torch.no_grad():
            self.layers[-1].weight.mul_(HYPER_START)  # type: ignore[operator]

    def forward(self, scaled: Tensor) -> Tensor:
        """(b, latents, h, w) -> z (b, hyper_latents, h/4, w/4), not yet rounded."""
        x = torch.sign(scaled) * torch.log1p(scaled.abs())
        return self.layers(x)  # type: ignore[no-any-return]


class HyperSynthesis(nn.Module):
    """Hyper-latents to features per 2x2 cell of latents; exact."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        width = recipe.hyper_width
        self.head = ExactConv(2 * recipe.hyper_latents + 1, width, 3)
        self.up = nn.Sequential(ExactConv(width, 4 * width), nn.PixelShuffle(2))
        self.tail = nn.Sequential(ExactConv(width, width, 3, groups=width), ExactConv(width, width))

    def forward(self, z: Tensor, rate: Tensor) -> Tensor:
        """Integers z (b, hyper_latents, h, w), rate plane (b, 1, h, w) -> activations (b, hyper_width, 2h, 2w)."""
        return self.tail(self.up(self.head(torch.cat([halves(z * HYPER_UNIT), rate], 1))))  # type: ignore[no-any-return]


class Context(nn.Module):
    """What one step knows -> mean and table index of each latent that it codes; exact."""

    def __init__(self, recipe: Recipe, step: int) -> None:
        super().__init__()
        width, parts = recipe.context_width, 4 // recipe.context_steps
        coded = recipe.latents * parts
        self.known = step * coded  # channels decoded before
        self.body = nn.Sequential(
            ExactConv(recipe.hyper_width + 1 + 2 * self.known, width),
            ExactConv(width, width, 3, groups=width),
            ExactConv(width, width),
        )
        self.mean = ExactConv(width, coded, output=SIGNED) if recipe.means else None
        self.index = ExactConv(width, coded, output=INDEX, bias=8.0)

    def forward(self, features: Tensor, rate: Tensor, known: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features (b, hyper_width, h, w), rate plane (b, 1, h, w), decoded integers (b, k, h, w) -> mean, index.

        The first step knows nothing yet. Without predicted means the mean is zero.
        """
        inputs = [features, rate] if known is None else [features, rate, halves(known * KNOWN_UNIT)]
        hidden = self.body(torch.cat(inputs, 1))
        index = self.index(hidden)
        return (index * 0 if self.mean is None else self.mean(hidden)), index


class VAE(nn.Module):
    """All networks of one recipe; `training.py` trains them, `freeze.py` turns them into weights."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        analysis, synthesis = TRANSFORMS[recipe.transform]
        self.analysis = analysis(recipe)
        self.synthesis = synthesis(recipe)
        if recipe.prior == "gaussian":
            self.hyper_analysis = HyperAnalysis(recipe)
            self.hyper_synthesis = HyperSynthesis(recipe)
            self.context = nn.ModuleList(Context(recipe, step) for step in range(recipe.context_steps))
        self.side = SideDensity(recipe)
        self.gain_log = RateVectors(recipe.latents, recipe.knots)
        self.inverse_gain_log = RateVectors(recipe.latents, recipe.knots)
        self.analysis_scale = RateVectors(recipe.width, recipe.knots, 1.0)
        self.synthesis_scale = RateVectors(recipe.width, recipe.knots, 1.0)
        self.critic = Critic(recipe.latents, recipe.critic_width) if recipe.critic_width else None
        """Only for training: no weights file holds it."""

    def lmbda(self, t: Tensor) -> Tensor:
        """(b,) rate positions -> lambda, log-spaced."""
        low, high = (math.log(value) for value in self.recipe.lmbda)
        return torch.exp(low + (high - low) * t)

    def scales(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(b,) -> factors on a feature of analysis and of synthesis, each (b, width, 1, 1)."""
        return self.analysis_scale(t)[:, :, None, None], self.synthesis_scale(t)[:, :, None, None]

    def gains(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(b,) -> factors on y before and after rounding, each (b, latents, 1, 1).

        They start where uniform rounding of an orthonormal transform is optimal at high rate: with step s, MSE = s^2/12
        and bpp falls by 3/ln 2 per log s, so d(bpp + lmbda 255^2 MSE) = 0 at s^2 = 18 / (ln 2 * lmbda * 255^2).
        """
        start = torch.zeros_like(t)
        if self.recipe.variable_rate:
            start = 0.5 * torch.log(math.log(2) * self.lmbda(t) * 255**2 / 18)
        start = start[:, None]
        before = torch.exp(start + self.gain_log(t))
        after = torch.exp(self.inverse_gain_log(t) - start)
        return before[:, :, None, None], after[:, :, None, None]

    def rate_plane(self, t: Tensor, height: int, width: int) -> Tensor:
        """(b,) -> (b, 1, height, width) activations that tell exact networks the rate."""
        return torch.floor(t * ACTIVATION_MAX)[:, None, None, None].expand(-1, -1, height, width)


class SideDensity(nn.Module):
    """Factorised density of the integers that come first: z, or y itself in the factorised recipe."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        channels = recipe.hyper_latents or recipe.latents
        self.density = FactorizedDensity(channels)
        self.scale_log = RateVectors(channels, recipe.knots)
        self.shift = RateVectors(channels, recipe.knots)

    def bits(self, x: Tensor, t: Tensor) -> Tensor:
        """Bits of each of x (b, channels, h, w) at rate positions t (b,)."""
        return self.density.bits(x, torch.exp(self.scale_log(t)), self.shift(t))
