from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

import calotype
from calotype.cli import app

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
def pictures(tmp_path: Path, picture: Callable[..., np.ndarray]) -> dict[str, np.ndarray]:
    """Three pictures in the folder `in`, beside a file that is none."""
    (tmp_path / "in").mkdir()
    arrays = {"a.png": picture(9, 11, 3), "b.png": picture(7, 5, 1)[..., 0], "c.png": picture(6, 8, 4)}
    for name, pixels in arrays.items():
        Pillow.fromarray(pixels).save(tmp_path / "in" / name, xmp=b"<x/>", pnginfo=None)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    return arrays


def error_line(result: Result) -> str:
    """The only line on stderr."""
    (line,) = result.err.splitlines()
    assert line.startswith("calotype: error: ")
    return line


def test_there_and_back(run: Run, pictures: dict[str, np.ndarray]) -> None:
    result = run("encode", "in/a.png", "-o", "a.calo", "-q", 100, "-m", MODEL)
    assert (result.status, result.out) == (0, "")
    assert "bpp" in result.err
    assert run("decode", "a.calo", "-o", "a.png").status == 0
    np.testing.assert_array_equal(np.asarray(Pillow.open("a.png")), pictures["a.png"])
    assert run("decode", "a.calo", "-o", "part.tif", "--region", "2,3,4,5").status == 0
    np.testing.assert_array_equal(np.asarray(Pillow.open("part.tif")), pictures["a.png"][3:8, 2:6])


def test_json_of_encode_and_decode(run: Run, pictures: dict[str, np.ndarray]) -> None:
    (record,) = run("encode", "in/a.png", "-o", "a.calo", "-m", MODEL, "--json").objects
    size = os.path.getsize("a.calo")
    assert record["input"] == "in/a.png"
    assert record["output"] == "a.calo"
    assert (record["bytes"], record["width"], record["height"]) == (size, 11, 9)
    assert record["bpp"] == pytest.approx(8 * size / 99, abs=1e-6)
    assert record["seconds"] > 0
    (record,) = run("decode", "a.calo", "--json").objects
    assert (record["output"], record["bytes"]) == ("a.png", size)


def test_default_outputs_lie_beside_the_inputs(run: Run, pictures: dict[str, np.ndarray]) -> None:
    assert run("encode", "in/a.png", "-m", MODEL).status == 0
    assert Path("in/a.calo").is_file()
    assert run("decode", "in/a.calo").status == 1  # in/a.png is there
    Path("in/a.png").unlink()
    assert run("decode", "in/a.calo").status == 0
    assert Path("in/a.png").is_file()


def test_a_folder(run: Run, pictures: dict[str, np.ndarray]) -> None:
    result = run("encode", "in", "-o", "out", "-q", 100, "-m", MODEL, "--json")
    assert result.status == 0
    assert [record["output"] for record in result.objects] == [f"out/{name}.calo" for name in "abc"]
    assert run("decode", "out", "-o", "back").status == 0
    for name, pixels in pictures.items():
        np.testing.assert_array_equal(np.asarray(Pillow.open(f"back/{name}")), pixels)
    assert sorted(os.listdir("back")) == ["a.png", "b.png", "c.png"]


def test_one_input_into_a_folder(run: Run, pictures: dict[str, np.ndarray]) -> None:
    Path("out").mkdir()
    assert run("encode", "in/a.png", "-o", "out", "-m", MODEL).status == 0
    assert run("encode", "in/b.png", "-o", "new/", "-m", MODEL).status == 0
    assert Path("out/a.calo").is_file()
    assert Path("new/b.calo").is_file()


def test_one_failure_does_not_stop_the_others(run: Run, pictures: dict[str, np.ndarray]) -> None:
    Path("in/b.png").write_bytes(b"broken")
    result = run("encode", "in/a.png", "in/b.png", "in/c.png", "-o", "out", "-m", MODEL, "--json")
    assert result.status == 1
    assert sorted(os.listdir("out")) == ["a.calo", "c.calo"]
    assert [record["input"] for record in result.objects] == ["in/a.png", "in/b.png", "in/c.png"]
    assert "picture" in str(result.objects[1]["error"])
    assert "in/b.png" in error_line(result)


