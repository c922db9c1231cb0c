"""What an experiment has come to: its runs, games and best figures, from its own files."""

from __future__ import annotations

import math
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zebfast.experiment.record import Experiment
from zebfast.experiment.runlog import Run, read_events, read_runs
from zebfast.learner.metrics import read_metrics
from zebfast.system.locks import lock_owner

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
    runs = read_runs(experiment.run_log)
    rows = read_metrics(metrics_path)
    runs = [_with_counts(run, following, rows) for run, following in _pairs(runs)]
    alive = learner_process(experiment)
    events = read_events(experiment.run_log)
    games = [row["stats/total_games"] for row in rows if row.get("stats/total_games") is not None]
    return Summary(
        experiment=experiment,
        runs=tuple(runs),
        endings=tuple(ending(run, alive, here=socket.gethostname()) for run in runs),
        step=rows[-1]["step"] if rows else None,
        games=games[-1] if games else None,
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


def _pairs(runs: Sequence[Run]) -> list[tuple[Run, Run | None]]:
    return list(zip(runs, [*runs[1:], None], strict=False))


def run_counts(rows: Sequence[Mapping[str, Any]], start: float, end: float) -> tuple[int, int]:
    """Cycles trained and games counted between two times, by the rows of metrics."""
    trained = [row for row in rows if "train/policy_loss" in row]
    own = [row for row in trained if start <= row.get("time", 0) < end]
    before = [row for row in trained if row.get("time", 0) < start]
    games = [int(part[-1].get("stats/total_games") or 0) if part else 0 for part in (before, own)]
    return len(own), games[1] - games[0] if own else 0


def _with_counts(run: Run, following: Run | None, rows: Sequence[Mapping[str, Any]]) -> Run:
    """A run without an end gets its counts from the metrics written in its time."""
    if run.cycles is not None:
        return run
    cycles, games = run_counts(rows, run.started, following.started if following else math.inf)
    return replace(run, cycles=cycles, games=games)
