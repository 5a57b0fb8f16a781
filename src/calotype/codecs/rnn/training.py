"""What an `rnn` model minimises: the mean absolute residual of all its iterations (Toderici et al. 2017, eq. 11)."""

from __future__ import annotations

import torch
from torch import Tensor

from ...nets.objective import Objective
from ...runtime.weights import Weights
from .freeze import freeze, thaw
from .networks import RNN
from .recipe import Recipe

SCALE_WEIGHT = 0.01  # of foreseeing scales: far less than the image


def binarise(codes: Tensor, chance: bool) -> Tensor:
    """Codes in (-1, 1) to -1 or 1 with that mean (`chance`), or to the nearest; gradient 1.

    Toderici et al. 2015, sec. 3.2; after Williams 1992 and Raiko et al. 2015.
    """
    threshold = 1 - 2 * torch.rand_like(codes) if chance else torch.zeros_like(codes)
    bits = torch.where(codes >= threshold, 1.0, -1.0)
    return codes + (bits - codes).detach()


def residuals(model: RNN, x: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """What is missing of images (b, 3, h, w) in [0, 1] after each iteration; and how well scales were foreseen.

    The former is (iterations, b, 3, h, w); the latter a mean of nats for a Laplace distribution of that scale.
    """
    encoder, decoder = model.start(x)
    missing, found, nats = x - 0.5, [], x.new_zeros(())
    for _ in range(iterations):
        if model.recipe.scaled:
            features, scale = model.encoder.stem(missing).detach(), decoder[0]
            nats = nats + (features.abs() * torch.exp(-scale) + scale).mean()
        codes, encoder = model.iterate(missing, encoder, decoder)
        decoded, decoder = model.decoder(binarise(codes, model.training), *decoder)
        missing = x - 0.5 - decoded if model.recipe.reconstruction == "one-shot" else missing - decoded
        found.append(missing)
    return torch.stack(found), nats / iterations


def loss(model: RNN, x: Tensor, rates: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of a batch (b, 3, h, w) in [0, 1], and what to log at rates (b,) in [0, 1), the iterations' share.

    Bits are those before entropy coding, of which every iteration has the same number. In evaluation no iterations run
    but those that the rates, then all the same, ask for.
    """
    recipe = model.recipe
    iteration = (rates * recipe.iterations).floor().long()
    missing, nats = residuals(model, x, recipe.iterations if model.training else int(iteration[0]) + 1)
    mse = missing.detach()[iteration, torch.arange(len(x), device=x.device)].square().mean((1, 2, 3))
    bpp = (iteration + 1).float().mean() * recipe.bpp
    psnr = -10 * mse.clamp_min(1e-10).log10().mean()
    return missing.abs().mean() + SCALE_WEIGHT * nats, {"bpp": bpp, "psnr": psnr}


class RNNTraining:
    """How every recipe is trained: `calotype.train.protocol.Training`."""

    def build(self, recipe: str) -> RNN:
        return RNN(Recipe.load(recipe))

    def thaw(self, weights: Weights) -> RNN:
        return thaw(weights)

    def freeze(self, model: RNN) -> bytes:
        return freeze(model)

    def objectives(self, model: RNN) -> list[Objective[RNN]]:
        return [Objective(loss, [parameter for parameter in model.parameters() if parameter.requires_grad])]

    def validation_rates(self, model: RNN) -> tuple[float, ...]:
        return (0.0, 0.2, 0.5)

    def crop_unit(self, model: RNN) -> int:
        return model.recipe.stride

    def halve_precision(self, model: RNN) -> bool:
        return False  # bits hang on signs of small numbers


TRAINING = RNNTraining()
