"""Checkpoints: fresh, loaded safely, saved whole or not at all.

Nothing is ever unpickled: ``.pt`` files go through ``exchange.archive``. Every way a file can be
wrong becomes a BadCheckpoint of one sentence.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save as serialize
from torch import Tensor

import zebfast
from zebfast.exchange.archive import BadArchive, read_archive
from zebfast.net.networks import (
    AnyConfig,
    AnyNet,
    BadCheckpoint,
    build,
    check_weights,
    config_from_dict,
    filled,
    infer_config,
)
from zebfast.net.v2 import V2Config
from zebfast.system.files import open_plain, read_plain, write_atomic
from zebfast.system.finite import require_finite
from zebfast.system.parse import parse_json

__all__ = [
    "BadCheckpoint",
    "Checkpoint",
    "check_weights",
    "fresh",
    "infer_config",
    "load",
    "provenance",
    "read_config",
    "save",
    "save_state_dict",
    "warm_start",
]

SAFETENSORS = ".safetensors"
_MAX_CONFIG_BYTES = 1 << 16
_HEADS = ("policy_proj", "value_head", "belief_proj")
METADATA_KEY = "zebfast"  # of a safetensors header: the model config and metadata as JSON


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights of one network (float32, CPU), its config, and what the file said about them."""

    config: AnyConfig
    weights: dict[str, Tensor]
    epoch: int = 0
    total_games: int = 0
    provenance: dict[str, Any] = field(default_factory=dict)

    def network(self) -> AnyNet:
        """The module with these weights, in training mode, on the CPU."""
        own = {k: v.clone() for k, v in self.weights.items()}
        return filled(build, self.config, own).requires_grad_(True)


def fresh(config: AnyConfig, *, seed: int) -> Checkpoint:
    """An untrained network; the same seed gives the same weights.

    Draws from torch's global CPU generator, reseeded and put back: not for use beside other
    threads that draw from it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weights = {name: w.detach() for name, w in build(config).state_dict().items()}
    return Checkpoint(config=config, weights=weights, provenance=provenance(seed=seed))


def warm_start(source: Checkpoint, *, belief_head: bool, seed: int) -> Checkpoint:
    """A new lineage from trained weights: counters at zero, a fresh belief head added if asked.

    A belief head that ``source`` has is kept either way.
    """
    config = replace(source.config, belief_head=belief_head or source.config.belief_head)
    start = fresh(config, seed=seed)
    origin = {"epoch": source.epoch, "total_games": source.total_games, **source.provenance}
    return replace(
        start,
        weights={**start.weights, **source.weights},
        provenance=provenance(seed=seed, warm_start=origin),
    )


def provenance(**facts: object) -> dict[str, Any]:
    """What wrote a file: program, version, time in UTC, and the given facts."""
    return {
        "program": "zebfast",
        "version": zebfast.__version__,
        "torch": str(torch.__version__),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
    }


def load(path: Path, *, config: AnyConfig | None = None) -> Checkpoint:
    """Read a checkpoint: a dict as published, a plain ``state_dict``, or safetensors.

    ``config``: what the weights must fit; otherwise the file's own, or the published size they
    have. BadCheckpoint (one sentence naming the file) whatever is wrong with it.
    """
    try:
        held = _read_safetensors(path) if path.suffix == SAFETENSORS else _read_pt(path)
        return _checkpoint(held, config)
    except BadCheckpoint as problem:
        raise BadCheckpoint(f"cannot use checkpoint {path}: {problem}") from None
    except ValueError as problem:  # a config no network can have
        raise BadCheckpoint(f"cannot use checkpoint {path}: {problem}") from None
    except FileNotFoundError:
        raise BadCheckpoint(f"checkpoint {path} does not exist") from None
    except OSError as problem:
        raise BadCheckpoint(f"cannot read checkpoint {path}: {problem.strerror}") from None


def read_config(path: Path) -> AnyConfig | None:
    """The network config in a JSON file, as published beside weights; None where there is none.

    BadCheckpoint (one sentence naming the file) for anything else that it holds.
    """
    try:
        return config_from_dict(parse_json(read_plain(path, _MAX_CONFIG_BYTES)))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError) as problem:
        raise BadCheckpoint(f"cannot use the network config {path}: {problem}") from None


def _checkpoint(held: Mapping[str, Any], config: AnyConfig | None) -> Checkpoint:
    weights, own = held.get("model_state_dict"), held.get("model_config")
    if weights is None and own is None:
        weights = held  # a plain state_dict
    if not isinstance(weights, Mapping) or not all(isinstance(k, str) for k in weights):
        raise BadCheckpoint("it has no model_state_dict")
    if own is not None:
        if not isinstance(own, Mapping):
            raise BadCheckpoint("its model_config is not a dict")
        declared = config_from_dict(own)
        if config is not None and declared != config:
            raise BadCheckpoint(
                f"its network is {declared.to_dict()}, but {config.to_dict()} is needed"
            )
        config = declared
    if config is None:
        config = infer_config(weights)
    origin = held.get("provenance")
    return Checkpoint(
        config=config,
        weights=check_weights(config, weights),
        epoch=_count(held, "epoch"),
        total_games=_count(held, "total_games"),
        provenance=dict(origin) if isinstance(origin, Mapping) else {},
    )


def _count(held: Mapping[str, Any], name: str) -> int:
    value = held.get(name, 0)
    if type(value) is not int or value < 0:
        raise BadCheckpoint(f"its {name} is {value!r} instead of a count")
    return value


def _read_pt(path: Path) -> Mapping[str, Any]:
    with open_plain(path) as file:
        try:
            held = read_archive(file)
        except BadArchive as problem:
            raise BadCheckpoint(f"it {problem}") from None
    if not isinstance(held, Mapping):
        raise BadCheckpoint("it holds something other than weights")
    return held


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(METADATA_KEY, "{}")
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts = parse_json(header)
    except OSError:
        raise
    except Exception:  # as above
        raise BadCheckpoint("it is damaged or not a safetensors file") from None
    if not isinstance(facts, dict):
        raise BadCheckpoint(f"its {METADATA_KEY!r} metadata is not a JSON object")
    return {**facts, "model_state_dict": weights}


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write the published layout (``.pt``) or safetensors (by suffix), whole or not at all.

    OSError if the disk does not take it, NotFinite for weights that are no numbers; nothing is
    left behind then, and what was there before stays.
    """
    require_finite(checkpoint.weights, str(path))
    facts = {
        "model_config": checkpoint.config.to_dict(),
        "epoch": checkpoint.epoch,
        "total_games": checkpoint.total_games,
        "provenance": checkpoint.provenance,
    }
    weights = {name: w.detach().contiguous() for name, w in checkpoint.weights.items()}
    if path.suffix == SAFETENSORS:
        write_atomic(path, serialize(weights, metadata={METADATA_KEY: json.dumps(facts)}))
    else:
        write_atomic(path, _pt_bytes({"model_state_dict": weights, **facts}))


