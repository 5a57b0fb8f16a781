"""What Calotype costs besides bits: start of the command line, size on disk."""

from __future__ import annotations

import platform
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...api import Model
from ...image import Image
from ...parallel import cores
from .machine import processor, versions

RUNS = 15  # of the command line; the median counts

_ENTRY = "from calotype.cli.app import main; main()"
_WATCH = """
import sys
from calotype.cli.app import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    print(int(stop.code or 0), "torch" in sys.modules)
"""


def footprint(models: Sequence[Model], image: Image, install: str, runs: int = RUNS) -> dict[str, Any]:
    """All figures of this file, for `docs/results/footprint.json`.

    Parameters
    ----------
    image
        Coded at each model's default quality; the command line decodes it.
    install
        The project's folder, or a wheel.
    """
    return {
        "machine": {"processor": processor(), "cores": cores(), "system": f"{platform.system()} {platform.machine()}"},
        "versions": versions(),
        "help_seconds": help_seconds(runs),
        "install_bytes": install_bytes(install),
        "models": {
            model.name: {
                "digest": model.card.digest.hex(),
                "weights_bytes": model.card.bytes,
                "command_line": decode_command(model.encode(image), runs),
            }
            for model in models
        },
    }


def decode_command(data: bytes, runs: int = RUNS) -> dict[str, Any]:
    """Median seconds from the start of `calotype decode` to a PNG file on disk, and whether torch was loaded."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "image.calo"), Path(folder, "image.png")
        source.write_bytes(data)
        arguments = ["decode", str(source), "-o", str(target), "-f"]
        seconds = [_seconds([*_program(), *arguments]) for _ in range(runs + 1)][1:]  # the first one fills caches
        watched = subprocess.run([sys.executable, "-c", _WATCH, *arguments], check=True, capture_output=True, text=True)
    status, torch_loaded = watched.stdout.split()
    if status != "0":
        raise RuntimeError(f"calotype decode ended with status {status}")
    return {"seconds": round(statistics.median(seconds), 3), "runs": runs, "torch_loaded": torch_loaded == "True"}


def help_seconds(runs: int = RUNS) -> float:
    """Median seconds of `calotype --help`."""
    seconds = [_seconds([*_program(), "--help"]) for _ in range(runs + 1)][1:]
    return round(statistics.median(seconds), 3)


def install_bytes(project: str) -> int:
    """Bytes that installing a project (a folder or a wheel) without extras adds to a fresh environment's packages."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = str(Path(folder, "bin", "python"))
        where = [python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"]
        packages = Path(subprocess.run(where, check=True, capture_output=True, text=True).stdout.strip())
        before = set(packages.iterdir())  # pip and its like, which write their own caches when they run
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", project]
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
        return sum(_size(entry) for entry in set(packages.iterdir()) - before)


def _program() -> list[str]:
    script = Path(sysconfig.get_path("scripts"), "calotype")
    return [str(script)] if script.is_file() else [sys.executable, "-c", _ENTRY]


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())
