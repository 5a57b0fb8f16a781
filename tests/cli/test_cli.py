from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image as Pillow

import calotype
from calotype.cli import app
from calotype.cli.options import parse_size, parse_time

MODEL = "deflate.coarse"
SOON = 300.0  # seconds, for the busiest machine; what hangs takes an hour
PROGRAM = [sys.executable, "-c", "from calotype.cli.app import main; main()"]


class Result:
    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Result]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def call(*arguments: object) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            app.main([str(argument) for argument in arguments])
        return Result(int(caught.value.code or 0), *capfd.readouterr())

    return call


@pytest.fixture
def images(tmp_path: Path, texture: Callable[..., np.ndarray]) -> dict[str, np.ndarray]:
    """Three images in the folder `in`, beside a file that is none."""
    (tmp_path / "in").mkdir()
    arrays = {"a.png": texture(9, 11, 3), "b.png": texture(7, 5, 1)[..., 0], "c.png": texture(6, 8, 4)}
    for name, pixels in arrays.items():
        Pillow.fromarray(pixels).save(tmp_path / "in" / name, xmp=b"<x/>", pnginfo=None)
    (tmp_path / "in" / "notes.txt").write_text("no image")
    return arrays


def error_line(result: Result) -> str:
    """The only line on stderr."""
    (line,) = result.err.splitlines()
    assert line.startswith("calotype: error: ")
    return line


def test_there_and_back(run: Run, images: dict[str, np.ndarray]) -> None:
    result = run("encode", "in/a.png", "-o", "a.calo", "-q", 100, "-m", MODEL)
    assert (result.status, result.out) == (0, "")
    assert "bpp" in result.err
    assert run("decode", "a.calo", "-o", "a.png").status == 0
    np.testing.assert_array_equal(np.asarray(Pillow.open("a.png")), images["a.png"])
    assert run("decode", "a.calo", "-o", "part.tif", "--region", "2,3,4,5").status == 0
    np.testing.assert_array_equal(np.asarray(Pillow.open("part.tif")), images["a.png"][3:8, 2:6])


def test_json_of_encode_and_decode(run: Run, images: dict[str, np.ndarray]) -> None:
    (record,) = run("encode", "in/a.png", "-o", "a.calo", "-m", MODEL, "--json").objects
    size = os.path.getsize("a.calo")
    assert record["input"] == "in/a.png"
    assert record["output"] == "a.calo"
    assert (record["bytes"], record["width"], record["height"]) == (size, 11, 9)
    assert record["bpp"] == pytest.approx(8 * size / 99, abs=1e-6)
    assert record["seconds"] > 0
    (record,) = run("decode", "a.calo", "--json").objects
    assert (record["output"], record["bytes"]) == ("a.png", size)


def test_default_outputs_lie_beside_the_inputs(run: Run, images: dict[str, np.ndarray]) -> None:
    assert run("encode", "in/a.png", "-m", MODEL).status == 0
    assert Path("in/a.calo").is_file()
    assert run("decode", "in/a.calo").status == 1  # in/a.png is there
    Path("in/a.png").unlink()
    assert run("decode", "in/a.calo").status == 0
    assert Path("in/a.png").is_file()


def test_a_folder(run: Run, images: dict[str, np.ndarray]) -> None:
    result = run("encode", "in", "-o", "out", "-q", 100, "-m", MODEL, "--json")
    assert result.status == 0
    assert [record["output"] for record in result.objects] == [f"out/{name}.calo" for name in "abc"]
    assert run("decode", "out", "-o", "back").status == 0
    for name, pixels in images.items():
        np.testing.assert_array_equal(np.asarray(Pillow.open(f"back/{name}")), pixels)
    assert sorted(os.listdir("back")) == ["a.png", "b.png", "c.png"]


def test_one_input_into_a_folder(run: Run, images: dict[str, np.ndarray]) -> None:
    Path("out").mkdir()
    assert run("encode", "in/a.png", "-o", "out", "-m", MODEL).status == 0
    assert run("encode", "in/b.png", "-o", "new/", "-m", MODEL).status == 0
    assert Path("out/a.calo").is_file()
    assert Path("new/b.calo").is_file()


def test_one_failure_does_not_stop_the_others(run: Run, images: dict[str, np.ndarray]) -> None:
    Path("in/b.png").write_bytes(b"broken")
    result = run("encode", "in/a.png", "in/b.png", "in/c.png", "-o", "out", "-m", MODEL, "--json")
    assert result.status == 1
    assert sorted(os.listdir("out")) == ["a.calo", "c.calo"]
    assert [record["input"] for record in result.objects] == ["in/a.png", "in/b.png", "in/c.png"]
    assert "image" in str(result.objects[1]["error"])
    assert "in/b.png" in error_line(result)


