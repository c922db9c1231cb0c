"""`zebfast eval --matrix A B C --game marks`: whole games of everyone against everyone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import click

from zebfast.arena.ratings import N_RESAMPLES, VIRTUAL_TIES
from zebfast.arena.stats import plus_minus
from zebfast.arena.table.foreign import ForeignPlayerError
from zebfast.arena.table.ladder import Ladder, Pair, WholePairing, play_ladder
from zebfast.cli.marks import PlayerOpening, read_rules
from zebfast.cli.matrix import heading, rating_lines, square
from zebfast.cli.messages import note

_CELL = 8


def run_ladder(
    names: Sequence[str], *, n_pairs: int, seed: int, rules: str, seconds: float,
    device: str | None, threads: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Play and print; a line on stderr after every pairing. click errors as `run_marks`."""
    rule_set = read_rules(rules)
    try:
        ladder = Ladder(tuple(names), n_pairs=n_pairs, seed=seed, rule_set=rule_set)
    except ValueError:
        raise click.UsageError("--matrix: expected two players or more, no two alike.") from None
    with ExitStack() as stack:
        opening = PlayerOpening(seed, seconds, device, threads, stack)
        players = [opening.open(name) for name in names]

        def say(pair: Pair) -> None:
            one = ladder.played[pair].as_dict()
            note(
                f"{names[pair[0]]} v {names[pair[1]]}: {one['marks_a_game']:+.2f} marks a game, "
                f"{one['hands'] / max(one['seconds'], 1e-9):,.0f} hands/s"
            )

        try:
            play_ladder(ladder, players, clock=time.monotonic, finished=say)
        except (ForeignPlayerError, FloatingPointError) as error:
            raise click.ClickException(
                f"The matrix cannot go on: {str(error).rstrip('.')}."
            ) from error
    click.echo(json.dumps(ladder.as_dict()) if as_json else text_of(ladder))


def text_of(ladder: Ladder) -> str:
    """The report; headings are bold, which click takes off where there is no terminal."""
    squares: dict[str, Callable[[WholePairing], str]] = {
        "Marks a game (row player less column player)":
            lambda one: f"{one.as_dict()['marks_a_game']:+.2f}",
        "Games won, % (row player against column player)":
            lambda one: f"{100 * one.as_dict()['win_rate']:.1f}",
    }  # fmt: skip
    lines = [
        f"{ladder.n_pairs:,} deals, each played both ways: {2 * ladder.n_pairs:,} whole games a "
        f"pairing. Rules: {ladder.rule_set}. Seed {ladder.seed}.",
        *rating_lines(ladder.ratings),
    ]
    for title, figure in squares.items():
        lines += square(title, ladder.players, ladder.result, figure, cell=_CELL)
    lines += heading("Pairings, with 95 % intervals over pairs of games")
    for a, b in ladder.pairs:
        one = ladder.played[a, b].as_dict()
        lines.append(
            f"{a + 1:>2} v {b + 1:<3}{one['marks_a_game']:>+8.2f}"
            f"{plus_minus(one['marks_a_game_half_width'])} marks a game"
            f"{100 * one['win_rate']:>9.1f} % ({100 * one['win_rate_low']:.1f} to "
            f"{100 * one['win_rate_high']:.1f}) won"
        )
    return "\n".join(
        [
            *lines,
            "",
            "Elo: Bradley-Terry by games won, maximum likelihood, "
            f"{VIRTUAL_TIES} tie added to each pairing;",
            f"intervals from {N_RESAMPLES:,} resamplings of the deals.",
        ]
    )
