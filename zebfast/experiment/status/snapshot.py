"""Everything that can be found out about an experiment right now, without changing any of it.

What the learner published, what lies in the example store, and what this machine's own files say.
A place that cannot be reached becomes a sentence among the facts, never the end of the look.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from zebfast.exchange import (
    ExampleStore,
    ExchangeError,
    StoreOptions,
    WeightStore,
    open_examples,
    open_weights,
    parse_example_name,
)
from zebfast.exchange.heartbeat import Heartbeat
from zebfast.exchange.quarantine import Quarantine
from zebfast.experiment.experiment import Experiment, recipe_of
from zebfast.experiment.runlog import Run, learner_process, read_runs, resolved
from zebfast.experiment.status.observed import Seen
from zebfast.learner.metrics import read_metrics
from zebfast.learner.recipe import Recipe
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.examples import BadExampleFile
from zebfast.system.events import Event, read_events
from zebfast.system.files import read_plain
from zebfast.system.locks import lock_owner

_Found = TypeVar("_Found")
RATE_SECONDS = 1800.0
_MAX_REASON_BYTES = 1000
_MAX_OPENED = 32  # newest files looked into, one a worker


@dataclass(frozen=True)
class Producer:
    """One worker as its files show it; ``source`` None where its newest file was not read.

    ``games_per_s`` is over the last half hour, or since its oldest file that is still there.
    """

    worker_id: str
    n_files: int
    last_unix: float
    source: str | None = None
    model_step: int | None = None
    weights_name: str | None = None
    games_per_s: float | None = None


@dataclass(frozen=True)
class Facts:
    """One look at an experiment.

    Attributes:
        now: unix seconds of the look.
        state, config: as published; None where there is none yet or the place was not reached.
        exchange_errors: a sentence for each place that could not be read.
        producers: the workers whose files are in the store, the newest first.
        heartbeats: by worker id, those of workers that ended long ago among them.
        waiting: when the files of this machine that are not uploaded yet were made, oldest first.
        refused: reasons of files that were set aside here, newest first, with their time.
        rows: this machine's metrics; empty on any other than the learner's.
        events: what the learner on this machine has told, oldest first; as ``rows``.
        process: id of the learner's process if it runs on this machine.
        recipe: that the experiment follows, if it follows one.
        settings: what the newest run resolved its flags to; empty when nobody wrote it down.
        bootstrap_config: network in the bootstrap file; None if there is no file.
        seen: what who looks again and again remembers: since when each mark rests.
    """

    experiment: Experiment
    now: float
    here: str
    state: Mapping[str, Any] | None = None
    config: Mapping[str, Any] | None = None
    exchange_errors: tuple[str, ...] = ()
    producers: tuple[Producer, ...] = ()
    heartbeats: Mapping[str, Heartbeat] = field(default_factory=dict)
    waiting: tuple[float, ...] = ()
    refused: tuple[tuple[float, str], ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()
    events: tuple[Event, ...] = ()
    runs: tuple[Run, ...] = ()
    process: int | None = None
    recipe: Recipe | None = None
    settings: Mapping[str, Any] | None = None
    bootstrap_config: Mapping[str, Any] | None = None
    seen: Mapping[str, Seen] = field(default_factory=dict)

    def seconds_since(self, mark: str, unix: float) -> float:
        """How long a mark rests by this machine's count, or else by the ``unix`` in it; from 0."""
        seen = self.seen.get(mark)
        return max(0.0, self.now - (unix if seen is None else seen.since))

    def last_row(self, name: str) -> Mapping[str, Any]:
        """The newest row of metrics that has this one; empty if none has."""
        return next((row for row in reversed(self.rows) if row.get(name) is not None), {})


@dataclass(frozen=True)
class OwnFiles:
    """What this machine's long files of a run say.

    Attributes:
        rows, events: as in `Facts`; of the rows at least those with the newest value of each
            metric, and the last, of the events the last.
        bootstrap_config: as in `Facts`.
    """

    rows: tuple[Mapping[str, Any], ...]
    events: tuple[Event, ...]
    bootstrap_config: Mapping[str, Any] | None


def read_own_files(experiment: Experiment, state_dir: Path) -> OwnFiles:
    """All of it, read anew. Raises OSError."""
    return OwnFiles(
        rows=tuple(read_metrics(state_dir / experiment.namespace.metrics_file)),
        events=tuple(read_events(state_dir / experiment.namespace.events_file)),
        bootstrap_config=read_bootstrap_config(experiment.bootstrap),
    )


@dataclass(frozen=True)
class Stores:
    """The places of an experiment, opened; who looks again and again keeps them."""

    weights: WeightStore
    examples: ExampleStore


def open_stores(experiment: Experiment, options: StoreOptions) -> Stores:
    """Both; nothing is asked of them yet."""
    return Stores(
        open_weights(experiment.weights, experiment.namespace, options=options),
        open_examples(experiment.examples, experiment.namespace, options=options),
    )


