"""What a browser may ask of the dashboard; nothing of it changes anything."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zebfast.experiment.panels import CYCLE, GAMES, MINUTES, carried, no_rows_yet
from zebfast.experiment.series import TIME, Cursor
from zebfast.learner.metrics import iter_metrics
from zebfast.web.answers import Refused, json_bytes
from zebfast.web.app import page
from zebfast.web.dashboard.watching import Watched, Watching
from zebfast.web.stream import Download, EventStream

MOST_COMPARED = 6
_PIECE_ROWS = 500


class Routes:
    """The pages of experiments and what they ask."""

    def __init__(self, watching: Watching) -> None:
        self.watching = watching

    def all(self) -> list[BaseRoute]:
        """Paths and what answers them."""
        return [
            Route("/", page("experiments.html")),
            Route("/run/{name}", page("run.html")),
            Route("/api/experiments/events", self.list_events),
            Route("/api/run/{name}", self.state),
            Route("/api/run/{name}/events", self.events),
            Route("/api/run/{name}/metrics.csv", self.table),
        ]

    async def list_events(self, request: Request) -> EventStream:
        """All experiments, as they change."""

        def render() -> bytes:
            self.watching.touch()
            return json_bytes({
                "directory": str(self.watching.directory), "experiments": self.watching.lines(),
                "trouble": self.watching.trouble, "most": MOST_COMPARED,
            })  # fmt: skip

        return EventStream(self.watching.changes, render)

    async def state(self, request: Request) -> Response:
        """One experiment as it was last seen, with all its points."""
        watched = self._asked(request)
        for each in watched:
            each.touch()
        return Response(_picture(watched, {}), media_type="application/json")

    async def events(self, request: Request) -> EventStream:
        """The same as it changes; of the points what is new to this watcher."""
        watched, cursors = self._asked(request), dict[str, Cursor | None]()

        def render() -> bytes:
            for each in watched:
                each.touch()
            return _picture(watched, cursors)

        return EventStream(watched[0].changes, render)

    async def table(self, request: Request) -> Download:
        """Every row of metrics, with the metrics that are asked for, as CSV."""
        run = self._asked(request)[0].run
        metrics = request.query_params.getlist("metric")
        if run.metrics_path is None:
            raise Refused(409, "The experiment has not been looked at yet: ask again.")
        known = run.curves.names if run.curves is not None else ()
        if unknown := [name for name in metrics if name not in known]:
            raise Refused(404, f"No row has the metric {unknown[0][:80]!r}.")
        stem = re.sub(r"[^A-Za-z0-9._-]", "-", run.name)
        return Download(
            _csv(run.metrics_path, tuple(dict.fromkeys(metrics or known))),
            media_type="text/csv; charset=utf-8", name=f"{stem}-metrics.csv",
        )  # fmt: skip

    def _asked(self, request: Request) -> list[Watched]:
        """The experiment that is asked about, then those that it is to be compared with."""
        others = request.query_params.getlist("with")
        names = dict.fromkeys([request.path_params["name"], *others])
        if len(names) > MOST_COMPARED:
            raise Refused(400, f"At most {MOST_COMPARED} experiments can be compared at once.")
        return [self.watching.find(name) for name in names]


def _picture(watched: list[Watched], cursors: dict[str, Cursor | None]) -> bytes:
    """The first with its look, and what is new of the points of all."""
    curves: dict[str, Any] = {}
    for each in watched:
        name = each.run.name
        curves[name], cursors[name] = each.run.curves_after(cursors.get(name))
    return b'{"look":' + watched[0].run.look_bytes + b',"curves":' + json_bytes(curves) + b"}"


def _csv(path: Path, metrics: tuple[str, ...]) -> Iterator[bytes]:
    """Rows as lines; games and minutes as they are carried on, and empty where a row has none."""
    own = (CYCLE, TIME, GAMES, MINUTES)
    columns = [*own, *(name for name in metrics if name not in own)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for number, row in enumerate(carried(iter_metrics(path), no_rows_yet()), 1):
        if any(row.get(name) is not None for name in metrics):
            writer.writerow([row.get(name) for name in columns])
        if number % _PIECE_ROWS == 0:  # of the file: what is left out takes time, too
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()
