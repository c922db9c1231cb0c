"""Texas 42 for Gymnasium: one seat of a hand against players of zebfast; one or many at once.

    import gymnasium
    import zebfast.environments.gymnasium  # registers the two

    env = gymnasium.make("zebfast/Texas42Hand-v0", players="heuristic2")
    many = gymnasium.make_vec("zebfast/Texas42Hand-v0", num_envs=4096)

The agent sits at seat 0; `players` names who sits at the three others, as `zebfast eval` does. The
legal actions are in ``info["action_mask"]``; `SeatEnv.action_masks` is what MaskablePPO asks.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.payoffs import check_payoff, most, payoff
from zebfast.arena.players.api import GamePlayer, load_player
from zebfast.core.arrays import integers
from zebfast.core.engine import GameBatch
from zebfast.core.seat_planes import N_HAND_PLANES, action_masks, batch_planes
from zebfast.environments.pictures import check_render_mode, svg_picture, text_picture
from zebfast.rules import N_DOMINOES, N_SEATS
from zebfast.system.extras import missing

try:
    import gymnasium
    from gymnasium import spaces
    from gymnasium.vector import AutoresetMode, VectorEnv
except ImportError as error:
    raise missing("Gymnasium", "gymnasium", error) from error

_OWN = 0  # the agent's seat
_NO_DOMINO = 255  # leaves a game alone
ILLEGAL = ("raise", "forfeit")
RENDER_MODES = ("ansi", "svg")
Players = str | Sequence[str]


class Seats:
    """Hands in which the players at seats 1 to 3 move on until seat 0 is to play or it is over."""

    def __init__(self, n: int, players: Players, rewards: str, bid: int, illegal: str) -> None:
        """Raises ValueError for rewards, a bid or players that there are not."""
        check_payoff(rewards, bid)
        if illegal not in ILLEGAL:
            raise ValueError(f"illegal={illegal!r}: expected one of {', '.join(ILLEGAL)}")
        self._rewards, self._bid, self._forfeits = rewards, bid, illegal == "forfeit"
        self._players = _seated(players)
        self._at_random = [player for player, _ in self._players] == [None]
        self.games = GameBatch.deal(n, seed=0)
        self._seed = secrets.randbits(63)
        self._numbers = np.zeros(n, np.uint64)
        self._next = 0
        self._before = np.zeros(n, np.int64)
        self._forfeited = np.zeros(n, np.bool_)

    def seed(self, seed: int) -> None:
        """Number the deals to come from 0 of this seed."""
        self._seed, self._next = index(seed) & (2**64 - 1), 0

    def deal(self, rows: NDArray[np.intp]) -> None:
        """The next deals of the seed in these rows, in order, and the plays before seat 0's."""
        self._numbers[rows] = np.arange(self._next, self._next + len(rows), dtype=np.uint64)
        self._next += len(rows)
        self.games.redeal(seed=self._seed, games=self._numbers[rows], rows=rows)
        self._before[rows], self._forfeited[rows] = 0, False
        self._others()

    def play(
        self, dominoes: NDArray[np.integer[Any]], still: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Seat 0 plays in every row that is not to be still; what that earned it, float64 [n].

        Raises IllegalPlay, naming the row, and then nothing is played; or such hands are forfeited.
        TypeError for what are no whole numbers, ValueError for as many as there are no hands.
        """
        told = integers("dominoes", dominoes, self._numbers.shape)
        told = np.where(told == _NO_DOMINO, _NO_DOMINO - 1, told)
        if still is not None:
            told = np.where(still, _NO_DOMINO, told)
        if self._forfeits:
            bits = self.games.legal() >> np.clip(told, 0, 31).astype(np.uint32)
            bad = ((told < 0) | (told >= N_DOMINOES) | (bits & 1 == 0)) & (told != _NO_DOMINO)
            self._forfeited |= bad
            told = np.where(bad, _NO_DOMINO, told)
        self.games.play(told)
        self._others()
        return self._earned()

    @property
    def over(self) -> NDArray[np.bool_]:
        """Which hands are over, bool [n]."""
        return self.games.over | self._forfeited

    def masks(self) -> NDArray[np.int8]:
        """What seat 0 may play, int8 [n, 28]; all zeros where a hand is over."""
        found = action_masks(self.games)
        if self._forfeits:
            found[self._forfeited] = 0
        return found

    def _others(self) -> None:
        """Play for the others until seat 0 is to play in every hand that is not over."""
        games = self.games
        if self._at_random:
            games.play_random(seed=self._seed, games=self._numbers, until=_OWN)
            return
        while True:
            to_play = games.to_play
            rows = np.flatnonzero((to_play != _OWN) & ~games.over)
            if not rows.size:
                return
            for player, seats in self._players:
                turn = rows if len(self._players) == 1 else rows[np.isin(to_play[rows], seats)]
                if turn.size:
                    self._choose(player, turn)

    def _choose(self, player: GamePlayer | None, rows: NDArray[np.intp]) -> None:
        numbers = self._numbers[rows]
        if player is None:
            self.games.play_random(seed=self._seed, games=numbers, rows=rows)
            return
        bids = np.full(len(rows), self._bid, np.uint8)
        asked = self.games.take(rows)
        chosen = player.choose_many(asked, bids=bids, numbers=numbers, seed=self._seed)
        self.games.play(chosen, rows)

    def _earned(self) -> NDArray[np.float64]:
        points = self.games.points.astype(np.int64)
        lead: NDArray[np.int64] = payoff(
            self._rewards, self._bid, points=points[:, 0], others=points[:, 1],
            leader=self.games.leader.astype(np.int64),
        )  # fmt: skip
        if self._forfeits:
            lead = np.where(self._forfeited, -most(self._rewards), lead)
        if self._rewards != "points":
            return np.where(self.over, lead, 0).astype(np.float64)
        earned = lead - self._before
        self._before = lead
        return earned.astype(np.float64)


def _seated(players: Players) -> list[tuple[GamePlayer | None, list[int]]]:
    """Who plays, and at which seats; None plays at random."""
    specs = [players] * (N_SEATS - 1) if isinstance(players, str) else list(players)
    if len(specs) != N_SEATS - 1:
        raise ValueError(f"players={players!r}: expected one, or three for seats 1 to 3")
    return [
        (
            None if spec == "random" else load_player(spec),
            [seat for seat, other in enumerate(specs, 1) if other == spec],
        )
        for spec in dict.fromkeys(specs)
    ]


class SeatEnv(gymnasium.Env):  # type: ignore[misc,type-arg,unused-ignore]
    """One hand after another from seat 0. Observations are its planes, uint8 [340].

    Args:
        players: who plays the other seats: "random" or a player of `zebfast.load_player`, or three
            of them for the seat on the left, the partner and the seat on the right.
        rewards, bid: as in `HandTable`: "points" as they are taken, "win" or "contract".
        illegal: what a play does that is not legal: "raise" IllegalPlay, or "forfeit" the hand,
            which then is over and brings what losing all points would; for code that ignores masks.
        render_mode: "ansi", "svg" or None.

    `reset(seed)` deals game 0 of the seed, `reset()` the next. `step` raises ValueError after the
    end.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 1}  # noqa: RUF012

    def __init__(
        self, players: Players = "random", rewards: str = "points", bid: int = 30,
        illegal: str = "raise", render_mode: str | None = None,
    ) -> None:  # fmt: skip
        check_render_mode(render_mode, RENDER_MODES)
        self.render_mode = render_mode
        self._seats = Seats(1, players, rewards, bid, illegal)
        self._playing = False
        self.observation_space = spaces.Box(0, 255, (N_HAND_PLANES,), np.uint8)
        self.action_space = spaces.Discrete(N_DOMINOES)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Deal; see the class. No options are known."""
        super().reset(seed=seed)
        if seed is not None:
            self._seats.seed(seed)
        self._seats.deal(np.zeros(1, np.intp))
        self._playing = True
        return self._seen(), self._info()

    def step(self, action: int) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Seat 0 plays a domino, and the others until it is to play again."""
        if not self._playing:
            raise ValueError("no hand is in play: reset the environment")
        reward = float(self._seats.play(np.array([index(action)]))[0])
        over = bool(self._seats.over[0])
        self._playing = not over
        return self._seen(), reward, over, False, self._info()

    def _seen(self) -> NDArray[np.uint8]:
        seen: NDArray[np.uint8] = batch_planes(self._seats.games, _OWN)[0]
        return seen

    def _info(self) -> dict[str, Any]:
        return {"action_mask": self._seats.masks()[0]}

    def action_masks(self) -> NDArray[np.bool_]:
        """Legal dominoes, bool [28]; sb3-contrib asks for them by this name."""
        legal: NDArray[np.bool_] = self._seats.masks()[0] != 0
        return legal

    def render(self) -> str | None:
        """The hand with all dominoes open, as text or as an SVG."""
        if self.render_mode is None:
            return None
        game = self._seats.games.game(0)
        return svg_picture(game) if self.render_mode == "svg" else text_picture(game)


