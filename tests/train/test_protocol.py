"""Codecs conform to the protocol, though none of them knows it; plug-ins too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from calotype.errors import CalotypeError
from calotype.train.protocol import codec_training

if TYPE_CHECKING:  # what mypy is asked here: a codec that does not conform is an error
    from calotype_testing.training import Coarsest, DeflateTraining

    from calotype.codecs.l3c import training as l3c
    from calotype.codecs.l3c.networks import L3C
    from calotype.codecs.rnn import training as rnn
    from calotype.codecs.rnn.networks import RNN
    from calotype.codecs.vae import training as vae
    from calotype.codecs.vae.networks import VAE
    from calotype.codecs.vae.realism import Realism
    from calotype.train.protocol import Training

    VAE_TRAINING: Training[VAE | Realism] = vae.TRAINING
    L3C_TRAINING: Training[L3C] = l3c.TRAINING
    RNN_TRAINING: Training[RNN] = rnn.TRAINING
    DEFLATE_TRAINING: Training[Coarsest] = DeflateTraining()


def test_training_is_found_by_the_codec() -> None:
    for codec, kind in {
        "vae": "VAETraining",
        "l3c": "L3CTraining",
        "rnn": "RNNTraining",
        "deflate": "DeflateTraining",
    }.items():
        training, recipe = codec_training(f"{codec}.any")
        assert (type(training).__name__, recipe) == (kind, "any")


@pytest.mark.parametrize("model", ["nothing.swift", "prism.photo"])
def test_what_cannot_be_trained_is_refused(model: str) -> None:
    with pytest.raises(CalotypeError, match=f"no codec {model.partition('.')[0]!r} that can be trained"):
        codec_training(model)
