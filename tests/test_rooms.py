"""A new codec is one folder: nothing outside of it names a codec, and what it needs is found by its place."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from calotype import registry

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "calotype"
CODECS = sorted(folder.parent.name for folder in (SOURCE / "codecs").glob("*/codec.py"))
ROOMS = [path for path in SOURCE.rglob("*.py") if "codecs" not in path.parts]


@pytest.mark.parametrize("path", [*ROOMS, ROOT / "setup.py"], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_code_outside_names_a_codec(path: Path) -> None:
    """Words of help and docstrings may; imports and values may not."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(rf"\bcodecs[./]({'|'.join(CODECS)})\b", text)
    assert not re.search(rf"""==\s*["']({"|".join(CODECS)})\b""", text)


def test_no_build_file_names_a_codec() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    tools = {name: table for name, table in project["tool"].items() if name in ("setuptools", "importlinter")}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    built = next(line for line in makefile.splitlines() if line.startswith("BUILT_FROM"))
    clean = makefile.partition("\nclean:")[2]
    for codec in CODECS:
        assert codec not in f"{tools}{built}{clean}"


def test_a_codec_says_what_it_can_without_being_loaded() -> None:
    for codec in CODECS:
        info = registry.codec_info(codec)
        assert info.name == codec


def test_every_codec_has_its_pages_and_golden_files() -> None:
    for codec in CODECS:
        assert (ROOT / f"docs/format/{codec}.md").is_file()
        assert (ROOT / f"tests/golden/{codec}/make.py").is_file()
        assert list((ROOT / f"tests/codecs/{codec}").glob("test_*.py"))
