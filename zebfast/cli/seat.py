"""`zebfast seat PLAYER`: a player of ours at somebody's table."""

from __future__ import annotations

import sys

import click

from zebfast.cli.options import Whole, option


@click.command(
    name="seat",
    short_help="Sit a player at a table: requests on standard input, answers on standard output.",
    help="""Sit a player at a table of whole games: requests on standard input, answers on standard
    output, one JSON object a line (the table protocol).

    PLAYER is BIDDER+PLAY, as in zebfast eval --game marks; of a play alone, networks bid by what
    every call is worth and the others by a simple rule.

    \b
    Example:
      zebfast eval "ext:zebfast seat zeb" vs heuristic2 --game marks --n-games 20""",
)
@click.argument("player", metavar="PLAYER")
@option("--seed", Whole(0, 2**64 - 1), 0, "Seed of what the player draws.")
@click.option("--device", help="Where a network runs (default: cpu).")
def seat(player: str, seed: int, device: str | None) -> None:
    """Answer until the requests end. Exit codes: 0 they ended, 1 no request or weights, 2 usage."""
    from zebfast.arena.players.specs import PlayerSpecError
    from zebfast.arena.table import seat as ours
    from zebfast.arena.table.players import table_player

    try:
        seated = table_player(player, seed=seed, device=device or "cpu")
    except PlayerSpecError as error:
        raise click.UsageError(str(error)) from error
    ours.serve(seated, sys.stdin.buffer, sys.stdout.buffer)
