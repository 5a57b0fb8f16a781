"""The native kernels under address and undefined-behaviour sanitisers, fed with random and damaged streams.

The same streams on every machine; `CALOTYPE_FUZZ_SECONDS` and `CALOTYPE_FUZZ_SEED` choose a longer or another run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "src/calotype"
SANITISERS = [
    "-fsanitize=address,undefined,float-cast-overflow",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
]
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-psabi"]
BUILDS = {  # folder of harness and kernel, rounds (about three seconds of them), flags
    "coding": ("coding", 1000, ["-O1", "-ffp-contract=off"]),
    "coding-portable": ("coding", 1000, ["-O2", "-ffp-contract=off", "-DCALO_PORTABLE"]),
    "fit": ("codecs/fit", 300, ["-O1"]),
    "prism": ("codecs/prism", 80, ["-O1", "-ffp-contract=off"]),
}
READ_NO_STREAMS = {"codecs/fit": ("encode.c", "passes_*.c")}


def compile_harness(folder: Path, package: str, flags: list[str]) -> Path:
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("needs gcc or clang")
    program, kernel, shared = folder / "fuzz", PACKAGE / package / "kernel", PACKAGE / "coding/kernel"
    left_out = [path for pattern in READ_NO_STREAMS.get(package, ()) for path in kernel.glob(pattern)]
    sources = [HERE / package / "fuzz.c", *sorted({*kernel.glob("*.c")}.difference(left_out))]
    command = [compiler, "-std=c11", "-g", *WARNINGS, f"-I{kernel}", f"-I{shared}", *SANITISERS, *flags]
    command += [*map(str, sources), "-lm"]
    built = subprocess.run([*command, "-o", program], capture_output=True, text=True)
    if "cannot find" in built.stderr and "san" in built.stderr:
        pytest.skip("the compiler comes without sanitisers")
    assert built.returncode == 0, built.stderr
    return program


@pytest.mark.parametrize("build", BUILDS)
def test_no_stream_leads_the_kernel_astray(tmp_path: Path, build: str) -> None:
    package, rounds, flags = BUILDS[build]
    seconds = os.environ.get("CALOTYPE_FUZZ_SECONDS", "0")
    seed = os.environ.get("CALOTYPE_FUZZ_SEED", "1")
    program = compile_harness(tmp_path, package, flags)
    run = subprocess.run([program, str(rounds), seconds, seed], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-4000:] or f"the harness ended with {run.returncode}"
    assert "intact streams" in run.stdout
    print(run.stdout)
