"""What a learner run continues from, and what it refuses.

The published weights are the truth. The local training checkpoint is used when those weights came
from it (it also has the optimizer); otherwise somebody published something else since, and training
goes on from that with a fresh optimizer.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from zebfast.exchange import ExchangeError, Say, Weights, WeightStore
from zebfast.learner.checkpoint import Checkpoint, Progress, fingerprint
from zebfast.learner.config import LearnerConfig
from zebfast.learner.streams import streams_from_state
from zebfast.net import checkpoint as model_file
from zebfast.net.v1 import NetConfig, V1Net
from zebfast.net.weights import check_weights


class StartError(ExchangeError):
    """One sentence: why this run cannot begin, and what to do."""


def load_bootstrap(config: LearnerConfig, *, say: Say) -> model_file.Checkpoint | None:
    """The network of ``--checkpoint``; None without that flag. Raises BadCheckpoint."""
    if not config.checkpoint:
        return None
    say(f"Loading bootstrap checkpoint: {config.checkpoint}")
    return model_file.load(config.checkpoint)


def published_weights(
    config: LearnerConfig,
    store: WeightStore,
    bootstrap: model_file.Checkpoint | None,
    *,
    say: Say,
) -> Weights:
    """The weights of the namespace, which is started from ``bootstrap`` if it has none.

    Raises:
        StartError, ExchangeError: one sentence; TransientError when a later try may succeed.
    """
    weights = store.pull()
    if weights is None:
        weights = _bootstrap_namespace(store, bootstrap)
        place = store.label if config.weights.path else f"HF repo {store.label}"
        say(f"Bootstrapped {place} with {config.namespace.weights_file} (step 0)")
    else:
        place = store.label if config.weights.path else "HF"
        say(
            f"Pulling weights from {place}: {config.namespace.weights_file} "
            f"(step {weights.step}, {weights.total_games:,} games)"
        )
        _check_same_network(bootstrap, weights, store)
    if "lineage" not in weights.state:
        lineage = {"lineage": secrets.token_hex(8)}
        weights = Weights(weights.state_dict, weights.config, store.update_state(lineage))
    return weights


def build_net(config: Mapping[str, Any], state_dict: Mapping[str, Tensor], *, source: str) -> V1Net:
    """Network of a published config with these weights. StartError when they do not fit."""
    try:
        net_config = NetConfig.from_dict(config)
        weights = check_weights(net_config, state_dict)
    except ValueError as error:
        raise StartError(
            f"config and weights in {source} do not belong together ({error}): put back the config "
            "that these weights were published with"
        ) from error
    return model_file.Checkpoint(config=net_config, weights=weights).network()


def matching_checkpoint(
    saved: Checkpoint | None, weights: Weights, path: Path, say: Say
) -> Checkpoint | None:
    """``saved`` if the published weights are its own, else None with a line that says so."""
    if saved is None:
        return None
    same_lineage = saved.progress.lineage == weights.state["lineage"]
    own = fingerprint(weights.step, weights.state_dict) in saved.progress.published
    if same_lineage and own and saved.model_config == weights.config:
        return saved
    say(
        f"{path.name} (step {saved.progress.step}) is not what step {weights.step} was published "
        "from: going on from the published weights with a fresh optimizer"
    )
    return None


def progress_from_state(weights: Weights) -> Progress:
    """Where training stands according to the published state alone."""
    run_id = weights.state.get("wandb_run_id")
    games = weights.state.get("eval_aux_games")
    return Progress(
        lineage=str(weights.state["lineage"]),
        step=weights.step,
        total_games=weights.total_games,
        ledger=set(published_ledger(weights)),
        published=[fingerprint(weights.step, weights.state_dict)],
        wandb_run_id=run_id if isinstance(run_id, str) else None,
        eval_aux_games=games if type(games) is int and games >= 0 else 0,
        streams=streams_from_state(weights.state),
    )


def published_ledger(weights: Weights) -> frozenset[str]:
    """Names of the files that the published counters count."""
    names = weights.state.get("ingested")
    listed = names if isinstance(names, list) else []
    return frozenset(name for name in listed if isinstance(name, str))


def _bootstrap_namespace(store: WeightStore, bootstrap: model_file.Checkpoint | None) -> Weights:
    if bootstrap is None:
        raise StartError(
            f"{store.label} has no weights for namespace {store.namespace.stem!r}: give the "
            "network to start from with --checkpoint FILE (zebfast init writes one)"
        )
    config = bootstrap.config.to_dict()
    state: dict[str, Any] = {
        "step": 0,
        "total_games": 0,
        "wandb_run_id": None,
        "lineage": secrets.token_hex(8),
        "optimizer_steps": 0,
        "ingested": [],
    }
    written = store.publish(bootstrap.weights, config, state)
    return Weights(dict(bootstrap.weights), config, written)


def _check_same_network(
    bootstrap: model_file.Checkpoint | None, weights: Weights, store: WeightStore
) -> None:
    if bootstrap is None or bootstrap.config.to_dict() == weights.config:
        return
    raise StartError(
        f"--checkpoint holds a different network than namespace {store.namespace.stem!r} in "
        f"{store.label} ({bootstrap.config.to_dict()} against {weights.config}): leave "
        "--checkpoint out to continue, or choose a new --weights-name"
    )
