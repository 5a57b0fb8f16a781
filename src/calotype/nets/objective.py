"""What the parameters of a model are trained for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)
Figures = dict[str, Tensor]
ACCURACY = "accuracy"
"""Figure of an objective that criticises what another one makes: the share that it tells rightly, a half by chance.
Training watches it."""


@dataclass(frozen=True)
class Objective(Generic[Model]):
    """A loss, and the parameters that it moves. Most models have one; in a GAN each of the two players has its own."""

    loss: Callable[[Model, Tensor, Tensor], tuple[Tensor, Figures]]
    """`loss(model, crops, rates)`: crops (b, 3, h, w) in [0, 1] and a rate in [0, 1) for each of them, spread evenly
    over the batch -> the loss, and scalars to log. Nothing in it waits for the device. In evaluation mode it is that of
    rounded latents, always the same for the same images."""
    parameters: list[nn.Parameter]
    """Those of the model that it moves; it may depend on others."""
    name: str = "model"
    """For the log and saved states."""
    rate: float = 1.0
    """Factor on the learning rate."""
