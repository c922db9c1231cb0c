"""`zebfast review FILE`: a whole game looked back at, in the terminal."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zebfast.cli.options import Whole, option

if TYPE_CHECKING:
    from zebfast.arena.analysis.review import HandReview

_MAX_BYTES = 1 << 22


@click.command(
    name="review",
    short_help="Look back at a whole game: the worst mistakes, and what was luck.",
    help="""Look back at whole games: what each play cost by what its player could know, what it
    cost as the dominoes lay, and how much of the outcome the deals gave.

    FILE holds a game in its text form or records of tables, one JSON object a line, as the table in
    the browser and zebfast eval --record write them; - reads standard input.

    \b
    Example:
      zebfast eval zeb vs heuristic2 --game marks --n-games 2 --record games.jsonl
      zebfast review games.jsonl""",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@option("--game", Whole(1, 1_000_000), 1, "Which game of the file.")
@click.option("--hand", type=Whole(1, 2000), help="Only this hand.  [default: all]")
@option("--mistakes", Whole(0, 1000), 10, "How many mistakes are listed, the worst first.")
@option("--worlds", Whole(1, 10_000), 96, "Layouts in which a play is tried without sight.")
@option("--network", str, "zeb", "Whose favourites are played in them: zeb or zeb:source=FILE.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as one JSON object.")
def review(
    file: str, game: int, hand: int | None, mistakes: int, worlds: int, network: str, as_json: bool
) -> None:
    """Read, look, print. Exit codes: 0 ok, 1 no such game or hand, 2 usage."""
    from zebfast.arena.analysis.analyst import Analyst
    from zebfast.arena.analysis.read import UnreadableGame, read_games
    from zebfast.arena.players.specs import PlayerSpecError

    try:
        games = read_games(_text(file))
    except UnreadableGame as error:
        raise click.ClickException(f"{_shown(file)}: {error}") from error
    if game > len(games):
        raise click.ClickException(f"{_shown(file)} has {len(games)} games; there is no {game}.")
    looked = games[game - 1]
    if hand is not None and hand > len(looked.results):
        raise click.ClickException(
            f"Game {game} has {len(looked.results)} hands that are over; there is no hand {hand}."
        )
    try:
        reviewer = Analyst.open(network, n_worlds=worlds).reviewer
    except PlayerSpecError as error:
        raise click.UsageError(str(error)) from error
    found = reviewer.hands(looked, [] if hand is None else [hand])
    if as_json:
        click.echo(json.dumps(_as_json(found)))
    else:
        click.echo("\n".join(_lines(found, mistakes)))


def _shown(file: str) -> str:
    return "<stdin>" if file == "-" else file


def _text(file: str) -> str:
    """The text of a file, which may be gzipped."""
    from zebfast.system.files import read_plain

    data = (
        sys.stdin.buffer.read(_MAX_BYTES + 1) if file == "-" else read_plain(Path(file), _MAX_BYTES)
    )
    if len(data) > _MAX_BYTES:
        raise click.ClickException(f"{_shown(file)} is longer than {_MAX_BYTES:,} bytes.")
    return data.decode(errors="replace")


def _seat(seat: int) -> str:
    return f"seat {seat}"


def _lines(found: list[HandReview], most: int) -> list[str]:
    from zebfast.arena.analysis.words import (
        auction_words,
        contract_words,
        play_words,
        split_words,
        totals,
    )

    lines: list[str] = []
    for hand in found:
        lines += [f"hand {hand.number}: {contract_words(hand, _seat)}"]
        lines += [
            f"  {text}" for text in (auction_words(hand, _seat), *split_words(hand, _seat)) if text
        ]
    worst = sorted(
        ((play, hand) for hand in found for play in hand.mistakes), key=lambda both: -both[0].loss
    )
    if most:
        lines += ["", f"{len(worst)} mistakes by what players could know, the worst first:"]
    lines += [
        f"  hand {hand.number}, {play_words(play, _seat, hand.result.bidder or 0)}"
        for play, hand in worst[:most]
    ]
    rows = totals(found)
    lines += [
        "",
        f"{'luck and skill, points with all hands open':<46}{'seats 0, 2':>12}{'1, 3':>8}",
    ]
    for label, key in (
        ("luck of the deals", "deal"), ("naming trumps", "naming"), ("plays of both sides", "play"),
        ("cost of own mistakes, as the dominoes lay", "could_know"), ("scored", "marks"),
    ):  # fmt: skip
        values = [getattr(side, key) for side in rows]
        lines.append(f"  {label:<44}{values[0]:>12}{values[1]:>8}")
    return lines


def _as_json(found: list[HandReview]) -> dict[str, Any]:
    from zebfast.arena.analysis.words import totals

    hands = [asdict(hand) | {"mistakes": [each.ply for each in hand.mistakes]} for hand in found]
    return {"hands": hands, "teams": [asdict(side) for side in totals(found)]}
