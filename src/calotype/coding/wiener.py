"""A filter for one image, which its encoder fits and its decoder applies behind the synthesis.

Least squares of what is left to mend, over the 5x5 pixels around, as in the adaptive filters of video codecs (Tsai et
al. 2013, Adaptive Loop Filtering for Video Coding). Each plane has its own, which is the same in opposite directions
and leaves plain areas as they are.

    out = x + sum of tap * (x there + x opposite - 2 x)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ._kernel import ffi, lib

REACH = 2  # pixels
UNIT = 256  # of a tap
# down and right to each tap's pixel; the opposite one has the same
WAYS = ((0, 1), (0, 2), *((1, right) for right in range(-2, 3)), *((2, right) for right in range(-2, 3)))

_RIDGE = 1e-6  # per pixel: holds taps down where an image is plain

Floats = npt.NDArray[np.float32]
Taps = npt.NDArray[np.int8]
"""(planes, 12), in 1/256."""


def shown(planes: Floats, rows: slice, columns: slice, taps: Taps | None) -> npt.NDArray[np.uint8]:
    """Part of planes (c, h, w) as bytes (h, w, c), 1 becoming 255, filtered if there are taps.

    The samples around the part count; beyond the planes their border goes on.
    """
    planes = np.ascontiguousarray(planes, np.float32)
    count, height, width = planes.shape
    out = np.empty((rows.stop - rows.start, columns.stop - columns.start, count), np.uint8)
    for number, plane in enumerate(planes):
        weights = None if taps is None else taps[number].astype(np.float32) / np.float32(UNIT)
        lib.calo_show(
            ffi.from_buffer("float[]", plane), height, width, rows.start, columns.start, out.shape[0], out.shape[1],
            ffi.NULL if weights is None else ffi.from_buffer("float[]", weights),
            ffi.from_buffer("uint8_t[]", out) + number, count,
        )  # fmt: skip
    return out


class Fit:
    """Gathers what the taps are computed from, over the parts of an image."""

    def __init__(self, planes: int, stride: int = 1) -> None:
        """With a stride only one pixel of so many is looked at, each way."""
        self._stride = stride
        self._products = np.zeros((planes, len(WAYS), len(WAYS)))
        self._wanted = np.zeros((planes, len(WAYS)))
        self._pixels = 0

    def add(self, planes: Floats, rows: slice, columns: slice, wanted: Floats, seen: npt.NDArray[np.bool_]) -> None:
        """Part of planes, as in `shown`, that should look like `wanted` (c, h, w) where it is `seen` (h, w)."""
        around, step = _around(planes, rows, columns), self._stride
        counted = seen[::step, ::step]
        self._pixels += int(np.count_nonzero(counted))
        for number, plane in enumerate(around):
            here = _moved(plane, 0, 0)[::step, ::step][counted]
            inputs = [
                (_moved(plane, *way)[::step, ::step] + _moved(plane, -way[0], -way[1])[::step, ::step])[counted]
                - 2 * here
                for way in WAYS
            ]
            matrix = np.stack(inputs)
            self._products[number] += matrix @ matrix.T
            self._wanted[number] += matrix @ (wanted[number][::step, ::step][counted] - here)

    def taps(self, worth: float) -> Taps | None:
        """The best taps, or None if they save less than they cost in bits; a squared error of 1 is worth so many."""
        ridge = _RIDGE * max(self._pixels, 1) * np.eye(len(WAYS))
        exact = np.linalg.solve(self._products + ridge, self._wanted[..., None])[..., 0]
        taps: Taps = np.clip(np.rint(exact * UNIT), -127, 127).astype(np.int8)
        weights = taps / UNIT
        saved = 2 * (self._wanted * weights).sum() - np.einsum("ci,cij,cj->", weights, self._products, weights)
        if saved * self._stride**2 * worth <= 8 * taps.size:
            return None
        return taps


def _around(planes: Floats, rows: slice, columns: slice) -> Floats:
    """A part with REACH pixels more on all sides."""
    _, height, width = planes.shape
    above, left = min(rows.start, REACH), min(columns.start, REACH)
    below, right = min(height - rows.stop, REACH), min(width - columns.stop, REACH)
    there = planes[:, rows.start - above : rows.stop + below, columns.start - left : columns.stop + right]
    lacking: Sequence[tuple[int, int]] = ((0, 0), (REACH - above, REACH - below), (REACH - left, REACH - right))
    return np.pad(there, lacking, "edge")


def _moved(around: Floats, down: int, right: int) -> Floats:
    """What lies so far from each pixel of the inner part."""
    height, width = around.shape
    return around[REACH + down : height - REACH + down, REACH + right : width - REACH + right]
