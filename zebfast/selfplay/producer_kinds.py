"""The kinds of producer there are: who makes examples, and what that is called everywhere.

A kind is a mode of the worker. Its examples are of one source, which their files name, and of one
role: the stream of an experiment that they belong to, by which fleets and stages are called, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ProducerKind:
    """One kind of producer, with all its names.

    Attributes:
        mode: of the worker, and in recipes and the published state.
        role: of the workers in an experiment: its stage, and the end of its fleet's label.
        source: ``source`` of its example files; None where it plays as any of the others.
        teacher: its games carry play values in place of policy weights.
        in_recipes: a stage of a recipe may ask for it.
        worker_id, games_per_batch, weight_sync_interval: what a worker is told by default.
        stage: where a stage of an experiment is called after the role, what the learner is told in
            it, by its flags.
    """

    mode: str
    role: str
    source: str | None
    teacher: bool = False
    in_recipes: bool = True
    worker_id: str = "worker-0"
    games_per_batch: int = 256
    weight_sync_interval: int = 10
    stage: Mapping[str, Any] = field(default_factory=dict)


_SELFPLAY_ALONE = {"eval_aux_enabled": False, "eval_aux_batch_fraction": 0.0}

SELFPLAY = ProducerKind(
    mode="selfplay", role="selfplay", source="selfplay-mcts", stage=_SELFPLAY_ALONE
)
EVAL_AUX = ProducerKind(
    mode="eval-aux",
    role="evalaux",
    source="eval-eq-zeb",
    in_recipes=False,
    worker_id="evalaux-0",
    games_per_batch=128,
    weight_sync_interval=5,
    stage={
        "eval_aux_enabled": True,
        "eval_aux_batch_fraction": 0.05,
        "eval_aux_policy_weight": 0.0,
    },
)
EXACT = ProducerKind(mode="exact", role="recipe", source="eq-exact", teacher=True)
ROLLOUT = ProducerKind(mode="rollout", role="recipe", source="rollout", teacher=True)
#: Whatever the run's recipe has come to. A stage may be minutes long, and each batch is seconds.
RECIPE = ProducerKind(
    mode="recipe",
    role="recipe",
    source=None,
    in_recipes=False,
    weight_sync_interval=2,
    stage=_SELFPLAY_ALONE,
)
KINDS = (SELFPLAY, EVAL_AUX, EXACT, ROLLOUT, RECIPE)
BY_MODE = {kind.mode: kind for kind in KINDS}
#: Modes that a stage of a recipe may ask for.
RECIPE_MODES = sorted(kind.mode for kind in KINDS if kind.in_recipes)
