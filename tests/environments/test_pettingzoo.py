"""The PettingZoo environments: its own tests, and what those do not see."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import slow_planes
from hypothesis import given, settings
from hypothesis import strategies as st
from whole_games import RULE_SETS

from zebfast import Game, GameBatch, IllegalPlay, WholeGame, WrongPhase, dominoes_of, rules
from zebfast.core.seat_planes import HAND_PLANES, WHOLE_FIRST_CALL
from zebfast.core.worlds import WorldSet

pytest.importorskip("pettingzoo", reason="needs zebfast[pettingzoo]")
from pettingzoo import make
from pettingzoo.test import api_test, seed_test

from zebfast.environments.pettingzoo import TableEnv, hand_env, whole_game_env
from zebfast.environments.tables import SEATS, HandTable, WholeTable, seat_number

MAKERS: dict[str, Callable[..., TableEnv]] = {"hand": hand_env, "whole": whole_game_env}
both = pytest.mark.parametrize("kind", MAKERS)
seeds = st.integers(0, 2**63 - 1)


def chosen(mask: np.ndarray, draw: np.random.Generator) -> int:
    return int(draw.choice(np.flatnonzero(mask)))


def steps(env: TableEnv, seed: int) -> Iterator[tuple[str, Any, float, bool]]:
    """A whole game of random actions: agent, observation, reward, whether it is over."""
    draw = np.random.default_rng(seed)
    env.reset(seed=seed)
    for agent in env.agent_iter():
        seen, reward, over, truncated, info = env.last()
        assert not truncated
        yield agent, seen, reward, over
        mask = info["action_mask"] if "action_mask" in info else seen["action_mask"]
        env.step(None if over else chosen(mask, draw))


@both
@pytest.mark.parametrize("mask", ["observation", "info"])
def test_its_own_tests_pass(kind: str, mask: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of every observation that is a dict
        api_test(MAKERS[kind](mask=mask), num_cycles=60)
        seed_test(lambda: MAKERS[kind](mask=mask), num_cycles=60)


@pytest.mark.parametrize("name", ["zebfast/texas42_hand-v0", "zebfast/texas42-v0"])
def test_they_are_registered(name: str) -> None:
    env = make("aec", name, render_mode="ansi")
    env.reset(seed=1)
    assert "seat 3: " in env.render()


@both
def test_spaces_are_what_is_observed(kind: str) -> None:
    for mask in ("observation", "info"):
        env = MAKERS[kind](mask=mask)
        for step, (agent, seen, _, _) in enumerate(steps(env, 5)):
            assert env.observation_space(agent).contains(seen)
            if step > 60:
                break


@pytest.mark.parametrize("rewards", HandTable.REWARDS)
def test_teams_sum_to_nothing_and_each_is_paid_once(rewards: str) -> None:
    """What each agent is told by `last` adds up to what its side has in the end."""
    for seed in range(20):
        env = hand_env(rewards=rewards, bid=31)
        told = dict.fromkeys(SEATS, 0)
        for agent, _, reward, over in steps(env, seed):
            told[agent] += reward
            if not over or len(env.agents) == 4:
                own, other = env.rewards["seat_0"], env.rewards["seat_1"]
                assert env.rewards == dict(zip(SEATS, (own, other, own, other), strict=True))
                assert own == -other
        game = env.table.game
        lead = game.points[0] - game.points[1]
        side = game.leader % 2
        made = game.points[side] >= 31
        wanted = {"points": lead, "win": int(np.sign(lead)),
                  "contract": 1 if made == (side == 0) else -1}[rewards]  # fmt: skip
        assert list(told.values()) == [wanted, -wanted, wanted, -wanted]


@pytest.mark.parametrize("kind", RULE_SETS)
def test_marks_of_whole_games_add_up(kind: str) -> None:
    for rewards in WholeTable.REWARDS:
        env = whole_game_env(rewards=rewards, rules=RULE_SETS[kind])
        told = dict.fromkeys(SEATS, 0)
        for agent, _, reward, _ in steps(env, 3):
            told[agent] += reward
        game = env.table.game
        wanted = game.marks[0] - game.marks[1] if rewards == "marks" else 1 - 2 * game.winner
        assert list(told.values()) == [wanted, -wanted, wanted, -wanted]


@given(seed=seeds, n=st.integers(0, 27))
@settings(max_examples=40, deadline=None)
def test_no_hidden_hand_is_observed(seed: int, n: int) -> None:
    """However the dominoes that a seat cannot see are shuffled, it observes the same."""
    env, other = hand_env(), hand_env(mask="info")
    env.reset(seed=seed)
    for _ in range(n):
        env.step(chosen(env.table.mask(), np.random.default_rng(seed)))
    game: Game = env.table.game
    for seat, agent in enumerate(SEATS):
        for world in WorldSet(GameBatch.of([game]), 0, viewer=seat).sample(3, seed=seed % 2**32):
            hands = [dominoes_of(int(mask)) for mask in world]
            for by, domino in game.plays:
                hands[by].append(domino)
            mixed = Game(hands, game.decl, game.leader)
            for _, domino in game.plays:
                mixed.play(domino)
            other.reset(options={"game": str(mixed)})
            seen = env.observe(agent)
            assert (other.observe(agent) == seen["observation"]).all()
            if game.to_play == seat:
                assert (other.infos[agent]["action_mask"] == seen["action_mask"]).all()
            else:
                assert not seen["action_mask"].any()


@given(seed=seeds, n=st.integers(0, 4), seat=st.integers(0, 3), order=st.permutations(range(21)))
@settings(max_examples=40, deadline=None)
def test_no_hidden_hand_is_observed_in_an_auction(
    seed: int, n: int, seat: int, order: list[int]
) -> None:
    dealt, _, _ = rules.deal(seed, 0)
    others = [domino for by in range(4) if by != seat for domino in dealt[by]]
    moved = iter([others[i] for i in order])
    mixed = [list(dealt[by]) if by == seat else [next(moved) for _ in range(7)] for by in range(4)]
    seen = []
    for hands in (dealt, mixed):
        game = WholeGame(shaker=seed % 4)
        game.deal(hands)
        env = whole_game_env()
        env.reset(seed=1, options={"game": str(game)})
        for step in range(n):
            bid = 1 + step if seed >> step & 1 else 0
            env.step(WHOLE_FIRST_CALL + bid)
        if env.table.game.phase == "declare" and env.table.seat == seat:
            env.step(WHOLE_FIRST_CALL + 22 + 5)
        seen.append(env.observe(SEATS[seat]))
    assert (seen[0]["observation"] == seen[1]["observation"]).all()
    if env.table.seat == seat:
        assert (seen[0]["action_mask"] == seen[1]["action_mask"]).all()


@both
def test_the_last_observation_is_that_of_the_end(kind: str) -> None:
    env = MAKERS[kind]()
    ends = [(agent, seen) for agent, seen, _, over in steps(env, 2) if over]
    assert sorted(agent for agent, _ in ends) == list(SEATS)
    for agent, seen in ends:
        assert (seen["observation"] == env.table.planes(seat_number(agent))).all()
        assert not seen["action_mask"].any()
        if kind == "hand":
            first, _ = HAND_PLANES["points"]
            assert seen["observation"][first : first + 2].sum() == 42


@both
def test_every_legal_action_is_offered_and_no_other(kind: str) -> None:
    """What the mask offers is done; what it does not is refused, and nothing has happened."""
    for seed in range(3):
        env = MAKERS[kind]()
        env.reset(seed=seed)
        draw = np.random.default_rng(seed)
        for step in range(28):
            mask = env.observe(env.agent_selection)["action_mask"]
            legal = slow_planes.mask(env.table.game)
            assert (mask == legal).all()
            for action in range(0 if step % 5 else len(mask)):
                table = copy.copy(env.table)
                table.game = env.table.game.copy()
                if mask[action]:
                    table.act(action)
                    assert table.game != env.table.game
                else:
                    with pytest.raises(ValueError, match=r"may|is to"):
                        table.act(action)
                    assert table.game == env.table.game
            env.step(chosen(mask, draw))


def test_a_seat_may_lead_after_it_has_played_last() -> None:
    """Somewhere a seat wins a trick that it was the last to play to, and acts twice in a row."""
    twice = 0
    for seed in range(10):
        before = ""
        for agent, _, _, over in steps(hand_env(), seed):
            twice += agent == before and not over
            before = agent
    assert twice > 5


@both
def test_nothing_goes_on_after_the_end(kind: str) -> None:
    env = MAKERS[kind]()
    with pytest.raises(ValueError, match="reset the environment"):
        env.step(0)
    env.reset(seed=1)
    while not env.table.game.over:
        env.step(chosen(env.table.mask(), np.random.default_rng(1)))
    assert all(env.terminations.values())
    with pytest.raises(ValueError, match="dead"):
        env.step(0)
    for left in range(4, 0, -1):
        assert len(env.agents) == left
        env.step(None)
    for action in (None, 0):
        with pytest.raises(ValueError, match="all seats have left: reset the environment"):
            env.step(action)
    env.reset()
    assert env.agents == list(SEATS)


def test_what_is_not_legal_is_refused_by_name() -> None:
    env = hand_env()
    env.reset(seed=1)
    with pytest.raises(ValueError, match="None is for seats of a game that is over"):
        env.step(None)
    with pytest.raises(IllegalPlay, match=f"seat {env.table.seat} may not play"):
        env.step(int((env.table.mask() == 0).argmax()))
    with pytest.raises(TypeError):
        env.step(3.7)  # type: ignore[arg-type]
    whole = whole_game_env()
    whole.reset(seed=1)
    with pytest.raises(WrongPhase):
        whole.step(0)
    for action in (-1, 65):
        with pytest.raises(ValueError, match="run from 0 to 64"):
            whole.step(action)


@both
def test_a_seed_is_a_deal_and_without_one_the_next_comes(kind: str) -> None:
    env = MAKERS[kind]()
    env.reset(seed=7)
    first = env.table.game.copy()
    env.reset()
    second = env.table.game.copy()
    assert first.dealt != second.dealt
    env.reset(seed=7)
    assert env.table.game == first
    env.reset()
    assert env.table.game == second
    dealt = Game.deal(7) if kind == "hand" else WholeGame(seed=7)
    assert first == dealt


def test_a_game_may_be_gone_on_with() -> None:
    env, draw = whole_game_env(), np.random.default_rng(4)
    env.reset(seed=3)
    for _ in range(20):
        env.step(chosen(env.table.mask(), draw))
    other = whole_game_env()
    other.reset(seed=3, options={"game": str(env.table.game)})
    assert other.table.game == env.table.game
    assert other.agent_selection == env.agent_selection
    while not other.table.game.over:  # hands to come are dealt, too
        other.step(chosen(other.table.mask(), draw))
    before = other.table.game.copy()
    with pytest.raises(ValueError, match="over"):
        other.reset(options={"game": str(other.table.game)})
    with pytest.raises(ValueError, match="other rules"):
        whole_game_env(rules="all_pass=force").reset(options={"game": str(WholeGame(seed=1))})
    assert other.table.game == before


@both
def test_environments_are_copied_and_pickled(kind: str) -> None:
    env = MAKERS[kind]()
    env.reset(seed=1)
    for again in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        again.step(chosen(again.table.mask(), np.random.default_rng(1)))
        assert again.table.game != env.table.game


@both
def test_the_table_is_drawn(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    from xml.etree import ElementTree

    for mode in ("ansi", "svg", "human", None):
        env = MAKERS[kind](render_mode=mode)
        assert env.render() is None
        for step, _ in enumerate(steps(env, 4)):
            if (step != 38 and kind == "whole") or (step != 6 and kind == "hand"):
                continue
            drawn = env.render()
            if mode == "svg":
                root = ElementTree.fromstring(drawn)
                shown = [each.text for each in root.iter("{http://www.w3.org/2000/svg}title")]
                names = [rules.domino_name(d) for hand in env.table.game.hands for d in hand]
                names += map(rules.domino_name, env.table.game.trick)
                assert sorted(shown[1:]) == sorted(names)
                assert "points" in shown[0]
            elif mode == "ansi":
                assert drawn.splitlines()[1 + env.table.seat].startswith(f"> seat {env.table.seat}")
            else:
                assert drawn is None
        if mode == "human":
            assert "seat 2:" in capsys.readouterr().out


def test_actions_have_names() -> None:
    env = whole_game_env()
    names = [env.table.action_name(action) for action in range(65)]
    assert len(set(names)) == 65
    assert names[0] == "0-0"
    assert names[28:31] == ["pass", "bid 30", "bid 31"]
    assert names[48:50] == ["plunge", "splash"]
    assert names[64].startswith("declare ")
    assert hand_env().table.action_name(27) == "6-6"


@pytest.mark.parametrize(
    ("told", "sentence"),
    [({"rewards": "money"}, "rewards='money': expected one of points, win, contract"),
     ({"bid": 29}, "bid=29: bids run from 30 to 42"),
     ({"mask": "no"}, "mask='no': expected one of observation, info"),
     ({"render_mode": "rgb"}, "render_mode='rgb': expected one of ansi, human, svg, or None")],
)  # fmt: skip
def test_what_there_is_not(told: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        hand_env(**told)
    if "bid" not in told and "rewards" not in told:
        with pytest.raises(ValueError, match=sentence):
            whole_game_env(**told)
    with pytest.raises(KeyError, match="'seat_4' is no seat"):
        seat_number("seat_4")
