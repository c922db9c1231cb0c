"""Metrics of a run for a picture that stays as small however long the run is, and grows with it.

Rows go into buckets of equally many rows, which keep the mean, least and greatest value of each
metric; when all buckets are full, two become one. So no row is read twice and none is kept.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zebfast.experiment.panels import (
    CYCLE,
    GAMES,
    GAMES_BY_SOURCE,
    MINUTES,
    carried,
    is_of_arena,
    more_panels,
    no_rows_yet,
    panels_of,
)
from zebfast.learner.metrics import metrics_row
from zebfast.learner.recipe import Recipe
from zebfast.system.files import json_object
from zebfast.system.follow import Follower, sampled_lines

Floats = npt.NDArray[np.float64]
BUCKETS = 512
TIME = "time"
SPEED = "speed/"  # before the name of a source: how many games a second come from it
#: What a metric can be drawn over; each bucket has that of its last row.
ACROSS = (CYCLE, GAMES, MINUTES, TIME)
_MOST_METRICS = 128
_MOST_SHAPES = 256
_RATE_SECONDS = 60.0  # games come in batches: no speed is of less time
_DIGITS = 6
# Files up to this length are read at once; of longer ones places are looked at first.
_SAMPLE_FROM = 4 << 20
_PIECES, _PIECE = 160, 16 << 10


def drawn_metrics(recipe: Recipe | None) -> frozenset[str]:
    """The metrics that panels name, and those that speeds come from."""
    panels = (*panels_of(recipe), *more_panels(recipe))
    named = (each.series.values() for each in panels if each.series is not None)
    return frozenset(GAMES_BY_SOURCE.values()).union(*named)


class Buckets:
    """Rows of metrics, added in order; ``wanted`` are kept, and those of the arena.

    Attributes:
        n_rows: added so far; ``width`` of them make a bucket.
    """

    def __init__(self, wanted: frozenset[str], n_buckets: int = BUCKETS) -> None:
        self.n_rows, self.width = 0, 1
        self._wanted, self._most = wanted, n_buckets
        self._names: dict[str, int] = {}
        self._shapes: set[tuple[str, ...]] = set()
        self._carried = no_rows_yet()
        self._x = np.zeros((n_buckets, len(ACROSS)))
        self._count = np.zeros((n_buckets, 0))
        self._sum, self._low, self._high = self._count, self._count, self._count

    @property
    def n_buckets(self) -> int:
        """Buckets that hold something."""
        return -(-self.n_rows // self.width)

    @property
    def names(self) -> tuple[str, ...]:
        """Metrics that came, in the order in which they first did."""
        return tuple(self._names)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take rows in, the next of the run."""
        for row in rows:
            if (shape := tuple(row)) not in self._shapes:
                self._learn(shape)
        whole = list(carried(rows, self._carried))
        x = np.array([[row.get(name) for name in ACROSS] for row in whole], dtype=float)
        values = np.array([[row.get(name) for name in self._names] for row in rows], dtype=float)
        values = values.reshape(len(rows), len(self._names))
        begin = 0
        while begin < len(rows):
            room = self._most * self.width - self.n_rows
            if room == 0:
                self._merge()
                continue
            self._put(x[begin : begin + room], values[begin : begin + room])
            begin += room

    def _learn(self, shape: tuple[str, ...]) -> None:
        """See that each metric of such a row that is drawn has a column."""
        if len(self._shapes) < _MOST_SHAPES:
            self._shapes.add(shape)
        new = [name for name in shape if name not in self._names
               and (name in self._wanted or is_of_arena(name))]  # fmt: skip
        for name in new[: _MOST_METRICS - len(self._names)]:
            self._names[name] = len(self._names)
        more = len(self._names) - self._count.shape[1]
        if more:
            none, nothing = np.zeros((self._most, more)), np.full((self._most, more), np.nan)
            self._count, self._sum = (np.hstack((each, none)) for each in (self._count, self._sum))
            self._low, self._high = (np.hstack((each, nothing)) for each in (self._low, self._high))

    def _put(self, x: Floats, values: Floats) -> None:
        own = (self.n_rows + np.arange(len(x))) // self.width
        firsts = np.flatnonzero(np.diff(own, prepend=-1))
        at, lasts = own[firsts], np.append(firsts[1:], len(own)) - 1
        known = ~np.isnan(values)
        self._x[at] = x[lasts]
        self._count[at] += np.add.reduceat(known, firsts, dtype=float)
        self._sum[at] += np.add.reduceat(np.where(known, values, 0.0), firsts)
        self._low[at] = np.fmin(self._low[at], np.fmin.reduceat(values, firsts))
        self._high[at] = np.fmax(self._high[at], np.fmax.reduceat(values, firsts))
        self.n_rows += len(x)

    def _merge(self) -> None:
        """Two buckets become one, so that half of them are free."""
        half = self._most // 2
        self.width *= 2
        pairs = (half, 2, len(self._names))
        for array, of_two, empty in (
            (self._count, np.sum, 0.0), (self._sum, np.sum, 0.0),
            (self._low, np.fmin.reduce, np.nan), (self._high, np.fmax.reduce, np.nan),
        ):  # fmt: skip
            array[:half] = of_two(array.reshape(pairs), axis=1)
            array[half:] = empty
        self._x[:half] = self._x[1::2]

    def part(self, begin: int = 0) -> dict[str, Any]:
        """The buckets from ``begin`` on as plain values for a picture.

        ``x``: what each bucket is drawn at, by what it is drawn over. ``series``: for each metric
        the numbers of the buckets that have it, with mean, and least and greatest where a bucket
        has several rows; ``speed/SOURCE`` among them is games a second of that source.
        """
        end = self.n_buckets
        found: dict[str, Any] = {
            "from": begin,
            "n": end,
            "x": {name: _plain(self._x[begin:end, column]) for column, name in enumerate(ACROSS)},
            "series": {},
        }
        for name, column in self._names.items():
            count = self._count[begin:end, column]
            at = np.flatnonzero(count)
            if not at.size:
                continue
            several = self.width > 1
            here = begin + at
            found["series"][name] = {
                "i": here.tolist(),
                "mean": _plain(self._sum[here, column] / self._count[here, column]),
                "low": _plain(self._low[here, column]) if several else None,
                "high": _plain(self._high[here, column]) if several else None,
            }
        for source, name in GAMES_BY_SOURCE.items():
            if name in self._names:
                found["series"][SPEED + source] = self._speed(self._names[name], begin, end)
        return found

    def _speed(self, column: int, begin: int, end: int) -> dict[str, Any]:
        """How fast a count grows: over each bucket, and a minute at the least."""
        at = np.flatnonzero(self._count[:end, column])
        when, counted = self._x[at, ACROSS.index(TIME)], self._high[at, column]
        before = np.searchsorted(when, when - _RATE_SECONDS, side="right") - 1
        seconds, grown = when - when[before], counted - counted[before]
        good = (before >= 0) & (at >= begin) & (seconds > 0) & (grown >= 0)
        return {
            "i": at[good].tolist(), "mean": _plain(grown[good] / seconds[good]),
            "low": None, "high": None,
        }  # fmt: skip


