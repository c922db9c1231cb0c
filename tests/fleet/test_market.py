"""Which offers are taken, in which order, and what is said of those that are not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fleet_looks import NOW

from zebfast.fleet.market import GAMES_PER_S, STRIKE_PREMIUM, rank, speeds_of
from zebfast.fleet.market_history import MarketHistory, Rate, gpu_key, host_key, rate_key
from zebfast.fleet.model import Offer, Spec

SPEC = Spec(
    fleet="zeb-first-selfplay", experiment="first", role="selfplay", n=1, max_price_per_hour=0.20
)


def offer(name: str, gpu: str = "RTX 3060", price_per_hour: float = 0.06, **changed: Any) -> Offer:
    facts: dict[str, Any] = {
        "provider": "vast",
        "id": name,
        "gpu": gpu,
        "price_per_hour": price_per_hour,
        "host": name,
    }
    return Offer(**{**facts, **changed})


def ids(offers: list[Offer], spec: Spec = SPEC, learned: MarketHistory | None = None) -> str:
    return "".join(o.id for o in rank(offers, spec, learned or MarketHistory(), (), NOW).offers)


def observed(**speeds: float) -> MarketHistory:
    rates = {gpu.replace("_", " "): speed for gpu, speed in speeds.items()}
    return MarketHistory(
        rates={
            rate_key("selfplay", gpu): Rate(games_per_s=speed, seen=9, at=NOW)
            for gpu, speed in rates.items()
        }
    )


def test_dollars_a_game_come_first_not_dollars() -> None:
    offers = [offer("a"), offer("b", "RTX 4070 Ti", 0.12), offer("c", "RTX 3070", 0.05)]
    assert ids(offers) == "cba"


def test_what_was_observed_counts_more_than_the_table() -> None:
    offers = [offer("a"), offer("b", "RTX 4070 Ti", 0.12)]
    assert ids(offers) == "ba"
    assert ids(offers, learned=observed(RTX_3060=2.0, RTX_4070_Ti=3.0)) == "ab"
    old = observed(RTX_3060=2.0, RTX_4070_Ti=3.0)
    stale = {key: replace(rate, at=NOW - 31 * 86400) for key, rate in old.rates.items()}
    assert ids(offers, learned=MarketHistory(rates=stale)) == "ba"
    other = replace(SPEC, role="evalaux")
    assert ids(offers, other, observed(RTX_3060=2.0, RTX_4070_Ti=3.0)) == "ba"


def test_the_table_is_scaled_to_what_was_observed() -> None:
    """An engine that is ten times as fast must not make the types look good that have played."""
    tenfold = observed(RTX_3060=10 * GAMES_PER_S["RTX 3060"])
    speeds = speeds_of(["RTX 3060", "RTX 4070 Ti", "Voodoo 2"], SPEC, tenfold, NOW)
    assert speeds == pytest.approx({"RTX 3060": 16.0, "RTX 4070 Ti": 41.5, "Voodoo 2": None})
    assert ids([offer("a"), offer("b", "RTX 4070 Ti", 0.12)], learned=tenfold) == "ba"


def test_types_of_unknown_speed_come_last_cheapest_first() -> None:
    offers = [
        offer("a", "Voodoo 2", 0.03),
        offer("b", "Voodoo 3", 0.02),
        offer("c", price_per_hour=0.19),
    ]
    assert ids(offers) == "cba"


def test_a_strike_makes_a_host_a_little_dearer() -> None:
    struck = MarketHistory(strikes={host_key("vast", "a"): 1})
    assert (
        ids([offer("a", price_per_hour=0.050), offer("b", price_per_hour=0.051)], learned=struck)
        == "ba"
    )
    assert (
        ids([offer("a", price_per_hour=0.050), offer("b", price_per_hour=0.054)], learned=struck)
        == "ab"
    )
    assert STRIKE_PREMIUM < 0.1, "one strike is mostly bad luck"


def test_equal_offers_are_ordered_by_reliability_and_then_name() -> None:
    offers = [offer("c"), offer("b"), offer("a", reliability=0.99)]
    assert ids(offers) == "abc"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"gpu": "RTX 4090"}, "of another GPU type"),
        ({"price_per_hour": 0.2003}, "too dear"),
        ({"reliability": 0.94}, "unreliable"),
        ({"inet_up": 19.0}, "too slow to upload"),
        ({"inet_down": 99.0}, "too slow to download"),
        ({"disk_gb": 15.0}, "short of disk"),
        ({"cuda": 12.4}, "with too old a driver"),
        ({"host": "bad"}, "on blacklisted hosts"),
        ({"host": "mine"}, "on hosts in use"),
    ],
)
def test_filter(changed: dict[str, Any], reason: str) -> None:
    spec = replace(SPEC, gpus=("RTX_3060",))
    just = offer(
        "a",
        "NVIDIA GeForce RTX 3060",
        0.2001,
        reliability=0.95,
        inet_up=20.0,
        inet_down=100.0,
        disk_gb=16.0,
        cuda=12.6,
    )
    bad, mine = {host_key("vast", "bad")}, {host_key("vast", "mine")}
    offers = [just, replace(just, id="b", **changed), replace(just, id="c", **changed)]
    found = rank(offers, spec, MarketHistory(), bad, NOW, used=mine)
    assert [each.id for each in found.offers] == ["a"]
    assert found.why == f"2 {reason}"


def test_what_a_provider_does_not_say_refuses_nothing() -> None:
    offers = [offer("a", host=""), offer("b", host="")]
    blacklist = {host_key("vast", "")}
    assert len(rank(offers, SPEC, MarketHistory(), blacklist, NOW, used=blacklist).offers) == 2
    other = offer("c", provider="runpod", host="h")
    assert rank([other], SPEC, MarketHistory(), {host_key("vast", "h")}, NOW).offers == (other,)


def test_why_there_is_nothing() -> None:
    assert rank([], SPEC, MarketHistory(), (), NOW).why == "nothing was offered"
    offers = [*(offer(f"{i}", price_per_hour=1.0) for i in range(12)), offer("x", reliability=0.1)]
    assert rank(offers, SPEC, MarketHistory(), (), NOW).why == "12 too dear, 1 unreliable"


def test_one_spelling_of_a_type() -> None:
    spellings = ["RTX 3060", "rtx_3060", "NVIDIA GeForce RTX 3060", " RTX  3060 "]
    assert {gpu_key(gpu) for gpu in spellings} == {"RTX 3060"}
    assert all(gpu == gpu_key(gpu) for gpu in GAMES_PER_S)
