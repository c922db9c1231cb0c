"""`zebfast eval A vs B --game marks`: whole games, with programs of others among the players."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import click

from zebfast.arena.players.specs import PlayerSpecError
from zebfast.arena.table.foreign import PREFIX, ForeignPlayer, ForeignPlayerError
from zebfast.arena.table.lockstep import PlayedGame
from zebfast.arena.table.match import TableResult, play_table_match
from zebfast.arena.table.players import TablePlayer, table_player
from zebfast.arena.table.record import record_of
from zebfast.rules import RuleSet
from zebfast.system.settings import SettingError


def run_marks(
    names: tuple[str, str], *, n_pairs: int, seed: int, rules: str, seconds: float,
    record: Path | None, device: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Play, record, print. click errors for players and rules that are none."""
    rule_set = read_rules(rules)
    with ExitStack() as stack:
        players = [open_player(name, seed, seconds, device, stack) for name in names]
        written = stack.enter_context(record.open("a", encoding="utf-8")) if record else None

        def keep(played: PlayedGame) -> None:
            _write(written, played, names)

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


def open_player(
    name: str, seed: int, seconds: float, device: str | None, stack: ExitStack
) -> TablePlayer:
    """The player of a spec, or a program, which ends with the stack. click errors for others."""
    if name.startswith(PREFIX):
        try:
            return stack.enter_context(ForeignPlayer(name.removeprefix(PREFIX), seconds=seconds))
        except ForeignPlayerError as error:
            raise click.ClickException(str(error)) from error
    try:
        return table_player(name, seed=seed, device=device or "cpu")
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
        f"games won   {100 * result.win_rate:.1f} % ± {100 * result.win_rate_half_width:.1f}",
        f"marks/game  {result.marks_a_game:+.2f} ± {result.marks_a_game_half_width:.2f}",
        f"Elo         {result.elo:+.0f} ± {result.elo_half_width:.0f}",
        "Intervals are 95 %, over pairs of games of the same deals.",
    ]
    for name, illegal in ((a, result.illegal_a), (b, result.illegal_b)):
        if illegal:
            lines.append(f"{name} gave {illegal:,} answers that are not legal; they were replaced.")
    return "\n".join(lines)
