"""The rollout player: plays that rest on what the seat knows, however decisions are batched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from choices import choose
from slow_rollouts import margin
from slow_solver import SlowSolver
from slow_tree import HashedEvaluator, hashed_evaluate
from world_games import as_position, batch_after, relaid

from zebfast.arena.match import play_match
from zebfast.arena.players.base import plain_player
from zebfast.arena.players.build import PlayerLoadError, build_player
from zebfast.arena.players.options import RolloutOptions
from zebfast.arena.players.rollouts import FIRST_WORLDS, RolloutPlayer, Rollouts, ValuedRollouts
from zebfast.arena.players.specs import parse_spec
from zebfast.arena.players.world_weights import WorldSource
from zebfast.core.solver_pool import SolverPool
from zebfast.core.worlds import sample_worlds
from zebfast.net import checkpoint
from zebfast.net.v2 import V2Config
from zebfast.selfplay.play_values import EPSILON, TAU

pytestmark = pytest.mark.usefixtures("one_torch_thread")

TINY = V2Config(width=32, n_blocks=1, belief_head=True)
OPTIONS = RolloutOptions(
    method="rollout", n_worlds=20, exact_tricks=3, prior_worlds=12.0, belief="none", power=0.5
)


class Clock:
    """Tells a tenth of a millisecond for every evaluation asked for so far."""

    def __init__(self, evaluator: HashedEvaluator) -> None:
        self.evaluator = evaluator

    def __call__(self) -> float:
        return self.evaluator.rows * 1e-4


@pytest.fixture
def make(pool: SolverPool) -> Callable[[RolloutOptions], RolloutPlayer]:
    def made(options: RolloutOptions) -> RolloutPlayer:
        evaluator = HashedEvaluator()
        depth = None if options.method == "rollout" else options.depth
        return RolloutPlayer(
            name="r",
            rollouts=(ValuedRollouts if options.method == "value" else Rollouts)(
                evaluator, pool, options.exact_tricks, depth
            ),
            worlds=WorldSource(options.belief, options.power, evaluator),
            options=options,
            clock=Clock(evaluator),
        )

    return made


def test_plays_are_those_of_single_worlds(make: Callable[[RolloutOptions], RolloutPlayer]) -> None:
    """Few worlds, so that nothing is dropped: prior and worlds add up as they should."""
    options = replace(OPTIONS, n_worlds=FIRST_WORLDS - 2, prior_worlds=4.0)
    batch, rows = batch_after(6, 13, seed=2), np.arange(6)
    chosen = choose(make(options), batch, rows, rows)
    hands = sample_worlds(batch, rows, options.n_worlds, seed=1, game_numbers=rows)
    looked = 0
    for row in rows:
        position = as_position(batch, row)
        legal = position.legal()
        priors = hashed_evaluate(batch.observe([row]))[0]
        dealt = position.dealt[position.to_play]
        total = {d: 4.0 * TAU * float(np.log(priors[dealt.index(d)])) for d in legal}
        for world in range(options.n_worlds):
            other = as_position(relaid(batch, np.array([row]), hands[row : row + 1, world]), 0)
            solver = SlowSolver(other.decl)
            for d in legal:
                ahead = margin(other, d, 16, hashed_evaluate, solver)
                total[d] += np.sign(ahead) + EPSILON * ahead
        assert chosen[row] == max(legal, key=lambda d: total[d])
        looked += len(legal) > 1
    assert looked > 2


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        replace(OPTIONS, method="epimc", depth=1),
        replace(OPTIONS, method="value", depth=1),
        replace(OPTIONS, belief="play"),
    ],
    ids=lambda options: f"{options.method}-{options.belief}",
)
def test_choices_do_not_depend_on_batching_or_on_what_is_hidden(
    options: RolloutOptions, make: Callable[[RolloutOptions], RolloutPlayer]
) -> None:
    batch, rows = batch_after(14, 11, seed=6), np.arange(14)
    player = make(options)
    wanted = choose(player, batch, rows, rows)
    assert (batch.legal() >> wanted & 1).all()
    for part in (rows[::-1], rows[7:9]):
        np.testing.assert_array_equal(choose(player, batch, part, part), wanted[part])
    hands = sample_worlds(batch, rows, 1, seed=8, game_numbers=rows)
    other = relaid(batch, rows, hands[:, 0])
    assert (other.hands != batch.hands).any()
    np.testing.assert_array_equal(choose(player, other, rows, rows), wanted)
    others = [choose(player, batch, rows, rows + offset) for offset in (20, 40, 60, 80)]
    assert (np.stack(others) != wanted).any()  # other worlds, other plays


def test_forced_plays_ask_nothing(make: Callable[[RolloutOptions], RolloutPlayer]) -> None:
    batch, player = batch_after(40, 18, seed=4), make(OPTIONS)
    legal = batch.legal()
    forced = np.flatnonzero(legal & (legal - np.uint32(1)) == 0)
    assert 3 < len(forced) < 40
    chosen = choose(player, batch, forced, forced)
    assert (1 << chosen.astype(np.int64) == legal[forced]).all()
    assert player.rollouts.evaluator.rows == 0  # type: ignore[attr-defined]


def test_time_bounds_the_worlds(make: Callable[[RolloutOptions], RolloutPlayer]) -> None:
    """By a clock that counts evaluations: more time, more of them, and never far too many."""
    batch, rows = batch_after(8, 4, seed=3), np.arange(8)
    asked = []
    for seconds in (1e-6, 0.1, 0.4):
        player = make(replace(OPTIONS, n_worlds=10_000, seconds=seconds))
        choose(player, batch, rows, rows)
        asked.append(player.rollouts.evaluator.rows)  # type: ignore[attr-defined]
        start = asked[0] * 1e-4
        assert asked[-1] * 1e-4 <= max(start, 1.3 * seconds * len(rows))
    assert asked[0] < asked[1] < asked[2]
    first = make(replace(OPTIONS, n_worlds=FIRST_WORLDS))
    choose(first, batch, rows, rows)
    assert first.rollouts.evaluator.rows == asked[0]  # type: ignore[attr-defined]


def test_a_network_rolls_out_from_a_spec(tmp_path: Path, pool: SolverPool) -> None:
    """Every option reaches the player, and chunks of games do not change a match."""
    checkpoint.save(checkpoint.fresh(TINY, seed=3), tmp_path / "a.pt")
    text = f"search:source={tmp_path}/a.pt,method=epimc,worlds=6,exact=1,depth=2,prior=3"
    player = build_player(parse_spec(f"{text},belief=head,power=0.3,dtype=fp32"), pool=pool)
    assert isinstance(player, RolloutPlayer)
    assert (player.rollouts.exact_tricks, player.rollouts.depth) == (1, 2)
    assert (player.worlds.belief, player.worlds.power) == ("head", 0.3)
    assert (player.options.n_worlds, player.options.prior_worlds) == (6, 3.0)
    results = [
        play_match(player, plain_player("random"), n_games=12, seed=2, deals_per_chunk=chunk)
        for chunk in (6, 4)
    ]
    assert results[0].wins == results[1].wins
    assert results[0].mean_margin == results[1].mean_margin


def test_a_belief_head_must_be_there(tmp_path: Path, pool: SolverPool) -> None:
    config = replace(TINY, belief_head=False)
    checkpoint.save(checkpoint.fresh(config, seed=3), tmp_path / "a.pt")
    spec = parse_spec(f"search:source={tmp_path}/a.pt,belief=head")
    with pytest.raises(PlayerLoadError, match="needs a network with a belief head"):
        build_player(spec, device="cpu", pool=pool)
    checkpoint.save(checkpoint.fresh(TINY, seed=3), tmp_path / "b.pt")
    found = []
    for told in ("a.pt", "b.pt", "b.pt,belief=head"):
        player = build_player(parse_spec(f"search:source={tmp_path}/{told}"), pool=pool)
        assert isinstance(player, RolloutPlayer)
        found.append((player.worlds.belief, player.worlds.head is not None))
    assert found == [("play", False), ("play", False), ("head", True)]


def test_open_hands_alone_beat_the_rules_of_thumb(
    make: Callable[[RolloutOptions], RolloutPlayer],
) -> None:
    """With hashed priors and favourites: what is played rests on worlds and solver alone."""
    options = replace(OPTIONS, method="epimc", n_worlds=8, depth=1, prior_worlds=0.0)
    player = make(replace(options, exact_tricks=7))
    result = play_match(player, plain_player("heuristic2"), n_games=40, seed=3)
    assert result.mean_margin > 2  # about 10 on average, its standard error here about 3