def test_equal_stems_are_refused_before_anything_is_done(run: Run, pictures: dict[str, np.ndarray]) -> None:
    Path("other").mkdir()
    Path("other/a.jpg").write_bytes(Path("in/a.png").read_bytes())
    result = run("encode", "in/a.png", "in/c.png", "other/a.jpg", "-o", "out", "-m", MODEL)
    assert result.status == 2
    assert "both become out/a.calo" in error_line(result)
    assert not list(Path("out").glob("*"))


def test_nothing_is_overwritten_without_f(run: Run, pictures: dict[str, np.ndarray]) -> None:
    Path("a.calo").write_bytes(b"mine")
    result = run("encode", "in/a.png", "-o", "a.calo", "-m", MODEL)
    assert result.status == 1
    assert "a.calo exists; add -f" in error_line(result)
    assert Path("a.calo").read_bytes() == b"mine"
    assert run("encode", "in/a.png", "-o", "a.calo", "-m", MODEL, "-f").status == 0
    assert run("info", "a.calo").status == 0


@pytest.mark.parametrize("file", ["a.png", "a.calo"])
def test_failures_leave_no_output(run: Run, pictures: dict[str, np.ndarray], file: str) -> None:
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
        (["decode", "a.calo", "-o", "nowhere/b.png"], 1, "nowhere"),
        (["decode", "in/a.png", "-o", "b.png"], 1, "not a Calotype file"),
        (["decode", "missing.calo"], 1, "missing.calo: No such file"),
        (["decode", "a.calo", "-o", "b.png", "--max-pixels", "98"], 1, "limit of 98"),
        (["encode", "in/a.png", "-o", "b.calo", "--max-pixels", "98", "-m", MODEL], 1, "limit of 98"),
        (["encode", "in/a.png", "-o", "b.calo", "-m", "vae.nonsense"], 1, "calotype models"),
        (["encode", "in/a.png", "-o", "b.calo", "-m", MODEL, "--target-size", "9"], 1, "above 9"),
        (["encode", "in/a.png", "-o", "b.calo", "--lossless", "-q", "50"], 2, "lossless files have no quality"),
        (["encode", "in/a.png", "-o", "b.calo", "--lossless", "-m", "vae.swift"], 1, "vae.swift is not lossless"),
        (["encode", "in/a.png", "-o", "b.calo", "-m", "vae.swift", "-e", "5"], 1, "effort"),
        (["encode", "in/a.png", "-o", "b.calo", "--lossless", "-e", "10"], 2, "range 1<=x<=9"),
        (["encode", "in/a.png", "-o", "b.calo", "--lossless", "--target-size", "9"], 1, "above 9"),
        (["verify", "in/a.png"], 1, "not a Calotype file"),
        (["info", "in/a.png"], 1, "not a Calotype file"),
        (["compare", "in/a.png", "in/b.png"], 1, "cannot compare 11x9 RGB of 8 bits with 5x7 L"),
        (["compare", "in/a.png", "missing.png"], 1, "missing.png"),
    ],
)
def test_errors_are_one_line_with_their_status(
    run: Run, pictures: dict[str, np.ndarray], arguments: list[str], status: int, words: str
) -> None:
    run("encode", "in/a.png", "-o", "a.calo", "-m", MODEL)
    Path("empty").mkdir()
    before = set(os.listdir())
    result = run(*arguments)
    assert result.status == status
    assert words in error_line(result)
    assert result.out == ""
    assert set(os.listdir()) == before


def test_targets(run: Run, pictures: dict[str, np.ndarray]) -> None:
    assert run("encode", "in/a.png", "-o", "a.calo", "-m", MODEL, "--target-size", 250).status == 0
    assert 150 < os.path.getsize("a.calo") <= 250
    assert run("encode", "in/a.png", "-o", "b.calo", "-m", MODEL, "--target-bpp", 20).status == 0
    assert 150 < os.path.getsize("b.calo") <= 20 * 99 / 8


def test_lossless_keeps_every_pixel(run: Run, pictures: dict[str, np.ndarray]) -> None:
    deep = np.arange(60, dtype=np.uint16).reshape(6, 10) * 1000
    Pillow.fromarray(deep).save("in/d.png")
    for options in ([], ["-e", "1"], ["-e", "7", "-T", "2"]):
        assert run("encode", "in", "-o", "out", "-f", "--lossless", *options).status == 0
        assert run("decode", "out", "-o", "back", "-f").status == 0
        for name, pixels in {**pictures, "d.png": deep}.items():
            with Pillow.open(Path("back") / name) as back:
                np.testing.assert_array_equal(np.asarray(back), pixels)


