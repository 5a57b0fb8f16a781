"""Training tiles for lossless codecs from lossy ones: `python tools/halve_tiles.py OUT.tar IN.tar ... [--every N]`.

Halving with a box filter removes what the tiles' own compression left. The halves are mirrored to the right and
downwards, so that they keep their size of 512 pixels and have no seams.
"""

import argparse
import io
import tarfile
from pathlib import Path

import numpy as np
import PIL.Image


def halved(data: bytes) -> bytes:
    """An image file -> PNG of its half, mirrored to its size."""
    with PIL.Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image.convert("RGB").reduce(2))
    pixels = np.concatenate([pixels, pixels[:, ::-1]], 1)
    pixels = np.concatenate([pixels, pixels[::-1]])
    out = io.BytesIO()
    PIL.Image.fromarray(pixels).save(out, "png", compress_level=1)
    return out.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("archives", type=Path, nargs="+")
    parser.add_argument("--every", type=int, default=1, help="take one tile of so many")
    arguments = parser.parse_args()
    with tarfile.open(arguments.out, "w") as out:
        for path in arguments.archives:
            with tarfile.open(path) as archive:
                members = [member for member in archive if member.isfile()]
                for member in members[:: arguments.every]:
                    stream = archive.extractfile(member)
                    assert stream is not None
                    data = halved(stream.read())
                    entry = tarfile.TarInfo(f"{Path(member.name).stem}.png")
                    entry.size = len(data)
                    out.addfile(entry, io.BytesIO(data))


if __name__ == "__main__":
    main()
