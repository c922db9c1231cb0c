"""The hand as a game of OpenSpiel: its own tests, perfect recall, resampling, bots and search."""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zebfast import Game, load_player
from zebfast.core.seat_planes import planes

pyspiel = pytest.importorskip("pyspiel", reason="needs zebfast[openspiel]")

from zebfast.arena.match import play_match
from zebfast.arena.payoffs import PAYOFFS
from zebfast.arena.players.build import build_player
from zebfast.arena.players.specs import parse_spec
from zebfast.environments.openspiel import NAME, HandGame, HandState, PlayerBot

GOLDEN = Path(__file__).parent.parent / "golden" / "openspiel_playthrough.txt.gz"


def actions_of(state: Any) -> list[int]:
    if state.is_chance_node():
        return [action for action, _ in state.chance_outcomes()]
    return list(state.legal_actions())


def states(game: Any, seed: int) -> Iterator[HandState]:
    """The states of a game of random actions, from the first to the last; one object."""
    state, draw = game.new_initial_state(), random.Random(seed)
    yield state
    while not state.is_terminal():
        state.apply_action(draw.choice(actions_of(state)))
        yield state


def after(game: Any, seed: int, n_plays: int) -> HandState:
    """The state after so many plays."""
    for state in states(game, seed):
        if state.hand is not None and len(state.hand.plays) == n_plays:
            return state
    raise AssertionError("unreachable")


@pytest.mark.parametrize("told", ["", "(rewards=win)", "(rewards=contract,bid=36)"])
def test_its_own_test_passes(told: str, capfd: pytest.CaptureFixture[str]) -> None:
    game = pyspiel.load_game(NAME + told)
    pyspiel.random_sim_test(game, 2, True, False)
    assert pyspiel.load_game(str(game)).get_parameters() == game.get_parameters()
    capfd.readouterr()  # it prints all that it does


def test_what_there_is_not() -> None:
    with pytest.raises(ValueError, match="rewards='money': expected one of points, win, contract"):
        HandGame({"rewards": "money"})
    with pytest.raises(ValueError, match="bid=43: bids run from 30 to 42"):
        HandGame({"bid": 43})
    with pytest.raises(ValueError, match="no parameters"):
        HandGame().make_py_observer(None, {"x": 1})
    all_hands = pyspiel.IIGObservationType(
        public_info=True, perfect_recall=False, private_info=pyspiel.PrivateInfoType.ALL_PLAYERS
    )
    with pytest.raises(ValueError, match="sees all hands"):
        HandGame().make_py_observer(all_hands)


def test_it_is_the_hand_of_the_engine() -> None:
    game, draw = HandGame(), random.Random(3)
    for seed in range(5):
        hand = Game.deal(seed)
        state = game.state_like(hand)
        while not hand.over:
            assert state.current_player() == hand.to_play
            assert state.legal_actions() == hand.legal()
            assert state.hand == hand
            domino = draw.choice(hand.legal())
            hand.play(domino)
            state.apply_action(domino)
        assert state.is_terminal()
        lead = hand.points[0] - hand.points[1]
        assert state.returns() == [lead, -lead, lead, -lead]
        assert game.state_of(state.history()).hand == hand
    with pytest.raises(ValueError, match=r"action 1 of the history, 4, is not legal"):
        game.state_of([3, 4])


@pytest.mark.parametrize("rewards", PAYOFFS)
def test_returns_are_zero_sum_and_partners_share(rewards: str) -> None:
    game = HandGame({"rewards": rewards, "bid": 33})
    for seed in range(8):
        *_, state = states(game, seed)
        ours, theirs, *others = state.returns()
        assert others == [ours, theirs]
        assert ours == -theirs
        assert abs(ours) <= game.max_utility()


def test_information_states_remember_everything_and_no_more() -> None:
    """Equal strings: the same own dominoes and public actions; and equal tensors, and no others."""
    game = HandGame()
    known: dict[str, bytes] = {}
    seen: dict[bytes, str] = {}
    for seed in range(4):
        for state in states(game, seed):
            for seat in range(4):
                text = state.information_state_string(seat)
                tensor = np.array(state.information_state_tensor(seat), np.float32).tobytes()
                assert known.setdefault(text, tensor) == tensor
                assert seen.setdefault(tensor, text) == text
    assert len(known) == len(seen) > 500


