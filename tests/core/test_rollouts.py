"""Games side by side against the same games one at a time, by the plain rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from core_evaluator import small_network
from slow_rollouts import copied, favourite, play_on
from slow_tree import hashed_evaluate
from world_games import as_position, batch_after, relaid, single

from zebfast import rules
from zebfast.core.engine import GameBatch
from zebfast.core.records import OBS_DTYPE
from zebfast.core.rollouts import RolloutGames, laid_out, past_choices
from zebfast.core.worlds import sample_worlds


def same(games: GameBatch, row: int, position: rules.Position) -> None:
    assert games.history[row, : games.n_plays[row]].tolist() == [d for _, d in position.plays]
    assert games.hands[row].tolist() == position.dealt
    assert games.points[row].tolist() == position.points
    held = [[d for d in range(28) if mask >> d & 1] for mask in games.held[row].tolist()]
    assert held == position.hands
    if not position.over:
        assert games.to_play[row] == position.to_play


def mixed(n: int) -> GameBatch:
    """Games at all stages."""
    games = GameBatch.deal(n, seed=3)
    for ply in range(27):
        games.play_random(seed=4, rows=np.arange(ply % n, n), games=np.arange(ply % n, n))
    return games


def test_favourites_to_the_end_are_those_of_single_games() -> None:
    games, until = mixed(30), np.resize([28, 12, 28, 5, 24], 30)
    rollouts = RolloutGames(games, until=until)
    obs, evals, asked = np.empty(30, OBS_DTYPE), np.empty((30, 8), np.float32), 0
    while n := rollouts.advance(obs):
        waiting = rollouts.waiting
        assert (np.diff(waiting) > 0).all()
        assert len(waiting) == n
        np.testing.assert_array_equal(obs[:n], rollouts.games.observe(waiting))
        evals[:n] = hashed_evaluate(obs[:n])
        rollouts.play_greedy(evals[:n])
        asked += n
    wanted = 0
    for row in range(30):
        position = as_position(games, row)
        wanted += play_on(position, int(until[row]), hashed_evaluate)
        same(rollouts.games, row, position)
    assert asked == wanted > 100
    assert len(rollouts.waiting) == 0
    assert rollouts.advance(obs) == 0


def test_equal_priors_play_the_lowest_slot_and_illegal_ones_never() -> None:
    games = batch_after(50, 6, seed=2)
    rollouts, obs = RolloutGames(games), np.empty(50, OBS_DTYPE)
    n = rollouts.advance(obs)
    before, waiting = rollouts.games.copy(), rollouts.waiting
    evals = np.zeros((n, 8), np.float32)
    for i in range(n):  # a prior of 1 where it is not legal
        evals[i, :7] = [0 if obs[i]["legal"] >> s & 1 else 1 for s in range(7)]
    rollouts.play_greedy(evals)
    played = rollouts.games.history[waiting, before.n_plays[waiting]]
    lowest = before.legal(waiting)
    np.testing.assert_array_equal(np.uint32(1) << played.astype(np.uint32), lowest & -lowest)


def test_the_order_of_calls_is_kept() -> None:
    rollouts, obs = RolloutGames(batch_after(4, 0, seed=1)), np.empty(4, OBS_DTYPE)
    with pytest.raises(ValueError, match="plays for 4 rollouts, but 0 wait"):
        rollouts.play_greedy(np.zeros((4, 8), np.float32))
    with pytest.raises(ValueError, match="room for 3 of 4 rollouts"):
        rollouts.advance(obs[:3])
    with pytest.raises(ValueError, match="contiguous vector of observations"):
        rollouts.advance(np.empty(8, OBS_DTYPE)[::2])
    assert rollouts.advance(obs) == 4
    with pytest.raises(RuntimeError, match="4 rollouts still wait"):
        rollouts.advance(obs)
    with pytest.raises(ValueError, match="8 a rollout, not 7"):
        rollouts.play_greedy(np.zeros((4, 7), np.float32))
    with pytest.raises(ValueError, match="plays for 3 rollouts, but 4 wait"):
        rollouts.play_greedy(np.zeros((3, 8), np.float32))


def test_rollouts_that_leave_stop_where_they_are() -> None:
    games = batch_after(8, 5, seed=3)
    rollouts, twin, obs = RolloutGames(games), RolloutGames(games), np.zeros(8, OBS_DTYPE)
    evals = np.ones((8, 8), np.float32)
    n = rollouts.advance(obs)
    assert twin.advance(obs.copy()) == n > 3
    waiting, marked = rollouts.waiting, np.arange(n) % 3 == 1
    rollouts.leave(marked)
    assert rollouts.waiting.tolist() == waiting[~marked].tolist()
    left, stood = waiting[marked], rollouts.games.n_plays[waiting[marked]]
    while True:
        rollouts.play_greedy(evals[: len(rollouts.waiting)])
        if not rollouts.advance(obs):
            break
    while len(twin.waiting):
        twin.play_greedy(evals[: len(twin.waiting)])
        twin.advance(obs)
    assert rollouts.games.n_plays[left].tolist() == stood.tolist()
    stayed = np.setdiff1d(np.arange(8), left)
    assert (rollouts.games.history[stayed] == twin.games.history[stayed]).all()
    for wrong in (np.zeros(1, np.bool_), np.zeros(0, np.int64)):
        with pytest.raises(ValueError, match="0 rollouts wait"):
            rollouts.leave(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("until", [29, -1, 1.5, [28, 28]])
def test_impossible_ends(until: object) -> None:
    sentence = r"0 to 28|shape \[2\], not \[3\]|until must be whole numbers"
    with pytest.raises((ValueError, TypeError), match=sentence):
        RolloutGames(batch_after(3, 0, seed=1), until=until)  # type: ignore[arg-type]


@pytest.mark.parametrize("plies", [0, 7, 18])
def test_laid_out_games_are_games_dealt_anew(plies: int) -> None:
    games, rows = batch_after(9, plies, seed=5), np.array([4, 0, 4])
    hands = sample_worlds(games, rows, 5, seed=1, game_numbers=np.arange(3))
    found = laid_out(games, rows, hands)
    for i in range(5):
        one = relaid(games, rows, hands[:, i])
        for name in ("hands", "held", "history", "seats", "points", "to_play", "decl", "leader"):
            np.testing.assert_array_equal(getattr(found, name)[i::5], getattr(one, name))
        np.testing.assert_array_equal(found.legal()[i::5], one.legal())


def test_layouts_that_do_not_fit() -> None:
    games = batch_after(2, 5, seed=5)
    with pytest.raises(ValueError, match="game 1: layout 0 does not deal out"):
        laid_out(games, [1], np.zeros((1, 1, 4), np.uint32))
    with pytest.raises(ValueError, match=r"shape \[3, 1, 4\], not \[2, 1, 4\]"):
        laid_out(games, None, np.zeros((3, 1, 4), np.uint32))


def test_past_choices_are_those_of_single_games() -> None:
    games = mixed(20).take(np.repeat(np.arange(20), 2))
    obs, asked = past_choices(games)
    met: list[bytes] = []
    for row in range(len(games)):
        viewer = int(games.to_play[row])
        plays = games.history[row, : games.n_plays[row]].tolist()
        position = as_position(games, row, 0)
        places = asked[row].tolist()
        assert places[len(plays) :] == [-1] * (28 - len(plays))
        for domino, place in zip(plays, places, strict=False):
            seat, legal = position.to_play, position.legal()
            assert (place >= 0) == (seat != viewer and len(legal) > 1)
            if place >= 0:
                assert place % 8 == position.dealt[seat].index(domino)
                seen = obs[place // 8]
                assert seen["n_plays"] == len(position.plays)
                assert seen["hand"] == sum(1 << d for d in position.dealt[seat])
                met.append(seen.tobytes())
            position.play(domino)
    assert list(dict.fromkeys(met)) == [one.tobytes() for one in obs]
    assert len(met) >= 2 * len(obs) > 100
    assert [len(part) for part in past_choices(games.take([]))] == [0, 0]


def running(games: GameBatch, until: np.ndarray, **values: Any) -> RolloutGames:
    """Rolled out in C, with a look after every batch."""
    rollouts, network, looks = RolloutGames(games, until=until), small_network(), 0
    while not rollouts.run(network, seconds=0.0, **values):
        looks += 1
    assert looks > 3
    assert rollouts.run(network, seconds=0.0)
    assert len(rollouts.waiting) == 0
    return rollouts


def test_a_network_of_the_core_rolls_out_as_one_from_outside() -> None:
    """More than are under way at once, so that those that end make room for others."""
    games = mixed(30).take(np.resize(np.arange(30), 700))
    until = np.resize([28, 12, 28, 5, 24], 700)
    wanted, network = RolloutGames(games, until=until), small_network()
    obs, evals = np.empty(700, OBS_DTYPE), np.empty((700, 8), np.float32)
    values, starts = np.full(700, np.nan, np.float32), games.n_plays + np.uint8(5)
    while n := wanted.advance(obs):
        network.evaluate(obs[:n], evals[:n])
        at = wanted.waiting
        met = (wanted.games.to_play[at] == games.to_play[at]) & (obs["n_plays"][:n] >= starts[at])
        first = met & np.isnan(values[at])
        values[at[first]] = evals[:n][first, 7]
        wanted.play_greedy(evals[:n])
    assert running(games, until).games == wanted.games
    found = np.full(700, np.nan, np.float32)
    stopped = running(games, until, values=(games.to_play, starts, found))
    np.testing.assert_array_equal(found, values)
    left = ~np.isnan(values)
    assert 100 < left.sum() < 650
    assert stopped.games.take(np.flatnonzero(~left)) == wanted.games.take(np.flatnonzero(~left))


def test_impossible_runs() -> None:
    rollouts, obs = RolloutGames(batch_after(4, 0, seed=1)), np.empty(4, OBS_DTYPE)
    wrong = np.zeros(3, np.uint8), np.zeros(4, np.uint8), np.zeros(4, np.float32)
    with pytest.raises(ValueError, match="three arrays of 4"):
        rollouts.run(small_network(), seconds=1.0, values=wrong)
    with pytest.raises(TypeError):
        rollouts.run(None, seconds=1.0)  # type: ignore[arg-type]
    with pytest.raises(FloatingPointError, match="not finite"):
        rollouts.run(small_network(scale=1e38), seconds=1.0)
    assert rollouts.advance(obs) == 4, "whoever is asked next finds them where they were"
    with pytest.raises(RuntimeError, match="4 rollouts still wait"):
        rollouts.run(small_network(), seconds=1.0)


def test_the_slow_twin_itself() -> None:
    """It asks for the right seat: the favourite of a leader who holds slots out of order."""
    _, position = single(seed=9, plies=5)
    domino = favourite(position, hashed_evaluate)
    assert domino in position.legal()
    assert copied(position).plays == position.plays
