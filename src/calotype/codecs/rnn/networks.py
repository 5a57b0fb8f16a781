"""The networks of every `rnn` recipe.

Glossary: the *residual* is what is still missing of an image, (b, 3, h, w); *codes* are (b, bits, h / stride,
w / stride), each -1 or 1; a *unit* has a state, which it gives back renewed in each iteration; the *surface* stands
between pixels and units; the *scale* is the logarithm of what the decoder expects each of its features to lack: the
encoder knows it, too.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...nets.dct import dct_stem
from ...nets.exact import INDEX, ExactConv
from ...nets.fixed_point import ACTIVATION_BITS
from .recipe import COPIES, Recipe

State = list[Tensor]
ALPHA = 0.1  # weight of the GRU's linear paths (Toderici et al. 2017, sec. 3.1)
FORGET_BIAS = 1.0  # memories start by lasting
HEAD_START = 0.3  # of the usual weights: what is decoded before training is nearly grey
SHRINK_START = 0.1  # of the logarithm of what is missing, that goes away with each iteration
FORESIGHT_WIDTH = 128
FORESEEN_START = 8.0  # half of the quarters of an octave that coefficients usually are large
SCALE_MOST = 6.0  # logarithm, of either sign: e^-6 is less than a step of 8 bits


# --- units ------------------------------------------------------------------------------------------------------------


class ConvLSTM(nn.Module):
    """Shi et al. 2015, Convolutional LSTM network, without peepholes."""

    def __init__(self, inputs: int, width: int, stride: int, recipe: Recipe) -> None:
        super().__init__()
        self.input = _conv(inputs, 4 * width, recipe.kernel, stride)
        self.hidden = _conv(width, 4 * width, recipe.hidden_kernel)
        with torch.no_grad():
            self.input.bias[width : 2 * width] += FORGET_BIAS  # type: ignore[index]

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, State]:
        enter, keep, leave, new = _split(self.input(x) + self.hidden(hidden), 4)
        cell = torch.sigmoid(keep) * cell + torch.sigmoid(enter) * torch.tanh(new)
        hidden = torch.sigmoid(leave) * torch.tanh(cell)
        return hidden, [hidden, cell]


class ResidualGRU(nn.Module):
    """Toderici et al. 2017, sec. 3.1: a GRU with weak linear paths beside its state and its input."""

    def __init__(self, inputs: int, width: int, stride: int, recipe: Recipe) -> None:
        super().__init__()
        self.input = _conv(inputs, 4 * width, recipe.kernel, stride)
        self.hidden = _conv(width, 3 * width, recipe.hidden_kernel)
        self.candidate = _conv(width, width, recipe.hidden_kernel)

    def forward(self, x: Tensor, hidden: Tensor) -> tuple[Tensor, State]:
        update, reset, new, beside_input = _split(self.input(x), 4)
        more_update, more_reset, beside_state = _split(self.hidden(hidden), 3)
        update, reset = torch.sigmoid(update + more_update), torch.sigmoid(reset + more_reset)
        new = torch.tanh(new + self.candidate(reset * hidden))
        hidden = hidden + update * (new - hidden) + ALPHA * beside_state
        return hidden + ALPHA * beside_input, [hidden]


class AssociativeLSTM(nn.Module):
    """Danihelka et al. 2016, eq. 5 to 15: the memory is a sum of complex products with keys, in several copies.

    Each copy sees the keys in another order, here turned by another number of places, so that their errors differ and
    cancel. Features are complex numbers: real parts, then imaginary ones.
    """

    def __init__(self, inputs: int, width: int, stride: int, recipe: Recipe) -> None:
        super().__init__()
        half = width // 2
        self.input = _conv(inputs, 9 * half, recipe.kernel, stride)  # three real gates, three complex vectors
        self.hidden = _conv(width, 9 * half, recipe.hidden_kernel)
        self.turns = [half * copy // COPIES for copy in range(COPIES)]
        with torch.no_grad():
            self.input.bias[:half] += FORGET_BIAS  # type: ignore[index]

    def forward(self, x: Tensor, hidden: Tensor, memory: Tensor) -> tuple[Tensor, State]:
        parts = _split(self.input(x) + self.hidden(hidden), 9)
        keep, enter, leave = (torch.cat([torch.sigmoid(gate)] * 2, 1) for gate in parts[:3])
        key_in, key_out, new = (_bounded(torch.cat(parts[at : at + 2], 1)) for at in (3, 5, 7))
        copies = [
            keep * copy + _product(_turned(key_in, turn), enter * new)
            for copy, turn in zip(_split(memory, COPIES), self.turns, strict=True)
        ]
        found = [_product(_turned(key_out, turn), copy) for copy, turn in zip(copies, self.turns, strict=True)]
        hidden = leave * _bounded(functools.reduce(operator.add, found) / COPIES)
        return hidden, [hidden, torch.cat(copies, 1)]


def _bounded(x: Tensor) -> Tensor:
    """Complex numbers of at most length 1."""
    real, imaginary = _split(x, 2)
    length = torch.sqrt(real * real + imaginary * imaginary + 1e-8).clamp(min=1.0)
    return x / torch.cat([length, length], 1)


def _product(a: Tensor, b: Tensor) -> Tensor:
    (a_real, a_imaginary), (b_real, b_imaginary) = _split(a, 2), _split(b, 2)
    return torch.cat([a_real * b_real - a_imaginary * b_imaginary, a_real * b_imaginary + a_imaginary * b_real], 1)


def _turned(x: Tensor, turn: int) -> Tensor:
    return torch.cat([torch.cat([part[:, turn:], part[:, :turn]], 1) for part in _split(x, 2)], 1)


def _split(x: Tensor, count: int) -> list[Tensor]:
    """Equal groups of features."""
    size = x.shape[1] // count
    return [x[:, at : at + size] for at in range(0, count * size, size)]


Unit = ConvLSTM | ResidualGRU | AssociativeLSTM
UNITS: dict[str, type[Unit]] = {"lstm": ConvLSTM, "gru": ResidualGRU, "associative": AssociativeLSTM}


# --- surface ----------------------------------------------------------------------------------------------------------


class ConvStem(nn.Module):
    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.layer = _conv(3, recipe.surface_width, 3, recipe.surface_stride)

    def forward(self, residual: Tensor) -> Tensor:
        return self.layer(residual)  # type: ignore[no-any-return]


class ConvHead(nn.Module):
    """Pixels in [-0.5, 0.5]."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.layer = _conv(recipe.surface_width, 3 * recipe.head_stride**2, 3)
        self.shuffle = nn.PixelShuffle(recipe.head_stride)

    def forward(self, features: Tensor) -> Tensor:
        return torch.tanh(self.shuffle(self.layer(features))) / 2


