"""What a learner run goes on from, on this machine or on one that does not have its state.

The published weights are the truth. The local training checkpoint is used when those weights came
from it (it also has the optimizer). Where training went on and published more after it was saved,
as on a machine that is gone, weights and counters are the published ones and only the optimizer is
the checkpoint's. Otherwise somebody published something else since, and training goes on from that
with a fresh optimizer.

Before that is decided, the newest snapshot, of this machine or of ``--sync-to``, is checked and put
in the place of the local checkpoint, replay cache and metrics if it is newer. So every example file
is counted once: files that the published state counts are known from it, even if the snapshot is
older; all others were not deleted by anybody and are read and counted again from the store.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from zebfast.exchange import ExchangeError, StateDict, TransientError, Weights, WeightStore
from zebfast.exchange.mirror.manifest import IncompleteState, Manifest, Standing
from zebfast.exchange.mirror.mirror import Mirror
from zebfast.learner.config import LearnerConfig
from zebfast.learner.data.replay import ReplayCache
from zebfast.learner.snapshots import CHECKPOINT, METRICS, REPLAY, Snapshot, Snapshots
from zebfast.learner.state import (
    CheckpointError,
    Progress,
    TrainingCheckpoint,
    counted_state,
    fingerprint,
    load_checkpoint,
    progress_from_state,
    save_checkpoint,
)
from zebfast.net import checkpoint as model_file
from zebfast.net.networks import Diverged, check_weights, config_from_dict
from zebfast.net.torch.modules import AnyNet, network
from zebfast.system.events import Incident, emit
from zebfast.system.files import write_atomic

_LOG = logging.getLogger(__name__)


class StartError(ExchangeError):
    """One sentence: why this run cannot begin, and what to do."""


@dataclass(frozen=True)
class Continuation:
    """Where training goes on: weights, counters, and what the trainer had besides, if known."""

    weights: StateDict
    progress: Progress
    trainer: dict[str, Any] | None
    optimizer_steps: int


def published_weights(
    config: LearnerConfig, store: WeightStore, bootstrap: model_file.Checkpoint | None
) -> Weights:
    """The weights of the namespace, which is started from ``bootstrap`` if it has none.

    Their state is whole.

    Without one, a recipe's namespace is started from its untrained network of the run's seed.

    Raises:
        StartError, ExchangeError: one sentence; TransientError when a later try may succeed.
    """
    weights = store.pull()
    if weights is None:
        if bootstrap is None and config.recipe.network is not None:
            bootstrap = model_file.fresh(config.recipe.network.config(), seed=config.seed)
        if bootstrap is None:
            raise StartError(
                f"{store.label} has no weights for namespace {store.namespace.stem!r}: give the "
                "network to start from with --checkpoint FILE (zebfast init writes one)"
            )
        state: dict[str, Any] = {
            "step": 0,
            "total_games": 0,
            "wandb_run_id": None,
            "lineage": secrets.token_hex(8),
            "optimizer_steps": 0,
            "ingested": [],
        }
        net_config = bootstrap.config.to_dict()
        written = store.publish(bootstrap.weights, net_config, state)
        weights = Weights(bootstrap.weights, net_config, written)
        place = store.label if config.weights.path else f"HF repo {store.label}"
        _LOG.info(f"Bootstrapped {place} with {config.namespace.weights_file} (step 0)")
    else:
        place = store.label if config.weights.path else "HF"
        _LOG.info(
            f"Pulling weights from {place}: {config.namespace.weights_file} "
            f"(step {weights.step}, {weights.total_games:,} games)"
        )
        check_same_network(bootstrap, weights, store)
    if "lineage" not in weights.state:
        lineage = {"lineage": secrets.token_hex(8)}
        weights = Weights(weights.state_dict, weights.config, store.update_state(lineage))
    return Weights(weights.state_dict, weights.config, store.whole(weights.state))


def build_net(
    config: Mapping[str, Any],
    state_dict: StateDict,
    *,
    source: str,
    earlier: Callable[[], Path | None] = lambda: None,
) -> AnyNet:
    """Network of a published config with these weights. StartError when they do not fit.

    ``earlier`` looks for a file of this machine with a network to go back to.
    """
    try:
        net_config = config_from_dict(config)
        weights = check_weights(net_config, state_dict)
    except Diverged as error:
        path = earlier()
        file = "" if path is None else f"; FILE can be {path}"
        raise StartError(
            f"{source}: {error}, or begin another namespace with --weights-name NEW --checkpoint "
            f"FILE{file}"
        ) from error
    except ValueError as error:
        raise StartError(
            f"config and weights in {source} do not belong together ({error}): put back the config "
            "that these weights were published with"
        ) from error
    return network(net_config, weights)


def earlier_network(config: LearnerConfig, lineage: str) -> Path | None:
    """The file that a run whose weights are no numbers best goes back to; None if there is none."""
    kept = Snapshots(config.snapshots_path, lineage).complete()
    snapshots = [snapshot.path / CHECKPOINT for snapshot in kept]
    for path in (config.checkpoint_path, *snapshots, config.best_path):
        with suppress(ValueError):
            model_file.load(path)
            return path
    return None


def continuation(saved: TrainingCheckpoint | None, weights: Weights, path: Path) -> Continuation:
    """What a run goes on from, given the checkpoint at ``path`` and the published weights."""
    bad = None if saved is None else saved.first_non_finite
    if bad is not None:
        text = (
            f"{path.name} holds NaN or infinite numbers ({bad}), so the training that wrote it has "
            "diverged: going on from the published weights with a fresh optimizer"
        )
        emit(Incident(what="fresh optimizer", text=text))
        saved = None
    published = progress_from_state(weights)
    n_steps = int(weights.state.get("optimizer_steps", 0))
    fresh = Continuation(weights.state_dict, published, None, n_steps)
    if saved is None:
        return fresh
    own, step = saved.progress, saved.progress.step
    if own.lineage == published.lineage and saved.model_config == weights.config:
        own_mark = fingerprint(step, saved.published_weights)
        if own_mark not in own.published:  # saved, or kept as a snapshot, before that was published
            own.published.append(own_mark)
        if _is_of(own, published):
            _LOG.info(f"Continuing {path.name} from cycle {step}, optimizer included")
            # Both counts only grow; of the same weights, one of the two counted what the other did.
            more_games = published.total_games > own.total_games
            if not more_games and published.eval_aux_games <= own.eval_aux_games:
                n_own = int(saved.trainer["optimizer_steps"])
                return Continuation(saved.model_state_dict, own, saved.trainer, n_own)
            # The same weights were published again later, when more files had been counted.
            published.published = own.published
            published.steps_into_cycle = own.steps_into_cycle
            published.best_weights = own.best_weights
            if own_mark == published.published[0]:
                return Continuation(saved.model_state_dict, published, saved.trainer, n_steps)
            return Continuation(weights.state_dict, published, _without_average(saved), n_steps)
        if _went_on_from(saved, weights):
            published.best_weights = own.best_weights
            _LOG.info(
                f"Step {weights.step} was published after {path.name} (step {step}) was saved: "
                f"going on from the published weights and counts, with the optimizer of step {step}"
            )
            return Continuation(weights.state_dict, published, _without_average(saved), n_steps)
    text = (
        f"{path.name} (step {step}) is not what step {weights.step} was published from: going on "
        "from the published weights with a fresh optimizer"
    )
    emit(Incident(what="fresh optimizer", text=text))
    return fresh


def _is_of(own: Progress, published: Progress) -> bool:
    """Were these weights handed to the publisher by a run that stood where ``own`` does?

    A push that was cut short in a directory left newer weights than its state tells of; older
    weights as a later step are those of a revert.
    """
    step, _, digest = published.published[0].partition(":")
    known = (each.partition(":") for each in own.published)
    return any(own_digest == digest and int(at) >= int(step) for at, _, own_digest in known)


def _without_average(saved: TrainingCheckpoint) -> dict[str, Any]:
    """The trainer's state for other weights than the saved ones, of which it has the average."""
    return {key: value for key, value in saved.trainer.items() if key != "average"}


