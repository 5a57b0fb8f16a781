"""Weights to integers, so that sums are right rather than each weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

DAMPING = 0.01  # of the mean second moment, added to each: what few data say of rare inputs is not to be trusted

Array = npt.NDArray[np.floating[Any]]


def rounded_together(weight: Array, moments: Array, most: int) -> npt.NDArray[np.float64]:
    """Weights (outputs, inputs) rounded one input after the other, where those to come make up for each error.

    Frantar et al. 2023, "GPTQ", sec. 3: of the inverse of the moments its Cholesky factor holds all that is needed. The
    strongest inputs come first, while there are many to make up for them.

    Parameters
    ----------
    moments : array (inputs, inputs)
        Second moments of what the weights are multiplied with.
    most : int
        Largest magnitude of an integer.
    """
    moments = moments.astype(np.float64)
    order = np.argsort(-np.diag(moments))
    damped = moments[np.ix_(order, order)] + np.eye(len(order)) * (DAMPING * np.trace(moments) / len(order) + 1e-9)
    factor = np.linalg.cholesky(np.linalg.inv(damped)).T
    left, found = weight[:, order].astype(np.float64), np.empty(weight.shape)
    for place, input in enumerate(order):
        found[:, input] = np.clip(np.rint(left[:, place]), -most, most)
        error = (left[:, place] - found[:, input]) / factor[place, place]
        left[:, place:] -= np.outer(error, factor[place, place:])
    return found
