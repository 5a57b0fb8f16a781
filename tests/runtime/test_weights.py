"""Weights files come from anywhere: what is not one is refused, and what is one can do arithmetic only."""

from __future__ import annotations

import io
import json
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from calotype import registry
from calotype.errors import CalotypeError, CorruptFile
from calotype.model import open_model
from calotype.runtime import weights as weights_module
from calotype.runtime.onnx import OnnxNetwork
from calotype.runtime.vetting import check_network
from calotype.runtime.weights import Weights, pack_weights

GOLDEN = Path(__file__).parents[1] / "golden"
ROUNDS = int(os.environ.get("CALOTYPE_FUZZ_WEIGHTS", "60"))
Parts = dict[str, bytes]


def parts_of(archive: bytes) -> Parts:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def pack(parts: Parts) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return stream.getvalue()


# --- networks ---------------------------------------------------------------------------------------------------------


def network(*nodes: onnx.NodeProto, **more: Any) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    return helper.make_model(helper.make_graph(list(nodes), "graph", ends[:1], ends[1:], **more))


def tensor(name: str = "w") -> onnx.TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, [1], [2.0])


def external() -> onnx.TensorProto:
    found = tensor()
    found.ClearField("float_data")
    found.data_location = TensorProto.EXTERNAL
    found.external_data.add(key="location", value="/etc/passwd")
    return found


def unmarked() -> onnx.TensorProto:
    """Says where its data lies, but not that it lies there."""
    found = external()
    found.ClearField("data_location")
    return found


def with_function() -> onnx.ModelProto:
    model = network(helper.make_node("Relu", ["x"], ["y"]))
    body = [helper.make_node("Relu", ["x"], ["y"])]
    model.functions.append(helper.make_function("", "Relu", ["x"], ["y"], body, [helper.make_opsetid("", 18)]))
    return model


BRANCH = helper.make_graph([], "branch", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])
REFUSED = {
    "a loop": network(helper.make_node("Loop", ["", "", "x"], ["y"], body=BRANCH)),
    "a branch": network(helper.make_node("If", ["x"], ["y"], then_branch=BRANCH, else_branch=BRANCH)),
    "a graph in an innocent operator": network(helper.make_node("Relu", ["x"], ["y"], body=BRANCH)),
    "an operator of others": network(helper.make_node("Relu", ["x"], ["y"], domain="evil.example")),
    "an operator that makes much of little": network(helper.make_node("Tile", ["x", "n"], ["y"])),
    "a function": with_function(),
    "weights in another file": network(helper.make_node("Add", ["x", "w"], ["y"]), initializer=[external()]),
    "weights that may lie there": network(helper.make_node("Add", ["x", "w"], ["y"]), initializer=[unmarked()]),
    "a constant in another file": network(helper.make_node("Constant", [], ["y"], value=external())),
    "sparse weights": network(
        helper.make_node("Add", ["x", "w"], ["y"]),
        sparse_initializer=[
            helper.make_sparse_tensor(tensor(), helper.make_tensor("i", TensorProto.INT64, [1], [0]), [3])
        ],
    ),
    "nothing": onnx.ModelProto(),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_network_is_arithmetic_only(what: str) -> None:
    with pytest.raises(CorruptFile, match="evil is not a network that is run"):
        check_network(REFUSED[what].SerializeToString(), "evil")


def test_ordinary_networks_pass() -> None:
    model = network(helper.make_node("Add", ["x", "w"], ["y"]), initializer=[tensor()])
    check_network(model.SerializeToString(), "plain")
    for path in sorted(GOLDEN.glob("*/*.calow")):
        weights = Weights.open(path)
        assert all(weights.network(name) for name in weights.networks)


def test_numbers_of_fields_are_not_taken_modulo_anything() -> None:
    """A field 5 (weights) of a graph whose key has a bit that no engine looks at."""
    data = network(helper.make_node("Relu", ["x"], ["y"])).graph.SerializeToString() + b"\xaa\x80\x80\x80\x10\x00"
    with pytest.raises(CorruptFile, match="too large"):
        check_network(b"\x3a" + bytes([len(data)]) + data, "odd")


def test_cut_networks_are_refused() -> None:
    data = network(helper.make_node("Add", ["x", "w"], ["y"]), initializer=[tensor()]).SerializeToString()
    refused = 0
    for size in range(len(data)):
        try:
            check_network(data[:size], "cut")
        except CorruptFile:
            refused += 1
    assert refused >= len(data) - 3  # it may end behind a whole field


def test_no_engine_sees_what_is_refused() -> None:
    weights = Weights(pack_weights({}, {"bad": REFUSED["a loop"].SerializeToString()}, {}), "evil.calow")
    with pytest.raises(CorruptFile, match=r"evil\.calow: bad is not a network"):
        weights.network("bad")


def test_what_the_engine_refuses_is_said_once(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CorruptFile, match="cannot be opened"):
        OnnxNetwork(network(helper.make_node("Add", ["x"], ["y"])).SerializeToString())
    assert capfd.readouterr() == ("", "")


# --- archives ---------------------------------------------------------------------------------------------------------


def read_all(data: bytes) -> None:
    weights = Weights(data, "w.calow")
    for read in (lambda: weights.recipe, lambda: weights.arrays):
        read()
    for name in weights.networks:
        weights.network(name)


@pytest.mark.parametrize(
    "meta",
    [b"", b"{", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"format": 1}', b'{"format": 1, "recipe": 3}'],
)
def test_archives_that_do_not_say_what_they_are_are_refused(meta: bytes) -> None:
    with pytest.raises(CorruptFile, match=r"w\.calow"):
        read_all(pack(parts_of(pack_weights({}, {}, {})) | {"meta.json": meta}))


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    "array",
    [
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n", b"\x80\x04N."),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}\n", b"abcd"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}\n", b"abcd"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2\n"),
        npy("{'descr': 'what', 'fortran_order': False, 'shape': ()}\n"),
        npy("__import__('os')\n"),
        npy("(" * 9999),
        b"",
        b"\x93NUMPY\x09\x00",
    ],
)
def test_arrays_are_numbers_that_are_there(array: bytes) -> None:
    parts = parts_of(pack_weights({}, {}, {})) | {"arrays.npz": pack({"gain.npy": array})}
    with pytest.raises(CorruptFile, match="array of numbers"):
        read_all(pack(parts))


