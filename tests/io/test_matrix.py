"""Every format, mode, depth, metadata and orientation, combined: it comes out the same, or is refused with a reason."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def formats() -> ModuleType:
    """docs/reference/formats.py, which makes the tables of the docs."""
    for library in ("imagecodecs", "tifffile"):
        pytest.importorskip(library)
    path = Path(__file__).parents[2] / "docs/reference/formats.py"
    spec = importlib.util.spec_from_file_location("formats", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["formats"] = module
    spec.loader.exec_module(module)
    return module


def test_all_come_out_the_same_or_are_refused(formats: ModuleType) -> None:
    cases = list(formats.cases())
    assert len(cases) >= 300
    for case in cases:
        outcome = formats.attempt(case)
        if outcome.word == "refused":
            assert "write PNG instead" in outcome.refused, case
            continue
        assert outcome.word in {"same", "same, as RGB", "close"}, case
        assert outcome.word != "close" or case.format == "JPEG", case
        if case.format == "TIFF" and case.orientation != 1:
            continue  # its orientation is used up, so that Exif is not what it was
        profiled = {"gamma"} if outcome.profiled else set()
        assert outcome.kept | outcome.told | profiled == set(case.blocks), case


def test_the_tables_are_fresh(formats: ModuleType) -> None:
    page = formats.PAGE.read_text(encoding="utf-8")
    assert formats.fill(page) == page, "run: make docs"
