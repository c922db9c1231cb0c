"""Where a run stands, as plain values: what is saved of it, and what is published.

Network, optimizer, counters and the ledger of ingested files are written together, so after any
crash they agree: what the counters count is exactly what the ledger names.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.exchange import ExchangeError, Serial, StateDict, Weights, parse_example_name
from zebfast.exchange.archive import read_archive
from zebfast.exchange.archive_writer import archive_bytes
from zebfast.exchange.mirror.manifest import Standing
from zebfast.exchange.state import usable_run_id
from zebfast.learner.sessions import CountedSessions
from zebfast.selfplay.examples import Examples
from zebfast.system.files import naming, write_atomic
from zebfast.system.finite import first_non_finite, require_finite
from zebfast.system.settings import SettingError, counted, decode

_FORMAT = 2  # of the training checkpoint
_BESIDE = ("best_weights", "sessions", "numbered")  # of the progress, which are not in its entry
_MAX_PICKLE_BYTES = 1 << 28  # names of files that were counted are in it
_RATE_SECONDS = 1800.0
_LEAST_RATE_SECONDS = 60.0
_TOGETHER = 10  # seconds of which the files are one entry of ``recent``, however many there are
_MOST_WORKERS = 2000
_ROOM_FOR_WORKERS = 30_000  # bytes of a state, which every worker reads
# Of a large ledger only those names are published that are not known by their sessions.
_MOST_NAMES = 20_000


@dataclass
class ScheduleProgress:
    """Persisted progress through a recipe; plain values.

    Attributes:
        minutes: of all sittings of the run so far.
        stage: index of the stage.
        rows_due, rows_done: that the stage's examples bring, and that have been trained.
        forgotten: names of the files whose examples were dropped by a stage that forgets.
        looks: how many evaluations there were; ``looked_at`` minutes at the last of them.
        best, last: step, games, minutes and results of the best network and of the last evaluation.
        finished: the evaluation at the end is over.
    """

    minutes: float = counted(0.0)
    stage: int = counted(0)
    rows_due: float = counted(0.0)
    rows_done: int = counted(0)
    forgotten: list[str] = field(default_factory=list)
    looks: int = counted(0)
    looked_at: float = counted(0.0)
    best: dict[str, Any] | None = None
    last: dict[str, Any] | None = None
    finished: bool = False


@dataclass
class Streams:
    """Counts of every file that the ledger has or had; plain values, saved with the ledger.

    Times are those in the file names, as the workers' clocks say, but never in the future: one
    worker whose clock is ahead must not make all others look old.

    Attributes:
        sources: by source: files, games, examples, first_unix, last_unix.
        workers: by worker id: source, last_unix, games, model_step; counted last at the end, and
            those that were silent for longest are left out when there are very many.
        recent: by source: [unix seconds, games] of the files of the last half hour, those of ten
            seconds together.
    """

    sources: dict[str, dict[str, int]] = field(default_factory=dict)
    workers: dict[str, dict[str, Any]] = field(default_factory=dict)
    recent: dict[str, list[list[int]]] = field(default_factory=dict)

    def count(self, name: str, examples: Examples) -> None:
        """One more file, which must not have been counted before."""
        parsed = parse_example_name(name)
        assert parsed is not None
        clock, games = int(time.time()), examples.n_games
        now = min(parsed.unix_seconds, clock)
        found = self.sources.setdefault(
            examples.source,
            {"files": 0, "games": 0, "examples": 0, "first_unix": now, "last_unix": now},
        )
        found["files"] += 1
        found["games"] += games
        found["examples"] += len(examples.records)
        found["last_unix"] = max(min(found["last_unix"], clock), now)
        self._note_recent(examples.source, now, games)
        self._note_worker(str(examples.metadata["worker_id"]), now, examples)

    def _note_recent(self, source: str, now: int, games: int) -> None:
        recent, newest = self.recent.setdefault(source, []), self.sources[source]["last_unix"]
        for entry in reversed(recent):
            if entry[0] // _TOGETHER == now // _TOGETHER:
                entry[0], entry[1] = max(entry[0], now), entry[1] + games
                return
        recent.append([now, games])
        recent[:] = [each for each in recent if 0 <= newest - each[0] <= _RATE_SECONDS]

    def _note_worker(self, worker: str, now: int, examples: Examples) -> None:
        workers = self.workers
        known = workers.pop(worker, {"games": 0, "last_unix": 0, "model_step": 0})
        workers[worker] = {
            "source": examples.source,
            "last_unix": max(known["last_unix"], now),
            "games": known["games"] + examples.n_games,
            "model_step": max(known["model_step"], int(examples.metadata["model_step"])),
        }
        if len(workers) > _MOST_WORKERS:
            del workers[next(iter(workers))]

    def newest_workers(self) -> dict[str, dict[str, Any]]:
        """Of ``workers`` those counted last: as many as a state has room for."""
        newest, room = {}, _ROOM_FOR_WORKERS
        for name in reversed(self.workers):
            room -= len(json.dumps({name: self.workers[name]}, indent=2))
            if room < 0:
                break
            newest[name] = dict(self.workers[name])
        return dict(reversed(newest.items()))

    def summary(self, now: float) -> dict[str, dict[str, Any]]:
        """``sources`` with ``games_per_s`` over the last half hour before ``now``."""
        return {
            source: {**found, "games_per_s": self._rate(source, now)}
            for source, found in self.sources.items()
        }

    def _rate(self, source: str, now: float) -> float:
        since = max(now - _RATE_SECONDS, self.sources[source]["first_unix"])
        games = sum(n for unix, n in self.recent.get(source, ()) if unix >= since)
        return round(games / max(now - since, _LEAST_RATE_SECONDS), 3)


@dataclass
class Progress:
    """Where training stands. The learner is the only writer.

    Attributes:
        lineage: random name given when the namespace was created; ties local files to it.
        step: completed training cycles (what the outside calls ``step``).
        steps_into_cycle: optimizer steps done of the unfinished cycle.
        total_games: games of every self-play file counted so far, each file once.
        eval_aux_games: the same for the files of evaluation games.
        ledger: names of the counted files that still exist (or existed lately).
        sessions: the counted files that workers numbered, of which no name need be remembered.
        numbered: names in the ledger that ``sessions`` knows, too.
        published: fingerprints of the weights last known to be in the store, and of all that were
            handed to the publisher since: one of them is there, unless somebody else published.
        wandb_run_id: run to resume, if any.
        streams: account of the files in the ledger and before.
        schedule: where a run is in a recipe that ends.
        best_weights: of the best network so far, by matches; None where there is none yet.
    """

    lineage: str
    step: int = 0
    steps_into_cycle: int = 0
    total_games: int = 0
    ledger: set[str] = field(default_factory=set)
    sessions: CountedSessions = field(default_factory=CountedSessions)
    numbered: set[str] = field(default_factory=set)
    published: list[str] = field(default_factory=list)
    wandb_run_id: str | None = None
    eval_aux_games: int = 0
    streams: Streams = field(default_factory=Streams)
    schedule: ScheduleProgress | None = None
    best_weights: StateDict | None = field(default=None, compare=False, repr=False)

    @property
    def standing(self) -> Standing:
        """How far the run is in its lineage."""
        return self.step, self.total_games, self.steps_into_cycle

    def has_counted(self, name: str, serial: Serial | None) -> bool:
        return name in self.ledger or (serial is not None and serial in self.sessions)

    def note_counted(self, name: str, serial: Serial | None) -> None:
        self.ledger.add(name)
        if serial is not None:
            self.sessions.add(serial)
            self.numbered.add(name)

    def forget(self, names: set[str]) -> None:
        """These files are gone, and will not come back unless ``sessions`` knows them."""
        self.ledger -= names
        self.numbered -= names
        if self.schedule is not None and self.schedule.forgotten:
            left = [name for name in self.schedule.forgotten if name not in names]
            self.schedule.forgotten = left

    def has_forgotten(self, name: str) -> bool:
        """Did a stage that forgets drop the examples of this file?"""
        return self.schedule is not None and name in self.schedule.forgotten


def fingerprint(step: int, state_dict: Mapping[str, NDArray[Any]]) -> str:
    """What tells a published version from any other: its step and its weights.

    The step belongs to it because a revert publishes old weights again, as a later step.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(state_dict.items()):
        digest.update(f"{name} torch.{weight.dtype} {weight.shape}\n".encode())  # as ever
        digest.update(np.ascontiguousarray(weight).data)
    return f"{step}:{digest.hexdigest()}"


