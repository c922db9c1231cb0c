"""A match as text: one figure a row, and what a reader must know about the figures."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from zebfast.arena.stats import RANDOM_BIDS, MatchResult

FOOTNOTE = (
    "By points: more than 21 of 42; a tie is not a win. By contract: the side that declared wins",
    "if it takes at least its bid, the other side if not. Every deal is played both ways.",
)
RANDOM_BIDS_NOTE = (
    "Declarations and bids are random, so most contracts are set whoever plays: the contract rate",
    "mostly measures defence.",
)


def footnotes(bid: int | str | None) -> list[str]:
    """Lines under a result; random bids need a word of their own."""
    return [*FOOTNOTE, *(RANDOM_BIDS_NOTE if bid in (None, RANDOM_BIDS) else ())]


def rate_text(games_per_s: float) -> str:
    """A speed in games a second, with a digit behind the point where it is slow."""
    return f"{games_per_s:,.{1 if games_per_s < 100 else 0}f}"


def rich_table(result: MatchResult) -> Table:
    """For a terminal: fits any width and any length of player spec."""
    caption = " ".join(footnotes(result.bid))
    table = Table(caption=caption, caption_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for heading, text in _rows(result):
        table.add_row(heading, escape(text))
    return table


def plain_table(result: MatchResult) -> str:
    """For a file or a pipe."""
    rows = _rows(result)
    width = max(len(heading) for heading, _ in rows)
    lines = [f"{heading:<{width}}  {text}" for heading, text in rows]
    return "\n".join([*lines, *footnotes(result.bid)])


def _rows(result: MatchResult) -> list[tuple[str, str]]:
    """(heading, text) of each figure of a result, as both tables show them."""
    interval = "{:.1%} (95 % interval {:.1%} to {:.1%})"
    points = interval.format(result.win_rate, result.win_rate_low, result.win_rate_high)
    contracts = interval.format(
        result.contract_rate, result.contract_rate_low, result.contract_rate_high
    )
    return [
        ("player", result.player_a),
        ("against", result.player_b),
        ("games", f"{result.games:,}"),
        ("won by points", points),
        ("won, tied, lost", f"{result.wins:,}, {result.ties:,}, {result.losses:,}"),
        ("margin", f"{result.mean_margin:+.2f} ± {result.margin_se:.2f} points a game"),
        ("won by contract", contracts),
        ("bids", "random, 30 to 42" if result.bid == RANDOM_BIDS else str(result.bid)),
        ("made", f"{result.made_rate:.1%} of the {result.declared:,} contracts it declared"),
        ("set", f"{result.set_rate:.1%} of the {result.defended:,} it defended against"),
        ("made by both", f"{result.made_rate_all:.1%} of all contracts"),
        ("games/s", rate_text(result.games_per_s)),
    ]
