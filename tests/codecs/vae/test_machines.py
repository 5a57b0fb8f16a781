"""The shipped model's files decode to the same latents under other threads, engines and instruction sets.

Every decode compares the hash of its latents with the file's, so a decoder that differs raises `Desync`; pixels, made
in floating point, may differ by `FLOAT_TOLERANCE`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import calotype
from calotype.image import Pixels

FLOAT_TOLERANCE = 1  # of 255
DECODE = """
import sys, numpy
from calotype import registry
from calotype.container import unpack
from calotype.codec import Host, Payload
from calotype.options import DecodeOptions
from calotype.codecs.vae.codec import VAECodec
from calotype.runtime.weights import Weights
engine, threads, file, out = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
header, chunks = unpack(open(file, "rb").read())
weights = Weights.open(registry.find_digest("vae", header.digest).weights)
if engine == "torch":
    import torch
    from calotype.runtime.torch import TorchNetwork
    torch.set_num_threads(threads)
    codec = VAECodec(Host(weights, TorchNetwork))
else:
    codec = VAECodec(Host(weights))
pixels = codec.decode(Payload(header.shape, header.depth, tuple(chunks)), DecodeOptions(threads=threads)).pixels
numpy.save(out, pixels)
"""


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Pixels]:
    """A file at a high rate, where most latents are not zero, and its image as decoded here."""
    y, x = np.mgrid[:256, :320] / 25
    noise = np.random.default_rng(0).normal(0, 12, (256, 320, 3))
    image = np.stack([np.sin(x + y), np.cos(x * y / 5), np.sin(2 * x)], -1) * 80 + 128 + noise
    data = calotype.encode(np.clip(image, 0, 255).astype(np.uint8), quality=80, model="vae.swift")
    path = tmp_path_factory.mktemp("coded") / "image.calo"
    path.write_bytes(data)
    return path, calotype.load("vae.swift", precision="float").decode(data)


@pytest.mark.parametrize(
    ("engine", "threads", "isa"),
    [
        ("onnx", 1, None),
        ("onnx", 2, None),
        ("torch", 1, None),
        ("torch", 2, "SSE41"),
        ("torch", 2, "AVX2"),
    ],
)
def test_file_decodes_alike(
    coded: tuple[Path, Pixels], engine: str, threads: int, isa: str | None, tmp_path: Path
) -> None:
    path, expected = coded
    environment = os.environ | ({"ONEDNN_MAX_CPU_ISA": isa, "ATEN_CPU_CAPABILITY": "default"} if isa else {})
    out = tmp_path / "pixels.npy"
    command = [sys.executable, "-c", DECODE, engine, str(threads), str(path), str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr
    difference = np.abs(np.load(out).astype(int) - expected)
    assert difference.max() <= FLOAT_TOLERANCE
