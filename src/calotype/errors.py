"""Every error that Calotype raises on purpose, all derived from `CalotypeError`, and its warnings."""

from __future__ import annotations

from typing import Any


class CalotypeError(Exception):
    """Base of all errors a user can act on; the message says the next step."""


class CorruptFile(CalotypeError):
    """The bytes are not an intact Calotype file: damaged, truncated, or not one at all."""


class TruncatedFile(CorruptFile):
    """The bytes end before the file does."""


class CalotypeWarning(UserWarning):
    """Base of all warnings: something is not as it was asked for, and nothing is wrong with what was made."""


class PartialFile(CalotypeWarning):
    """A cut file was decoded as far as its bytes go; it holds a better image."""


class UnsupportedFile(CalotypeError):
    """An intact file that this version cannot decode: newer format, unknown codec or critical chunk."""


class WeightsNotFound(CalotypeError):
    """A model named by the user or by a file is not installed."""


class Desync(CalotypeError):
    """Decoding went wrong although the file is intact; nothing was returned."""


class BoundExceeded(CalotypeError):
    """A sample is off by more than was promised; an encoder writes nothing then."""


class LimitExceeded(CalotypeError):
    """A size limit would be exceeded; raised before memory is allocated."""


class Unsupported(CalotypeError):
    """A request that the chosen codec cannot fulfil: bit depth, colour, option."""


class WrongType(Unsupported, TypeError):
    """An argument of a type that cannot be meant."""


class BatchFailed(CalotypeError):
    """Some of a batch failed, after all of it was tried; nothing of the others is lost."""

    def __init__(self, what: str, results: list[Any], errors: dict[int, Exception]) -> None:
        super().__init__(what, results, errors)
        self.what = what
        self.results = results
        """What became of each, in order; None where it failed."""
        self.errors = errors
        """What was raised, by place in the batch, counted from 0."""

    def __str__(self) -> str:
        place, error = next(iter(self.errors.items()))
        first = f"{self.what} {place}: {str(error) or type(error).__name__}"
        return f"{len(self.errors)} of {len(self.results)} failed, the others are in `results`; {first}"
