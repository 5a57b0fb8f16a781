"""The native kernel under address and undefined-behaviour sanitisers, fed with random and damaged streams.

`CALOTYPE_FUZZ_SECONDS` and `CALOTYPE_FUZZ_SEED` choose a longer or another run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KERNEL = HERE.parents[1] / "src/calotype/coding/kernel"
SANITISERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]


def compile_harness(folder: Path, flags: list[str]) -> Path:
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("needs gcc or clang")
    program = folder / "fuzz_rans"
    sources = [HERE / "fuzz_rans.c", *sorted(KERNEL.glob("*.c"))]
    command = [compiler, "-std=c11", "-g", "-Wall", "-Wextra", "-Werror", f"-I{KERNEL}", *flags, *sources]
    built = subprocess.run([*command, "-o", program], capture_output=True, text=True)
    if "cannot find" in built.stderr and "san" in built.stderr:
        pytest.skip("the compiler comes without sanitisers")
    assert built.returncode == 0, built.stderr
    return program


@pytest.mark.parametrize(
    "flags", [["-O1", *SANITISERS], ["-O2", "-DCALO_PORTABLE", *SANITISERS]], ids=["native", "portable"]
)
def test_no_stream_leads_the_kernel_astray(tmp_path, flags):
    seconds = os.environ.get("CALOTYPE_FUZZ_SECONDS", "3")
    seed = os.environ.get("CALOTYPE_FUZZ_SEED", "1")
    program = compile_harness(tmp_path, flags)
    run = subprocess.run([program, seconds, seed], capture_output=True, text=True, timeout=float(seconds) + 60)
    assert run.returncode == 0, run.stderr[-4000:]
    assert "intact streams" in run.stdout
    print(run.stdout)
