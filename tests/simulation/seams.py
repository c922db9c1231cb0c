"""Puts the simulated world in the place of the real one, everywhere in the program at once.

What a module of the program knows by a name (``time``, ``threading``, a class) is replaced in every
module that knows it, so that it does not matter in which file something is used.
"""

from __future__ import annotations

import functools
import queue
import random
import secrets
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FunctionType, SimpleNamespace
from typing import Any

import huggingface_hub.utils
import numpy.random  # noqa: F401 - draws a number as it is loaded, which would be the world's

from tests.simulation import kernel as sim
from tests.simulation import stand_ins
from tests.simulation.disks import Disks
from tests.simulation.hub import Api, Pool
from tests.simulation.kernel import Kernel
from zebfast.exchange.hub import bucket, client, dataset, examples  # noqa: F401 - to be patched
from zebfast.learner import loop, session
from zebfast.learner.train.trainer import Trainer
from zebfast.net.devices import open_evaluator
from zebfast.system import clock as machine_clock
from zebfast.system import events
from zebfast.system.signals import StopFlag
from zebfast.worker import network, producer_switch

EPOCH = 1_790_000_000.0  # unix seconds at which all simulations begin
_TIME, _MONOTONIC = time.time, time.monotonic
#: Functions that the program has as defaults of arguments, too.
_TAKEN = frozenset({_TIME, _MONOTONIC, shutil.disk_usage})


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


class Names:
    """Where the program knows what it gets from outside: looked for once, as that takes longest."""

    def __init__(self) -> None:
        self.n_modules = len(_modules())
        self._by_id: dict[int, list[tuple[Any, str]]] = {}
        self.defaults: list[tuple[FunctionType, str, Any]] = []
        seen: set[FunctionType] = set()
        for module in _modules():
            for name, value in vars(module).items():
                if not isinstance(value, str | int | float | None):
                    self._by_id.setdefault(id(value), []).append((module, name))
            for function in _functions(module):
                if function not in seen:
                    seen.add(function)
                    self._note_defaults(function)

    def _note_defaults(self, function: FunctionType) -> None:
        """Defaults were taken when the function was made, whatever its module knows now."""
        by_name = function.__kwdefaults__ or {}
        if any(value in _TAKEN for value in by_name.values() if callable(value)):
            self.defaults.append((function, "__kwdefaults__", by_name))
        in_order = function.__defaults__ or ()
        if any(value in _TAKEN for value in in_order if callable(value)):
            self.defaults.append((function, "__defaults__", in_order))

    def of(self, value: Any) -> list[tuple[Any, str]]:
        return self._by_id.get(id(value), [])

    @classmethod
    @functools.lru_cache(1)
    def known(cls, _n_modules: int) -> Names:
        return cls()


def _functions(space: Any) -> Iterator[FunctionType]:
    for value in vars(space).values():
        if isinstance(value, FunctionType):
            yield value
        elif isinstance(value, type) and value.__module__.startswith("zebfast"):
            yield from (each for each in vars(value).values() if isinstance(each, FunctionType))


class Patches:
    """Attributes that are other than they were until ``undo``."""

    def __init__(self) -> None:
        self._names = Names.known(len(_modules()))
        self._before: list[tuple[Any, str, Any]] = []

    def set(self, target: Any, name: str, new: Any) -> None:
        self._before.append((target, name, getattr(target, name)))
        setattr(target, name, new)

    def everywhere(self, old: Any, new: Any) -> None:
        """``new`` for ``old`` under every name that a module has it by."""
        for module, name in self._names.of(old):
            self.set(module, name, new)

    def defaults(self, changes: Mapping[Any, Any]) -> None:
        for function, kind, before in self._names.defaults:
            if isinstance(before, dict):
                new: Any = {key: _changed(value, changes) for key, value in before.items()}
            else:
                new = tuple(_changed(value, changes) for value in before)
            self._before.append((function, kind, before))
            setattr(function, kind, new)

    def undo(self) -> None:
        for target, name, before in reversed(self._before):
            setattr(target, name, before)


def _changed(value: Any, changes: Mapping[Any, Any]) -> Any:
    return changes[value] if callable(value) and value in _TAKEN else value


def _threading(kernel: Kernel) -> SimpleNamespace:
    """Stands in for the module ``threading``."""
    return SimpleNamespace(
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


class _Events:
    """``emit`` and ``subscribed`` of ``zebfast.system.events``: each process has its own."""

    def __init__(self, kernel: Kernel, told: Callable[[sim.Process, events.Event], None]) -> None:
        self._kernel, self._told = kernel, told

    def emit(self, event: events.Event) -> None:
        task = self._kernel.current
        if task is None or task.process.dead:
            return
        self._told(task.process, event)
        for take in task.process.subscribers:
            take(event)

    @contextmanager
    def subscribed(self, *subscribers: Any) -> Iterator[None]:
        task = self._kernel.current
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


class _Machine:
    """What a process asks of the machine that it runs on."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def name(self) -> str:
        task = self._kernel.current
        return str(task.process.host.name) if task else "nowhere"

    def boot_id(self) -> str:
        task = self._kernel.current
        return f"{task.process.host.name} {task.process.host.boots}" if task else ""


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
    clock, heard, machine = Clock(kernel), _Events(kernel, told), _Machine(kernel)
    queues = SimpleNamespace(
        Queue=_Generic(partial(sim.Queue, kernel)), Empty=queue.Empty, Full=queue.Full
    )

    class Flag(sim.StopFlag):
        def __init__(self, **_options: Any) -> None:
            super().__init__(kernel)

    def open_producer(
        _config: Any, _evaluator: Any, *, seed: int, first_game: int, opponent: Any
    ) -> Any:
        assert opponent is None, "no policy plays here"
        return stand_ins.Producer(kernel, game_seconds, seed=seed, first_game=first_game)

    patches = Patches()
    with ExitStack() as stack:
        stack.callback(patches.undo)
        for old, new in (
            (time, clock),
            (threading, _threading(kernel)),
            (queue, queues),
            (events.emit, heard.emit),
            (events.subscribed, heard.subscribed),
            (StopFlag, Flag),
            (Trainer, partial(stand_ins.Trainer, kernel, step_seconds)),
            (open_evaluator, stand_ins.Evaluator),
            (machine_clock.boot_id, machine.boot_id),
            (random, random.Random(rng.random())),
        ):
            patches.everywhere(old, new)
        patches.defaults(
            {_TIME: clock.time, _MONOTONIC: clock.monotonic, shutil.disk_usage: disks.usage}
        )
        for target, name, new in (
            (session, "build_net", stand_ins.build_net),
            (session.model_file, "load", stand_ins.first_checkpoint),
            (network, "config_from_dict", lambda config: config),
            (producer_switch, "open_producer", open_producer),
            (client.HubClient, "api", hub),
            (dataset, "ThreadPoolExecutor", Pool),
            (huggingface_hub.utils, "get_session", lambda: hub),
            (socket, "gethostname", machine.name),
            (secrets, "token_hex", lambda n=16: f"{rng.getrandbits(8 * n):0{2 * n}x}"),
            (secrets, "randbits", rng.getrandbits),
            (loop, "_NAP_SECONDS", nap_seconds),
        ):
            patches.set(target, name, new)
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
