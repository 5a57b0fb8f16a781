"""CRC-32C, the checksum of the container (Castagnoli's polynomial, as in iSCSI and ext4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._kernel import ffi, lib

lib.calo_crc32c_prepare()


def crc32c(data: bytes | bytearray | memoryview | npt.NDArray[Any], crc: int = 0) -> int:
    """Return the CRC-32C of the bytes of `data`, any C-contiguous buffer; `crc` is that of the bytes before.

    Examples
    --------
    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    size = data.nbytes if isinstance(data, np.ndarray | memoryview) else len(data)
    return lib.calo_crc32c(crc, ffi.from_buffer("uint8_t[]", data), size) if size else crc