def test_messages_are_one_line_whatever_the_name(run: Run, images: dict[str, np.ndarray]) -> None:
    for name in ("in/two\nlines  and  gaps.png", "in/\udcff.png"):
        Path(name).write_bytes(Path("in/a.png").read_bytes())
        assert run("encode", name, "-o", "a.calo", "-f", "-m", MODEL).err.count("\n") == 1
    name = "in/two\nlines  and  gaps.png"
    Path(name).unlink()
    for call in (["encode", name, "-m", MODEL], ["verify", name]):
        assert error_line(run(*call)) == "calotype: error: in/two lines  and  gaps.png: No such file or directory"


def test_inputs_of_equal_stems_become_files_of_their_whole_names(run: Run, images: dict[str, np.ndarray]) -> None:
    for copy in ("in/a.jpg", "in/a.jpg.png"):
        Path(copy).write_bytes(Path("in/a.png").read_bytes())
    coded = ["a.jpg.calo", "a.jpg.png.calo", "a.png.calo", "b.calo", "c.calo"]
    for inputs in (["in"], ["in", "in/a.png"]):
        assert run("encode", *inputs, "-o", "out", "-m", MODEL, "-f").status == 0
        assert sorted(os.listdir("out")) == coded
    assert run("decode", "out", "-o", "back").status == 0
    assert sorted(os.listdir("back")) == ["a.jpg.png", "a.jpg.png.png", "a.png.png", "b.png", "c.png"]

    Path("other").mkdir()
    Path("other/a.png").write_bytes(Path("in/a.png").read_bytes())
    result = run("encode", "in/a.png", "other/a.png", "-o", "new", "-m", MODEL)
    assert result.status == 2
    assert "in/a.png and other/a.png would both become new/a.png.calo" in error_line(result)
    assert not Path("new").exists()


def test_a_tree(run: Run, images: dict[str, np.ndarray]) -> None:
    Path("in/deep/er").mkdir(parents=True)
    Path("in/deep/er/a.PNG").write_bytes(Path("in/a.png").read_bytes())
    os.mkfifo("in/deep/pipe.png")  # would be waited for
    Path("in/deep/folder.png").mkdir()
    Path("in/deep/link.png").symlink_to("nowhere")
    result = run("encode", "in", "-r", "-o", "out", "-m", MODEL, "--json")
    assert result.status == 1
    assert [record.get("output") for record in result.objects] == [
        "out/a.calo", "out/b.calo", "out/c.calo", None, "out/deep/er/a.calo",
    ]  # fmt: skip
    assert "in/deep/link.png: No such file" in str(result.objects[3]["error"])
    assert run("decode", "-r", "out", "-o", "back").status == 0
    np.testing.assert_array_equal(np.asarray(Pillow.open("back/deep/er/a.png")), np.asarray(Pillow.open("back/a.png")))
    assert run("encode", "in/deep", "-r", "-m", MODEL).status == 1
    assert Path("in/deep/er/a.calo").is_file()
    Path("top/inner").mkdir(parents=True)
    assert "-r looks into the folders" in error_line(run("encode", "top", "-m", MODEL))


def test_two_names_are_an_input_and_its_output(run: Run, images: dict[str, np.ndarray]) -> None:
    assert run("encode", "in/a.png", "new/a.calo", "-m", MODEL, "-q", 100).status == 0
    assert run("decode", "new/a.calo", "newer/still/a.tif").status == 0
    np.testing.assert_array_equal(np.asarray(Pillow.open("newer/still/a.tif")), images["a.png"])
    assert "a.calo exists; add -f" in error_line(run("encode", "in/a.png", "new/a.calo", "-m", MODEL))
    assert "a.tif exists; add -f" in error_line(run("decode", "new/a.calo", "newer/still/a.tif"))


def test_what_looks_like_a_slip_must_be_asked_for(run: Run, images: dict[str, np.ndarray]) -> None:
    run("encode", "in/a.png", "-o", "a.calo", "-m", MODEL)
    Path("a.webp").write_bytes(Path("a.calo").read_bytes())
    for arguments, status, words in (
        (["encode", "in/a.png", "-o", "new.png"], 2, "with the name of an image; -o new.calo"),
        (["encode", "in/a.png", "-o", "in/a.png"], 2, "with the name of an image"),
        (["encode", "a.calo", "-o", "b.calo"], 1, "a.calo is a .calo file already; add -f"),
        (["encode", "a.webp", "-o", "b.calo"], 1, "a.webp is a .calo file already; add -f"),
        (["decode", "a.webp", "-o", "a.webp"], 1, "a.webp is the input itself; add -f"),
        (["encode", "in/a.png", "in/b.png", "-o", "c.calo"], 2, "write c.calo/"),
    ):
        if arguments[0] == "encode":
            arguments += ["-m", MODEL]
        before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
        result = run(*arguments)
        assert result.status == status
        assert words in error_line(result)
        assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
        if "write" not in words:
            assert run(*arguments, "-f").status == 0


