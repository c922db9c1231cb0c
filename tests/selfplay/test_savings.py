"""What self-play can save on: each against the slow twin, and the cache against no cache."""

from __future__ import annotations

import numpy as np
import pytest
from slow_game import SlowGame
from slow_tree import hashed_evaluate

from zebfast.core.observe import games_to_examples, uniform_evaluate
from zebfast.core.options import SearchOptions
from zebfast.core.records import EXAMPLE_HAS_POLICY
from zebfast.core.selfplay import SelfPlayForest
from zebfast.selfplay.config import SelfPlay, SelfPlayConfig
from zebfast.selfplay.stats import SelfPlayStats


class Hashed:
    """A deterministic stand-in for a network, whose weights can change."""

    def __init__(self) -> None:
        self.version = 0
        self.seen: list[bytes] = []

    def evaluate(self, obs: np.ndarray, out: np.ndarray) -> None:
        self.seen += [row.tobytes() for row in obs]
        out[:] = hashed_evaluate(obs)
        out[:, 7] *= 0.5**self.version


class Uniform:
    def evaluate(self, obs: np.ndarray, out: np.ndarray) -> None:
        uniform_evaluate(obs, out)


def config(
    *, worlds: str = "sampled", cache_mb: int = 0, n_groups: int = 1, **search: object
) -> SelfPlayConfig:
    given = {"n_simulations": 24, "exact_tricks": 0, "n_worlds": 4, **search}
    return SelfPlayConfig(
        n_parallel_games=8,
        n_groups=n_groups,
        worlds=worlds,
        cache_mb=cache_mb,
        search=SearchOptions(**given),  # type: ignore[arg-type]
    )


def played(
    n: int, settings: SelfPlayConfig, *, seed: int = 3
) -> tuple[np.ndarray, SelfPlayStats, Hashed]:
    evaluator = Hashed()
    games, stats = SelfPlay(evaluator, config=settings, seed=seed).play(n, lookahead=False)
    return games, stats, evaluator


@pytest.mark.parametrize(
    "search",
    [
        {"root": "gumbel"},
        {"root": "gumbel", "worlds": "true", "n_simulations": 40},
        {"root": "gumbel", "full_share": 0.5, "fast_simulations": 9},
        {"early_stop": True, "temperature": 0.0},
        {"transpositions": True, "worlds": "true", "n_simulations": 60},
        {"full_share": 0.3, "fast_simulations": 7, "worlds": "true"},
        {"skip_decided": True, "exact_tricks": 1},
        {
            "root": "gumbel", "transpositions": True, "skip_decided": True, "full_share": 0.4,
            "worlds": "true", "n_simulations": 30,
        },
    ],
)  # fmt: skip
def test_games_equal_the_twin(search: dict[str, object]) -> None:
    settings = config(**search)  # type: ignore[arg-type]
    games, stats, _ = played(2, settings)
    n_fast = 0
    for number, game in enumerate(games):
        twin = SlowGame(number, 3, settings)
        assert game["plays"].tolist() == twin.plays
        assert game["policy"].tolist() == twin.weights
        n_fast += twin.n_fast
    assert stats.fast == n_fast


@pytest.mark.parametrize("root", ["puct", "gumbel"])
def test_only_full_searches_are_recorded(root: str) -> None:
    """About the share that was asked for; the others, and their noise, leave no target."""
    settings = config(root=root, full_share=0.25, fast_simulations=4, exact_tricks=4)
    games, stats = SelfPlay(Uniform(), config=settings, seed=1).play(60, lookahead=False)
    assert 0.65 < stats.fast / stats.searches < 0.85
    examples = games_to_examples(games)
    bare = (examples["flags"] & EXAMPLE_HAS_POLICY) == 0
    assert bare.sum() == stats.fast
    assert (examples["policy"][bare] == 0).all()


