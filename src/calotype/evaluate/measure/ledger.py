"""What a bench has measured so far: rows by key, kept on disk, so that a run that was cut goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..tables.rows import Row, read_table, write_table

SAVE_EVERY = 10.0  # seconds between two savings: what a power cut may cost

Identity = tuple[str, str | None]  # version of the library, digest of the weights


class Key(NamedTuple):
    """What tells rows apart."""

    codec: str
    set: str
    image: str
    quality: float


class Ledger:
    """Rows by key, saved now and then and at the end, however it comes.

    Those of subjects that are now another version, or have other weights, do not go with new ones and are left out.
    """

    def __init__(self, path: Path, order: Sequence[Key], identities: Mapping[str, Collection[Identity]]):
        self.path, self._order, self._lock = path, order, threading.Lock()
        rows = read_table(path, Row) if path.is_file() else []
        now = [r for r in rows if r.codec not in identities or (r.version, r.digest) in identities[r.codec]]
        self._rows = {self._key(row): row for row in now}
        self._saved = time.monotonic()

    def get(self, key: Key) -> Row | None:
        return self._rows.get(key)

    def put(self, row: Row) -> None:
        with self._lock:
            self._rows[self._key(row)] = row
            if time.monotonic() - self._saved > SAVE_EVERY:
                self._save()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self._save()

    @staticmethod
    def _key(row: Row) -> Key:
        return Key(row.codec, row.set, row.image, row.quality)

    def _save(self) -> None:
        """The rows asked for now in their order, then those of earlier benches."""
        keys = dict.fromkeys([*self._order, *self._rows])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_table(self.path, [self._rows[key] for key in keys if key in self._rows], Row)
        self._saved = time.monotonic()
