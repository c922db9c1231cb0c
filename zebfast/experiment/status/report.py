"""One screen about an experiment: learner, streams, workers, published weights, and the checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from zebfast.exchange.heartbeat import Heartbeat
from zebfast.experiment.status.checks import (
    beat_age,
    beat_stream,
    is_silent,
    recent_beats,
    run_checks,
)
from zebfast.experiment.status.liveness import (
    Check,
    counted_games,
    current_stage,
    last_cycle,
    last_sign,
    learner_where,
    policy_weight,
    stream_of,
)
from zebfast.experiment.status.recipe_progress import RecipeProgress, progress_at
from zebfast.experiment.status.snapshot import Facts, Producer
from zebfast.learner.state import streams_from_state
from zebfast.selfplay.producer_kinds import BY_MODE, EVAL_AUX, SELFPLAY


@dataclass(frozen=True)
class LearnerView:
    """The learner as it shows itself here and in what it published; None where nobody knows.

    ``seconds_since`` is since its last sign of life; ``policy_weight`` the loss weight of the
    eval-aux examples' policy targets; ``eval_mix`` their share of the last batches.
    """

    where: str | None
    seconds_since: float | None
    cycle: int | None
    games: int | None
    policy_loss: float | None
    value_loss: float | None
    belief_loss: float | None
    win_rate_vs_random: float | None
    eval_mix: float | None
    policy_weight: float | None


@dataclass(frozen=True)
class StreamView:
    """One kind of example files in the store."""

    source: str
    n_files: int
    n_workers: int
    seconds_since: float | None
    games_per_s: float | None


@dataclass(frozen=True)
class HeartbeatView:
    """What a worker last said of itself; memory is the most MB that it has held on its GPU."""

    phase: str
    seconds_since: float
    is_silent: bool
    batch: int
    restarts: int
    gpu: str | None
    gpu_memory: float | None
    error: str | None


@dataclass(frozen=True)
class WorkerView:
    """One worker; ``behind`` is how many steps its weights are older than the published ones.

    ``seconds_since`` is since its newest file, None where none of its files is there;
    ``heartbeat`` None where it sends none.
    """

    worker_id: str
    source: str
    n_files: int
    seconds_since: float | None
    games_per_s: float | None
    model_step: int | None
    behind: int | None
    heartbeat: HeartbeatView | None = None


@dataclass(frozen=True)
class Status:
    """What ``zebfast experiment status`` shows."""

    name: str
    namespace: str
    weights: str
    examples: str
    stage: str | None
    published_step: int | None
    published_games: int | None
    wandb: str | None
    learner: LearnerView
    streams: tuple[StreamView, ...]
    workers: tuple[WorkerView, ...]
    checks: tuple[Check, ...]
    recipe: RecipeProgress | None = None

    @property
    def problems(self) -> tuple[Check, ...]:
        """The checks that found something wrong."""
        return tuple(check for check in self.checks if check.state == "wrong")

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "ok": not self.problems,
            "problems": [check.name for check in self.problems],
        }


def status_of(facts: Facts) -> Status:
    """Everything that is shown about one look."""
    experiment, state = facts.experiment, facts.state or {}
    return Status(
        name=experiment.name,
        namespace=experiment.namespace.stem,
        weights=str(experiment.weights),
        examples=str(experiment.examples),
        stage=current_stage(facts),
        published_step=state.get("step"),
        published_games=state.get("total_games"),
        wandb=_wandb(facts),
        learner=_learner(facts),
        streams=tuple(_stream(facts, source) for source in _sources(facts)),
        workers=_workers(facts),
        checks=tuple(run_checks(facts)),
        recipe=_recipe(facts),
    )


def _sources(facts: Facts) -> tuple[str, ...]:
    """Sources of the experiment's streams: the two that a person leads, or those of its recipe."""
    if facts.recipe is None:
        return (SELFPLAY.source, EVAL_AUX.source)
    modes = dict.fromkeys(stage.producer["mode"] for stage in facts.recipe.stages)
    return tuple(BY_MODE[mode].source for mode in modes)


