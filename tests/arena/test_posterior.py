"""Weights of worlds by the plays made so far, against a replay of each world by the plain rules."""

from __future__ import annotations

from math import exp, log

import numpy as np
from slow_solver import position_record
from slow_worlds import worlds

from zebfast import rules
from zebfast.arena.players.world_weights import log_likelihoods
from zebfast.core.engine import GameBatch
from zebfast.core.solve import NO_PLAY, Solver
from zebfast.core.solver_pool import SolverPool


def batch_at(n: int, plies: int) -> GameBatch:
    batch = GameBatch.deal(n, seed=21)
    for _ in range(plies):
        batch.play_random(seed=22)
    return batch


def replayed(batch: GameBatch, row: int, masks: tuple[int, ...] | None = None) -> rules.Position:
    """The game by the plain rules, as if the hands now were those of the world `masks`."""
    hands = batch.hands[row].tolist()
    plays = batch.history[row][: batch.n_plays[row]].tolist()
    seats = batch.seats[row][: batch.n_plays[row]].tolist()
    if masks is not None:
        hands = [[d for d in range(28) if mask >> d & 1] for mask in masks]
        for seat, domino in zip(seats, plays, strict=True):
            hands[seat].append(domino)
    position = rules.Position(hands, int(batch.decl[row]), int(batch.leader[row]))
    for domino in plays:
        position.play(domino)
    return position


def regrets(position: rules.Position, viewer: int) -> list[tuple[dict[int, float], int]]:
    """For each choice of another seat: points given away by each legal play, and what it played."""
    solver, found = Solver(), []
    again = rules.Position(position.dealt, position.decl, position.leader)
    for seat, domino in position.plays:
        if seat != viewer and len(again.legal()) > 1:
            leader = (seat - len(again.trick)) % 4
            record = position_record(again.hands, again.decl, leader, again.trick)
            values = solver.play_values(record)[0].tolist()
            own = {d: (-v if seat % 2 else v) / 2 for d, v in enumerate(values) if v != NO_PLAY}
            assert list(own) == again.legal()
            best = max(own.values())
            found.append(({d: best - v for d, v in own.items()}, domino))
        again.play(domino)
    return found


def some_worlds(batch: GameBatch, row: int, n: int) -> list[tuple[int, ...]]:
    position = replayed(batch, row)
    found = worlds(position, position.to_play)
    return found[:: max(1, len(found) // n)][:n]


def test_equals_a_replay_of_every_world(pool: SolverPool) -> None:
    beta, different = 0.4, 0
    for plies in (18, 21, 23):
        batch = batch_at(4, plies)
        for row in range(4):
            viewer = int(batch.to_play[row])
            chosen = some_worlds(batch, row, 6)
            hands = np.array([chosen], np.uint32)
            real = np.ones(hands.shape[:2], np.bool_)
            at = np.array([row])
            found = log_likelihoods(batch, at, hands, real=real, beta=beta, pool=pool)
            wanted = []
            for masks in chosen:
                total = 0.0
                for regret, domino in regrets(replayed(batch, row, masks), viewer):
                    weights = {d: exp(-beta * lost) for d, lost in regret.items()}
                    total += log(weights[domino] / sum(weights.values()))
                wanted.append(total)
            np.testing.assert_allclose(found[0], wanted, atol=1e-9)
            different += len(set(np.round(wanted, 9))) > 1
    assert different >= 6


def test_weight_shifts_to_worlds_in_which_the_plays_were_good(pool: SolverPool) -> None:
    """Under the weights the others have, on average, given away fewer points than without."""
    batch = batch_at(6, 20)
    shifts = []
    for row in range(6):
        viewer = int(batch.to_play[row])
        chosen = some_worlds(batch, row, 25)
        given_away = np.array(
            [
                sum(regret[domino] for regret, domino in regrets(replayed(batch, row, m), viewer))
                for m in chosen
            ]
        )
        hands = np.array([chosen], np.uint32)
        real = np.ones(hands.shape[:2], np.bool_)
        logs = log_likelihoods(batch, np.array([row]), hands, real=real, beta=1.0, pool=pool)[0]
        weights = np.exp(logs - logs.max())
        shifts.append(given_away.mean() - (weights * given_away).sum() / weights.sum())
    assert min(shifts) >= 0
    assert max(shifts) > 1


def test_games_are_independent_and_padding_is_left_alone(pool: SolverPool) -> None:
    batch = batch_at(3, 21)
    hands = np.zeros((3, 5, 4), np.uint32)
    real = np.zeros((3, 5), np.bool_)
    for row in range(3):
        chosen = some_worlds(batch, row, 5 - row)
        hands[row] = np.resize(np.array(chosen, np.uint32), (5, 4))
        real[row, : len(chosen)] = True
    rows = np.arange(3)
    together = log_likelihoods(batch, rows, hands, real=real, beta=0.5, pool=pool)
    assert (together[~real] == 0).all()
    for row in range(3):
        alone = log_likelihoods(
            batch,
            rows[row : row + 1],
            hands[row : row + 1],
            real=real[row : row + 1],
            beta=0.5,
            pool=pool,
        )
        np.testing.assert_array_equal(alone[0], together[row])


def test_before_anybody_has_played_there_is_no_evidence(pool: SolverPool) -> None:
    batch = batch_at(2, 0)
    hands = batch.held[:, None, :]
    found = log_likelihoods(
        batch, np.arange(2), hands, real=np.ones((2, 1), np.bool_), beta=1.0, pool=pool
    )
    assert found.tolist() == [[0.0], [0.0]]
