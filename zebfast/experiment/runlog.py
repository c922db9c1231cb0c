"""The run log of an experiment: one JSON line an event, appended as it happens.

A learner that is killed leaves a start without an end, so the log is whole however a run ends. A
line cut short by a crash is left out when reading, and the next one starts on a line of its own.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zebfast.experiment.experiment import Experiment
from zebfast.learner.metrics import read_metrics
from zebfast.system.events import Event, Incident, Retrying, Waiting, console_text
from zebfast.system.files import append_line, read_json_lines, read_plain
from zebfast.system.locks import lock_owner
from zebfast.system.parse import MAX_TOML_BYTES, is_moment, parse_toml

_MAX_EACH = 50  # of one kind in one run; a fault of days is said often enough by then
_MAX_LETTERS = 300


@dataclass(frozen=True)
class LoggedIncident:
    """Something that a run met and went on from, as the log has it."""

    unix: float
    kind: str
    line: str


@dataclass(frozen=True)
class Run:
    """One start of the learner.

    Attributes:
        ended: unix seconds, None while it runs, or for ever if it was killed.
        reason: how it ended, in words; ``exit_code`` as the shell saw it.
        cycles, games: what it added; None where nobody wrote it down.
    """

    id: str
    stage: str
    host: str
    pid: int
    version: str
    started: float
    config_file: str
    ended: float | None = None
    reason: str | None = None
    exit_code: int | None = None
    cycles: int | None = None
    games: int | None = None
    incidents: tuple[LoggedIncident, ...] = ()


@dataclass
class RunLog:
    """Writes the log at ``path``. One process writes at a time: the experiment's learner."""

    path: Path
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def start(
        self, *, stage: str, host: str, version: str, commit: str | None, config_file: str
    ) -> str:
        """Record that a run begins, before it does anything; returns its id. Raises OSError."""
        run = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"
        facts = {"stage": stage, "host": host, "pid": os.getpid(), "version": version}
        self.event("start", run=run, **facts, commit=commit, config=config_file)
        return run

    def take(self, run: str, event: Event) -> None:
        """Keep an event of the run's learner if it tells of an incident. Raises OSError."""
        kind, text = incident_of(event) or ("", "")
        if not kind or self._counts[run, kind] >= _MAX_EACH:
            return
        self._counts[run, kind] += 1
        self.event("incident", run=run, kind=kind, line=" ".join(text.split())[:_MAX_LETTERS])

    def end(self, run: str, *, reason: str, exit_code: int, cycles: int, games: int) -> None:
        """Record how a run ended. Raises OSError."""
        self.event("end", run=run, reason=reason, exit_code=exit_code, cycles=cycles, games=games)

    def event(self, event: str, **facts: Any) -> None:
        """Append one line and see it onto the disk. Raises OSError."""
        record = {"event": event, "unix": round(time.time(), 3), **facts}
        append_line(self.path, json.dumps(record).encode() + b"\n", sync=True)


def incident_of(event: Event) -> tuple[str, str] | None:
    """The kind of incident that an event tells of, and its line; None for the usual events."""
    if isinstance(event, Incident):
        return event.what, event.text
    if isinstance(event, Retrying):
        text = console_text(event)
        return ("exchange", text.partition("\n")[0]) if text else None
    if isinstance(event, Waiting) and event.reason == "fresh examples":
        return "pause", event.text
    return None


def read_entries(path: Path) -> list[dict[str, Any]]:
    """Every entry in order; what is none is left out."""
    return [
        found
        for found in read_json_lines(path)
        if isinstance(found.get("event"), str) and is_moment(found.get("unix"))
    ]


def read_runs(path: Path) -> list[Run]:
    """The runs of a log, oldest first."""
    by_run: dict[str, list[dict[str, Any]]] = {}
    for event in read_entries(path):
        if isinstance(event.get("run"), str):
            by_run.setdefault(event["run"], []).append(event)
    return [_run(events) for events in by_run.values() if events[0]["event"] == "start"]


def resolved(experiment: Experiment, run: Run) -> dict[str, Any]:
    """The tables of what a run resolved its flags to; none where nobody can read them."""
    try:
        path = experiment.directory / run.config_file
        return parse_toml(read_plain(path, MAX_TOML_BYTES).decode("utf-8"))
    except (OSError, ValueError):
        return {}


