"""Published weights as a checkpoint: what warm starts and reverts begin from."""

from __future__ import annotations

import re

from zebfast.exchange import ExchangeError, Revision, Weights, WeightStore
from zebfast.net import checkpoint as checkpoints
from zebfast.net.checkpoint import BadCheckpoint, Checkpoint
from zebfast.net.networks import config_from_dict
from zebfast.net.weights import check_weights

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
    return as_checkpoint(weights, store, revision=exact)


def as_checkpoint(weights: Weights, store: WeightStore, *, revision: str | None) -> Checkpoint:
    """Pulled weights as a checkpoint. ExchangeError when they do not fit their own config."""
    try:
        config = config_from_dict(weights.config)
        checked = check_weights(config, weights.state_dict)
    except (ValueError, BadCheckpoint) as error:
        raise ExchangeError(
            f"{store.namespace.weights_file} in {store.label} cannot be used: {error}"
        ) from error
    facts = {
        "source": store.label,
        "weights_name": store.namespace.stem,
        "revision": revision,
        "step": weights.step,
    }
    return Checkpoint(
        config=config,
        weights=checked,
        epoch=weights.step,
        total_games=weights.total_games,
        provenance=checkpoints.provenance(**facts),
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
