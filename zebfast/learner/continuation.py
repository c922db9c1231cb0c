"""What a learner run continues from, and what it refuses.

The published weights are the truth. The local training checkpoint is used when those weights came
from it (it also has the optimizer). Where training went on and published more after it was saved,
as on a machine that is gone, weights and counters are the published ones and only the optimizer is
the checkpoint's. Otherwise somebody published something else since, and training goes on from that
with a fresh optimizer.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from zebfast.exchange import ExchangeError, Say, Weights, WeightStore
from zebfast.learner.checkpoint import Checkpoint, Progress, fingerprint
from zebfast.learner.config import LearnerConfig
from zebfast.learner.course import course_from_state, course_to_state
from zebfast.learner.streams import streams_from_state
from zebfast.net import checkpoint as model_file
from zebfast.net.networks import AnyNet, config_from_dict
from zebfast.net.weights import check_weights


class StartError(ExchangeError):
    """One sentence: why this run cannot begin, and what to do."""


@dataclass(frozen=True)
class Continuation:
    """Where training goes on: weights, counters, and what the trainer had besides, if known."""

    weights: Mapping[str, Tensor]
    progress: Progress
    trainer: dict[str, Any] | None
    optimizer_steps: int


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

    Without one, a recipe's namespace is started from its untrained network of the run's seed.

    Raises:
        StartError, ExchangeError: one sentence; TransientError when a later try may succeed.
    """
    weights = store.pull()
    if weights is None:
        if bootstrap is None and config.recipe is not None:
            bootstrap = model_file.fresh(config.recipe.network.config(), seed=config.seed)
        weights = _bootstrap_namespace(store, bootstrap)
        place = store.label if config.weights.path else f"HF repo {store.label}"
        say(f"Bootstrapped {place} with {config.namespace.weights_file} (step 0)")
    else:
        place = store.label if config.weights.path else "HF"
        say(
            f"Pulling weights from {place}: {config.namespace.weights_file} "
            f"(step {weights.step}, {weights.total_games:,} games)"
        )
        check_same_network(bootstrap, weights, store)
    if "lineage" not in weights.state:
        lineage = {"lineage": secrets.token_hex(8)}
        weights = Weights(weights.state_dict, weights.config, store.update_state(lineage))
    return weights


def build_net(
    config: Mapping[str, Any], state_dict: Mapping[str, Tensor], *, source: str
) -> AnyNet:
    """Network of a published config with these weights. StartError when they do not fit."""
    try:
        net_config = config_from_dict(config)
        weights = check_weights(net_config, state_dict)
    except ValueError as error:
        raise StartError(
            f"config and weights in {source} do not belong together ({error}): put back the config "
            "that these weights were published with"
        ) from error
    return model_file.Checkpoint(config=net_config, weights=weights).network()


def continuation(saved: Checkpoint | None, weights: Weights, path: Path, say: Say) -> Continuation:
    """What a run goes on from, given the checkpoint at ``path`` and the published weights."""
    published = progress_from_state(weights)
    n_steps = int(weights.state.get("optimizer_steps", 0))
    fresh = Continuation(weights.state_dict, published, None, n_steps)
    if saved is None:
        return fresh
    own, step = saved.progress, saved.progress.step
    if own.lineage == published.lineage and saved.model_config == weights.config:
        if published.published[0] in own.published:
            say(f"Continuing {path.name} from cycle {step}, optimizer included")
            if not _counts_more(published, own):
                n_own = int(saved.trainer["optimizer_steps"])
                return Continuation(saved.model_state_dict, own, saved.trainer, n_own)
            # The same weights were published again later, when more files had been counted.
            published.published = own.published
            published.steps_into_cycle = own.steps_into_cycle
            if fingerprint(step, saved.published_weights) == published.published[0]:
                return Continuation(saved.model_state_dict, published, saved.trainer, n_steps)
            return Continuation(weights.state_dict, published, _without_average(saved), n_steps)
        if _went_on_from(saved, weights):
            say(
                f"Step {weights.step} was published after {path.name} (step {step}) was saved: "
                f"going on from the published weights and counts, with the optimizer of step {step}"
            )
            return Continuation(weights.state_dict, published, _without_average(saved), n_steps)
    say(
        f"{path.name} (step {step}) is not what step {weights.step} was published from: going on "
        "from the published weights with a fresh optimizer"
    )
    return fresh


def _without_average(saved: Checkpoint) -> dict[str, Any]:
    """The trainer's state for other weights than the saved ones, of which it has the average."""
    return {key: value for key, value in saved.trainer.items() if key != "average"}


def _counts_more(published: Progress, own: Progress) -> bool:
    """Has the published state counted files that the checkpoint has not?

    Both counts only grow, and of the same weights one of the two counted what the other did.
    """
    more_games = published.total_games > own.total_games
    return more_games or published.eval_aux_games > own.eval_aux_games


def _went_on_from(saved: Checkpoint, weights: Weights) -> bool:
    """Were the published weights trained further than the checkpoint, and not reverted since?"""
    steps, reverted_at = weights.state.get("optimizer_steps"), weights.state.get("reverted_at", -1)
    return (
        type(steps) is int
        and steps > int(saved.trainer["optimizer_steps"])
        and weights.step >= saved.progress.step
        and not (type(reverted_at) is int and reverted_at > saved.progress.step)
    )


def progress_from_state(weights: Weights) -> Progress:
    """Where training stands according to the published state alone."""
    run_id = weights.state.get("wandb_run_id")
    # What is beside it is renewed between pushes, and may count files that are not in the ledger.
    counted = weights.state.get("counted")
    account = counted if isinstance(counted, dict) else weights.state
    games = account.get("eval_aux_games")
    return Progress(
        lineage=str(weights.state["lineage"]),
        step=weights.step,
        total_games=weights.total_games,
        ledger=set(published_ledger(weights)),
        published=[fingerprint(weights.step, weights.state_dict)],
        wandb_run_id=run_id if isinstance(run_id, str) else None,
        eval_aux_games=games if type(games) is int and games >= 0 else 0,
        streams=streams_from_state(account),
        course=course_from_state(account),
    )


def counted_state(progress: Progress, optimizer_steps: int) -> dict[str, Any]:
    """The keys of the published state that say what its weights have counted, all at one moment."""
    account = progress.streams.to_json()
    return {
        "step": progress.step,
        "total_games": progress.total_games,
        "lineage": progress.lineage,
        "optimizer_steps": optimizer_steps,
        "ingested": sorted(progress.ledger),
        "counted": {
            "eval_aux_games": progress.eval_aux_games,
            "streams": account["sources"],
            "workers": account["workers"],
            **course_to_state(progress.course),
        },
    }


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
