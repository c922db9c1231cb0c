"""A hand of Texas 42 as a game of OpenSpiel, `python_texas42_hand`.

Chance declares (10 outcomes), says who leads (4) and deals domino by domino, seat 0 first. Then the
four players play 28 dominoes by their ids. Information states remember the order of all plays.

OpenSpiel's own search bots in C++ (`pyspiel.MCTSBot`, `pyspiel.ISMCTSBot`) end the process with any
game that is written in Python: use those in `open_spiel.python.algorithms`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import numpy as np

from zebfast.arena.payoffs import check_payoff, most, payoff
from zebfast.core.engine import Game, GameBatch, dominoes_of
from zebfast.core.seat_planes import HAND_PLANES, N_HAND_PLANES, planes
from zebfast.core.worlds import WorldSet
from zebfast.rules import (
    DECLARATIONS,
    HAND_SIZE,
    N_DECLARATIONS,
    N_DOMINOES,
    N_PLIES,
    N_SEATS,
    domino_name,
)
from zebfast.system.extras import missing

try:
    import pyspiel
except ImportError as error:
    raise missing("OpenSpiel", "openspiel", error) from error

NAME = "python_texas42_hand"
_TYPE = pyspiel.GameType(
    short_name=NAME,
    long_name="Texas 42, one hand",
    dynamics=pyspiel.GameType.Dynamics.SEQUENTIAL,
    chance_mode=pyspiel.GameType.ChanceMode.EXPLICIT_STOCHASTIC,
    information=pyspiel.GameType.Information.IMPERFECT_INFORMATION,
    utility=pyspiel.GameType.Utility.ZERO_SUM,
    reward_model=pyspiel.GameType.RewardModel.TERMINAL,
    max_num_players=N_SEATS,
    min_num_players=N_SEATS,
    provides_information_state_string=True,
    provides_information_state_tensor=True,
    provides_observation_string=True,
    provides_observation_tensor=True,
    provides_factored_observation_string=True,
    parameter_specification={"rewards": "points", "bid": 30},
)
_BEFORE_DEAL = 2  # chance: declaration, leader
_BEFORE_PLAY = _BEFORE_DEAL + N_DOMINOES
_NAMES = tuple(domino_name(domino) for domino in range(N_DOMINOES))
_CHANCE, _TERMINAL = int(pyspiel.PlayerId.CHANCE), int(pyspiel.PlayerId.TERMINAL)
#: What a tensor holds before the planes: who observes.
_PLAYER = "player"
_PRIVATE = ("held", "dealt")
_REMEMBERED = ("when",)  # only with perfect recall


class HandGame(pyspiel.Game):  # type: ignore[misc]
    """Parameters: `rewards` (points, win or contract) and `bid`, as `zebfast.arena.payoffs`.

    Returns are those of the whole hand, the same for partners: the lead in points, or 1 and -1.
    """

    def __init__(self, params: dict[str, Any] | None = None) -> None:
        told = params or {}
        self.rewards, self.bid = str(told.get("rewards", "points")), int(told.get("bid", 30))
        check_payoff(self.rewards, self.bid)
        info = pyspiel.GameInfo(
            num_distinct_actions=N_DOMINOES,
            max_chance_outcomes=N_DOMINOES,
            num_players=N_SEATS,
            min_utility=-most(self.rewards),
            max_utility=most(self.rewards),
            utility_sum=0.0,
            max_game_length=N_PLIES,  # decisions; chance is counted below
        )
        super().__init__(_TYPE, info, told)

    def max_chance_nodes_in_history(self) -> int:
        """Declaration, leader and 28 dominoes."""
        return _BEFORE_PLAY

    def new_initial_state(self) -> HandState:
        """Nothing is declared or dealt."""
        return HandState(self)

    def state_of(self, actions: Iterable[int]) -> HandState:
        """The state after these actions, those of chance first: what to exchange with others.

        `state.history()` gives them. Raises ValueError that names the first that is not legal.
        """
        state = self.new_initial_state()
        for number, action in enumerate(actions):
            if action not in state.legal_actions():
                raise ValueError(f"action {number} of the history, {action}, is not legal")
            state.apply_action(action)
        return state

    def state_like(self, hand: Game) -> HandState:
        """The state in which a hand stands as this one does; its contract is not looked at."""
        return _after(self, int(hand.decl), hand.leader, hand.dealt, hand.plays)

    def make_py_observer(self, iig_obs_type: Any = None, params: Any = None) -> HandObserver:
        """See HandObserver. ValueError for parameters: there are none."""
        if params:
            raise ValueError(f"observers of this game have no parameters, not {params}")
        return HandObserver(iig_obs_type or pyspiel.IIGObservationType(perfect_recall=False))


class HandState(pyspiel.State):  # type: ignore[misc]
    """What chance has done and then, as `hand`, a `zebfast.Game`; None before all is dealt.

    OpenSpiel copies and serializes a state of a Python game by its attributes, hidden hands
    included, and by pickle: exchange histories with others (`HandGame.state_of`), and deserialize
    nobody else's states.
    """

    def __init__(self, game: HandGame) -> None:
        super().__init__(game)
        # No more than what is played, and what deep copies take as it is: every clone copies it.
        self._payoff = (game.rewards, game.bid)
        self._chance = b""
        self.hand: Game | None = None

    def current_player(self) -> int:
        """The seat to play, or OpenSpiel's number for chance or the end."""
        hand = self.hand
        if hand is None:
            return _CHANCE
        return _TERMINAL if hand.over else hand.to_play

    def _legal_actions(self, player: int) -> list[int]:
        assert self.hand is not None
        return self.hand.legal()

    def chance_outcomes(self) -> list[tuple[int, float]]:
        """All equally likely."""
        done = len(self._chance)
        if done < _BEFORE_DEAL:
            outcomes = list(range((N_DECLARATIONS, N_SEATS)[done]))
        else:
            gone = self._chance[_BEFORE_DEAL:]
            outcomes = [domino for domino in range(N_DOMINOES) if domino not in gone]
        return [(outcome, 1.0 / len(outcomes)) for outcome in outcomes]

    def _apply_action(self, action: int) -> None:
        if self.hand is not None:
            self.hand.play(action)
            return
        self._chance += bytes((action,))
        if len(self._chance) == _BEFORE_PLAY:
            self.hand = Game(self.dealt(), self._chance[0], self._chance[1])

    def dealt(self) -> list[list[int]]:
        """Dominoes dealt so far, by seat, in the order of the deal."""
        dealt = self._chance[_BEFORE_DEAL:]
        return [list(dealt[seat * HAND_SIZE : (seat + 1) * HAND_SIZE]) for seat in range(N_SEATS)]

    def _action_to_string(self, player: int, action: int) -> str:
        if player != _CHANCE:
            return _NAMES[action]
        done = len(self._chance)
        if done == 0:
            return f"declare {DECLARATIONS[action]}"
        if done < _BEFORE_DEAL:
            return f"seat {action} leads"
        return f"deal {_NAMES[action]} to seat {min((done - _BEFORE_DEAL) // HAND_SIZE, 3)}"

    def is_terminal(self) -> bool:
        """Whether all dominoes are down."""
        return self.hand is not None and self.hand.over

    def returns(self) -> list[float]:
        """By seat; zeros before the end."""
        if self.hand is None or not self.hand.over:
            return [0.0] * N_SEATS
        points, others = self.hand.points
        rewards, bid = self._payoff
        earned = float(
            payoff(rewards, bid, points=points, others=others, leader=self.hand.leader)
        )  # fmt: skip
        return [earned, -earned, earned, -earned]

    def __str__(self) -> str:
        if self.hand is not None:
            return str(self.hand)
        return "dealing: " + " ".join(map(str, self._chance))

    def resample_from_infostate(self, player: int, sampler: Callable[[], float]) -> HandState:
        """A state that the player cannot tell from this one, all of them equally likely.

        Uniform over the layouts of the hidden dominoes that no play contradicts (`WorldSet`); the
        order in which they were dealt is no longer known. Consumes two numbers of the sampler,
        which are the seed. Raises ValueError before all is dealt.
        """
        if self.hand is None:
            raise ValueError("there is nothing to sample before all dominoes are dealt")
        seed = int(sampler() * 2.0**32) << 32 | int(sampler() * 2.0**32)
        decl, leader, plays = self._chance[0], self._chance[1], self.hand.plays
        dealt = _layout(self.hand, player, seed)
        for seat, domino in plays:
            dealt[seat].append(domino)
        return _after(self.get_game(), decl, leader, dealt, plays)


