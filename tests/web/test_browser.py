"""The pages in a real browser: by keys, by touch, after a reload, after a kill, side by side."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from boards import MadeRun, dashboard, worker_id
from browser import Tap, complaints, open_browser
from processes import Process
from tables import COMPUTER, HERE, LINK, Site, serving

SECONDS = 20.0
AXE = Path(__file__).parent / "axe" / "axe.min.js"
#: Findings that keep people out; axe-core's words.
GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("state")) as found:
        yield found


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_browser(tmp_path_factory.mktemp("desk")) as found:
        yield found


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_browser(tmp_path_factory.mktemp("phone"), width=390, height=844, touch=True) as found:
        yield found


def _wait(browser: Any, script: str, seconds: float = SECONDS) -> Any:
    """Until the script returns something true in the page."""
    ends = time.monotonic() + seconds
    while not (found := browser.execute_script(f"return {script}")):
        assert time.monotonic() < ends, (script, browser.find_element("tag name", "body").text)
        time.sleep(0.01)
    return found


#: What the page asks for: a bid or trumps, a play, the next hand, a review, or nothing yet.
ASKED = """(() => {
  const ask = document.getElementById("ask");
  if (ask.querySelector("button[data-value]")) return "choose";
  if (document.querySelector("#hand button[aria-label*='may be played']")) return "play";
  if (ask.querySelector("button[aria-keyshortcuts=n]")) return "next";
  if (ask.querySelector("a[href^='/review']") && !ask.querySelector("button")) return "over";
  return "";
})()"""
VERSION = "document.documentElement.dataset.version"


def _acted(browser: Any, act: Callable[[], object]) -> None:
    """Do something, and wait until the page shows what has become of it."""
    before = browser.execute_script(f"return {VERSION}")
    act()
    _wait(browser, f"{VERSION} !== '{before}'")


def _keys(browser: Any, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser, duration=0).send_keys(*keys).perform()


def _open(browser: Any, site: Site, table: str = "") -> None:
    browser.execute_cdp_cmd("Page.bringToFront", {})  # a page in the back lets its line go
    browser.get(site.address)
    if table:
        browser.get(f"http://127.0.0.1:{site.port}/table/{table}")
        _wait(browser, VERSION)


def _by_keyboard(browser: Any) -> bool:
    """One thing with keys alone; whether the game goes on."""
    from selenium.webdriver.common.keys import Keys

    asked = _wait(browser, ASKED)
    if asked == "over":
        return False
    if asked == "next":
        _acted(browser, lambda: _keys(browser, "n"))
    elif asked == "choose":
        bid = browser.execute_script("return !!document.querySelector('#ask [data-value=\"30\"]')")
        _acted(browser, lambda: _keys(browser, *("30" if bid else Keys.ENTER)))
    else:
        focused = "document.activeElement?.closest('#hand button[aria-label*=\"may be played\"]')"
        for _ in range(8):
            if browser.execute_script(f"return !!{focused}"):
                break
            _keys(browser, Keys.ARROW_RIGHT)
        _acted(browser, lambda: _keys(browser, Keys.ENTER))
    return True


def test_a_whole_game_by_keyboard_alone_then_its_review(desk: Any, site: Site) -> None:
    from selenium.webdriver.common.keys import Keys

    desk.get(site.address)
    _wait(desk, "document.documentElement.dataset.ready")
    desk.execute_script("document.getElementById('target').value = '2'")
    desk.execute_script("document.getElementById('pace').value = 'instant'")
    for place in (1, 2, 3):
        desk.execute_script(f"document.getElementById('player-{place}').value = 'heuristic2'")
    for _ in range(40):  # to the button, as one without a mouse gets there
        if desk.execute_script("return document.activeElement?.id") == "start":
            break
        _keys(desk, Keys.TAB)
    _keys(desk, Keys.ENTER)
    _wait(desk, "location.pathname.startsWith('/table/')")
    desk.execute_script(
        "window.heard = []; new MutationObserver(() => heard.push(document.getElementById('said')"
        ".textContent)).observe(document.getElementById('said'), {childList: true})"
    )
    while _by_keyboard(desk):
        pass
    heard = desk.execute_script("return heard")
    assert any("were led. You may play" in text for text in heard)
    assert any("Your bid" in text for text in heard)
    assert "have won the game" in desk.find_element("id", "ask").text
    for key, title in (("l", "The last trick"), ("r", "The record"), ("s", "Settings")):
        _keys(desk, key)
        _wait(desk, "document.getElementById('sheet').open")
        assert desk.find_element("id", "sheet-title").text == title
        _keys(desk, Keys.ESCAPE)
        _wait(desk, "!document.getElementById('sheet').open")
    at_once = """const sheet = document.getElementById("sheet");
        document.getElementById("record").click();
        const inside = sheet.querySelector(".scroll");
        inside.focus();
        sheet.close();  // and before the focus has left it:
        inside.dispatchEvent(new KeyboardEvent("keydown", {key: "l", bubbles: true}));
        return document.getElementById("sheet-title").textContent"""
    assert desk.execute_script(at_once) == "The last trick"
    _keys(desk, Keys.ESCAPE)
    desk.find_element("css selector", "#ask a.primary").send_keys(Keys.ENTER)
    _wait(desk, "document.documentElement.dataset.all")
    assert "Where the points came from" in desk.find_element("id", "hand").text
    assert "Luck of the deals" in desk.find_element("id", "totals").text
    desk.find_element("css selector", "#plays button[aria-expanded]").send_keys(Keys.ENTER)
    assert "without sight" in desk.find_element("id", "choices").text
    assert complaints(desk) == []


def test_a_hand_by_touch_on_a_phone_in_the_dark(phone: Any, site: Site) -> None:
    phone.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    )
    _open(phone, site, site.new())
    while (asked := _wait(phone, ASKED)) not in ("next", "over"):
        target = "#ask [data-value]" if asked == "choose" else "#hand [aria-label*='may be played']"
        _acted(phone, lambda selector=target: _touch(phone, selector))
    wide = phone.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1]
    assert complaints(phone) == []


def _touch(browser: Any, selector: str) -> None:
    place = browser.execute_script(
        "const e = document.querySelector(arguments[0]); e.scrollIntoView({block: 'center'});"
        "const b = e.getBoundingClientRect();"
        "return [b.x + b.width / 2, b.y + b.height / 2, b.height]",
        selector,
    )
    assert place[2] >= 24  # a finger's room
    point = [{"x": place[0], "y": place[1]}]
    for kind, points in (("touchStart", point), ("touchEnd", [])):
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_a_reload_in_mid_trick_shows_the_same_and_two_windows_agree(desk: Any, site: Site) -> None:
    table = site.new(COMPUTER, COMPUTER, HERE, COMPUTER)
    _open(desk, site, table)
    while _wait(desk, ASKED) != "play" or not desk.find_elements("css selector", ".spot"):
        assert _by_keyboard(desk)
    shown = [desk.find_element("id", name).text for name in ("felt", "contract", "ask", "hand")]
    desk.refresh()
    _wait(desk, f"{VERSION} && {ASKED} === 'play'")
    again = [desk.find_element("id", name).text for name in ("felt", "contract", "ask", "hand")]
    assert again == shown
    first = desk.current_window_handle
    desk.switch_to.new_window("window")
    _open(desk, site, table)
    held = len(desk.find_elements("css selector", "#hand button"))
    _by_keyboard(desk)
    second = desk.current_window_handle
    desk.switch_to.window(first)
    _wait(desk, f"document.querySelectorAll('#hand button').length < {held}")
    desk.switch_to.window(second)
    desk.close()
    desk.switch_to.window(first)
    assert complaints(desk) == []


def test_two_browsers_at_one_table_and_every_byte_that_each_received(
    desk: Any, phone: Any, site: Site
) -> None:
    table = site.new(HERE, COMPUTER, LINK, COMPUTER)
    link = site.owner.get(f"/api/table/{table}/links").json["links"]["2"]
    taps = {0: Tap(site.port), 2: Tap(site.port)}
    desk.execute_cdp_cmd("Page.bringToFront", {})
    phone.execute_cdp_cmd("Network.clearBrowserCookies", {})  # of tests in which it was the owner's
    desk.get(f"http://127.0.0.1:{taps[0].port}/?token={site.address.partition('=')[2]}")
    desk.get(f"http://127.0.0.1:{taps[0].port}/table/{table}")
    phone.get(f"http://127.0.0.1:{taps[2].port}{link}")
    _wait(phone, "document.querySelectorAll('#hand button').length === 7")
    hands = site.room.find(table).table.game.dealt
    browsers = {0: desk, 2: phone}
    received: dict[int, bytes] = {}
    while True:
        game = site.room.find(table).table.game
        if game.phase in ("deal", "over"):
            break
        received = {own: tap.received for own, tap in taps.items()}
        if game.seat in browsers:
            browser = browsers[game.seat]
            _wait(browser, f"{VERSION} === '{site.room.find(table).table.version}' && {ASKED}")
            target = browser.execute_script(
                "return document.querySelector('#ask [data-value], #hand [aria-label*=\"may be"
                " played\"]')"
            )
            _acted(
                browser, lambda on=browser, it=target: on.execute_script("arguments[0].click()", it)
            )
        else:
            time.sleep(0.005)
    seed = str(site.room.find(table).table.seed).encode()
    for own, told in received.items():
        assert len(told) > 10_000
        assert seed not in told
        for seat in set(range(4)) - {own}:
            assert not _shows(told, hands[seat]), (own, seat)
    for own, browser in browsers.items():
        _wait(browser, "document.querySelectorAll('.shown .tile').length === 28")
        assert _shows(taps[own].received, hands[1])
        assert complaints(browser) == []
    for tap in taps.values():
        tap.close()


def _shows(told: bytes, hand: list[int]) -> bool:
    """Whether the hand as it was dealt is in it, or any three neighbours of it."""
    from zebfast.rules import DOMINOES

    names = ["{}{}".format(*DOMINOES[domino]) for domino in hand]
    told = re.sub(rb'"legal":\["pass",[^]]*\]', b"", told)
    return any(
        re.search('"?,"?'.join(names[i : i + 3]).encode(), told) is not None for i in range(5)
    )


def test_a_shared_screen_shows_no_dominoes_before_it_is_handed_on(desk: Any, site: Site) -> None:
    table = site.new(HERE, HERE | {"name": "Cid"}, HERE, HERE, rules={"all_pass": "force"})
    _open(desk, site, table)
    names = set()
    for _ in range(4):
        button = _wait(desk, "document.querySelector('#ask button:not([data-value])')")
        assert desk.find_elements("css selector", "#hand button") == []
        names.add(re.findall(r"I am (\w+):", button.text)[0])
        button.click()
        _wait(desk, "document.querySelectorAll('#hand button').length === 7")
        _acted(desk, desk.find_element("css selector", "#ask [data-value]").click)
    assert names == {"Ann", "Cid"}
    assert complaints(desk) == []


def test_a_server_that_is_killed_comes_back_with_the_game(desk: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "zebfast", "play", "--state", str(tmp_path / "state"),
               "--player", "heuristic2"]  # fmt: skip
    root, env = Path(__file__).parents[2], {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    server = Process(command, env, root)
    try:
        server.wait_for("^http://127")
        address = next(line for line in server.lines if line.startswith("http"))
        desk.get(address)
        _wait(desk, "document.documentElement.dataset.ready")
        desk.execute_script("document.getElementById('pace').value = 'instant'")
        desk.find_element("id", "start").click()
        _wait(desk, "location.pathname.startsWith('/table/')")
        for _ in range(3):
            assert _by_keyboard(desk)
        _wait(desk, ASKED)
        before = [desk.find_element("id", name).text for name in ("felt", "contract")]
        server.end(signal_number=signal.SIGKILL)
        _wait(desk, "!document.getElementById('toast').hidden")
        server = Process(command, env, root)
        server.wait_for(re.escape(address))
        _wait(desk, "document.getElementById('toast').hidden")
        assert [desk.find_element("id", name).text for name in ("felt", "contract")] == before
        assert _by_keyboard(desk)
    finally:
        assert server.end(signal_number=signal.SIGINT) == 130
    desk.get_log("browser")  # it complained while nobody answered, as it should


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_people_out(desk: Any, site: Site, scheme: str) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    desk.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    found: dict[str, Any] = {}
    desk.get(site.address)
    _wait(desk, "document.documentElement.dataset.ready")
    desk.execute_script("document.querySelector('#house').open = true")
    found["lobby"] = _findings(desk)
    table = site.new(hints=True)
    _open(desk, site, table)
    while _wait(desk, ASKED) != "play":
        found.setdefault("bidding", _findings(desk))
        _by_keyboard(desk)
    _keys(desk, "h")
    _wait(desk, "document.querySelector('#hints table')")
    found["playing"] = _findings(desk)
    _keys(desk, "s")
    _wait(desk, "document.getElementById('sheet').open")
    assert desk.find_element("id", "set-pace").get_attribute("value") == "instant"
    found["settings"] = _findings(desk)
    desk.execute_script("document.getElementById('close').click()")
    while _wait(desk, ASKED) == "play":
        _by_keyboard(desk)
    found["hand over"] = _findings(desk)
    desk.get(f"http://127.0.0.1:{site.port}/review/{table}")
    _wait(desk, "document.documentElement.dataset.all")
    desk.execute_script("document.querySelector('#plays button[aria-expanded]').click()")
    found["review"] = _findings(desk)
    assert {where: each for where, each in found.items() if each} == {}


def _findings(browser: Any) -> list[str]:
    """What axe-core finds grave in the page as it is."""
    browser.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
    found = browser.execute_async_script(
        "const done = arguments[0]; axe.run({resultTypes: ['violations']}).then(done)"
    )
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in GRAVE
        for node in each["nodes"]
    ]


LOOKED = "document.documentElement.dataset.looked"


def test_the_dashboard_of_a_live_run(desk: Any, tmp_path: Path) -> None:
    run, saved = MadeRun(tmp_path, "first"), tmp_path / "saved"
    run.train(120)
    run.work(40, failed=2)
    run.publish(40, wandb_url="javascript:alert(1)", problems=[])
    run.rent(40)
    MadeRun(tmp_path, "second").train(60)
    desk.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(saved)}
    )
    desk.execute_cdp_cmd("Page.bringToFront", {})
    with dashboard(tmp_path, every=0.2) as board:
        desk.get(board.address("/run/first"))
        _wait(desk, LOOKED)
        assert "stage short (1 of 3)" in desk.find_element("id", "progress").text
        assert "connection" not in desk.find_element("id", "incidents").text
        assert "zebfast experiment learn first" in desk.find_element("id", "wrong").text
        assert "failing" in desk.find_element("id", "fleets").text
        assert desk.find_elements("css selector", "#facts a") == []
        _wait(desk, "document.querySelectorAll('#workers tbody tr').length === 25")
        first = desk.find_element("css selector", "#workers tbody tr").text
        assert "CUDA error: out of memory" in first
        desk.execute_script("document.getElementById('more').click()")
        _wait(desk, "document.querySelectorAll('#workers tbody tr').length === 40")
        desk.find_element("id", "find").send_keys(worker_id(7))
        _wait(desk, "document.querySelectorAll('#workers tbody tr').length === 1")

        before = desk.find_element("css selector", "#panel-4 svg").get_attribute("aria-label")
        run.train(30)
        run.meet("connection reset by peer")
        _wait(desk, "document.getElementById('incidents').textContent.includes('reset by peer')")
        label = desk.find_element("css selector", "#panel-4 svg").get_attribute("aria-label")
        assert label != before
        assert "at cycle 150" in label
        desk.execute_script("document.querySelector('#panel-4 details').open = true")
        _wait(desk, "document.querySelectorAll('#panel-4 tbody tr').length > 20")
        findings = {}
        for scheme in ("light", "dark"):
            media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            desk.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
            findings[scheme] = _findings(desk)
        desk.execute_script("document.querySelector('#panel-1 .png').click()")
        desk.execute_script("document.querySelector('#panel-1 .csv').click()")
        _until(lambda: len([*saved.glob("*.png"), *saved.glob("*.csv")]) == 2)
        [picture] = saved.glob("*.png")
        assert picture.read_bytes().startswith(b"\x89PNG")
        [table] = saved.glob("*.csv")
        assert "eval/vs_heuristic2_win_rate" in table.read_text().partition("\n")[0]

        _wait(desk, "document.querySelector('#others input')")
        desk.execute_script("document.querySelector('#others input').click()")
        _wait(desk, "document.querySelector('#panel-4 svg').textContent.includes('second: ')")
        assert desk.current_url.endswith("?with=second")
        shutil.rmtree(run.experiment.directory)
        _wait(desk, "!document.getElementById('trouble').hidden")
        assert "at cycle 150" in desk.find_element("css selector", "#panel-4 svg").get_attribute(
            "aria-label"
        )
        desk.get(f"http://127.0.0.1:{board.port}/")
        _wait(desk, "document.documentElement.dataset.ready === '1'")
        findings["list"] = _findings(desk)
        assert {where: each for where, each in findings.items() if each} == {}
        assert complaints(desk) == []


def test_the_dashboard_says_why_it_is_refused_and_offers_what_can_be_compared(
    desk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zebfast.web.dashboard.routes.MOST_COMPARED", 2)
    for name in ("first", "second", "third"):
        run = MadeRun(tmp_path, name)
        run.publish(problems=[{"unix": 1e14, "line": "of no calendar"}])
    refused = "document.getElementById('trouble').textContent.includes('%s')"
    with dashboard(tmp_path, every=0.2) as board:
        desk.get(board.address("/run/first"))
        _wait(desk, LOOKED)
        incident = desk.find_element("css selector", "#incidents li").text
        assert incident == "100000000000000 published: of no calendar"
        _wait(desk, "document.querySelectorAll('#others input').length === 2")
        click = "document.querySelector('#others input').click()"
        left = "document.querySelectorAll('#others input:enabled').length"
        desk.execute_script(click)
        assert desk.execute_script(f"return {left}") == 1
        desk.execute_script(click)
        assert desk.execute_script(f"return {left}") == 2
        large = """import("/static/chart.js").then((chart) => arguments[0](chart.picture({
            title: "", xLabel: "", level: null, marks: [],
            lines: [{legend: "", x: [1e17, 1e17 + 16], y: [1, 2], low: null, high: null}],
        }).querySelectorAll("text").length))"""
        assert desk.execute_async_script(large) < 20
        assert complaints(desk) == []
        address = f"http://127.0.0.1:{board.port}/run/"
        desk.get(f"{address}first?with=second&with=third")
        _wait(desk, refused % "At most 2 experiments")
        desk.get(f"{address}none")
        _wait(desk, refused % "There is no experiment")
    _wait(desk, refused % "The server does not answer")
    complaints(desk)  # of what was refused


def _until(found: Callable[[], bool]) -> None:
    ends = time.monotonic() + SECONDS
    while not found():
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.slow
def test_a_game_to_seven_by_keyboard(desk: Any, site: Site) -> None:
    table = site.new()
    _open(desk, site, table)
    while _by_keyboard(desk):
        pass
    assert max(site.room.find(table).table.game.marks) >= 7
    assert complaints(desk) == []
