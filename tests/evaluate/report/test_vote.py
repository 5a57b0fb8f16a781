"""The page for votes: fair pairs, no names, and votes that count as the command line counts them."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("plotly")
pytest.importorskip("scipy")

from calotype.evaluate.report.html import pages
from calotype.evaluate.report.vote import PAGE, standings_table, trials, vote_page
from calotype.evaluate.tables.folder import ROWS, load_bench
from calotype.evaluate.tables.votes import read_votes, standings
from tests.evaluate.report.browsing import wait

RATE = 2.5  # bpp


def shown(codec: str, size: int, quality: float = 1) -> dict[str, Any]:
    file = {"quality": quality, "bytes": size, "bpp": size / 1000, "file": f"{codec}.webp"}
    return {"codec": codec, "title": codec} | file


def image(*coded: dict[str, Any]) -> dict[str, Any]:
    original = {"codec": "original", "title": "Original", "quality": None, "file": "o.webp"}
    return {"set": "s", "name": "i", "width": 8, "height": 9, "shown": [original, *coded]}


def test_pairs_are_those_of_about_equal_bytes_and_the_rate() -> None:
    a, b = [shown("a", size, size) for size in (400, 700, 1000, 4000)], [shown("b", size, size) for size in (720, 1300)]
    (found,) = trials([image(*a, *b)], 1.0)
    assert [(one["codec"], one["bytes"]) for one in found["shown"]] == [("a", 700), ("b", 720)]
    assert (found["original"], found["width"], found["height"]) == ("o.webp", 8, 9)
    assert trials([image(*a, *b)], 8.0) == []  # only one codec has files there
    assert trials([image(shown("a", 1000), shown("b", 1101))], 1.0) == []
    assert len(trials([image(shown("a", 1000), shown("b", 1099), shown("c", 1050))] * 2, 1.0)) == 6


def test_of_equally_near_sizes_the_one_at_the_rate_counts() -> None:
    both = [shown(codec, size, size) for codec in "ab" for size in (600, 1010, 1900)]
    (found,) = trials([image(*both)], 1.0)
    assert [one["bytes"] for one in found["shown"]] == [1010, 1010]


def test_there_is_no_page_without_pictures(bench_folder: Path, tmp_path: Path) -> None:
    shutil.copy(bench_folder / ROWS, tmp_path)
    bare = pages(load_bench(tmp_path))
    assert bare.vote is None
    assert PAGE not in bare.report
    with_pictures = pages(load_bench(bench_folder), at=RATE)
    assert with_pictures.vote is not None
    assert f'href="{PAGE}"' in with_pictures.report


def test_a_report_writes_it_beside_itself(
    calotype_cli: Callable[..., Any], bench_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("calotype.evaluate.report.plot.plot", lambda measured, path: None)  # takes seconds
    ran = calotype_cli("report", bench_folder, "-o", tmp_path / "page.html", "--at", RATE)
    assert ran.status == 0, ran.stderr
    assert (tmp_path / PAGE).read_text() == pages(load_bench(bench_folder), folder=tmp_path, at=RATE).vote


def test_names_stay_text() -> None:
    evil = "</script><b>x</b>"
    made = vote_page(trials([image(shown(evil, 1000), shown("b", 1000))], 1.0), evil)
    assert "<b>x</b>" not in made


def test_ranks_from_the_command_line(calotype_cli: Callable[..., Any], tmp_path: Path) -> None:
    votes = [
        {"set": "s", "image": f"{k}", "codecs": ["a", "b"], "qualities": [1, 2], "better": "a" if k else None}
        for k in range(4)
    ]
    file = tmp_path / "votes.json"
    file.write_text(json.dumps({"format": "calotype-votes", "version": 1, "voter": "v", "votes": votes}))
    found = standings(read_votes([file]))
    ran = calotype_cli("votes", file)
    assert (ran.status, ran.stdout) == (0, standings_table(found) + "\n")
    assert f"| a | {found[0].elo:.0f} | {found[0].low:.0f} to {found[0].high:.0f} | 4 | 3.5 |" in ran.stdout
    lines = [json.loads(line) for line in calotype_cli("votes", file, file, "--json").stdout.splitlines()]
    assert lines == [vars(each) for each in found]
    assert calotype_cli("votes", __file__).status == 1


# --- in a browser -------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(browser: Any, bench_folder: Path, tmp_path: Path) -> list[dict[str, Any]]:
    """What the page that is open asks."""
    made = pages(load_bench(bench_folder), folder=tmp_path, at=RATE).vote
    assert made is not None
    (tmp_path / PAGE).write_text(made, encoding="utf-8")
    browser.get((tmp_path / PAGE).as_uri())
    browser.execute_script("localStorage.clear()")
    browser.refresh()
    wait(lambda: browser.execute_script("return now !== null"))
    found: list[dict[str, Any]] = browser.execute_script("return data.trials")
    return found


def _state(browser: Any) -> dict[str, Any]:
    found: dict[str, Any] = browser.execute_script("return state")
    return found


def _vote(browser: Any, how: str) -> None:
    """With a key or a button; waits for the next pictures."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    turn = browser.execute_script("return turn")
    if how.startswith("#"):
        browser.find_element(By.CSS_SELECTOR, how).click()
    else:
        browser.find_element(By.TAG_NAME, "body").send_keys(getattr(Keys, how))
    wait(lambda: browser.execute_script("return turn > arguments[0] && (now !== null || trio.hidden)", turn))


