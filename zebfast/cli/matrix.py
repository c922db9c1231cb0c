"""`zebfast eval --matrix`: everyone against everyone, kept on disk as it goes."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TypeVar

import click

from zebfast.arena.matrix import Matrix, MatrixConfig, Pair, play_matrix
from zebfast.arena.matrix_files import (
    load_matrix,
    save_csv,
    save_heatmap,
    save_matrix,
    shorten,
)
from zebfast.arena.players.build import PlayerLoadError, weights_digest
from zebfast.arena.players.specs import PlayerSpec
from zebfast.arena.ratings import N_RESAMPLES, VIRTUAL_TIES, Rating
from zebfast.arena.records import RecordError
from zebfast.arena.stats import MatchResult
from zebfast.cli.console import MatrixReporter, footnotes
from zebfast.cli.messages import note
from zebfast.cli.players import open_players, parse_players

# --- A matrix as text: ratings, both win rates, margins, and every pairing with its intervals.

T = TypeVar("T")
_NAME_LETTERS = 32


def matrix_text(matrix: Matrix) -> str:
    """The whole report; headings are bold, which click takes off where there is no terminal."""
    config = matrix.config
    made = [matrix.result(*pair).made_rate_all for pair in config.pairs]
    bids = "random, 30 to 42" if config.bid is None else str(config.bid)
    first = (
        f"{config.n_deals:,} deals, each played both ways: {config.games_per_pairing:,} games a "
        f"pairing. Seed {config.seed}. Bids {bids}."
    )
    squares: dict[str, Callable[[MatchResult], str]] = {
        "Won by points, % (row player against column player; a tie is not a win)":
            lambda result: f"{100 * result.win_rate:.1f}",
        "Won by contract, % (row player against column player)":
            lambda result: f"{100 * result.contract_rate:.1f}",
        "Mean margin, points a game (row player less column player)":
            lambda result: f"{result.mean_margin:+.2f}",
    }  # fmt: skip
    names = [shorten(name, _NAME_LETTERS) for name in config.players]
    lines = [first, *rating_lines(matrix.ratings)]
    for title, figure in squares.items():
        lines += square(title, names, matrix.result, figure)
    return "\n".join(
        [
            *lines,
            *_pairings(matrix),
            "",
            *footnotes(config.bid),
            f"{sum(made) / len(made):.1%} of all contracts were made.",
            f"Elo: Bradley-Terry by points, maximum likelihood, a tie half a win, {VIRTUAL_TIES} "
            "tie added to each pairing;",
            f"intervals from {N_RESAMPLES:,} resamplings of the deals.",
        ]
    )


def heading(text: str) -> list[str]:
    """A line in bold under an empty one."""
    return ["", click.style(text, bold=True)]


def rating_lines(ratings: Sequence[Rating]) -> list[str]:
    """Elo with intervals; specs in full, because labels elsewhere may be cut."""
    lines = heading(f"Elo, relative to {ratings[0].player}, with 95 % intervals")
    for number, rating in enumerate(ratings):
        interval = f"{rating.elo_low:+.0f} to {rating.elo_high:+.0f}" if number else "fixed"
        lines.append(f"{rating.elo:>+6.0f}  {interval:<14}  {number + 1:>2} {rating.player}")
    return lines


def square(
    title: str, names: Sequence[str], result: Callable[[int, int], T], figure: Callable[[T], str],
    *, cell: int = 7,
) -> list[str]:  # fmt: skip
    """A figure of every player's result against every other; ``cell`` is a column's width."""
    labels = [f"{number:>2} {name}" for number, name in enumerate(names, start=1)]
    players, width = range(len(labels)), max(map(len, labels))
    lines = heading(title)
    lines.append(" " * width + "".join(f"{player + 1:>{cell}}" for player in players))
    for row in players:
        cells = ("–" if row == column else figure(result(row, column)) for column in players)
        lines.append(f"{labels[row]:<{width}}" + "".join(f"{found:>{cell}}" for found in cells))
    return lines


def _pairings(matrix: Matrix) -> list[str]:
    """One line a pairing, the later player first: matrices are mostly listed weakest first."""
    lines = heading("Pairings, with 95 % intervals and the standard error of the margin")
    names = ("won by points, %", "tied", "won by contract, %", "made", "set", "margin")
    lines.append(
        f"{'':8}{names[0]:>20}{names[1]:>7}{names[2]:>21}{names[3]:>7}{names[4]:>7}{names[5]:>15}"
    )
    for a, b in matrix.config.pairs:
        r = matrix.result(b, a)
        points = _with_interval(r.win_rate, r.win_rate_low, r.win_rate_high)
        contract = _with_interval(r.contract_rate, r.contract_rate_low, r.contract_rate_high)
        margin = f"{r.mean_margin:+.2f} ± {r.margin_se:.2f}"
        lines.append(
            f"{b + 1:>2} v {a + 1:<3}{points:>20}{100 * r.ties / r.games:>7.1f}{contract:>21}"
            f"{100 * r.made_rate:>7.1f}{100 * r.set_rate:>7.1f}{margin:>15}"
        )
    return lines


def _with_interval(rate: float, low: float, high: float) -> str:
    return f"{100 * rate:.1f} ({100 * low:.1f} to {100 * high:.1f})"


@dataclass(frozen=True)
class MatrixFiles:
    """Where a matrix goes besides stdout; None = nowhere. resume: continue what output holds."""

    csv: Path | None = None
    png: Path | None = None
    output: Path | None = None
    resume: bool = False

    def check(self) -> None:
        """Find out before hours of play what could not be written. Raises click exceptions."""
        if self.resume and self.output is None:
            raise click.UsageError("--resume needs to know from where: add --output FILE.")
        given = [path for path in (self.csv, self.png, self.output) if path is not None]
        for path in given:
            if not path.absolute().parent.is_dir():
                raise click.UsageError(f"Cannot write {path}: {path.parent} is no directory.")
        if len({path.absolute() for path in given}) < len(given):
            raise click.UsageError("--csv, --png and --output need a file each, not the same one.")
        if self.output is not None and self.output.exists() and not self.resume:
            raise click.UsageError(
                f"{self.output} is there already; continue it with --resume, or name another file."
            )
        if self.png is not None and importlib.util.find_spec("matplotlib") is None:
            raise click.ClickException(
                "--png needs matplotlib, which is missing; pip install 'zebfast[plot]' gives it."
            )


def run_matrix(
    texts: tuple[str, ...], *, n_deals: int, seed: int, bid: int | None, device: str | None,
    threads: int | None, files: MatrixFiles, as_json: bool,
) -> None:  # fmt: skip
    """Play what is missing, print the matrix, then write the files that were asked for.

    Raises click exceptions, and OSError for a file that cannot be written.
    """
    specs = _specs(texts)
    files.check()
    try:
        weights = tuple(weights_digest(spec) for spec in specs)
    except PlayerLoadError as error:
        raise click.ClickException(str(error)) from error
    players = tuple(spec.text for spec in specs)
    config = MatrixConfig(players=players, weights=weights, n_deals=n_deals, seed=seed, bid=bid)
    matrix, output = Matrix(config), files.output
    if output is not None and output.exists():
        try:
            matrix = load_matrix(output, config)
        except RecordError as error:
            raise click.UsageError(f"{error}.") from error
        n_played, n_pairs = len(matrix.points), len(config.pairs)
        note(f"{output}: {n_played} of {n_pairs} pairings are there already.")
    if not matrix.complete:
        _play(matrix, specs, device=device, threads=threads, output=output)
    click.echo(json.dumps(matrix.as_dict()) if as_json else matrix_text(matrix))
    if files.csv is not None:
        save_csv(matrix, files.csv)
    if files.png is not None:
        save_heatmap(matrix, files.png)


def _specs(texts: tuple[str, ...]) -> list[PlayerSpec]:
    if "vs" in texts:
        raise click.UsageError('--matrix takes the players alone, without "vs" between them.')
    specs = parse_players(texts)
    if len(specs) < 2:
        raise click.UsageError(
            f"--matrix needs two players or more, not {len(specs)}, as in: "
            "zebfast eval --matrix random heuristic heuristic2."
        )
    for one, other in combinations(specs, 2):
        if one.same_player(other):
            named = one.text if one.text == other.text else f"{one.text} = {other.text}"
            raise click.UsageError(f"--matrix needs different players, but {named} is there twice.")
    return specs


def _play(
    matrix: Matrix, specs: list[PlayerSpec], *, device: str | None, threads: int | None,
    output: Path | None,
) -> None:  # fmt: skip
    def finished(pair: Pair) -> None:
        if output is not None:
            save_matrix(matrix, output)
        reporter.finished(pair)

    reporter = MatrixReporter(matrix)
    try:
        with open_players(specs, device=device, threads=threads) as players, reporter:
            play_matrix(
                matrix,
                players,
                deals_per_chunk=[spec.deals_per_chunk for spec in specs],
                progress=reporter.progress,
                finished=finished,
            )
    except FloatingPointError as error:
        raise click.ClickException(f"The matrix cannot go on: {error}.") from error
    except (KeyboardInterrupt, SystemExit):
        if output is not None and matrix.points:
            save_matrix(matrix, output)  # the signal may have come just before this
            note(
                f"{len(matrix.points)} of {len(matrix.config.pairs)} pairings are kept in "
                f"{output}; the same command with --resume continues."
            )
        raise
