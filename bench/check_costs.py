"""What the learner's checks cost of a training cycle: ``python -m bench.check_costs``.

A learner trains as the fast recipe's first stage asks, from files of short searches' games, over a
directory. Of its processor time, in one thread, is printed what goes into looking whether weights
are numbers, whether what is written could be read, and whether games were counted before. Readings
of files that are no checks use the same functions and are counted, too: the shares are less.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zebfast.benchmark.workload import finished_games
from zebfast.exchange import Namespace, Place, StoreOptions, state
from zebfast.exchange.mirror import manifest
from zebfast.exchange.names import Serial, example_name
from zebfast.experiment.experiment import find_recipe, load_recipe
from zebfast.learner.config import LearnerConfig
from zebfast.learner.loop import learn
from zebfast.learner.sessions import CountedSessions
from zebfast.net import checkpoint
from zebfast.net.torch import finite as tensors
from zebfast.selfplay.examples import write_native
from zebfast.system import finite
from zebfast.system.events import CycleDone, Event, subscribed

_FUNCTIONS = {
    tensors.first_non_finite: "weights are numbers",
    finite.first_non_finite: "weights are numbers",
    state.parse_object: "what is written can be read",
    state.parse_state: "what is written can be read",
    manifest.parse_manifest: "what is written can be read",
}
_METHODS = ("__contains__", "add", "add_games")
_GAMES_A_FILE, _FIRST_FILES = 1024, 8  # allow 560 steps: each new example is used 2.5 times
_SESSION = "0123456789abcdef"
_MOST_SHARE = 0.01


class Costs:
    """Seconds of processor in each kind of check, by whichever thread; outermost calls only."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._inside = threading.local()

    def timed(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if getattr(self._inside, "one", False):
                return function(*args, **kwargs)
            self._inside.one, began = True, time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                self._inside.one = False
                self.seconds[kind] += time.thread_time() - began

        return call

    def install(self) -> None:
        """Time them under every name that a module knows them by."""
        for module in [m for n, m in sys.modules.items() if n.partition(".")[0] == "zebfast"]:
            for name, value in list(vars(module).items()):
                if callable(value) and (kind := _kind_of(value)) is not None:
                    setattr(module, name, self.timed(value, kind))
        for name in _METHODS:
            function = getattr(CountedSessions, name)
            setattr(CountedSessions, name, self.timed(function, "games are counted once"))


def _kind_of(value: Any) -> str | None:
    return next((kind for function, kind in _FUNCTIONS.items() if value is function), None)


@functools.cache
def games() -> np.ndarray:
    """GAME_DTYPE [_GAMES_A_FILE], of every file: a learner tells them apart by number alone."""
    return finished_games(_GAMES_A_FILE, n_simulations=2)


def hand_over(examples: Path, number: int) -> None:
    """A file of a worker with a seed that was given."""
    serial = Serial(_SESSION, number)
    told = {"worker_id": "w", "model_step": 0, "n_games": _GAMES_A_FILE, "timestamp": 1.7e9,
            "source": "selfplay-mcts", "seed": 1, "first_game": number * _GAMES_A_FILE,
            **serial.to_metadata()}  # fmt: skip
    path = examples / example_name("w", 1_700_000_000 + number, serial=serial)
    write_native(path, games(), told)


def config_in(home: Path, cycles: int) -> LearnerConfig:
    """The first stage of the fast recipe in a new directory, with games for so many cycles."""
    recipe = load_recipe(find_recipe("fast"))
    run, init = home / "run", home / "init.pt"
    (run / "examples").mkdir(parents=True)
    assert recipe.network is not None
    checkpoint.save(checkpoint.fresh(recipe.network.config(), seed=1), init)
    for number in range(_FIRST_FILES):
        hand_over(run / "examples", number)
    seldom = replace(recipe.arena, every_minutes=1000.0)  # no look falls into the cycles
    return LearnerConfig(
        weights=Place.directory(run),
        examples=Place.directory(run / "examples"),
        stores=StoreOptions(state_dir=run),
        namespace=Namespace(),
        checkpoint=init,
        recipe=replace(recipe, stages=recipe.stages[:1], arena=seldom),
        eval_every=0,
        max_cycles=cycles,
        replay_cache_dir=run / "cache",
        poll_seconds=0.1,
        disk_limit=0.0,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cycles", type=int, default=5, help="the first is not counted")
    cycles = parser.parse_args().cycles
    torch.set_num_threads(1)
    costs, at = Costs(), []

    def note(event: Event) -> None:
        if isinstance(event, CycleDone):
            at.append((time.process_time(), Counter(costs.seconds)))
            hand_over(config.examples.path, _FIRST_FILES + len(at))

    with tempfile.TemporaryDirectory() as home:
        config = config_in(Path(home), cycles)
        costs.install()
        with subscribed(note):
            code = learn(config)
    (began, before), (ended, after) = at[0], at[-1]
    n, total = len(at) - 1, ended - began
    print(f"a cycle: {total / n:.2f} s of processor, over {n} cycles")
    for kind in sorted(after):
        spent = after[kind] - before[kind]
        print(f"{1000 * spent / n:9.2f} ms  {100 * spent / total:6.3f} %  {kind}")
    share = sum((after - before).values()) / total
    print(f"{100 * share:.3f} % in all; at most {100 * _MOST_SHARE:g} % are meant")
    return code or int(share > _MOST_SHARE)


if __name__ == "__main__":
    sys.exit(main())