def test_an_input_is_looked_at_before_its_output(run: Run, images: dict[str, np.ndarray]) -> None:
    Path("bad.png").write_bytes(b"broken")
    Path("bad.calo").write_bytes(b"broken")
    Path("missing.calo").write_bytes(b"mine")
    assert "bad.png" in error_line(run("encode", "bad.png", "-m", MODEL))
    assert "not a Calotype file" in error_line(run("decode", "bad.calo"))
    assert "missing.png: No such file" in error_line(run("encode", "missing.png", "-m", MODEL))


def test_a_full_disk_is_named(
    run: Run, images: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import calotype.io

    def full(path: str, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", f".{path}.0.part")

    monkeypatch.setattr(calotype.io, "write_bytes", full)
    monkeypatch.setattr(os.path, "ismount", lambda path: path == tmp_path)
    line = error_line(run("encode", "in/a.png", "-o", "a.calo", "-m", MODEL))
    assert line == f"calotype: error: a.calo: the disk of {tmp_path} is full"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8000", 8000),
        ("200k", 200_000),
        ("1.5M", 1_500_000),
        ("2 kB", 2000),
        (".5K", 500),
        ("64Ki", 65536),
        ("1g", 10**9),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "k", "1.2.3", "-1", "1e3", "5T", "1 k k"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_size(text)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("60s", 60), ("1.5 m", 90), (".5h", 1800), ("1h30m", 5400)])
def test_times(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "1e3", "5d", "m", "40m?", "90 60", "1.2.3"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_time(text)


def test_nothing_is_overwritten_without_f(run: Run, images: dict[str, np.ndarray]) -> None:
    Path("a.calo").write_bytes(b"mine")
    result = run("encode", "in/a.png", "-o", "a.calo", "-m", MODEL)
    assert result.status == 1
    assert "a.calo exists; add -f" in error_line(result)
    assert Path("a.calo").read_bytes() == b"mine"
    assert run("encode", "in/a.png", "-o", "a.calo", "-m", MODEL, "-f").status == 0
    assert run("info", "a.calo").status == 0


@pytest.mark.parametrize("file", ["a.png", "a.calo"])
def test_failures_leave_no_output(run: Run, images: dict[str, np.ndarray], file: str) -> None:
    run("encode", "in/a.png", "-o", "good.calo", "-m", MODEL)
    Path("bad.calo").write_bytes(Path("good.calo").read_bytes()[:-1])
    Path("bad.png").write_bytes(Path("in/a.png").read_bytes()[:-40])
    before = set(os.listdir())
    verb = ("decode", "bad.calo") if file == "a.png" else ("encode", "bad.png", "-m", MODEL)
    result = run(*verb, "-o", file)
    assert result.status == 1
    assert f"bad.{'calo' if file == 'a.png' else 'png'}" in error_line(result)
    assert set(os.listdir()) == before


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["encode", "in/a.png", "-q", "101"], 2, "100"),
        (["encode", "in/a.png", "-q", "5", "--target-bpp", "1"], 2, "only one"),
        (["encode", "in/a.png", "-T", "-1"], 2, "0"),
        (["encode", "in/a.png", "--target-size", "1.5x"], 2, "200k"),
        (["encode", "in/a.png", "--target-size", "0"], 2, "1 or more"),
        (["encode"], 2, "INPUT"),
        (["encode", "-", "in/a.png"], 2, "stdin"),
        (["encode", "in", "-o", "-"], 2, "folder"),
        (["encode", "in", "-o", "in/a.png"], 2, "folder"),
        (["encode", "in/a.png", "-o", "-", "--json"], 2, "--json"),
        (["encode", "empty"], 2, "holds no file"),
        (["nonsense"], 2, "nonsense"),
        (["decode", "a.calo", "--region", "1,2,3"], 2, "X,Y,W,H"),
        (["decode", "a.calo", "--region", "1,2,0,3"], 2, "W and H"),
        (["decode", "a.calo", "--nonsense"], 2, "nonsense"),
        (["decode", "a.calo", "-o", "b.png", "--region", "10,0,2,1"], 1, "not inside 11x9"),
        (["decode", "a.calo", "-o", "b.xyz"], 1, "possible endings"),
        (["decode", "a.calo", "-o", "in/a.png/b.png"], 1, "in/a.png is no folder"),
        (["decode", "in/a.png", "-o", "b.png"], 1, "not a Calotype file"),
        (["decode", "missing.calo"], 1, "missing.calo: No such file"),
        (["decode", "a.calo", "-o", "b.png", "--max-pixels", "98"], 1, "limit of 98"),
        (["encode", "in/a.png", "-o", "b.calo", "--max-pixels", "98", "-m", MODEL], 1, "limit of 98"),
        (["encode", "in/a.png", "-o", "b.calo", "-m", "vae.nonsense"], 1, "calotype models"),
        (["encode", "in/a.png", "-o", "b.calo", "-m", MODEL, "--target-size", "9"], 1, "above 9"),
        (["encode", "in/a.png", "-o", "b.calo", "--lossless", "-q", "50"], 2, "lossless files have no quality"),
        (["encode", "in/a.png", "-o", "b.calo", "--lossless", "-m", "vae.swift"], 1, "vae.swift is not lossless"),
        (["encode", "in/a.png", "-o", "b.calo", "-m", "l3c.compact", "-e", "5"], 1, "effort"),
        (["encode", "in/a.png", "-o", "b.calo", "--lossless", "-e", "10"], 2, "range 1<=x<=9"),
        (["encode", "in/a.png", "-o", "b.calo", "--lossless", "--target-size", "9"], 1, "above 9"),
        (["verify", "in/a.png"], 1, "not a Calotype file"),
        (["info", "in/a.png"], 1, "not a Calotype file"),
        (["compare", "in/a.png", "in/b.png"], 1, "cannot compare 11x9 RGB of 8 bits with 5x7 L"),
        (["compare", "in/a.png", "missing.png"], 1, "missing.png"),
    ],
)
def test_errors_are_one_line_with_their_status(
    run: Run, images: dict[str, np.ndarray], arguments: list[str], status: int, words: str
) -> None:
    run("encode", "in/a.png", "-o", "a.calo", "-m", MODEL)
    Path("empty").mkdir()
    before = set(os.listdir())
    result = run(*arguments)
    assert result.status == status
    assert words in error_line(result)
    assert result.out == ""
    assert set(os.listdir()) == before


