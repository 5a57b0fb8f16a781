"""A second synthesis for the latents of a trained `VAE`: from the most faithful picture to the most natural one.

It starts as the first one and is trained by 150 * MSE + (beta / 2.56) * LPIPS, with a beta of its own for each crop
(Iwai et al. 2024, CRDR, which takes the weights of Mentzer et al. 2020, HiFiC), and against errors that are the same
wherever they are; with a critic, by 0.001 of what does not deceive it beside LPIPS. Encoder and entropy networks do not
change, and so neither do files.

Glossary: `realism` in [0, 1] is beta / BETA_MAX; `shipped` is the model whose latents are shown.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...errors import CalotypeError
from ...nets.critic import Critic, critic_loss, deception
from ...nets.objective import Figures
from ...nets.residual import Block
from .condition import CONDITIONS, condition
from .forward import as_shown, code
from .networks import VAE, ShuffleSynthesis
from .recipe import LATENT_STRIDE, Recipe

BETA_MAX = 5.12  # Iwai et al. 2024, sec. 4
SQUARED_ERROR, PERCEPTION = 150.0, 1 / 2.56  # what they weigh, likewise; for colours in [0, 1]
ADVERSARIAL = 0.001  # of a critic's loss beside LPIPS, likewise
STAMP = 3000.0  # what weighs an error that all cells of the latents' grid have alike, as no picture does
SHIFT_MAX = 16  # pixels that the perceptual network's grid moves by, whose strides favour patterns in step with them
HIDDEN = 64  # features between the conditions and the layers' scales


class Modulation(nn.Module):
    """Scale and shift of each feature, told by hidden conditions; starts as doing nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Conv2d(HIDDEN, width, 1), nn.Conv2d(HIDDEN, width, 1)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """(b, width, h, w) and (b, HIDDEN, 1, 1) -> the shape of x."""
        return x + x * self.scale(hidden) + self.shift(hidden)  # type: ignore[no-any-return]


class NaturalSynthesis(nn.Module):
    """A `ShuffleSynthesis` whose residual steps are scaled and shifted by realism and rate."""

    def __init__(self, plain: ShuffleSynthesis) -> None:
        """The layers of `plain` become its own."""
        super().__init__()
        width = plain.stride.out_channels // 4
        self.plain = plain
        self.condition = nn.Sequential(nn.Conv2d(CONDITIONS, HIDDEN, 1), nn.ReLU())
        self.spatial = nn.ModuleList(Modulation(width) for _ in plain.blocks)
        self.mixer = nn.ModuleList(Modulation(width) for _ in plain.blocks)

    def forward(self, y: Tensor, scale: Tensor, conditions: Tensor) -> Tensor:
        """As `ShuffleSynthesis.forward`, with conditions (b, CONDITIONS, 1, 1)."""
        hidden = self.condition(conditions)
        plain, last = self.plain, len(self.plain.blocks) - 1
        x = plain.shuffle(plain.stride(y / plain.latent_spread))
        for index, (block, spatial, mixer) in enumerate(zip(plain.blocks, self.spatial, self.mixer, strict=True)):
            assert isinstance(block, Block)
            if index == last:
                x = x * scale
            x = x + spatial(block.spatial(x), hidden)
            x = x + mixer(block.mixer(x), hidden)
        return plain.head(x * plain.spread) + 0.5  # type: ignore[no-any-return]


class Realism(nn.Module):
    """A trained model, fixed, and the second synthesis of its latents."""

    digest: Tensor

    def __init__(self, recipe: Recipe, shipped: VAE, digest: bytes) -> None:
        """The second synthesis starts as the one of `shipped`, whose weights file has the digest.

        Raises
        ------
        CalotypeError
            `shipped` is not of the sizes that the recipe says.
        """
        super().__init__()
        if not isinstance(shipped.synthesis, ShuffleSynthesis) or _sizes(recipe) != _sizes(shipped.recipe):
            raise CalotypeError(
                f"the weights of {shipped.recipe.name} are not those that recipe {recipe.name} is for; "
                "train those first, or correct the recipe's sizes"
            )
        self.recipe = recipe
        self.synthesis = NaturalSynthesis(ShuffleSynthesis(recipe))
        self.synthesis.plain.load_state_dict(shipped.synthesis.state_dict())
        self.shipped = shipped.requires_grad_(False)
        self.register_buffer("digest", torch.tensor(list(digest), dtype=torch.uint8))
        self.critic = Critic(recipe.latents, recipe.critic_width) if recipe.critic_width else None
        """Only for training: no weights file holds it."""

    def show(self, decoded: Tensor, t: Tensor, realism: Tensor) -> Tensor:
        """Decoded latents (b, latents, h, w) at rates t (b,) -> images (b, 3, 16h, 16w) at realisms (b,)."""
        y, scale = as_shown(self.shipped, decoded, t)
        return self.synthesis(y, scale, condition(realism, t, torch))  # type: ignore[no-any-return]

    def told(self, decoded: Tensor, t: Tensor) -> Tensor:
        """What the critic knows of decoded latents, in units of their usual spread."""
        return as_shown(self.shipped, decoded, t)[0] / self.synthesis.plain.latent_spread


