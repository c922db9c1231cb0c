"""How a learner run begins: what it continues from, and what it refuses.

The published weights are the truth. The local training checkpoint is used when it is the one those
weights came from (it also has the optimizer); otherwise somebody published something else since,
and training goes on from that with a fresh optimizer.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from zebfast.exchange import (
    ExampleStore,
    ExchangeError,
    Weights,
    WeightStore,
    open_examples,
)
from zebfast.learner.checkpoint import Checkpoint, Progress, load_checkpoint
from zebfast.learner.config import LearnerConfig
from zebfast.learner.ingest import Ingestor
from zebfast.learner.metrics import JsonlMetrics, MetricsSink
from zebfast.learner.replay import ReplayBuffer
from zebfast.learner.replay_cache import ReplayCache
from zebfast.learner.trainer import Trainer
from zebfast.learner.wandb_sink import WandbMetrics
from zebfast.net import checkpoint as model_file
from zebfast.net.v1 import NetConfig, V1Net, n_parameters
from zebfast.net.weights import check_weights

Say = Callable[[str], None]


class StartError(ExchangeError):
    """One sentence: why this run cannot begin, and what to do."""


@dataclass
class Session:
    """Everything a running learner holds."""

    config: LearnerConfig
    store: WeightStore
    trainer: Trainer
    replay: ReplayBuffer
    ingestor: Ingestor
    progress: Progress
    cache: ReplayCache | None
    checkpoint_path: Path
    sinks: list[MetricsSink]
    say: Say


def open_session(config: LearnerConfig, store: WeightStore, *, say: Say) -> Session:
    """Bootstrap or continue ``config.namespace``, which the caller holds in ``store``.

    Raises:
        StartError, ExchangeError, CheckpointError, WandbError: one sentence each.
    """
    examples = open_examples(config.examples, config.namespace, options=config.stores, say=say)
    bootstrap = _load_bootstrap(config.checkpoint, say) if config.checkpoint else None
    weights = store.pull()
    if weights is None:
        weights = _bootstrap_namespace(store, bootstrap, say)
    else:
        say(
            f"Pulling weights from {store.label}: {config.namespace.weights_file} "
            f"(step {weights.step}, {weights.total_games:,} games)"
        )
        _check_same_network(bootstrap, weights, store)
    if "lineage" not in weights.state:
        lineage = {"lineage": secrets.token_hex(8)}
        weights = Weights(weights.state_dict, weights.config, store.update_state(lineage))

    checkpoint_path = config.stores.state_dir / config.namespace.checkpoint_file
    saved = _matching_checkpoint(load_checkpoint(checkpoint_path), weights, checkpoint_path, say)
    net = build_net(
        weights.config,
        saved.model_state_dict if saved else weights.state_dict,
        source=f"{store.label}/{config.namespace.weights_file}",
    )
    trainer = Trainer(net, config)
    if saved:
        progress = saved.progress
        # Saved before those weights were published, it may still name the ones before them.
        progress.published_sha256 = weights.state.get("weights_sha256")
        trainer.load_state(saved.trainer)
        say(f"Continuing {checkpoint_path.name} from cycle {progress.step}, optimizer included")
    else:
        progress = _progress_from_state(weights)
        trainer.optimizer_steps = int(weights.state.get("optimizer_steps", 0))
    say(f"  Model: {n_parameters(net):,} parameters on {config.device}")
    if config.amp and config.device == "cpu":
        say("  --amp has no effect on cpu: training in fp32")
    return _assemble(config, store, examples, trainer, progress, weights, checkpoint_path, say)


def _assemble(
    config: LearnerConfig,
    store: WeightStore,
    examples: ExampleStore,
    trainer: Trainer,
    progress: Progress,
    weights: Weights,
    checkpoint_path: Path,
    say: Say,
) -> Session:
    replay = ReplayBuffer(config.replay_buffer_size)
    cache = None
    held: set[str] = set()
    if config.replay_cache:
        folder = f"{config.namespace.stem}-{progress.lineage}"
        cache = ReplayCache(config.replay_cache_dir.expanduser() / folder, progress.lineage)
        held = cache.load(replay) or set()
        if len(replay):
            say(
                f"Replay buffer (local cache): {len(replay):,}/{replay.capacity:,} examples "
                f"from {len(held)} files"
            )
    ingestor = Ingestor(
        examples,
        replay,
        progress,
        held=held,
        expected={
            "weights_name": config.namespace.stem,
            "tokenizer": str(weights.config.get("tokenizer", "v1")),
        },
    )
    sinks: list[MetricsSink] = [
        JsonlMetrics(
            config.stores.state_dir / config.namespace.metrics_file, last_step=progress.step
        )
    ]
    if config.wandb:
        sinks.append(_open_wandb(config, store, progress, weights, say))
    return Session(
        config, store, trainer, replay, ingestor, progress, cache, checkpoint_path, sinks, say
    )


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


def _load_bootstrap(path: Path, say: Say) -> model_file.Checkpoint:
    say(f"Loading bootstrap checkpoint: {path}")
    return model_file.load(path)


def _bootstrap_namespace(
    store: WeightStore, bootstrap: model_file.Checkpoint | None, say: Say
) -> Weights:
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
    say(f"Bootstrapped {store.label} with {store.namespace.weights_file} (step 0)")
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


def _matching_checkpoint(
    saved: Checkpoint | None, weights: Weights, path: Path, say: Say
) -> Checkpoint | None:
    """``saved`` if the published weights are its own, else None with a line that says so."""
    if saved is None:
        return None
    same_lineage = saved.progress.lineage == weights.state["lineage"]
    digest = weights.state.get("weights_sha256")
    # Saving comes before publishing, so weights of the very step of the checkpoint are its own.
    own = saved.progress.published_sha256 == digest or saved.progress.step == weights.step
    if same_lineage and own and saved.model_config == weights.config:
        return saved
    say(
        f"{path.name} (step {saved.progress.step}) is not what step {weights.step} was published "
        "from: going on from the published weights with a fresh optimizer"
    )
    return None


def _progress_from_state(weights: Weights) -> Progress:
    ingested = weights.state.get("ingested")
    names = ingested if isinstance(ingested, list) else []
    run_id = weights.state.get("wandb_run_id")
    return Progress(
        lineage=str(weights.state["lineage"]),
        step=weights.step,
        total_games=weights.total_games,
        ledger={name for name in names if isinstance(name, str)},
        published_sha256=weights.state.get("weights_sha256"),
        wandb_run_id=run_id if isinstance(run_id, str) else None,
    )


def _open_wandb(
    config: LearnerConfig, store: WeightStore, progress: Progress, weights: Weights, say: Say
) -> WandbMetrics:
    known = weights.state.get("wandb_run_id") or progress.wandb_run_id
    sink = WandbMetrics(
        project=config.wandb_project,
        name=config.run_name,
        run_id=known,
        config=config.to_json(),
        directory=config.stores.state_dir,
    )
    progress.wandb_run_id = sink.run_id
    if sink.run_id != weights.state.get("wandb_run_id"):
        store.update_state({"wandb_run_id": sink.run_id})
    say(f"W&B run: {sink.url}")
    return sink
