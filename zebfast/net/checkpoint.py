"""Checkpoints: fresh, loaded safely, saved whole or not at all.

Weights are NumPy arrays: files are read and written without torch, which only untrained weights are
drawn with. Nothing is ever unpickled: ``.pt`` files go through ``exchange.archive``. Every way a
file can be wrong becomes a BadCheckpoint of one sentence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import zebfast
from zebfast.net.networks import (
    AnyConfig,
    BadCheckpoint,
    check_weights,
    config_from_dict,
    infer_config,
    sees_contracts,
)
from zebfast.net.v2 import FIRST_WEIGHT, V2Config
from zebfast.system.files import open_plain, read_plain, write_atomic
from zebfast.system.finite import require_finite
from zebfast.system.machine import installed_version
from zebfast.system.parse import parse_json

if TYPE_CHECKING:
    from zebfast.net.torch.modules import AnyNet

__all__ = [
    "BadCheckpoint",
    "Checkpoint",
    "check_weights",
    "fresh",
    "infer_config",
    "load",
    "provenance",
    "read_config",
    "read_tensors",
    "save",
    "save_state_dict",
    "warm_start",
    "write_tensors",
]

SAFETENSORS = ".safetensors"
_MAX_CONFIG_BYTES = 1 << 16
#: Types of numbers as safetensors calls them -> as NumPy does, which has no bfloat16.
_KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_HEADS = ("policy_proj", "value_head", "belief_proj")
METADATA_KEY = "zebfast"  # of a safetensors header: the model config and metadata as JSON


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights of one network (float32), its config, and what the file said about them."""

    config: AnyConfig
    weights: dict[str, NDArray[Any]]
    epoch: int = 0
    total_games: int = 0
    provenance: dict[str, Any] = field(default_factory=dict)

    def network(self) -> AnyNet:
        """The torch module with copies of these weights, in training mode, on the CPU."""
        from zebfast.net.torch.modules import network

        return network(self.config, self.weights)

    @property
    def n_parameters(self) -> int:
        """How many numbers the weights are."""
        return sum(weight.size for weight in self.weights.values())


def fresh(config: AnyConfig, *, seed: int) -> Checkpoint:
    """An untrained network; the same seed gives the same weights, drawn by torch.

    Not for use beside other threads that draw from torch's global CPU generator, which is reseeded
    and put back.
    """
    from zebfast.net.torch.modules import untrained

    weights = untrained(config, seed=seed)
    return Checkpoint(config=config, weights=weights, provenance=provenance(seed=seed))


def warm_start(
    source: Checkpoint, *, belief_head: bool, seed: int, contract: bool = False
) -> Checkpoint:
    """A new lineage from trained weights: counters at zero, what is asked for added.

    A belief head begins untrained. What a v2 network sees of contracts begins as rows of zeros, so
    that its answers are what they were. Either is kept where ``source`` has it.
    """
    config = replace(source.config, belief_head=belief_head or source.config.belief_head)
    weights = dict(source.weights)
    if contract and isinstance(config, V2Config) and not config.contract:
        config = replace(config, contract=True)
        further = config.n_bits - weights[FIRST_WEIGHT].shape[1]
        weights[FIRST_WEIGHT] = np.pad(weights[FIRST_WEIGHT], ((0, 0), (0, further)))
    new = {} if config.parameters().keys() == weights.keys() else fresh(config, seed=seed).weights
    origin = {"epoch": source.epoch, "total_games": source.total_games, **source.provenance}
    return Checkpoint(
        config=config,
        weights={**new, **weights},
        provenance=provenance(seed=seed, warm_start=origin),
    )


def provenance(**facts: object) -> dict[str, Any]:
    """What wrote a file: program, version, torch where it is, time in UTC, and the given facts."""
    torch = installed_version("torch")
    return {
        "program": "zebfast",
        "version": zebfast.__version__,
        **({} if torch is None else {"torch": torch}),
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
        if isinstance(declared, V2Config) and "contract" not in own:
            declared = replace(declared, contract=sees_contracts(weights))
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
    from zebfast.exchange.archive import BadArchive, read_archive

    with open_plain(path) as file:
        try:
            held = read_archive(file)
        except BadArchive as problem:
            raise BadCheckpoint(f"it {problem}") from None
    if not isinstance(held, Mapping):
        raise BadCheckpoint("it holds something other than weights")
    return held


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors import deserialize

    with open_plain(path) as file:
        data = file.read()
    try:
        found: Any = deserialize(data)  # type: ignore[no-untyped-call]  # compares every place and shape with what there is
        header = parse_json(data[8 : 8 + int.from_bytes(data[:8], "little")])
        facts = parse_json(header.get("__metadata__", {}).get(METADATA_KEY, "{}"))
    except Exception:  # hostile bytes can raise anything; refused either way
        raise BadCheckpoint("it is damaged or not a safetensors file") from None
    if not isinstance(facts, dict):
        raise BadCheckpoint(f"its {METADATA_KEY!r} metadata is not a JSON object")
    return {**facts, "model_state_dict": {name: _array(name, held) for name, held in found}}


def read_tensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and facts of any safetensors file of ours. Raises BadCheckpoint and OSError."""
    facts = dict(_read_safetensors(path))
    return facts.pop("model_state_dict"), facts


def write_tensors(
    tensors: Mapping[str, NDArray[Any]], facts: Mapping[str, Any], path: Path
) -> None:
    """Write what `read_tensors` reads, whole or not at all. Raises OSError."""
    from safetensors.numpy import save as serialize

    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    write_atomic(path, serialize(arrays, metadata={METADATA_KEY: json.dumps(dict(facts))}))


def _array(name: str, held: Mapping[str, Any]) -> NDArray[Any]:
    """The numbers of one entry of a safetensors file; bfloat16 as float32 of the same values."""
    kind = held["dtype"]
    if kind not in _KINDS:
        raise BadCheckpoint(f"{name!r} holds {kind} instead of floating-point numbers")
    flat = np.frombuffer(held["data"], _KINDS[kind])
    if kind == "BF16":
        from zebfast.exchange.archive import widened

        flat = widened(flat)
    return flat.reshape(held["shape"])


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
    weights = {name: np.ascontiguousarray(w) for name, w in checkpoint.weights.items()}
    if path.suffix == SAFETENSORS:
        write_tensors(weights, facts, path)
    else:
        write_atomic(path, _pt_bytes({"model_state_dict": weights, **facts}))


def save_state_dict(weights: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write the plain ``state_dict`` that weights are exchanged as, whole or not at all."""
    write_atomic(path, _pt_bytes(dict(weights)))


def _pt_bytes(held: Mapping[str, Any]) -> bytes:
    from zebfast.exchange.archive_writer import archive_bytes

    return archive_bytes(held)


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
            name: _joined(name, [network.weights[name] for network in networks])
            for name in networks[0].weights
        },
        provenance=provenance(side_by_side=[network.provenance for network in networks]),
    )


def _shape(network: Checkpoint) -> str:
    return ", ".join(f"{name} {value}" for name, value in network.config.to_dict().items())


def _joined(name: str, parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    if name.startswith(_HEADS):
        shares = [part / np.float32(len(parts)) for part in parts]
        return np.concatenate(shares, axis=1) if shares[0].ndim == 2 else np.sum(shares, axis=0)
    joined = np.concatenate(parts)
    if name.endswith(("up.weight", "down.weight")):  # square: one network's beside another's
        width = joined.shape[1]
        square = np.zeros((len(joined), len(joined)), np.float32)
        for i in range(0, len(joined), width):
            square[i : i + width, i : i + width] = joined[i : i + width]
        return square
    return joined
