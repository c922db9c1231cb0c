"""The random numbers are a fixed function; these vectors must never change."""

from __future__ import annotations

from zebfast import rules


def test_known_vectors() -> None:
    """SplitMix64's published first outputs for seed 1234567 (a key is the generator's state)."""
    assert [rules.bits(1234567, i) for i in range(3)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


def test_streams_and_games_differ() -> None:
    keys = {rules.stream_key(s, t, g) for s in range(5) for t in range(5) for g in range(50)}
    assert len(keys) == 5 * 5 * 50


def test_bounded_is_uniform() -> None:
    counts = [0] * 7
    for i in range(70_000):
        counts[rules.bounded(99, i, 7)] += 1
    chi2 = sum((c - 10_000) ** 2 / 10_000 for c in counts)
    assert chi2 < 30  # 6 degrees of freedom: p < 4e-5


def test_deal_is_a_deal() -> None:
    hands, decl, leader = rules.deal(42, 7)
    rules.check_deal(hands, decl, leader)
    assert rules.deal(42, 7) == (hands, decl, leader)
    assert rules.deal(42, 8) != (hands, decl, leader)
