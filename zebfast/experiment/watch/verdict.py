"""Healthy, stalled, failed or stopped: what one look at an experiment comes to, by its progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from zebfast.exchange.lease import LEASE_SECONDS, Lease
from zebfast.experiment.runlog import Run, ending
from zebfast.experiment.status.checks import check_heartbeats, silent_after, unreached
from zebfast.experiment.status.liveness import (
    age,
    last_cycle,
    lease_age,
    number,
    published_learning,
    stage_or_first,
)
from zebfast.experiment.status.snapshot import Facts
from zebfast.experiment.watch.progress import (
    LIFE,
    TRAINING,
    WANDB_LIFE,
    Seen,
    newest,
    newest_examples,
    streams_of,
    waiting_for,
)
from zebfast.experiment.watch.wandb_status import WandbStatus
from zebfast.selfplay.producer_kinds import EVAL_AUX

State = Literal["healthy", "stalled", "failed", "stopped", "unknown"]
#: ``dead`` ended here by itself; ``lost`` somewhere else; ``frozen`` gives no sign though it is
#: there; ``silent``: the other side never said whether it runs.
Cause = Literal["", "dead", "lost", "frozen", "no examples", "no cycle", "silent", "unreached"]

_ON_PURPOSE = (0, 129, 130, 143)
_REMOTE_SECONDS = 1200.0  # on the Hub a learner renews its state every nine minutes, at the least


@dataclass(frozen=True)
class Limits:
    """For how long nothing may move, in seconds.

    Attributes:
        stall: training.
        examples: the files of each stream of workers.
        grace: from a start of the learner until its first cycle.
    """

    stall: float = 900.0
    examples: float = 1800.0
    grace: float = 1800.0


@dataclass(frozen=True)
class Verdict:
    """``reason`` is half a sentence for people."""

    state: State
    cause: Cause
    reason: str

    @property
    def key(self) -> str:
        """Changes when people should hear of it."""
        return f"{self.state}/{self.cause}"

    @property
    def is_bad(self) -> bool:
        return self.state not in ("healthy", "stopped")


def judge(
    facts: Facts,
    seen: Mapping[str, Seen],
    limits: Limits,
    *,
    wandb: WandbStatus | None = None,
    restarting: bool = False,
) -> Verdict:
    """The verdict of one look.

    Args:
        seen: the marks, as this look leaves them.
        restarting: a watcher has begun to restart the learner, so that an end is none on purpose.
    """
    if facts.process is not None:
        return _alive(facts, seen, limits, f"process {facts.process}")
    run = own_run(facts)
    if run is not None:
        if run.exit_code in _ON_PURPOSE and not restarting:
            return Verdict("stopped", "", f"{run.reason} {_ago(facts, run.ended)}")
        how = ending(run, None, here=facts.here)
        return Verdict("failed", "dead", f"the learner on {facts.here} does not run: {how}")
    if facts.state is None and unreached(facts, "weights"):
        return Verdict("unknown", "unreached", facts.exchange_errors[0])
    if facts.state is None:
        return Verdict("stopped", "", "not started yet")
    return _elsewhere(facts, seen, limits, wandb)


def own_run(facts: Facts) -> Run | None:
    """The newest run if this machine had it, and no other machine has published since."""
    if not facts.runs or facts.runs[-1].host != facts.here:
        return None
    run, state, lease = facts.runs[-1], facts.state or {}, Lease.of(facts.state)
    if lease is not None:  # who began last has it; clocks need not be asked
        return run if lease.owner == facts.here else None
    updated = number(state.get("updated_unix")) or 0.0
    taken = state.get("host") not in (None, facts.here) and updated > (run.ended or run.started)
    return None if taken else run


def _elsewhere(
    facts: Facts, seen: Mapping[str, Seen], limits: Limits, wandb: WandbStatus | None
) -> Verdict:
    """A learner that is known by what it publishes, and by W&B where that was asked."""
    state = facts.state or {}
    host = str(state.get("host") or "another machine")
    updated = number(state.get("updated_unix"))
    if (running := state.get("running")) is False:
        return Verdict("stopped", "", f"stopped in order on {host} {_ago(facts, updated)}")
    silent = facts.now - (newest(seen, (*TRAINING, *LIFE, WANDB_LIFE)) or 0.0)
    if silent <= max(limits.stall, _REMOTE_SECONDS):
        return _alive(facts, seen, limits, f"on {host}")
    since = f"no sign of the learner for {age(silent)}"
    if running is not True:
        return Verdict("stalled", "silent", since)
    if wandb is not None and wandb.state == "finished":
        return Verdict("stopped", "", f"{since}; W&B says that its run is finished")
    lease = Lease.of(state)
    if lease is not None and lease_age(facts, lease) < LEASE_SECONDS / 2:
        return Verdict("stalled", "frozen", f"{since}, though {host} still holds the namespace")
    told = f"; W&B says that its run is {wandb.state}" if wandb is not None else ""
    return Verdict("failed", "lost", f"{since} on {host}{told}")


def _alive(facts: Facts, seen: Mapping[str, Seen], limits: Limits, where: str) -> Verdict:
    """A learner that is there: does it train, and do its workers hand anything over?"""
    started = facts.runs[-1].started if facts.runs else facts.experiment.created.timestamp()
    trained = newest(seen, TRAINING)
    if (trained is None or trained <= started) and facts.now - started < limits.grace:
        return Verdict("healthy", "", f"{where}, started {_ago(facts, started)}, no cycle yet")
    far = 0.0 if facts.rows else _REMOTE_SECONDS  # only the publishing shows it from afar
    rest = facts.now - max(trained or 0.0, started)
    if rest > max(limits.stall, far):
        return _standing_still(facts, seen, limits, f"no cycle for {age(rest)} ({where})", rest)
    cycle = last_cycle(facts).get("step") or published_learning(facts).get("cycle") or 0
    found = f"{where}, cycle {cycle}, progress {_ago(facts, facts.now - rest)}"
    return _starving(facts, seen, limits, started) or Verdict("healthy", "", found)


def _standing_still(
    facts: Facts, seen: Mapping[str, Seen], limits: Limits, found: str, rest: float
) -> Verdict:
    """Why nothing is trained: whoever waits for workers is not to be restarted."""
    if facts.state is None and unreached(facts, "weights"):
        return Verdict("unknown", "unreached", f"{found}, and {facts.exchange_errors[0]}")
    # W&B's own process beats on while the learner is frozen; from afar there may be nothing better.
    signs = LIFE if facts.process is not None else (*LIFE, WANDB_LIFE)
    silent = min(rest, facts.now - (newest(seen, signs) or 0.0))
    if silent > max(limits.stall, 0.0 if facts.experiment.weights.path else _REMOTE_SECONDS):
        return Verdict("stalled", "frozen", f"{found}, and no other sign of life")
    if waiting := waiting_for(facts):
        return Verdict("stalled", "no examples", f"{found}: {waiting}{_of_workers(facts)}")
    return Verdict("stalled", "no cycle", f"{found}, though the learner gives signs of life")


def _starving(
    facts: Facts, seen: Mapping[str, Seen], limits: Limits, started: float
) -> Verdict | None:
    """Training that goes on with ever the same examples because no worker adds any."""
    if unreached(facts, "examples"):
        return None
    limit = max(limits.examples, silent_after(facts))
    for source in streams_of(stage_or_first(facts)):
        last = newest_examples(seen, source)
        led = "self-play" if facts.recipe is None else "recipe"
        name = "eval-aux" if source == EVAL_AUX.source else led
        if last is None and facts.now - started > max(limits.grace, limit):
            found = f"no {name} worker has handed over anything"
        elif last is not None and facts.now - max(last, started) > limit:
            found = f"no new {name} examples for {age(facts.now - last)}"
        else:
            continue
        return Verdict("stalled", "no examples", found + _of_workers(facts))
    return None


def _of_workers(facts: Facts) -> str:
    """What is wrong with them by their own words."""
    check = check_heartbeats(facts)
    return f"; workers: {check.found}" if check.state == "wrong" else ""


def _ago(facts: Facts, unix: float | None) -> str:
    return "some time ago" if unix is None else f"{age(max(0.0, facts.now - unix))} ago"