def test_targets(run: Run, images: dict[str, np.ndarray]) -> None:
    assert run("encode", "in/a.png", "-o", "a.calo", "-m", MODEL, "--target-size", ".25k").status == 0
    assert 150 < os.path.getsize("a.calo") <= 250
    assert run("encode", "in/a.png", "-o", "b.calo", "-m", MODEL, "--target-bpp", 20).status == 0
    assert 150 < os.path.getsize("b.calo") <= 20 * 99 / 8


def test_lossless_keeps_every_pixel(run: Run, images: dict[str, np.ndarray]) -> None:
    deep = np.arange(60, dtype=np.uint16).reshape(6, 10) * 1000
    Pillow.fromarray(deep).save("in/d.png")
    for options in ([], ["-e", "1"], ["-e", "7", "-T", "2"]):
        assert run("encode", "in", "-o", "out", "-f", "--lossless", *options).status == 0
        assert run("decode", "out", "-o", "back", "-f").status == 0
        for name, pixels in {**images, "d.png": deep}.items():
            with Pillow.open(Path("back") / name) as back:
                np.testing.assert_array_equal(np.asarray(back), pixels)


def test_metadata_stays_unless_stripped(run: Run, images: dict[str, np.ndarray]) -> None:
    calotype.write("in/a.png", calotype.Image(images["a.png"], metadata=calotype.Metadata(xmp=b"<x/>")))
    run("encode", "in/a.png", "-o", "a.calo", "-m", MODEL)
    run("decode", "a.calo", "-o", "a.png")
    assert Pillow.open("a.png").info["xmp"] == b"<x/>"
    run("encode", "in/a.png", "-o", "b.calo", "-m", MODEL, "--strip")
    run("decode", "b.calo", "-o", "b.png")
    assert "xmp" not in Pillow.open("b.png").info
    run("decode", "a.calo", "-o", "c.png", "--strip")
    assert "xmp" not in Pillow.open("c.png").info


