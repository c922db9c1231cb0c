"""Policies beside the yardsticks: games a second in the arena, and calls.

    python -m bench.policies --output bench/records/policies/DATE-SLUG.json

The policies are those of examples/policies.py. Needs zebfast[numba].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from bench.in_turns import ROOT, Stages, record, run
from zebfast import GameBatch
from zebfast.arena.match import play_match
from zebfast.arena.players.base import Player, plain_player
from zebfast.arena.players.build import build_player
from zebfast.arena.players.policy import PolicyPlayer
from zebfast.arena.players.rollouts import RolloutPlayer
from zebfast.arena.players.specs import parse_spec
from zebfast.arena.policies.asking import Asked
from zebfast.core.engine import random_games
from zebfast.core.policy import PolicyRun, random_policy, views
from zebfast.core.solver_pool import SolverPool
from zebfast.selfplay.groups import BatchEvaluator

WANTED = (
    ("compiled_heuristic2", "plain_heuristic2", 100),
    ("compiled_random", "core_random", 0.5),
    ("compiled_random", "plain_random", None),
    ("compiled_random", "arena_random", None),
    ("compiled_random", "random_games", None),
    ("calls_random", "calls_wanted", 1),
    ("model_in_c", "model_asked", 1),
    ("model_in_c", "model_plain", None),
    ("model_in_c", "model_none", None),
)


def games(player: Player, n_games: int) -> Callable[[], int]:
    """Games of a match against itself."""

    def work() -> int:
        return play_match(player, player, n_games=n_games, seed=1, deals_per_chunk=2048).games

    return work


def calls(name: str, n: int) -> Callable[[], int]:
    """Calls of a compiled policy, with what 1,000 seats see all over a game, again and again."""
    seen = []
    for ply in range(28):
        batch = GameBatch.deal(8, seed=ply)
        for _ in range(ply):
            batch.play_random(seed=ply)
        seen.append(views(batch, None, bids=30))
    records = np.resize(np.concatenate(seen), 1000)  # as many as stay in the cache
    randoms = np.random.default_rng(1).integers(0, 1 << 62, 1000)
    function = example(name).asked.function if name else random_policy()
    assert function is not None
    run = PolicyRun()
    return lambda: sum(len(function.answers(records, randoms, run=run)) for _ in range(n // 1000))


def rollouts(model: Player | None, *, in_c: bool = True, n: int = 256) -> Callable[[], int]:
    """Rollouts of a search with the shipped network, whose opponents play by the policy.

    in_c: else the network is one that is asked from Python, as any other is.
    """
    spec = parse_spec("search:worlds=1")
    player = build_player(spec, device="cpu", pool=SolverPool(1), threads=1)
    assert isinstance(player, RolloutPlayer)
    asked = model.asked if isinstance(model, PolicyPlayer) else None
    evaluator = player.rollouts.evaluator
    games = GameBatch.deal(n, seed=3)
    seen = games.observe()
    evaluator.evaluate(seen, np.empty((n, 8), np.float32))  # from here on loops in C may ask it
    search = replace(
        player.rollouts, model=asked, evaluator=evaluator if in_c else _Outside(evaluator)
    )
    masks = games.legal()

    def work() -> int:
        return int((~np.isnan(search.utilities(games, masks))).sum())

    return work


class _Outside:
    """An evaluator that loops in C cannot ask."""

    def __init__(self, evaluator: BatchEvaluator) -> None:
        self.evaluate = evaluator.evaluate


def example(name: str, how: str = "") -> PolicyPlayer:
    player = build_player(parse_spec(f"policy:{ROOT / 'examples' / 'policies.py'}:{name}{how}"))
    assert isinstance(player, PolicyPlayer)
    return player


def stages() -> Stages:
    """What is compared; see in_turns.Stages."""
    plain = ",compiled=no"
    core = PolicyPlayer("random", Asked.random())
    unit = "games/s"
    return {
        "compiled_heuristic2": (
            "arena: heuristic2 as a policy, compiled", unit, games(example("heuristic2"), 10_000)),
        "plain_heuristic2": (
            "the same function as plain Python", unit, games(example("heuristic2", plain), 200)),
        "compiled_random": (
            "arena: random as a policy, compiled", unit, games(example("random"), 40_000)),
        "plain_random": (
            "the same function as plain Python", unit, games(example("random", plain), 400)),
        "core_random": (
            "arena: the core's random player, called as a policy is", unit, games(core, 40_000)),
        "arena_random": (
            "arena: the player `random`, by NumPy", unit, games(plain_player("random"), 4000)),
        "random_games": (
            "random games of the core alone: nobody sees anything", unit,
            lambda: len(random_games(40_000, seed=1))),
        "model_in_c": ("rollouts against heuristic2, compiled, by the loops in C", "rollouts/s",
                       rollouts(example("heuristic2"))),
        "model_asked": ("the same, asked from Python batch by batch", "rollouts/s",
                        rollouts(example("heuristic2"), in_c=False)),
        "model_plain": ("the same as plain Python", "rollouts/s",
                        rollouts(example("heuristic2", plain), n=16)),
        "model_none": ("rollouts against the network itself", "rollouts/s", rollouts(None)),
        "calls": ("calls of heuristic2, compiled", "calls/s", calls("heuristic2", 200_000)),
        "calls_random": ("calls of random, compiled", "calls/s", calls("random", 200_000)),
        "calls_core": ("calls of the core's random player", "calls/s", calls("", 200_000)),
        "calls_wanted": ("100 ns a call", "calls/s", lambda: (10_000_000, 1.0)),
    }  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """See in_turns.run."""
    make = partial(_record, "python -m bench.policies")
    return run(__doc__ or "", argv, turns=15, make=make)


def _record(command: str, turns: int) -> dict[str, object]:
    return record(stages(), WANTED, libraries=("numba",), turns=turns, command=command)


if __name__ == "__main__":
    raise SystemExit(main())
