"""The bytes of an `l3c` payload: docs/format/l3c.md.

One chunk with one record per tile and part, tiles row by row. The parts are the colours or grey, then alpha.
"""

from __future__ import annotations

from ...tiled import TiledChunk

TILES = TiledChunk("L", largest_side=1024)
