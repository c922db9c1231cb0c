"""From a parsed spec to a player: the only place where the arena opens weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from zebfast.arena.players import NetworkPlayer, Player, plain_player
from zebfast.arena.specs import NETWORK_PLAYER, PlayerSpec

if TYPE_CHECKING:
    from zebfast.net.checkpoint import Checkpoint

_DEVICE = re.compile(r"cpu|cuda(:\d+)?")


class PlayerLoadError(ValueError):
    """A player whose weights or device cannot be used; the message is one sentence."""


def build_player(spec: PlayerSpec, *, device: str | None = None) -> Player:
    """The player that `spec` names; a network runs on `device` (default: cuda, else cpu).

    torch is imported only when a network is asked for. Raises PlayerLoadError for weights that
    are missing, damaged or of another program, and for a device that is not there.
    """
    if spec.kind != NETWORK_PLAYER:
        return plain_player(spec.kind)
    import torch

    from zebfast.net.evaluator import Evaluator

    checkpoint = _load(spec)
    name = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if not _DEVICE.fullmatch(name):
        raise PlayerLoadError(f"Device {name!r} is unknown; expected cpu, cuda or cuda:N.")
    try:
        evaluator = Evaluator(checkpoint.config, checkpoint.weights, device=name)
    except (RuntimeError, AssertionError) as error:  # torch: not there, or not compiled in
        reason = str(error).splitlines()[0].rstrip(".")
        raise PlayerLoadError(f"Device {name!r} cannot be used: {reason}.") from error
    return NetworkPlayer(name=spec.text, evaluator=evaluator, temperature=spec.temperature)


def _load(spec: PlayerSpec) -> Checkpoint:
    """Weights from a checkpoint file, or from a weights directory as worker and learner share."""
    from zebfast.exchange.base import ExchangeError
    from zebfast.exchange.local import LocalWeightStore
    from zebfast.exchange.namespace import Namespace
    from zebfast.net import checkpoint
    from zebfast.net.v1 import NetConfig

    source = Path(spec.source).expanduser()
    try:
        if not source.is_dir():
            if spec.weights_name is not None:
                raise PlayerLoadError(
                    f"Player {spec.text!r} gives a weights_name, but {source} is not a directory; "
                    "name the weights directory, or leave weights_name out."
                )
            return checkpoint.load(source)
        namespace = Namespace.parse(spec.weights_name)
        fields = LocalWeightStore(source, namespace).read_config()
        config = None if fields is None else NetConfig.from_dict(fields)
        return checkpoint.load(source / namespace.weights_file, config=config)
    except PlayerLoadError:
        raise
    except (ValueError, ExchangeError, OSError) as error:  # BadCheckpoint is a ValueError
        raise PlayerLoadError(f"Player {spec.text!r} has no usable weights: {error}.") from error
