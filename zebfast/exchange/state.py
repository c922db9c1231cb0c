"""What a namespace's files must look like, wherever they lie: checks on bytes from outside.

torch is imported where weights are packed or unpacked: commands that only look at places start in
a fraction of a second without it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

from zebfast.exchange.errors import ExchangeError
from zebfast.exchange.store import StateDict
from zebfast.system.finite import require_finite

MAX_WEIGHT_BYTES = 1 << 30
MAX_JSON_BYTES = 16 << 20
UNPUBLISHED = {"step": 0, "total_games": 0}
"""The state of weights that came without one."""


def json_bytes(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(dict(value), indent=2) + "\n").encode()


def parse_object(data: bytes, source: str) -> dict[str, Any]:
    """The JSON object in ``data``; ExchangeError, naming ``source``, when it is anything else."""
    try:
        value = json.loads(data) if len(data) <= MAX_JSON_BYTES else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ExchangeError(f"{source} cannot be used: expected one JSON object of at most 16 MB")
    return value


def parse_state(data: bytes, source: str) -> dict[str, Any]:
    """A state file's content with usable counters. ExchangeError names ``source``."""
    state = parse_object(data, source)
    for key in ("step", "total_games"):
        value = state.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ExchangeError(
                f"state file {source} has {key} = {value!r:.40}: expected a whole number from 0"
            )
    return state


def pack_weights(state_dict: StateDict) -> tuple[bytes, str]:
    """The bytes of a weights file, and their SHA-256. NotFinite for what is no numbers."""
    import torch

    require_finite(state_dict, "the weights file")
    buffer = io.BytesIO()
    torch.save({k: v.detach().cpu().contiguous() for k, v in state_dict.items()}, buffer)
    data = buffer.getvalue()
    return data, hashlib.sha256(data).hexdigest()


def unpack_weights(data: bytes, source: str) -> StateDict:
    """The plain state_dict in ``data``, read without unpickling freely. ExchangeError otherwise."""
    import torch

    check_weight_size(len(data), source)
    try:
        value = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # hostile bytes can raise anything; the file is refused either way
        raise ExchangeError(
            f"weights file {source} cannot be read ({type(error).__name__}): expected a state_dict "
            "saved by torch.save"
        ) from error
    if not isinstance(value, dict) or not all(
        isinstance(k, str) and type(v) is torch.Tensor for k, v in value.items()
    ):
        raise ExchangeError(f"weights file {source} is not a plain state_dict of named tensors")
    return value


def check_weight_size(n_bytes: int, source: str) -> None:
    if n_bytes > MAX_WEIGHT_BYTES:
        raise ExchangeError(f"weights file {source} is over 1 GB: expected a Texas 42 network")


class Unannounced(ExchangeError):
    """Weights at ``source`` that their state does not vouch for."""

    def __init__(self, source: str, state_file: str) -> None:
        super().__init__(
            f"{source} is not the file that {state_file} announces: put back the matching pair, "
            "or remove weights_sha256 from the state to accept these weights"
        )


def without_config(source: str, expected: str) -> ExchangeError:
    """For weights at ``source`` that no config says the shape of."""
    return ExchangeError(f"{source} has no config beside it: expected {expected}")


def announced(state: Mapping[str, Any], data: bytes) -> bool:
    """Does the state vouch for these weights? One that names no SHA-256 vouches for any."""
    pending = state.get("pending")
    named = [state.get("weights_sha256")]
    if isinstance(pending, dict):
        named.append(pending.get("weights_sha256"))
    named = [name for name in named if name is not None]
    return not named or hashlib.sha256(data).hexdigest() in named