class PatchStem(nn.Module):
    """A matrix for each patch; starts as a DCT, its coefficients divided by their usual spread."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.unshuffle = nn.PixelUnshuffle(recipe.surface_stride)
        self.layer = nn.Conv2d(3 * recipe.surface_stride**2, recipe.surface_width, 1, bias=False)
        kernel, spread = dct_stem(recipe.surface_width, recipe.surface_stride)
        with torch.no_grad():
            self.layer.weight.copy_((kernel / spread[:, 0])[:, :, None, None])

    def forward(self, residual: Tensor) -> Tensor:
        return self.layer(self.unshuffle(residual))  # type: ignore[no-any-return]


class PatchHead(nn.Module):
    """The mirror of `PatchStem`."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.layer = nn.Conv2d(recipe.surface_width, 3 * recipe.head_stride**2, 1, bias=False)
        self.shuffle = nn.PixelShuffle(recipe.head_stride)
        kernel, spread = dct_stem(recipe.surface_width, recipe.head_stride)
        with torch.no_grad():
            self.layer.weight.copy_((kernel * spread[:, 0]).T[:, :, None, None])

    def forward(self, features: Tensor) -> Tensor:
        return self.shuffle(self.layer(features))  # type: ignore[no-any-return]


SURFACES: dict[str, tuple[type[nn.Module], type[nn.Module]]] = {
    "conv": (ConvStem, ConvHead),
    "patch": (PatchStem, PatchHead),
}


# --- the two networks -------------------------------------------------------------------------------------------------


