"""Smaller training tiles: `python tools/halve_tiles.py OUT.tar IN.tar ... [--by N] [--every N]`.

For lossless codecs halves, as the box filter removes what the tiles' own compression left; for thumbnails, by 8. What
is shrunk is mirrored to the right and downwards, as often as it takes, so that tiles keep their size of 512 pixels and
have no seams.
"""

import argparse
import io
import tarfile
from pathlib import Path

import numpy as np
import PIL.Image


def shrunk(data: bytes, by: int) -> bytes:
    """An image file -> PNG of it, shrunk and mirrored to its size."""
    with PIL.Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image.convert("RGB").reduce(by))
        height, width = image.height - pixels.shape[0], image.width - pixels.shape[1]
    pixels = np.pad(pixels, ((0, height), (0, width), (0, 0)), "symmetric")
    out = io.BytesIO()
    PIL.Image.fromarray(pixels).save(out, "png", compress_level=1)
    return out.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("archives", type=Path, nargs="+")
    parser.add_argument("--by", type=int, default=2, help="how many times smaller")
    parser.add_argument("--every", type=int, default=1, help="take one tile of so many")
    arguments = parser.parse_args()
    with tarfile.open(arguments.out, "w") as out:
        for path in arguments.archives:
            with tarfile.open(path) as archive:
                members = [member for member in archive if member.isfile()]
                for member in members[:: arguments.every]:
                    stream = archive.extractfile(member)
                    assert stream is not None
                    data = shrunk(stream.read(), arguments.by)
                    entry = tarfile.TarInfo(f"{Path(member.name).stem}.png")
                    entry.size = len(data)
                    out.addfile(entry, io.BytesIO(data))


if __name__ == "__main__":
    main()