def _pictures(browser: Any) -> list[str]:
    """The files that are shown: A, the original, B."""
    sources = browser.execute_script("return PICTURES.map((picture) => picture.getAttribute('src'))")
    return [unquote(source) for source in sources]


def test_votes_by_keys_and_buttons_count_for_what_was_shown(
    browser: Any, asked: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert len(asked) > 4
    by_name = {(one["codec"], one["quality"], trial["name"]): one for trial in asked for one in trial["shown"]}
    sides = []
    for how, side in (("ARROW_LEFT", 0), ("ARROW_RIGHT", 2), ("#choose-a", 0), ("#choose-b", 2), ("ARROW_DOWN", None)):
        files = _pictures(browser)
        text = browser.find_element("id", "trio").text
        assert set(text.split()) == {"A", "Original", "B"}  # nothing tells which is which
        assert browser.execute_script("return PICTURES.every((picture) => picture.naturalWidth > 0)")
        _vote(browser, how)
        vote = _state(browser)["votes"][-1]
        assert vote["better"] in ([None] if side is None else vote["codecs"])
        if side is not None:
            quality = vote["qualities"][vote["codecs"].index(vote["better"])]
            assert unquote(by_name[vote["better"], quality, vote["image"]]["file"]) == files[side]
            sides.append(vote["left"] == vote["codecs"][0])
        assert "original" in files[1]
    assert browser.find_element("id", "count").text == f"5 of {len(asked)}"
    before = _state(browser)["votes"]
    _vote(browser, "BACKSPACE")
    assert _state(browser)["votes"] == before[:-1]
    _vote(browser, "#choose-none")
    assert {**_state(browser)["votes"][-1], "time": ""} == {**before[-1], "time": ""}  # the same was asked again


def test_votes_survive_a_reload_are_saved_and_rank_as_in_python(
    browser: Any, asked: list[dict[str, Any]], tmp_path: Path
) -> None:
    for number in range(len(asked)):
        _vote(browser, ("ARROW_LEFT", "ARROW_RIGHT", "ARROW_LEFT", "ARROW_DOWN")[number % 4])
    assert browser.find_element("id", "message").text.startswith("That was all.")
    before = _state(browser)
    browser.refresh()
    wait(lambda: browser.execute_script("return trio.hidden"))
    assert _state(browser) == before
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    browser.find_element("id", "save").click()
    file = tmp_path / f"votes-{before['voter']}.json"
    wait(file.is_file)
    votes = read_votes([file])
    assert len(votes) == len(asked)
    assert {(v.set, v.image, *v.codecs) for v in votes} == {
        (t["set"], t["name"], *(one["codec"] for one in t["shown"])) for t in asked
    }
    browser.find_element("css selector", "#standing summary").click()
    wait(lambda: browser.execute_script("return byId('ranks').rows.length"))
    rows = browser.execute_script(
        "return [...byId('ranks').rows].map((row) => [...row.cells].map((c) => c.textContent))"
    )
    found = standings(votes)
    assert {row[0]: (row[1], row[3]) for row in rows} == {
        each.codec: (f"{each.elo:.0f}", f"{each.votes}") for each in found
    }
    for row in rows:
        (each,) = [each for each in found if each.codec == row[0]]
        low, high = map(float, row[2].split(" to "))
        assert low < each.elo < high
        assert math.isclose(high - low, each.high - each.low, rel_tol=0.5)  # 200 draws there, 1000 here
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def test_a_picture_that_is_gone_is_passed_over(browser: Any, bench_folder: Path, tmp_path: Path) -> None:
    gone = image(shown("a", 1000), shown("b", 1000))
    (tmp_path / PAGE).write_text(vote_page(trials([gone], 1.0), "t"), encoding="utf-8")
    browser.get((tmp_path / PAGE).as_uri())
    wait(lambda: "could not be shown" in browser.find_element("id", "message").text)
    assert browser.execute_script("return trio.hidden && state.votes.length === 0")
    assert browser.get_log("browser")  # empties it for other tests, too
