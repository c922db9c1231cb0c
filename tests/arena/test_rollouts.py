"""Rollouts and weights of worlds against single games by the plain rules."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
import slow_policy
from slow_rollouts import Opponents, copied, margin, valued, won
from slow_solver import SlowSolver
from slow_tree import HashedEvaluator, hashed_evaluate
from world_games import as_position, batch_after, for_contracts

from zebfast import rules
from zebfast.arena.pairs import PlayRng
from zebfast.arena.players.rollouts import Rollouts, ValuedRollouts
from zebfast.arena.players.world_weights import SURPRISE, WorldSource, past_log_likelihoods
from zebfast.arena.policies.asking import Asked
from zebfast.arena.policies.options import AskingOptions
from zebfast.arena.policies.policy import Policy
from zebfast.arena.policies.view import View
from zebfast.core.engine import Game, GameBatch
from zebfast.core.solver_pool import SolverPool
from zebfast.core.worlds import WorldSet, sample_worlds
from zebfast.selfplay.play_values import EPSILON


@pytest.mark.parametrize("contracts", [False, True])
@pytest.mark.parametrize(
    ("exact_tricks", "depth", "plies"),
    [(0, None, 2), (2, None, 11), (3, None, 9), (1, 2, 13), (0, 1, 14), (7, None, 17), (2, 1, 24)],
)
def test_utilities_are_those_of_single_games(
    pool: SolverPool, exact_tricks: int, depth: int | None, plies: int, contracts: bool
) -> None:
    games = batch_after(5, plies, seed=3)
    if contracts:
        games = for_contracts(games, seed=4)
    rollouts = Rollouts(HashedEvaluator(), pool, exact_tricks, depth)
    masks = games.legal()
    masks[0] &= ~masks[0] + np.uint32(1)  # only the lowest is tried
    found = rollouts.utilities(games, masks)
    until = 28 - 4 * exact_tricks
    if depth is not None:
        until = min(until, 4 * (plies // 4 + depth))
    for row in range(5):
        position = as_position(games, row)
        solver = SlowSolver(position.decl)
        tried = [d for d in range(28) if masks[row] >> d & 1]
        assert np.flatnonzero(~np.isnan(found[row])).tolist() == tried
        for domino in tried:
            wanted = margin(position, domino, until, hashed_evaluate, solver)
            worth = won(position, position.to_play, wanted)
            assert found[row, domino] == np.float32(worth + (not contracts) * EPSILON * wanted)


@pytest.mark.parametrize("contracts", [False, True])
@pytest.mark.parametrize(
    ("exact_tricks", "depth", "plies"), [(0, 1, 2), (2, 1, 11), (1, 2, 9), (3, 1, 14), (2, 2, 20)]
)
def test_truncated_rollouts_are_those_of_single_games(
    pool: SolverPool, exact_tricks: int, depth: int, plies: int, contracts: bool
) -> None:
    games = batch_after(6, plies, seed=7)
    if contracts:
        games = for_contracts(games, seed=5)
    rollouts = ValuedRollouts(HashedEvaluator(), pool, exact_tricks, depth)
    found = rollouts.utilities(games, games.legal())
    until = 28 - 4 * exact_tricks
    since = min(until, 4 * (plies // 4 + depth))
    for row in range(6):
        position = as_position(games, row)
        solver = SlowSolver(position.decl)
        for domino in position.legal():
            wanted = valued(position, domino, since, until, hashed_evaluate, solver)
            assert found[row, domino] == np.float32(wanted)
    ended = np.isin(found[~np.isnan(found)], [-1, 0, 1])
    assert ended.all() == (since == until)


@pytest.mark.parametrize("kind", [Rollouts, ValuedRollouts])
def test_opponents_may_be_a_model(pool: SolverPool, kind: type[Rollouts]) -> None:
    """A policy plays for the other side alone, with what each of its seats sees in the layout."""

    def highest_but_partners(view: View, random: int) -> int:
        return (view.legal if view.best == 2 else view.winners or view.legal).bit_length() - 1

    def same(position: rules.Position) -> int:
        return highest_but_partners(slow_policy.seen(position, 30), 0)

    asking = AskingOptions(compiled=False)
    model = Asked.of(Policy(highest_but_partners), "Policy", asking)
    games = batch_after(8, 9, seed=5)
    found = kind(HashedEvaluator(), pool, 2, 2, model).utilities(games, games.legal())
    without = kind(HashedEvaluator(), pool, 2, 2).utilities(games, games.legal())
    assert (found != without)[~np.isnan(found)].any()
    for row in range(8):
        position = as_position(games, row)
        solver = SlowSolver(position.decl)
        others = Opponents(1 - position.to_play % 2, same)
        for domino in position.legal():
            if kind is Rollouts:
                ahead = margin(position, domino, 16, hashed_evaluate, solver, others)
                wanted = won(position, position.to_play, ahead) + EPSILON * ahead
            else:
                wanted = valued(position, domino, 16, 20, hashed_evaluate, solver, others)
            assert found[row, domino] == np.float32(wanted)


def test_likelihoods_are_those_of_single_plays() -> None:
    games = for_contracts(batch_after(6, 10, seed=5), seed=1)
    found = past_log_likelihoods(games, HashedEvaluator())
    for row in range(6):
        position = as_position(games, row)
        viewer, total = position.to_play, 0.0
        leader = position.plays[0][0]
        again = Game(position.dealt, position.decl, leader, contract=position.contract)
        for seat, domino in position.plays:
            legal = again.legal()
            if seat != viewer and len(legal) > 1:
                prior = hashed_evaluate(np.array([again.observation()]))[0]
                made = float(prior[again.dealt[seat].index(domino)])
                total += log((1 - SURPRISE) * made + SURPRISE / 7)
            again.play(domino)
        assert found[row] == pytest.approx(total, abs=1e-9)
    assert past_log_likelihoods(batch_after(2, 0, seed=1), HashedEvaluator()).tolist() == [0.0, 0.0]


def test_a_seat_that_saw_the_same_in_many_worlds_is_asked_once() -> None:
    games = batch_after(1, 12, seed=5).take(np.zeros(50, np.int64))
    one, many = HashedEvaluator(), HashedEvaluator()
    alone = past_log_likelihoods(games.take([0]), one)
    assert past_log_likelihoods(games, many).tolist() == alone.tolist() * 50
    assert one.rows == many.rows > 3


def draws_of(games: GameBatch) -> PlayRng:
    numbers = np.arange(len(games), dtype=np.uint64)
    return PlayRng(seed=4, games=numbers, plies=games.n_plays)


@pytest.mark.parametrize("belief", ["none", "play"])
def test_worlds_are_those_of_their_numbers(belief: str) -> None:
    """However they are asked for; and what is hidden does not enter."""
    games = batch_after(4, 9, seed=2)
    source = WorldSource(belief, 0.5, HashedEvaluator())
    worlds, logs = source.draw(games, draws_of(games), 0, 6, source.weights(games))
    hands = sample_worlds(games, None, 6, seed=4, game_numbers=np.arange(4))
    np.testing.assert_array_equal(worlds.held.reshape(4, 6, 4), hands)
    later, some = source.draw(games, draws_of(games), 2, 6, source.weights(games))
    np.testing.assert_array_equal(later.held.reshape(4, 4, 4), hands[:, 2:])
    np.testing.assert_array_equal(some, logs[:, 2:])
    assert (logs == 0).all() == (belief == "none")
    other = worlds.take(np.arange(0, 24, 6))
    again, same = source.draw(other, draws_of(games), 0, 6, source.weights(other))
    np.testing.assert_array_equal(again.held, worlds.held)
    np.testing.assert_array_equal(same, logs)


def test_a_belief_head_says_how_likely_worlds_are() -> None:
    """The chance of every world that is drawn is what WorldSet says under the head's weights."""
    games = batch_after(3, 20, seed=7)
    chances = np.random.default_rng(1).dirichlet((1.0, 1.0, 1.0), size=(3, 28))
    source = WorldSource("head", 2.0, HashedEvaluator(), lambda obs: chances[: len(obs)])
    n = 4000
    worlds, logs = source.draw(games, draws_of(games), 0, n, source.weights(games))
    assert not logs.any()
    held = worlds.held.reshape(3, n, 4)
    for row in range(3):
        weights = np.ones((28, 4))
        for relative in range(3):
            seat = (int(games.to_play[row]) + relative + 1) % 4
            weights[:, seat] = np.maximum(chances[row, :, relative], SURPRISE) ** 2
        worlds_of = WorldSet(games, row, weights=weights)
        every = worlds_of.enumerate()
        wanted = worlds_of.probability(every)
        counts = np.array([(held[row] == one).all(axis=1).sum() for one in every])
        assert counts.sum() == n
        np.testing.assert_allclose(counts / n, wanted, atol=5 * 0.5 / n**0.5)


def test_the_twin_deals_games_anew() -> None:
    position = as_position(batch_after(1, 7, seed=3), 0)
    assert copied(position).hands == position.hands
