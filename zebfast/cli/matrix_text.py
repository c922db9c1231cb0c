"""A matrix as text: ratings, both win rates, margins, and every pairing with its intervals."""

from __future__ import annotations

from collections.abc import Callable

import click

from zebfast.arena.heatmap import shorten
from zebfast.arena.matrix import Matrix
from zebfast.arena.ratings import N_RESAMPLES, VIRTUAL_TIES
from zebfast.arena.stats import MatchResult
from zebfast.cli.match_text import footnotes

_NAME_LETTERS = 32
_CELL = 7


def matrix_text(matrix: Matrix) -> str:
    """The whole report; headings are bold, which click takes off where there is no terminal."""
    config = matrix.config
    bids = "random, 30 to 42" if config.bid is None else str(config.bid)
    first = (
        f"{config.n_deals:,} deals, each played both ways: {config.games_per_pairing:,} games a "
        f"pairing. Seed {config.seed}. Bids {bids}."
    )
    return "\n".join(
        [
            first,
            *_ratings(matrix),
            *_square(
                matrix,
                "Won by points, % (row player against column player; a tie is not a win)",
                lambda result: f"{100 * result.win_rate:.1f}",
            ),
            *_square(
                matrix,
                "Won by contract, % (row player against column player)",
                lambda result: f"{100 * result.contract_rate:.1f}",
            ),
            *_square(
                matrix,
                "Mean margin, points a game (row player less column player)",
                lambda result: f"{result.mean_margin:+.2f}",
            ),
            *_pairings(matrix),
            "",
            *footnotes(config.bid),
            f"{_made_rate(matrix):.1%} of all contracts were made.",
            f"Elo: Bradley-Terry by points, maximum likelihood, a tie half a win, {VIRTUAL_TIES} "
            "tie added to each pairing;",
            f"intervals from {N_RESAMPLES:,} resamplings of the deals.",
        ]
    )


def _heading(text: str) -> list[str]:
    return ["", click.style(text, bold=True)]


def _label(matrix: Matrix, player: int) -> str:
    return f"{player + 1:>2} {shorten(matrix.config.players[player], _NAME_LETTERS)}"


def _label_width(matrix: Matrix) -> int:
    return max(len(_label(matrix, player)) for player in range(len(matrix.config.players)))


def _ratings(matrix: Matrix) -> list[str]:
    """Elo with intervals; specs in full, because labels elsewhere may be cut."""
    lines = _heading(f"Elo, relative to {matrix.config.players[0]}, with 95 % intervals")
    for player, rating in enumerate(matrix.ratings):
        interval = f"{rating.elo_low:+.0f} to {rating.elo_high:+.0f}" if player else "fixed"
        lines.append(f"{rating.elo:>+6.0f}  {interval:<14}  {player + 1:>2} {rating.player}")
    return lines


def _square(matrix: Matrix, title: str, figure: Callable[[MatchResult], str]) -> list[str]:
    players, width = range(len(matrix.config.players)), _label_width(matrix)
    lines = _heading(title)
    lines.append(" " * width + "".join(f"{player + 1:>{_CELL}}" for player in players))
    for row in players:
        cells = ("–" if row == column else figure(matrix.result(row, column)) for column in players)
        lines.append(f"{_label(matrix, row):<{width}}" + "".join(f"{c:>{_CELL}}" for c in cells))
    return lines


def _pairings(matrix: Matrix) -> list[str]:
    """One line a pairing, the later player first: matrices are mostly listed weakest first."""
    lines = _heading("Pairings, with 95 % intervals and the standard error of the margin")
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


def _made_rate(matrix: Matrix) -> float:
    rates = [matrix.result(*pair).made_rate_all for pair in matrix.config.pairs]
    return sum(rates) / len(rates)