def test_tensors_are_what_the_seat_sees() -> None:
    game = HandGame()
    state = after(game, 3, 13)
    assert state.hand is not None
    for seat in range(4):
        tensor = np.array(state.information_state_tensor(seat))
        assert (tensor[:4] == np.eye(4)[seat]).all()
        assert (tensor[4:] == planes(state.hand, seat)).all()
        forgets = np.array(state.observation_tensor(seat))
        assert (forgets[4:] == np.delete(planes(state.hand, seat), np.arange(280, 308))).all()


def test_an_observer_shows_what_it_was_made_for() -> None:
    game = HandGame()
    state = after(game, 3, 9)
    for recall in (False, True):
        for private in ("NONE", "SINGLE_PLAYER"):
            for public in (False, True):
                kind = pyspiel.IIGObservationType(
                    perfect_recall=recall, public_info=public,
                    private_info=getattr(pyspiel.PrivateInfoType, private),
                )  # fmt: skip
                observer = game.make_py_observer(kind)
                observer.set_from(state, 2)
                assert ("held" in observer.dict) == (private != "NONE")
                assert ("played" in observer.dict) == public
                assert ("when" in observer.dict) == (public and recall)
                together = np.concatenate([view.ravel() for view in observer.dict.values()])
                assert (together == observer.tensor).all()
                own = re.search("dealt|held", observer.string_from(state, 2))
                assert (own is not None) == (private != "NONE")


def check_resampled(state: HandState, player: int, draw: random.Random) -> tuple[int, ...]:
    """A resampled state is played again with every action checked; what it deals."""
    game = state.get_game()
    other = state.resample_from_infostate(player, draw.random)
    again = game.new_initial_state()
    texts = []
    for action in other.history():
        if not again.is_chance_node():
            texts.append(again.information_state_string(player))
        assert action in actions_of(again)
        again.apply_action(action)
    assert again.information_state_string(player) == state.information_state_string(player)
    assert list(again.history())[30:] == list(state.history())[30:]
    first = game.new_initial_state()
    for action in state.history():  # and so it was at every play before
        if not first.is_chance_node():
            assert first.information_state_string(player) == texts.pop(0)
        first.apply_action(action)
    return tuple(other.history()[:30])


def test_resampled_states_are_the_same_to_the_player() -> None:
    """At every number of plays, for every seat: now, and at each play before."""
    game, draw, different = HandGame(), random.Random(1), set()
    for number in range(58):
        state = after(game, number, number % 29)
        different.add(check_resampled(state, number % 4, draw))
    assert len(different) == 58


def replayed(n_states: int, each: int) -> None:
    """Resampled histories that the rules refuse: none."""
    game, draw = HandGame(), random.Random(2)
    for number in range(n_states):
        state = after(game, 7000 + number, number % 29)
        player = number % 4
        assert state.hand is not None
        for _ in range(each):
            deal = state.resample_from_infostate(player, draw.random).history()
            hands = [deal[2 + 7 * seat : 9 + 7 * seat] for seat in range(4)]
            again = Game(hands, deal[0], deal[1])
            for domino in deal[30:]:
                again.play(domino)  # IllegalPlay where it is not
            assert again.plays == state.hand.plays
            assert sorted(hands[player]) == state.hand.dealt[player]


def test_a_thousand_resampled_histories_are_legal() -> None:
    replayed(100, 10)


@pytest.mark.slow
def test_a_hundred_thousand_resampled_histories_are_legal() -> None:
    replayed(1000, 100)


def test_resampling_is_uniform() -> None:
    """Late in a hand all layouts that agree come, each about as often."""
    game, draw = HandGame(), random.Random(5)
    state = after(game, 11, 20)
    assert state.hand is not None
    player = state.hand.to_play
    from zebfast import GameBatch, WorldSet

    n_layouts = WorldSet(GameBatch.of([state.hand]), 0, viewer=player).count
    counts: dict[str, int] = {}
    for _ in range(60 * n_layouts):
        other = state.resample_from_infostate(player, draw.random)
        assert other.hand is not None
        key = str(other.hand.hands)
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == n_layouts > 5
    spread = sum((found - 60) ** 2 / 60 for found in counts.values())
    assert spread < n_layouts + 6 * (2 * n_layouts) ** 0.5


def test_there_is_nothing_to_sample_while_it_is_dealt() -> None:
    state = HandGame().new_initial_state()
    with pytest.raises(ValueError, match="before all dominoes are dealt"):
        state.resample_from_infostate(0, random.random)


def test_clones_and_serialized_states_go_their_own_way() -> None:
    game = HandGame()
    for n_plays in (0, 7, 28):
        state = after(game, 2, n_plays)
        for again in (state.clone(), game.deserialize_state(state.serialize())):
            assert str(again) == str(state)
            assert again.history() == state.history()
            if not state.is_terminal():
                again.apply_action(again.legal_actions()[0])
                assert str(again) != str(state)