def _after(
    game: HandGame, decl: int, leader: int, dealt: list[list[int]], plays: list[tuple[int, int]]
) -> HandState:
    """The state after a deal and plays of it, (seat, domino)."""
    state = game.new_initial_state()
    dominoes = (*chain.from_iterable(dealt), *(domino for _, domino in plays))
    for action in (decl, leader, *dominoes):
        state.apply_action(action)
    return state


def _layout(hand: Game, player: int, seed: int) -> list[list[int]]:
    """Dominoes still held, by seat, in a layout that the player thinks possible."""
    if hand.over:
        return [[] for _ in range(N_SEATS)]
    [world] = WorldSet(GameBatch.of([hand]), 0, viewer=player).sample(1, seed=seed)
    return [dominoes_of(int(mask)) for mask in world]


class HandObserver:
    """What a player sees: who it is, then groups of `HAND_PLANES`, float32, in `tensor`'s order.

    With perfect recall the order of all plays is among them (`when`). Without private information
    the player's own dominoes are left out, without public information all else but who it is.
    """

    def __init__(self, kind: Any) -> None:
        self._recalls = bool(kind.perfect_recall)
        self._public = bool(kind.public_info)
        self._private = bool(kind.private_info == pyspiel.PrivateInfoType.SINGLE_PLAYER)
        if kind.private_info == pyspiel.PrivateInfoType.ALL_PLAYERS:
            raise ValueError("there is no observer of this game who sees all hands")
        shapes: dict[str, tuple[int, ...]] = {_PLAYER: (N_SEATS,)}
        shapes |= {name: shape for name, (_, shape) in HAND_PLANES.items() if self._shows(name)}
        sizes = {name: int(np.prod(shape)) for name, shape in shapes.items()}
        self.tensor = np.zeros(sum(sizes.values()), np.float32)
        self.dict: dict[str, Any] = {}
        at = 0
        for name, shape in shapes.items():
            self.dict[name] = self.tensor[at : at + sizes[name]].reshape(shape)
            at += sizes[name]
        self._places = np.concatenate([np.zeros(0, np.intp)] + [
            np.arange(first, first + sizes[name])
            for name, (first, _) in HAND_PLANES.items() if name in shapes
        ])  # fmt: skip

    def _shows(self, name: str) -> bool:
        if name in _PRIVATE:
            return self._private
        return self._public and (self._recalls or name not in _REMEMBERED)

    def set_from(self, state: HandState, player: int) -> None:
        """Fill the tensor with what the player sees."""
        self.tensor[:N_SEATS] = 0
        self.tensor[player] = 1
        self.tensor[N_SEATS:] = _planes_of(state, player)[self._places]

    def string_from(self, state: HandState, player: int) -> str:
        """The same as text, as short as it can be: what follows from the rest is left out."""
        parts = [f"seat {player}"]
        hand, chance = state.hand, state._chance
        if self._private:
            dealt = sorted(state.dealt()[player])
            parts.append("dealt " + " ".join(_NAMES[domino] for domino in dealt))
        if self._public and chance:
            leads = f", seat {chance[1]} leads" if len(chance) > 1 else ""
            parts.append(f"{DECLARATIONS[chance[0]]}{leads}")
        if self._public and hand is not None:
            if self._recalls:
                parts.append(" ".join(f"{seat}:{_NAMES[domino]}" for seat, domino in hand.plays))
            else:
                parts.extend(self._open(hand))
        elif self._private and hand is not None:
            parts.append("held " + " ".join(_NAMES[domino] for domino in hand.hands[player]))
        return "; ".join(parts)

    def _open(self, hand: Game) -> Iterable[str]:
        """What lies open, without the order in which it came."""
        played: list[list[int]] = [[] for _ in range(N_SEATS)]
        for seat, domino in hand.plays:
            played[seat].append(domino)
        for seat, dominoes in enumerate(played):
            yield f"{seat}: " + " ".join(_NAMES[domino] for domino in sorted(dominoes))
        first = len(hand.plays) - len(hand.trick)
        yield "table " + " ".join(f"{seat}:{_NAMES[d]}" for seat, d in hand.plays[first:])
        yield f"{hand.points[0]}-{hand.points[1]}, " + (
            "over" if hand.over else f"seat {hand.to_play} to play"
        )


def _planes_of(state: HandState, player: int) -> Any:
    """The planes, uint8 [340]; while it is being dealt only what has been done so far."""
    if state.hand is not None:
        return planes(state.hand, player)
    seen, done = np.zeros(N_HAND_PLANES, np.uint8), state._chance
    for name in _PRIVATE:
        seen[HAND_PLANES[name][0] + np.array(state.dealt()[player], np.intp)] = 1
    if done:
        seen[HAND_PLANES["decl"][0] + done[0]] = 1
    if len(done) > 1:
        seen[HAND_PLANES["leader"][0] + (done[1] - player) % N_SEATS] = 1
    return seen


if NAME not in pyspiel.registered_names():  # a second time would replace it silently
    pyspiel.register_game(_TYPE, HandGame)