def _sizes(recipe: Recipe) -> tuple[object, ...]:
    return recipe.transform, recipe.width, recipe.blocks, recipe.latents, recipe.knots


def realism_loss(lpips: nn.Module, model: Realism, x: Tensor, rates: Tensor) -> tuple[Tensor, Figures]:
    """Loss of a batch (b, 3, h, w) in [0, 1], and what to log; `lpips` gives distances (b,) of two such.

    In training low rates are seen more often, where there is more to invent, and high realisms, as at 0 there is the
    first synthesis. In evaluation realism is 1.
    """
    decoded, bits, t, realism = _drawn(model, x, rates)
    shown = model.show(decoded, t, realism)
    mse = (shown - x).square().mean((1, 2, 3))
    distance = lpips.to(x.device)(*_moved(shown, x, model.training))
    stamp = _stamp(shown - x)
    figures = {
        "bpp": bits.mean() / (x.shape[2] * x.shape[3]),
        "psnr": -10 * mse.detach().clamp_min(1e-10).log10().mean(),
        "lpips": distance.detach().mean(),
        "stamp": 255 * stamp.detach().mean().sqrt(),
    }
    if model.critic is not None and model.training:
        deceived = deception(model.critic, shown, model.told(decoded, t))
        distance, figures = distance + ADVERSARIAL * deceived, figures | {"deception": deceived.detach().mean()}
    total = (SQUARED_ERROR * mse + PERCEPTION * BETA_MAX * realism * distance + STAMP * stamp).mean()
    return total, figures


def doubt_realism(model: Realism, x: Tensor, rates: Tensor) -> tuple[Tensor, Figures]:
    """What the model's critic minimises, of pictures as the second synthesis shows them in training."""
    assert model.critic is not None
    with torch.no_grad():
        decoded, _, t, realism = _drawn(model, x, rates)
        shown = model.show(decoded, t, realism)
    return critic_loss(model.critic, x, shown, model.told(decoded, t))


def realism_samples(model: Realism, x: Tensor, t: Tensor) -> list[Tensor]:
    """Images (b, 3, h, w) at rates t (b,) as the first synthesis shows them, and the second one at realism 1."""
    decoded, _ = code(model.shipped, x, t, thrifty=True)
    return [model.shipped.synthesis(*as_shown(model.shipped, decoded, t)), model.show(decoded, t, torch.ones_like(t))]


def _drawn(model: Realism, x: Tensor, rates: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Decoded latents and their bits, rates and realisms of a batch: those that it is trained at, or realism 1."""
    t = rates.square() if model.training else rates
    realism = 1 - torch.rand_like(rates).square() if model.training else torch.ones_like(rates)
    with torch.no_grad():
        decoded, bits = code(model.shipped, x, t, thrifty=True)
    return decoded, bits, t, realism


def _stamp(errors: Tensor) -> Tensor:
    """Power of what is the same in all cells of errors (b, c, h, w): (b,).

    Perceptual networks like texture, and the cheapest one is a pattern that every cell gets, whatever it shows.
    """
    b, c, h, w = errors.shape
    cells = errors.reshape(b, c, h // LATENT_STRIDE, LATENT_STRIDE, w // LATENT_STRIDE, LATENT_STRIDE)
    return cells.mean((2, 4)).square().mean((1, 2, 3))


def _moved(a: Tensor, b: Tensor, at_random: bool) -> list[Tensor]:
    """The same part of both, SHIFT_MAX pixels smaller each way and anywhere, or all of them."""
    if not at_random:
        return [a, b]
    rows, columns = (
        torch.arange(side - SHIFT_MAX, device=a.device) + torch.randint(SHIFT_MAX + 1, (1,), device=a.device)
        for side in a.shape[2:]
    )
    return [each.index_select(2, rows).index_select(3, columns) for each in (a, b)]
