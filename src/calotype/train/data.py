"""Training images: tiles held as bytes in memory, crops cut on the device."""

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
from torch.nn import functional as F

from ..errors import CalotypeError

TILE = 512  # pixels, both ways: the size of the training archives' tiles
HOLD_OUT = 24  # one tile in so many validates instead of training
SUFFIXES = {".avif", ".webp", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"}


def _files(path: Path) -> Iterator[bytes]:
    """Bytes of the image files in a folder, a tar archive, or a folder of those."""
    if path.is_dir():
        for entry in sorted(path.iterdir()):
            yield from _files(entry)
    elif path.suffix == ".tar":
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and Path(member.name).suffix.lower() in SUFFIXES:
                    stream = archive.extractfile(member)
                    assert stream is not None
                    yield stream.read()
    elif path.suffix.lower() in SUFFIXES:
        yield path.read_bytes()


def _pixels(data: bytes) -> npt.NDArray[np.uint8]:
    """(3, h, w)."""
    with PIL.Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def _tiles(data: bytes) -> list[npt.NDArray[np.uint8]]:
    """Cut an image into (3, TILE, TILE) pieces; what is left over at the right and the bottom is unused."""
    pixels = _pixels(data)
    rows, columns = pixels.shape[1] // TILE, pixels.shape[2] // TILE
    return [
        pixels[:, y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE] for y in range(rows) for x in range(columns)
    ]


def load_tiles(paths: list[Path]) -> tuple[Tensor, Tensor]:
    """Decode everything below `paths`: training and validation tiles, each uint8 (n, 3, TILE, TILE).

    Raises `CalotypeError` if a path is missing or too little is found.
    """
    files = _found(paths)
    with ThreadPoolExecutor() as pool:
        tiles = [tile for cut in pool.map(_tiles, files) for tile in cut]
    if len(tiles) < 2:
        raise CalotypeError(f"found {len(tiles)} tiles of {TILE}x{TILE} pixels in {len(files)} images; 2 are needed")
    everything = torch.from_numpy(np.stack(tiles))
    held_out = torch.arange(len(tiles)) % HOLD_OUT == 0
    return everything[~held_out], everything[held_out]


def load_whole(paths: list[Path]) -> Tensor:
    """Decode everything below `paths`, not cut: uint8 (n, 3, h, w).

    Raises `CalotypeError` if a path is missing, nothing is found, or sizes differ.
    """
    images = [_pixels(data) for data in _found(paths)]
    if len(sizes := {image.shape for image in images}) != 1:
        raise CalotypeError(
            f"found images of {len(sizes)} sizes; a fit to whole images needs one, or those of one size"
        )
    return torch.from_numpy(np.stack(images))


def _found(paths: list[Path]) -> list[bytes]:
    """Bytes of all image files below `paths`. Raises `CalotypeError` if a path is missing."""
    for path in paths:
        if not path.exists():
            raise CalotypeError(f"{path} does not exist; give a folder or tar archive of images")
    return [data for path in paths for data in _files(path)]


def draw_side(size: int, largest: int, smallest: float, generator: torch.Generator) -> int:
    """Side of what is cut for crops of `size` pixels: as large half of the time, else up to `size / smallest`.

    It is at most `largest`. Shrunk to `size` again (`shrink`), an image shows finer detail: one that was taken from
    farther away.
    """
    chance, place = torch.rand(2, generator=generator).tolist()
    end = min(largest, size / smallest)
    return size if chance < 0.5 else round(size + (end - size) * place)


def draw_places(count: int, tiles: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Where to cut crops of `size` pixels from tiles (n, 3, h, w).

    (count, 6) integers: tile, y, x, and three flips (rows, columns, both swapped). Randomness comes from a CPU
    generator, so that a run repeats on any device.
    """
    number, _, height, width = tiles.shape
    highs = (number, height - size + 1, width - size + 1, 2, 2, 2)
    return torch.stack([torch.randint(high, (count,), generator=generator) for high in highs], dim=1)


def cut_crops(tiles: Tensor, places: Tensor, size: int) -> Tensor:
    """Crops of `draw_places`: float (count, 3, size, size) in [0, 1] on the tiles' device, in channels-last order.

    One gather for all of them: three flips make the eight ways to lay a square.
    """
    tile, y, x, *flips = places.to(tiles.device, non_blocking=True)[:, :, None, None].unbind(1)
    line = torch.arange(size, device=tiles.device)
    rows, columns = line[None, :, None], line[None, None, :]
    swapped = flips[2].bool()
    rows, columns = torch.where(swapped, columns, rows), torch.where(swapped, rows, columns)
    rows = y + torch.where(flips[0].bool(), size - 1 - rows, rows)
    columns = x + torch.where(flips[1].bool(), size - 1 - columns, columns)
    crops = tiles.permute(0, 2, 3, 1)[tile, rows, columns]  # (count, size, size, 3), which is channels-last already
    return crops.float().div_(255).permute(0, 3, 1, 2)


def shrink(crops: Tensor, size: int) -> Tensor:
    """Resample crops (b, 3, h, h) in [0, 1] to (b, 3, size, size), channels last: bicubic, without aliasing."""
    if crops.shape[-1] == size:
        return crops
    small = F.interpolate(crops, (size, size), mode="bicubic", antialias=True, align_corners=False).clamp_(0, 1)
    return small.contiguous(memory_format=torch.channels_last)
