"""The compiled core used as nobody should: whatever that raises, it must not end the process.

    python tests/support/hard_use.py [CLASS|MODULE [SEED]]

Of a class (``engine.GameBatch``): objects that ``__new__`` alone made, that were made badly, twice,
by a copy or a pickle; their methods and properties are used in any order. Of a module, its
functions. Values fit or do not, as the seed draws them. Each call is printed before it is made, so
that the last line tells what ended a process. Without arguments: all of them, each in a fork, and a
line of JSON for each: its name, how it ended (0 is well), what it printed last.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import json
import os
import pickle
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from extension_types import compiled_modules, constructor_names, extension_types

from zebfast import Game, GameBatch
from zebfast.core.network import Network
from zebfast.core.options import SearchOptions, TeachingOptions
from zebfast.core.policy import POLICY_ABI, PROTOTYPE, PolicyRun, random_policy, views
from zebfast.core.records import GAME_DTYPE, OBS_DTYPE
from zebfast.core.whole_game import WholeGame, WholeGameBatch
from zebfast.core.worlds import sample_worlds
from zebfast.rules import HouseDeclaration, RuleSet

N, WIDTH, USES = 4, 16, 60
Attributes = dict[str, Any]


def late_games() -> GameBatch:
    games = GameBatch.deal(N, seed=2)
    for _ in range(20):
        games.play_random(seed=3)
    return games


def tensors() -> dict[str, np.ndarray]:
    row, square = (WIDTH,), (WIDTH, WIDTH)
    shapes: dict[str, tuple[int, ...]] = {"first.weight": (WIDTH, 856), "first.bias": row}
    shapes |= {"policy_proj.weight": (28, WIDTH), "policy_proj.bias": (28,)}
    shapes |= {"value_head.weight": (43, WIDTH), "value_head.bias": (43,)}
    for norm in ("norm", "blocks.0.norm"):
        shapes |= {f"{norm}.weight": row, f"{norm}.bias": row}
    for part in ("blocks.0.up", "blocks.0.down"):
        shapes |= {f"{part}.weight": square, f"{part}.bias": row}
    draw = np.random.default_rng(1)
    return {name: draw.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


GAMES = late_games()
NETWORK = Network(WIDTH, 1, False, tensors())
SEARCH = SearchOptions(n_simulations=4, n_worlds=2, max_nodes=64, exact_tricks=2)
WORLDS = sample_worlds(GAMES, None, 2, seed=1, game_numbers=[1])
#: What fits, by the names of parameters.
FITTING: Attributes = {
    "actions": np.full(N, 0), "barred": [[], [], [], []], "belief_head": False, "bidder": 0,
    "cache_mb": 1, "call": 30, "decl": 3, "depth": 2, "domino": 5, "dominoes": np.full(N, 255),
    "evals": np.full((N, 8), 0.1, np.float32), "first": 1, "first_game": 1, "game": 1,
    "game_numbers": np.arange(N), "games": GAMES, "hand": [0, 1], "hidden": [2, 3, 4],
    "hands": Game.deal(1).dealt, "kernel": None, "leader": 1, "leaves": np.zeros(N, OBS_DTYPE),
    "limit": 6, "n": N, "n_blocks": 1, "n_games": 2, "n_trees": 2, "network": NETWORK,
    "obs": GAMES.observe(), "options": SEARCH, "plays": [(1, 5)], "points": np.full(N, 3),
    "positions": GAMES.positions(), "precision": "fp32", "ranges": None, "ranks": [0, 1],
    "row": 1, "rows": [0, 1, 2, 3], "rule_set": RuleSet(), "seat": 1, "seats": [0, 1, 2, 3],
    "seconds": 0.001, "seed": 5,
    "shaker": 2, "sizes": [2, 1, 1, 1], "stream": 3, "stride": 1, "table_bits": 6,
    "tensors": tensors(), "tree": 0, "until": 2, "values": None, "viewer": 0, "viewers": None,
    "weights": np.ones((28, 4)), "which": np.zeros(N, bool), "width": WIDTH, "worlds": "sampled",
    "x": np.zeros((N, WIDTH), np.float32),
    # of functions
    "array": np.zeros(3), "bias": np.zeros(WIDTH, np.float32), "dtype": GAME_DTYPE,
    "layouts": WORLDS[:, 0], "lengths": np.ones(N, np.int64), "mask": 9, "n_heads": 2, "name": "n",
    "out": np.zeros((N, 8), np.float32), "qkv": np.zeros((N, 24), np.float32), "records":
    np.zeros(2, GAME_DTYPE), "scores": np.zeros((N, 71), np.float32), "shape": (N,),
    "table": np.zeros((856, WIDTH), np.float32), "text": str(Game.deal(1)), "texts": [],
    "what": "records", "layout": [1, 2, 4, 8], "number": 1, "numbers": np.arange(N),
    "contract": None, "contracts": GAMES.contracts,
}  # fmt: skip
POLICY: Attributes = {
    "abi": POLICY_ABI, "bids": 30, "first": random_policy(), "first_team": 0,
    "function": PROTOTYPE(lambda view, random: random % 28), "numbers": 1, "randoms": 5,
    "replaces": False, "rows": np.arange(N), "run": PolicyRun(), "second": random_policy(),
    "views": views(GAMES, None, bids=30),
}  # fmt: skip
#: What fits in one class or module alone.
OWN: dict[str, Attributes] = {
    "engine.GameBatch": {
        "hands": GAMES.hands, "decl": GAMES.decl, "leader": GAMES.leader, "games": np.arange(N),
    },
    "forest.Forest": {"games": GameBatch.deal(N, seed=1)},
    "house.SeatHand": {"decl": HouseDeclaration.NELLO},
    "labelling.LabelledGames": {
        "options": TeachingOptions(teacher="rollout"), "obs": np.zeros(999, OBS_DTYPE),
        "given": False,
    },
    "rollouts.RolloutGames": {"until": 28},
    "selfplay.SelfPlayForest": {
        "obs": np.zeros(2, OBS_DTYPE), "given": False, "opponent": random_policy(),
        "opponent_share": 0.5,
    },
    "whole_game.WholeGame": {"text": str(WholeGame(seed=1))},
    "whole_game_batch.WholeGameBatch": {"games": np.arange(N)},
    "worlds.WorldSet": {"hands": WORLDS[0]},
    "features": dict.fromkeys(("gradient", "out"), np.zeros((N, WIDTH), np.float32)),
    "house": {"games": WholeGameBatch(N, seed=1)},
    "policy": POLICY,
    "policy.PolicyFunction": POLICY,
    "observe": {"games": np.zeros(2, GAME_DTYPE)},
    "rollouts": {"hands": WORLDS},
    "seat_planes": {"game": Game.deal(1)},
    "worlds": {"hands": WORLDS, "weights": np.ones((N, 28, 4))},
}  # fmt: skip
ODD: list[Any] = [
    None, -1, 0, 1, 3, 27, 28, 255, 1 << 62, 1 << 63, -(1 << 63), 1 << 64, 1.5, float("nan"),
    float("inf"), True, "", "x", b"x", [], [None], [-1], [0, 0], [1 << 62], [[1], [2, 3]], {},
    object(), NETWORK, GAMES, SEARCH, np.zeros(0), np.zeros((0, 8), np.float32), np.array(3),
    np.zeros((N, 8)), np.zeros((N, N, N), np.uint8), np.arange(N, dtype=">i8"),
]  # fmt: skip
SPECIAL = ("__len__", "__repr__", "__str__", "__hash__", "__copy__", "__reduce__", "__sizeof__")


class BrokenPromise(BaseException):
    """A SystemError: an error was set and none returned, or the other way round."""


def bent(array: np.ndarray) -> Iterator[np.ndarray]:
    """The array as it should not be: its memory, its type, its size, what is in it."""
    yield from (array[::-1], array[::2], array[:0], array[None], array.T)
    yield from (np.concatenate([array, array]), np.repeat(array, 2, axis=0)[::2])
    yield np.broadcast_to(array[:1], array.shape)  # and so not to be written
    yield array.astype(array.dtype.newbyteorder())
    noise = np.random.default_rng(len(array)).integers(0, 256, array.nbytes, np.uint8)
    if array.dtype.names is not None:
        yield noise.view(array.dtype)
        return
    with np.errstate(all="ignore"):
        for value in (-1, 1e30, -1e30, np.nan, np.inf, 1 << 62):
            yield np.full(array.shape, value).astype(array.dtype)
    for kind in (np.int8, np.uint64, np.float64, bool, object):
        yield array.astype(kind)


def value_for(name: str, own: Attributes, draw: random.Random) -> Any:
    """What fits or, at times, what does not."""
    fits = {**FITTING, **own}[name]
    if isinstance(fits, np.ndarray) and draw.random() < 0.2:
        return draw.choice(list(bent(fits)))
    if draw.random() < 0.2:
        odd = draw.choice(ODD)
        return fits if name == "depth" and odd in (27, 28, 255) else odd  # would take for ever
    return fits.copy() if isinstance(fits, np.ndarray) else fits


def brief(value: Any) -> str:
    return (
        f"{value.dtype.char}{list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)
    )


def call(what: str, function: Callable[..., Any], own: Attributes, draw: random.Random,
         names: list[tuple[str, bool]] | None = None) -> Any:  # fmt: skip
    """What the call returns; None where it raised, as it may."""
    given: list[Any] = []
    named: Attributes = {}
    if names is None:
        parameters = inspect.signature(function).parameters.values()
        by_place = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        given = [value_for(name, own, draw) for name in by_place if draw.random() < 0.9]
        names = [(p.name, True) for p in parameters if p.kind is p.KEYWORD_ONLY]
    for name, has_default in names:
        if not has_default or draw.random() < 0.7:
            named[name] = value_for(name, own, draw)
    shown = [*map(brief, given), *(f"{name}={brief(value)}" for name, value in named.items())]
    print(f"{what}({', '.join(shown)})"[:400], flush=True)
    try:
        return function(*given, **named)
    except SystemError as error:  # what is said of broken promises to the interpreter
        raise BrokenPromise(what) from error
    except Exception:
        return None


def use(what: str, thing: Any, own: Attributes, draw: random.Random) -> None:
    """Methods and properties, in any order."""
    kind = type(thing)
    members = [name for name in dir(kind) if name[0] != "_" or name in SPECIAL]
    for _ in range(USES):
        name = draw.choice(members)
        print(f"{what}.{name}", flush=True)
        with contextlib.suppress(Exception):
            value = getattr(thing, name)
            if name in SPECIAL:
                value()
            elif callable(value):
                value = call(f"{what}.{name}", value, own, draw)
            if type(value) is kind and draw.random() < 0.3:
                thing = value
    thing == thing  # noqa: B015


def use_class(name: str, kind: Any, draw: random.Random) -> None:
    own, names = OWN.get(name, {}), constructor_names(kind)
    fits = {p: {**FITTING, **own}[p] for p, has_default in names if not has_default}
    for _ in range(6):
        with contextlib.suppress(TypeError):
            bare = kind.__new__(kind)
            use(f"bare {name}", bare, own, draw)
            call(f"bare {name}.__init__", bare.__init__, own, draw, names)
            use(f"badly made {name}", bare, own, draw)
    with contextlib.suppress(TypeError):
        for _ in range(6):
            thing = kind(**fits)
            use(name, thing, own, draw)
            call(f"{name}.__init__", thing.__init__, own, draw, names)
            use(f"twice made {name}", thing, own, draw)
            copies = (copy.copy, copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing)))
            with contextlib.suppress(Exception):
                use(f"copied {name}", draw.choice(copies)(thing), own, draw)


def use_module(name: str, module: Any, draw: random.Random) -> None:
    functions = [
        (key, value) for key, value in vars(module).items()
        if key[0] != "_" and callable(value) and not isinstance(value, type)
        if getattr(value, "__module__", None) == module.__name__
    ]  # fmt: skip
    for key, value in functions:
        for _ in range(USES):
            call(f"{name}.{key}", value, OWN.get(name, {}), draw)


def use_hard(name: str, seed: int = 1) -> None:
    draw = random.Random(seed)
    if "." in name:
        use_class(name, extension_types()[name], draw)
    else:
        use_module(name, compiled_modules()[name], draw)


def end_of(name: str) -> tuple[int, str]:
    """How a fork ended that uses it, and its last line."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        code = 1
        try:
            use_hard(name)
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}".replace("\n", " "), flush=True)
        finally:
            os._exit(code)
    os.close(writing)
    with open(reading, encoding="utf-8", errors="replace") as said:
        last = "".join(said.readlines()[-1:])
    return os.waitpid(child, 0)[1], last.strip()


if __name__ == "__main__":
    if sys.argv[1:]:
        use_hard(sys.argv[1], *map(int, sys.argv[2:]))
    else:
        for each in (*extension_types(), *compiled_modules()):
            print(json.dumps([each, *end_of(each)]))