def test_what_is_converted_or_left_out_is_a_note(run: Run, images: dict[str, np.ndarray]) -> None:
    Pillow.fromarray(images["a.png"]).convert("CMYK").save("inks.jpg")
    noted = run("encode", "inks.jpg", "-o", "a.calo", "-m", "vae.swift")
    assert noted.status == 0
    assert "calotype: note: inks.jpg: CMYK was converted to 8-bit RGB" in noted.err
    refused = run("encode", "inks.jpg", "-o", "b.calo", "--lossless")
    assert refused.status == 1
    assert "not lossless; convert it first" in refused.err
    assert run("encode", "inks.jpg", "-o", "b.calo", "-m", "prism.photo").status == 1
    calotype.write("in/a.png", calotype.Image(images["a.png"], metadata=calotype.Metadata(xmp=b"<x/>")))
    run("encode", "in/a.png", "-o", "c.calo", "-m", MODEL)
    noted = run("decode", "c.calo", "-o", "c.ppm", "--json")
    assert noted.objects[0]["notes"] == ["PPM has no place for its XMP; left out"]
    assert run("decode", "c.calo", "-o", "d.ppm", "--strip").err.count("note") == 0


def test_bits_per_pixel_are_those_of_the_file(run: Run, images: dict[str, np.ndarray]) -> None:
    run("encode", "in/a.png", "-o", "a.calo", "-m", MODEL)
    whole, part = (
        run("decode", "a.calo", "-o", f"{len(options)}.png", "--json", *options).objects[0]
        for options in ([], ["--region", "2,3,4,5"])
    )
    assert (part["width"], part["height"], part["bpp"]) == (4, 5, whole["bpp"])


def test_info(run: Run, images: dict[str, np.ndarray]) -> None:
    run("encode", "in/c.png", "-o", "c.calo", "-m", MODEL)
    (record,) = run("info", "c.calo", "--json").objects
    assert {"input", "output", "bytes", "width", "height", "bpp", "seconds"} <= set(record)
    assert (record["model"], record["mode"], record["bytes"]) == (MODEL, "RGBA", os.path.getsize("c.calo"))
    text = run("info", "c.calo").out
    assert MODEL in text
    assert "8x6 RGBA, 8 bits" in text


def test_verify(run: Run, images: dict[str, np.ndarray]) -> None:
    run("encode", "in/a.png", "-o", "a.calo", "-m", MODEL)
    result = run("verify", "a.calo")
    assert (result.status, result.out) == (0, "a.calo: good, 11x9 RGB\n")
    assert sorted(os.listdir()) == ["a.calo", "in"]


def test_verify_against_the_original(run: Run, images: dict[str, np.ndarray]) -> None:
    run("encode", "in/a.png", "-o", "a.calo", "--max-error", 3)
    assert "no sample is off by more than 3; the largest error is 3" in run("info", "a.calo").out
    result = run("verify", "a.calo", "--against", "in/a.png")
    assert (result.status, result.out) == (0, "a.calo: good, 11x9 RGB, off by 3 of 3 at most\n")
    (record,) = run("verify", "a.calo", "--against", "in/a.png", "--json").objects
    assert (record["max_error"], record["largest_error"]) == (3, 3)
    Pillow.fromarray(images["a.png"] ^ 16).save("other.png")
    result = run("verify", "a.calo", "--against", "other.png")
    assert result.status == 1
    assert "and the file promises 3" in result.err
    result = run("verify", "a.calo", "--against", "in/c.png")
    assert (result.status, "it is not of this image" in result.err) == (1, True)
    run("encode", "in/a.png", "-o", "exact.calo", "--lossless")
    assert (
        run("verify", "exact.calo", "--against", "in/a.png").out
        == "exact.calo: good, 11x9 RGB, off by 0 of 0 at most\n"
    )
    run("encode", "in/a.png", "-o", "lossy.calo", "-m", MODEL, "-q", 50)
    result = run("verify", "lossy.calo", "--against", "in/a.png")
    assert (result.status, "promises nothing" in result.err) == (1, True)
    assert run("verify", "a.calo", "exact.calo", "--against", "in/a.png").status == 2


def test_models(run: Run) -> None:
    assert MODEL in run("models").out
    names = {record["name"]: record for record in run("models", "--json").objects}
    assert names[MODEL]["digest"] == "a68b412c"
    assert names[MODEL]["default"] is False


def test_compare(run: Run, texture: Callable[..., np.ndarray]) -> None:
    pixels = texture(170, 180, 3)
    Pillow.fromarray(pixels).save("a.png")
    Pillow.fromarray(pixels ^ 8).save("b.png")
    (record,) = run("compare", "a.png", "b.png", "--json").objects
    assert (record["largest_error"], record["width"]) == (8, 180)
    assert record["psnr"] == pytest.approx(10 * np.log10(255**2 / 64))
    assert 0.5 < record["ms_ssim"] < 1
    (record,) = run("compare", "a.png", "a.png", "--json").objects
    assert (record["psnr"], record["largest_error"]) == (None, 0)
    assert "equal" in run("compare", "a.png", "a.png").out
    run("encode", "a.png", "-o", "a.calo", "-q", 100, "-m", MODEL)
    assert run("compare", "a.png", "a.calo", "--json").objects[0]["psnr"] is None


