"""Training pictures: tiles held as bytes in memory, crops cut on the device."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image
import torch
from torch import Tensor

from ..errors import CalotypeError

TILE = 512  # pixels, both ways: the size of the training archives' tiles
HOLD_OUT = 48  # one tile in so many validates instead of training
SUFFIXES = {".avif", ".webp", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"}


def _pictures(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the pictures in a folder, a tar archive, or a folder of those."""
    if path.is_dir():
        for entry in sorted(path.iterdir()):
            yield from _pictures(entry)
    elif path.suffix == ".tar":
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and Path(member.name).suffix.lower() in SUFFIXES:
                    stream = archive.extractfile(member)
                    assert stream is not None
                    yield member.name, stream.read()
    elif path.suffix.lower() in SUFFIXES:
        yield path.name, path.read_bytes()


def _tiles(data: bytes) -> list[npt.NDArray[np.uint8]]:
    """Cut a picture into (3, TILE, TILE) pieces; what is left over at the right and the bottom is unused."""
    with PIL.Image.open(io.BytesIO(data)) as picture:
        pixels = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    rows, columns = pixels.shape[1] // TILE, pixels.shape[2] // TILE
    return [
        pixels[:, y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE] for y in range(rows) for x in range(columns)
    ]


def load_tiles(paths: list[Path], limit: int | None = None) -> tuple[Tensor, Tensor]:
    """Decode everything below `paths`: training and validation tiles, each uint8 (n, 3, TILE, TILE).

    Raises `CalotypeError` if a path is missing or too little is found.
    """
    for path in paths:
        if not path.exists():
            raise CalotypeError(f"{path} does not exist; give a folder or tar archive of pictures")
    pictures = [data for path in paths for _, data in _pictures(path)][:limit]
    with ThreadPoolExecutor() as pool:
        tiles = [tile for cut in pool.map(_tiles, pictures) for tile in cut]
    if len(tiles) < 2:
        raise CalotypeError(
            f"found {len(tiles)} tiles of {TILE}x{TILE} pixels in {len(pictures)} pictures; 2 are needed"
        )
    everything = torch.from_numpy(np.stack(tiles))
    held_out = torch.arange(len(tiles)) % HOLD_OUT == 0
    return everything[~held_out], everything[held_out]


def random_crops(tiles: Tensor, count: int, size: int, generator: torch.Generator) -> Tensor:
    """Random crops with random flips and quarter turns: float (count, 3, size, size) in [0, 1] on the tiles' device.

    Randomness comes from a CPU generator, so that a run repeats on any device.
    """

    def draw(high: int) -> list[int]:
        return torch.randint(high, (count,), generator=generator).tolist()

    crops = []
    places = zip(draw(len(tiles)), draw(TILE - size + 1), draw(TILE - size + 1), draw(4), draw(2), strict=True)
    for tile, y, x, turns, flip in places:
        crop = tiles[tile, :, y : y + size, x : x + size].rot90(turns, (1, 2))
        crops.append(crop.flip(2) if flip else crop)
    return torch.stack(crops).float().div_(255).contiguous(memory_format=torch.channels_last)
