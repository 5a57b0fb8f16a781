"""One step of the optimisers, all on the device: nothing is read back, so that the processor can run ahead.

On a GPU the whole step becomes one CUDA graph: a small model's step is thousands of short kernels, which take longer to
launch one by one than to run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic

import torch
from torch import Tensor, nn

from ..errors import CalotypeError
from ..nets.objective import Model, Objective
from .group import Group

CLIP_NORM = 1.0
BETAS = (0.9, 0.98)  # of AdamW; runs are short, so second moments forget sooner than usual
WARM_UP_STEPS = 3  # before a step of new shape is captured, as CUDA graphs ask for


class Step(Generic[Model]):
    """Moves a model, and the exponential average of its parameters, by one batch.

    The model's objectives have their turns one after the other, each with an optimiser of its own. One whose gradient
    is not finite moves no parameter, and the step is counted.
    """

    def __init__(self, objectives: Sequence[Objective[Model]], model: Model, average: nn.Module, group: Group):
        self._model = model
        self._players = [
            _Player(objective, group, f"{objective.name}_" if number else "")
            for number, objective in enumerate(objectives)
        ]
        self._parameters: list[Tensor] = list(model.parameters())
        self._averages: list[Tensor] = list(average.parameters())
        device, cuda = group.device, group.device.type == "cuda"
        self._follow = torch.zeros((), device=device)
        self._names: list[str] = []
        self._sums, self._skipped = torch.zeros(0, device=device), torch.zeros((), device=device)
        self._count = 0
        self._captures = cuda and group.size == 1
        self._seen: dict[torch.Size, int] = {}
        self._graphs: dict[torch.Size, tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}
        self.complaint: str | None = None
        """Why steps are not captured although there is a GPU."""

    def __call__(self, crops: Tensor, rates: Tensor, learning_rate: float, follow: float) -> None:
        """Take a step.

        Parameters
        ----------
        crops
            (b, 3, h, w) in [0, 1].
        rates
            (b,) in [0, 1), spread evenly over the batch: each crop's own.
        learning_rate
            Of objectives without a factor.
        follow
            Part of the way to the parameters that their average goes.
        """
        for player in self._players:
            player.set_rate(learning_rate)
        self._follow.fill_(follow)
        self._count += 1
        if not self._captures:
            self._work(crops, rates)
        elif crops.shape in self._graphs:
            graph, *inputs = self._graphs[crops.shape]
            for to, fresh in zip(inputs, (crops, rates), strict=True):
                to.copy_(fresh)
            graph.replay()
        else:
            self._approach(crops, rates)

    def read(self) -> tuple[dict[str, float], int]:
        """Means of losses, figures and norms of gradients since the last call, and all steps skipped so far. Waits.

        Those of all objectives but the first have its name before theirs.
        """
        means = dict(zip(self._names, (self._sums / max(self._count, 1)).tolist(), strict=True))
        self._sums.zero_()
        self._count = 0
        return means, int(self._skipped)

    def state(self) -> dict[str, object]:
        """What `restore` takes: the optimiser of the first objective, those of others by name, steps skipped."""
        first, *others = self._players
        more = {player.objective.name: player.optimiser.state_dict() for player in others}
        state = {"optimiser": first.optimiser.state_dict(), "skipped": int(self._skipped)}
        return state | ({"other_optimisers": more} if more else {})

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`; from optimisers that were not fused too. Raises `CalotypeError` if one is missing."""
        first, *others = self._players
        more = state.get("other_optimisers", {})
        first.restore(state["optimiser"])
        for player in others:
            if (name := player.objective.name) not in more:
                raise CalotypeError(f"the saved state has no optimiser of {name!r}; start again in another folder")
            player.restore(more[name])
        self._skipped.fill_(state["skipped"])

    def _work(self, crops: Tensor, rates: Tensor) -> None:
        turns = [player.move(self._model, crops, rates) for player in self._players]
        with torch.no_grad():
            distances = torch._foreach_sub(self._parameters, self._averages)
            torch._foreach_mul_(distances, self._follow)
            torch._foreach_add_(self._averages, distances)
        values = torch.cat([found for found, _ in turns])
        if not self._names:
            self._names = [name for player in self._players for name in player.names]
            self._sums = torch.zeros_like(values)
        self._sums += values
        self._skipped += torch.stack([broken for _, broken in turns]).any()

    def _approach(self, crops: Tensor, rates: Tensor) -> None:
        """Steps of a shape before it is captured run on a stream of their own; then one is captured."""
        seen = self._seen[crops.shape] = self._seen.get(crops.shape, 0) + 1
        current, aside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        if seen <= WARM_UP_STEPS:
            aside.wait_stream(current)
            with torch.cuda.stream(aside):
                self._work(crops, rates)
            current.wait_stream(aside)
            return
        inputs = crops.clone(memory_format=torch.channels_last), rates.clone()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self._work(*inputs)
        except RuntimeError as error:
            self._captures, self.complaint = False, str(error).splitlines()[0]
            self._work(crops, rates)
            return
        self._graphs[crops.shape] = graph, *inputs
        graph.replay()


class _Player(Generic[Model]):
    """An objective with its optimiser."""

    def __init__(self, objective: Objective[Model], group: Group, prefix: str):
        self.objective, self._group, self._prefix = objective, group, prefix
        self._rate = torch.zeros((), device=group.device)
        self.optimiser = torch.optim.AdamW(
            objective.parameters,
            lr=self._rate,
            betas=BETAS,
            weight_decay=0.0,
            fused=True,
            capturable=group.device.type == "cuda",
        )
        self.names: list[str] = []
        """What the values of `move` are."""

    def set_rate(self, learning_rate: float) -> None:
        self._rate.fill_(learning_rate * self.objective.rate)

    def restore(self, saved: dict[str, Any]) -> None:
        options = {key: self.optimiser.param_groups[0][key] for key in ("lr", "fused", "foreach", "capturable")}
        self.optimiser.load_state_dict(saved | {"param_groups": [saved["param_groups"][0] | options]})
        self.optimiser.param_groups[0]["lr"] = self._rate

    def move(self, model: Model, crops: Tensor, rates: Tensor) -> tuple[Tensor, Tensor]:
        """Move the objective's parameters: loss, figures and norm of the gradient, and whether that is not finite.

        It is not finite where the loss is not, and alike in all processes; all values are then zero.
        """
        parameters = self.objective.parameters
        for parameter in parameters:
            parameter.grad = None
        loss, figures = self.objective.loss(model, crops, rates)
        loss.backward(inputs=parameters)  # type: ignore[no-untyped-call]
        self._group.average_gradients(parameters)
        norm = nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        broken = ~torch.isfinite(norm)
        self.optimiser.found_inf = broken.float()  # type: ignore[attr-defined]  # leaves the turn out, as GradScaler does
        self.optimiser.step()
        self.names = [self._prefix + name for name in ("loss", *figures, "norm")]
        values = torch.stack([loss.detach(), *(figure.detach() for figure in figures.values()), norm.detach()])
        return values.nan_to_num() * ~broken, broken