def test_version_and_bare_call(run: Run) -> None:
    assert run("--version").out == f"calotype {calotype.__version__}\n"
    assert "encode" in run().out


def test_unexpected_errors_are_one_line_unless_debugging(
    run: Run, images: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(calotype.api, "choose", fail)
    result = run("encode", "in/a.png", "-o", "a.calo")
    assert result.status == 1
    assert "ZeroDivisionError: oh" in error_line(result)
    monkeypatch.setenv("CALOTYPE_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["calotype"])
    with pytest.raises(ZeroDivisionError):
        app.main(["encode", "in/a.png", "-o", "a.calo"])


def program(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, timeout=SOON, **options)  # type: ignore[call-overload]


def test_pipes(tmp_path: Path, images: dict[str, np.ndarray]) -> None:
    data = (tmp_path / "in" / "a.png").read_bytes()
    coded = program("encode", "-", "-q", "100", "-m", MODEL, input=data)
    assert coded.returncode == 0
    back = program("decode", "-", "-o", "-", input=coded.stdout)
    import io

    np.testing.assert_array_equal(np.asarray(Pillow.open(io.BytesIO(back.stdout))), images["a.png"])
    assert program("verify", "-", input=coded.stdout).returncode == 0
    broken = program("decode", "-", "-o", "-", input=coded.stdout[:-1])
    assert (broken.returncode, broken.stdout) == (1, b"")


def shell(line: str, folder: Path, **environment: str) -> tuple[int, str, str]:
    """Status and output of a line for bash, where $CALOTYPE is the program."""
    program = f"{sys.executable} -m calotype"
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder,
        env=os.environ | {"CALOTYPE": program, "PYTHONUNBUFFERED": ""} | environment, capture_output=True,
        text=True, timeout=SOON,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("$CALOTYPE encode - -m toy <&-", "standard input is closed"),
        ("$CALOTYPE encode in/a.png -o - -m toy >&-", "standard output"),
        ("$CALOTYPE encode in/a.png -o - -m toy >/dev/full", "standard output: No space left on device"),
        ("$CALOTYPE models --json >/dev/full", "standard output: No space left on device"),
        ("set -o pipefail; $CALOTYPE encode in/a.png -o - -m toy | true", "standard output: Broken pipe"),
        ("set -o pipefail; $CALOTYPE models | true", "standard output: Broken pipe"),
    ],
)
def test_streams_that_are_closed_or_full(tmp_path: Path, images: dict[str, np.ndarray], line: str, words: str) -> None:
    if "/dev/full" in line and not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    status, _, err = shell(line, tmp_path)
    assert status == 1
    (said,) = err.splitlines()
    assert said.startswith("calotype: error: ")
    assert words in said


def test_names_that_a_terminal_cannot_show(tmp_path: Path, images: dict[str, np.ndarray]) -> None:
    assert shell("$CALOTYPE encode in/a.png -o é.calo -m toy", tmp_path, PYTHONIOENCODING="ascii")[0] == 0
    status, out, err = shell("$CALOTYPE verify é.calo", tmp_path, PYTHONIOENCODING="ascii")
    assert (status, out, err) == (0, "\\xe9.calo: good, 11x9 RGB\n", "")


def test_shells_complete_models(tmp_path: Path) -> None:
    words = {"_CALOTYPE_COMPLETE": "complete_bash", "COMP_WORDS": "calotype encode -m deflate.c", "COMP_CWORD": "3"}
    assert shell("$CALOTYPE", tmp_path, **words)[:2] == (0, f"{MODEL}\n")


