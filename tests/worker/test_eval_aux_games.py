"""What the eval-aux producer plays and records, against the players it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat

import numpy as np
import pytest
from numpy.typing import NDArray

from zebfast import rules
from zebfast.arena.labels import WEIGHT
from zebfast.arena.pairs import PlayRng, random_bids
from zebfast.arena.players.base import NetworkPlayer
from zebfast.arena.players.pimc import PimcPlayer
from zebfast.core.engine import GameBatch
from zebfast.core.observe import games_to_examples
from zebfast.core.solver_pool import SolverPool
from zebfast.rules import Stream
from zebfast.worker.config import EvalAuxConfig
from zebfast.worker.eval_aux import producer as module
from zebfast.worker.eval_aux.producer import EvalAuxProducer
from zebfast.worker.producer import Batch

SEED = 11


class Leaning:
    """A network that prefers low slots; what it says depends on the observation."""

    def evaluate(self, obs: NDArray[np.void], out: NDArray[np.float32]) -> None:
        out[:, :7] = 1.0 / (1.0 + np.arange(7) + obs["n_plays"][:, None] % 3)
        out[:, 7] = 0.0


Make = Callable[..., EvalAuxProducer]


@pytest.fixture
def make() -> Iterator[Make]:
    made = []

    def producer(*, seed: int = SEED, first_game: int = 0, **options: object) -> EvalAuxProducer:
        config = EvalAuxConfig(**({"n_samples": 4, "zeb_temperature": 1.0} | options))  # type: ignore[arg-type]
        made.append(EvalAuxProducer(Leaning(), config=config, seed=seed, first_game=first_game))
        return made[-1]

    yield producer
    for one in made:
        one.close()


def play(producer: EvalAuxProducer, n: int) -> Batch:
    return producer.play(n, should_stop=lambda: False, on_step=lambda _: None)


def test_every_deal_both_ways_from_its_own_stream(make: Make) -> None:
    games = play(make(first_game=6), 8).games
    for i, game in enumerate(games):
        hands, decl, leader = rules.deal(SEED, 3 + i // 2, Stream.LABEL_DEAL)
        assert game["hands"].tolist() == hands
        assert (game["decl"], game["leader"]) == (decl, leader)
    assert len(games_to_examples(games)) == 8 * 28


@pytest.mark.parametrize("eq_policy_targets", [False, True])
def test_plays_and_targets_are_those_of_the_players(make: Make, eq_policy_targets: bool) -> None:
    """Replayed play by play: E[Q] is team 0 in even games, its values are the targets if wanted."""
    n, temperature = 6, 0.5
    producer = make(eq_policy_targets=eq_policy_targets, target_temperature=temperature)
    games = play(producer, n).games
    numbers = np.arange(n, dtype=np.uint64)
    bids = random_bids(seed=SEED, deals=numbers // 2, stream=Stream.LABEL_DEAL)
    batch = GameBatch(games["hands"], games["decl"], games["leader"])
    soft = 0
    with SolverPool(1) as pool:
        eq = PimcPlayer(name="eq", n_worlds=4, pool=pool)
        network = NetworkPlayer(name="zeb", evaluator=Leaning(), temperature=1.0)
        for ply in range(28):
            rng = PlayRng(seed=SEED, games=numbers, plies=np.full(n, ply, np.uint8))
            rows = np.arange(n)
            decided, played = (
                eq.decide(batch, rows, rng, bids),
                network.choose(batch, rows, rng, bids),
            )
            for row in range(n):
                eq_plays = batch.to_play[row] % 2 == row % 2
                choice = decided.dominoes[row] if eq_plays else played[row]
                assert games["plays"][row, ply] == choice
                hand = batch.hands[row, batch.to_play[row]]
                wanted = (hand == choice).astype(float)
                points = decided.points[row, hand]
                if eq_plays and eq_policy_targets and not np.isnan(points).all():
                    weights = np.exp((points - np.nanmax(points)) / temperature)
                    wanted = np.nan_to_num(weights) / np.nansum(weights)
                    soft += np.count_nonzero(wanted) > 1
                found = games["policy"][row, ply] / WEIGHT
                np.testing.assert_allclose(found, wanted, atol=1e-4)
            batch.play(games["plays"][:, ply])
    assert bool(soft) == eq_policy_targets


def test_games_depend_on_seed_and_number_only(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on batches, threads, deals side by side or restarts."""
    whole = play(make(), 12).games
    one = make(n_threads=2)
    np.testing.assert_array_equal(whole, np.concatenate([play(one, n).games for n in (2, 6, 4)]))
    np.testing.assert_array_equal(whole[8:], play(make(first_game=7), 4).games)
    monkeypatch.setattr(module, "solver_deals_per_chunk", lambda n_worlds: 1)
    np.testing.assert_array_equal(whole, play(make(), 12).games)
    other = play(make(seed=SEED + 1), 12).games
    assert not any(game in whole["hands"].tolist() for game in other["hands"].tolist())


def test_statistics_are_those_of_the_games(make: Make) -> None:
    seen: list[int] = []
    batch = make().play(40, should_stop=lambda: False, on_step=seen.append)
    value = games_to_examples(batch.games)["value"].reshape(40, 28)[:, 0]
    team = batch.games["leader"] % 2  # the value is that of the seat that plays first
    eq = np.where(team == np.arange(40) % 2, value, -value)
    counts = {"eq_wins": 1, "eq_losses": -1, "eq_ties": 0}
    assert {name: batch.facts[name] for name in counts} == {
        name: int((eq == sign).sum()) for name, sign in counts.items()
    }
    assert batch.facts["eq_wins"] > batch.facts["eq_losses"]
    assert batch.remark == f", eq_win_rate={batch.facts['eq_wins'] / 40:.3f}"
    assert batch.facts["eq_mean_margin"] > 0
    assert batch.finished == seen[-1] == 40


def test_a_stop_gives_finished_deals_and_loses_none(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at each of many moments; what comes later is what would have come anyway."""
    monkeypatch.setattr(module, "solver_deals_per_chunk", lambda n_worlds: 1)
    whole = play(make(), 8).games
    sizes = set()
    for after in (0, 1, 30, 57, 100):
        asked = chain(repeat(False, after), repeat(True))
        producer = make()
        first = producer.play(8, should_stop=asked.__next__, on_step=lambda _: None).games
        assert producer.next_game == len(first)
        sizes.add(len(first))
        rest = play(producer, 8 - len(first)).games
        np.testing.assert_array_equal(np.concatenate([first, rest]), whole)
    assert sizes == {0, 2, 4, 6}


def test_odd_numbers_are_refused(make: Make) -> None:
    with pytest.raises(ValueError, match="each deal is two games"):
        play(make(), 3)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"n_samples": 0}, "n_samples is 0"),
        ({"n_samples": 20_000}, "n_samples is 20000"),
        ({"zeb_temperature": float("inf")}, "zeb_temperature"),
        ({"target_temperature": 0.0}, "target_temperature"),
        ({"n_threads": 0}, "n_threads"),
    ],
)
def test_settings_that_cannot_be_used(options: dict[str, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        EvalAuxConfig(**options)  # type: ignore[arg-type]
