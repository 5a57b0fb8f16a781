"""One step of the optimiser, all on the device: nothing is read back, so that the processor can run ahead.

On a GPU the whole step becomes one CUDA graph: a small model's step is thousands of short kernels, which take longer to
launch one by one than to run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .group import Group

CLIP_NORM = 1.0
BETAS = (0.9, 0.98)  # of AdamW; runs are short, so second moments forget sooner than usual
EMA_DECAY = 0.999
EMA_PART = 50  # and the average spans about one in so many of the steps so far; a longer one lags behind
WARM_UP_STEPS = 3  # before a step of new shape is captured, as CUDA graphs ask for

Loss = Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, dict[str, Tensor]]]


class Step:
    """Moves a model, and the exponential average of its parameters, by one batch.

    A step whose gradient is not finite moves no parameter and is counted.
    """

    def __init__(self, loss: Loss, model: nn.Module, average: nn.Module, group: Group):
        self._loss, self._model, self._group = loss, model, group
        self._parameters: list[Tensor] = list(model.parameters())
        self._averages: list[Tensor] = list(average.parameters())
        device, cuda = group.device, group.device.type == "cuda"
        self._rate, self._follow = torch.zeros((), device=device), torch.zeros((), device=device)
        self.optimiser = torch.optim.AdamW(
            self._parameters, lr=self._rate, betas=BETAS, weight_decay=0.0, fused=True, capturable=cuda
        )
        self._names: list[str] = []
        self._sums, self._skipped = torch.zeros(0, device=device), torch.zeros((), device=device)
        self._count = 0
        self._captures = cuda and group.size == 1
        self._seen: dict[torch.Size, int] = {}
        self._graphs: dict[torch.Size, tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}
        self.complaint: str | None = None
        """Why steps are not captured although there is a GPU."""

    def __call__(self, crops: Tensor, numbers: Tensor, rate: float, step: int) -> None:
        """Take a step.

        Parameters
        ----------
        crops
            (b, 3, h, w) in [0, 1].
        numbers
            (b,) in [0, 1), spread evenly over the batch: each picture's own, for its rate.
        rate
            Learning rate.
        step
            How many came before; the average spans fewer of them early on.
        """
        self._rate.fill_(rate)
        self._follow.fill_(1 - min(EMA_DECAY, (1 + step) / (EMA_PART + step)))
        self._count += 1
        if not self._captures:
            self._work(crops, numbers)
        elif crops.shape in self._graphs:
            graph, *inputs = self._graphs[crops.shape]
            for to, fresh in zip(inputs, (crops, numbers), strict=True):
                to.copy_(fresh)
            graph.replay()
        else:
            self._approach(crops, numbers)

    def read(self) -> tuple[dict[str, float], int]:
        """Means of loss, figures and norm of the gradient since the last call, and all steps skipped so far. Waits."""
        means = dict(zip(self._names, (self._sums / max(self._count, 1)).tolist(), strict=True))
        self._sums.zero_()
        self._count = 0
        return means, int(self._skipped)

    def state(self) -> dict[str, object]:
        return {"optimiser": self.optimiser.state_dict(), "skipped": int(self._skipped)}

    def restore(self, optimiser: dict[str, Any], skipped: int) -> None:
        """Go on from `state`; from an optimiser that was not fused too."""
        options = {key: self.optimiser.param_groups[0][key] for key in ("lr", "fused", "foreach", "capturable")}
        saved = optimiser["param_groups"][0]
        self.optimiser.load_state_dict(optimiser | {"param_groups": [saved | options]})
        self.optimiser.param_groups[0]["lr"] = self._rate
        self._skipped.fill_(skipped)

    def _work(self, crops: Tensor, numbers: Tensor) -> None:
        for parameter in self._parameters:
            parameter.grad = None
        loss, figures = self._loss(self._model, crops, numbers)
        loss.backward()  # type: ignore[no-untyped-call]
        self._group.average_gradients(self._parameters)
        norm = nn.utils.clip_grad_norm_(self._parameters, CLIP_NORM)
        values = torch.stack([loss.detach(), *(figure.detach() for figure in figures.values()), norm.detach()])
        broken = ~torch.isfinite(norm)  # as it is where the loss is not finite, and alike in all processes
        self.optimiser.found_inf = broken.float()  # type: ignore[attr-defined]  # leaves the step out, as GradScaler does
        self.optimiser.step()
        with torch.no_grad():
            distances = torch._foreach_sub(self._parameters, self._averages)
            torch._foreach_mul_(distances, self._follow)
            torch._foreach_add_(self._averages, distances)
        if not self._names:
            self._names = ["loss", *figures, "norm"]
            self._sums = torch.zeros_like(values)
        self._sums += values.nan_to_num() * ~broken
        self._skipped += broken

    def _approach(self, crops: Tensor, numbers: Tensor) -> None:
        """Steps of a shape before it is captured run on a stream of their own; then one is captured."""
        seen = self._seen[crops.shape] = self._seen.get(crops.shape, 0) + 1
        current, aside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        if seen <= WARM_UP_STEPS:
            aside.wait_stream(current)
            with torch.cuda.stream(aside):
                self._work(crops, numbers)
            current.wait_stream(aside)
            return
        inputs = crops.clone(memory_format=torch.channels_last), numbers.clone()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self._work(*inputs)
        except RuntimeError as error:
            self._captures, self.complaint = False, str(error).splitlines()[0]
            self._work(crops, numbers)
            return
        self._graphs[crops.shape] = graph, *inputs
        graph.replay()