def test_the_playthrough_is_the_kept_one(request: pytest.FixtureRequest) -> None:
    """Every string and tensor of a whole hand; `--renew-golden` writes it anew."""
    from open_spiel.python.algorithms.generate_playthrough import playthrough

    *_, state = states(HandGame(), 1)
    text = playthrough(NAME, [int(action) for action in state.history()])
    if request.config.getoption("--renew-golden"):
        GOLDEN.write_bytes(gzip.compress(text.encode(), mtime=0))
    assert text == gzip.decompress(GOLDEN.read_bytes()).decode()


def test_rl_environment_plays_it() -> None:
    from open_spiel.python import rl_environment

    env = rl_environment.Environment(pyspiel.load_game(NAME), include_full_state=False)
    env.seed(3)
    step, n_steps = env.reset(), 0
    while not step.last():
        player = step.observations["current_player"]
        assert len(step.observations["info_state"][player]) == 344
        step = env.step([step.observations["legal_actions"][player][0]])
        n_steps += 1
    assert n_steps == 28
    assert sum(step.rewards) == 0


def test_players_are_bots() -> None:
    from open_spiel.python.algorithms.evaluate_bots import evaluate_bots

    game = HandGame()
    bots = [PlayerBot("heuristic2", seed=1) for _ in range(4)]
    returns = evaluate_bots(game.new_initial_state(), bots, np.random.RandomState(1))
    assert sum(returns) == 0
    state = after(game, 4, 6)
    assert state.hand is not None
    chosen = bots[state.current_player()].step(state)
    assert chosen == load_player("heuristic2", seed=1).choose(state.hand)
    with pytest.raises(ValueError, match="still being dealt"):
        bots[0].step(game.new_initial_state())


def test_python_ismcts_plays_it() -> None:
    from open_spiel.python.algorithms.ismcts import ISMCTSBot
    from open_spiel.python.algorithms.mcts import RandomRolloutEvaluator

    draws = np.random.RandomState(1)
    bot = ISMCTSBot(HandGame(), RandomRolloutEvaluator(1, draws), 30.0, 20, random_state=draws)
    state = after(HandGame(), 8, 5)
    policy = bot.get_policy(state)
    assert sorted(action for action, _ in policy) == list(state.legal_actions())
    assert sum(chance for _, chance in policy) == pytest.approx(1)


def test_ismcts_plays_in_the_arena() -> None:
    """By simulations it draws from the match's numbers alone; by time it ends when it should."""
    player = build_player(parse_spec("openspiel-ismcts:n=6,objective=make"))
    random_player = build_player(parse_spec("random"))
    results = [play_match(player, random_player, n_games=2, seed=3, bid=31) for _ in range(2)]
    assert results[0].wins == results[1].wins
    ticks = iter(range(1000))
    timed: Any = build_player(parse_spec("openspiel-ismcts:ms=5000"))
    timed.clock = lambda: next(ticks)
    from zebfast.arena.pairs import PlayRng
    from zebfast.core.engine import GameBatch

    games = GameBatch.deal(1, seed=4)
    rng = PlayRng(seed=1, games=np.zeros(1, np.uint64), plies=games.n_plays)
    [domino] = timed.choose(games, np.zeros(1, np.intp), rng, np.array([30], np.uint8))
    assert games.legal()[0] >> domino & 1
    assert next(ticks) <= 7  # it looked once each simulation


def test_ismcts_plays_for_the_contract_of_a_hand() -> None:
    """What it is told as a bid and what the hand's contract says come to the same search."""
    from zebfast import Contract
    from zebfast.arena.pairs import PlayRng
    from zebfast.core.engine import GameBatch

    aiming = build_player(parse_spec("openspiel-ismcts:n=40,objective=make"))
    plain = build_player(parse_spec("openspiel-ismcts:n=40"))
    for seed in range(3):
        deal = Game.deal(seed)
        contract = Contract(bid=42, bidder=deal.leader, shaker=deal.leader)
        with_contract = Game(deal.dealt, deal.decl, deal.leader, contract=contract)
        rng = PlayRng(seed=1, games=np.zeros(1, np.uint64), plies=np.zeros(1, np.uint8))
        rows, bids = np.zeros(1, np.intp), np.array([42], np.uint8)
        told = aiming.choose(GameBatch.of([deal]), rows, rng, bids)
        bids[:] = 30
        assert plain.choose(GameBatch.of([with_contract]), rows, rng, bids) == told
