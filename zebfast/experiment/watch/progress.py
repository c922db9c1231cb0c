"""What of an experiment moves while it makes progress, and when it last did by the watcher's clock.

A process that runs proves nothing. Each mark is a value that changes only when something was done;
a watcher remembers the values of its last look, so that its own clock tells how long they rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from zebfast.experiment.status.checks import beat_stream
from zebfast.experiment.status.liveness import number, published_learning, stage_or_first, stream_of
from zebfast.experiment.status.snapshot import Facts
from zebfast.experiment.watch.wandb_status import WandbStatus
from zebfast.learner.state import streams_from_state
from zebfast.selfplay.producer_kinds import BY_ROLE, EVAL_AUX, SELFPLAY, Role

#: Marks of training itself, and those that only show that the learner is not frozen.
TRAINING = ("metrics", "published", "filling", "wandb")
LIFE = ("state", "incident", "event")
WANDB_LIFE = "wandb heartbeat"


@dataclass(frozen=True)
class Mark:
    """A value that changes with progress; ``unix`` when it did, by the clock of who wrote it."""

    value: str
    unix: float | None = None


@dataclass(frozen=True)
class Seen:
    """A mark as a watcher remembers it: at rest since ``since``, by the watcher's clock."""

    value: str
    since: float


def marks_of(facts: Facts, wandb: WandbStatus | None) -> dict[str, Mark]:
    """Everything in a look that can show progress; what is not known is left out."""
    found = {**_training(facts), **_examples(facts)}
    updated = number((facts.state or {}).get("updated_unix"))
    told = [incident.unix for run in facts.runs[-1:] for incident in run.incidents]
    event = facts.events[-1].unix if facts.events else None
    for name, unix in (("state", updated), ("incident", told[-1] if told else None),
                       ("event", event)):  # fmt: skip
        if unix is not None:
            found[name] = Mark(f"{unix:.3f}", unix)
    if wandb is not None:
        found["wandb"] = Mark(f"{wandb.cycle}/{wandb.games}", wandb.logged)
        if wandb.heartbeat is not None:
            found[WANDB_LIFE] = Mark(f"{wandb.heartbeat:.0f}", wandb.heartbeat)
    return found


def remember(
    before: Mapping[str, Seen], marks: Mapping[str, Mark], *, looked: float | None, now: float
) -> dict[str, Seen]:
    """What to remember of this look.

    A mark that has changed did so after the last look (``looked``) and not in the future: between
    the two, the other clock is believed. One that was not seen this time stays as it was.
    """
    seen = dict(before)
    for name, mark in marks.items():
        old = before.get(name)
        if old is not None and old.value == mark.value:
            seen[name] = Seen(old.value, min(old.since, now))
            continue
        earliest = looked if old is not None and looked is not None else 0.0
        since = now if mark.unix is None else min(now, max(earliest, mark.unix))
        seen[name] = Seen(mark.value, since)
    return seen


def newest(seen: Mapping[str, Seen], names: Iterable[str]) -> float | None:
    """When any of these marks last moved; None if none is known."""
    return max((seen[name].since for name in names if name in seen), default=None)


def streams_of(stage: Role) -> tuple[str, ...]:
    """Sources of the two streams, of evaluation games only where the stage learns from them."""
    with_eval_aux = BY_ROLE[stage].stage["eval_aux_enabled"]
    return (SELFPLAY.source, EVAL_AUX.source) if with_eval_aux else (SELFPLAY.source,)


def examples_mark(source: str) -> str:
    return f"examples {source}"


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


def _examples(facts: Facts) -> dict[str, Mark]:
    """The newest batch of each stream that this stage uses: in a file, or as a worker told it."""
    found = {}
    for source in streams_of(stage_or_first(facts)):
        files = [p.last_unix for p in facts.producers if stream_of(p) == source]
        beats = [beat for beat in facts.heartbeats.values() if beat_stream(beat) == source]
        batches = [beat.last_batch for beat in beats if beat.last_batch is not None]
        unix = max([*files, *batches], default=None)
        if unix is not None:
            found[examples_mark(source)] = Mark(f"{unix:.0f}", unix)
    return found