def gather(
    experiment: Experiment,
    *,
    options: StoreOptions,
    now: float,
    stores: Stores | None = None,
    own: OwnFiles | None = None,
) -> Facts:
    """Look at everything. OSError, and ExperimentError of a recipe, from this machine's files.

    Args:
        stores: of the experiment; None: they are opened for this look.
        own: what is known of the long files already; None: they are read for this look.
    """
    errors: list[str] = []

    def ask(place: str, look: Callable[[], _Found]) -> _Found | None:
        if any(sentence.startswith(f"{place}: ") for sentence in errors):
            return None  # the same place would make somebody wait once more
        try:
            return look()
        except (ExchangeError, OSError) as error:
            errors.append(f"{place}: {error}")
            return None

    stores = stores or open_stores(experiment, options)
    weights, examples = stores.weights, stores.examples
    published = ask("weights", lambda: (weights.read_state(), weights.read_config()))
    state, config = published or (None, None)
    producers = ask("examples", lambda: _read_producers(examples, state, now)) or ()
    heartbeats = ask("examples", examples.heartbeats) or {}
    lock = experiment.weights.path or options.state_dir
    runs = read_runs(experiment.run_log)
    settings = resolved(experiment, runs[-1]).get("learner") if runs else None
    own = own or read_own_files(experiment, options.state_dir)
    return Facts(
        experiment=experiment,
        now=now,
        here=socket.gethostname(),
        state=state,
        config=config,
        producers=producers,
        heartbeats=heartbeats,
        exchange_errors=tuple(errors),
        waiting=_waiting(examples.local_dir / "spool"),
        refused=_refused(Quarantine(examples.local_dir)),
        rows=own.rows,
        events=own.events,
        runs=tuple(runs),
        process=learner_process(experiment) or lock_owner(lock / experiment.namespace.lock_file),
        recipe=recipe_of(experiment),
        settings=settings if isinstance(settings, dict) else None,
        bootstrap_config=own.bootstrap_config,
    )


def _read_producers(
    store: ExampleStore, state: Mapping[str, Any] | None, now: float
) -> tuple[Producer, ...]:
    """Who wrote the files in the store; what the names do not say is read from the newest file."""
    times: dict[str, list[tuple[int, str]]] = {}
    for name in store.list():
        if parsed := parse_example_name(name):
            times.setdefault(parsed.worker_id, []).append((parsed.unix_seconds, name))
    newest = {worker: max(files) for worker, files in times.items()}
    read, found = _worker_facts(store, state, newest), []
    for worker in sorted(newest, key=newest.__getitem__, reverse=True):
        facts, all_times, rate = read.get(worker, {}), [unix for unix, _ in times[worker]], None
        recent = [unix for unix in all_times if now - unix <= RATE_SECONDS]
        if facts and len(recent) > 1:
            # Each file holds what was played since the one before it: the first only starts time.
            rate = facts["n_games"] * (len(recent) - 1) / max(now - min(recent), 1.0)
        elif facts and not recent:
            rate = 0.0
        own = {name: facts.get(name) for name in ("source", "model_step", "weights_name")}
        newest_unix = float(max(all_times))
        found.append(Producer(worker, len(all_times), newest_unix, games_per_s=rate, **own))
    return tuple(found)


def _worker_facts(
    store: ExampleStore, state: Mapping[str, Any] | None, newest: Mapping[str, tuple[int, str]]
) -> dict[str, dict[str, Any]]:
    """By worker: source, model_step, n_games of a file, and the weights name where it is read.

    What the learner has published about a worker is taken from there. Only the newest file of
    workers that it has not counted yet is fetched.
    """
    found: dict[str, dict[str, Any]] = {}
    streams, workers = ((state or {}).get(key) for key in ("streams", "workers"))
    for worker, (unix, _) in newest.items():
        try:
            entry = workers[worker]  # type: ignore[index]
            per_file = streams[entry["source"]]  # type: ignore[index]
            if entry["last_unix"] >= unix:
                found[worker] = {
                    "source": str(entry["source"]),
                    "model_step": int(entry["model_step"]),
                    "n_games": per_file["games"] / per_file["files"],
                }
        except (KeyError, TypeError, ValueError, ArithmeticError):
            continue
    unknown = {name: worker for worker, (_, name) in newest.items() if worker not in found}
    with store.fetch(list(unknown)[:_MAX_OPENED]) as paths:
        for name, path in paths.items():
            try:
                found[unknown[name]] = read_examples(path).metadata
            except (BadExampleFile, OSError):
                continue  # the learner says what is wrong with it
    return found


def _waiting(spool: Path) -> tuple[float, ...]:
    """Times of the files of every worker of this machine that are not uploaded yet."""
    parsed = (parse_example_name(path.name) for path in spool.glob("*/*"))
    return tuple(sorted(float(name.unix_seconds) for name in parsed if name is not None))


def _refused(quarantine: Quarantine) -> tuple[tuple[float, str], ...]:
    """Reasons of the files that were refused, newest first."""
    found = []
    for path in quarantine.reasons().values():
        with suppress(OSError):  # the folder may be shared with whoever wrote the file
            text = read_plain(path, _MAX_REASON_BYTES, follow=False).decode(errors="replace")
            found.append((path.stat().st_mtime, " ".join(text.split()) or path.name))
    return tuple(sorted(found, reverse=True))


def read_bootstrap_config(path: Path) -> Mapping[str, Any] | None:
    """The network in a bootstrap file; None where there is none, or it is damaged."""
    if not path.is_file():
        return None
    from zebfast.net import checkpoint as checkpoints
    from zebfast.net.checkpoint import BadCheckpoint

    try:
        return checkpoints.load(path).config.to_dict()
    except BadCheckpoint:
        return None