def _run(events: Sequence[Mapping[str, Any]]) -> Run:
    start = events[0]
    end: Mapping[str, Any] = next((e for e in reversed(events) if e["event"] == "end"), {})
    incidents = tuple(
        LoggedIncident(e["unix"], str(e.get("kind")), str(e.get("line")))
        for e in events
        if e["event"] == "incident"
    )
    return Run(
        id=start["run"],
        stage=str(start.get("stage")),
        host=str(start.get("host")),
        pid=pid if type(pid := start.get("pid")) is int else 0,
        version=str(start.get("version")),
        started=start["unix"],
        config_file=str(start.get("config")),
        ended=end.get("unix"),
        reason=end.get("reason"),
        exit_code=end.get("exit_code"),
        cycles=end.get("cycles"),
        games=end.get("games"),
        incidents=incidents,
    )


# --- What an experiment has come to: its runs, games and best figures, from its own files.

LEARN_LOCK = ".learn.lock"
KILLED = "did not end cleanly"
RUNNING = "running"
_RATES = "eval/vs_{}_win_rate"
OPPONENTS = ("random", "heuristic")


@dataclass(frozen=True)
class Best:
    """The best evaluation against one opponent: share of games won, its interval, the cycle."""

    opponent: str
    win_rate: float
    low: float | None
    high: float | None
    step: int


@dataclass(frozen=True)
class Summary:
    """One experiment's record.

    Attributes:
        step, games: what the metrics of this machine have reached; None without any.
        reverts: the events that ``revert`` logged.
    """

    experiment: Experiment
    runs: tuple[Run, ...]
    endings: tuple[str, ...]
    step: int | None
    games: int | None
    best: tuple[Best, ...]
    reverts: tuple[dict[str, Any], ...]

    @property
    def n_incidents(self) -> int:
        """Incidents of all runs; a run that was killed is one, too."""
        return sum(len(run.incidents) for run in self.runs) + self.endings.count(KILLED)

    @property
    def last_unix(self) -> float | None:
        """When something was last logged of a run."""
        if not self.runs:
            return None
        run = self.runs[-1]
        return run.ended or max([run.started, *(i.unix for i in run.incidents)])


def summarize(experiment: Experiment, metrics_path: Path) -> Summary:
    """Read the run log and the metrics file of an experiment."""
    rows, runs = read_metrics(metrics_path), read_runs(experiment.run_log)
    for index, run in enumerate(runs):
        if run.cycles is None:  # without an end: by the metrics written in its time
            until = runs[index + 1].started if index + 1 < len(runs) else math.inf
            cycles, games = run_counts(rows, run.started, until)
            runs[index] = replace(run, cycles=cycles, games=games)
    alive, here = learner_process(experiment), socket.gethostname()
    counted = [n for row in rows if (n := row.get("stats/total_games")) is not None]
    events = read_entries(experiment.run_log)
    return Summary(
        experiment=experiment,
        runs=tuple(runs),
        endings=tuple(ending(run, alive, here=here) for run in runs),
        step=rows[-1]["step"] if rows else None,
        games=counted[-1] if counted else None,
        best=tuple(best_evaluations(rows)),
        reverts=tuple(event for event in events if event["event"] == "revert"),
    )


def learner_process(experiment: Experiment) -> int | None:
    """Process id of the ``experiment learn`` that runs here now; None if there is none."""
    return lock_owner(experiment.directory / LEARN_LOCK)


def ending(run: Run, alive: int | None, *, here: str) -> str:
    """How a run ended, in words; ``alive`` is the process that learns on the machine ``here``."""
    if run.reason is not None:
        return run.reason
    if alive is not None and alive == run.pid:
        return RUNNING
    return KILLED if run.host == here else f"no end recorded here, ran on {run.host}"


def best_evaluations(rows: Sequence[dict[str, Any]]) -> list[Best]:
    """The highest win rate against each opponent that was ever played."""
    found = []
    for opponent in OPPONENTS:
        name = _RATES.format(opponent)
        rated = [row for row in rows if row.get(name) is not None]
        if rated:
            top = max(rated, key=lambda row: row[name])
            low, high = (top.get(name.replace("win_rate", end)) for end in ("low", "high"))
            found.append(Best(opponent, top[name], low, high, top["step"]))
    return found


def run_counts(rows: Sequence[Mapping[str, Any]], start: float, end: float) -> tuple[int, int]:
    """Cycles trained and games counted between two times, by the rows of metrics."""
    trained = [row for row in rows if "train/policy_loss" in row]
    own = [row for row in trained if start <= row.get("time", 0) < end]
    before = [row for row in trained if row.get("time", 0) < start]
    games = [int(part[-1].get("stats/total_games") or 0) if part else 0 for part in (before, own)]
    if not own:
        return 0, 0
    # By their numbers: of long files not every cycle is there.
    first = before[-1]["step"] if before else own[0]["step"] - 1
    return own[-1]["step"] - first, games[1] - games[0]