def _went_on_from(saved: TrainingCheckpoint, weights: Weights) -> bool:
    """Were the published weights trained further than the checkpoint, and not reverted since?"""
    steps, reverted_at = weights.state.get("optimizer_steps"), weights.state.get("reverted_at", -1)
    return (
        type(steps) is int
        and steps > int(saved.trainer["optimizer_steps"])
        and weights.step >= saved.progress.step
        and not (type(reverted_at) is int and reverted_at > saved.progress.step)
    )


def check_same_network(
    bootstrap: model_file.Checkpoint | None, weights: Weights, store: WeightStore
) -> None:
    """StartError when ``--checkpoint`` is another network than the namespace has."""
    if bootstrap is None or bootstrap.config.to_dict() == weights.config:
        return
    raise StartError(
        f"--checkpoint holds a different network than namespace {store.namespace.stem!r} in "
        f"{store.label} ({bootstrap.config.to_dict()} against {weights.config}): leave "
        "--checkpoint out to continue, or choose a new --weights-name"
    )


def bring_newest_state(
    config: LearnerConfig,
    store: WeightStore,
    mirror: Mirror | None,
    bootstrap: model_file.Checkpoint | None,
) -> None:
    """Install the newest complete snapshot if this machine has nothing as new.

    A namespace that has no weights at all, as when its directory was lost with the machine, is
    published again from a snapshot at the mirror.

    Raises:
        TransientError: a later try may succeed; StartError, ExchangeError, OSError.
    """
    state = store.read_state()
    lineage = None if state is None else state.get("lineage")
    own = _standing(config.checkpoint_path, lineage)
    try:
        if mirror is not None:
            mirror.probe()
        # Weights without a lineage were never trained by a learner of ours.
        if config.resume == "auto" and (state is None or isinstance(lineage, str)):
            for place, snapshot, saved in _whole(config, mirror, lineage, newer_than=own):
                if state is None:
                    check_same_network(bootstrap, _as_published(saved), store)
                _install(config, snapshot, place)
                if state is None:
                    _publish_again(config, store, saved)
                break
    except TransientError as error:
        if state is None or own is None or own[0] < state.get("step", 0):
            raise
        text = f"  {error}; this machine's state is as new as what is published: going on with it"
        emit(Incident(what="exchange", text=text))


