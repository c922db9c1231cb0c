"""Tables of every command: plain columns, a dash for what nobody knows."""

from __future__ import annotations

import os
import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

NOTHING = "–"
_PIPE_WIDTH = 160


def console() -> Console:
    """Standard output: as wide as the terminal, or wide enough to keep lines whole."""
    told = sys.stdout.isatty() or "COLUMNS" in os.environ  # as `watch` does
    return Console(highlight=False, width=None if told else _PIPE_WIDTH)


def new_table(*headings: str) -> Table:
    """A table of these columns, without lines."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def add_row(table: Table, *cells: object) -> None:
    """Numbers with thousands' commas, and a dash for what nobody knows."""
    texts = (f"{c:,}" if isinstance(c, int) else str(c) if c else NOTHING for c in cells)
    table.add_row(*(escape(text) for text in texts))
