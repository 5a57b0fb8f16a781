"""CRC-32C, the checksum of the container (Castagnoli 1993; the polynomial of iSCSI, ext4 and PNG's successors)."""

from __future__ import annotations

from typing_extensions import Buffer

from ._kernel import ffi, lib

lib.calo_crc32c_prepare()


def crc32c(data: Buffer, crc: int = 0) -> int:
    """Return the CRC-32C of the bytes of `data`, any C-contiguous buffer; `crc` is that of the bytes before.

    Examples
    --------
    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    size = memoryview(data).nbytes
    return lib.calo_crc32c(crc, ffi.from_buffer("uint8_t[]", data), size) if size else crc
