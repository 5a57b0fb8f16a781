"""The kernel's work in PyTorch: for GPUs, and what the kernel is held against. Needs the extra `gpu`.

It is written from `architecture.py` alone and has its gradients from autograd.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .architecture import FEATURE_GRIDS, LATENT_MAX, LOG_SCALE_MAX, LOG_SCALE_MIN, NEIGHBOURS, Architecture
from .fitter import Floats, Iteration, Loss

WORD = (1 << 32) - 1


def hashes(count: int, seed: int, device: torch.device) -> Tensor:
    """Of numbers from 0 on, as the kernel's."""
    h = torch.arange(count, device=device) * 0x9E3779B1 + seed * 0x85EBCA6B & WORD
    h = (h ^ h >> 16) * 0x7FEB352D & WORD
    h = (h ^ h >> 15) * 0x846CA68B & WORD
    return h ^ h >> 16


def noise(h: Tensor) -> Tensor:
    """Four bytes of hashes added up, nearly normal, of mean 0 and variance 1."""
    total = (h & 255) + (h >> 8 & 255) + (h >> 16 & 255) + (h >> 24)
    return (total - 510) / 147.8005


def chance(h: Tensor) -> Tensor:
    """From hashes, from 0 to 1, evenly."""
    return ((h * 0x2C1B3C6D & WORD) >> 8) / (1 << 24)


def soft_round(x: Tensor, temperature: float) -> Tensor:
    """Agustsson and Theis 2020, with the slope of floor zero."""
    whole = x.detach().floor()
    return whole + torch.tanh((x - whole - 0.5) / temperature) / (2 * math.tanh(0.5 / temperature)) + 0.5


def cumulative(x: Tensor) -> Tensor:
    """Of the standard Laplace distribution."""
    return 0.5 - 0.5 * x.sign() * torch.expm1(-x.abs())


def bits(architecture: Architecture, part: dict[str, Tensor], y: list[Tensor]) -> list[Tensor]:
    """Ideal length of each latent."""
    a, lengths = architecture, []
    for k in range(a.grids):
        height, width = a.grid(k)
        padded = F.pad(y[k], (3, 3, 3, 0))
        inputs = [padded[3 + r : 3 + r + height, 3 + c : 3 + c + width] for r, c in NEIGHBOURS[: a.neighbours]]
        x = torch.stack(inputs, -1)
        rows = torch.arange(height, device=x.device)[:, None]
        columns = torch.arange(width, device=x.device)[None]
        if k < FEATURE_GRIDS:
            coarser = torch.stack([y[j][rows >> (j - k), columns >> (j - k)] for j in range(k + 1, a.grids)], -1)
            features = coarser @ part[f"F{k}"].T
        else:
            features = x.new_zeros(height, width, a.features)
        x = torch.cat([x, features], -1)
        h1 = torch.relu(x @ part["A1"].T + part["a1"] + x)
        h2 = torch.relu(h1 @ part["A2"].T + part["a2"] + h1)
        mu, s = (h2 @ part["A3"].T + x @ part["L"].T + part["b"][k]).unbind(-1)
        scale = s.clamp(LOG_SCALE_MIN, LOG_SCALE_MAX).exp()
        mass = cumulative((y[k] + 0.5 - mu) / scale) - cumulative((y[k] - 0.5 - mu) / scale)
        lengths.append(-mass.clamp_min(2.0**-16).log2())
    return lengths


def up(x: Tensor, taps: Tensor) -> Tensor:
    """Rows and columns doubled, channel by channel."""
    t0, t1, t2, t3 = taps
    kernel = torch.stack([t0, t1, t2, t3, t3, t2, t1, t0])
    for _ in range(2):
        x = x.transpose(1, 2)
        padded = F.pad(x, (2, 2), mode="replicate")
        doubled = F.conv_transpose1d(padded.reshape(-1, 1, padded.shape[-1]), kernel[None, None], stride=2)
        x = doubled.reshape(*padded.shape[:2], -1)[..., 7:-7]
    return x


