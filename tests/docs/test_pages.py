"""README and docs/: short enough, linked well, and true about commands, flags, rooms and code."""

from __future__ import annotations

import copy
import inspect
import itertools
import linecache
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pages import (
    ROOT,
    Page,
    broken_links,
    every_option,
    is_flag,
    pages,
    unknown_words,
)

from zebfast import rules
from zebfast.selfplay import play_values

README = Page(ROOT / "README.md")
EXTENDING = Page(ROOT / "docs" / "extending.md")
PAGES = pages()


def test_the_first_page_is_short() -> None:
    assert len(README.text.splitlines()) < 250


def test_links_and_anchors_hold() -> None:
    assert [broken for page in PAGES for broken in broken_links(page)] == []


def test_broken_links_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.ROOT", tmp_path)
    page = Page(tmp_path / "a.md")
    page.path.write_text(
        "# One two\n\n[here](#one-two) [x](b.md) [gone](#three) [site](https://example.org/y)\n"
        "```\n# no heading\n[no link](c.md)\n```\n[b](a.md#no-heading) `[code](d.md)`\n"
    )
    assert broken_links(page) == ["a.md: b.md", "a.md: #three", "a.md: a.md#no-heading"]


def test_every_page_is_in_the_list_of_pages() -> None:
    index = Page(ROOT / "docs" / "index.md").text
    listed = re.findall(r"^[a-z-]+$", index, re.MULTILINE)
    assert sorted(listed) == sorted({p.stem for p in (ROOT / "docs").glob("*.md")} - {"index"})


def test_the_rooms_of_the_readme_are_the_enforced_ones() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    enforced = [name for layer in reversed(layers) for name in re.findall(r"\w+", layer)]
    listed = re.findall(r"^\| `zebfast/(\w+)/` \|", README.text, re.MULTILINE)
    assert sorted(listed) == sorted(enforced)
    order = {name: number for number, name in enumerate(enforced)}
    beside = [re.findall(r"\w+", layer) for layer in layers]
    for above, below in itertools.pairwise(listed):
        assert order[above] < order[below] or any({above, below} <= set(names) for names in beside)


def test_code_that_links_name_is_in_the_file() -> None:
    """`Class.method` as the text of a link to a source file: the file defines the last of it."""
    named = [
        (page.path.parent / found[2], found[1])
        for page in PAGES
        for found in re.finditer(r"\[`([\w.]+)`\]\((\.\./[^)]+\.(?:py|pxd|c|h))\)", page.text)
    ]
    assert len(named) > 20
    wrong = [
        f"{path.name}: {name}"
        for path, name in named
        if not re.search(rf"\b{name.rpartition('.')[2]}\b", path.read_text())
    ]
    assert wrong == []


def test_commands_and_flags_exist() -> None:
    wrong = [
        f"{page.name}: {line!r}: {words}"
        for page in PAGES
        for line in page.command_lines
        if (words := unknown_words(line))
    ]
    assert wrong == []


def test_wrong_commands_are_found() -> None:
    assert unknown_words("zebfast eval zeb vs random --n-games 20 --json") == []
    assert unknown_words("zebfast experiment create|learn|status NAME") == []
    assert unknown_words("zebfast experiment create|forget NAME") == ["experiment forget NAME"]
    assert unknown_words("zebfast evaluate zeb vs random") == ["evaluate zeb vs random"]
    assert unknown_words("zebfast-learn --repo-id run --no-amp --lrs 3") == ["--lrs"]
    assert unknown_words("zebfast fleet up big -n 2 -- --n-samples 5 --n-sample 5") == [
        "--n-sample"
    ]


def test_flags_named_in_the_text_exist() -> None:
    known = every_option()
    others = {"--check"}  # of the writers in tools/
    wrong = []
    for page in PAGES:
        for piece in page.code:
            words = piece.replace(r"\|", "|").split()
            if words and words[0].startswith("-") and not words[0].startswith("--benchmark"):
                flags = [flag for word in words if is_flag(word) for flag in word.split("/")]
                wrong += [f"{page.name}: {flag}" for flag in flags if flag not in known | others]
    assert wrong == []


def test_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        line.split()[1]
        for page in PAGES
        for line in page.command_lines
        if line.startswith("make ") and line.split()[1:]
    }
    assert named - targets == set()
    assert {"demo", "test"} <= named


def run(page: Page) -> dict[str, Any]:
    """The names that a page's blocks of Python leave, one after another, as if typed in."""
    names: dict[str, Any] = {"__name__": "__page__"}
    for number, block in enumerate(page.blocks("python"), 1):
        where = f"{page.name}, block {number}"
        linecache.cache[where] = (len(block), None, block.splitlines(True), where)  # tracebacks
        exec(compile(block, where, "exec"), names)
    return names


#: Libraries without which a page's code is not run.
NEEDED = {
    "environments.md": ("pettingzoo", "gymnasium"),
    "openspiel.md": ("pyspiel",),
    "policies.md": ("numba",),
}


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.blocks("python") and p != EXTENDING], ids=lambda p: p.name
)
def test_python_of_the_pages_runs(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_torch_thread: None
) -> None:
    for library in NEEDED.get(page.path.name, ()):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    assert run(page)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The names that the code of the page on extending leaves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("extending"))
        return run(EXTENDING)


def test_what_is_added_by_way_of_example_fits(extended: dict[str, Any]) -> None:
    """The classes of the page on extending are what the protocols ask for."""
    from zebfast.arena.players.base import Player
    from zebfast.exchange.store import ExampleStore
    from zebfast.fleet.provider import Provider
    from zebfast.selfplay.groups import BatchEvaluator
    from zebfast.worker.producer import Producer

    made = {
        Player: extended["Highest"],
        BatchEvaluator: extended["LikesLow"],
        Producer: extended["RandomGames"],
        ExampleStore: extended["MemoryExamples"],
        Provider: extended["Shelf"],
    }
    for protocol, kind in made.items():
        for name, member in vars(protocol).items():
            if not name.startswith("_") and callable(member):
                wanted = inspect.signature(member).parameters.keys()
                assert inspect.signature(getattr(kind, name)).parameters.keys() == wanted, name
    assert extended["result"].win_rate > 0.5
    assert len(extended["store"].files) == 1
    assert [machine.id for machine in extended["shelf"].machines("zeb-big-selfplay")] == ["a"]


def test_the_teacher_of_the_page_knows_the_exact_values(extended: dict[str, Any]) -> None:
    """Its labels are what an exhaustive search by the slow rules finds, where that is short."""
    game = extended["games"][0]
    position = rules.Position(game["hands"].tolist(), int(game["decl"]), int(game["leader"]))
    labelled = 0
    for ply, domino in enumerate(game["plays"].tolist()):
        legal = position.legal()
        row = game["policy"][ply]
        assert (row != 0).sum() == (len(legal) if ply >= 12 and len(legal) > 1 else 0)
        if ply >= 20 and len(legal) > 1:
            labelled += 1
            seat = position.to_play
            slots = {d: slot for slot, d in enumerate(game["hands"][seat].tolist())}
            for play in legal:
                points, _ = play_values.unpack(row[[slots[play]]])
                assert points[0] == best_points(position, play, seat % 2)
        position.play(domino)
    assert labelled


def best_points(position: rules.Position, play: int, team: int) -> int:
    """Final points of a team when this is played and all four then play their best."""
    after = copy.deepcopy(position)
    after.play(play)
    if after.over:
        return int(after.points[team])
    found = [best_points(after, each, team) for each in after.legal()]
    return max(found) if after.to_play % 2 == team else min(found)