def test_metadata_stays_unless_stripped(run: Run, pictures: dict[str, np.ndarray]) -> None:
    calotype.write("in/a.png", calotype.Image(pictures["a.png"], metadata=calotype.Metadata(xmp=b"<x/>")))
    run("encode", "in/a.png", "-o", "a.calo", "-m", MODEL)
    run("decode", "a.calo", "-o", "a.png")
    assert Pillow.open("a.png").info["xmp"] == b"<x/>"
    run("encode", "in/a.png", "-o", "b.calo", "-m", MODEL, "--strip")
    run("decode", "b.calo", "-o", "b.png")
    assert "xmp" not in Pillow.open("b.png").info


def test_info(run: Run, pictures: dict[str, np.ndarray]) -> None:
    run("encode", "in/c.png", "-o", "c.calo", "-m", MODEL)
    (record,) = run("info", "c.calo", "--json").objects
    assert {"input", "output", "bytes", "width", "height", "bpp", "seconds"} <= set(record)
    assert (record["model"], record["mode"], record["bytes"]) == (MODEL, "RGBA", os.path.getsize("c.calo"))
    text = run("info", "c.calo").out
    assert MODEL in text
    assert "8x6 RGBA, 8 bits" in text


def test_verify(run: Run, pictures: dict[str, np.ndarray]) -> None:
    run("encode", "in/a.png", "-o", "a.calo", "-m", MODEL)
    result = run("verify", "a.calo")
    assert (result.status, result.out) == (0, "a.calo: good, 11x9 RGB\n")
    assert sorted(os.listdir()) == ["a.calo", "in"]


def test_models(run: Run) -> None:
    assert MODEL in run("models").out
    names = {record["name"]: record for record in run("models", "--json").objects}
    assert names[MODEL]["digest"] == "a68b412c"
    assert names[MODEL]["default"] is False


def test_compare(run: Run, picture: Callable[..., np.ndarray]) -> None:
    pixels = picture(170, 180, 3)
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
    run: Run, pictures: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
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


def test_pipes(tmp_path: Path, pictures: dict[str, np.ndarray]) -> None:
    data = (tmp_path / "in" / "a.png").read_bytes()
    coded = program("encode", "-", "-q", "100", "-m", MODEL, input=data)
    assert coded.returncode == 0
    back = program("decode", "-", "-o", "-", input=coded.stdout)
    import io

    np.testing.assert_array_equal(np.asarray(Pillow.open(io.BytesIO(back.stdout))), pictures["a.png"])
    assert program("verify", "-", input=coded.stdout).returncode == 0
    broken = program("decode", "-", "-o", "-", input=coded.stdout[:-1])
    assert (broken.returncode, broken.stdout) == (1, b"")


def test_nothing_binary_goes_to_a_terminal(tmp_path: Path, pictures: dict[str, np.ndarray]) -> None:
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
def test_an_interrupt_leaves_nothing(tmp_path: Path, pictures: dict[str, np.ndarray], number: int) -> None:
    """The file is stopped between its last byte and its name."""
    code = (
        "import os, time, sys, calotype.io as io\n"
        "def slow(*_):\n    print('writing', flush=True)\n    time.sleep(3600)\n"
        "io._rename = slow\n"
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
    assert b"Traceback" not in err
    assert os.listdir(tmp_path) == ["in"]


def test_views_become_one_file_and_several_again(run: Run, picture: Callable[..., np.ndarray]) -> None:
    arrays = [picture(12, 10, 3, seed) for seed in range(4)]
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


def test_layers_and_cut_files(run: Run, pictures: dict[str, np.ndarray]) -> None:
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

    assert run("encode", "in/a.png", "-o", "b.calo", "-m", MODEL).status == 0
    Path("cut.calo").write_bytes(Path("b.calo").read_bytes()[:-1])
    assert "cut off" in error_line(run("decode", "cut.calo", "-o", "x.png"))
    assert f"{MODEL} takes no layers" in error_line(run("decode", "b.calo", "-o", "x.png", "--layers", 1))