class Encoder(nn.Module):
    """One iteration of the encoder."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.scaled = recipe.scaled
        self.stem = SURFACES[recipe.surface][0](recipe)
        inputs = (recipe.surface_width, *recipe.encoder[:-1])
        places = zip(inputs, recipe.encoder, recipe.encoder_strides, strict=True)
        self.units = nn.ModuleList(UNITS[recipe.unit](*place, recipe) for place in places)
        self.binariser = _conv(recipe.encoder[-1], recipe.bits, 1)

    def forward(self, residual: Tensor, *state: Tensor) -> tuple[Tensor, State]:
        """Residual, the decoder's scale if there is one, and state -> codes before they are bits, and state.

        Features are divided by the root of what they are expected to be: the large ones stay larger.
        """
        x, after = self.stem(residual), State()
        if self.scaled:
            scale, *state = state  # type: ignore[assignment]
            x = x * torch.exp(-0.5 * scale)
        for unit, own in zip(self.units, _shared(state, len(self.units)), strict=True):
            x, own = unit(x, *own)
            after += own
        return torch.tanh(self.binariser(x)), after


class Decoder(nn.Module):
    """One iteration of the decoder."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.entry = _conv(recipe.bits, recipe.decoder[0], recipe.entry_kernel)
        strides = recipe.decoder_strides
        outputs = [width // stride**2 for width, stride in zip(recipe.decoder, strides, strict=True)]
        places = zip((recipe.decoder[0], *outputs[:-1]), recipe.decoder, strict=True)
        self.units = nn.ModuleList(UNITS[recipe.unit](inputs, width, 1, recipe) for inputs, width in places)
        self.shuffles = nn.ModuleList(nn.PixelShuffle(stride) for stride in strides)
        self.features = _conv(outputs[-1], recipe.surface_width, 1)
        self.head = SURFACES[recipe.surface][1](recipe)
        self.shrink = _conv(outputs[-1], recipe.surface_width, 1) if recipe.scaled else None
        with torch.no_grad():
            self.features.weight *= HEAD_START
            if self.shrink is not None:
                self.shrink.weight *= SHRINK_START
                self.shrink.bias.fill_(-SHRINK_START)  # type: ignore[union-attr]

    def forward(self, codes: Tensor, *state: Tensor) -> tuple[Tensor, State]:
        """Codes, the scale if there is one, and state -> pixels (b, 3, h, w) around 0, and scale and state."""
        x, after, scale = self.entry(codes), State(), None
        if self.shrink is not None:
            scale, *state = state  # type: ignore[assignment]
        for unit, shuffle, own in zip(self.units, self.shuffles, _shared(state, len(self.units)), strict=True):
            x, own = unit(x, *own)
            x = shuffle(x)
            after += own
        features = self.features(x)
        if self.shrink is None or scale is None:
            return self.head(features), after
        next_scale = (scale + self.shrink(x)).clamp(-SCALE_MOST, SCALE_MOST)
        return self.head(features * torch.exp(scale)), [next_scale, *after]


class Foresight(nn.Module):
    """Foresees from all bits of the networks' iterations how large what they leave is: exact, as it decides tables."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        bits = recipe.networked * recipe.bits
        self.layers = nn.Sequential(
            ExactConv(bits, FORESIGHT_WIDTH, 3),
            ExactConv(FORESIGHT_WIDTH, recipe.surface_width, output=INDEX, bias=FORESEEN_START),
        )

    def forward(self, bits: Tensor) -> Tensor:
        """Bits (b, networked * bits, h, w), each -1 or 1, -> magnitudes (b, k, h, w) in quarters of an octave."""
        return self.layers((bits + 1) * 2 ** (ACTIVATION_BITS - 1))  # type: ignore[no-any-return]


class RNN(nn.Module):
    """A whole model."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.encoder, self.decoder = Encoder(recipe), Decoder(recipe)
        self.foresight = Foresight(recipe) if recipe.refinements else None

    def start(self, x: Tensor) -> tuple[State, State]:
        """States of encoder and decoder before the first iteration on images (b, 3, h, w): nothing is known."""
        height, width = x.shape[2:]
        encoder, decoder = (
            [x.new_zeros(len(x), features, height // stride, width // stride) for features, stride in states]
            for states in (self.recipe.encoder_states, self.recipe.decoder_states)
        )
        return encoder, decoder

    def iterate(self, residual: Tensor, encoder: State, decoder: State) -> tuple[Tensor, State]:
        """The encoder's iteration, with what it knows of the decoder: codes before they are bits, and its state."""
        return self.encoder(residual, *decoder[: self.recipe.scaled], *encoder)  # type: ignore[no-any-return]


def _shared(state: Sequence[Tensor], units: int) -> list[Sequence[Tensor]]:
    """The states of each unit."""
    size = len(state) // units
    return [state[at : at + size] for at in range(0, len(state), size)]


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
