"""FLIF, by its own command-line program."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ...errors import CalotypeError
from ...image import Image
from .libraries import open_with_pillow, save_with_pillow
from .rival import EXACT, Kind, Ladder, Rung, Takes


@dataclass(frozen=True)
class Flif:
    """FLIF at its greatest effort."""

    program: str = "flif"
    """Its name on the PATH."""
    name: ClassVar[str] = "flif"
    title: ClassVar[str] = "FLIF, effort 100"
    kind: ClassVar[Kind] = "lossless"
    ending: ClassVar[str] = ".flif"
    takes: ClassVar[Takes] = Takes(channels=frozenset({1, 3}))
    ladder: ClassVar[Ladder] = EXACT

    def missing(self) -> str | None:
        if shutil.which(self.program):
            return None
        return f"the program {self.program} is not on the PATH; install FLIF, see github.com/FLIF-hub/FLIF"

    def version(self) -> str:
        said = re.search(r"FLIF \(.*?\) (\S+)", self._run("--version"))  # "FLIF (Free Lossless Image Format) 0.4 [...]"
        return f"FLIF {said[1] if said else 'of unknown version'}"

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        return self._convert(["-e", "-E100"], save_with_pillow(image, "PPM"), ".ppm", ".flif")

    def decode(self, data: bytes, threads: int) -> Image:
        return open_with_pillow(self._convert(["-d"], data, ".flif", ".pnm"))

    def _convert(self, options: list[str], data: bytes, before: str, after: str) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, f"image{before}"), Path(folder, f"result{after}")
            source.write_bytes(data)
            self._run(*options, str(source), str(target))
            return target.read_bytes()

    def _run(self, *arguments: str) -> str:
        """Run the program; return what it says."""
        run = subprocess.run([self.program, *arguments], capture_output=True, text=True, errors="replace")
        if run.returncode:
            raise CalotypeError(f"{self.program} failed: {run.stderr.strip() or run.stdout.strip()}")
        return run.stdout + run.stderr
