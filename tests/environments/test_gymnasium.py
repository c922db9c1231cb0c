"""The Gymnasium environments: its own checks, what those do not see, and one against many."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pytest

from zebfast import Game, IllegalPlay, PlayerSpecError, load_player
from zebfast.core.seat_planes import planes

gymnasium = pytest.importorskip("gymnasium", reason="needs zebfast[gymnasium]")
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_match import check_environments_match
from gymnasium.vector import AutoresetMode

from zebfast.environments.gymnasium import SeatEnv, Seats, SeatVectorEnv

ID = "zebfast/Texas42Hand-v0"


def chosen(mask: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A random legal action of each row; 0 where there is none."""
    return (draw.random(mask.shape) * mask).argmax(axis=-1)


def hand(env: SeatEnv, draw: np.random.Generator, seed: int | None = None) -> list[Any]:
    """One hand of random plays: what each step gave."""
    _, info = env.reset(seed=seed)
    found, over = [], False
    while not over:
        found.append(env.step(int(chosen(info["action_mask"], draw))))
        _, _, over, _, info = found[-1]
    return found


@pytest.mark.parametrize("mode", ["ansi", "svg", None])
def test_its_own_checks_pass(mode: str | None) -> None:
    """They play whatever comes, so that a play that is not legal has to cost the hand."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make(ID, illegal="forfeit", render_mode=mode)
        warnings.filterwarnings("ignore", message=".*render.*")  # "svg" is not one of its own
        check_env(env.unwrapped)


def test_it_is_the_same_from_the_registry() -> None:
    one = gymnasium.make(ID, illegal="forfeit").unwrapped
    check_environments_match(one, SeatEnv(illegal="forfeit"), num_steps=40)
    many = gymnasium.make_vec(ID, num_envs=3, players="heuristic")
    assert isinstance(many, SeatVectorEnv)
    assert many.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


def test_many_are_as_one_each() -> None:
    """A row of many is the single environment on the deal of that row's number."""
    n, draw = 5, np.random.default_rng(3)
    many = SeatVectorEnv(n, players="heuristic2")
    seen, info = many.reset(seed=11)
    ones = [SeatEnv(players="heuristic2") for _ in range(n)]
    for number, env in enumerate(ones):
        env.reset(seed=11)
        for _ in range(number):
            env.reset()
    over, next_deal = np.zeros(n, bool), n
    for _ in range(30):
        actions = chosen(info["action_mask"], draw)
        seen, rewards, ended, cut, info = many.step(actions)
        assert many.observation_space.contains(seen)
        assert not cut.any()
        for row, env in enumerate(ones):
            if over[row]:  # dealt anew: those that end together take the next deals by their rows
                env._seats.seed(11)
                env._seats._next = next_deal
                next_deal += 1
                wanted, about = env.reset()
                assert rewards[row] == 0
                assert not ended[row]
            else:
                wanted, reward, done, _, about = env.step(int(actions[row]))
                assert (reward, done) == (rewards[row], ended[row])
            assert (seen[row] == wanted).all()
            assert (info["action_mask"][row] == about["action_mask"]).all()
        over = ended


def test_it_sees_what_seat_0_knows() -> None:
    env, draw = SeatEnv(players="heuristic"), np.random.default_rng(1)
    seen, info = env.reset(seed=4)
    over, first = False, env._seats.games.game(0)
    assert (first.dealt, first.decl, first.leader) == (
        Game.deal(4).dealt, Game.deal(4).decl, Game.deal(4).leader,
    )  # fmt: skip
    while not over:
        game = env._seats.games.game(0)
        assert (seen == planes(game, 0)).all()
        assert game.to_play == 0
        assert np.flatnonzero(info["action_mask"]).tolist() == game.legal()
        assert (env.action_masks() == info["action_mask"].astype(bool)).all()
        seen, _, over, _, info = env.step(int(chosen(info["action_mask"], draw)))
    assert (seen == planes(env._seats.games.game(0), 0)).all()  # that of the end
    assert not info["action_mask"].any()


def test_rewards_are_those_of_the_hand() -> None:
    draw = np.random.default_rng(5)
    for rewards in ("points", "win", "contract"):
        env = SeatEnv(rewards=rewards, bid=32)
        for seed in range(12):
            found = hand(env, draw, seed)
            game = env._seats.games.game(0)
            lead = game.points[0] - game.points[1]
            side = game.leader % 2
            made = game.points[side] >= 32
            wanted = {"points": lead, "win": np.sign(lead),
                      "contract": 1 if made == (side == 0) else -1}[rewards]  # fmt: skip
            assert sum(reward for _, reward, *_ in found) == wanted
            if rewards != "points":
                assert not any(reward for _, reward, *_ in found[:-1])


@pytest.mark.parametrize("dominoes", [[27.0, 0.5], ["x", "y"], [0, 0, 0]])
def test_what_is_refused_forfeits_nothing(dominoes: list[Any]) -> None:
    many = SeatVectorEnv(2, illegal="forfeit")
    _, info = many.reset(seed=1)
    with pytest.raises((TypeError, ValueError), match="dominoes"):
        many.step(np.array(dominoes))
    legal = info["action_mask"].argmax(axis=1)
    for kind in (np.int8, np.uint8, np.int64):
        _, _, over, _, info = many.step(legal.astype(kind))
        assert not over.any()
        legal = info["action_mask"].argmax(axis=1)


