"""The kinds of producer there are: who makes examples, and what that is called everywhere.

A kind is a mode of the worker. Its examples are of one source, which their files name, and of one
role: what workers are called in an experiment, and its stages and fleets after them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["selfplay", "evalaux", "recipe"]
MOST_BATCH = 1_000_000  # games of a batch


@dataclass(frozen=True, kw_only=True)
class ProducerKind:
    """One kind of producer, with all its names.

    Attributes:
        mode: of the worker, and in recipes and the published state.
        role: of the workers in an experiment: its stage, and the end of its fleet's label.
        source: ``source`` of its example files; empty where it plays as any of the others.
        is_teacher: its games carry play values in place of policy weights.
        in_recipes: a stage of a recipe may ask for it.
        worker_id, games_per_batch, weight_sync_interval: what a worker is told by default.
        stage: what the learner is told, by its flags, in the stage of an experiment that is called
            after the role; none where the role is that of another kind.
        files: what status calls the examples of that stage.
    """

    mode: str
    role: Role
    source: str
    is_teacher: bool = False
    in_recipes: bool = True
    worker_id: str = "worker-0"
    games_per_batch: int = 256
    weight_sync_interval: int = 10
    stage: Mapping[str, Any] = field(default_factory=dict)
    files: str = ""


_SELFPLAY_ALONE = {"eval_aux_enabled": False, "eval_aux_batch_fraction": 0.0}

SELFPLAY = ProducerKind(
    mode="selfplay",
    role="selfplay",
    source="selfplay-mcts",
    stage=_SELFPLAY_ALONE,
    files="self-play files",
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
    files="eval-aux files",
)
EXACT = ProducerKind(mode="exact", role="recipe", source="eq-exact", is_teacher=True)
ROLLOUT = ProducerKind(mode="rollout", role="recipe", source="rollout", is_teacher=True)
#: Hands of whole games: with an auction and a contract most of them.
GAME = ProducerKind(mode="game", role="recipe", source="whole-game", is_teacher=True)
#: Whatever the run's recipe has come to. A stage may be minutes long, and each batch is seconds.
RECIPE = ProducerKind(
    mode="recipe",
    role="recipe",
    source="",
    in_recipes=False,
    weight_sync_interval=2,
    stage=_SELFPLAY_ALONE,
    files="example files",
)
KINDS = (SELFPLAY, EVAL_AUX, EXACT, ROLLOUT, GAME, RECIPE)
BY_MODE = {kind.mode: kind for kind in KINDS}
#: The kind that a role, or a stage of an experiment, is called after.
BY_ROLE = {kind.role: kind for kind in KINDS if kind.stage}
#: Roles of an experiment that a person leads, the one that it begins with first.
LED_ROLES = (SELFPLAY.role, EVAL_AUX.role)
#: Modes that a stage of a recipe may ask for.
RECIPE_MODES = sorted(kind.mode for kind in KINDS if kind.in_recipes)
SOURCES = tuple(kind.source for kind in KINDS if kind.source)
#: Sources whose games carry play values, not policy weights; native format only.
PLAY_VALUE_SOURCES = tuple(kind.source for kind in KINDS if kind.is_teacher)
