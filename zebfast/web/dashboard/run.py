"""One experiment that is looked at again and again: cheaply, and whatever happens to its files."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zebfast.exchange import StoreOptions
from zebfast.experiment.experiment import Experiment, read_experiment, recipe_of
from zebfast.experiment.series import Cursor, Curves
from zebfast.experiment.status.report import Status, status_of
from zebfast.experiment.status.snapshot import (
    Facts,
    OwnFiles,
    Stores,
    gather,
    open_stores,
    read_bootstrap_config,
)
from zebfast.experiment.watch.state import as_watched
from zebfast.system.events import last_event
from zebfast.web.answers import json_bytes
from zebfast.web.dashboard.report import (
    WORKER_COLUMNS,
    Fleets,
    finite,
    panel_forms,
    plain_status,
    runs_and_incidents,
    stages_of,
    version_of,
)

READ_SECONDS = 0.2  # of one look at a long file
HERE_SECONDS, AWAY_SECONDS = 2.0, 60.0  # between looks at directories, and at the Hub


@dataclass(frozen=True)
class Means:
    """How experiments are looked at.

    Attributes:
        stores: how to talk to the stores of one.
        sentence: what went wrong in a look, for people; None where it is a bug.
        every: seconds between looks; None: few at directories of this machine, more at the Hub.
    """

    stores: Callable[[Experiment], StoreOptions]
    sentence: Callable[[BaseException], str | None]
    every: float | None = None
    clock: Callable[[], float] = time.time


@dataclass
class _Known:
    """What is kept of an experiment as long as it is the same one."""

    experiment: Experiment
    metrics: Path
    curves: Curves
    stores: Stores
    fleets: Fleets = field(default_factory=Fleets)
    bootstrap: tuple[object, Mapping[str, Any] | None] = (None, None)


@dataclass
class Run:
    """One experiment. `look` is for one thread at a time; the rest is for any.

    Attributes:
        status: of the newest look that found it; None before the first.
        look_bytes: the newest look as JSON.
        trouble: a sentence where the newest look failed.
        looks: how often it was looked at.
    """

    name: str
    directory: Path
    means: Means
    status: Status | None = None
    look_bytes: bytes = b"null"
    trouble: str = ""
    looks: int = 0
    _known: _Known | None = None
    _found: dict[str, Any] = field(default_factory=dict)
    _due: float = 0.0  # when everything but the long files is looked at again

    @property
    def curves(self) -> Curves | None:
        """Its curves, once it was found."""
        return None if self._known is None else self._known.curves

    @property
    def metrics_path(self) -> Path | None:
        """The file that the curves are of, once it was found."""
        return None if self._known is None else self._known.metrics

    @property
    def pause(self) -> float:
        """Seconds until there is something more to look at."""
        curves = self.curves
        if curves is not None and curves.follower.is_behind:
            return 0.01
        return self._every

    @property
    def _every(self) -> float:
        """Seconds between looks at everything."""
        if self.means.every is not None:
            return self.means.every
        is_here = self._known is None or self._known.experiment.is_local
        return HERE_SECONDS if is_here else AWAY_SECONDS

    def look(self) -> None:
        """Look at it; what goes wrong is a sentence, and what was seen before stays."""
        try:
            self._look()
            self.trouble = ""
        except Exception as error:
            sentence = self.means.sentence(error)
            if sentence is None:
                raise
            self.trouble = sentence
        self.looks += 1
        self._tell()

    def fail(self, sentence: str) -> None:
        """Say that it could not be looked at; what was seen before stays."""
        self.trouble = sentence
        self._tell()

    def _look(self) -> None:
        experiment = read_experiment(self.directory)
        options = self.means.stores(experiment)
        known = self._same(experiment, options)
        known.curves.read(READ_SECONDS)
        now = time.monotonic()
        if now < self._due:  # there is only more of a long file to read
            return
        own, at = self._own(known, options), self.means.clock()
        facts = as_watched(
            gather(experiment, options=options, now=at, stores=known.stores, own=own)
        )
        self.status = status_of(facts)
        self._found = self._plain(facts, self.status, known)
        self._due = now + self._every

    def _same(self, experiment: Experiment, options: StoreOptions) -> _Known:
        """What is known of it; of another experiment of its name, or one changed, all is new."""
        metrics = options.state_dir / experiment.namespace.metrics_file
        known = self._known
        if known is None or (known.experiment, known.metrics) != (experiment, metrics):
            if known is not None:
                known.curves.follower.close()
            curves = Curves(metrics, recipe_of(experiment))
            known = _Known(experiment, metrics, curves, open_stores(experiment, options))
            self._known, self._due = known, 0.0
        return known

    def _own(self, known: _Known, options: StoreOptions) -> OwnFiles:
        """What of the long files has to be known, without reading them anew."""
        experiment = known.experiment
        event = last_event(options.state_dir / experiment.namespace.events_file)
        mark = version_of(experiment.bootstrap)
        if known.bootstrap[0] != mark:
            known.bootstrap = (mark, read_bootstrap_config(experiment.bootstrap))
        events = () if event is None else (event,)
        return OwnFiles(known.curves.newest_rows(), events, known.bootstrap[1])

    def _plain(self, facts: Facts, status: Status, known: _Known) -> dict[str, Any]:
        money, errors = known.fleets.look(facts)
        return {
            **plain_status(status),
            **runs_and_incidents(facts),
            "note": facts.experiment.note,
            "follows": facts.experiment.recipe,
            "created": facts.experiment.created.isoformat(),
            "looked": facts.now,
            "columns": WORKER_COLUMNS,
            "fleets": money,
            "errors": errors,
            "stages": stages_of(facts.recipe),
            "panels": panel_forms(facts.recipe, known.curves.names),
        }

    def _tell(self) -> None:
        curves, now = self.curves, self.means.clock()
        metrics = None if curves is None else {
            "rows": curves.n_rows, "bad": curves.n_bad, "read": round(curves.share_read, 3),
            "sampled": curves.is_sampled,
        }  # fmt: skip
        found = {**self._found, "name": self.name, "at": now, "trouble": self.trouble,
                 "metrics": metrics}  # fmt: skip
        try:
            self.look_bytes = json_bytes(found)
        except ValueError:  # somebody has published numbers that are none
            self.look_bytes = json_bytes(finite(found))

    def line(self) -> dict[str, Any]:
        """The experiment in a list of many."""
        found, status = self._found, self.status
        line: dict[str, Any] = {"name": self.name, "trouble": self.trouble, "looks": self.looks}
        if status is None:
            return line
        recipe = found["recipe"]
        return line | {
            "note": found["note"], "follows": found["follows"], "created": found["created"],
            "stage": status.stage, "where": status.learner.where, "step": status.published_step,
            "seconds_since": status.learner.seconds_since, "cycle": status.learner.cycle,
            "games": status.learner.games, "wrong": [check.name for check in status.problems],
            "workers": len(status.workers), "share": recipe and recipe["share"],
            "seconds_left": recipe and recipe["seconds_left"],
            "spent": sum(fleet["spent"] for fleet in found["fleets"]) or None,
        }  # fmt: skip

    def curves_after(self, seen: Cursor | None) -> tuple[dict[str, Any] | None, Cursor | None]:
        """New points since ``seen``, and what to ask with the next time."""
        return (None, None) if self.curves is None else self.curves.part_after(seen)
