"""The pictures of the docs, made by the pages that they show: `make pictures`."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from boards import MadeRun, dashboard
from browser import open_browser
from tables import HERE, Site, serving

from zebfast.arena.analysis.read import read_games
from zebfast.rules import RuleSet
from zebfast.web.play.table import Seat, Table, imported

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
SEATS = (Seat("Ann"), *(Seat(name, "heuristic2") for name in ("West", "North", "East")))
COLORS = 160  # of a picture: enough for the gold on a domino, and few bytes


def _kept(browser: Any, name: str) -> None:
    from PIL import Image

    picture = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    picture.quantize(COLORS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
        FOLDER / f"{name}.png", optimize=True
    )


def _table(site: Site, **more: Any) -> str:
    """A table in the second trick of a hand of always the same dominoes, its person to play."""
    table = Table.new(RuleSet(), SEATS, pace="slow", hints=True, now=1.0)
    table = replace(table, seed=42, **more)
    table.game = type(table.game)(RuleSet(), shaker=3)
    table._deal()
    while not (  # so that there is something to be seen
        table.game.phase == "play" and table.game.seat == 0 and len(table.game.trick) == 3
    ):
        seat = table.game.seat
        assert seat is not None
        if table.game.phase == "call":
            table.act(seat, 30 if seat == 1 else 0)
        elif table.game.phase == "declare":
            table.act(seat, table.game.legal_declarations()[-3])
        else:
            table.act(seat, table.game.legal_plays()[-1])
    site.room._tables[table.id] = type(site.room.find(site.new()))(table)
    return table.id


def test_pictures_of_the_pages(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not request.config.getoption("--renew-pictures"):
        pytest.skip("pictures are made by make pictures")
    import time

    FOLDER.mkdir(exist_ok=True)
    with (
        serving(tmp_path / "state") as site,
        open_browser(tmp_path / "desk", width=1180, height=800) as desk,
    ):
        desk.get(site.address)
        table = _table(site)
        desk.get(f"http://127.0.0.1:{site.port}/table/{table}")
        time.sleep(1)
        _kept(desk, "table")
        desk.execute_script("document.getElementById('hint').click()")
        time.sleep(2)
        desk.execute_script(
            "document.querySelector('#hints details').open = true;"
            "document.getElementById('ask').scrollIntoView({block: 'start'})"
        )
        _kept(desk, "hints")
        game = read_games((Path(__file__).parent / "game.txt").read_text(encoding="utf-8"))[0]
        seats = tuple(Seat(name) for name in ("Ann", "West", "North", "East"))
        back = replace(imported(game), seats=seats)
        site.room._tables[back.id] = type(site.room.find(table))(back)
        desk.get(f"http://127.0.0.1:{site.port}/review/{back.id}?hand=1")
        time.sleep(8)
        _kept(desk, "review")
    with (
        serving(tmp_path / "state") as site,
        open_browser(tmp_path / "phone", width=390, height=800, touch=True) as phone,
    ):
        media = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
        phone.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        phone.get(site.address)
        assert site.new(HERE, HERE, HERE, HERE)
        phone.get(f"http://127.0.0.1:{site.port}/table/{_table(site)}")
        time.sleep(1)
        _kept(phone, "phone")
    monkeypatch.chdir(tmp_path)  # whose name is nobody's business
    run = MadeRun(Path(), "hour")
    run.train(700)
    run.work(120, failed=1)
    run.publish(120)
    run.rent(120)
    run.meet("HF transient error (attempt 1/4): connection reset by peer")
    with (
        run.led(),
        dashboard(Path()) as board,
        open_browser(tmp_path / "desk", width=1180, height=1180) as desk,
    ):
        desk.get(board.address("/run/hour"))
        time.sleep(2)
        _kept(desk, "dashboard")
