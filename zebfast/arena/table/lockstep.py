"""Pairs of whole games, many at a time: the same deals, teams swapped.

Every game depends on (seed, its number, its half) alone, so that results and their order do not
depend on how many are played at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from zebfast.arena.pairs import Rows
from zebfast.arena.policies.policy import NoAnswer
from zebfast.arena.table.foreign import ForeignPlayer
from zebfast.arena.table.hands import ManyPlayer, act_one_by_one, seen
from zebfast.arena.table.players import TablePlayer
from zebfast.core.whole_game import WholeGame, WholeGameBatch
from zebfast.rules import PHASES, RuleSet

AT_ONCE = 512  # games; bounds memory and the batches of networks, not results
_THROWN_IN = 2  # in HAND_RESULT_DTYPE


@dataclass(frozen=True)
class PlayedGame:
    """One game that is over; ``half`` 0 has player A as team 0, 1 as team 1.

    ``actions`` are as in `WholeGameBatch.actions`; ``infos`` what foreign players told besides
    their answers.
    """

    number: int
    half: int
    rule_set: RuleSet
    seed: int
    actions: bytes
    marks: tuple[int, int]
    winner: int
    n_hands: int
    infos: tuple[dict[str, Any], ...]

    @property
    def margin(self) -> int:
        """Marks (or points) of A less those of B."""
        return self.marks[self.half] - self.marks[1 - self.half]

    @property
    def won(self) -> bool:
        """Whether A has won."""
        return self.winner == self.half

    @property
    def game(self) -> WholeGame:
        """The game, played again."""
        return self._replayed[0]

    @property
    def plays(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """(seat, domino) of every hand."""
        return self._replayed[1]

    @cached_property
    def _replayed(self) -> tuple[WholeGame, tuple[tuple[tuple[int, int], ...], ...]]:
        game = WholeGame(self.rule_set, seed=self.seed, game=self.number)
        plays: list[list[tuple[int, int]]] = [[] for _ in range(self.n_hands)]
        for action in self.actions:
            if game.phase == "play" and game.seat is not None:
                plays[game.hand_number - 1].append((game.seat, action))
            game.act(action)
        return game, tuple(map(tuple, plays))


def play_pairs(
    a: TablePlayer, b: TablePlayer, *, n_pairs: int, seed: int, rule_set: RuleSet | None = None,
    at_once: int = AT_ONCE,
) -> Iterator[PlayedGame]:  # fmt: skip
    """Both games of every pair, one after the other; game k deals by (seed, k) alone.

    With a program of somebody's at the table one game is played at a time. Raises
    ForeignPlayerError where it does not answer.
    """
    if n_pairs < 1 or at_once < 1:
        raise ValueError(f"a match needs pairs and games at once, not {n_pairs} and {at_once}")
    foreign = [player for player in dict.fromkeys((a, b)) if isinstance(player, ForeignPlayer)]
    table = _Table(a, b, 2 * n_pairs, 1 if foreign else at_once, seed, rule_set or RuleSet())
    herald = _Herald(foreign, table) if foreign else None
    finished: dict[int, PlayedGame] = {}
    first = 0  # of the games not told yet
    while first < 2 * n_pairs:
        if herald is not None:
            herald.begin()
        for played in table.step():
            infos = herald.end(played) if herald is not None else ()
            finished[2 * played.number + played.half] = _with_infos(played, infos)
        while first in finished:
            yield finished.pop(first)
            first += 1


def _with_infos(played: PlayedGame, infos: tuple[dict[str, Any], ...]) -> PlayedGame:
    return replace(played, infos=infos) if infos else played


class _Table:
    """So many of the games side by side; where one is over the next one takes its row."""

    def __init__(
        self, a: TablePlayer, b: TablePlayer, n_games: int, at_once: int, seed: int,
        rule_set: RuleSet,
    ) -> None:  # fmt: skip
        self.n_games, self.seed, self.rule_set = n_games, seed, rule_set
        self.playing = np.arange(min(n_games, at_once))  # the game in each row: 2 number + half
        self.rows = self.playing.copy()  # those with a game
        self._next = len(self.playing)
        self.games = WholeGameBatch(
            len(self.playing), seed=seed, rule_set=rule_set, games=self.playing // 2
        )
        self._players = (a, b)

    def step(self) -> list[PlayedGame]:
        """One decision in every game, and what is forced; the games that are over with it."""
        games, rows = self.games, self.rows
        games.act_forced(rows)  # after a beginning; nothing elsewhere
        team_a = (games.seat[rows] + self.playing[rows]) % 2 == 0
        actions = np.empty(len(rows), np.uint8)
        for player, some in zip(
            self._players, (np.flatnonzero(team_a), np.flatnonzero(~team_a)), strict=True
        ):
            if len(some):
                actions[some] = self._actions(player, rows[some])
        games.act(actions, rows)
        games.act_forced(rows)
        over = rows[games.over[rows]]
        return self._finish(over) if len(over) else []

    def _actions(self, player: TablePlayer, rows: Rows) -> Any:
        """See act_of. An error of a policy's names the game."""
        try:
            return act_of(player, self.games, rows)
        except NoAnswer as error:
            raise error.at(self._where(int(rows[error.row]))) from None

    def _where(self, row: int) -> str:
        games, game = self.games, int(self.playing[row]) // 2
        hand = f"game {game}, hand {int(games.n_hands[row]) + 1}"
        match PHASES[games.phase[row]]:
            case "play":
                n_plays = len(seen(games, row).plays)
                return f"{hand}, play {n_plays + 1}"
            case "call":
                return f"{hand}, call {int(games.n_calls[row]) + 1}"
            case phase:
                return f"{hand}, to {phase}"

    def _finish(self, over: Rows) -> list[PlayedGame]:
        """The games in these rows, which go to the next ones while there are any."""
        marks, winner, n_hands = self.games.marks, self.games.winner, self.games.n_hands
        found = [
            PlayedGame(
                number=int(self.playing[row]) // 2, half=int(self.playing[row]) % 2,
                rule_set=self.rule_set, seed=self.seed, actions=self.games.actions(row),
                marks=(int(marks[row, 0]), int(marks[row, 1])), winner=int(winner[row]),
                n_hands=int(n_hands[row]), infos=(),
            )
            for row in over
        ]  # fmt: skip
        again = over[: max(0, self.n_games - self._next)]
        self.playing[again] = np.arange(self._next, self._next + len(again))
        self._next += len(again)
        self.games.restart(self.playing[again] // 2, again)
        self.rows = np.setdiff1d(self.rows, over[len(again) :])
        return found


def act_of(player: TablePlayer | ManyPlayer, games: WholeGameBatch, rows: Rows) -> Any:
    """Legal actions u1[k] of a player: in one call where it can, else seat by seat."""
    if isinstance(player, ManyPlayer):
        return player.act(games, rows)
    return act_one_by_one(player, games, rows)


class _Herald:
    """Tells programs of others what happens at a table with one game, if they asked for that."""

    def __init__(self, foreign: list[ForeignPlayer], table: _Table) -> None:
        self._foreign, self._table = foreign, table
        self._begun, self._hands = -1, 0

    def begin(self) -> None:
        """Before a decision: a game that begins, and a hand that has ended."""
        playing = int(self._table.playing[0])
        if playing != self._begun:
            self._begun, self._hands = playing, 0
            for player in self._foreign:
                player.begin(f"{self._table.seed}-{playing // 2}-{playing % 2}")
            self._tell({"type": "game", "rules": str(self._table.rule_set)})
        elif self._table.games.n_hands[0] > self._hands:
            games = self._table.games
            self._hand_end(games.last[0], games.marks[0].tolist())

    def end(self, played: PlayedGame) -> tuple[dict[str, Any], ...]:
        """After a game: its last hand, its end, and what the programs told of it."""
        game = played.game
        result = game.results[-1]
        self._hands += 1
        self._tell({"type": "hand_end", "hand_no": self._hands, "made": result.made,
                    "points": list(result.points), "award": list(result.award),
                    "marks": game.marks})  # fmt: skip
        self._tell({"type": "game_end", "marks": game.marks, "winner_team": game.winner})
        return tuple(
            {"player": player.name} | info for player in self._foreign for info in player.infos
        )

    def _hand_end(self, last: Any, marks: list[int]) -> None:
        self._hands += 1
        made = None if last["made"] == _THROWN_IN else bool(last["made"])
        self._tell({"type": "hand_end", "hand_no": self._hands, "made": made,
                    "points": last["points"].tolist(), "award": last["award"].tolist(),
                    "marks": marks})  # fmt: skip

    def _tell(self, message: dict[str, Any]) -> None:
        named = {"type": message["type"], "game": str(self._begun // 2)} | message
        for player in self._foreign:
            player.notify(named)
