"""From a parsed spec to a player: the only place where the arena opens weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from zebfast.arena.players.base import AimingPlayer, NetworkPlayer, Player, plain_player
from zebfast.arena.players.specs import (
    IsmctsOptions,
    NetworkOptions,
    PimcOptions,
    PlainOptions,
    PlayerSpec,
    PolicyOptions,
    PolicyPlace,
    RolloutSearch,
    TreeSearch,
    WeightsPlace,
)

if TYPE_CHECKING:
    from zebfast.arena.policies.asking import Asked
    from zebfast.arena.policies.options import AskingOptions
    from zebfast.core.solver_pool import SolverPool
    from zebfast.exchange.names import Namespace
    from zebfast.net.checkpoint import Checkpoint
    from zebfast.net.evaluator import Evaluator


class PlayerLoadError(ValueError):
    """A player whose weights or device cannot be used; the message is one sentence."""


def build_player(
    spec: PlayerSpec,
    *,
    device: str | None = None,
    pool: SolverPool | None = None,
    checkpoint: Checkpoint | None = None,
    threads: int | None = None,
) -> Player:
    """The player that `spec` names; a network runs on `device` (default: cuda, else cpu).

    `pool` solves for players that sample worlds; the caller owns it, all players may share it, and
    the others do without. `checkpoint` is what `load_network` says of the spec, where the caller
    has read it already. `threads`: for a network on the CPU, and its searches. Raises
    PlayerLoadError for weights that are missing, damaged or of another program, for a device that
    is not there, and where OpenSpiel is missing; ValueError where a pool is needed and missing.
    """
    options = spec.options
    if isinstance(options, PlainOptions):
        return plain_player(options.kind)
    if isinstance(options, IsmctsOptions):
        return _ismcts(spec, options)
    if isinstance(options, PolicyOptions):
        from zebfast.arena.players.policy import PolicyPlayer

        return PolicyPlayer(spec.text, open_policy(options.place, options.asking))
    if pool is None and spec.needs_pool:
        raise ValueError(f"player {spec.text!r} needs a pool of solvers")
    if isinstance(options, PimcOptions):
        from zebfast.arena.players.pimc import PimcPlayer

        return PimcPlayer(name=spec.text, pool=cast("SolverPool", pool), **asdict(options))
    checkpoint = checkpoint or load_network(spec)
    dtype = "fp32" if isinstance(options, NetworkOptions) else options.dtype
    evaluator = _evaluator(checkpoint, device, dtype, threads)
    if isinstance(options, NetworkOptions):
        player = NetworkPlayer(name=spec.text, evaluator=evaluator, temperature=options.temperature)
        return player if options.objective == "points" else AimingPlayer(spec.text, player)
    if isinstance(options, TreeSearch):
        from zebfast.arena.players.search import SearchPlayer

        return SearchPlayer(
            name=spec.text, evaluator=evaluator, options=options.search, threads=threads or 1
        )
    from zebfast.arena.players.rollouts import RolloutPlayer, Rollouts, ValuedRollouts
    from zebfast.arena.players.world_weights import BeliefHead, WorldSource
    from zebfast.arena.policies.options import AskingOptions

    told, head = options.rollout, None
    if told.belief == "head":
        with _sentences(spec):
            head = BeliefHead(checkpoint)
    rollouts = (ValuedRollouts if told.method == "value" else Rollouts)(
        evaluator=evaluator,
        pool=cast("SolverPool", pool),
        exact_tricks=told.exact_tricks,
        depth=None if told.method == "rollout" else told.depth,
        model=None if options.model is None else open_policy(options.model, AskingOptions()),
    )
    worlds = WorldSource(belief=told.belief, power=told.power, evaluator=evaluator, head=head)
    return RolloutPlayer(name=spec.text, rollouts=rollouts, worlds=worlds, options=told)


def _ismcts(spec: PlayerSpec, options: IsmctsOptions) -> Player:
    try:
        from zebfast.arena.players.openspiel import IsmctsPlayer
    except ImportError as error:
        raise PlayerLoadError(f"Player {spec.text!r} is OpenSpiel's: {error}.") from error
    return IsmctsPlayer(name=spec.text, options=options)


def open_policy(place: PolicyPlace, asking: AskingOptions) -> Asked:
    """A user's policy, compiled if it is asked so. PlayerLoadError (one sentence) where it cannot
    be."""
    from zebfast.arena.policies.asking import Asked
    from zebfast.arena.policies.load import load_policy
    from zebfast.arena.policies.policy import PolicyError

    file = Path(place.file).expanduser()
    try:
        policy = load_policy(file, place.name)
        return Asked.of(policy, f"Policy {policy.name!r} of {file}", asking)
    except PolicyError as error:
        raise PlayerLoadError(str(error)) from error


def _evaluator(
    checkpoint: Checkpoint, device: str | None, dtype: str, threads: int | None
) -> Evaluator[Any]:
    from zebfast.net.devices import (
        DEVICE,
        NeedsTorch,
        default_device,
        open_evaluator,
    )

    name = device or default_device()
    if not DEVICE.fullmatch(name):
        raise PlayerLoadError(f"Device {name!r} is unknown; expected cpu, cuda or cuda:N.")
    try:
        return open_evaluator(
            checkpoint.config, checkpoint.weights, device=name, dtype=dtype, threads=threads
        )
    except NeedsTorch as error:
        raise PlayerLoadError(f"{error}.") from error
    except (RuntimeError, AssertionError) as error:  # torch: not there, or not compiled in
        reason = str(error).splitlines()[0].rstrip(".")
        raise PlayerLoadError(f"Device {name!r} cannot be used: {reason}.") from error


def weights_digest(spec: PlayerSpec) -> str | None:
    """SHA-256 of a network's weights file, or a policy's, in hex: the same spec may name other
    weights tomorrow.

    None for players without a file. Raises PlayerLoadError where the file cannot be read.
    """
    import hashlib  # loads OpenSSL

    options, found = spec.options, hashlib.sha256()
    place = options.place if isinstance(options, PolicyOptions) else None
    if isinstance(options, RolloutSearch):
        place = options.model
    if spec.weights is None and place is None:
        return None
    with _sentences(spec):
        if spec.weights is not None:
            found.update(_weights_file(spec, spec.weights).read_bytes())
        if place is not None:
            found.update(Path(place.file).expanduser().read_bytes())
    return found.hexdigest()


def load_network(spec: PlayerSpec) -> Checkpoint:
    """A player's weights: shipped, of a checkpoint file, or of a weights directory as worker and
    learner share. Raises PlayerLoadError where they cannot be used."""
    from zebfast.net import checkpoint, shipped

    place = spec.weights or WeightsPlace()
    source = Path(place.source).expanduser()
    with _sentences(spec):
        config = None
        if place.source not in ("", shipped.WHOLE) and source.is_dir():
            config = checkpoint.read_config(source / _namespace(place).config_file)
        return checkpoint.load(_weights_file(spec, place), config=config)


def _weights_file(spec: PlayerSpec, place: WeightsPlace) -> Path:
    from zebfast.net import shipped

    if not place.source:
        return shipped.PATH
    if place.source == shipped.WHOLE:
        return shipped.WHOLE_PATH
    source = Path(place.source).expanduser()
    if source.is_dir():
        return source / _namespace(place).weights_file
    if place.name is not None:
        raise PlayerLoadError(
            f"Player {spec.text!r} gives a weights_name, but {source} is not a directory; "
            "name the weights directory, or leave weights_name out."
        )
    return source


def _namespace(place: WeightsPlace) -> Namespace:
    """The names of a run's files in its directory. ValueError for a name that none can have."""
    from zebfast.exchange.names import Namespace  # only here, and it costs 30 ms

    return Namespace.parse(place.name)


@contextmanager
def _sentences(spec: PlayerSpec) -> Iterator[None]:
    """What is wrong with weights, as a PlayerLoadError that names the player."""
    try:
        yield
    except PlayerLoadError:
        raise
    except FileNotFoundError as error:
        reason = f"{error.filename} does not exist"
        raise PlayerLoadError(f"Player {spec.text!r} has no usable weights: {reason}.") from error
    except (ValueError, OSError) as error:  # BadCheckpoint is a ValueError
        raise PlayerLoadError(f"Player {spec.text!r} has no usable weights: {error}.") from error
