"""What an `rnn` model minimises: the mean absolute residual of all its iterations (Toderici et al. 2017, eq. 11)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, pixel_unshuffle

from ...nets.dct import dct_stem
from ...nets.objective import Objective
from ...runtime.weights import Weights
from .freeze import freeze, thaw
from .networks import RNN
from .recipe import Recipe

UNITS = 4 * 255  # of coefficients, as in `refine`
DISSIMILARITY = 0.1  # weight of what windows lack of structure, beside the mean absolute difference
SCALES = (0.05, 0.3, 0.35, 0.3)  # weights of the image and of three halvings, about those of MS-SSIM
C2 = 0.03**2  # Wang et al. 2004, sec. III-C
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


def dissimilarity(missing: Tensor, x: Tensor) -> Tensor:
    """What images x - missing lack of the structure of x (b, 3, h, w), in windows of 4x4 at several scales."""
    total = x.new_zeros(())
    for weight in SCALES:
        spread = _window(x * x) - _window(x).square()
        error = _window(missing * missing) - _window(missing).square()
        cross = _window(x * missing) - _window(x) * _window(missing)
        # variances of x and y = x - e: v_y = v_x + v_e - 2 c; twice their covariance = 2 v_x - 2 c
        total = total + weight * (error / (2 * spread + error - 2 * cross + C2)).mean()
        x, missing = avg_pool2d(x, 2), avg_pool2d(missing, 2)
    return total


def _window(x: Tensor) -> Tensor:
    return avg_pool2d(x, 4, 2)


def loss(model: RNN, x: Tensor, rates: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of a batch (b, 3, h, w) in [0, 1], and what to log at rates (b,) in [0, 1), the iterations' share.

    Bits are those before entropy coding, of which every iteration has the same number. In evaluation no iterations run
    but those that the rates, then all the same, ask for.
    """
    recipe = model.recipe
    iteration = (rates * recipe.networked).floor().long()
    missing, nats = residuals(model, x, recipe.networked if model.training else int(iteration[0]) + 1)
    mse = missing.detach()[iteration, torch.arange(len(x), device=x.device)].square().mean((1, 2, 3))
    bpp = (iteration + 1).float().mean() * recipe.bpp
    psnr = -10 * mse.clamp_min(1e-10).log10().mean()
    apart = torch.stack([dissimilarity(part, x) for part in missing]).mean()
    return missing.abs().mean() + DISSIMILARITY * apart + SCALE_WEIGHT * nats, {
        "apart": apart.detach(),
        "bpp": bpp,
        "psnr": psnr,
    }


def foresight_loss(model: RNN, x: Tensor, rates: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Nats of what the networks leave, for Laplace distributions as large as is foreseen."""
    recipe = model.recipe
    assert model.foresight is not None
    with torch.no_grad():
        encoder, decoder = model.start(x)
        missing, bits = x - 0.5, []
        for _ in range(recipe.networked):
            codes, encoder = model.iterate(missing, encoder, decoder)
            bits.append(binarise(codes, chance=False))
            decoded, decoder = model.decoder(bits[-1], *decoder)
            missing = x - 0.5 - decoded if recipe.reconstruction == "one-shot" else missing - decoded
        kernel, _ = dct_stem(recipe.surface_width, recipe.stride)
        left = conv2d(pixel_unshuffle(missing, recipe.stride), kernel.to(x.device)[:, :, None, None]) * UNITS
    foreseen = model.foresight(torch.cat(bits, 1)) * (math.log(2) / 4)
    nats = (left.abs() * torch.exp(-foreseen) + foreseen).mean()
    return nats, {"nats": nats.detach()}


class RNNTraining:
    """How every recipe is trained: `calotype.train.protocol.Training`."""

    def build(self, recipe: str) -> RNN:
        return RNN(Recipe.load(recipe))

    def thaw(self, weights: Weights) -> RNN:
        return thaw(weights)

    def freeze(self, model: RNN) -> bytes:
        return freeze(model)

    def objectives(self, model: RNN) -> list[Objective[RNN]]:
        networks = Objective(loss, [*model.encoder.parameters(), *model.decoder.parameters()])
        if model.foresight is None:
            return [networks]
        return [networks, Objective(foresight_loss, list(model.foresight.parameters()), "foresight")]

    def validation_rates(self, model: RNN) -> tuple[float, ...]:
        return (0.0, 0.2, 0.5)

    def crop_unit(self, model: RNN) -> int:
        return model.recipe.stride

    def halve_precision(self, model: RNN) -> bool:
        return False  # bits hang on signs of small numbers


TRAINING = RNNTraining()