def _plain(values: Floats) -> list[float | None]:
    """As numbers of few digits; None for none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.floor(np.log10(np.abs(values)))
    size = np.where(np.isfinite(size), size, 0.0)
    # Times and counts stay whole: digits behind the point are those that are left over.
    places = np.clip(_DIGITS - 1 - size, 0, 12).astype(int)
    return [
        round(value, place) if math.isfinite(value) else None
        for value, place in zip(values.tolist(), places.tolist(), strict=True)
    ]


@dataclass(frozen=True)
class Cursor:
    """What somebody has of the buckets: so many rows, of those with this key."""

    key: list[int]
    n_rows: int


class Curves:
    """A metrics file as it grows: buckets, and the newest rows.

    One thread reads; others may ask for parts meanwhile.

    Attributes:
        n_bad: lines that are no rows.
        n_rows: rows so far.
    """

    def __init__(self, path: Path, recipe: Recipe | None) -> None:
        self.follower = Follower(path)
        self._wanted = drawn_metrics(recipe)
        self._lock = threading.Lock()  # never held while a file is read
        self._begin()

    def _begin(self) -> None:
        self._generation = self.follower.generation
        self._all = Buckets(self._wanted)
        self._sample: Buckets | None = None
        self._newest: dict[tuple[str, ...], dict[str, Any]] = {}
        self._sampled_newest = self._newest
        self._n_bad = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Metrics that came."""
        return (self._all if self._sample is None else self._sample).names

    @property
    def is_sampled(self) -> bool:
        """Is what is given out not all rows yet, but some from everywhere?"""
        return self._sample is not None

    @property
    def n_rows(self) -> int:
        return self._all.n_rows

    @property
    def n_bad(self) -> int:
        return self._n_bad + self.follower.dropped

    @property
    def share_read(self) -> float:
        """Part of the file that was read, 0 to 1."""
        return min(1.0, self.follower.offset / max(1, self.follower.size))

    def read(self, seconds: float) -> None:
        """Read on, for about so long at most. Raises OSError."""
        ends = time.monotonic() + seconds
        while lines := self._next():
            rows = self._rows(lines, self._newest)
            with self._lock:
                self._all.add(rows)
            if time.monotonic() >= ends:
                break
        if self._sample is not None:
            if not self.follower.is_behind:
                self._sample = None
            else:
                self._rows(sampled_lines(self.follower.path, pieces=1, size=_PIECE),
                           self._sampled_newest, counting=False)  # fmt: skip

    def _next(self) -> list[bytes]:
        """The next lines; of a file that is not the one before everything begins anew."""
        lines = self.follower.read()
        while not lines and self.follower.is_behind:  # in the middle of a long line
            lines = self.follower.read()
        if self.follower.generation != self._generation:
            ahead = self._look_ahead() if self.follower.size > _SAMPLE_FROM else None
            with self._lock:
                self._begin()
                if ahead is not None:
                    self._sample, self._sampled_newest = ahead
        return lines

    def _look_ahead(self) -> tuple[Buckets, dict[tuple[str, ...], dict[str, Any]]]:
        lines = sampled_lines(self.follower.path, pieces=_PIECES, size=_PIECE)
        sample, newest = Buckets(self._wanted), dict[tuple[str, ...], dict[str, Any]]()
        sample.add(self._rows(lines, newest, counting=False))
        return sample, newest

    def part_after(self, seen: Cursor | None) -> tuple[dict[str, Any], Cursor]:
        """What is new since a part that somebody has: buckets to take in place of those that it has
        from the first of them on; all buckets, with another ``key``, where those before hold no
        more."""
        with self._lock:
            buckets = self._all if self._sample is None else self._sample
            key = [self._generation, buckets.width, int(self._sample is None)]
            known = seen is not None and seen.key == key and seen.n_rows <= buckets.n_rows
            begin = seen.n_rows // buckets.width if seen is not None and known else 0
            return {"key": key, **buckets.part(begin)}, Cursor(key, buckets.n_rows)

    def _rows(
        self, lines: Iterable[bytes], newest: dict[tuple[str, ...], dict[str, Any]], *,
        counting: bool = True,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Lines as rows; ``newest`` gets the last of those that say the same things."""
        rows = []
        for line in lines:
            found = json_object(line)
            row = None if found is None else metrics_row(found)
            if row is None:
                self._n_bad += counting
                continue
            rows.append(row)
            said = tuple([name for name, value in row.items() if value is not None])
            newest.pop(said, None)
            newest[said] = row
        while len(newest) > _MOST_SHAPES:
            del newest[next(iter(newest))]
        return rows

    def newest_rows(self) -> tuple[dict[str, Any], ...]:
        """Rows that have the newest value of each metric, in order, the last row at the end."""
        newest = self._newest if self._sample is None else self._sampled_newest
        return tuple(newest.values())