# --- The part of it that is published, and from which a run goes on without its checkpoint.


def counted_state(progress: Progress, optimizer_steps: int) -> dict[str, Any]:
    """The keys of the published state that say what its weights have counted, all at one moment."""
    streams, names = progress.streams, progress.ledger
    if len(names) > _MOST_NAMES:
        names = names - progress.numbered
    sessions = {"sessions": dict(progress.sessions.edges)} if progress.sessions.edges else {}
    return {
        "step": progress.step,
        "total_games": progress.total_games,
        "lineage": progress.lineage,
        "optimizer_steps": optimizer_steps,
        "ingested": sorted(names),
        **sessions,
        "counted": {
            "eval_aux_games": progress.eval_aux_games,
            "streams": {source: dict(found) for source, found in streams.sources.items()},
            "workers": {worker: dict(found) for worker, found in streams.workers.items()},
            **schedule_to_state(progress.schedule),
        },
    }


def progress_from_state(weights: Weights) -> Progress:
    """Where training stands according to the published state alone, which is whole."""
    # What is beside it is renewed between pushes, and may count files that are not in the ledger.
    counted = weights.state.get("counted")
    account = counted if isinstance(counted, dict) else weights.state
    games = account.get("eval_aux_games")
    return Progress(
        lineage=str(weights.state["lineage"]),
        step=weights.step,
        total_games=weights.total_games,
        ledger=set(published_ledger(weights)),
        sessions=CountedSessions.from_plain(weights.state.get("sessions")),
        published=[fingerprint(weights.step, weights.state_dict)],
        wandb_run_id=usable_run_id(weights.state),
        eval_aux_games=games if type(games) is int and games >= 0 else 0,
        streams=streams_from_state(account),
        schedule=schedule_from_state(account),
    )