def save_state_dict(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write the plain ``state_dict`` that weights are exchanged as, whole or not at all."""
    write_atomic(path, _pt_bytes(dict(weights)))


def _pt_bytes(held: Mapping[str, Any]) -> bytes:
    """Serialised in memory first: torch hides a full disk behind errors of its own."""
    buffer = io.BytesIO()
    torch.save(held, buffer)
    return buffer.getvalue()


def widen(networks: Sequence[Checkpoint]) -> Checkpoint:
    """Several v2 networks as one of their widths together: logits are about the means of theirs.

    To go on with where each has learned all that its width holds (after Chen et al., Net2Net, 2016:
    grow a network without losing what it does).

    Not exactly so: its norms are over all units, where each network had its own. Networks that were
    trained alike have streams of nearly one size, and little changes. No unit of one network looks
    at another's yet; training joins them.

    Counters start at zero; the provenance names what the networks said of themselves. ValueError
    (one sentence) for fewer than two, or for networks that are not v2 of one shape.
    """
    if len(networks) < 2:
        raise ValueError("one network has none beside it: expected two or more")
    config = networks[0].config
    shapes = dict.fromkeys(_shape(network) for network in networks)
    if len(shapes) > 1 or not isinstance(config, V2Config):
        raise ValueError(
            f"networks side by side must be v2 and of one shape, not {' and '.join(shapes)}"
        )
    return Checkpoint(
        config=replace(config, width=config.width * len(networks)),
        weights={
            name: _joined(name, [network.weights[name].float() for network in networks])
            for name in networks[0].weights
        },
        provenance=provenance(side_by_side=[network.provenance for network in networks]),
    )


def _shape(network: Checkpoint) -> str:
    return ", ".join(f"{name} {value}" for name, value in network.config.to_dict().items())


def _joined(name: str, tensors: list[Tensor]) -> Tensor:
    if name.startswith(_HEADS):
        parts = [tensor / len(tensors) for tensor in tensors]
        return torch.cat(parts, dim=1) if parts[0].dim() == 2 else torch.stack(parts).sum(dim=0)
    if name.endswith(("up.weight", "down.weight")):
        square: Tensor = torch.block_diag(*tensors)  # type: ignore[no-untyped-call]
        return square
    return torch.cat(tensors)
