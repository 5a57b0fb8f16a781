"""ONNX Runtime: the engine of every install."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt


def load_onnxruntime() -> Any:
    """ONNX Runtime, imported with its telemetry off: from 1.29 on it would write a device id into the home folder."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # looked at when it is imported
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime


class OnnxNetwork:
    """One network on ONNX Runtime's processor backend."""

    def __init__(self, data: bytes, threads: int = 0) -> None:
        onnxruntime = load_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # idle threads of one network must not take time from the next one
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: Any = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def __call__(self, **inputs: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """Named inputs of shape (1, c, h, w) -> outputs in their exported order."""
        return self._session.run(None, inputs)  # type: ignore[no-any-return]
