"""Which files of which sessions are counted: exact for ever, in a few bytes a session.

A worker numbers the files of each of its starts (``exchange.names.Serial``), so what is counted of
a start is nearly always one range of numbers, in whatever order files come, and however many. No
name is needed to know a file again that was deleted long ago.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from zebfast.exchange import Serial

#: Sessions that are remembered: those that were silent for longest go first, and with them only
#: that a file of theirs which is gone was counted. Each of 1,000 workers may start 32 times.
MOST_SESSIONS = 1 << 15
_MOST_EDGES = 8 * MOST_SESSIONS
_STEPS_OF_SEED = 32  # further than that two workers are never apart in their weights


@dataclass
class CountedSessions:
    """The counted numbers of each session; plain values, saved with the ledger.

    Attributes:
        edges: by session, the one heard of last at the end: first and last + 1 of each range of
            counted numbers, ascending. Games of seeds that somebody gave have sessions, too.
    """

    edges: dict[str, list[int]] = field(default_factory=dict)
    _n_edges: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._n_edges = sum(map(len, self.edges.values()))

    def __contains__(self, serial: Serial) -> bool:
        edges = self.edges.get(serial.session, ())
        return bisect_right(edges, serial.number) % 2 == 1

    def add(self, serial: Serial) -> None:
        """Count a file, once or more often."""
        self._count(serial.session, serial.number, serial.number + 1)

    def add_games(self, source: str, seed: int, step: int, games: range) -> bool:
        """Count games, by their numbers, of a seed that somebody gave, and weights of ``step``.

        False, and nothing is counted, where one of them was counted before: that makes them the
        same games, whatever their file is called. Of a seed the newest few steps are remembered.
        """
        of_seed = f"{source}, seed {seed}, step "
        session = f"{of_seed}{step}"
        if session not in self.edges:
            known = [key for key in self.edges if key.startswith(of_seed)]
            known.sort(key=lambda key: (len(key), key))  # as numbers are
            for old in known[: max(0, len(known) + 1 - _STEPS_OF_SEED)]:
                self._n_edges -= len(self.edges.pop(old))
        return self._count(session, games.start, games.stop)

    def _count(self, session: str, start: int, stop: int) -> bool:
        """Count the numbers from ``start`` to before ``stop``, unless one of them is counted."""
        edges = self.edges.pop(session, [])
        self._n_edges -= len(edges)
        at = bisect_right(edges, start)
        is_new = at % 2 == 0 and (at == len(edges) or stop <= edges[at])
        if is_new:
            # An edge that two ranges share separates nothing.
            left = at > 0 and edges[at - 1] == start
            right = at < len(edges) and edges[at] == stop
            new = [edge for edge, shared in ((start, left), (stop, right)) if not shared]
            # A new list: a push that waits has the old one, as its other counts stood then.
            edges = [*edges[: at - left], *new, *edges[at + right :]]
        self.edges[session] = edges
        self._n_edges += len(edges)
        while len(self.edges) > 1 and (
            len(self.edges) > MOST_SESSIONS or self._n_edges > _MOST_EDGES
        ):
            longest_silent = next(iter(self.edges))
            self._n_edges -= len(self.edges.pop(longest_silent))
        return is_new

    @classmethod
    def from_plain(cls, found: object) -> CountedSessions:
        """Of what a state or checkpoint says; sessions that it cannot mean are left out."""
        entries: Mapping[Any, Any] = found if isinstance(found, Mapping) else {}
        return cls({str(session): list(edges) for session, edges in entries.items()
                    if _is_ascending(edges)})  # fmt: skip


def _is_ascending(edges: object) -> bool:
    return (
        isinstance(edges, list)
        and len(edges) % 2 == 0
        and all(type(edge) is int and edge >= 0 for edge in edges)
        and all(a < b for a, b in pairwise(edges))
    )
