"""Puts the simulated world in the place of the real one, everywhere in the program at once.

What a module of the program knows by a name (``time``, ``threading``, a class) is replaced in every
module that knows it, so that it does not matter in which file something is used.
"""

from __future__ import annotations

import inspect
import queue
import random
import secrets
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FunctionType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import huggingface_hub.utils

from tests.simulation import kernel as sim
from tests.simulation import stand_ins
from tests.simulation.disks import Disks
from tests.simulation.hub import Api, Pool
from tests.simulation.kernel import Kernel
from zebfast.exchange.hub import bucket, client, dataset, examples  # noqa: F401 - to be patched
from zebfast.learner import loop, session
from zebfast.learner.train.trainer import Trainer
from zebfast.net.evaluator import Evaluator
from zebfast.system import clock as machine_clock
from zebfast.system import events
from zebfast.system.signals import StopFlag
from zebfast.worker import network, producer_switch

EPOCH = 1_790_000_000.0  # unix seconds at which all simulations begin
_TIME, _MONOTONIC = time.time, time.monotonic


class Clock:
    """Stands in for the module ``time``: a machine's wall clock may be wrong, and be changed."""

    strftime, gmtime, localtime = time.strftime, time.gmtime, time.localtime
    CLOCK_MONOTONIC, CLOCK_BOOTTIME = 1, 7

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def time(self) -> float:
        task = self._kernel.current
        return EPOCH + self._kernel.now + (task.process.host.skew if task else 0.0)

    def time_ns(self) -> int:
        return int(self.time() * 1e9)

    def monotonic(self) -> float:
        task = self._kernel.current
        return self._kernel.now + (task.process.host.uptime if task else 0.0)

    perf_counter = monotonic

    def clock_gettime(self, _which: int) -> float:
        return self.monotonic()

    def sleep(self, seconds: float) -> None:
        self._kernel.block(seconds)


def _modules() -> list[Any]:
    return [
        module for name, module in sorted(sys.modules.items())
        if name.split(".")[0] == "zebfast" and module is not None
    ]  # fmt: skip


def _everywhere(stack: ExitStack, old: Any, new: Any) -> None:
    """``new`` for ``old`` under every name that a module has it by."""
    for module in _modules():
        for name, value in list(vars(module).items()):
            if value is old:
                stack.enter_context(patch.object(module, name, new))


def _defaults(stack: ExitStack, changes: dict[Any, Any]) -> None:
    """The same for defaults of arguments, which were taken when a function was made."""

    def functions(space: Any) -> Iterator[FunctionType]:
        for value in list(vars(space).values()):
            if isinstance(value, FunctionType):
                yield value
            elif inspect.isclass(value) and value.__module__.startswith("zebfast"):
                yield from (f for f in vars(value).values() if isinstance(f, FunctionType))

    seen = set()
    for module in _modules():
        for function in functions(module):
            if function in seen:
                continue
            seen.add(function)
            keyword = function.__kwdefaults__ or {}
            if any(_known(value, changes) for value in keyword.values()):
                renewed = {k: changes[v] if _known(v, changes) else v for k, v in keyword.items()}
                stack.enter_context(patch.object(function, "__kwdefaults__", renewed))
            plain = function.__defaults__ or ()
            if any(_known(value, changes) for value in plain):
                changed = tuple(changes[v] if _known(v, changes) else v for v in plain)
                stack.enter_context(patch.object(function, "__defaults__", changed))


def _known(value: Any, changes: dict[Any, Any]) -> bool:
    return callable(value) and getattr(value, "__hash__", None) is not None and value in changes


@contextmanager
def simulated(
    kernel: Kernel,
    disks: Disks,
    rng: random.Random,
    hub: Api,
    *,
    step_seconds: float,
    game_seconds: float,
    nap_seconds: float,
    told: Callable[[sim.Process, events.Event], None],
) -> Iterator[None]:
    """The program lives in the simulated world while the context lasts."""
    clock = Clock(kernel)
    threads = SimpleNamespace(
        Thread=partial(sim.Thread, kernel),
        Lock=partial(sim.Lock, kernel),
        RLock=partial(sim.Lock, kernel),
        Condition=partial(sim.Condition, kernel),
        Event=partial(sim.Event, kernel),
        local=threading.local,
        current_thread=threading.current_thread,
        main_thread=threading.main_thread,
        get_ident=threading.get_ident,
    )
    queues = SimpleNamespace(
        Queue=_Generic(partial(sim.Queue, kernel)), Empty=queue.Empty, Full=queue.Full
    )

    def emit(event: events.Event) -> None:
        task = kernel.current
        if task is None or task.process.dead:
            return
        told(task.process, event)
        for take in task.process.subscribers:
            take(event)

    @contextmanager
    def subscribed(*subscribers: Any) -> Iterator[None]:
        task = kernel.current
        assert task is not None
        process = task.process
        process.subscribers = (*process.subscribers, *subscribers)
        try:
            yield
        finally:
            left = list(process.subscribers)
            for each in subscribers:
                left.remove(each)
            process.subscribers = tuple(left)

    def host_name() -> str:
        task = kernel.current
        return str(task.process.host.name) if task else "nowhere"

    def boot_id() -> str:
        task = kernel.current
        return f"{task.process.host.name} {task.process.host.boots}" if task else ""

    def open_producer(_config: Any, _evaluator: Any, *, seed: int, first_game: int) -> Any:
        return stand_ins.Producer(kernel, game_seconds, seed=seed, first_game=first_game)

    with ExitStack() as stack:
        _everywhere(stack, time, clock)
        _everywhere(stack, threading, threads)
        _everywhere(stack, queue, queues)
        _everywhere(stack, events.emit, emit)
        _everywhere(stack, events.subscribed, subscribed)
        _everywhere(stack, StopFlag, partial(sim.StopFlag, kernel))
        _everywhere(stack, Trainer, partial(stand_ins.Trainer, kernel, step_seconds))
        _everywhere(stack, Evaluator, stand_ins.Evaluator)
        _everywhere(stack, machine_clock.boot_id, boot_id)
        _everywhere(stack, random, random.Random(rng.random()))
        _defaults(
            stack,
            {_TIME: clock.time, _MONOTONIC: clock.monotonic, shutil.disk_usage: disks.usage},
        )
        for target, name, new in (
            (session, "build_net", stand_ins.build_net),
            (session.model_file, "load", stand_ins.first_checkpoint),
            (network, "config_from_dict", lambda config: config),
            (producer_switch, "open_producer", open_producer),
            (client.HubClient, "api", hub),
            (dataset, "ThreadPoolExecutor", Pool),
            (huggingface_hub.utils, "get_session", lambda: hub),
            (socket, "gethostname", host_name),
            (secrets, "token_hex", lambda n=16: f"{rng.getrandbits(8 * n):0{2 * n}x}"),
            (secrets, "randbits", rng.getrandbits),
        ):
            stack.enter_context(patch.object(target, name, new))
        stack.enter_context(patch.object(loop, "_NAP_SECONDS", nap_seconds))
        stack.enter_context(disks.installed())
        yield


class _Generic:
    """A factory that may be written with a type in brackets."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._make(*args, **kwargs)

    def __class_getitem__(cls, _item: Any) -> Any:
        return cls

    def __getitem__(self, _item: Any) -> Any:
        return self
