"""Going back to earlier weights without going back in anything else.

The old weights are published as a new version with a higher step, because workers fetch weights
only when the step has grown. Games, the ledger of counted files and the lineage stay, so nothing
is counted twice and no example is lost. The learner that starts next finds that its own training
checkpoint is not what was published, and goes on from the published weights.
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zebfast.exchange import ExchangeError, Revision, WeightStore
from zebfast.experiment.experiment import ExperimentError
from zebfast.learner.state import (
    CheckpointError,
    TrainingCheckpoint,
    counted_state,
    load_checkpoint,
)
from zebfast.net import checkpoint as checkpoints
from zebfast.net.checkpoint import BadCheckpoint, Checkpoint
from zebfast.net.networks import check_weights, config_from_dict

# --- Published weights as a checkpoint: what warm starts and reverts begin from.

_SHORTEST_ID = 7
_LISTED = 200


def published_checkpoint(store: WeightStore, *, revision: str | None) -> Checkpoint:
    """The weights of the store's namespace, now or at an earlier ``revision``, checked.

    The checkpoint's provenance says where they came from.

    Raises:
        ExchangeError: there are none, or they do not fit their own config.
    """
    exact = find_revision(store, revision) if revision else None
    weights = store.pull(revision=exact)
    if weights is None:
        at = f" at revision {revision}" if revision else ""
        raise ExchangeError(
            f"{store.label} has no weights for namespace {store.namespace.stem!r}{at}: expected "
            f"{store.namespace.weights_file}; give the name with --weights-name"
        )
    try:
        config = config_from_dict(weights.config)
        checked = check_weights(config, weights.state_dict)
    except (ValueError, BadCheckpoint) as error:
        raise ExchangeError(
            f"{store.namespace.weights_file} in {store.label} cannot be used: {error}"
        ) from error
    return Checkpoint(
        config=config,
        weights=checked,
        epoch=weights.step,
        total_games=weights.total_games,
        provenance=checkpoints.provenance(
            source=store.label,
            weights_name=store.namespace.stem,
            revision=exact,
            step=weights.step,
        ),
    )


def find_revision(store: WeightStore, wanted: str) -> str:
    """The revision that people mean: an id, the start of one, or the number of a step.

    What is none of them is handed on as it is: the store may know it (a branch, a tag).

    Raises:
        ExchangeError: several revisions begin like this.
    """
    if not re.fullmatch(r"[0-9a-f]{7,39}|\d{1,6}", wanted):
        return wanted
    revisions = store.revisions(_LISTED)
    if len(wanted) >= _SHORTEST_ID:
        found = [r for r in revisions if r.id.startswith(wanted)]
        if len(found) > 1:
            raise ExchangeError(
                f"{len(found)} revisions in {store.label} begin with {wanted}: give more of it"
            )
    else:
        found = [r for r in revisions if revision_step(r) == int(wanted)]
    return found[0].id if found else wanted


def revision_step(revision: Revision) -> int | None:
    """The step that the title of a revision names, if it names one."""
    match = re.search(r"\bstep (\d+)\b", revision.title)
    return int(match[1]) if match else None


@dataclass(frozen=True)
class Revert:
    """What a revert does, or did.

    Attributes:
        step: of the version that holds the old weights; above every step there was.
        from_step: the newest step before, published or in this machine's training checkpoint.
        to: the revision or file as it was asked for; ``to_step`` the step it was saved at.
        uncounted: files that only this machine's training checkpoint had counted so far, which
            the new state counts, too.
    """

    namespace: str
    label: str
    step: int
    from_step: int
    to: str
    to_step: int
    total_games: int
    uncounted: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def revert_target(store: WeightStore, to: str) -> Checkpoint:
    """The weights that ``to`` names: a checkpoint file if there is one, else a revision."""
    path = Path(to).expanduser()
    return checkpoints.load(path) if path.is_file() else published_checkpoint(store, revision=to)


def plan_revert(store: WeightStore, target: Checkpoint, *, to: str, state_dir: Path) -> Revert:
    """What publishing ``target`` would do; nothing is written.

    Raises:
        ExperimentError: there is nothing to go back from, or the networks differ.
    """
    return _plan(store, target, to=to, state_dir=state_dir)[0]


def revert(
    store: WeightStore, target: Checkpoint, *, to: str, state_dir: Path, take_over: bool = False
) -> Revert:
    """Publish ``target`` as the newest version of the store's namespace.

    ``take_over`` dispossesses a learner of another machine, which then ends.

    Raises:
        NamespaceBusy: a learner runs; stop it first.
        ExperimentError, ExchangeError: one sentence each; nothing was published.
    """
    with store.hold(socket.gethostname(), take_over=take_over):
        plan, counted = _plan(store, target, to=to, state_dir=state_dir)
        state = {
            **counted,
            "step": plan.step,
            "reverted_at": plan.step,
            "reverted_from": plan.from_step,
            "reverted_to": plan.to,
            "reverted_to_step": plan.to_step,
            "reverted_unix": int(time.time()),
        }
        store.publish(target.weights, target.config.to_dict(), state)
    return plan


def _plan(
    store: WeightStore, target: Checkpoint, *, to: str, state_dir: Path
) -> tuple[Revert, dict[str, Any]]:
    """The plan, and the part of the state that counts games and files."""
    state, config = store.read_state(), store.read_config()
    if state is None or config is None:
        raise ExperimentError(
            f"{store.label} has no weights for namespace {store.namespace.stem!r}: there is "
            "nothing to go back from"
        )
    if target.config.to_dict() != config:
        raise ExperimentError(
            f"{to} holds another network ({target.config.to_dict()}) than namespace "
            f"{store.namespace.stem!r} ({config}): start a new experiment from it instead"
        )
    step, games = int(state.get("step", 0)), int(state.get("total_games", 0))
    counted: dict[str, Any] = {}
    own = _own_checkpoint(state_dir / store.namespace.checkpoint_file, state)
    if own is not None and own.progress.step >= step and own.progress.total_games >= games:
        # A learner that was killed had counted more than it had published.
        progress = own.progress
        step, games = progress.step, progress.total_games
        counted = {
            **counted_state(progress, int(own.trainer.get("optimizer_steps", 0))),
            "eval_aux_games": progress.eval_aux_games,
            "streams": progress.streams.summary(time.time()),
            "workers": progress.streams.newest_workers(),
        }
        state = store.whole(state)
    known = {name for name in state.get("ingested") or () if isinstance(name, str)}
    plan = Revert(
        namespace=store.namespace.stem,
        label=store.label,
        step=step + 1,
        from_step=step,
        to=to,
        to_step=target.epoch,
        total_games=games,
        uncounted=len(set(counted.get("ingested", ())) - known),
    )
    return plan, counted


def _own_checkpoint(path: Path, state: dict[str, Any]) -> TrainingCheckpoint | None:
    """This machine's training checkpoint, if it is of the lineage that is published."""
    try:
        saved = load_checkpoint(path)
    except CheckpointError:
        return None  # the learner will refuse it, too, and say so
    same = saved is not None and saved.progress.lineage == state.get("lineage")
    return saved if same else None
