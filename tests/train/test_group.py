"""Several processes train as one with as many times the batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from pathlib import Path
import torch
from calotype.train.group import Group
from calotype.train.loop import Run, _Job
from calotype.train.schedule import Schedule
from tests.train.toys import ThumbnailTraining
torch.set_num_threads(1)
group = Group("cpu")
images = torch.randint(256, (5, 3, 80, 80), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
out = Path(sys.argv[1])
run = Run("any", images, out, Schedule(600.0, batch=int(sys.argv[2]), crop=64, late_crop=64))
job = _Job(run, ThumbnailTraining(), "any", group)
gradients = []
for step in range(4):
    job.step(*job._draw(images), 1e-3, 0.1)
    gradients.append(job.model.pixels.grad.clone())
if group.leads:
    torch.save((gradients[0], job.model.pixels.detach()), out / "result.pt")
group.close()
"""


def train_in_processes(out: Path, batch: int, processes: int) -> Any:
    """Gradient of the first step, and parameters after four, of the leader."""
    out.mkdir()
    script = out / "script.py"
    script.write_text(SCRIPT)
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    command = [sys.executable, *launcher, str(script), str(out), str(batch)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return torch.load(out / "result.pt")


@pytest.mark.slow
def test_two_processes_train_as_one_with_twice_the_batch(tmp_path: Path) -> None:
    alone, together = (train_in_processes(tmp_path / str(n), 4 // n, n) for n in (1, 2))
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)
    half, _ = train_in_processes(tmp_path / "half", 2, 1)
    assert float((half - alone[0]).norm() / alone[0].norm()) > 0.1  # so that this is no matter of course
