"""The viewer of the HTML page: the images themselves, as browsers can show them.

Files that browsers know go in as they are, all others as lossless WebP of what they decode to.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from ...errors import CalotypeError
from ...image import Image
from ...io import read_image
from ..measure.images import to_rgb
from ..measure.subjects import decode_kept
from ..tables.folder import Bench
from ..tables.rows import Row
from . import markup

SHOWN_BY_BROWSERS = {".jpg": "image/jpeg", ".webp": "image/webp", ".avif": "image/avif", ".png": "image/png"}
NEAR = 1.25  # the viewer shows a codec only where its rate is within this factor of the one asked for

Say = Callable[[str], None]


def shown_images(bench: Bench, at: Sequence[float], limit: int | None, report: Say) -> Iterator[dict[str, Any]]:
    """The images whose files were kept: of each the original, and each lossy codec at each rate."""
    for measured in bench.sets.values():
        for name in measured.images[:limit]:
            rows = {
                series.codec: [row for row in series.rows if row.image == name] for series in measured.of_kind("lossy")
            }
            first = next((row for of_codec in rows.values() for row in of_codec), None)
            if first is None or not bench.original(first).is_file():
                continue
            shown = [_original(bench.original(first))]
            for rate in at:
                for series in measured.of_kind("lossy"):
                    if rows[series.codec]:
                        row = series.nearest_row(rate, name)
                        shown += _shown(bench.file(row), row, rate, report)
            yield {
                "set": measured.name, "name": name, "width": first.width, "height": first.height, "rates": list(at),
                "shown": shown,
            }  # fmt: skip


def _original(path: Path) -> dict[str, Any]:
    return {"codec": "original", "title": "Original", "at": None, **_lossless_webp(read_image(path))}


def _shown(path: Path, row: Row, rate: float, report: Say) -> list[dict[str, Any]]:
    """One entry, or none if the rate is too far off or the file cannot be shown."""
    if not 1 / NEAR <= row.bpp / rate <= NEAR:
        return []
    try:
        data = path.read_bytes()
        if row.ending in SHOWN_BY_BROWSERS:
            content = {"type": SHOWN_BY_BROWSERS[row.ending], "data": base64.b64encode(data).decode()}
        else:
            content = _lossless_webp(decode_kept(row.codec, data))
    except (OSError, ImportError, CalotypeError) as error:
        report(f"not shown: {row.codec} of {row.set}/{row.image}: {error}")
        return []
    psnr = row.metrics.get("psnr")
    return [
        {
            "codec": row.codec,
            "title": row.title,
            "at": rate,
            "quality": row.quality,
            "bytes": row.bytes,
            "bpp": row.bpp,
            "psnr": psnr if psnr is not None and math.isfinite(psnr) else None,
            **content,
        }
    ]


def _lossless_webp(image: Image) -> dict[str, str]:
    """The colours of an image with 8 bits, for a browser."""
    file = io.BytesIO()
    Pillow.fromarray(to_rgb(image).pixels).save(file, "WEBP", lossless=True, quality=30, method=1)
    return {"type": "image/webp", "data": base64.b64encode(file.getvalue()).decode()}


def viewer(shown: Sequence[Mapping[str, Any]]) -> str:
    if not shown:
        return markup.section(
            "viewer", "Side by side", "<p>No images: the coded files were not kept, or not asked for.</p>"
        )
    return markup.section("viewer", "Side by side", markup.asset("viewer.html"))
