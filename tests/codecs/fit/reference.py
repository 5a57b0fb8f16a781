"""The model of `fit` in PyTorch, float64, written from `architecture.py` alone: what the kernel is held against."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from calotype.codecs.fit.architecture import FEATURE_GRIDS, LOG_SCALE_MAX, LOG_SCALE_MIN, NEIGHBOURS, Architecture


def soft_round(x: Tensor, temperature: float) -> Tensor:
    """Agustsson and Theis 2020, with the slope of floor zero."""
    whole = x.detach().floor()
    return whole + 0.5 * torch.tanh((x - whole - 0.5) / temperature) / torch.tanh(torch.tensor(0.5 / temperature)) + 0.5


def cumulative(x: Tensor) -> Tensor:
    """Of the standard Laplace distribution."""
    return 0.5 - 0.5 * x.sign() * torch.expm1(-x.abs())


def bits(architecture: Architecture, part: dict[str, Tensor], y: list[Tensor]) -> Tensor:
    """Ideal length of all latents."""
    a = architecture
    total = torch.zeros((), dtype=torch.float64)
    for k in range(a.grids):
        height, width = a.grid(k)
        padded = F.pad(y[k], (3, 3, 3, 0))
        inputs = [padded[3 + r : 3 + r + height, 3 + c : 3 + c + width] for r, c in NEIGHBOURS[: a.neighbours]]
        x = torch.stack(inputs, -1)
        rows, columns = torch.arange(height)[:, None], torch.arange(width)[None]
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
        total = total - mass.clamp_min(2.0**-16).log2().sum()
    return total


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