def test_decided_hands_are_played_out() -> None:
    """No choice of a seat has a target once a side has 22 points; every choice before has."""
    plain, all_of_it, _ = played(30, config(exact_tricks=2))
    games, stats, _ = played(30, config(exact_tricks=2, skip_decided=True))
    assert stats.searches < all_of_it.searches
    assert stats.evaluations < all_of_it.evaluations
    searched = 0
    for game in games:
        examples = games_to_examples(game.reshape(1))
        choice = np.array([int(n).bit_count() > 1 for n in examples["obs"]["legal"]])
        target = (examples["flags"] & EXAMPLE_HAS_POLICY) != 0
        assert target[~choice].all()
        decided = np.flatnonzero(choice & ~target)
        assert not len(decided) or (choice & target)[decided[0] :].sum() == 0
        searched += int((choice & target).sum())
    assert searched == stats.searches
    first = [np.argmax(a["plays"] != b["plays"]) for a, b in zip(plain, games, strict=True)]
    assert max(first) > 8  # the same games up to then


@pytest.mark.parametrize(
    ("worlds", "search"),
    [
        ("sampled", {"n_simulations": 60, "n_worlds": 16}),
        ("sampled", {"n_simulations": 60, "n_worlds": 3, "exact_tricks": 2, "root": "gumbel"}),
        ("true", {"n_simulations": 40, "transpositions": True}),
    ],
)
def test_cache_changes_no_game(worlds: str, search: dict[str, object]) -> None:
    """Same games for any number of groups; evaluations go down by exactly the hits."""
    games, plain, _ = played(10, config(worlds=worlds, **search))  # type: ignore[arg-type]
    assert plain.cache_hits == 0
    for n_groups in (1, 3):
        settings = config(worlds=worlds, cache_mb=1, n_groups=n_groups, **search)  # type: ignore[arg-type]
        cached, stats, evaluator = played(10, settings)
        assert cached.tobytes() == games.tobytes()
        assert stats.evaluations + stats.cache_hits == plain.evaluations
        assert stats.simulations == plain.simulations
        assert len(evaluator.seen) == stats.evaluations
        assert len(set(evaluator.seen)) == stats.evaluations  # room enough: none is asked twice
        if worlds == "sampled":
            assert stats.cache_hits > 0


def test_full_cache_makes_room() -> None:
    """Far more positions than entries: some are asked again, the games stay the same."""
    search = {"n_simulations": 100, "n_worlds": 4, "exact_tricks": 0}
    options = SearchOptions(**search)  # type: ignore[arg-type]
    forest = SelfPlayForest(40, options=options, seed=3, cache_mb=1)
    plain = SelfPlayForest(40, options=options, seed=3)
    games = [run(forest, 80), run(plain, 80)]
    assert games[0].tobytes() == games[1].tobytes()
    counts = forest.counts()
    assert counts["evaluations"] > 2 * 2**20 / 76
    assert counts["cache_hits"] > 0
    assert counts["evaluations"] + counts["cache_hits"] == plain.counts()["evaluations"]
    assert 0.99 * 2**20 < forest.nbytes - plain.nbytes < 2**20 + 40 * 36 + 100


def run(forest: SelfPlayForest, n: int) -> np.ndarray:
    from zebfast.core.records import OBS_DTYPE

    leaves, evals = np.zeros(forest.room, OBS_DTYPE), np.zeros((forest.room, 8), np.float32)
    forest.allow(n)
    while k := forest.select(leaves):
        uniform_evaluate(leaves[:k], evals[:k])
        leaves[:] = 0  # the cache keeps its own copy
        forest.update(evals[:k])
    return forest.take()


@pytest.mark.parametrize("changed", [True, False])
def test_new_weights_empty_the_cache(changed: bool) -> None:
    """Games under way ask again what they have asked the old network, and nothing otherwise."""
    evaluator = Hashed()
    # One group: with more, what is under way when the first call ends is the threads' affair.
    settings = config(n_simulations=60, n_worlds=16, cache_mb=1, n_groups=1)
    play = SelfPlay(evaluator, config=settings, seed=3)
    play.play(4)
    before, evaluator.seen = set(evaluator.seen), []
    evaluator.version += changed
    play.play(12, lookahead=False)
    assert bool(before & set(evaluator.seen)) == changed


@pytest.mark.parametrize("cache_mb", [-1, 2**20])
def test_bad_cache(cache_mb: int) -> None:
    with pytest.raises(ValueError, match=r"cache_mb is -?\d+: expected 0 to 65536"):
        SelfPlayConfig(cache_mb=cache_mb)