def _whole(
    config: LearnerConfig,
    mirror: Mirror | None,
    lineage: str | None,
    *,
    newer_than: Standing | None,
) -> Iterator[tuple[str, Snapshot, TrainingCheckpoint]]:
    """Snapshots of this lineage that are whole, newest first: where each is, it, its checkpoint.

    Any lineage will do where nothing is published, but only from the mirror: what lies about on
    a machine may be of a namespace that was given up.
    """
    found: list[tuple[Manifest, Snapshot | None]] = []  # and the snapshot, if it is here
    if lineage is not None:
        complete = Snapshots(config.snapshots_path, lineage).complete()
        found += [(snapshot.manifest, snapshot) for snapshot in complete]
    for manifest in mirror.states() if mirror is not None else ():
        if lineage is None or manifest.lineage == lineage:
            found.append((manifest, None))
        else:
            found_of = f"of another run (lineage {manifest.lineage})"
            _LOG.warning(f"  {manifest.folder} at --sync-to is {found_of}")
    for manifest, snapshot in sorted(found, key=lambda each: each[0].standing, reverse=True):
        if newer_than is not None and newer_than >= manifest.standing:
            return
        try:
            if snapshot is not None:
                place = str(snapshot.path)
                manifest.check(snapshot.path)
            else:
                assert mirror is not None
                place = f"{mirror.label}/{manifest.folder}"
                fetch = partial(mirror.fetch, manifest)
                snapshot = Snapshots(config.snapshots_path, manifest.lineage).assemble(fetch)
            saved = _checked(snapshot)
        except IncompleteState as error:
            _LOG.warning(f"  {error}; looking at the state before it")
            continue
        yield place, snapshot, saved


def _standing(path: Path, lineage: str | None) -> Standing | None:
    """How far this machine's checkpoint is; None if it is missing, damaged or foreign."""
    try:
        saved = load_checkpoint(path)
    except CheckpointError:
        return None  # if nothing takes its place, the start refuses it
    if saved is None or saved.progress.lineage != lineage or saved.first_non_finite:
        return None
    return saved.progress.standing


def _checked(snapshot: Snapshot) -> TrainingCheckpoint:
    """The checkpoint of a snapshot whose files are whole. IncompleteState if it is another's."""
    try:
        saved = load_checkpoint(snapshot.path / CHECKPOINT)
    except CheckpointError as error:
        raise IncompleteState(f"{snapshot.path.name} has a checkpoint of another kind") from error
    if saved is None or saved.progress.lineage != snapshot.manifest.lineage:
        raise IncompleteState(f"{snapshot.path.name} has no checkpoint of its lineage")
    if saved.first_non_finite is not None:
        raise IncompleteState(f"{snapshot.path.name} holds weights that are no numbers")
    return saved


def _install(config: LearnerConfig, snapshot: Snapshot, place: str) -> None:
    """Put a checked snapshot's files in place; the checkpoint, which decides, comes last."""
    path, manifest = snapshot.path, snapshot.manifest
    config.checkpoint_path.parent.mkdir(parents=True, exist_ok=True)
    has_replay = config.replay_cache and REPLAY in manifest.files
    if has_replay:
        cache = ReplayCache(config.replay_path(manifest.lineage), manifest.lineage)
        cache.install(path / REPLAY, path)
    if METRICS in manifest.files:
        write_atomic(config.metrics_path, (path / METRICS).read_bytes())
    write_atomic(config.checkpoint_path, (path / CHECKPOINT).read_bytes())
    replay = ", replay buffer" if has_replay else ""
    run_id = f", W&B run {manifest.wandb_run_id}" if manifest.wandb_run_id else ""
    _LOG.info(
        f"Resumed from {place}: cycle {manifest.step}, {manifest.total_games:,} games, "
        f"optimizer{replay}{run_id}"
    )


def _as_published(saved: TrainingCheckpoint) -> Weights:
    progress = saved.progress
    state = counted_state(progress, int(saved.trainer["optimizer_steps"]))
    state["wandb_run_id"] = progress.wandb_run_id
    return Weights(saved.published_weights, saved.model_config, state)


def _publish_again(config: LearnerConfig, store: WeightStore, saved: TrainingCheckpoint) -> None:
    """Begin the empty namespace with the weights of the installed checkpoint.

    That knows them as its own before they are there; a kill in between is made good by the next
    start, which finds the namespace empty still.
    """
    progress = saved.progress
    own = fingerprint(progress.step, saved.published_weights)
    progress.published = [*(each for each in progress.published if each != own), own]
    save_checkpoint(config.checkpoint_path, saved)
    weights = _as_published(saved)
    store.publish(weights.state_dict, weights.config, weights.state)
    _LOG.info(f"  {store.label} had no weights: published those of the snapshot")
