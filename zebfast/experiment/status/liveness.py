"""What the facts of a look say about the learner's life and about who produces what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from zebfast.exchange.heartbeat import Heartbeat
from zebfast.exchange.lease import LEASE_SECONDS, Lease
from zebfast.experiment.status.observed import SKEW_SECONDS
from zebfast.experiment.status.snapshot import Facts, Producer
from zebfast.selfplay.producer_kinds import BY_ROLE, EVAL_AUX, SELFPLAY, Role

# --- What moves, by the names under which who looks again and again remembers it.

STATE_MARK, LEASE_MARK, EXAMPLES_MARK, _BEAT_MARK = "state", "lease", "examples", "beat"
OF_WORKERS = (f"{EXAMPLES_MARK} ", f"{_BEAT_MARK} ")


def files_mark(producer: Producer) -> str:
    """Of a worker's newest file; with more behind it, of the batches that it tells of."""
    return f"{EXAMPLES_MARK} {stream_of(producer)}: {producer.worker_id}"


def beat_mark(beat: Heartbeat) -> str:
    return f"{_BEAT_MARK} {beat.worker_id}"


def files_age(facts: Facts, producer: Producer) -> float:
    """Seconds since a worker last handed something over.

    Of a file from the future only the learner can say when it came.
    """
    name, told = files_mark(producer), producer.last_unix
    if told > facts.now + SKEW_SECONDS:
        workers = (facts.state or {}).get("workers")
        entry = workers.get(producer.worker_id) if isinstance(workers, dict) else None
        counted_at = number(entry.get("last_unix")) if isinstance(entry, dict) else None
        told = told if counted_at is None else counted_at
    age = facts.seconds_since(name, told)
    counted = facts.seen.get(f"{name} counted")
    return age if counted is None else min(age, max(0.0, facts.now - counted.since))


def lease_age(facts: Facts, lease: Lease) -> float:
    """Seconds since a learner's hold was last renewed."""
    return facts.seconds_since(LEASE_MARK, lease.renewed)


# --- What one check says, and the limits that the checks share.

State = Literal["ok", "wait", "wrong", "off"]

_MOST = 1e15
#: Of what a learner publishes of itself; all the rest are numbers.
_KINDS = {"waiting": str, "eval_aux_enabled": bool}
SILENT_SECONDS = 900.0  # no progress for so long is a fault


@dataclass(frozen=True)
class Check:
    """``state``: ok; wait = not there yet, and need not be; wrong = see ``fix``; off = not used."""

    name: str
    state: State
    found: str
    fix: str = ""


def age(seconds: float) -> str:
    """A length of time in two units at most: ``5 s``, ``4 min``, ``3 h 20 min``, ``2 d 4 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def current_stage(facts: Facts) -> Role | None:
    """The stage of the newest run, or what a learner that was started otherwise says it does."""
    if facts.runs:
        return next((known for known in BY_ROLE if known == facts.runs[-1].stage), None)
    enabled = published_learning(facts).get("eval_aux_enabled")
    if not isinstance(enabled, bool):
        return None
    return (EVAL_AUX if enabled else SELFPLAY).role


def stage_or_first(facts: Facts) -> Role:
    """The stage of the newest run, or the one that the experiment begins with."""
    return current_stage(facts) or facts.experiment.own_stages[0]


def learner_where(facts: Facts) -> str | None:
    """Where the learner runs, in words; None when nothing shows that one runs."""
    if facts.process is not None:
        return f"process {facts.process} on {facts.here}"
    # This machine's own learner is known by its process; another's by what it publishes.
    state, lease = facts.state or {}, Lease.of(facts.state)
    if lease is not None and lease.owner != facts.here:
        return f"on {lease.owner}" if lease_age(facts, lease) < LEASE_SECONDS else None
    updated = number(state.get("updated_unix"))
    fresh = updated is not None and facts.seconds_since(STATE_MARK, updated) < SILENT_SECONDS
    if state.get("running") is True and fresh and state.get("host") not in (None, facts.here):
        return f"on {state['host']}"
    return None


def last_sign(facts: Facts) -> float | None:
    """When the learner last did something that can be seen from here, in this side's seconds."""
    lease, updated = Lease.of(facts.state), number((facts.state or {}).get("updated_unix"))
    signs = (
        number(facts.rows[-1].get("time")) if facts.rows else None,
        facts.events[-1].unix if facts.events else None,
        None if updated is None else facts.now - facts.seconds_since(STATE_MARK, updated),
        None if lease is None else facts.now - lease_age(facts, lease),
    )
    return max((min(sign, facts.now) for sign in signs if sign is not None), default=None)


def last_cycle(facts: Facts) -> Mapping[str, Any]:
    """The newest cycle, as a row of metrics; away from the learner's machine, as it published it.

    Empty while no cycle is known.
    """
    row = facts.last_row("train/policy_loss")
    learning = published_learning(facts)
    if row or number(learning.get("policy_loss")) is None:
        return row
    losses = {f"train/{n}": number(learning.get(n)) for n in learning if n.endswith("_loss")}
    stats = {f"stats/{name}": number(value) for name, value in learning.items()
             if name.startswith(("eval_aux_", "replay_"))}  # fmt: skip
    games = {"stats/total_games": (facts.state or {}).get("total_games")}
    return {"step": int(number(learning.get("cycle")) or 0), **losses, **stats, **games}


def policy_weight(facts: Facts) -> float | None:
    """Weight of the eval-aux examples' policy loss in the newest cycle, or in the newest run."""
    name = "eval_aux_policy_weight"
    places = (last_cycle(facts).get(f"stats/{name}"), published_learning(facts).get(name),
              (facts.settings or {}).get(name))  # fmt: skip
    return next((number(place) for place in places if number(place) is not None), None)


def published_learning(facts: Facts) -> Mapping[str, Any]:
    """What the learner published about itself; empty where it said nothing."""
    learning = (facts.state or {}).get("learning")
    held = learning if isinstance(learning, dict) else {}
    return {
        name: value
        for name, value in held.items()
        if (isinstance(value, _KINDS[name]) if name in _KINDS else number(value) is not None)
    }


def stream_of(producer: Producer) -> str:
    """Which of the two streams a worker adds to: evaluation games, or all that is learned first.

    What a recipe's teachers make is of the same stream as self-play. The name of a worker tells
    where its newest file was not read.
    """
    if producer.source is not None:
        is_eval = producer.source == EVAL_AUX.source
    else:
        is_eval = producer.worker_id.startswith(EVAL_AUX.role)
    return EVAL_AUX.source if is_eval else SELFPLAY.source


def counted_games(facts: Facts) -> int:
    """Games that the learner has counted, as far as is known from here."""
    known = (last_cycle(facts).get("stats/total_games"), (facts.state or {}).get("total_games"))
    return max(int(number(games) or 0) for games in known)


def has_all_games(facts: Facts) -> bool:
    """Have all games of the recipe been counted? What they bring may be left to train."""
    return facts.recipe is not None and counted_games(facts) >= facts.recipe.total_games


def recipe_is_done(facts: Facts) -> bool:
    """Has the learner said that it has come to the end of the recipe?"""
    said = (facts.state or {}).get("recipe")
    return isinstance(said, dict) and said.get("finished") is True


def number(value: object) -> float | None:
    """A plain number as a float, far from where sums overflow; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _MOST else None  # which not a number is not, either
