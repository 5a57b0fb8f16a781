"""What tests in a browser share."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait(done: Callable[[], object], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "the page did not follow"
        time.sleep(0.05)
