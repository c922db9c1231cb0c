"""`zebfast eval A vs B`: a match between two players, every deal played both ways."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from zebfast.arena.build import PlayerLoadError, build_player
from zebfast.arena.match import MatchProgress, ProgressCallback, play_match
from zebfast.arena.players import Player
from zebfast.arena.specs import NETWORK_FORM, PlayerSpecError, parse_spec
from zebfast.arena.stats import MatchResult

FOOTNOTE = "Won = more than 21 of 42 points; a tie is not a win; every deal is played both ways."


@click.command(
    name="eval",
    short_help="Play a match between two players.",
    help=f"""Play a match between two players, every deal both ways.

    Players: random; heuristic and heuristic2, which follow simple rules; {NETWORK_FORM}, a
    network. FILE is a checkpoint or a learner's directory, X the name of one of several runs in
    that directory, T the temperature of its plays (0.1 when left out; 0: always its favourite).

    \b
    Examples:
      zebfast eval heuristic vs random
      zebfast eval zeb:source=run vs heuristic2 --n-games 4000 --json""",
)
@click.argument("players", nargs=-1, metavar="A vs B")
@click.option(
    "--n-games",
    type=click.IntRange(min=1),
    default=2000,
    show_default=True,
    help="Games to play; an odd number is rounded up.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the deals."
)
@click.option("--device", help="Where networks run (default: cuda if present, else cpu).")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def evaluate(
    players: tuple[str, ...], n_games: int, seed: int, device: str | None, as_json: bool
) -> None:
    """Read the arguments, play, print. Exit codes: 0 played, 1 weights unusable, 2 usage."""
    if len(players) != 3 or players[1] != "vs":
        raise click.UsageError(
            'Expected two players with "vs" between them, as in: zebfast eval heuristic vs random.'
        )
    if device is not None:
        from zebfast.cli.learn import choose_device

        try:
            device = choose_device(device)
        except ValueError as error:
            raise click.UsageError(f"{error}.") from error
    player_a, player_b = _build(players[0], device), _build(players[2], device)
    if n_games % 2:
        n_games += 1
        click.echo(
            f"Note: playing {n_games:,} games, because every deal is played both ways.", err=True
        )
    try:
        with match_progress(n_games) as progress:
            result = play_match(player_a, player_b, n_games=n_games, seed=seed, progress=progress)
    except FloatingPointError as error:
        raise click.ClickException(f"The match cannot go on: {error}.") from error
    if as_json:
        click.echo(json.dumps(result.as_dict()))
    elif sys.stdout.isatty():
        Console().print(_rich_table(result))
    else:
        click.echo(_plain_table(result))


def _build(text: str, device: str | None) -> Player:
    try:
        return build_player(parse_spec(text), device=device)
    except PlayerSpecError as error:
        raise click.UsageError(str(error)) from error
    except PlayerLoadError as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def match_progress(n_games: int) -> Iterator[ProgressCallback | None]:
    """A progress bar on stderr while a match runs; yields None unless stderr is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = Progress(
        BarColumn(bar_width=20),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} games"),
        TextColumn("{task.fields[rate]:,.0f}/s  {task.fields[won]:.1%} won"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=n_games, rate=0.0, won=0.0)

        def update(seen: MatchProgress) -> None:
            bar.update(task, completed=seen.done, rate=seen.games_per_s, won=seen.wins / seen.done)

        yield update


def _rows(result: MatchResult) -> list[tuple[str, str]]:
    """(heading, text) of each figure of a result, as both tables show them."""
    return [
        ("player", result.player_a),
        ("against", result.player_b),
        ("games", f"{result.games:,}"),
        ("won", f"{result.wins:,}"),
        ("tied", f"{result.ties:,}"),
        ("lost", f"{result.losses:,}"),
        ("win rate", f"{result.win_rate:.1%}"),
        ("95 % interval", f"{result.win_rate_low:.1%} to {result.win_rate_high:.1%}"),
        ("margin", f"{result.mean_margin:+.2f} ± {result.margin_se:.2f}"),
        ("games/s", f"{result.games_per_s:,.0f}"),
    ]


def _rich_table(result: MatchResult) -> Table:
    """One figure a row, so that it fits any terminal and any length of player spec."""
    table = Table(caption=FOOTNOTE, caption_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for heading, text in _rows(result):
        table.add_row(heading, escape(text))
    return table


def _plain_table(result: MatchResult) -> str:
    rows = _rows(result)
    width = max(len(heading) for heading, _ in rows)
    lines = [f"{heading:<{width}}  {text}" for heading, text in rows]
    return "\n".join([*lines, FOOTNOTE])
