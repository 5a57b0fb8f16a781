"""Classes side by side: at given rates along each codec's own curve, and never beyond it."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("scipy")

from calotype.evaluate.tables.bd import interpolate
from calotype.evaluate.tables.rows import Row
from calotype.evaluate.tables.summary import ImageSet, summarise
from calotype.evaluate.tables.survey import MODELS, RATES, Complexity, Entry, Known, class_of, members, survey

SIDE = 100  # pixels


def row(codec: str, quality: float, bpp: float, own: bool = True, **metrics: float) -> Row:
    return Row(
        set="s", image="i", codec=codec, title=f"Calotype {codec}", kind="lossy", own=own, ending=".calo",
        version="1", digest=None, quality=quality, device="cpu", threads=1, jobs=1, processor="p",
        width=SIDE, height=SIDE, bytes=round(bpp * SIDE**2 / 8), encode_seconds=quality / 1000, decode_seconds=0.002,
        metrics={"psnr": 30 + 5 * math.log(bpp), "ms_ssim": 0.9, "lpips_squeeze": 0.2} | metrics,
    )  # fmt: skip


def measured() -> ImageSet:
    rows = [row("rnn.compact", q, bpp) for q, bpp in ((10, 0.2), (20, 0.4), (30, 0.8))]
    rows += [row("vae.hyperprior-0011aabb", 0, 0.3, lpips_squeeze=math.nan)]
    rows += [row("webp", q, bpp, own=False) for q, bpp in ((5, 0.1), (80, 2.0))]
    return summarise(rows, {})["s"]


def entries() -> dict[str, Entry]:
    known = {
        "rnn.compact": Known("rnn.compact", Complexity(2_000_000, 5.0, 4.0), {"seconds": 60}),
        "vae.hyperprior-0011aabb": Known("vae.hyperprior", None, {}),
    }
    return {entry.title: entry for entry in survey(measured(), known, {"vae.swift"})}


def test_every_class_has_an_entry_and_none_is_hidden() -> None:
    found = entries()
    assert [(entry.family, entry.title) for entry in found.values()] == [
        ("CNN autoencoder", "vae.factorized-compact"), ("RNN", "rnn.compact"), ("VAE", "vae.hyperprior-0011aabb"),
        ("GAN", "vae.hific-compact-gan"), ("fitted to each picture", "fit.photo"),
        ("VAE, the default codec", "vae.swift"), ("made by hand", "Calotype webp"),
    ]  # fmt: skip
    assert {entry.title: entry.absent for entry in found.values() if entry.absent} == {
        "vae.factorized-compact": "not installed", "vae.hific-compact-gan": "not installed",
        "fit.photo": "not installed", "vae.swift": "not measured",
    }  # fmt: skip
    assert found["vae.swift"].at == []


def test_the_first_that_is_installed_stands_for_its_class() -> None:
    assert members({"vae.hyperprior", "vae.hific-paper-gan", "vae.hific-compact-gan"}) == {
        family: "vae.hyperprior" if family == "VAE" else names[0] for family, names in MODELS.items()
    }


def test_rates_are_met_along_the_curve_and_not_beyond() -> None:
    entry = entries()["rnn.compact"]
    assert entry.series is not None
    assert [at.bpp for at in entry.at] == [*RATES]
    assert [at.metrics["psnr"] is None for at in entry.at] == [True, False, False, True]
    for at in entry.at[1:3]:
        assert at.metrics["psnr"] == pytest.approx(interpolate(entry.series.curve(), at.bpp))
        assert at.metrics["psnr"] == pytest.approx(30 + 5 * math.log(at.bpp), abs=1e-6)  # it is a line over log rates
        assert at.metrics["ms_ssim"] == pytest.approx(0.9)


def test_a_model_of_one_rate_has_figures_there_only() -> None:
    (at,) = entries()["vae.hyperprior-0011aabb"].at
    assert at.bpp == 0.3
    assert at.metrics == {"psnr": 30 + 5 * math.log(0.3), "ms_ssim": 0.9, "lpips_squeeze": None}


def test_clocks_are_those_nearest_to_half_a_bit() -> None:
    entry = entries()["rnn.compact"]
    assert entry.clocked is not None
    assert entry.clocked.quality == 20
    assert entry.seconds == pytest.approx((0.02 / 0.01, 0.002 / 0.01))
    assert entries()["fit.photo"].seconds is None


def test_other_models_have_the_class_of_their_kind() -> None:
    assert class_of("vae.hific-paper-gan") == class_of("vae.hific-compact-gan") == "GAN"
    assert class_of("vae.mean-scale") == "VAE"
    assert class_of("rnn.thumb-fc") == "RNN"
    assert class_of("no.such") == "other"
