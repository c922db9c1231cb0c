"""What of an experiment moves while it makes progress, and when it last did by the watcher's clock.

A process that runs proves nothing. Each mark is a value that changes only when something was done;
a watcher remembers the values of its last look, so that its own clock tells how long they rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from zebfast.exchange.lease import Lease
from zebfast.experiment.status.checks import beat_stream
from zebfast.experiment.status.liveness import (
    EXAMPLES_MARK,
    LEASE_MARK,
    OF_WORKERS,
    STATE_MARK,
    beat_mark,
    files_mark,
    number,
    published_learning,
)
from zebfast.experiment.status.observed import Mark, Seen, remember
from zebfast.experiment.status.snapshot import Facts, Producer
from zebfast.experiment.watch.wandb_status import WandbStatus
from zebfast.learner.state import streams_from_state
from zebfast.selfplay.producer_kinds import BY_ROLE, EVAL_AUX, SELFPLAY, Role

#: Marks of training itself, and those that only show that the learner is not frozen.
TRAINING = ("metrics", "published", "filling", "wandb")
LIFE = (STATE_MARK, "incident", "event")
WANDB_LIFE = "wandb heartbeat"
_FORGET_SECONDS = 86_400.0  # marks of workers that are gone

__all__ = ["Mark", "Seen", "marks_of", "newest", "remember"]


def marks_of(facts: Facts, wandb: WandbStatus | None) -> dict[str, Mark]:
    """Everything in a look that can show progress; what is not known is left out."""
    found = {**_training(facts), **_workers(facts)}
    updated = number((facts.state or {}).get("updated_unix"))
    told = [incident.unix for run in facts.runs[-1:] for incident in run.incidents]
    event = facts.events[-1].unix if facts.events else None
    lease = Lease.of(facts.state)
    for name, unix in ((STATE_MARK, updated), (LEASE_MARK, lease.renewed if lease else None),
                       ("incident", told[-1] if told else None), ("event", event)):  # fmt: skip
        if unix is not None:
            found[name] = Mark(f"{unix:.3f}", unix)
    if wandb is not None:
        found["wandb"] = Mark(f"{wandb.cycle}/{wandb.games}", wandb.logged)
        if wandb.heartbeat is not None:
            found[WANDB_LIFE] = Mark(f"{wandb.heartbeat:.0f}", wandb.heartbeat)
    return found


def newest(seen: Mapping[str, Seen], names: Iterable[str]) -> float | None:
    """When any of these marks last moved; None if none is known."""
    return max((seen[name].since for name in names if name in seen), default=None)


def streams_of(stage: Role) -> tuple[str, ...]:
    """Sources of the two streams, of evaluation games only where the stage learns from them."""
    with_eval_aux = BY_ROLE[stage].stage["eval_aux_enabled"]
    return (SELFPLAY.source, EVAL_AUX.source) if with_eval_aux else (SELFPLAY.source,)


def newest_examples(seen: Mapping[str, Seen], source: str) -> float | None:
    """When any worker last added to this stream; None if none is known."""
    return newest(seen, [name for name in seen if name.startswith(f"{EXAMPLES_MARK} {source}")])


def without_old(seen: Mapping[str, Seen], now: float) -> dict[str, Seen]:
    """Without the marks of workers that are long gone: machines come and go for months."""
    return {name: mark for name, mark in seen.items()
            if not name.startswith(OF_WORKERS) or now - mark.since < _FORGET_SECONDS}  # fmt: skip


def waiting_for(facts: Facts) -> str | None:
    """Why training waits, as the learner last published it; None while it goes on."""
    waiting = published_learning(facts).get("waiting")
    return str(waiting) if waiting else None


def _training(facts: Facts) -> dict[str, Mark]:
    found = {}
    if facts.rows:
        last = facts.rows[-1]
        found["metrics"] = Mark(str(last.get("step")), number(last.get("time")))
    if facts.state is None:
        return found
    cycle, waiting = published_learning(facts).get("cycle"), waiting_for(facts)
    counters = [facts.state.get(name) for name in ("step", "optimizer_steps", "total_games")]
    unix = number(facts.state.get("updated_unix"))
    # The state is also renewed while nothing is trained: then only a change of it tells when.
    untold = 0.0 if waiting or facts.rows else unix
    found["published"] = Mark("/".join(map(str, [cycle, *counters])), untold)
    sources = streams_from_state(facts.state).sources.items()
    taken = [facts_of for source, facts_of in sources if source != EVAL_AUX.source]
    if waiting and taken:  # a buffer that fills is progress, too
        files = sum(each["files"] for each in taken)
        found["filling"] = Mark(str(files), float(max(each["last_unix"] for each in taken)))
    return found


def _workers(facts: Facts) -> dict[str, Mark]:
    """Each worker's newest batch, in a file or as it told it or as the learner counted it.

    One mark each: a worker whose clock is ahead must not hide that others go on, or do not.
    """
    found = {}
    for producer in facts.producers:
        found[files_mark(producer)] = Mark(f"{producer.last_unix:.0f}", producer.last_unix)
    for worker, each in streams_from_state(facts.state or {}).workers.items():
        name = files_mark(Producer(worker, 0, 0.0, source=each["source"]))
        found[f"{name} counted"] = Mark(str(each["games"]), float(each["last_unix"]))
    for beat in facts.heartbeats.values():
        found[beat_mark(beat)] = Mark(f"{beat.unix:.3f}/{beat.phase}/{beat.batch}", beat.unix)
        if beat.last_batch is not None:
            name = files_mark(Producer(beat.worker_id, 0, 0.0, source=beat_stream(beat)))
            found[f"{name} batch"] = Mark(f"{beat.last_batch:.3f}", beat.last_batch)
    return found
