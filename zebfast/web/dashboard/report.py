"""One look at an experiment as plain values for its page: everything but the curves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zebfast.experiment.panels import (
    GAMES_BY_SOURCE,
    interval_of,
    more_panels,
    panels_of,
    series_of,
)
from zebfast.experiment.runlog import ending
from zebfast.experiment.series import SPEED, TIME
from zebfast.experiment.status.liveness import number
from zebfast.experiment.status.report import Status, WorkerView
from zebfast.experiment.status.snapshot import Facts
from zebfast.fleet.decide import decide
from zebfast.fleet.model import FleetState
from zebfast.fleet.observe import as_remembered
from zebfast.fleet.report import Report, report
from zebfast.fleet.state_file import FLEET_DIR, FleetFileError, FleetFiles, read_state
from zebfast.learner.recipe import Recipe

MOST_INCIDENTS = 200
FLEET_SECONDS = 10.0
#: What is told of each worker, in this order.
WORKER_COLUMNS = (
    "worker", "stream", "files", "newest", "rate", "step", "behind", "phase", "beat", "silent",
    "batch", "restarts", "gpu", "memory", "error",
)  # fmt: skip


def plain_status(status: Status) -> dict[str, Any]:
    """What `status` shows; workers as rows of ``WORKER_COLUMNS``, for there may be hundreds."""
    found = {
        "name": status.name,
        "namespace": status.namespace,
        "weights": status.weights,
        "examples": status.examples,
        "stage": status.stage,
        "step": status.published_step,
        "games": status.published_games,
        "wandb": status.wandb,
        "learner": asdict(status.learner),
        "streams": [asdict(stream) for stream in status.streams],
        "checks": [asdict(check) for check in status.checks],
        "workers": [_worker(each) for each in status.workers],
        "recipe": None,
    }
    if (progress := status.recipe) is not None:
        facts = asdict(progress)
        found["recipe"] = {
            **facts, "share": progress.share, "seconds_left": progress.seconds_left,
            "words": str(progress),
        }  # fmt: skip
    return found


def _worker(each: WorkerView) -> list[Any]:
    beat = each.heartbeat
    said: list[Any] = [None] * 8
    if beat is not None:
        said = [
            beat.phase, _round(beat.seconds_since), beat.is_silent, beat.batch, beat.restarts,
            beat.gpu, beat.gpu_memory, beat.error,
        ]  # fmt: skip
    return [
        each.worker_id, each.source, each.n_files, _round(each.seconds_since),
        _round(each.games_per_s), each.model_step, each.behind, *said,
    ]  # fmt: skip


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def runs_and_incidents(facts: Facts) -> dict[str, Any]:
    """The runs of an experiment and what they met, the newest first; and how often they did."""
    alive = facts.process
    runs = [
        {
            "id": run.id, "stage": run.stage, "host": run.host, "version": run.version,
            "started": run.started, "ended": number(run.ended), "cycles": run.cycles,
            "games": run.games, "incidents": len(run.incidents),
            "end": ending(run, alive, here=facts.here),
        }
        for run in facts.runs
    ]  # fmt: skip
    told = {(each.unix, each.kind, each.line) for run in facts.runs for each in run.incidents}
    lines = {line for _, _, line in told}
    told |= {each for each in _published_problems(facts) if each[2] not in lines}
    found = sorted(told, reverse=True)
    return {
        "runs": runs[::-1][:MOST_INCIDENTS],
        "n_runs": len(runs),
        "incidents": found[:MOST_INCIDENTS],
        "n_incidents": len(found),
    }


def _published_problems(facts: Facts) -> Iterable[tuple[float, str, str]]:
    """What a learner elsewhere has met, as it published it."""
    problems = (facts.state or {}).get("problems")
    for each in problems if isinstance(problems, list) else ():
        if isinstance(each, dict) and (unix := number(each.get("unix"))) is not None:
            yield unix, "published", " ".join(str(each.get("line")).split())[:500]


class Fleets:
    """The rented machines of an experiment and their money, as its files have them.

    Made anew when a file has changed, and every few seconds for what workers say.
    """

    def __init__(self) -> None:
        self._files: dict[Path, tuple[object, FleetState | None]] = {}
        self._made: tuple[list[dict[str, Any]], list[str]] = ([], [])
        self._at = -math.inf

    def look(self, facts: Facts) -> tuple[list[dict[str, Any]], list[str]]:
        """The fleets, and a sentence for each file that cannot be used."""
        folder = facts.experiment.directory / FLEET_DIR
        paths = [FleetFiles(folder, label).state for label in facts.experiment.fleets.values()]
        marks = [version_of(path) for path in paths]
        is_old = not 0 <= facts.now - self._at < FLEET_SECONDS
        if is_old or marks != [self._files.get(path, (None,))[0] for path in paths]:
            self._made, self._at = (
                self._make(facts, dict(zip(paths, marks, strict=True))),
                facts.now,
            )
        return self._made

    def _make(
        self, facts: Facts, marks: dict[Path, object]
    ) -> tuple[list[dict[str, Any]], list[str]]:
        heard = not any(sentence.startswith("examples: ") for sentence in facts.exchange_errors)
        found, errors = list[dict[str, Any]](), list[str]()
        for path, mark in marks.items():
            known = self._files.get(path)
            if known is None or known[0] != mark:
                try:
                    known = mark, read_state(path)
                except (FleetFileError, OSError) as error:
                    errors.append(str(error))
                    self._files.pop(path, None)
                    continue
                self._files[path] = known
            if (state := known[1]) is not None:
                seen = as_remembered(state, heartbeats=facts.heartbeats, heard=heard, now=facts.now)
                found.append(_fleet(report(seen, decide(state, seen)), state.last_look))
        return found, errors


def version_of(path: Path) -> object:
    """Changes with every writing of a file that is replaced as a whole; None where none is."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _fleet(told: Report, looked: float | None) -> dict[str, Any]:
    machines = [
        [row.label, row.provider, row.gpu, row.state, row.price_per_hour, _round(row.games_per_s),
         row.age, row.health, row.good]
        for row in told.rows
    ]  # fmt: skip
    return {
        "fleet": told.fleet, "role": told.role, "wanted": told.wanted, "playing": told.playing,
        "machines": machines, "per_hour": told.price_per_hour, "games_per_s": told.games_per_s,
        "spent": told.spent, "budget": told.budget_dollars, "left": told.budget_left,
        "hours_left": told.hours_left, "node_hours": told.node_hours,
        "node_hours_left": told.node_hours_left, "per_million": told.dollars_per_million_games,
        "looked": looked, "notes": list(told.notes),
    }  # fmt: skip


