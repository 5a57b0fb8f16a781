"""ONNX Runtime: the engine of every install."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import CorruptFile


def load_onnxruntime() -> Any:
    """ONNX Runtime, imported with its telemetry off: from 1.29 on it would write a device id into the home folder."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # looked at when it is imported
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime


class OnnxNetwork:
    """One network on ONNX Runtime's processor backend. Raises `CorruptFile` if it cannot be one."""

    def __init__(self, data: bytes, threads: int = 0) -> None:
        onnxruntime = load_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # idle threads of one network must not take time from the next one
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        processor = {"providers": ["CPUExecutionProvider"], "enable_fallback": 0}  # which is tried twice, with prints
        try:
            self._session: Any = onnxruntime.InferenceSession(data, options, **processor)
        except Exception as error:  # there is no common base of what it raises
            _check_memory(error)
            raise CorruptFile(f"a network of the model's weights cannot be opened: {error}") from None

    def __call__(self, **inputs: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """Named inputs of shape (1, c, h, w) -> outputs in their exported order."""
        try:
            return self._session.run(None, inputs)  # type: ignore[no-any-return]
        except Exception as error:
            _check_memory(error)
            raise


def _check_memory(error: Exception) -> None:
    """Raise `MemoryError` if that is what ONNX Runtime means."""
    if "allocate memory" in str(error) or "bad allocation" in str(error):
        raise MemoryError(str(error)) from None
