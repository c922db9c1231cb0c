"""`zebfast replay FILE`: recorded games against the Python rules and the compiled engine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import BinaryIO, cast

import click
from rich.progress import SpinnerColumn, TimeElapsedColumn

from zebfast.arena.io.json_lines import Difference, RecordingError
from zebfast.arena.io.replay import RecordedGame, read_records, replay_game
from zebfast.arena.io.whole_games import RecordedWholeGame
from zebfast.cli.console import bar_of


@click.command(
    name="replay",
    short_help="Check recorded games against the rules.",
    help="""Replay recorded games (JSON lines, plain or gzipped; - reads standard input).

    Every legal set, trick winner and score is checked against the rules in Python and against the
    compiled engine; of whole games every call, declaration, play, award and the end. A line that
    is no game, breaks a rule or differs is told in a sentence, and the others are replayed all the
    same; the exit status is 1 then.

    \b
    Example:
      zebfast replay games.jsonl.gz""",
)
@click.argument(
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE.jsonl[.gz]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def replay(file: str, as_json: bool) -> None:
    """Replay to the end, whatever is wrong. Exit codes: 0 all equal, 1 not, 2 usage."""
    name = "<stdin>" if file == "-" else file
    try:
        with click.open_file(file, "rb") as stream:
            outcome = _replayed(cast(BinaryIO, stream), name)
    except OSError as error:
        raise click.ClickException(f"Cannot read {name}: {error.strerror or error}.") from error
    if not (outcome.games or outcome.differences or outcome.errors):
        raise click.ClickException(f"{name} holds no games; expected one JSON object a line.")
    if outcome.games or outcome.differences:
        click.echo(json.dumps(outcome.as_dict(name)) if as_json else outcome.text())
    if outcome.differences or outcome.errors:
        raise click.exceptions.Exit(1)


MOST_SHOWN = 20  # lines that are no record, and differences; the others are counted


@dataclass
class _Outcome:
    """What a file comes to: what is equal, and what is not."""

    games: int = 0
    hands: int = 0
    plays: int = 0
    differences: list[Difference] = field(default_factory=list)
    errors: int = 0

    def text(self) -> str:
        """For people."""
        told = f"{self.games:,} games, {f'{self.hands:,} hands, ' if self.hands else ''}"
        told += f"{self.plays:,} plays"
        broken = f"; {self.errors:,} {'lines' if self.errors > 1 else 'line'} cannot be replayed"
        if not self.differences:
            return f"{told} equal{broken}" if self.errors else f"replayed {told}: all equal"
        first, *more = self.differences[:MOST_SHOWN]
        lines = [f"{told} equal, then a difference: {first}"]
        lines += [f"another difference: {difference}" for difference in more]
        left = len(self.differences) - MOST_SHOWN
        lines += [f"and {left:,} differences more"] if left > 0 else []
        return "\n".join(lines) + (broken if self.errors else "")

    def as_dict(self, name: str) -> dict[str, object]:
        """For JSON; of hands, and of what else is wrong, only where there is some."""
        found: dict[str, object] = {"file": name, "games": self.games, "plays": self.plays}
        found |= {"hands": self.hands} if self.hands else {}
        told = [asdict(difference) for difference in self.differences]
        for one in told:
            if one["hand"] is None:
                del one["hand"]
        found |= {
            "equal": not told and not self.errors,
            "difference": told[0] if told else None,
        }
        found |= {"differences": told} if len(told) > 1 else {}
        return found | ({"broken_lines": self.errors} if self.errors else {})


def _replayed(stream: BinaryIO, name: str) -> _Outcome:
    """Every game of a file; of a line that is none, or breaks a rule, a sentence on stderr."""
    outcome = _Outcome()
    for record in _with_progress(read_records(stream)):
        try:
            if isinstance(record, RecordingError):
                raise record
            difference = replay_game(record)
        except RecordingError as error:
            outcome.errors += 1
            if outcome.errors <= MOST_SHOWN:
                click.echo(f"Error: {name}: {error}", err=True)
            continue
        if difference is not None:
            outcome.differences.append(difference)
            continue
        outcome.games += 1
        outcome.hands += len(record.hands) if isinstance(record, RecordedWholeGame) else 0
        outcome.plays += record.n_plays
    if outcome.errors > MOST_SHOWN:
        click.echo(f"Error: {name}: {outcome.errors - MOST_SHOWN:,} lines more.", err=True)
    return outcome


_Game = RecordedGame | RecordedWholeGame | RecordingError


def _with_progress(games: Iterable[_Game]) -> Iterator[_Game]:
    """Pass the games through, counting them on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        yield from games
        return
    text = "replaying: {task.completed:,.0f} games"
    with bar_of(SpinnerColumn(), text, TimeElapsedColumn()) as bar:
        task = bar.add_task("", total=None)
        for game in games:
            yield game
            bar.advance(task)