def panel_forms(recipe: Recipe | None, names: Iterable[str]) -> list[dict[str, Any]]:
    """What is drawn, for a page: the speed of play, the panels of such a run, and what else there
    is of ``names``.

    A series is its legend, its metric, and the metrics of the ends of its interval.
    """
    known = dict.fromkeys(names)
    speed = [[source, SPEED + source, "", ""] for source in GAMES_BY_SOURCE]
    found: list[dict[str, Any]] = [
        {"title": "games a second", "x": TIME, "level": 0.0, "series": speed}
    ]
    more = [
        panel for panel in more_panels(recipe)
        if not known.keys().isdisjoint(series_of(panel, known).values())
    ]  # fmt: skip
    for panel in (*panels_of(recipe), *more):
        told = series_of(panel, known)
        series = [[legend, name, *interval_of(name)] for legend, name in told.items()]
        found.append({"title": panel.title, "x": panel.x, "level": panel.level, "series": series})
    return found


def stages_of(recipe: Recipe | None) -> list[list[Any]]:
    """The stages of a recipe and the games at which each begins."""
    if recipe is None:
        return []
    return [[stage.name, recipe.first_games(index)] for index, stage in enumerate(recipe.stages)]


def finite(found: Any) -> Any:
    """The same with None in place of numbers that JSON does not have."""
    if isinstance(found, dict):
        return {key: finite(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [finite(each) for each in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found
