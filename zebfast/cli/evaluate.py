"""`zebfast eval`: a match between two players, or everyone against everyone."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from zebfast.arena.match import play_match
from zebfast.arena.pairs import HIGHEST_BID, LOWEST_BID
from zebfast.arena.stats import RANDOM_BIDS
from zebfast.cli.console import match_progress, plain_table, rich_table
from zebfast.cli.messages import note
from zebfast.cli.options import Number, Whole, file_option, option, threads_option
from zebfast.cli.players import PLAYERS_HELP, open_players, parse_players
from zebfast.system.settings import A_DAY, MOST_GAMES

DEFAULT_DEALS = 1000
DEFAULT_PAIRS = 50  # of whole games
MAX_SEED = 2**64 - 1


def _bid(context: click.Context, option: click.Parameter, value: str) -> int | None:
    """The bid 30..42, or None for one drawn with each deal; a usage error for anything else."""
    bids = {str(bid): bid for bid in range(LOWEST_BID, HIGHEST_BID + 1)}
    if value not in bids and value != RANDOM_BIDS:
        expected = f"{LOWEST_BID} to {HIGHEST_BID}, or {RANDOM_BIDS}"
        raise click.BadParameter(f"{value!r} is no bid; expected {expected}.", context, option)
    return bids.get(value)


@click.command(
    name="eval",
    short_help="Play a match between two players, or everyone against everyone.",
    help=f"""Play a match between two players, or with --matrix everyone against everyone: every
    deal both ways, the same deals for every pairing. The team that leads first has declared; it
    makes its contract if it takes at least the bid.

    {PLAYERS_HELP}

    With --game marks whole games to seven marks are played, every game both ways. There a player is
    BIDDER+PLAY: value+PLAY bids by what every call is worth, lowest:0.5+PLAY makes the lowest call
    if the network makes it with that chance, open:0.75+PLAY the same by solved layouts, rule+PLAY
    and jump+PLAY count losers, thirty+PLAY says 30 if nobody has bid; ext:COMMAND is any program
    that speaks the table protocol.

    \b
    Examples:
      zebfast eval zeb vs heuristic
      zebfast eval zeb:source=run vs heuristic2 --n-games 4000 --json
      zebfast eval eq:n=10,objective=make vs zeb:source=run --bid 30
      zebfast eval search:source=run,n=100 vs zeb:source=run
      zebfast eval --matrix random heuristic heuristic2 --n-deals 2000
      zebfast eval --matrix random zeb:source=run eq:n=100 --output matrix.json --resume
      zebfast eval --matrix random heuristic heuristic2 --csv m.csv --png m.png
      zebfast eval zeb vs "ext:python my_player.py" --game marks --n-games 100
      zebfast eval value+zeb vs lowest:0.5+zeb --game marks --n-games 2000
      zebfast eval --matrix rule+heuristic2 rule+zeb value+zeb --game marks""",
)
@click.argument("players", nargs=-1, metavar="A vs B | --matrix A B C ...")
@click.option(
    "--matrix", "as_matrix", is_flag=True, help="Everyone against everyone, with Elo ratings."
)
@click.option(
    "--n-games",
    type=Whole(1, MOST_GAMES),
    help=f"Games a pairing; an odd number is rounded up.  [default: {2 * DEFAULT_DEALS}]",
)
@click.option(
    "--n-deals", type=Whole(1, MOST_GAMES // 2), help="The same in deals, two games each."
)
@option("--seed", Whole(0, MAX_SEED), 0, "Seed of deals, bids and players.")
@click.option(
    "--bid",
    callback=_bid,
    default=RANDOM_BIDS,
    show_default=True,
    metavar="N|random",
    help=f"Contract of every deal, {LOWEST_BID} to {HIGHEST_BID}; random draws one for each deal.",
)
@click.option("--device", help="Where networks run (default: cuda if present, else cpu).")
@threads_option("Threads of solvers and of networks on the CPU (default: every core).")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option(
    "--game",
    type=click.Choice(["hand", "marks"]),
    default="hand",
    show_default=True,
    help="What a game is: one hand with a bid, or a whole game to seven marks.",
)
@click.option("--rules", help="Marks: the rule set, as straight or all_pass=force,nello=own.")
@option("--answer-seconds", Number(0.01, A_DAY), 10.0, "Marks: time for a foreign answer.")
@file_option("--record", help="Marks: add every game to this file, for zebfast replay.")
@file_option("--csv", help="Matrix: write every figure, a row for each ordered pair.")
@file_option("--png", help="Matrix: draw a heat map.")
@file_option("--output", help="Matrix: write the JSON after every pairing, single games included.")
@click.option("--resume", is_flag=True, help="Matrix: continue from the --output file, if any.")
def evaluate(
    players: tuple[str, ...], as_matrix: bool, n_games: int | None, n_deals: int | None, seed: int,
    bid: int | None, device: str | None, threads: int | None, as_json: bool, game: str,
    rules: str | None, answer_seconds: float, record: Path | None, **files: Any,
) -> None:  # fmt: skip
    """Read the arguments, play, print. Exit codes: 0 played, 1 weights unusable, 2 usage."""
    if game == "hand" and (rules is not None or record is not None):
        raise click.UsageError("--rules and --record belong to --game marks; add it.")
    if game == "marks":
        if any(files.values()) or bid is not None or (as_matrix and record is not None):
            raise click.UsageError(
                "--game marks plays with the bids that players make and keeps no files of a "
                "matrix: expected none of --bid, --csv, --png, --output, --resume, and --record "
                "without --matrix."
            )
        told = {
            "n_pairs": _n_deals(n_games, n_deals, DEFAULT_PAIRS), "seed": seed,
            "rules": rules or "straight", "seconds": answer_seconds, "device": device,
            "threads": threads, "as_json": as_json,
        }  # fmt: skip
        _whole_games(players, as_matrix, record, told)
        return
    if as_matrix:
        from zebfast.cli.matrix import MatrixFiles, run_matrix

        run_matrix(
            players, n_deals=_n_deals(n_games, n_deals), seed=seed, bid=bid, device=device,
            threads=threads, files=MatrixFiles(**files), as_json=as_json,
        )  # fmt: skip
        return
    if any(files.values()):
        raise click.UsageError("--csv, --png, --output and --resume belong to --matrix; add it.")
    specs = parse_players(_two(players))
    games = 2 * _n_deals(n_games, n_deals)
    try:
        with (
            open_players(specs, device=device, threads=threads) as opened,
            match_progress(games) as progress,
        ):
            result = play_match(
                *opened,
                n_games=games,
                seed=seed,
                bid=bid,
                deals_per_chunk=min(spec.deals_per_chunk for spec in specs),
                progress=progress,
            )
    except FloatingPointError as error:
        raise click.ClickException(f"The match cannot go on: {error}.") from error
    for player in opened:
        if replaced := getattr(player, "illegal", 0):
            note(f"{player.name} gave {replaced:,} answers that are not legal; they were replaced.")
    if as_json:
        click.echo(json.dumps(result.as_dict()))
    elif sys.stdout.isatty():
        from rich.console import Console

        Console().print(rich_table(result))
    else:
        click.echo(plain_table(result))


def _whole_games(
    players: tuple[str, ...], as_matrix: bool, record: Path | None, told: dict[str, Any]
) -> None:
    if as_matrix:
        from zebfast.cli.ladder import run_ladder

        run_ladder(players, **told)
    else:
        from zebfast.cli.marks import run_marks

        run_marks(_two(players), record=record, **told)


def _two(players: tuple[str, ...]) -> tuple[str, str]:
    """A and B of "A vs B"."""
    if len(players) != 3 or players[1] != "vs":
        raise click.UsageError(
            'Expected two players with "vs" between them, as in: zebfast eval zeb vs heuristic; '
            "or --matrix and two players or more."
        )
    return players[0], players[2]


def _n_deals(n_games: int | None, n_deals: int | None, default: int = DEFAULT_DEALS) -> int:
    if n_deals is not None and n_games is not None:
        raise click.UsageError("Give --n-games or --n-deals, not both: a deal is two games.")
    if n_games is None:
        return n_deals or default
    if n_games % 2:
        note(f"Note: playing {n_games + 1:,} games, because every deal is played both ways.")
    return (n_games + 1) // 2
