"""Environments of other libraries beside the yardsticks: steps a second, and resampled states.

    python -m bench.environments --output bench/records/environments/DATE-SLUG.json

What is compared runs in turns, one after the other on one core, and the best of all turns counts,
for others load a machine, too. Agents do the first thing that is legal, so that what is timed is
the environment. Needs zebfast[pettingzoo,gymnasium,openspiel].
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import gymnasium
import pyspiel
from open_spiel.python.games import team_dominoes  # noqa: F401  (registers the game)

import zebfast.environments.gymnasium  # noqa: F401  (registers the environment)
from bench.in_turns import Stages, record, run
from bench.naive_environment import NaiveHands
from bench.peer_work import advance, spiel
from zebfast import GameBatch, WorldSet
from zebfast.environments.openspiel import HandGame
from zebfast.environments.pettingzoo import hand_env, whole_game_env

LIBRARIES = ("pettingzoo", "gymnasium", "open_spiel")
TURNS = 7
#: What must hold: a figure, how many times another it is at least.
WANTED = (
    ("aec_hand", "aec_naive", 5),
    ("vector_hand", "aec_naive", 100),
    ("openspiel_hand", "openspiel_team_dominoes", 2),
    ("layouts", "bridge_resampled", 100),
)


def agents(env: Any, n_steps: int) -> Callable[[], int]:
    """Steps of the agents of an AEC environment, game after game."""

    def work() -> int:
        done = 0
        while done < n_steps:
            env.reset()
            for _ in env.agent_iter():
                seen, _, over, _, _ = env.last()
                if over:
                    env.step(None)
                    continue
                env.step(int(seen["action_mask"].argmax()))
                done += 1
        return done

    return work


def many(n_envs: int, n_steps: int) -> Callable[[], int]:
    """Steps of the agent in so many hands at once against random players."""
    envs = gymnasium.make_vec("zebfast/Texas42Hand-v0", num_envs=n_envs)
    _, info = envs.reset(seed=1)
    masks = [info["action_mask"]]

    def work() -> int:
        for _ in range(n_steps):
            *_, told = envs.step(masks[-1].argmax(axis=1))
            masks[-1] = told["action_mask"]
        return n_steps * n_envs

    return work


def played(game: Any, n_actions: int) -> Any:
    """A state after so many actions at random."""
    state, draw = game.new_initial_state(), random.Random(2)
    for _ in range(n_actions):
        advance(state, draw)
    return state


def resampled(state: Any, n: int) -> Callable[[], int]:
    """States of the same information state, one after the other."""
    sampler = pyspiel.UniformProbabilitySampler(0.0, 1.0)

    def work() -> int:
        for _ in range(n):
            state.resample_from_infostate(state.current_player(), sampler)
        return n

    return work


def layouts(n: int) -> Callable[[], int]:
    """The layouts themselves, at the first play, as the sampler draws them for searches."""
    worlds = WorldSet(GameBatch.deal(1, seed=2), 0)
    return lambda: len(worlds.sample(n, seed=3))


def bridge() -> Any:
    """Bridge at its first call, which is all that its resampler takes; no deal is solved."""
    game = pyspiel.load_game("bridge(use_double_dummy_result=false)")
    return played(game, 52)


def stages() -> Stages:
    """What is compared; see in_turns.Stages."""
    ours, theirs = HandGame(), pyspiel.load_game("python_team_dominoes")
    return {
        "aec_naive": ("PettingZoo, a hand written naively", "steps/s", agents(NaiveHands(), 3000)),
        "aec_hand": ("PettingZoo, a hand", "steps/s", agents(hand_env(), 12_000)),
        "aec_whole": ("PettingZoo, whole games", "steps/s", agents(whole_game_env(), 12_000)),
        "vector_hand": ("Gymnasium, 4,096 hands at once, random players", "steps/s",
                        many(4096, 40)),
        "openspiel_team_dominoes": ("OpenSpiel, python_team_dominoes", "actions/s",
                                    spiel(theirs, 3000)),
        "openspiel_hand": ("OpenSpiel, python_texas42_hand", "actions/s", spiel(ours, 10_000)),
        "bridge_resampled": ("OpenSpiel's bridge, states resampled, solving off", "states/s",
                             resampled(bridge(), 1000)),
        "openspiel_resampled": ("python_texas42_hand, states resampled at the first play",
                                "states/s", resampled(played(ours, 30), 1000)),
        "layouts": ("layouts drawn at the first play, of which those states are made", "layouts/s",
                    layouts(5000)),
    }  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """See in_turns.run."""

    def make(turns: int) -> dict[str, Any]:
        command = "python -m bench.environments"
        return record(stages(), WANTED, libraries=LIBRARIES, turns=turns, command=command)

    return run(__doc__ or "", argv, turns=TURNS, make=make)


if __name__ == "__main__":
    raise SystemExit(main())
