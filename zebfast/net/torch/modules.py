"""The modules of either kind of network, and weights on their way into one and out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zebfast.net.networks import AnyConfig, Arrays
from zebfast.net.output import Heads
from zebfast.net.torch.encoding import record_bytes
from zebfast.net.torch.v1 import V1Net
from zebfast.net.torch.v2 import V2Net
from zebfast.net.v1 import NetConfig

AnyNet: TypeAlias = V1Net | V2Net

_Config = TypeVar("_Config")
_Net = TypeVar("_Net", bound=nn.Module)


def build(config: AnyConfig) -> AnyNet:
    """The untrained module, in training mode, on torch's default device.

    Draws its weights from torch's global generator.
    """
    return V1Net(config) if isinstance(config, NetConfig) else V2Net(config)


def network(config: AnyConfig, weights: Arrays) -> AnyNet:
    """The module with copies of these weights, in training mode, on the CPU."""
    own = {name: weight.clone() for name, weight in tensors(weights).items()}
    return filled(build, config, own).requires_grad_(True)


def untrained(config: AnyConfig, *, seed: int) -> dict[str, NDArray[np.float32]]:
    """Weights of a fresh network; the same seed gives the same ones.

    Draws from torch's global CPU generator, reseeded and put back: not for use beside other
    threads that draw from it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return arrays(build(config).state_dict())


def tensors(weights: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """The same memory as tensors on the CPU."""
    return {name: torch.from_numpy(weight) for name, weight in weights.items()}


def arrays(weights: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """As arrays: the same memory where the tensors are on the CPU."""
    return {name: weight.detach().cpu().numpy() for name, weight in weights.items()}


def as_arrays(value: Any) -> Any:
    """The same with every tensor in its dictionaries, lists and tuples as an array."""
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    return _each(value, as_arrays)


def as_tensors(value: Any) -> Any:
    """The same with every array in its dictionaries, lists and tuples as a tensor on the CPU."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    return _each(value, as_tensors)


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: change(each) for key, each in value.items()}
    return type(value)(map(change, value)) if isinstance(value, list | tuple) else value


def say(net: AnyNet, obs: NDArray[Any]) -> Heads:
    """What a module on the CPU says about OBS_DTYPE[B]."""
    inputs: Any = net  # each kind of network runs what it has prepared itself
    with torch.inference_mode():
        output = inputs.run(inputs.prepare(record_bytes(obs)))
    parts: list[Any] = [None if part is None else part.numpy() for part in output]
    return Heads(*parts)


def skeleton(build: Callable[[_Config], _Net], config: _Config) -> _Net:
    """``build(config)`` on the meta device, in training mode; nothing is drawn."""
    with torch.device("meta"), _Undrawn():
        return build(config)


def filled(
    build: Callable[[_Config], _Net], config: _Config, weights: Mapping[str, Tensor]
) -> _Net:
    """``build(config)`` whose parameters are these very tensors, in training mode."""
    net = skeleton(build, config)
    net.load_state_dict(dict(weights), assign=True)
    return net


class _Undrawn(TorchFunctionMode):
    """Tensors stay as they are where they would be filled with normally distributed numbers.

    To do that on the meta device torch imports its compiler: 2 seconds of every start.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        call = _leave if func is nn.init.normal_ else func
        return call(*args, **(kwargs or {}))


def _leave(tensor: Tensor, *_: Any, **__: Any) -> Tensor:
    return tensor
