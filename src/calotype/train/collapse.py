"""Signs that training leads nowhere any more."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

from ..errors import CalotypeWarning
from ..nets.objective import ACCURACY, Objective

ACCURACY_MAX = 0.98  # of a critic; one that tells so many patches rightly has no more to teach
LINES = 5  # of the log in a row that a sign has to last; in one or two of them it may be chance


class Watch:
    """Looks at each line of a run's log."""

    def __init__(self, objectives: Sequence[Objective]) -> None:  # type: ignore[type-arg]  # only names are looked at
        self._critics = {f"{objective.name}_{ACCURACY}": objective.name for objective in objectives[1:]}
        self._lasted = dict.fromkeys(self._critics, 0)
        self._lost, self._step, self._skipped = 0, 0, 0
        self._warned = False

    def look(self, figures: Mapping[str, float], step: int, skipped: int) -> str | None:
        """What is wrong, in a few words, if it lasted. The first time a `CalotypeWarning` says what would help.

        Parameters
        ----------
        figures
            Means since the last line, as `Step.read` names them.
        step, skipped
            Steps so far, and those of them whose loss or gradient was not finite.
        """
        lost = skipped - self._skipped >= step - self._step
        self._step, self._skipped = step, skipped
        self._lost = self._lost + 1 if lost else 0
        for name in self._critics:
            won = not lost and figures.get(name, 0.0) > ACCURACY_MAX
            self._lasted[name] = self._lasted[name] + 1 if won else 0
        if self._lost >= LINES:
            return self._say(
                f"no finite gradient in {LINES} lines", "go on from an earlier state or weights with a lower --rate"
            )
        for name, critic in self._critics.items():
            if self._lasted[name] >= LINES:
                return self._say(
                    f"{name} above {ACCURACY_MAX:g} in {LINES} lines",
                    f"the {critic} tells all apart and so teaches nothing: start from weights that were trained longer "
                    f"without it, or with a lower --rate or a recipe whose {critic} is smaller",
                )
        return None

    def _say(self, sign: str, remedy: str) -> str:
        if not self._warned:
            warnings.warn(CalotypeWarning(f"training has collapsed, {sign}; {remedy}"), stacklevel=4)
        self._warned = True
        return sign