@pytest.mark.parametrize("rewards", ["points", "win", "contract"])
def test_a_forfeited_hand_costs_the_most(rewards: str) -> None:
    env, draw = SeatEnv(rewards=rewards, illegal="forfeit"), np.random.default_rng(2)
    for seed in range(6):
        _, info = env.reset(seed=seed)
        total = 0.0
        for _ in range(seed):
            _, reward, over, _, info = env.step(int(chosen(info["action_mask"], draw)))
            total += reward
            assert not over
        _, reward, over, _, info = env.step(int((info["action_mask"] == 0).argmax()))
        assert over
        assert total + reward == (-42 if rewards == "points" else -1)
        assert not info["action_mask"].any()
        with pytest.raises(ValueError, match="reset the environment"):
            env.step(0)


def test_what_is_not_legal_is_refused_and_nothing_has_happened() -> None:
    many = SeatVectorEnv(3)
    with pytest.raises(ValueError, match="reset the environment"):
        many.step(np.zeros(3, int))
    _, info = many.reset(seed=1)
    good = info["action_mask"].argmax(axis=1)
    before = many._seats.games.copy()
    for bad in (int((info["action_mask"][1] == 0).argmax()), 255, 28, -1):
        actions = good.copy()
        actions[1] = bad
        with pytest.raises(IllegalPlay, match="game 1: seat 0 may not play"):
            many.step(actions)
        assert many._seats.games == before
    with pytest.raises(ValueError, match=r"dominoes has shape \[2\], not \[3\]"):
        many.step(good[:2])
    many.step(good)
    env = SeatEnv()
    with pytest.raises(ValueError, match="reset the environment"):
        env.step(0)
    env.reset(seed=1)
    for bad in (255, 28, -1):
        with pytest.raises(IllegalPlay):
            env.step(bad)
    with pytest.raises(TypeError):
        env.step(1.5)  # type: ignore[arg-type]


def test_nothing_goes_on_after_the_end() -> None:
    env = SeatEnv()
    assert len(hand(env, np.random.default_rng(1), 3)) == 7
    with pytest.raises(ValueError, match="reset the environment"):
        env.step(0)


def test_three_players_sit_at_their_seats() -> None:
    """The plays of seats 1 to 3 are those that their players choose."""
    specs = ["heuristic", "heuristic2", "heuristic"]
    env, draw = SeatEnv(players=specs), np.random.default_rng(7)
    hand(env, draw, 9)
    game = env._seats.games.game(0)
    again = Game(game.dealt, game.decl, game.leader)
    for seat, domino in game.plays:
        if seat:
            assert load_player(specs[seat - 1]).choose(again) == domino
        again.play(domino)


def test_what_players_draw_comes_from_the_seed() -> None:
    """Of random players beside others, as of random ones alone."""
    for players in ("random", ["random", "heuristic", "random"], ["zeb", "random", "random"]):
        ends = []
        for seed in (3, 3, 4):
            env = SeatEnv(players=players)
            hand(env, np.random.default_rng(0), seed)
            ends.append(env._seats.games.game(0))
        assert ends[0] == ends[1] != ends[2]
    mixed, alone = (Seats(20, players, "win", 30, "raise")
                    for players in (["random", "heuristic", "random"], "random"))  # fmt: skip
    for seats in (mixed, alone):
        seats.seed(5)
        seats.deal(np.arange(20))
    first = mixed.games.leader == 3  # where seat 3 alone has played, or nobody
    assert first.any()
    assert (mixed.games.history[first] == alone.games.history[first]).all()


def test_copies_go_their_own_way() -> None:
    env = SeatEnv()
    _, info = env.reset(seed=1)
    again = copy.deepcopy(env)
    again.step(int(info["action_mask"].argmax()))
    assert env._seats.games != again._seats.games


@pytest.mark.parametrize(
    ("told", "kind", "sentence"),
    [({"rewards": "money"}, ValueError, "rewards='money': expected one of points, win, contract"),
     ({"bid": 43}, ValueError, "bid=43: bids run from 30 to 42"),
     ({"bid": 30.5}, TypeError, "cannot be interpreted as an integer"),
     ({"illegal": "x"}, ValueError, "illegal='x': expected one of raise, forfeit"),
     ({"players": ["zeb"]}, ValueError, "expected one, or three for seats 1 to 3"),
     ({"players": "nobody"}, PlayerSpecError, "Unknown player 'nobody'")],
)  # fmt: skip
def test_what_there_is_not(told: dict[str, Any], kind: type[Exception], sentence: str) -> None:
    for make in (SeatEnv, lambda **told: SeatVectorEnv(2, **told)):
        with pytest.raises(kind, match=sentence):
            make(**told)
    with pytest.raises(ValueError, match="render_mode='x': expected one of ansi, svg, or None"):
        SeatEnv(render_mode="x")
    with pytest.raises(ValueError, match="num_envs=0: there must be one"):
        SeatVectorEnv(0)
