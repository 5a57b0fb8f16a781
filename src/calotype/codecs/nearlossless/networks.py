"""The networks of a `nearlossless` recipe, all of them exact: float32 tensors that hold integers.

Glossary: `units.py` has planes, levels, lattices and what phases see; the *picture* is what the base decodes to.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...nets.exact import SIGNED, ExactConv, ExactLog, Output, halves
from ...nets.fixed_point import ACTIVATION_MAX, WEIGHT_BITS
from ...nets.mixture import MixtureHead
from ...nets.straight_through import clamp_inward, requantise
from .recipe import Recipe
from .units import (
    BLOCK,
    BOUND_PLANES,
    COLOUR_MAX,
    COLOURS,
    LEVEL_UNIT,
    LEVELS,
    PHASES,
    PICTURE_UNIT,
    Lattice,
    around,
    basis,
    known,
)

_TRANSFORM = Output(4, -(2**14), 2**14)  # 16 grey values would be the largest weight
_DIFFERENCE_UNIT = 16  # of what layers see of differences, per grey value
_TAP_UNIT = 8  # likewise of those that are summed to a location: 255 of them fit
_TAPS = Output(WEIGHT_BITS + 3 - 6, -(2**15), 2**15)

# where heads start
LEVEL_NARROWEST, GREY_NARROWEST = 0.25, 1.0  # width of the narrowest component
COEFFICIENTS = 60.0, 4.0, 60.0  # red follows green; blue follows green, then red


class Residual(nn.Module):
    """Features and what two 3x3 convolutions add to them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(ExactConv(width, width, 3), ExactConv(width, width, 3, output=SIGNED))

    def forward(self, x: Tensor) -> Tensor:
        """Activations (b, width, h, w) -> the same shape."""
        return clamp_inward(x + self.layers(x), 0, ACTIVATION_MAX)


class Base(nn.Module):
    """Levels to the base's picture, and to features for what is coded after it."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.transform = ExactConv(LEVELS, COLOURS * BLOCK**2, output=_TRANSFORM)
        self.enter = ExactConv(2 * LEVELS, recipe.base, 3)
        self.block = Residual(recipe.base)
        self.correction = ExactConv(recipe.base, COLOURS * BLOCK**2, output=SIGNED)
        self.coarse = ExactConv(recipe.base, recipe.coarse * (BLOCK // 4) ** 2)
        self.fine = ExactConv(recipe.base, recipe.fine * (BLOCK // 2) ** 2)
        self.to_pixels, self.to_coarse, self.to_fine = (nn.PixelShuffle(BLOCK // step) for step in (1, 4, 2))
        with torch.no_grad():
            start = torch.from_numpy(basis()).T[:, :, None, None]
            self.transform.weight.copy_(start * PICTURE_UNIT * 2 ** (_TRANSFORM.shift - WEIGHT_BITS) / LEVEL_UNIT)
            self.correction.weight.mul_(0.1)

    def forward(self, levels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Levels (b, LEVELS, h, w) -> the picture (b, 3, 8h, 8w) in 0 .. 255; features (.., 2h, 2w), (.., 4h, 4w)."""
        given = levels * float(LEVEL_UNIT)
        x = self.block(self.enter(halves(given)))
        middle = PICTURE_UNIT * (COLOUR_MAX + 1) // 2 + PICTURE_UNIT // 2
        sums = self.to_pixels(self.transform(given) + self.correction(x))
        picture = requantise(sums + float(middle), 1 / PICTURE_UNIT, 0, COLOUR_MAX)
        return picture, self.to_coarse(self.coarse(x)), self.to_fine(self.fine(x))


