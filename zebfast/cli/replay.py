"""`zebfast replay FILE`: recorded games against the Python rules and the compiled engine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import BinaryIO, cast

import click
from rich.progress import SpinnerColumn, TimeElapsedColumn

from zebfast.arena.io.json_lines import Difference, RecordingError
from zebfast.arena.io.replay import RecordedGame, read_games, replay_game
from zebfast.arena.io.whole_games import RecordedWholeGame
from zebfast.cli.console import bar_of


@click.command(
    name="replay",
    short_help="Check recorded games against the rules.",
    help="""Replay recorded games (JSON lines, plain or gzipped; - reads standard input).

    Every legal set, trick winner and score is checked against the rules in Python and against the
    compiled engine; of whole games every call, declaration, play, award and the end. The exit
    status is 1, and the first difference is printed, if any differs.

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
    """Replay until the end or the first difference. Exit codes: 0 equal, 1 not, 2 usage."""
    games, hands, plays, name = 0, 0, 0, "<stdin>" if file == "-" else file
    difference: Difference | None = None
    try:
        with click.open_file(file, "rb") as stream:
            for game in _with_progress(read_games(cast(BinaryIO, stream))):
                difference = replay_game(game)
                if difference is not None:
                    break
                games += 1
                hands += len(game.hands) if isinstance(game, RecordedWholeGame) else 0
                plays += game.n_plays
    except RecordingError as error:
        raise click.ClickException(f"{name}: {error}") from error
    except OSError as error:
        raise click.ClickException(f"Cannot read {name}: {error.strerror or error}.") from error
    if difference is None and games == 0:
        raise click.ClickException(f"{name} holds no games; expected one JSON object a line.")
    if as_json:
        click.echo(json.dumps(_summary(name, games, hands, plays, difference)))
        told = ""
    else:
        told = f"{games:,} games, {f'{hands:,} hands, ' if hands else ''}{plays:,} plays"
    if told and difference is None:
        click.echo(f"replayed {told}: all equal")
    elif told:
        click.echo(f"{told} equal, then a difference: {difference}")
    if difference is not None:
        raise click.exceptions.Exit(1)


def _summary(
    name: str, games: int, hands: int, plays: int, difference: Difference | None
) -> dict[str, object]:
    """The outcome as JSON; of hands only where there are whole games."""
    found: dict[str, object] = {"file": name, "games": games, "plays": plays}
    found |= {"hands": hands} if hands else {}
    told = None if difference is None else asdict(difference)
    if told is not None and told["hand"] is None:
        del told["hand"]
    return found | {"equal": difference is None, "difference": told}


_Game = RecordedGame | RecordedWholeGame


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
