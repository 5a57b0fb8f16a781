"""What a conventional codec must offer to be measured."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

RGB = npt.NDArray[np.uint8]  # (height, width, 3)
Kind = Literal["lossy", "lossless", "near-lossless"]

EXACT = (0.0,)  # the ladder of a lossless codec: one rung
BOUNDS = (5.0, 4.0, 3.0, 2.0, 1.0)  # the ladder of a near-lossless one: largest error of any sample


class Rival(Protocol):
    """Anything that makes files of images; the models that we measure are rivals too."""

    @property
    def name(self) -> str:
        """Short, for files and tables: "jpeg-420"."""
        ...

    @property
    def title(self) -> str:
        """What it is, with its settings: "JPEG 4:2:0, optimised Huffman tables"."""
        ...

    @property
    def kind(self) -> Kind: ...

    @property
    def ending(self) -> str:
        """Ending of its files, with the dot."""
        ...

    @property
    def qualities(self) -> tuple[float, ...]:
        """The ladder to measure, from the smallest files up; each codec has its own scale.

        Near-lossless codecs take the largest error of any sample; lossless ones ignore the number.
        """
        ...

    def missing(self) -> str | None:
        """Why it cannot run here and what to do about it, or None if it can."""
        ...

    def version(self) -> str:
        """Version of the library that does the work: "libjxl 0.11.1"."""
        ...

    def encode(self, pixels: RGB, quality: float, threads: int) -> bytes:
        """Make a whole file without metadata; libraries that know no threads use one."""
        ...

    def decode(self, data: bytes, threads: int) -> RGB: ...
