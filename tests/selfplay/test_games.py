"""Self-play: each game a function of its number alone, and equal to the slow twin's game."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest
from slow_game import SlowGame
from slow_tree import HashedEvaluator
from world_games import contract_starts, play_out

from zebfast import rules
from zebfast.arena.policies.view import View
from zebfast.core.observe import games_to_examples, uniform_evaluate
from zebfast.core.options import SearchOptions
from zebfast.core.policy import random_policy
from zebfast.core.records import EXAMPLE_HAS_POLICY, GAME_DTYPE, contract_of_record
from zebfast.core.selfplay import SelfPlayForest
from zebfast.selfplay.config import SelfPlay, SelfPlayConfig


class Uniform:
    """The constant evaluator."""

    def evaluate(self, obs: np.ndarray, out: np.ndarray) -> None:
        uniform_evaluate(obs, out)


def config(
    n_parallel: int, n_groups: int, *, worlds: str = "sampled", **search: float
) -> SelfPlayConfig:
    options = SearchOptions(**{"n_simulations": 24, **search})  # type: ignore[arg-type]
    return SelfPlayConfig(
        n_parallel_games=n_parallel, n_groups=n_groups, search=options, worlds=worlds
    )


def games_of(n: int, *, calls: tuple[int, ...] = (), first_game: int = 0, **kw: object) -> bytes:
    play = SelfPlay(Uniform(), config=config(**kw), seed=77, first_game=first_game)  # type: ignore[arg-type]
    return b"".join(play.play(k)[0].tobytes() for k in (calls or (n,)))


@pytest.mark.parametrize("how", [{"worlds": "true", "exact_tricks": 0}, {"worlds": "sampled"}])
def test_same_bytes_for_any_threads_and_any_split(how: dict[str, object]) -> None:
    """One or two threads, any number of games at once, any batches: the same examples."""
    want = games_of(90, n_parallel=1, n_groups=1, **how)
    assert len(want) == 90 * GAME_DTYPE.itemsize
    assert games_of(90, n_parallel=16, n_groups=1, **how) == want
    assert games_of(90, n_parallel=16, n_groups=2, **how) == want
    assert games_of(90, n_parallel=37, n_groups=3, **how) == want
    assert games_of(90, n_parallel=300, n_groups=2, calls=(1, 40, 7, 42), **how) == want
    part = games_of(50, n_parallel=8, n_groups=2, first_game=40, **how)
    assert part == want[40 * GAME_DTYPE.itemsize :]


@pytest.mark.parametrize(
    ("worlds", "temperature", "exact_tricks"),
    [
        ("true", 0.0, 0),
        ("true", 0.5, 2),
        ("true", 1.0, 0),
        ("sampled", 0.0, 0),
        ("sampled", 1.0, 2),
    ],
)
def test_games_equal_the_twin(worlds: str, temperature: float, exact_tricks: int) -> None:
    settings = config(
        4, 2, worlds=worlds, temperature=temperature, exact_tricks=exact_tricks,
        n_simulations=20, n_worlds=3,
    )  # fmt: skip
    games, _ = SelfPlay(HashedEvaluator(), config=settings, seed=3).play(6)
    for number, game in enumerate(games):
        twin = SlowGame(number, 3, settings)
        assert game["plays"].tolist() == twin.plays
        assert game["policy"].tolist() == twin.weights


@pytest.mark.parametrize(("worlds", "skip"), [("true", False), ("sampled", True)])
def test_games_against_an_opponent_equal_the_twin(worlds: str, skip: bool) -> None:
    """Some games for one side, some for the other, and those of plain self-play in between."""

    def random(view: View, random: int) -> int:
        legal = [domino for domino in range(28) if view.legal >> domino & 1]
        return legal[(2 * random * len(legal)) >> 64]

    settings = config(
        4, 2, worlds=worlds, exact_tricks=2, n_simulations=16, n_worlds=3, skip_decided=skip,
        full_share=0.7,
    )  # fmt: skip
    forest = partial(SelfPlayForest, opponent=random_policy(), opponent_share=0.6)
    games, _ = SelfPlay(HashedEvaluator(), config=settings, seed=10, forest=forest).play(5)
    twins = [SlowGame(number, 10, settings, opponent=(random, 0.6)) for number in range(5)]
    assert {twin.side for twin in twins} == {-1, 0, 1}
    for game, twin in zip(games, twins, strict=True):
        assert game["plays"].tolist() == twin.plays
        assert game["policy"].tolist() == twin.weights


@pytest.mark.parametrize(("worlds", "skip"), [("true", False), ("sampled", True)])
def test_games_that_are_given_equal_the_twin(worlds: str, skip: bool) -> None:
    """Deals with contracts, given bit by bit; records hold them."""
    settings = config(
        4, 1, worlds=worlds, exact_tricks=2, n_simulations=20, n_worlds=3, skip_decided=skip
    )
    starts = contract_starts(range(5, 12))
    given = SelfPlayForest(
        4, options=settings.search, seed=3, first_game=5, worlds=worlds, given=True
    )
    given.begin(starts[:3])
    assert given.n_unstarted == 3
    first = play_out(given)
    given.begin(starts[3:])
    games = np.concatenate([first, play_out(given)])
    for i, game in enumerate(games):
        position = rules.Position(
            starts["hands"][i].tolist(), int(game["decl"]), int(game["leader"])
        )
        position.contract = contract_of_record(starts["contract"][i])
        twin = SlowGame(5 + i, 3, settings, position)
        assert game["plays"].tolist() == twin.plays
        assert game["policy"].tolist() == twin.weights
        assert game["contract"] == starts["contract"][i]
    examples = games_to_examples(games)
    assert (np.abs(examples["value"]) == 1).all()
    assert (examples["obs"]["contract"]["bid"] > 0).all()


def test_games_are_given_or_dealt() -> None:
    options, starts = SearchOptions(n_simulations=8), contract_starts(range(2))
    given = SelfPlayForest(2, options=options, seed=1, given=True)
    with pytest.raises(ValueError, match="dealt are not given"):
        SelfPlayForest(2, options=options, seed=1).begin(starts)
    with pytest.raises(ValueError, match="allowed by begin"):
        given.allow(4)
    starts["contract"]["bidder"][1] ^= 1
    with pytest.raises(ValueError, match="start 1 is no deal, or has a contract that cannot be"):
        given.begin(starts)
    assert given.n_unstarted == 0


def test_stats_add_up() -> None:
    settings = config(32, 2, worlds="true", exact_tricks=0)
    play = SelfPlay(Uniform(), config=settings, seed=1)
    games, stats = play.play(40, lookahead=False)
    decisions = int((np.count_nonzero(games["policy"], axis=2) > 1).sum())
    assert stats.games == stats.finished == 40
    assert stats.searches >= decisions
    assert stats.simulations + stats.reused >= 24 * stats.searches
    new_trees = stats.evaluations - (stats.simulations - stats.terminals)
    assert 40 <= new_trees <= stats.searches  # a tree starts anew once a game, or after a reset
    assert stats.full == 0
    assert stats.games_per_second > 0
    assert play.nbytes < 32 * (512 * 64 + 1024)
    assert stats.solved == 0
    assert (stats + stats).games == 80


def test_stats_of_sampled_worlds_add_up() -> None:
    """Each decision has a tree and a root evaluation of its own."""
    play = SelfPlay(Uniform(), config=config(32, 2, exact_tricks=4), seed=1)
    _, stats = play.play(40, lookahead=False)
    assert stats.reused == stats.full == 0
    assert stats.simulations == 24 * stats.searches
    endings = stats.terminals + stats.solved
    assert stats.evaluations == stats.searches + stats.simulations - endings
    assert stats.solved > stats.simulations / 4
    assert play.nbytes < 32 * (512 * 64 + 24 * 32 + 1024) + 2 * 2**20


def test_examples_of_a_game() -> None:
    games, _ = SelfPlay(Uniform(), config=config(8, 2), seed=5).play(10)
    examples = games_to_examples(games)
    assert len(examples) == 280
    assert (examples["flags"] & EXAMPLE_HAS_POLICY).all()
    for g, game in enumerate(games):
        position = rules.Position(game["hands"].tolist(), int(game["decl"]), int(game["leader"]))
        seats = []
        for ply in range(28):
            seats.append(position.to_play)
            example = examples[28 * g + ply]
            own = position.dealt[position.to_play]
            assert example["obs"]["hand"] == sum(1 << d for d in own)
            for name, turn in (("left", 1), ("partner", 2)):
                dealt = position.dealt[(position.to_play + turn) % 4]
                assert example[name] == sum(1 << d for d in dealt)
            assert (example["policy"] == game["policy"][ply]).all()
            position.play(int(game["plays"][ply]))
        a, b = position.points
        for ply, seat in enumerate(seats):
            sign = 1 if seat % 2 == 0 else -1
            assert examples[28 * g + ply]["value"] == sign * ((a > b) - (a < b))


@pytest.mark.parametrize(
    ("field", "at", "value", "why"),
    [
        ("hands", (2, 1), 99, "game 1 is no deal"),
        ("decl", (), 10, "game 1 is no deal"),
        ("leader", (), 4, "game 1 is no deal"),
        ("plays", (27,), 28, "game 1 has an illegal play at play 27"),
        ("plays", (5,), "same", "game 1 has an illegal play at play 5"),
    ],
)
def test_bad_games_are_named(field: str, at: tuple[int, ...], value: object, why: str) -> None:
    games, _ = SelfPlay(Uniform(), config=config(4, 1), seed=5).play(3)
    bad = games.copy()
    if value == "same":
        bad[field][(1, 5)] = bad[field][(1, 4)]
    else:
        bad[field][(1, *at)] = value
    with pytest.raises(ValueError, match=why):
        games_to_examples(bad)
    swapped = games.copy()
    swapped["hands"][1][0] = swapped["hands"][1][0][::-1]
    with pytest.raises(ValueError, match="ascending order"):
        games_to_examples(swapped)
    weight = games.copy()
    illegal = np.flatnonzero(weight["policy"][1][3] == 0)
    weight["policy"][1][27] = 1
    assert len(illegal)
    with pytest.raises(ValueError, match="could not be played at play 27"):
        games_to_examples(weight)


def test_stop_returns_what_is_finished() -> None:
    stop = threading.Event()
    play = SelfPlay(Uniform(), config=config(16, 2), seed=5)
    seen: list[int] = []

    def on_step(n: int) -> None:
        seen.append(n)
        if n >= 10:
            stop.set()

    games, stats = play.play(10_000, should_stop=stop.is_set, on_step=on_step)
    assert 10 <= len(games) == stats.games < 10_000
    again, _ = SelfPlay(Uniform(), config=config(16, 2), seed=5).play(len(games))
    assert games.tobytes() == again.tobytes()
    more, _ = play.play(5)  # and it goes on where it was
    assert play.next_game == len(games) + 5
    assert more.tobytes() == games_like(5, len(games))
    assert seen == sorted(seen)


def games_like(n: int, first: int) -> bytes:
    games, _ = SelfPlay(Uniform(), config=config(1, 1), seed=5, first_game=first).play(n)
    return games.tobytes()


class Broken:
    """Fails in one of its calls."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.calls = 0

    def evaluate(self, obs: np.ndarray, out: np.ndarray) -> None:
        self.calls += 1
        uniform_evaluate(obs, out)
        if self.calls > 20:
            if self.error is not None:
                raise self.error
            out[0, 7] = np.inf


