"""Going on with a run on a machine that does not have its state, or has an older one.

The newest snapshot, of this machine or of ``--sync-to``, is checked and put in the place of the
local checkpoint, replay cache and metrics. What of it then counts is decided as for any checkpoint
(``continuation``): the published namespace is the truth. So every example file is counted once.
Files that the published state counts are known from it, even if the snapshot is older; all others
were not deleted by anybody and are read and counted again from the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zebfast.exchange import Say, TransientError, Weights, WeightStore
from zebfast.exchange.manifest import IncompleteState, Manifest
from zebfast.exchange.mirror import Mirror
from zebfast.learner.checkpoint import (
    Checkpoint,
    CheckpointError,
    fingerprint,
    load_checkpoint,
    save_checkpoint,
)
from zebfast.learner.config import LearnerConfig
from zebfast.learner.continuation import check_same_network, counted_state
from zebfast.learner.replay_cache import ReplayCache
from zebfast.learner.snapshots import CHECKPOINT, METRICS, REPLAY, Snapshot, Snapshots
from zebfast.net import checkpoint as model_file
from zebfast.system.files import write_atomic


def bring_newest_state(
    config: LearnerConfig,
    store: WeightStore,
    mirror: Mirror | None,
    bootstrap: model_file.Checkpoint | None,
    *,
    say: Say,
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
            _bring(config, store, mirror, bootstrap, state, own, say)
    except TransientError as error:
        if state is None or own is None or own[0] < state.get("step", 0):
            raise
        say(f"  {error}; this machine's state is as new as what is published: going on with it")


def _bring(
    config: LearnerConfig,
    store: WeightStore,
    mirror: Mirror | None,
    bootstrap: model_file.Checkpoint | None,
    state: dict[str, Any] | None,
    own: tuple[int, int] | None,
    say: Say,
) -> None:
    lineage = None if state is None else str(state["lineage"])
    for manifest, local in _candidates(config, mirror, lineage, say):
        if own is not None and own >= (manifest.step, manifest.total_games):
            return
        try:
            if local is not None:
                manifest.check(local.path)
            snapshot = local or _fetch(config, mirror, manifest)
            saved = _checked(snapshot)
            if state is None:
                check_same_network(bootstrap, _as_published(saved), store)
            _install(config, snapshot)
        except IncompleteState as error:
            say(f"  {error}; looking at the state before it")
            continue
        replay = ", replay buffer" if REPLAY in manifest.files and config.replay_cache else ""
        run_id = f", W&B run {manifest.wandb_run_id}" if manifest.wandb_run_id else ""
        place = snapshot.path if local or mirror is None else f"{mirror.label}/{manifest.folder}"
        say(
            f"Resumed from {place}: cycle {manifest.step}, {manifest.total_games:,} games, "
            f"optimizer{replay}{run_id}"
        )
        if state is None:
            _publish_again(config, store, saved)
            say(f"  {store.label} had no weights: published those of the snapshot")
        return


def _standing(path: Path, lineage: str | None) -> tuple[int, int] | None:
    """Cycle and games of this machine's checkpoint; None if it is missing, damaged or foreign."""
    try:
        saved = load_checkpoint(path)
    except CheckpointError:
        return None  # if nothing takes its place, the start refuses it
    if saved is None or saved.progress.lineage != lineage:
        return None
    return saved.progress.step, saved.progress.total_games


def _candidates(
    config: LearnerConfig, mirror: Mirror | None, lineage: str | None, say: Say
) -> Iterator[tuple[Manifest, Snapshot | None]]:
    """What there is of this lineage, newest first, with the snapshot where it is on this machine.

    Any lineage will do where nothing is published, but only from the mirror: what lies about on
    a machine may be of a namespace that was given up.
    """
    found: list[tuple[Manifest, Snapshot | None]] = []
    if lineage is not None:
        complete = Snapshots(config.snapshots_path, lineage).complete()
        found += [(snapshot.manifest, snapshot) for snapshot in complete]
    for manifest in mirror.states() if mirror is not None else ():
        if lineage is None or manifest.lineage == lineage:
            found.append((manifest, None))
        else:
            say(f"  {manifest.folder} at --sync-to is of another run (lineage {manifest.lineage})")
    yield from sorted(found, key=lambda each: each[0].created_unix, reverse=True)


def _fetch(config: LearnerConfig, mirror: Mirror | None, manifest: Manifest) -> Snapshot:
    """Download a state as a snapshot of this machine. IncompleteState where it is not whole."""
    assert mirror is not None

    def fill(directory: Path) -> Manifest:
        mirror.fetch(manifest, directory)
        return manifest

    return Snapshots(config.snapshots_path, manifest.lineage).assemble(fill)


def _checked(snapshot: Snapshot) -> Checkpoint:
    """The checkpoint of a snapshot whose files are whole. IncompleteState if it is another's."""
    try:
        saved = load_checkpoint(snapshot.path / CHECKPOINT)
    except CheckpointError as error:
        raise IncompleteState(f"{snapshot.path.name} has a checkpoint of another kind") from error
    if saved is None or saved.progress.lineage != snapshot.manifest.lineage:
        raise IncompleteState(f"{snapshot.path.name} has no checkpoint of its lineage")
    return saved


def _install(config: LearnerConfig, snapshot: Snapshot) -> None:
    """Put a checked snapshot's files in place; the checkpoint, which decides, comes last."""
    path, lineage = snapshot.path, snapshot.manifest.lineage
    config.checkpoint_path.parent.mkdir(parents=True, exist_ok=True)
    if config.replay_cache and REPLAY in snapshot.manifest.files:
        ReplayCache(config.replay_path(lineage), lineage).install(path / REPLAY, path)
    if METRICS in snapshot.manifest.files:
        write_atomic(config.metrics_path, (path / METRICS).read_bytes())
    write_atomic(config.checkpoint_path, (path / CHECKPOINT).read_bytes())


def _as_published(saved: Checkpoint) -> Weights:
    progress = saved.progress
    state = counted_state(progress, int(saved.trainer["optimizer_steps"]))
    state["wandb_run_id"] = progress.wandb_run_id
    return Weights(saved.published_weights, saved.model_config, state)


def _publish_again(config: LearnerConfig, store: WeightStore, saved: Checkpoint) -> None:
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