def picture(architecture: Architecture, part: dict[str, Tensor], y: list[Tensor]) -> Tensor:
    """Channels x height x width, minus 1/2."""
    a = architecture
    u = y[-1][None]
    for k in range(a.grids - 2, -1, -1):
        height, width = a.grid(k)
        u = torch.cat([up(u, part["taps"][k])[:, :height, :width], y[k][None]])
    flat = u.reshape(a.grids, -1)
    v = part["B2"] @ torch.relu(part["B1"] @ flat + part["c1"][:, None]) + part["c2"][:, None] + part["M"] @ flat
    v = v.reshape(1, a.channels, a.height, a.width)

    def convolve(v: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
        return F.conv2d(F.pad(v, (1, 1, 1, 1), mode="replicate"), weights, bias)

    v = v + torch.relu(convolve(v, part["R1"], part["r1"]))
    v = v + convolve(v, part["R2"], part["r2"])
    return v[0]


class TorchFitter:
    """As `Fitter`, on a device; where sums are taken in an order that is not fixed, no two runs are quite the same.

    All positions tell the networks' gradient, whatever the stride of an iteration is.

    Parameters
    ----------
    device : str
        As PyTorch names it.
    dtype : torch.dtype
        That it computes in.
    """

    def __init__(
        self, picture: Floats, architecture: Architecture, device: str, dtype: torch.dtype = torch.float32
    ) -> None:
        self.architecture, self._device, self._dtype = architecture, torch.device(device), dtype
        self._latents: list[Tensor]
        self.latents = [np.zeros(architecture.grid(k), np.float32) for k in range(architecture.grids)]
        self.aim(picture)

    def aim(self, picture: Floats, weight: Floats | None = None) -> None:
        """What the latents should give from now on, as the constructor's picture; `weight` [height, width]."""
        self._picture = self._tensor(picture.transpose(2, 0, 1))
        self._weight = self._tensor(np.ones(picture.shape[:2], np.float32) if weight is None else weight)

    def iterate(self, iteration: Iteration, parameters: Floats) -> tuple[Loss, Floats]:
        """Loss of `parameters` and the latents, and its gradient by the parameters; then a step of the latents."""
        a = self.architecture
        vector = self._tensor(parameters).requires_grad_(not iteration.only_loss)
        part = {name: vector[at].reshape(a.shapes[name]) for name, at in a.slices.items()}
        latents = [grid.requires_grad_(not iteration.only_loss) for grid in self._latents]
        self._rounded = self._round(latents, iteration)
        lengths, output = bits(a, part, self._rounded), picture(a, part, self._rounded) + 0.5
        length = torch.stack([grid.sum() for grid in lengths]).sum()
        errors = ((output - self._picture) ** 2).sum(0) * self._weight
        self._output, self._bits, self._errors = output.detach(), lengths, errors.detach()
        loss = Loss(float(length.detach()), float(self._errors.sum()))
        if iteration.only_loss:
            return loss, np.zeros_like(parameters)
        (errors.sum() / a.channels + iteration.lmbda * length).backward()  # type: ignore[no-untyped-call]
        assert vector.grad is not None
        with torch.no_grad():
            self._gradient = [grid.grad for grid in latents]
            if iteration.hard < 1:
                self._latents = [self._moved(k, iteration) for k in range(a.grids)]
        return loss, vector.grad.float().cpu().numpy()

    def _round(self, latents: list[Tensor], iteration: Iteration) -> list[Tensor]:
        whole = [torch.floor(grid + 0.5).detach() for grid in latents]
        if iteration.hard >= 1:
            return [grid + (rounded - grid).detach() for grid, rounded in zip(latents, whole, strict=True)]
        sizes, temperature = [grid.numel() for grid in latents], iteration.temperature
        h = hashes(sum(sizes), iteration.seed, self._device)
        noises = torch.split((iteration.noise * noise(h)).to(self._dtype), sizes)
        hard = torch.split(chance(h) < float(np.float32(iteration.hard)), sizes)
        soft = [
            soft_round(soft_round(grid, temperature) + part.reshape(grid.shape), temperature)
            for grid, part in zip(latents, noises, strict=True)
        ]
        return [
            torch.where(part.reshape(rounded.shape), rounded, grid)
            for part, rounded, grid in zip(hard, whole, soft, strict=True)
        ]

    def _moved(self, k: int, iteration: Iteration) -> Tensor:
        """A grid after its step of Adam."""
        grid, gradient = self._latents[k].detach(), self._gradient[k]
        assert gradient is not None
        if iteration.step == 0:
            return grid
        first, second = self._moments[k]
        first.lerp_(gradient, 1 - iteration.decay[0])
        second.lerp_(gradient * gradient, 1 - iteration.decay[1])
        root = (second / iteration.correction[1]).sqrt() + iteration.epsilon
        return (grid - iteration.step / iteration.correction[0] * first / root).clamp(-LATENT_MAX, LATENT_MAX)

    @property
    def latents(self) -> list[Floats]:
        """The grids, not rounded, grid 0 first."""
        return self._arrays(self._latents)

    @latents.setter
    def latents(self, grids: list[Floats]) -> None:
        """Sets the optimiser back as well."""
        self._latents = [self._tensor(grid) for grid in grids]
        self._moments = [(torch.zeros_like(grid), torch.zeros_like(grid)) for grid in self._latents]

    @property
    def rounded(self) -> list[Floats]:
        """The grids as the last iteration rounded them."""
        return self._arrays(self._rounded)

    @property
    def gradient(self) -> list[Floats]:
        """The gradient of the last iteration's loss by the latents; by the rounded ones if all were rounded hard."""
        return self._arrays([grid for grid in self._gradient if grid is not None])

    @property
    def bits(self) -> list[Floats]:
        """The ideal length of each latent, as the last iteration rounded them."""
        return self._arrays(self._bits)

    @property
    def errors(self) -> Floats:
        """The squared error of each pixel in the last iteration [height, width], weighted, summed over channels."""
        return self._arrays([self._errors])[0]

    @property
    def output(self) -> Floats:
        """What the latents of the last iteration gave [height, width, channels], not clipped."""
        return self._arrays([self._output])[0].transpose(1, 2, 0)

    def _tensor(self, array: Floats) -> Tensor:
        return torch.tensor(np.ascontiguousarray(array), dtype=self._dtype, device=self._device)

    @staticmethod
    def _arrays(tensors: list[Tensor]) -> list[Floats]:
        return [tensor.detach().float().cpu().numpy() for tensor in tensors]