@pytest.mark.parametrize("error", [None, RuntimeError("device lost")])
def test_evaluator_errors_come_out(error: Exception | None) -> None:
    play = SelfPlay(Broken(error), config=config(16, 2), seed=5)
    with pytest.raises(type(error) if error else FloatingPointError, match=r"lost|not finite"):
        play.play(1000)


@pytest.mark.parametrize(
    ("kw", "why"),
    [
        ({"n_parallel_games": 1}, "expected a game for each group"),
        ({"n_parallel_games": 0}, "expected 1 to 65536"),
        ({"n_groups": 0}, "expected 1 to 1024"),
        ({"worlds": "imagined"}, "expected one of sampled, true"),
    ],
)
def test_bad_config(kw: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        SelfPlayConfig(**kw)  # type: ignore[arg-type]


def test_forest_limits() -> None:
    forest = SelfPlayForest(2, options=SearchOptions(n_simulations=4), seed=1)
    forest.allow(3)
    with pytest.raises(ValueError, match="must not shrink"):
        forest.allow(2)
    for bad in ({"n_trees": 0}, {"stride": 0}, {"worlds": "x"}):
        with pytest.raises(ValueError, match="must be"):
            SelfPlayForest(**{"n_trees": 2, "options": SearchOptions(), "seed": 1, **bad})  # type: ignore[arg-type]
