"""One screen about an experiment: learner, streams, workers, published weights, and the checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

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
    files_age,
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


#: Where a cycle's row has what is shown of the learner.
_OF_CYCLE = {
    "cycle": "step",
    "games": "stats/total_games",
    "policy_loss": "train/policy_loss",
    "value_loss": "train/value_loss",
    "belief_loss": "train/belief_loss",
    "eval_mix": "stats/eval_aux_mix_ratio",
}


def status_of(facts: Facts) -> Status:
    """Everything that is shown about one look."""
    experiment, recipe, state = facts.experiment, facts.recipe, facts.state or {}
    trained, sign, rate = last_cycle(facts), last_sign(facts), "eval/vs_random_win_rate"
    sources: tuple[str, ...] = (SELFPLAY.source, EVAL_AUX.source)
    progress = None
    if recipe is not None:
        modes = dict.fromkeys(stage.producer["mode"] for stage in recipe.stages)
        sources = tuple(BY_MODE[mode].source for mode in modes)
        progress = progress_at(recipe, counted_games(facts), _games_per_s(facts.producers))
    return Status(
        name=experiment.name,
        namespace=experiment.namespace.stem,
        weights=str(experiment.weights),
        examples=str(experiment.examples),
        stage=current_stage(facts),
        published_step=state.get("step"),
        published_games=state.get("total_games"),
        wandb=state.get("wandb_url") or state.get("wandb_run_id"),
        learner=LearnerView(
            where=learner_where(facts),
            seconds_since=None if sign is None else max(0.0, facts.now - sign),
            win_rate_vs_random=facts.last_row(rate).get(rate),
            policy_weight=policy_weight(facts),
            **{field: trained.get(name) for field, name in _OF_CYCLE.items()},
        ),
        streams=tuple(_stream(facts, source) for source in sources),
        workers=_workers(facts),
        checks=tuple(run_checks(facts)),
        recipe=progress,
    )


def _stream(facts: Facts, source: str) -> StreamView:
    own = [p for p in facts.producers if (p.source or stream_of(p)) == source]
    n_files, newest = sum(p.n_files for p in own), [facts.now - files_age(facts, p) for p in own]
    counted = streams_from_state(facts.state or {}).sources.get(source)
    if facts.recipe is not None and counted is not None:
        # One worker has made files of several sources, and the newest says nothing of the others.
        n_files, newest = counted["files"], [*newest, float(counted["last_unix"])]
    return StreamView(
        source=source,
        n_files=n_files,
        n_workers=len(own),
        seconds_since=max(0.0, facts.now - max(newest)) if newest else None,
        games_per_s=_games_per_s(own),
    )


def _games_per_s(producers: Sequence[Producer]) -> float | None:
    """Of all together; None where nothing is known of any."""
    known = [p.games_per_s for p in producers if p.games_per_s is not None]
    return sum(known) if known else None


_OF_BEAT = ("phase", "batch", "restarts", "gpu", "gpu_memory", "error")


def _workers(facts: Facts) -> tuple[WorkerView, ...]:
    """Those whose files are there, then those that have only said that they live."""
    known = {producer.worker_id for producer in facts.producers}
    found = list(facts.producers)
    for beat in recent_beats(facts):
        if beat.worker_id not in known:  # there is no file of it yet: by what it says of itself
            source, played = beat.source or beat_stream(beat), beat.batch > 0
            found.append(Producer(beat.worker_id, 0, beat.unix, source=source,
                                  model_step=beat.model_step if played else None,
                                  games_per_s=beat.games_per_s if played else None))  # fmt: skip
    return tuple(_worker(facts, producer) for producer in found)


def _worker(facts: Facts, producer: Producer) -> WorkerView:
    beat, published = facts.heartbeats.get(producer.worker_id), (facts.state or {}).get("step")
    step, said = producer.model_step, None
    if beat is not None:
        own = {name: getattr(beat, name) for name in _OF_BEAT}
        silent = is_silent(facts, beat)
        said = HeartbeatView(seconds_since=beat_age(facts, beat), is_silent=silent, **own)
    age = files_age(facts, producer)
    return WorkerView(
        worker_id=producer.worker_id,
        source=producer.source or stream_of(producer),
        n_files=producer.n_files,
        seconds_since=age if producer.n_files else None,
        games_per_s=producer.games_per_s,
        model_step=step,
        behind=None if step is None or published is None else max(0, published - step),
        heartbeat=said,
    )