def test_a_bar_counts_the_tiles_of_a_large_image(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calotype.cli.batch._is_terminal", lambda: True)
    heard = []
    monkeypatch.setattr("rich.progress.Progress.update", lambda self, task, **count: heard.append(count))
    for width in (1024, 2100):
        Pillow.fromarray(np.zeros((2, width), np.uint8)).save(f"{width}.png")
        assert run("encode", f"{width}.png", "--lossless", "-e", 1, "-T", 1).status == 0
        assert run("decode", f"{width}.calo", "-o", f"{width}.tif", "-T", 1).status == 0
    assert heard[:4] == [{"completed": done, "total": 3} for done in range(4)]


def test_nothing_binary_goes_to_a_terminal(tmp_path: Path, images: dict[str, np.ndarray]) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    try:
        result = subprocess.run(
            [*PROGRAM, "encode", "in/a.png", "-o", "-", "-m", MODEL],
            stdout=theirs, stderr=subprocess.PIPE, cwd=tmp_path, timeout=SOON,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    assert result.returncode == 2
    assert b"terminal" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(tmp_path: Path, images: dict[str, np.ndarray], number: int) -> None:
    """The file is stopped between its last byte and its name."""
    code = (
        "import os, time, sys, calotype.io.files as files\n"
        "def slow(*_):\n    print('writing', flush=True)\n    time.sleep(3600)\n"
        "files._rename = slow\n"
        "from calotype.cli.app import main\n"
        f"main(['encode', 'in/a.png', '-o', 'a.calo', '-m', '{MODEL}'])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    assert len(os.listdir(tmp_path)) == 2
    process.send_signal(number)
    _, err = process.communicate(timeout=SOON)
    assert process.returncode == 128 + number
    assert err == b"calotype: interrupted\n"
    assert os.listdir(tmp_path) == ["in"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_an_interrupt_waits_for_no_thread(tmp_path: Path, number: int, threads: str) -> None:
    """Tiles are being coded, by code that does not hear of interrupts."""
    Pillow.fromarray(np.zeros((2, 2100), np.uint8)).save(tmp_path / "a.png")
    code = (
        "import contextlib, time\n"
        "from calotype.codecs.prism import codec\n"
        "def deaf(*_):\n"
        "    print('coding', flush=True)\n"
        "    while True:\n"
        "        with contextlib.suppress(BaseException):\n"
        "            time.sleep(3600)\n"
        "codec._code_tile = deaf\n"
        "from calotype.cli.app import main\n"
        f"main(['encode', 'a.png', '--lossless', '-T', '{threads}'])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"coding\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=SOON)
    assert (process.returncode, err) == (128 + number, b"calotype: interrupted\n")
    assert os.listdir(tmp_path) == ["a.png"]


def test_an_interrupt_of_the_imports(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "class Slow:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Slow())\n"
        "import runpy\n"
        "runpy.run_module('calotype', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=SOON)
    assert (done.returncode, done.stderr) == (130, b"calotype: interrupted\n")


def test_views_become_one_file_and_several_again(run: Run, texture: Callable[..., np.ndarray]) -> None:
    arrays = [texture(12, 10, 3, seed) for seed in range(4)]
    for number, pixels in enumerate(arrays):
        Pillow.fromarray(pixels).save(f"v{number}.png")
    assert run("encode", "v0.png", "v1.png", "--views", "-o", "pair.calo", "-m", "toy").status == 0
    assert calotype.info(Path("pair.calo").read_bytes()).views == (2,)
    result = run("decode", "pair.calo", "-o", "out.png")
    assert result.status == 0
    assert not Path("out.png").exists()
    for number in range(2):
        np.testing.assert_array_equal(np.asarray(Pillow.open(f"out.{number}.png")), arrays[number])
    assert "out.0.png exists" in error_line(run("decode", "pair.calo", "-o", "out.png"))
    assert run("decode", "pair.calo", "-o", "right.png", "--view", 1).status == 0
    np.testing.assert_array_equal(np.asarray(Pillow.open("right.png")), arrays[1])
    assert "no view 2" in error_line(run("decode", "pair.calo", "-o", "x.png", "--view", 2))
    assert "--view" in error_line(run("decode", "pair.calo", "-o", "-"))

    assert run("encode", *(f"v{n}.png" for n in range(4)), "--views", "--view-rows", 2, "-m", "toy").status == 0
    assert calotype.info(Path("v0.calo").read_bytes()).views == (2, 2)
    assert run("decode", "v0.calo", "-o", "field.png").status == 0
    np.testing.assert_array_equal(np.asarray(Pillow.open("field.1.0.png")), arrays[2])
    refused = run("encode", "v0.png", "v1.png", "--views", "-o", "x.calo")
    assert refused.status == 1
    assert "does not take images with views (2,)" in error_line(refused)
    assert run("encode", "v0.png", "--view-rows", 1).status == 2


def test_layers_and_cut_files(run: Run, images: dict[str, np.ndarray]) -> None:
    assert run("encode", "in/a.png", "-o", "a.calo", "-m", "toy").status == 0
    data = Path("a.calo").read_bytes()
    first = calotype.decode(data, layers=1)
    for number, arguments in enumerate((["--layers", 1], ["--max-bytes", len(data) - 1])):
        assert run("decode", "a.calo", "-o", f"{number}.png", *arguments).status == 0
        np.testing.assert_array_equal(np.asarray(Pillow.open(f"{number}.png")), first)
    Path("cut.calo").write_bytes(data[:-1])
    result = run("decode", "cut.calo", "-o", "cut.png")
    assert result.status == 0
    note, _ = result.err.splitlines()
    assert note.startswith("calotype: note: cut.calo: the file is cut off")
    np.testing.assert_array_equal(np.asarray(Pillow.open("cut.png")), first)
    (record,) = run("decode", "cut.calo", "-o", "cut.png", "-f", "--json").objects
    assert len(record["notes"]) == 1
    for file in ("a", "cut"):
        asked = run("decode", f"{file}.calo", "-o", f"{file}-base.png", "--base")
        assert (asked.status, "note" in asked.err) == (0, False)
        np.testing.assert_array_equal(np.asarray(Pillow.open(f"{file}-base.png")), first)
    assert "only one of layers and base" in error_line(run("decode", "a.calo", "-o", "x.png", "--base", "--layers", 1))
    assert "layers:   2: " in run("info", "a.calo").out

    assert run("encode", "in/a.png", "-o", "b.calo", "-m", MODEL).status == 0
    Path("cut.calo").write_bytes(Path("b.calo").read_bytes()[:-1])
    assert "cut off" in error_line(run("decode", "cut.calo", "-o", "x.png"))
    assert f"{MODEL} takes no layers" in error_line(run("decode", "b.calo", "-o", "x.png", "--layers", 1))
    assert f"{MODEL} takes no base; leave it out" in error_line(run("decode", "b.calo", "-o", "x.png", "--base"))


def test_existing_views_are_skipped(run: Run, texture: Callable[..., np.ndarray]) -> None:
    for number in range(2):
        Pillow.fromarray(texture(12, 10, 3, number)).save(f"v{number}.png")
    assert run("encode", "v0.png", "v1.png", "--views", "-o", "pair.calo", "-m", "toy").status == 0
    Path("pair.png").write_bytes(b"something else")
    assert run("decode", "pair.calo", "-n").status == 0
    assert Path("pair.1.png").exists()
    Path("pair.1.png").unlink()
    (record,) = run("decode", "pair.calo", "-n", "--json").objects
    assert Path("pair.1.png").exists()
    assert record["output"] != "pair.png"
    assert "skipped" in run("decode", "pair.calo", "-n").err
    Path("more").mkdir()
    Path("v1.png").rename("more/v1.png")
    Path("v0.png").rename("more/v0.png")
    Path("all").mkdir()
    Path("more").rename("all/more")
    assert run("encode", "all", "-r", "--views", "-o", "deep.calo", "-m", "toy").status == 0
    assert calotype.info(Path("deep.calo").read_bytes()).views == (2,)


def test_an_empty_argument_is_no_folder(run: Run, images: dict[str, np.ndarray]) -> None:
    for verb in ("encode", "decode"):
        result = run(verb, "", "-o", "out")
        assert result.status == 2
        assert "an input is empty" in error_line(result)


def test_a_cut_file_is_not_good(run: Run, images: dict[str, np.ndarray]) -> None:
    assert run("encode", "in/a.png", "-o", "a.calo", "-m", "toy").status == 0
    Path("cut.calo").write_bytes(Path("a.calo").read_bytes()[:-1])
    result = run("verify", "cut.calo")
    assert result.status == 1
    assert "cut.calo" in error_line(result)


def test_what_became_lossless_is_said(run: Run) -> None:
    Pillow.fromarray((255 * (np.indices((64, 64)).sum(0) % 2)).astype(np.uint8)).save("checker.png")
    (record,) = run("encode", "checker.png", "-o", "c.calo", "-q", 30, "--json").objects
    assert record["model"] == calotype.info(Path("c.calo").read_bytes()).model
    assert "without loss" in str(record["notes"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of Unix")
@pytest.mark.parametrize("more", [[], ["-f"]], ids=str)
def test_a_named_pipe_is_read_once(run: Run, images: dict[str, np.ndarray], tmp_path: Path, more: list[str]) -> None:
    """What was looked at is gone from it, and it has no beginning to go back to."""
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    data = (tmp_path / "in/a.png").read_bytes()
    threading.Thread(target=pipe.write_bytes, args=(data,), daemon=True).start()
    assert run("encode", pipe, "-o", "a.calo", "--lossless", *more).status == 0
    np.testing.assert_array_equal(calotype.decode((tmp_path / "a.calo").read_bytes()), images["a.png"])
