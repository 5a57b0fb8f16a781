"""Several processes that train one model, as `torchrun` starts them; or one alone."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor


class Group:
    """Processes with a part of each batch each, and equal parameters.

    All draw the same random numbers for the whole batch and take their share, so that `size` processes see what one
    with `size` times the batch would.
    """

    def __init__(self, device: str):
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.device = torch.device(device)
        if self.size == 1:
            return
        if self.device.type == "cuda":
            self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(self.device)
        dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        self._words = dist.new_group(backend="gloo")  # for numbers that the processor needs, without a wait for the GPU

    @property
    def leads(self) -> bool:
        """Whether this process saves, validates and reports."""
        return self.rank == 0

    def share(self, of_batch: Tensor) -> Tensor:
        """The rows that are this process's, of something drawn for the whole batch."""
        return of_batch[self.rank :: self.size]

    def agree(self, number: float) -> float:
        """The leader's number."""
        if self.size == 1:
            return number
        word = torch.tensor([number], dtype=torch.float64)
        dist.broadcast(word, 0, group=self._words)
        return float(word)

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace each gradient by its mean over the processes."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [part.view_as(g) for part, g in zip(parts, gradients, strict=True)])

    def close(self) -> None:
        if self.size > 1:
            dist.destroy_process_group()
