"""What the documents say is true: their code runs, their commands exist, their links lead somewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import calotype
from calotype.cli.app import VERBS, app

ROOT = Path(__file__).parents[2]
# Executed from top to bottom.
RUN = (
    "README.md",
    "docs/index.md",
    "docs/tutorial/first-photo.md",
    "docs/howto/many-images.md",
    "docs/howto/add-a-codec.md",
)
PAGES = sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

MEASURED_APART = {
    "fit.photo": "fit.md",  # it takes minutes to encode a picture
    "rnn.thumb-fc": "rnn.md",
    "rnn.thumb-conv": "rnn.md",
    "vae.factorized-compact": "survey.md",
    "vae.hyperprior-compact": "survey.md",
    "vae.hific-compact-gan": "survey.md",
}
"""Shipped models that the results do not hold, and the page in docs/explain that does."""
NOT_RUN = "no-run"  # after the language of a block: it takes too long, or needs what a test has not
BLOCK = re.compile(r"^```(\S+)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)")


def blocks(page: str) -> Iterator[tuple[str, str, str]]:
    """Language, what follows it, and text of each fenced block."""
    for language, rest, text in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        yield language, rest.strip(), text


@pytest.fixture(scope="module")
def one_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all pages are followed, one after the other."""
    folder = tmp_path_factory.mktemp("pages")
    shutil.copytree(ROOT / "samples", folder / "samples")
    return folder


@pytest.mark.parametrize("page", RUN)
def test_the_code_runs(page: str, one_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not any(model.default for model in calotype.list_models()):
        pytest.skip("no default model is installed")
    monkeypatch.chdir(one_folder)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    names: dict[str, object] = {}
    count = 0
    for language, rest, text in blocks(page):
        if rest == NOT_RUN or language.startswith("{"):  # {toctree} and others speak to Sphinx
            continue
        count += 1
        if language == "sh":
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], capture_output=True, text=True)
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        elif language == "python":
            exec(compile(text, page, "exec"), names)
        else:
            pytest.fail(f"{page}: a block of {language!r} can be neither run nor marked {NOT_RUN}")
    assert count


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_exist(page: str) -> None:
    """Verbs and options of every `calotype ...` line, of blocks that are not run too."""
    group = typer.main.get_command(app)
    parent = typer.Context(group, info_name="calotype")
    for language, _, text in blocks(page):
        if language != "sh":
            continue
        for line in text.splitlines():
            words = [word for word in shlex.split(line, comments=True) if "=" not in word.split("/")[0]]
            if words[:1] == ["calotype"]:
                verb = words[1]
                assert verb in VERBS, line
                arguments = words[2 : words.index("&&")] if "&&" in words else words[2:]
                command = group.get_command(parent, verb)  # type: ignore[attr-defined]
                command.make_context(verb, arguments, parent=parent)  # a usage error fails the test


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page: str) -> None:
    for target in LINK.findall((ROOT / page).read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("docs/results/") and "results/README.md" not in target:
            assert ((ROOT / page).parent / target).exists(), target


def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    """What `make docs` does: links and anchors lead somewhere, every page is reached, every docstring is readable."""
    for package in ("sphinx", "furo", "myst_parser", "numpydoc"):
        pytest.importorskip(package)
    build = [sys.executable, "-m", "sphinx", "-q", "-E", "-W", "--keep-going", "-d", str(tmp_path / "doctrees")]
    done = subprocess.run([*build, ROOT / "docs", tmp_path / "site"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site/index.html").is_file()


def test_every_codec_has_a_page_of_its_format() -> None:
    codecs = {path.parent.name for path in ROOT.glob("src/calotype/codecs/*/codec.py")}
    assert {path.stem for path in ROOT.glob("docs/format/*.md")} == codecs


def test_the_python_reference_has_every_public_name() -> None:
    page = (ROOT / "docs/reference/python.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\.\. auto\w+:: calotype\.(\w+)$", page, re.MULTILINE)
    assert sorted(set(documented) - {"codec", "options"}) == calotype.__all__


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/reference/generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    return generate


def test_the_page_of_the_command_line_is_fresh() -> None:
    generate = generator()
    assert generate.PAGE.read_text(encoding="utf-8") == generate.render(), "run: make docs"


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_shown_are_those_of_the_code(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert generator().show_files(text) == text, "run: make docs"


def test_results_are_those_of_the_weights_that_are_shipped() -> None:
    from calotype.evaluate.tables.folder import ROWS
    from calotype.evaluate.tables.rows import Row, read_table

    pytest.importorskip("pyarrow")
    file = ROOT / "docs/results" / ROWS
    if not file.is_file():
        pytest.skip("nothing was measured yet; make results does that")
    measured = {
        (row.codec.partition("@")[0], bytes.fromhex(row.digest or "")) for row in read_table(file, Row) if row.own
    }
    built_in = ROOT / "src/calotype/codecs"
    shipped = {model.name: model for model in calotype.list_models() if built_in in model.path.resolve().parents}
    assert {name for name, _ in measured} == shipped.keys() - MEASURED_APART.keys(), "run: make results"
    for name, page in MEASURED_APART.items():
        assert name in (ROOT / "docs/explain" / page).read_text(encoding="utf-8")
    for name, digest in measured:
        assert shipped[name].reads_files_of(shipped[name].codec, digest), f"{name}: run: make results"


def test_the_sample_photo_is_the_one_with_the_licence() -> None:
    import hashlib

    notes = (ROOT / "samples/README.md").read_text(encoding="utf-8")
    assert hashlib.sha256((ROOT / "samples/coffee.png").read_bytes()).hexdigest() in notes
