"""Paired whole games between two players: the same deals, teams swapped."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.stats import Z_95
from zebfast.arena.table.foreign import ForeignPlayer
from zebfast.arena.table.players import TablePlayer
from zebfast.arena.table.seat import chooser
from zebfast.core.whole_game import WholeGame
from zebfast.rules import HandResult, RuleSet


@dataclass(frozen=True)
class PlayedGame:
    """One game that is over; ``half`` 0 has player A as team 0, 1 as team 1."""

    number: int
    half: int
    game: WholeGame
    plays: tuple[tuple[tuple[int, int], ...], ...]  # (seat, domino) of every hand
    infos: tuple[dict[str, Any], ...]  # what foreign players told besides their answers

    @property
    def margin(self) -> int:
        """Marks (or points) of A less those of B."""
        mine, other = self.game.marks[self.half], self.game.marks[1 - self.half]
        return mine - other

    @property
    def won(self) -> bool:
        """Whether A has won."""
        return self.game.winner == self.half


@dataclass(frozen=True)
class TableResult:
    """What A achieved against B over so many games; intervals are 95 % over pairs of games."""

    player_a: str
    player_b: str
    rules: str
    seed: int
    games: int
    won: int
    marks_a_game: float
    marks_a_game_half_width: float
    win_rate: float
    win_rate_half_width: float
    hands: int
    illegal_a: int
    illegal_b: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def play_game(
    teams: tuple[TablePlayer, TablePlayer], rule_set: RuleSet, seed: int, number: int
) -> tuple[WholeGame, list[list[tuple[int, int]]]]:
    """Game ``number`` of the seed and the plays of its hands. Forced decisions are not asked."""
    game = WholeGame(rule_set, seed=seed, game=number)
    told, plays = list(dict.fromkeys(teams)), [list[tuple[int, int]]()]
    _notify(told, {"type": "game", "game": str(number), "rules": str(rule_set)})
    while not game.over:
        assert game.seat is not None
        view = game.seen_by(game.seat)
        player = teams[game.seat % 2]
        one = len(view.legal) == 1
        value = view.legal[0] if one else chooser(player, view.phase)(view)
        if view.phase == "play":
            plays[-1].append((view.seat, value))
        {"call": game.call, "declare": game.declare, "play": game.play}[view.phase](value)
        if len(game.results) == len(plays):
            plays.append([])
            _notify(told, _hand_end(game, number, game.results[-1]))
    _notify(told, {"type": "game_end", "game": str(number), "marks": game.marks,
                   "winner_team": game.winner})  # fmt: skip
    return game, plays[:-1]


def _hand_end(game: WholeGame, number: int, result: HandResult) -> dict[str, Any]:
    return {"type": "hand_end", "game": str(number), "hand_no": len(game.results),
            "made": result.made, "points": list(result.points), "award": list(result.award),
            "marks": game.marks}  # fmt: skip


def _notify(players: list[TablePlayer], message: dict[str, Any]) -> None:
    for player in players:
        if isinstance(player, ForeignPlayer):
            player.notify(message)


def play_pairs(
    a: TablePlayer, b: TablePlayer, *, n_pairs: int, seed: int, rule_set: RuleSet | None = None
) -> Iterator[PlayedGame]:
    """Both games of every pair, one after the other; game k deals by (seed, k) alone."""
    for number in range(n_pairs):
        for half in range(2):
            for player in (a, b):
                if isinstance(player, ForeignPlayer):
                    player.begin(f"{seed}-{number}-{half}")
            teams = (a, b) if half == 0 else (b, a)
            game, plays = play_game(teams, rule_set or RuleSet(), seed, number)
            infos = [
                {"player": player.name} | info
                for player in (a, b)
                if isinstance(player, ForeignPlayer)
                for info in player.infos
            ]
            yield PlayedGame(number, half, game, tuple(map(tuple, plays)), tuple(infos))


def play_table_match(
    a: TablePlayer,
    b: TablePlayer,
    *,
    n_pairs: int,
    seed: int,
    rule_set: RuleSet | None = None,
    seen: Callable[[PlayedGame], object] = lambda _: None,
) -> TableResult:
    """All pairs, and what they say. ``seen`` is told of every game, to record it or to show it.

    Raises ForeignPlayerError where a program does not answer.
    """
    margins, wins, hands = np.zeros((n_pairs, 2)), np.zeros((n_pairs, 2)), 0
    for played in play_pairs(a, b, n_pairs=n_pairs, seed=seed, rule_set=rule_set):
        margins[played.number, played.half] = played.margin
        wins[played.number, played.half] = played.won
        hands += len(played.game.results)
        seen(played)
    return TableResult(
        player_a=a.name, player_b=b.name, rules=str(rule_set or RuleSet()), seed=seed,
        games=2 * n_pairs, won=int(wins.sum()), marks_a_game=float(margins.mean()),
        marks_a_game_half_width=_half_width(margins), win_rate=float(wins.mean()),
        win_rate_half_width=_half_width(wins), hands=hands, illegal_a=getattr(a, "illegal", 0),
        illegal_b=getattr(b, "illegal", 0),
    )  # fmt: skip


def _half_width(values: NDArray[np.float64]) -> float:
    """Half of the 95 % interval of the mean over pairs; NaN is no JSON, so 0 for one pair."""
    pairs = values.mean(axis=1)
    if len(pairs) < 2:
        return 0.0
    return float(Z_95 * pairs.std(ddof=1) / math.sqrt(len(pairs)))
