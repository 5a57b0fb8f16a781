"""Options: declared once, checked once, the same everywhere they can be given."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_type_hints

import pytest
import typer

import calotype
from calotype.cli.app import app
from calotype.errors import Unsupported
from calotype.options import (
    DecodeKeywords,
    DecodeOptions,
    EncodeKeywords,
    EncodeOptions,
    Region,
    Target,
    asked,
    flags,
)


def flags_of(verb: str) -> set[str]:
    """All flags that the command line takes after a verb."""
    group: Any = typer.main.get_command(app)
    command = group.get_command(None, verb)
    return {name for parameter in command.params for name in parameter.opts}


def test_keywords_are_the_fields() -> None:
    names = {entry.name for entry in fields(EncodeOptions)}
    assert names == get_type_hints(EncodeKeywords).keys() | {"quality"}  # which may be given by position
    assert {entry.name for entry in fields(DecodeOptions)} == get_type_hints(DecodeKeywords).keys()


@pytest.mark.parametrize(("verb", "options"), [("encode", EncodeOptions), ("decode", DecodeOptions)])
def test_the_command_line_has_a_flag_for_each(verb: str, options: type[EncodeOptions] | type[DecodeOptions]) -> None:
    for flag in flags(options).values():
        assert set(flag.names) <= flags_of(verb)
        assert flag.help


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": 101}, "quality 101: it must be 0 to 100"),
        ({"quality": float("nan")}, "quality nan"),
        ({"effort": 0}, "effort 0: it must be 1 to 9"),
        ({"max_error": -1}, "max_error -1: it must be 0 to 65535"),
        ({"threads": -1}, "threads -1: it must be 0 or more"),
        ({"target_bytes": 0}, "target_bytes 0: it must be 1 or more"),
        ({"target_bpp": 0}, "must be positive"),
        ({"target_bpp": float("inf")}, "target_bpp inf"),
        ({"quality": 5, "target_bpp": 1}, "only one of quality and target_bpp"),
        ({"target_psnr": 101}, "target_psnr 101: it must be 0 to 100"),
        ({"target_psnr": 30, "target_bpp": 1}, "only one of target_bpp and target_psnr"),
        ({"target_bytes": 5, "target_bpp": 1}, "only one of target_bytes and target_bpp"),
        ({"quality": 5, "lossless": True}, "lossless files have no quality"),
        ({"max_error": 5, "lossless": True}, "lossless files have no max_error"),
        ({"max_error": 5, "quality": 5}, "only one of max_error and quality"),
        ({"max_error": 5, "target_bytes": 5}, "only one of max_error and target_bytes"),
        ({"seconds": 0}, "seconds 0: it must be 0.1 or more"),
        ({"seconds": 5, "effort": 5}, "only one of seconds and effort"),
        ({"seconds": 5, "target_psnr": 30}, "only one of seconds and target_psnr"),
        ({"tune": "lpips"}, "tune 'lpips': it must be psnr or ms-ssim"),
    ],
    ids=str,
)
def test_what_no_encoder_can_do_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        EncodeOptions(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"quality": True},
        {"quality": "40"},
        {"threads": None},
        {"threads": 1.5},
        {"lossless": "no"},
        {"effort": 2.0},
        {"tune": 1},
    ],
    ids=str,
)
def test_values_of_another_type_are_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(TypeError, match=f"{name} is "):
        EncodeOptions(**options)


@pytest.mark.parametrize(
    "options", [{"realism": 1.5}, {"layers": 0}, {"max_bytes": 0}, {"max_pixels": 0}, {"seed": -1}], ids=str
)
def test_what_no_decoder_can_do_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(Unsupported, match="must be"):
        DecodeOptions.of(**options)


def test_plain_values_become_options() -> None:
    options = DecodeOptions.of(region=(1, 2, 3, 4), view=1, max_pixels=None)
    assert options == DecodeOptions(region=Region(1, 2, 3, 4), view=(1,), max_pixels=None)
    assert list(asked(options)) == []  # every codec can be asked for these
    assert list(asked(DecodeOptions(layers=2, realism=0.0))) == ["layers", "realism"]


def test_a_misspelt_option_is_an_error(photo: Any) -> None:
    with pytest.raises(TypeError, match="qualty"):
        calotype.encode(photo, qualty=30)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="regoin"):
        calotype.decode(b"", regoin=(0, 0, 1, 1))  # type: ignore[call-arg]


def test_a_target_is_a_number_of_bytes() -> None:
    assert EncodeOptions().target is None
    assert EncodeOptions(target_bytes=700).target == Target(bytes=700)
    assert Target(bytes=700).limit(10**6) == 700
    assert Target(bpp=0.5).limit(1001) == 62
    assert Target(psnr=35).limit(1001) is None
    options = EncodeOptions(target_psnr=35, effort=3)
    assert (options.target, options.plain) == (Target(psnr=35), EncodeOptions(effort=3))


def test_lossless_and_a_bound_choose_the_model() -> None:
    lossless = calotype.api.find(None, EncodeOptions(lossless=True))
    assert lossless.info.lossless
    assert not calotype.api.find(None, EncodeOptions()).info.lossless
    assert calotype.api.find(None, EncodeOptions(max_error=2)).name == "prism.photo"
    with pytest.raises(Unsupported, match=r"prism.photo takes no quality; leave it out, or choose .*vae.swift"):
        calotype.api.find("prism.photo", EncodeOptions(quality=50))


def test_where_no_model_keeps_a_bound_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    without = [model for model in calotype.registry.list_models() if not model.info.accepts("max_error")]
    monkeypatch.setattr(calotype.registry, "_all_models", lambda: iter(without))
    with pytest.raises(calotype.WeightsNotFound, match="with a bound on the error is installed, and no other such"):
        calotype.api.find(None, EncodeOptions(max_error=2))
