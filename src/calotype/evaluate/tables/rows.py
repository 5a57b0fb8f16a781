"""What a bench finds: one row per image and operating point, one per timing. Parquet on disk.

PyArrow comes with the extra `bench`. Tables of earlier versions are read: columns that have a default may be absent,
and those that were renamed are known by their former names too.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ...errors import CalotypeError
from ...io import written_aside


@dataclass(frozen=True)
class Row:
    """One image, one codec, one operating point. What was not measured is None."""

    set: str
    """Name of the folder that the image came from."""
    image: str
    """Name of the image file without its ending."""
    codec: str
    title: str
    kind: str
    """lossy, lossless or near-lossless."""
    own: bool
    """Whether it is Calotype's."""
    ending: str
    """Ending of its files, with the dot."""
    version: str
    """Version of the library that did the work."""
    digest: str | None
    """Digest of the weights, hexadecimal; None of codecs without."""
    quality: float
    """Quality as the codec understands it; of near-lossless codecs the largest error allowed, of lossless ones 0."""
    device: str
    threads: int
    """Threads that one coding used."""
    jobs: int
    """Codings at the same time, which slow each other down: clocks of other runs do not compare."""
    processor: str
    width: int | None = None
    """Width in pixels; None of an image that could not be read."""
    height: int | None = None
    channels: int = 3
    """Channels, alpha among them."""
    depth: int = 8
    """Bits per sample."""
    views: int = 1
    """Views of the image, all dimensions of them together."""
    image_hash: str | None = None
    """First 16 hexadecimal digits of SHA-256 over its samples, see `measure.images`."""
    bytes: int | None = None
    """Size of the whole file."""
    encode_seconds: float | None = None
    decode_seconds: float | None = None
    encode_peak_bytes: int | None = None
    """Peak resident memory of the process that did it, interpreter and libraries included."""
    decode_peak_bytes: int | None = None
    ideal_bits: float | None = None
    """Size of the file by the bit counter; Calotype only."""
    frame_bytes: int | None = None
    """Header, checksums and lengths: all of the file but the bodies of its chunks; Calotype only."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Metrics by name, see `measure.metrics`; a column each."""
    error: str | None = None
    """Why there are no figures."""
    applicable: bool = True
    """False where the codec does not take such images, as `error` says; no failure then."""

    @property
    def pixels(self) -> int:
        """Pixels of all views. Raises `CalotypeError` where the image could not be read."""
        if self.width is None or self.height is None:
            raise CalotypeError(f"{self.image}: {self.error}")
        return self.width * self.height * self.views

    @property
    def bpp(self) -> float:
        """Bits of the whole file per pixel. Raises `CalotypeError` where there is none."""
        if self.bytes is None:
            raise CalotypeError(f"{self.codec} failed on {self.image}: {self.error}")
        return 8 * self.bytes / self.pixels

    @property
    def bpsp(self) -> float:
        """Bits of the whole file per sample (sub-pixel), over all channels and views; raises as `bpp`."""
        return self.bpp / self.channels


@dataclass(frozen=True)
class Timing:
    """One coding and decoding while nothing else ran, in turn with the other codecs."""

    set: str
    image: str
    codec: str
    title: str
    kind: str
    own: bool
    version: str
    digest: str | None
    quality: float
    processor: str
    cores: int
    """Cores that the process could use, and threads it was asked to use."""
    round: int
    megapixels: float
    bytes: int
    start_seconds: float
    """Seconds from the start of the process until it had coded and decoded 64x64 pixels: libraries and weights."""
    encode_seconds: float
    decode_seconds: float
    encode_peak_bytes: int
    decode_peak_bytes: int


Record = TypeVar("Record", bound=Row | Timing)

_METRIC = "metric."  # begins the names of the columns that hold metrics
_FORMER = {"picture": "image", "picture_hash": "image_hash"}  # names of columns, once and now


def write_table(path: Path, records: Iterable[Record], kind: type[Record]) -> None:
    """Write records as a Parquet file, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = [_flatten(record) for record in records]
    names = sorted({name for record in flat for name in record if name.startswith(_METRIC)})
    columns = [*_columns(kind).items(), *((name, pa.float64()) for name in names)]
    with written_aside(path) as file:
        pq.write_table(pa.Table.from_pylist(flat, schema=pa.schema(columns)), file, compression="zstd")


def read_table(path: Path, kind: type[Record]) -> list[Record]:
    """The records of a Parquet file that `write_table` wrote. Raises `CalotypeError` if it is not one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise CalotypeError(f"{path} is not a Parquet file ({error}); delete it to begin anew") from None
    table = table.rename_columns([_FORMER.get(name, name) for name in table.column_names])
    found = {name for name in table.column_names if not name.startswith(_METRIC)}
    if not _required(kind) <= found <= _columns(kind).keys():
        raise CalotypeError(f"{path} has other columns than this version writes; delete it to begin anew")
    return [_restore(entry, kind) for entry in table.to_pylist()]


def _columns(kind: type[Any]) -> dict[str, Any]:
    import pyarrow as pa

    arrow = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    hints = typing.get_type_hints(kind)
    return {name: arrow[_plain(hints[name])] for name in _names(kind) if name != "metrics"}


def _required(kind: type[Any]) -> set[str]:
    """Names of the columns that no table may lack."""
    without = (dataclasses.MISSING, dataclasses.MISSING)
    return {part.name for part in dataclasses.fields(kind) if (part.default, part.default_factory) == without}


def _plain(hint: Any) -> type:
    """`int` of `int | None`."""
    parts = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    (plain,) = (part for part in parts if part is not types.NoneType)
    return plain  # type: ignore[no-any-return]


def _names(kind: type[Any]) -> list[str]:
    return [part.name for part in dataclasses.fields(kind)]


def _flatten(record: Row | Timing) -> dict[str, Any]:
    entry = {name: getattr(record, name) for name in _names(type(record))}
    return entry | {_METRIC + name: value for name, value in entry.pop("metrics", {}).items()}


def _restore(entry: dict[str, Any], kind: type[Record]) -> Record:
    found = {name: value for name, value in entry.items() if not name.startswith(_METRIC)}
    if kind is Row:
        metrics = {name.removeprefix(_METRIC): value for name, value in entry.items() if name.startswith(_METRIC)}
        found["metrics"] = {name: value for name, value in metrics.items() if value is not None}
    return kind(**found)
