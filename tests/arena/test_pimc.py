"""The E[Q] player: its averages are those of a plain loop over slow worlds, its choices follow."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from slow_solver import position_record, slow_plays
from slow_worlds import worlds

from zebfast import rules
from zebfast.arena.match import play_match
from zebfast.arena.pairs import PlayRng
from zebfast.arena.players import pimc as eq
from zebfast.arena.players.base import RandomPlayer
from zebfast.arena.players.pimc import PimcDecisions, PimcPlayer
from zebfast.arena.players.world_weights import log_likelihoods
from zebfast.core.engine import GameBatch
from zebfast.core.records import CONTRACT_DTYPE
from zebfast.core.solver_pool import SolverPool
from zebfast.core.worlds import world_positions
from zebfast.rules import Stream

ALL_WORLDS = 2000  # more than there are with three tricks left


def player(pool: SolverPool, n_worlds: int, **options: object) -> PimcPlayer:
    return PimcPlayer(name="eq", n_worlds=n_worlds, pool=pool, **options)  # type: ignore[arg-type]


def random_batch(n: int, plies: int) -> GameBatch:
    batch = GameBatch.deal(n, seed=4, stream=Stream.EVAL_DEAL)
    for _ in range(plies):
        batch.play_random(seed=9)
    return batch


def bids_for(rows: NDArray[np.intp]) -> NDArray[np.uint8]:
    return (30 + rows % 13).astype(np.uint8)


def decide(
    eq_player: PimcPlayer,
    batch: GameBatch,
    rows: NDArray[np.intp] | None = None,
    bids: NDArray[np.uint8] | None = None,
    seed: int = 1,
) -> PimcDecisions:
    rows = np.arange(len(batch)) if rows is None else rows
    rng = PlayRng(seed=seed, games=rows.astype(np.uint64), plies=batch.n_plays[rows])
    return eq_player.decide(batch, rows, rng, bids_for(rows) if bids is None else bids)


def same(a: PimcDecisions, b: PimcDecisions) -> None:
    for name in ("dominoes", "n_worlds", "points", "success"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def as_position(batch: GameBatch, row: int) -> rules.Position:
    """One game of a batch by the plain rules."""
    hands, decl, leader = batch.hands[row].tolist(), int(batch.decl[row]), int(batch.leader[row])
    position = rules.Position(hands, decl, leader)
    for domino in batch.history[row][: batch.n_plays[row]].tolist():
        position.play(domino)
    return position


def slow_means(
    position: rules.Position, bid: int
) -> tuple[int, dict[int, float], dict[int, float]]:
    """Number of worlds, mean points and success of each legal play, by plain loops."""
    viewer = position.to_play
    team, declarer = viewer % 2, position.leader % 2
    points = dict.fromkeys(position.legal(), 0.0)
    success = dict(points)
    found = worlds(position, viewer)
    on_table = position.trick
    to_come = 42 - sum(position.points)
    for masks in found:
        hands = [[d for d in range(28) if mask >> d & 1] for mask in masks]
        leader = (viewer - len(on_table)) % 4
        record = position_record(hands, position.decl, leader, on_table)[0]
        for domino, value in slow_plays(record).items():
            taken = [(to_come + value) // 2, (to_come - value) // 2]
            points[domino] += taken[team] / len(found)
            made = position.points[declarer] + taken[declarer] >= bid
            success[domino] += (made == (team == declarer)) / len(found)
    return len(found), points, success


@pytest.fixture(scope="module")
def late() -> list[tuple[GameBatch, int, rules.Position]]:
    """(batch, row, position) with a choice and at most three tricks left."""
    found = []
    for plies, n in ((17, 12), (18, 12), (20, 40), (21, 40), (22, 40), (24, 12), (25, 12)):
        batch = random_batch(n, plies)
        for row in range(n):
            position = as_position(batch, row)
            if len(position.legal()) > 1:
                found.append((batch, row, position))
    return found


@pytest.mark.parametrize("plies", [16, 21])
def test_a_contract_is_played_for_whatever_the_objective(pool: SolverPool, plies: int) -> None:
    """With its bid by whoever leads, and no other: the choice of a player that aims at that."""
    plain = random_batch(24, plies)
    leaders = plain.leader.astype(int)
    contracts = np.zeros(24, CONTRACT_DTYPE)
    contracts["bid"], contracts["bidder"] = bids_for(np.arange(24)), leaders
    played_for = plain.playing_for(contracts)
    aims, points = (player(pool, ALL_WORLDS, objective=o) for o in ("make", "points"))
    wanted = decide(aims, plain)
    other = np.full(24, 41, np.uint8)
    same(decide(points, played_for, bids=other), wanted)
    same(decide(aims, played_for, bids=other), wanted)
    half = plain.playing_for(np.where(np.arange(24) < 12, contracts, np.zeros(1, CONTRACT_DTYPE)))
    mixed, by_points = decide(points, half), decide(points, plain)
    np.testing.assert_array_equal(mixed.dominoes[:12], wanted.dominoes[:12])
    np.testing.assert_array_equal(mixed.dominoes[12:], by_points.dominoes[12:])


def test_with_all_worlds_the_average_is_exact(
    late: list[tuple[GameBatch, int, rules.Position]], pool: SolverPool
) -> None:
    assert len(late) > 60
    for batch, row, position in late:
        at = np.array([row])
        bid = int(bids_for(at)[0])
        n_worlds, points, success = slow_means(position, bid)
        for objective in ("points", "make"):
            found = decide(player(pool, ALL_WORLDS, objective=objective), batch, at)
            assert found.n_worlds[0] == n_worlds
            legal = position.legal()
            assert np.flatnonzero(np.isfinite(found.points[0])).tolist() == legal
            np.testing.assert_allclose(found.points[0, legal], [points[d] for d in legal])
            np.testing.assert_allclose(
                found.success[0, legal], [success[d] for d in legal], atol=1e-12
            )
            first, second = (points, success) if objective == "points" else (success, points)
            # Sums in another order: round before ties are told.
            wanted = max(legal, key=lambda d: (round(first[d], 9), round(second[d], 9), -d))
            assert found.dominoes[0] == wanted


def test_the_objectives_differ_where_the_contract_asks_for_it(pool: SolverPool) -> None:
    """Somewhere safe points and the contract part; each player is best by its own measure."""
    both = [player(pool, ALL_WORLDS, objective=objective) for objective in ("points", "make")]
    differing = []
    for plies in (16, 17):
        batch = random_batch(60, plies)
        rows = np.arange(60)
        for bid in range(30, 43, 3):
            bids = np.full(60, bid, np.uint8)
            by_points, by_make = (decide(one, batch, bids=bids) for one in both)
            a, b = by_points.dominoes, by_make.dominoes
            differ = by_points.success[rows, a] < by_make.success[rows, b]
            assert (by_points.points[rows, a] > by_make.points[rows, b])[differ].all()
            differing += [(batch, row, bid, a[row], b[row]) for row in np.flatnonzero(differ)]
    assert len(differing) >= 5
    batch, row, bid, a, b = differing[-1]
    _, points, success = slow_means(as_position(batch, row), bid)
    assert a == max(points, key=lambda d: points[d])
    assert b == max(success, key=lambda d: success[d])
    assert (points[a] > points[b], success[a] < success[b]) == (True, True)


def test_what_was_taken_counts(
    late: list[tuple[GameBatch, int, rules.Position]], pool: SolverPool
) -> None:
    """A contract already made or already set leaves nothing to choose but points."""
    one = player(pool, 50, objective="make")
    for batch, row, position in late:
        declarer = position.leader % 2
        taken, lost = position.points[declarer], position.points[1 - declarer]
        for bid, made in ((30, taken >= 30), (42, lost == 0), (30, lost <= 12)):
            found = decide(one, batch, np.array([row]), np.array([bid], np.uint8))
            ours = position.to_play % 2 == declarer
            if (bid == 30 and taken >= 30) or (bid == 42 and lost > 0) or lost > 12:
                legal = position.legal()
                assert (found.success[0, legal] == (made == ours)).all()
                by_points = decide(player(pool, 50), batch, np.array([row]))
                assert found.dominoes[0] == by_points.dominoes[0]


def all_trumps(hand: list[int]) -> GameBatch:
    """Seat 0 leads with this hand, sixes are trumps; the others hold the rest, ascending."""
    rest = [d for d in range(28) if d not in hand]
    return GameBatch([[hand, rest[:7], rest[7:14], rest[14:]]], [6], [0])


def test_seven_trumps_take_everything_whatever_is_played(pool: SolverPool) -> None:
    for adaptive, n_worlds in ((False, 40), (True, 32)):
        one = player(pool, 40, adaptive=adaptive)
        found = decide(one, all_trumps([21, 22, 23, 24, 25, 26, 27]), bids=np.array([42], np.uint8))
        assert found.dominoes.tolist() == [21]  # all alike: the lowest
        assert found.points[0, 21:].tolist() == [42.0] * 7
        assert found.success[0, 21:].tolist() == [1.0] * 7
        assert np.isnan(found.points[0, :21]).all()
        assert found.n_worlds.tolist() == [n_worlds]


def test_the_last_trump_is_drawn_before_the_double(pool: SolverPool) -> None:
    """Only 6-0 is out: any trump draws it, and 5-5 is then high. Led first, it may be trumped."""
    batch = all_trumps([20, 22, 23, 24, 25, 26, 27])
    for objective in ("points", "make"):
        one = player(pool, 100, objective=objective)
        found = decide(one, batch, bids=np.array([42], np.uint8))
        assert found.dominoes.tolist() == [22]
        assert (found.points[0, 22:] == 42).all()
        assert 30 < found.points[0, 20] < 42
        assert 0.5 < found.success[0, 20] < 1


@pytest.mark.parametrize("objective", ["points", "make"])
def test_adaptive_agrees_where_the_choice_is_clear(pool: SolverPool, objective: str) -> None:
    batch = random_batch(60, 10)
    full = decide(player(pool, 160, objective=objective), batch)
    short = decide(player(pool, 160, objective=objective, adaptive=True), batch)
    sampled = full.n_worlds == 160
    assert set(short.n_worlds[sampled].tolist()) <= {16, 32, 64, 128, 160}
    assert short.n_worlds[sampled].mean() < 0.8 * 160
    means = np.nan_to_num(full.points if objective == "points" else full.success, nan=-1.0)
    ahead = np.sort(means, axis=1)[:, -1] - np.sort(means, axis=1)[:, -2]
    clear = sampled & (ahead > (1.5 if objective == "points" else 0.1))
    assert clear.sum() >= 4
    np.testing.assert_array_equal(short.dominoes[clear], full.dominoes[clear])
    # What took all worlds is decided by the same worlds.
    whole = short.n_worlds == full.n_worlds
    np.testing.assert_array_equal(short.dominoes[whole], full.dominoes[whole])
    np.testing.assert_allclose(short.points[whole], full.points[whole])


@pytest.mark.parametrize(
    "options",
    [{}, {"objective": "make", "adaptive": True}, {"posterior": 0.3}],
    ids=["points", "make", "posterior"],
)
def test_choices_do_not_depend_on_batching_or_threads(
    options: dict[str, object], pool: SolverPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_worlds = 3 if options.get("posterior") else 12  # past positions are the dear ones
    batch = random_batch(16, 15)
    rows = np.arange(16)
    one = player(pool, n_worlds, **options)
    wanted = decide(one, batch)
    assert (wanted.n_worlds == n_worlds).sum() > 3
    for part in (rows[::-1], rows[3:5]):
        found = decide(one, batch, part)
        np.testing.assert_array_equal(found.dominoes, wanted.dominoes[part])
        np.testing.assert_array_equal(found.n_worlds, wanted.n_worlds[part])
        np.testing.assert_allclose(found.points, wanted.points[part])
    with SolverPool(3, table_bits=12) as other:
        same(decide(player(other, n_worlds, **options), batch), wanted)
    monkeypatch.setattr(eq, "PART_POSITIONS", 30)
    found = decide(one, batch)
    np.testing.assert_array_equal(found.dominoes, wanted.dominoes)


@pytest.mark.parametrize("posterior", [0.0, 0.3])
def test_the_hidden_hands_do_not_enter(pool: SolverPool, posterior: float) -> None:
    """In another world that the seat cannot tell apart, it plays the same for the same reasons."""
    compared = 0
    for plies in (13, 18):
        batch = random_batch(10, plies)
        for row in range(10):
            position = as_position(batch, row)
            if len(position.legal()) == 1:
                continue
            masks = worlds(position, position.to_play)[-1]
            dealt = [[d for d in range(28) if mask >> d & 1] for mask in masks]
            for seat, domino in position.plays:
                dealt[seat].append(domino)
            other = GameBatch([dealt], [position.decl], [position.leader])
            for _, domino in position.plays:
                other.play([domino])
            one = player(pool, 10, posterior=posterior)
            bids = np.array([33], np.uint8)
            rng = PlayRng(seed=1, games=np.array([row], np.uint64), plies=other.n_plays)
            found = one.decide(other, np.array([0]), rng, bids)
            same(found, decide(one, batch, np.array([row]), bids))
            compared += 1
    assert compared > 5


def test_a_posterior_weights_the_worlds(pool: SolverPool) -> None:
    batch, beta, moved = random_batch(12, 20), 0.5, 0
    plain = decide(player(pool, ALL_WORLDS), batch)
    weighted = decide(player(pool, ALL_WORLDS, posterior=beta), batch)
    for row in np.flatnonzero(plain.n_worlds):
        at = np.array([row])
        hands = np.array([worlds(as_position(batch, row), int(batch.to_play[row]))], np.uint32)
        real = np.ones(hands.shape[:2], np.bool_)
        logs = log_likelihoods(batch, at, hands, real=real, beta=beta, pool=pool)[0]
        values = pool.play_values(world_positions(batch, at, hands)[0]).astype(float)
        sign = -1 if batch.to_play[row] % 2 else 1
        to_come = 42 - batch.points[row].sum()
        points = (np.average(values, axis=0, weights=np.exp(logs)) * sign + to_come) / 2
        legal = np.isfinite(plain.points[row])
        np.testing.assert_allclose(weighted.points[row, legal], points[legal])
        moved += not np.allclose(weighted.points[row, legal], plain.points[row, legal])
    assert moved > 3


def test_seed_and_game_number_choose_the_worlds(pool: SolverPool) -> None:
    batch = random_batch(20, 4)
    one = player(pool, 3)
    a, b = (decide(one, batch, seed=seed) for seed in (1, 2))
    assert not np.array_equal(np.nan_to_num(a.points), np.nan_to_num(b.points))
    same(a, decide(one, batch, seed=1))


def test_forced_plays_cost_nothing() -> None:
    batch = random_batch(40, 18)
    forced = np.flatnonzero([bin(mask).count("1") == 1 for mask in batch.legal()])
    assert 3 < len(forced) < 40
    found = decide(player(None, 10), batch, forced)  # type: ignore[arg-type]
    assert (1 << found.dominoes.astype(np.int64) == batch.legal(forced)).all()
    assert found.n_worlds.sum() == 0
    assert np.isnan(found.points).all()


def test_it_beats_random_by_far(pool: SolverPool) -> None:
    result = play_match(player(pool, 4), RandomPlayer(), n_games=40, seed=3)
    assert result.mean_margin > 6  # about 16 on average, its standard error here about 3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_worlds": 0}, "n_worlds is 0"),
        ({"n_worlds": 9, "objective": "win"}, "none of points, make"),
        ({"n_worlds": 9, "posterior": -1.0}, "posterior is -1.0"),
        ({"n_worlds": 9, "posterior": float("nan")}, "posterior is nan"),
    ],
)
def test_wrong_options_are_refused(
    pool: SolverPool, options: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        PimcPlayer(name="eq", pool=pool, **options)  # type: ignore[arg-type]
