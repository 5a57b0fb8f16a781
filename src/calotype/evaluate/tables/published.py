"""Rate-distortion curves that others published, read from a file that is not part of this project.

The file maps names to `{"source": ..., "points": [{"bpp": ..., "psnr": ..., "ms_ssim"?: ...}]}`: averages over the
24 Kodak images, PSNR in RGB.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from ...errors import CalotypeError
from .bd import Curve

DATA = "CALOTYPE_DATA"  # names the folder with the images for measuring and training
FILE = "kodak_published.json"

SET = ("kodak", 24)  # name and number of the images that the curves are of
VTM = "VTM"
HYPERPRIOR = "compressai-bmshj2018-hyperprior_mse_cuda"
_TITLES = {VTM: "VTM", HYPERPRIOR: "hyperprior of Ballé et al. 2018"}


@dataclass(frozen=True)
class Published:
    name: str
    source: str
    """Where it was published."""
    points: Curve
    """(bpp, PSNR in dB), by rising rate."""
    similarity: Curve = ()
    """(bpp, MS-SSIM), where it was published."""

    @property
    def short_name(self) -> str:
        """Name for people."""
        return _TITLES.get(self.name, self.name.removeprefix("compressai-").removesuffix("_mse_cuda"))

    @property
    def title(self) -> str:
        """Short name, with a word that it was not measured here."""
        return f"{self.short_name} (published)"

    def curve(self, metric: str = "psnr") -> Curve:
        """(bpp, metric); empty for what was not published."""
        return {"psnr": self.points, "ms_ssim": self.similarity}.get(metric, ())


def published_path(path: Path | None = None) -> Path:
    """The given file, else `anchors/kodak_published.json` beside the folder in CALOTYPE_DATA.

    Raises
    ------
    CalotypeError
        It is not there.
    """
    if path is None:
        path = data_folder() / ".." / "anchors" / FILE
    if not path.is_file():
        raise CalotypeError(f"{path} does not exist; name the file with published curves, or set {DATA}")
    return path


def load_published(path: Path | None = None) -> dict[str, Published]:
    """All published curves by name; see `published_path`."""
    entries = json.loads(published_path(path).read_text(encoding="utf-8"))
    return {
        name: Published(name, entry["source"], _curve(entry["points"], "psnr"), _curve(entry["points"], "ms_ssim"))
        for name, entry in entries.items()
    }


def data_folder() -> Path:
    """The folder in CALOTYPE_DATA. Raises `CalotypeError` if it is not set."""
    if not os.environ.get(DATA):
        raise CalotypeError(f"set {DATA} to the folder with the images for measuring (it holds eval/kodak)")
    return Path(os.environ[DATA])


def _curve(points: list[dict[str, float]], metric: str) -> Curve:
    return sorted((point["bpp"], point[metric]) for point in points if metric in point)
