"""What the market taught: averages that forget, strikes, searches, and the file of it."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fleet_looks import NOW, known
from listening import listening

from zebfast.fleet import market_history as learned_module
from zebfast.fleet.market_history import (
    CACHE,
    DAY,
    HALF_LIFE,
    MarketBusy,
    MarketHistory,
    Rate,
    read_history,
    update_history,
)
from zebfast.fleet.model import Offer, Spec
from zebfast.system.locks import hold_lock

SPEC = Spec(fleet="zeb-first-selfplay", experiment="first", role="selfplay", n=1)
OFFERS = tuple(
    Offer(
        provider="vast", id=name, gpu="RTX 3060", price_per_hour=0.06, host=name, reliability=0.99
    )
    for name in "ab"
)


def strike_often(path: Path, n: int) -> None:
    for _ in range(n):
        update_history(path, lambda learned: learned.with_strike("vast", "h"))


def rate(learned: MarketHistory, gpu: str = "RTX 3060") -> Rate:
    return learned.rates[f"selfplay {gpu}"]


def test_a_rate_is_a_mean_at_first_and_then_forgets() -> None:
    found = MarketHistory()
    for speed in (1.0, 3.0, 5.0):
        found = found.with_rates("selfplay", [known("a", games_per_s=speed)], NOW)
    assert rate(found) == Rate(games_per_s=pytest.approx(3.0), seen=3, at=NOW)
    for hour in range(24):
        at = NOW + 3600 * hour
        found = found.with_rates("selfplay", [known("a", games_per_s=9.0)], at)
    assert 8.4 < rate(found).games_per_s < 9.0
    late = NOW + 10 * HALF_LIFE + 24 * 3600
    found = found.with_rates("selfplay", [known("a", games_per_s=2.0)], late)
    assert rate(found).games_per_s == pytest.approx(2.0, abs=0.01)


def test_one_look_is_one_observation_of_each_type() -> None:
    machines = [
        known("a", games_per_s=1.0),
        known("b", games_per_s=3.0, gpu="NVIDIA GeForce RTX_3060"),
        known("c", games_per_s=4.0, gpu="RTX 3070"),
        known("d", games_per_s=0.0),
        known("e", games_per_s=9.0, failing_since=NOW),
        known("f", games_per_s=9.0, gpu=""),
    ]
    found = MarketHistory().with_rates("selfplay", machines, NOW)
    assert set(found.rates) == {"selfplay RTX 3060", "selfplay RTX 3070"}
    assert rate(found) == Rate(games_per_s=2.0, seen=1, at=NOW)


def test_three_strikes_and_out() -> None:
    found = MarketHistory()
    for strikes in range(1, 4):
        assert not found.blacklist()
        found = found.with_strike("vast", "h1").with_strike("runpod", "")
        assert found.strikes == {"vast:h1": strikes}, "a host without a name has no strikes"
    assert found.blacklist() == {"vast:h1"}


def test_offers_are_remembered_for_a_moment() -> None:
    found = MarketHistory().with_offers("vast", SPEC, OFFERS, NOW)
    assert found.cached("vast", SPEC, NOW + CACHE) == OFFERS
    assert found.cached("vast", SPEC, NOW + CACHE + 1) is None
    assert found.cached("vast", SPEC, NOW - 1) is None, "the clock was set back"
    assert found.cached("runpod", SPEC, NOW) is None
    assert found.cached("vast", replace(SPEC, max_price_per_hour=0.1), NOW) is None
    assert found.cached("vast", replace(SPEC, n=7, fleet="other"), NOW) == OFFERS
    assert found.without_offer(OFFERS[0]).cached("vast", SPEC, NOW) == OFFERS[1:]


def test_searches_of_earlier_days_are_forgotten() -> None:
    history = MarketHistory()
    for day in range(5):
        spec = replace(SPEC, max_price_per_hour=0.1 + day)
        history = history.with_offers("vast", spec, [], now=1.5 * DAY * day)
    assert len(history.searches) == 1


def test_a_used_up_quota() -> None:
    found = MarketHistory().with_offers("vast", SPEC, OFFERS, NOW).with_quota("vast", NOW + 5000)
    assert not found.may_search("vast", NOW + 4999)
    assert found.may_search("vast", NOW + 5000)
    assert found.may_search("runpod", NOW)
    assert found.cached("vast", SPEC, NOW + 4999) == OFFERS, "old offers are better than none"
    assert found.cached("vast", SPEC, NOW + 5000) is None
    assert found.with_quota("vast", NOW + 2 * DAY).may_search("vast", NOW), "not to be believed"


def test_everything_comes_back_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "fleet" / "market.json"
    with listening(pytest.fail):
        assert read_history(path) == MarketHistory()

    def change(learned: MarketHistory) -> MarketHistory:
        learned = learned.with_rates("selfplay", [known("a")], NOW).with_strike("vast", "h1")
        return learned.with_offers("vast", SPEC, OFFERS, NOW).with_quota("vast", NOW + 9)

    with listening(pytest.fail):
        written = update_history(path, change)
        assert read_history(path) == written == change(MarketHistory())


def test_no_change_of_another_process_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "market.json"
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=strike_often, args=(path, 20)) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join(120)
    with listening(pytest.fail):
        assert read_history(path).strikes == {"vast:h": 60}


def test_a_lock_that_is_never_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "market.json"
    monkeypatch.setattr(learned_module, "_LOCK_WAIT", 0.05)
    busy = partial(hold_lock, path.with_suffix(".lock"), busy=RuntimeError)
    with busy(), pytest.raises(MarketBusy, match=r"market\.lock is held by process \d+ for too"):
        update_history(path, lambda learned: learned)


GOOD: dict[str, Any] = {"format": 1, "rates": {}, "strikes": {}, "quota_until": {}, "searches": {}}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "Expecting value"),
        (b"\x80{}", "utf-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "format 1"),
        ({"format": 2}, "format 1"),
        ({"rates": []}, "rates is []: expected a table"),
        ({"rates": {"x": {"games_per_s": "fast", "seen": 1, "at": 1.0}}}, "games_per_s is 'fast'"),
        (
            {"rates": {"x": {"games_per_s": -1.0, "seen": 1, "at": 1.0}}},
            "expected above 0 and at most",
        ),
        ({"rates": {"x": {"games_per_s": float("nan"), "seen": 1, "at": 1.0}}}, "games_per_s"),
        ({"rates": {"x": {}}}, "lacks"),
        ({"strikes": {"h": "many"}}, "in [strikes], h is 'many'"),
        ({"quota_until": {"vast": None}}, "in [quota_until], vast is None"),
        ({"searches": {"vast": {"at": 1.0}}}, "lacks offers"),
        ({"searches": {"vast": {"offers": [], "at": None}}}, "at is None"),
        ({"searches": {"vast": {"offers": [{"id": 3}], "at": 1.0}}}, "[[searches.vast.offers]] 1"),
    ],
)
def test_a_damaged_file_is_set_aside(
    tmp_path: Path, content: bytes | dict[str, Any], problem: str
) -> None:
    path = tmp_path / "market.json"
    lines: list[str] = []
    data = content if isinstance(content, bytes) else json.dumps({**GOOD, **content}).encode()
    path.write_bytes(data)
    with listening(lines.append):
        assert read_history(path) == MarketHistory()
    [line] = lines
    assert problem in line
    [aside] = tmp_path.iterdir()
    assert aside.name.startswith("market.json.damaged")
    assert aside.name in line
    assert aside.read_bytes() == data
