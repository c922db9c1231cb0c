"""`zebfast eval A vs B --game marks`: whole games, with programs of others among the players."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import click

from zebfast.arena.match import MatchProgress
from zebfast.arena.players.specs import PlayerSpecError
from zebfast.arena.stats import plus_minus
from zebfast.arena.table.foreign import PREFIX, ForeignPlayer, ForeignPlayerError
from zebfast.arena.table.lockstep import PlayedGame
from zebfast.arena.table.match import TableResult, play_table_match
from zebfast.arena.table.players import TablePlayer, table_player
from zebfast.arena.table.record import record_of
from zebfast.cli.console import match_progress
from zebfast.core.solver_pool import SolverPool
from zebfast.rules import RuleSet
from zebfast.system.machine import usable_cores, usable_threads
from zebfast.system.settings import SettingError


def run_marks(
    names: tuple[str, str], *, n_pairs: int, seed: int, rules: str, seconds: float,
    record: Path | None, device: str | None, threads: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Play, record, print. click errors for players and rules that are none."""
    rule_set = read_rules(rules)
    with ExitStack() as stack:
        opening = PlayerOpening(seed, seconds, device, threads, stack)
        players = [opening.open(name) for name in names]
        written = stack.enter_context(record.open("a", encoding="utf-8")) if record else None
        progress = stack.enter_context(match_progress(2 * n_pairs))
        done, won, began = 0, 0, time.perf_counter()

        def keep(played: PlayedGame) -> None:
            nonlocal done, won
            done, won = done + 1, won + played.won
            _write(written, played, names)
            if progress is not None:
                seconds = time.perf_counter() - began
                progress(MatchProgress(done, 2 * n_pairs, won, seconds))

        try:
            result = play_table_match(
                *players, n_pairs=n_pairs, seed=seed, rule_set=rule_set, seen=keep
            )
        except (ForeignPlayerError, FloatingPointError) as error:
            raise click.ClickException(
                f"The match cannot go on: {str(error).rstrip('.')}."
            ) from error
    click.echo(json.dumps(result.as_dict()) if as_json else text_of(result))


def read_rules(text: str) -> RuleSet:
    """The rule set of a text; a usage error where it is none."""
    try:
        return RuleSet.from_text(text)
    except SettingError as error:
        raise click.UsageError(f"--rules: {error}.") from error


class PlayerOpening:
    """Opens players for one table: they share solvers, and all ends with the stack.

    threads: of solvers, and of networks on the CPU; by default every usable core.
    """

    def __init__(
        self, seed: int, seconds: float, device: str | None, threads: int | None, stack: ExitStack
    ) -> None:
        self._seed, self._seconds, self._device = seed, seconds, device or "cpu"
        self._threads = usable_threads(threads) or usable_cores()
        self._stack = stack
        self._pool = stack.enter_context(SolverPool(self._threads))

    def open(self, name: str) -> TablePlayer:
        """The player of a spec, or a program. click errors for others."""
        if name.startswith(PREFIX):
            try:
                return self._stack.enter_context(
                    ForeignPlayer(name.removeprefix(PREFIX), seconds=self._seconds)
                )
            except ForeignPlayerError as error:
                raise click.ClickException(str(error)) from error
        try:
            return table_player(
                name, seed=self._seed, device=self._device, pool=self._pool, threads=self._threads
            )
        except PlayerSpecError as error:
            raise click.UsageError(str(error)) from error


def _write(file: IO[str] | None, played: PlayedGame, names: tuple[str, str]) -> None:
    """A game is in the record once it is over, so that what ends a match loses no other."""
    if file is not None:
        file.write(json.dumps(record_of(played, names), separators=(",", ":")) + "\n")
        file.flush()


def text_of(result: TableResult) -> str:
    """The result for people."""
    a, b = result.player_a, result.player_b
    lines = [
        f"{a} against {b}: {result.games:,} whole games, {result.hands:,} hands; rules: "
        f"{result.rules}; seed {result.seed}",
        f"games won   {100 * result.win_rate:.1f} % ({100 * result.win_rate_low:.1f} to "
        f"{100 * result.win_rate_high:.1f})",
        f"marks/game  {result.marks_a_game:+.2f}{plus_minus(result.marks_a_game_half_width)}",
        f"Elo         {result.elo:+.0f} ({result.elo_low:+.0f} to {result.elo_high:+.0f})",
        "Intervals are 95 %, over pairs of games of the same deals"
        + (
            "."
            if result.marks_a_game_half_width is not None
            else "; one pair, or pairs all alike, do not show how far marks spread."
        ),
    ]
    for name, illegal in ((a, result.illegal_a), (b, result.illegal_b)):
        if illegal:
            lines.append(f"{name} gave {illegal:,} answers that are not legal; they were replaced.")
    return "\n".join(lines)