def published_ledger(weights: Weights) -> frozenset[str]:
    """Names of the files that the published counters count."""
    names = weights.state.get("ingested")
    listed = names if isinstance(names, list) else []
    return frozenset(name for name in listed if isinstance(name, str))


def streams_from_state(state: Mapping[str, Any]) -> Streams:
    """The account in a published state; an empty one if there is none that can be used."""
    try:
        sources = {
            str(source): {
                key: int(found[key])
                for key in ("files", "games", "examples", "first_unix", "last_unix")
            }
            for source, found in state["streams"].items()
        }
        workers = {
            str(worker): {
                "source": str(found["source"]),
                **{key: int(found[key]) for key in ("last_unix", "games", "model_step")},
            }
            for worker, found in state["workers"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return Streams()
    return Streams(sources, workers)


def schedule_to_state(schedule: ScheduleProgress | None) -> dict[str, Any]:
    """The keys of the published state from which a run is continued without a checkpoint."""
    return {} if schedule is None else {"course": asdict(schedule)}


def schedule_from_state(state: Mapping[str, Any]) -> ScheduleProgress | None:
    """What a published state says of the schedule; None where that is nothing that can be used."""
    try:
        return decode(ScheduleProgress, state["course"])
    except (KeyError, SettingError):
        return None


# --- The training checkpoint.


class CheckpointError(ExchangeError):
    """One sentence: why a training checkpoint cannot be continued, and what to do."""


@dataclass(frozen=True)
class TrainingCheckpoint:
    """A training checkpoint; ``trainer`` is what `Trainer.state` gives."""

    progress: Progress
    model_state_dict: StateDict
    model_config: dict[str, Any]
    trainer: dict[str, Any]

    @property
    def published_weights(self) -> StateDict:
        """What was published of this state: the average of the weights where one was kept."""
        average = self.trainer.get("average")
        return self.model_state_dict if average is None else average["weights"]

    @property
    def first_non_finite(self) -> str | None:
        """The name of the first tensor of it that holds no numbers; None where all do."""
        best = self.progress.best_weights
        held = {"model": self.model_state_dict, "trainer": self.trainer, "best": best}
        return first_non_finite(held)


def save_checkpoint(path: Path, checkpoint: TrainingCheckpoint) -> None:
    """Replace the file at ``path``, whole or not at all. Raises OSError, and NotFinite."""
    told = checkpoint.progress
    require_finite([checkpoint.model_state_dict, checkpoint.trainer, told.best_weights], str(path))
    # Not asdict, which copies every name and worker: training waits for each save.
    progress = {name: value for name, value in vars(told).items() if name not in _BESIDE}
    progress["ledger"] = names = sorted(told.ledger)
    progress["streams"] = vars(told.streams)
    course = progress.pop("schedule")
    progress["course"] = course and vars(course)  # as files have always called it
    content = {
        "format": _FORMAT,
        "model_state_dict": checkpoint.model_state_dict,
        "model_config": checkpoint.model_config,
        "trainer": checkpoint.trainer,
        "best": told.best_weights,
        "progress": progress,
        # Beside it, where earlier versions do not look: they go on without it. As text, which takes
        # a hundredth of the time to read that so many plain values do.
        "sessions": json.dumps(told.sessions.edges),
        "numbered": "\n".join(name for name in names if name in told.numbered),
        "epoch": told.step,
        "total_games": told.total_games,
    }
    write_atomic(path, archive_bytes(content))


def load_checkpoint(path: Path) -> TrainingCheckpoint | None:
    """The checkpoint at ``path``; None when there is none.

    Raises:
        CheckpointError: there is one, but it cannot be used. OSError.
    """
    try:
        with naming(path):
            data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        content = read_archive(io.BytesIO(data), max_pickle_bytes=_MAX_PICKLE_BYTES)
        if content["format"] != _FORMAT:
            raise ValueError(f"format {content['format']}")
        counters = content["progress"]
        course = counters.pop("course", None)
        progress = Progress(
            **counters
            | {
                "ledger": set(counters["ledger"]),
                "sessions": CountedSessions.from_plain(json.loads(content.get("sessions", "{}"))),
                "numbered": set(content.get("numbered", "").split()),
                "streams": Streams(**counters["streams"]),
                "schedule": None if course is None else ScheduleProgress(**course),
                "best_weights": content.get("best"),
            }
        )
        return TrainingCheckpoint(
            progress,
            content["model_state_dict"],
            content["model_config"],
            content["trainer"],
        )
    except Exception as error:  # a damaged file can fail anywhere in here
        raise CheckpointError(
            f"training checkpoint {path} cannot be read ({type(error).__name__}): move it away to "
            "go on from the published weights with a fresh optimizer"
        ) from error
