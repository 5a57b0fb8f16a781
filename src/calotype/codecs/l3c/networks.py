"""The networks of every `l3c` recipe (Mentzer et al. 2019, fig. 2 and A1).

Glossary: x image, d_s levels of scale s (`units.py`), f_s features that scale s hands to the next finer one. What the
decoder runs is exact; its integers are float32 tensors that hold integers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...coding.units import LOCATION_UNIT
from ...nets.exact import SIGNED, ExactConv, halves
from ...nets.fixed_point import ACTIVATION_MAX
from ...nets.mixture import MixtureHead
from ...nets.straight_through import clamp_inward
from .recipe import Recipe
from .samples import Differences, Interpolation, planes, values_of
from .units import COLOURS, LATENTS, LEVEL_MAX, LEVEL_UNIT, SCALES, VALUE_UNIT

# where heads start
LEVEL_NARROWEST, GREY_NARROWEST = 0.25, 0.5  # width of the narrowest component, in levels and grey values
COEFFICIENTS = 60.0, 4.0, 60.0  # G follows R; B follows G


class EncoderBlock(nn.Module):
    """EDSR's residual block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
        )
        with torch.no_grad():
            self.layers[-1].weight.mul_(0.1)  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        """(b, width, h, w) -> the same shape."""
        return x + self.layers(x)  # type: ignore[no-any-return]


class EncoderScale(nn.Module):
    """Features of the scale before to features and latents of half the size; float, only the encoder runs it."""

    def __init__(self, recipe: Recipe, scale: int) -> None:
        super().__init__()
        width = recipe.features
        self.head = nn.Conv2d(COLOURS, width, 3, padding=1) if scale == 1 else nn.Identity()
        self.down = nn.Conv2d(width, width, 5, stride=2, padding=2)
        self.blocks = nn.Sequential(*(EncoderBlock(width) for _ in range(recipe.blocks)))
        self.tail = nn.Conv2d(width, width, 3, padding=1)
        self.latents = nn.Conv2d(width, LATENTS, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features before, or the image, (b, c, 2h, 2w) -> features and levels (b, 5, h, w)."""
        features = self.down(self.head(features))
        features = features + self.tail(self.blocks(features))
        return features, LEVEL_MAX * self.latents(features)


class Analysis(nn.Module):
    """An image to the latents of all scales, not yet rounded, in levels."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.scales = nn.ModuleList(EncoderScale(recipe, scale) for scale in range(1, SCALES + 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(b, 3, h, w) in [-1, 1], sizes multiples of 8 -> (b, 5, h / 2^s, w / 2^s) for s = 1, 2, 3."""
        features, found = x, []
        for scale in self.scales:
            features, levels = scale(features)
            found.append(levels)
        return found


class DecoderBlock(nn.Module):
    """The residual block with rectified sums, exact."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(ExactConv(width, width, 3), ExactConv(width, width, 3, output=SIGNED))

    def forward(self, x: Tensor) -> Tensor:
        """Activations (b, width, h, w) -> the same shape."""
        return clamp_inward(x + self.layers(x), 0, ACTIVATION_MAX)


class Stage(nn.Module):
    """What a decoder does at one scale, exact: levels and coarser features to mixtures of what is twice as large."""

    def __init__(self, recipe: Recipe, scale: int) -> None:
        super().__init__()
        self.scale, self.mixtures = scale, recipe.mixtures
        tells_colours = scale == 1 or recipe.joint
        self.channels = COLOURS if tells_colours else LATENTS
        width = recipe.features
        given = 2 * LATENTS + (recipe.up if scale < SCALES else 0)
        self.interpolation: Interpolation | None = None
        if recipe.samples:
            self.differences = Differences()
            self.interpolation = Interpolation(LOCATION_UNIT if scale == 1 else VALUE_UNIT)
            self.enter = ExactConv(given + 2 * Differences.CHANNELS, width, 3)
        else:
            self.enter = ExactConv(given, width)
        self.blocks = nn.Sequential(*(DecoderBlock(width) for _ in range(recipe.blocks)))
        self.tail = ExactConv(width, width, 3, output=SIGNED)
        self.up = nn.Sequential(ExactConv(width, 4 * recipe.up), nn.PixelShuffle(2))
        narrowest, coefficients = (GREY_NARROWEST, COEFFICIENTS) if tells_colours else (LEVEL_NARROWEST, ())
        self.head = MixtureHead(
            recipe.up, recipe.head, self.channels, recipe.mixtures, narrowest=narrowest, coefficients=coefficients
        )
        with torch.no_grad():
            self.enter.weight.mul_(0.25)  # levels reach 24, activations 32

    def forward(self, levels: Tensor, coarser: Tensor | None = None, expected: Tensor | None = None) -> list[Tensor]:
        """What is coded by the mixtures of this scale.

        Parameters
        ----------
        levels
            (b, 5, h, w)
        coarser
            Features (b, up, h, w) of the coarser scale; the last one has none.
        expected
            For recipes with samples: values (b, 3, h, w) that the coarser scale leads to expect; the last one expects
            the middle.

        Returns
        -------
        features (b, up, 2h, 2w), for samples expected values (b, 3, 2h, 2w) except at scale 1, and what `MixtureHead`
        gives. Locations count from the middle of the symbols' range; for samples those of colours have the
        interpolation in them. Their channels are ordered colour or latent, then component.
        """
        given = [halves(levels * LEVEL_UNIT)]
        if coarser is not None:
            given.append(coarser)
        if self.interpolation is None:
            return self._predict(given)
        if expected is None:
            expected = levels[:, :COLOURS] * 0.0
        values = values_of(levels, expected)
        given.append(halves(self.differences(values)))
        features, location, *others = self._predict(given)
        finer = self.interpolation(values)
        if self.channels == COLOURS:
            base = finer if self.scale == 1 else finer * (LOCATION_UNIT // VALUE_UNIT)
            location = location + torch.cat([plane for plane in planes(base) for _ in range(self.mixtures)], 1)
        return [features, location, *others] if self.scale == 1 else [features, finer, location, *others]

    def _predict(self, given: list[Tensor]) -> list[Tensor]:
        x = self.enter(torch.cat(given, 1))
        x = clamp_inward(x + self.tail(self.blocks(x)), 0, ACTIVATION_MAX)
        features = self.up(x)
        return [features, *self.head(features)]


class L3C(nn.Module):
    """All networks of one recipe; `training.py` trains them, `freeze.py` turns them into weights."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.analysis = None if recipe.samples else Analysis(recipe)
        self.stages = nn.ModuleList(Stage(recipe, scale) for scale in range(1, SCALES + 1))