def _recipe(facts: Facts) -> RecipeProgress | None:
    """Where the run stands in its recipe, at the rate of its workers."""
    if facts.recipe is None:
        return None
    rate = _sum([producer.games_per_s for producer in facts.producers])
    return progress_at(facts.recipe, counted_games(facts), rate)


#: Where a cycle's row has what is shown of the learner.
_OF_CYCLE = {
    "cycle": "step",
    "games": "stats/total_games",
    "policy_loss": "train/policy_loss",
    "value_loss": "train/value_loss",
    "belief_loss": "train/belief_loss",
    "eval_mix": "stats/eval_aux_mix_ratio",
}


def _learner(facts: Facts) -> LearnerView:
    trained, sign, rate = last_cycle(facts), last_sign(facts), "eval/vs_random_win_rate"
    return LearnerView(
        where=learner_where(facts),
        seconds_since=None if sign is None else max(0.0, facts.now - sign),
        win_rate_vs_random=facts.last_row(rate).get(rate),
        policy_weight=policy_weight(facts),
        **{field: trained.get(name) for field, name in _OF_CYCLE.items()},
    )


def _stream(facts: Facts, source: str) -> StreamView:
    own = [producer for producer in facts.producers if _source(producer) == source]
    n_files = sum(producer.n_files for producer in own)
    newest = [producer.last_unix for producer in own]
    counted = streams_from_state(facts.state or {}).sources.get(source)
    if facts.recipe is not None and counted is not None:
        # One worker has made files of several sources, and the newest says nothing of the others.
        n_files, newest = counted["files"], [*newest, float(counted["last_unix"])]
    return StreamView(
        source=source,
        n_files=n_files,
        n_workers=len(own),
        seconds_since=max(0.0, facts.now - max(newest)) if newest else None,
        games_per_s=_sum([producer.games_per_s for producer in own]),
    )


def _workers(facts: Facts) -> tuple[WorkerView, ...]:
    """Those whose files are there, then those that have only said that they live."""
    known = {producer.worker_id for producer in facts.producers}
    new = [beat for beat in recent_beats(facts) if beat.worker_id not in known]
    return (
        *(_worker(facts, each, facts.heartbeats.get(each.worker_id)) for each in facts.producers),
        *(_worker(facts, _promised(beat), beat) for beat in new),
    )


def _promised(beat: Heartbeat) -> Producer:
    """A worker of which there is no file yet, by what it says of itself."""
    source, played = beat.source or beat_stream(beat), beat.batch > 0
    return Producer(
        beat.worker_id, 0, beat.unix, source=source,
        model_step=beat.model_step if played else None,
        games_per_s=beat.games_per_s if played else None,
    )  # fmt: skip


def _worker(facts: Facts, producer: Producer, beat: Heartbeat | None) -> WorkerView:
    age = max(0.0, facts.now - producer.last_unix)
    return WorkerView(
        worker_id=producer.worker_id,
        source=_source(producer),
        n_files=producer.n_files,
        seconds_since=age if producer.n_files else None,
        games_per_s=producer.games_per_s,
        model_step=producer.model_step,
        behind=_behind(facts, producer.model_step),
        heartbeat=None if beat is None else _heartbeat(facts, beat),
    )


_OF_BEAT = ("phase", "batch", "restarts", "gpu", "gpu_memory", "error")


def _heartbeat(facts: Facts, beat: Heartbeat) -> HeartbeatView:
    return HeartbeatView(
        seconds_since=beat_age(facts, beat),
        is_silent=is_silent(facts, beat),
        **{name: getattr(beat, name) for name in _OF_BEAT},
    )


def _source(producer: Producer) -> str:
    """Source of a worker's newest file; that of its stream where nobody has read it."""
    return producer.source or stream_of(producer)


def _behind(facts: Facts, model_step: int | None) -> int | None:
    step = (facts.state or {}).get("step")
    return None if model_step is None or step is None else max(0, step - model_step)


def _sum(rates: Sequence[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None


def _wandb(facts: Facts) -> str | None:
    state = facts.state or {}
    return state.get("wandb_url") or state.get("wandb_run_id")
