"""The native kernels under address and undefined-behaviour sanitisers, fed with random and damaged streams.

`CALOTYPE_FUZZ_SECONDS` and `CALOTYPE_FUZZ_SEED` choose a longer or another run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "src/calotype"
SANITISERS = [
    "-fsanitize=address,undefined,float-cast-overflow",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
]
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-psabi"]
NATIVE, PORTABLE = ["-O1", *SANITISERS], ["-O2", "-DCALO_PORTABLE", *SANITISERS]
BUILDS = {
    "rans": ("coding/kernel", NATIVE),
    "rans-portable": ("coding/kernel", PORTABLE),
    "prism": ("codecs/prism/kernel", ["-ffp-contract=off", *NATIVE]),
}


def compile_harness(folder: Path, name: str, kernel: Path, flags: list[str]) -> Path:
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("needs gcc or clang")
    program = folder / name
    sources = [HERE / f"fuzz_{name}.c", *sorted(kernel.glob("*.c"))]
    command = [compiler, "-std=c11", "-g", *WARNINGS, f"-I{kernel}", *flags, *sources, "-lm"]
    built = subprocess.run([*command, "-o", program], capture_output=True, text=True)
    if "cannot find" in built.stderr and "san" in built.stderr:
        pytest.skip("the compiler comes without sanitisers")
    assert built.returncode == 0, built.stderr
    return program


@pytest.mark.parametrize("build", BUILDS)
def test_no_stream_leads_the_kernel_astray(tmp_path, build):
    seconds = os.environ.get("CALOTYPE_FUZZ_SECONDS", "3")
    seed = os.environ.get("CALOTYPE_FUZZ_SEED", "1")
    kernel, flags = BUILDS[build]
    program = compile_harness(tmp_path, build.split("-")[0], PACKAGE / kernel, flags)
    run = subprocess.run([program, seconds, seed], capture_output=True, text=True, timeout=float(seconds) + 60)
    assert run.returncode == 0, run.stderr[-4000:] or f"the harness ended with {run.returncode}"
    assert "intact streams" in run.stdout
    print(run.stdout)
