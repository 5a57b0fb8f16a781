"""How large a model's networks are and what they compute, counted from what is stored, while they run.

PyTorch, the second engine, counts: every convolution that coding and decoding of an image run, as often as they run it,
borders and padding included. Sizes are those of the graphs in the weights file. Needs PyTorch and onnx (extra `gpu`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ...errors import CalotypeError
from ...image import Image
from ...runtime.weights import Weights
from ..rivals import Rival, Rung
from ..tables.folder import file_of
from ..tables.rows import Row
from ..tables.series import series
from ..tables.survey import CLOCKED, Complexity, Known
from .images import ImageFile
from .subjects import Own


def known(
    subjects: Iterable[Rival],
    images: Iterable[ImageFile],
    rows: Sequence[Row],
    folder: Path,
    complain: Callable[[str], None] = lambda line: None,
) -> dict[str, Known]:
    """What a survey says of models besides their rows, by codec.

    Networks are counted at the first image that a model coded, at the point that stands for all (`Entry.clocked`).

    Parameters
    ----------
    folder
        That of the bench, which holds the coded files.
    complain
        Gets a line about a model whose networks cannot be counted.
    """
    files = {(image.set, image.name): image for image in images}
    found = {}
    for subject in subjects:
        if not isinstance(subject, Own):
            continue
        counted, measured = None, series([row for row in rows if row.codec == subject.name])
        if measured.points:
            number = measured.nearest(CLOCKED).quality
            row = next(row for row in measured.rows if row.quality == number)
            rung = next(rung for rung in subject.ladder if rung.number == number)
            data = file_of(folder, row).read_bytes()
            try:
                counted = complexity(subject, files[row.set, row.image].image, rung, data)
            except CalotypeError as error:
                complain(f"not counted: networks of {subject.name}: {error}")
        card = subject.model.card
        found[subject.name] = Known(card.name, counted, card.card.get("training", {}))
    return found


def complexity(subject: Own, image: Image, rung: Rung, data: bytes) -> Complexity:
    """Of a model, for an image and the file that it made of it at that rung.

    A codec that puts networks into its files (`codec.Carrying`) tells of those in this one. What it computes to find
    them is not counted.
    """
    carried = subject.model.carried(data)
    if carried is not None:
        return Complexity(carried.parameters, None, carried.macs / image.pixels[..., 0].size)
    counted = replace(subject, device="cpu")
    encode = _count(lambda: counted.encode(image, rung, 1))
    decode = _count(lambda: counted.decode(data, 1))
    pixels = image.pixels[..., 0].size
    return Complexity(_parameters(subject), encode / pixels, decode / pixels)


def _parameters(subject: Own) -> int:
    """Numbers in the networks of its weights file."""
    import onnx

    path = subject.model.card.weights
    if path is None:
        return 0
    weights = Weights.open(path)
    graphs = (onnx.load_from_string(weights.network(name)).graph for name in weights.networks)
    return sum(math.prod(tensor.dims) for graph in graphs for tensor in graph.initializer)


def _count(work: Callable[[], object]) -> int:
    """Multiplications with an addition in convolutions and matrix products."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops()) // 2
