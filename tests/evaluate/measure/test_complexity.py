"""Multiplications are those of the stored graphs, run as often as coding runs them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("pyarrow")

import onnx

from calotype.codec import Host
from calotype.codecs.fit.architecture import PRESETS, Architecture
from calotype.codecs.vae.codec import VAECodec
from calotype.evaluate.measure.complexity import complexity, known
from calotype.evaluate.measure.images import find_images
from calotype.evaluate.measure.metrics import find_metrics
from calotype.evaluate.measure.run import bench
from calotype.evaluate.measure.subjects import Own
from calotype.evaluate.rivals import Rung, find_rivals
from calotype.image import Image
from calotype.options import DecodeOptions, EncodeOptions
from calotype.runtime.onnx import load_onnxruntime
from calotype.runtime.weights import Weights
from tests.codecs.fit import specimen

Texture = Callable[..., npt.NDArray[np.uint8]]
GOLDEN = Path(__file__).parents[2] / "golden/vae/golden.calow"


class _Counting:
    """A network on ONNX Runtime that shows what all its convolutions give, and adds up their multiplications."""

    total = 0

    def __init__(self, data: bytes, threads: int) -> None:
        model = onnx.load_from_string(data)
        self._outputs = [output.name for output in model.graph.output]
        self._layers = {node.output[0]: node for node in model.graph.node if node.op_type == "Conv"}
        self._weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in self._layers.keys() - {*self._outputs})
        self._session: Any = load_onnxruntime().InferenceSession(model.SerializeToString())

    def __call__(self, **inputs: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        names = [output.name for output in self._session.get_outputs()]
        found = dict(zip(names, self._session.run(names, inputs), strict=True))
        for name, node in self._layers.items():
            _, *each = self._weights[node.input[1]]  # inputs of a group, height, width
            _Counting.total += found[name].size * math.prod(each)
        return [found[name] for name in self._outputs]


def test_multiplications_and_parameters_are_those_of_the_graphs(texture: Texture) -> None:
    image, subject, weights = Image.from_array(texture(64, 100, 3)), Own(str(GOLDEN)), Weights.open(GOLDEN)
    found = complexity(subject, image, Rung(50.0), subject.encode(image, Rung(50.0), 1))
    codec = VAECodec(Host(weights, _Counting))
    _Counting.total = 0
    payload = codec.encode(image, EncodeOptions(50.0, threads=1))
    encoding = _Counting.total
    codec.decode(payload, DecodeOptions(threads=1))
    assert found.encode_macs == encoding / 6400
    assert found.decode_macs == (_Counting.total - encoding) / 6400
    assert 0 < found.decode_macs < found.encode_macs
    graphs = (onnx.load_from_string(weights.network(name)).graph for name in weights.networks)
    assert found.parameters == sum(math.prod(tensor.dims) for graph in graphs for tensor in graph.initializer)


def test_networks_in_files_are_those_of_the_files(texture: Texture, monkeypatch: pytest.MonkeyPatch) -> None:
    specimen.hasten(monkeypatch)
    image, subject, rung = Image.from_array(texture(40, 50, 3)), Own("fit.photo@1"), Rung(30.0)
    found = complexity(subject, image, rung, subject.encode(image, rung, 1))
    presets = {Architecture.of(preset, 40, 50, 3) for preset in PRESETS}
    assert (found.parameters, found.decode_macs) in {(each.parameters, each.macs) for each in presets}
    assert found.encode_macs is None
    assert subject.ideal_bits(image, rung, 1) is None  # which would be to fit once more


def test_what_is_known_of_models(texture: Texture, small_set: Path, tmp_path: Path) -> None:
    """Of others' codecs nothing; of weights that hold no networks it is said."""
    images, said = find_images([small_set / "a.png"]), list[str]()
    golden, plain = Own(str(GOLDEN), (20.0, 80.0)), Own("deflate.coarse", (50.0,))
    subjects = [golden, plain, *find_rivals(["png"])]
    rows = bench(images, subjects, tmp_path, metrics=find_metrics(["psnr"]))
    assert not [row.error for row in rows if row.error]
    found = known(subjects, images, rows, tmp_path, said.append)
    assert [*found] == [golden.name, plain.name]
    assert found[golden.name].model == "vae.golden"
    assert found[golden.name].training == {}
    image = images[0].image
    chosen = min((row for row in rows if row.codec == golden.name), key=lambda row: abs(math.log(row.bpp / 0.5)))
    assert found[golden.name].complexity == complexity(
        golden, image, Rung(chosen.quality), golden.encode(image, Rung(chosen.quality), 1)
    )
    assert found[plain.name].complexity is None
    assert [line.startswith("not counted: networks of deflate.coarse: ") for line in said] == [True]