class Prior(nn.Module):
    """Levels that are known already to the distributions of all."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.enter = ExactConv(2 * LEVELS + 1, recipe.prior, 3)
        self.middle = ExactConv(recipe.prior, recipe.prior, 3)
        self.head = MixtureHead(recipe.prior, 0, LEVELS, recipe.level_mixtures, narrowest=LEVEL_NARROWEST, dilations=())

    def forward(self, levels: Tensor, is_known: Tensor) -> tuple[Tensor, ...]:
        """Levels (b, LEVELS, h, w), 0 where `is_known` (b, 1, h, w) is -> what `MixtureHead` gives."""
        given = torch.cat([halves(levels * float(LEVEL_UNIT)), is_known * 64.0], 1)
        return self.head(self.middle(self.enter(given)))  # type: ignore[no-any-return]


class Phase(nn.Module):
    """The distributions of the samples of one lattice, given those before and the base.

    A sample is expected where the base's picture is, moved as the known samples around it are off theirs (`taps`, at
    first the mean of the nearest), and as the network says. It has two heads: one for exact samples, the other for
    such as a bound has left inexact, which is told the bound (Bai et al. 2021, sec. 3.4).
    """

    def __init__(self, recipe: Recipe, phase: Lattice) -> None:
        super().__init__()
        self.phase, self.mixtures = phase, recipe.mixtures
        before = known(phase)
        width, handed = recipe.features, recipe.coarse if phase.step == 4 else recipe.fine
        given = 2 * COLOURS * len(before) + 2 * len(around(phase)) + handed
        self.taps = ExactConv(COLOURS * len(before), COLOURS, 3, output=_TAPS) if before else None
        self.enter = ExactConv(given, width, 3)
        self.logarithm = ExactLog()
        self.block = Residual(width)
        self.exact, self.mixed = self._head(width), ExactConv(width + BOUND_PLANES, width)
        self.bounded = self._head(width)
        with torch.no_grad():
            logarithms = self.enter.weight[width // 2 :]
            logarithms[:, :-handed].abs_()
            if self.taps is not None:
                self.taps.weight.copy_(_nearest(phase, before))

    def _head(self, width: int) -> MixtureHead:
        return MixtureHead(
            width, 0, COLOURS, self.mixtures, narrowest=GREY_NARROWEST, coefficients=COEFFICIENTS, dilations=()
        )

    def forward(self, slopes: Tensor, features: Tensor, bound: Tensor, off: Tensor | None = None) -> tuple[Tensor, ...]:
        """What `MixtureHead` gives of the phase's samples; locations count from the base's picture.

        Parameters
        ----------
        slopes, off
            As `seen` gives them: (b, 3, h / step, w / step), and three channels for each lattice that is known.
        features
            The base's (b, .., h / step, w / step).
        bound
            `bound_inputs` (b, 3, 1, 1), 0 where samples are exact.
        """
        hidden, expected = self.hidden(slopes, features, off)
        exact = self.distributions(hidden, expected, None)
        bounded = self.distributions(hidden, expected, bound)
        choice = bound[:, :1].clamp(0, 1)
        return tuple(a + (b - a) * choice for a, b in zip(exact, bounded, strict=True))

    def hidden(self, slopes: Tensor, features: Tensor, off: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Features (b, .., h / step, w / step), and where samples are expected (b, 3, ..); None: at the picture."""
        expected, context = None, []
        if self.taps is not None:
            assert off is not None
            expected = self.taps(off * float(_TAP_UNIT))
            for start in range(0, off.shape[1], COLOURS):
                first = off[:, start : start + 1]
                context += [first, off[:, start + 1 : start + COLOURS] - first]
        context.append(slopes)
        given = halves(torch.cat(context, 1) * float(_DIFFERENCE_UNIT))
        x = self.enter(torch.cat([given, features], 1))
        half = x.shape[1] // 2
        return self.block(torch.cat([x[:, :half], self.logarithm(x[:, half:])], 1)), expected

    def distributions(self, hidden: Tensor, expected: Tensor | None, bound: Tensor | None) -> tuple[Tensor, ...]:
        """What `hidden` gives to what `forward` gives."""
        if bound is None:
            location, *others = self.exact(hidden)
        else:
            told = hidden[:, :1] * 0.0 + bound
            location, *others = self.bounded(self.mixed(torch.cat([hidden, told], 1)))
        if expected is not None:
            each = [expected[:, plane : plane + 1] for plane in range(COLOURS) for _ in range(self.mixtures)]
            location = location + torch.cat(each, 1)
        return location, *others


class NearLossless(nn.Module):
    """All networks of one recipe; `training.py` trains them, `freeze.py` turns them into weights."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.base, self.prior = Base(recipe), Prior(recipe)
        self.phases = nn.ModuleList(Phase(recipe, phase) for phase in PHASES)


def _nearest(phase: Lattice, known: tuple[Lattice, ...]) -> Tensor:
    """Weights (3, 3 * known, 3, 3) of the mean of the nearest known samples of the same colour."""
    offsets = torch.arange(3.0) - 1
    distances = torch.stack(
        [
            ((offsets * other.step + other.y - phase.y)[:, None] ** 2 + (offsets * other.step + other.x - phase.x) ** 2)
            for other in known
        ]
    )
    nearest = (distances == distances.min()).float()
    weight = torch.eye(COLOURS)[:, None, :, None, None] * (nearest / nearest.sum())[None, :, None]
    return weight.flatten(1, 2)
