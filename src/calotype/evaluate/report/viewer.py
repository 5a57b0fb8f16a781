"""The viewer of the HTML page: the images themselves, in files that browsers can show.

The page names the files and does not hold them: a set at all its qualities is hundreds of megabytes. Coded files that
browsers know are shown as they are; beside each other one comes a lossless WebP of what it decodes to.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image as Pillow

from ...errors import CalotypeError
from ...image import Image
from ...io import read_image, write_bytes
from ...parallel import cores, in_order
from ..measure.images import to_rgb
from ..measure.subjects import decode_kept
from ..tables.folder import Bench
from ..tables.rows import Row
from . import markup
from .vote import PAGE

SHOWN_BY_BROWSERS = {".jpg", ".webp", ".avif", ".png"}

Say = Callable[[str], None]
Advance = Callable[[int, int], None]


def shown_images(bench: Bench, folder: Path, limit: int | None, report: Say, advance: Advance) -> list[dict[str, Any]]:
    """The images whose files were kept: of each the original, and each lossy codec at all that it was run at.

    Parameters
    ----------
    folder
        Where the page lies; it names the files from there.
    """
    found = [rows for rows in _rows_by_image(bench, limit) if bench.original(rows[0]).is_file()]
    images = []
    for done, rows in enumerate(found):
        first = rows[0]
        advance(done, len(found))
        original = _beside(bench.original(first), read_image)
        shown = [{"codec": "original", "title": "Original", "quality": None, "file": _address(original, folder)}]
        shown += filter(None, in_order(partial(_shown, bench, folder, report), rows, cores()))
        images.append(
            {"set": first.set, "name": first.image, "width": first.width, "height": first.height, "shown": shown}
        )
    advance(len(found), len(found))
    return images


def _rows_by_image(bench: Bench, limit: int | None) -> list[list[Row]]:
    """Of each image that has any, the rows of lossy codecs: by codec, the smallest file first."""
    found = []
    for measured in bench.sets.values():
        lossy = [series for series in measured.series.values() if series.kind == "lossy"]
        for name in measured.images[:limit]:
            by_codec = ([row for row in series.rows if row.image == name] for series in lossy)
            found.append([row for rows in by_codec for row in sorted(rows, key=lambda row: row.bpp)])
    return [rows for rows in found if rows]


def _shown(bench: Bench, folder: Path, report: Say, row: Row) -> dict[str, Any] | None:
    """One entry, or none if the file cannot be shown."""
    path = bench.file(row)
    try:
        path.stat()
        if row.ending not in SHOWN_BY_BROWSERS:
            path = _beside(path, lambda path: decode_kept(row.codec, path.read_bytes()))
    except (OSError, ImportError, CalotypeError) as error:
        report(f"not shown: {row.codec} of {row.set}/{row.image}: {error}")
        return None
    psnr = row.metrics.get("psnr")
    return {
        "codec": row.codec,
        "title": row.title,
        "quality": row.quality,
        "bytes": row.bytes,
        "bpp": row.bpp,
        "psnr": psnr if psnr is not None and math.isfinite(psnr) else None,
        "file": _address(path, folder),
    }


def _beside(path: Path, decode: Callable[[Path], Image]) -> Path:
    """The colours of an image with 8 bits as a lossless WebP beside its file; one from before is kept."""
    webp = path.with_name(f"{path.name}.webp")
    if not webp.is_file() or webp.stat().st_mtime_ns < path.stat().st_mtime_ns:
        file = io.BytesIO()
        Pillow.fromarray(to_rgb(decode(path)).pixels).save(file, "WEBP", lossless=True, quality=30, method=1)
        write_bytes(webp, file.getvalue())
    return webp


def _address(path: Path, folder: Path) -> str:
    """The URL of a file from a folder."""
    return quote(os.fsencode(os.path.relpath(path, folder)))


def viewer(shown: Sequence[Mapping[str, Any]], votes: bool) -> str:
    """The section, with a link to the page for votes if there is one."""
    if not shown:
        return markup.section(
            "viewer", "Side by side", "<p>No images: the coded files were not kept, or not asked for.</p>"
        )
    link = f'<p><a href="{PAGE}">Vote</a>: which of two pictures of equal bytes looks more like the original?</p>'
    return markup.section("viewer", "Side by side", markup.asset("viewer.html") + (link if votes else ""))
