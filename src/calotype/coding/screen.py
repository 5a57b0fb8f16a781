"""Telling screen content (screenshots, text, drawings, dithers) from photographs, quickly."""

from __future__ import annotations

import zlib
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

FLAT = 0.3  # share of pixels equal to those left and above, from which on an image counts as screen content
BAND = 32  # rows that are looked at for repeating patterns, in every 8 * BAND


def repeats_itself(pixels: npt.NDArray[Any], size: int) -> bool:
    """Whether copying what was seen before may need less than `size` bytes for pixels (h, w, channels).

    It may where much is flat, as in screenshots and diagrams, or where a sample of the rows shows that patterns repeat.
    """
    inner = pixels[1:, 1:]
    if inner.size:
        equal = (inner == pixels[:-1, 1:]) & (inner == pixels[1:, :-1])
        flat = reduce(np.logical_and, np.moveaxis(equal, -1, 0))  # eight times as fast as `all` over few channels
        if float(flat.mean()) > FLAT:
            return True
    bands = [pixels[y : y + BAND].tobytes() for y in range(0, len(pixels), 8 * BAND)]
    share = sum(len(zlib.compress(band, 1)) for band in bands) / sum(map(len, bands))
    return share * pixels.nbytes < size