class SeatVectorEnv(VectorEnv):  # type: ignore[misc,type-arg,unused-ignore]
    """Many hands at once, as SeatEnv; ``info["action_mask"]`` is int8 [num_envs, 28].

    A hand that is over is dealt anew by the next step, whose action for it is not looked at
    (`AutoresetMode.NEXT_STEP`). Deals are given out row by row, those of a seed in order.
    """

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self, num_envs: int = 1, players: Players = "random", rewards: str = "points",
        bid: int = 30, illegal: str = "raise",
    ) -> None:  # fmt: skip
        if num_envs < 1:
            raise ValueError(f"num_envs={num_envs}: there must be one at least")
        self.num_envs = num_envs
        self._seats = Seats(num_envs, players, rewards, bid, illegal)
        self.single_observation_space = spaces.Box(0, 255, (N_HAND_PLANES,), np.uint8)
        self.single_action_space = spaces.Discrete(N_DOMINOES)
        self.observation_space = spaces.Box(0, 255, (num_envs, N_HAND_PLANES), np.uint8)
        self.action_space = spaces.MultiDiscrete([N_DOMINOES] * num_envs)
        self._over: NDArray[np.bool_] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Deal all hands; see SeatEnv.reset."""
        super().reset(seed=seed)
        if seed is not None:
            self._seats.seed(seed)
        self._seats.deal(np.arange(self.num_envs))
        self._over = np.zeros(self.num_envs, np.bool_)
        return batch_planes(self._seats.games, _OWN), self._info()

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Play in every hand. IllegalPlay names the first that is not legal; nothing is played."""
        if self._over is None:
            raise ValueError("no hands are dealt: reset the environment")
        rewards = self._seats.play(actions, still=self._over)
        again = np.flatnonzero(self._over)
        if again.size:
            self._seats.deal(again)
            rewards[again] = 0.0
        self._over = self._seats.over
        never = np.zeros(self.num_envs, np.bool_)
        seen = batch_planes(self._seats.games, _OWN)
        return seen, rewards, self._over.copy(), never, self._info()

    def _info(self) -> dict[str, Any]:
        return {"action_mask": self._seats.masks()}


gymnasium.register(
    id="zebfast/Texas42Hand-v0",
    entry_point="zebfast.environments.gymnasium:SeatEnv",
    vector_entry_point="zebfast.environments.gymnasium:SeatVectorEnv",
)