def test_archives_that_unfold_to_too_much_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pack_weights({}, {}, {"zeros": np.zeros(100_000)})
    read_all(data)
    monkeypatch.setattr(weights_module, "LARGEST", 100_000)
    with pytest.raises(CorruptFile, match="MiB"):
        read_all(data)


def test_a_part_that_is_there_twice_is_refused() -> None:
    stream = io.BytesIO(pack_weights({}, {}, {}))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("meta.json", "{}")
    with pytest.raises(CorruptFile, match="twice"):
        read_all(stream.getvalue())


# --- mutations --------------------------------------------------------------------------------------------------------


def damaged(data: bytes, rng: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(min(len(found), rng.choice((300, 1 << 30)))) if found else 0
        found[at : at + rng.choice((0, 1, 1, 4))] = rng.choice(
            (b"", rng.randbytes(1), rng.randbytes(4), b"\0\0\xc0\x7f")
        )
    return bytes(found)


def mutated(archive: bytes, rng: random.Random) -> bytes:
    """An archive with right checksums of which one part is damaged, or one entry of the recipe another."""
    parts = parts_of(archive)
    name = rng.choice(sorted(parts))
    if name == "arrays.npz" and (arrays := parts_of(parts[name])):
        chosen = rng.choice(sorted(arrays))
        parts[name] = pack(arrays | {chosen: damaged(arrays[chosen], rng)})
    elif name == "meta.json":
        meta = json.loads(parts[name])
        meta["recipe"][rng.choice(sorted(meta["recipe"]))] = rng.choice((0, -1, 1e30, "x", None, [1, 2], 1 << 40, {}))
        parts[name] = json.dumps(meta).encode()
    else:
        parts[name] = damaged(parts[name], rng)
    return pack(parts)


@pytest.mark.parametrize("golden", ["vae/adapted", "l3c/samples"])
def test_mutated_weights_give_typed_errors(golden: str, tmp_path: Path, shown: Callable[[int], np.ndarray]) -> None:
    """`CALOTYPE_FUZZ_WEIGHTS` chooses another number of them."""
    archive, codec = (GOLDEN / f"{golden}.calow").read_bytes(), golden.partition("/")[0]
    card = tmp_path / "mutant.toml"
    wrong = 0
    for seed in range(ROUNDS):
        data = mutated(archive, random.Random(seed))
        card.with_suffix(".calow").write_bytes(data)
        card.write_text(f'name = "{codec}.mutant"\ndigest = "{Weights(data, "").digest.hex()}"\n')
        registry._open.cache_clear()
        try:
            model = open_model(registry.find(card.with_suffix(".calow")))
            model.decode(model.encode(shown(seed), threads=1), threads=1)
        except CalotypeError:
            wrong += 1
    assert wrong > ROUNDS / 4


@pytest.fixture
def shown() -> Callable[[int], np.ndarray]:
    """Small images, by seed."""
    y, x = np.indices((64, 64))[..., None]
    return lambda seed: (128 + 90 * np.sin((x + y) / (3 + seed % 7) + np.arange(3))).astype(np.uint8)
