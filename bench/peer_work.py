"""Work of peers in a Python of their own: asked for a key, answers how much was done how fast.

Imports nothing of zebfast; bench.peers starts it.
"""

from __future__ import annotations

import importlib
import json
import random
import sys
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

Work = Callable[[], int]
LIBRARIES = ("pettingzoo", "open_spiel", "endplay", "rlcard", "numpy")


def agents(module: str, n_steps: int) -> Work:
    """Steps of the agents of a PettingZoo game, each any legal action."""
    env = importlib.import_module(f"pettingzoo.classic.{module}").env()
    draw = random.Random(1)

    def work() -> int:
        done = 0
        while done < n_steps:
            env.reset(seed=draw.getrandbits(31))
            for _ in env.agent_iter():
                seen, _, ended, cut, _ = env.last()
                if ended or cut:
                    env.step(None)
                    continue
                legal = seen["action_mask"].nonzero()[0]
                env.step(int(legal[draw.randrange(len(legal))]))
                done += 1
        return done

    return work


def load(name: str) -> Any:
    """A game of OpenSpiel."""
    return importlib.import_module("pyspiel").load_game(name)


def spiel(game: Any, n_actions: int) -> Work:
    """Actions of an OpenSpiel game, any that is legal; those of chance among them."""
    draw = random.Random(1)

    def work() -> int:
        done = 0
        while done < n_actions:
            state = game.new_initial_state()
            while not state.is_terminal():
                advance(state, draw)
                done += 1
        return done

    return work


def advance(state: Any, draw: random.Random) -> None:
    """Any legal action, of chance or of a player."""
    if state.is_chance_node():
        state.apply_action(draw.choice(state.chance_outcomes())[0])
    else:
        state.apply_action(draw.choice(state.legal_actions()))


def played(name: str) -> Any:
    """The first decision of a game, all dealt."""
    state = load(name).new_initial_state()
    while state.is_chance_node():
        advance(state, random.Random(3))
    return state


def repeated(call: Callable[[], object], n: int) -> Work:
    """What does so much at each call."""

    def work() -> int:
        call()
        return n

    return work


def mcts(name: str, n: int) -> Work:
    """Simulations of the C++ MCTSBot with one random rollout each, in a game that it can play."""
    pyspiel = importlib.import_module("pyspiel")
    state = load(name).new_initial_state()
    evaluator = pyspiel.RandomRolloutEvaluator(1, 1)
    bot = pyspiel.MCTSBot(
        state.get_game(), evaluator, 2.0, n, 64, False, 1, False,
        pyspiel.ChildSelectionPolicy.UCT,
    )  # fmt: skip
    return repeated(lambda: bot.mcts_search(state), n)


def ismcts(name: str, n: int) -> Work:
    """Simulations of the C++ ISMCTSBot with one random rollout each."""
    pyspiel = importlib.import_module("pyspiel")
    state = played(name)
    evaluator = pyspiel.RandomRolloutEvaluator(1, 1)
    bot = pyspiel.ISMCTSBot(
        1, evaluator, 2.0, n, -1, pyspiel.ISMCTSFinalPolicyType.MAX_VISIT_COUNT, False, False
    )
    return repeated(lambda: bot.step(state), n)


def python_ismcts(name: str, n: int) -> Work:
    """The same of the Python bot."""
    np = importlib.import_module("numpy")
    module = importlib.import_module("open_spiel.python.algorithms.ismcts")
    rollouts = importlib.import_module("open_spiel.python.algorithms.mcts")
    state = played(name)
    evaluator = rollouts.RandomRolloutEvaluator(1, np.random.RandomState(1))
    bot = module.ISMCTSBot(
        game=state.get_game(), evaluator=evaluator, uct_c=2.0, max_simulations=n,
        random_state=np.random.RandomState(1),
    )  # fmt: skip
    return repeated(lambda: bot.step(state), n)


def endings(n: int) -> Work:
    """Boards of four hands of seven cards, a trump suit and a leader, each card of it solved."""
    dds = importlib.import_module("endplay.dds")
    types = importlib.import_module("endplay.types")
    draw, boards = random.Random(1), []
    cards = [f"{suit}{rank}" for suit in "SHDC" for rank in "AKQJT98"]
    for _ in range(n):
        draw.shuffle(cards)
        hands = []
        for seat in range(4):
            own = cards[7 * seat : 7 * seat + 7]
            hands.append(".".join("".join(c[1] for c in own if c[0] == suit) for suit in "SHDC"))
        deal = types.Deal("N:" + " ".join(hands))
        deal.trump, deal.first = draw.choice(list(types.Denom)), types.Player.north
        boards.append(deal)

    def work() -> int:
        for deal in boards:
            list(dds.solve_board(deal))
        return n

    return work


#: What it is, its unit, and how the work is made.
STAGES: dict[str, tuple[str, str, Callable[[], Work]]] = {
    "pettingzoo_leduc": ("PettingZoo, Leduc hold'em", "steps/s",
                         lambda: agents("leduc_holdem_v4", 200)),
    "pettingzoo_texas": ("PettingZoo, Texas hold'em", "steps/s",
                         lambda: agents("texas_holdem_v4", 200)),
    "pettingzoo_no_limit": ("PettingZoo, Texas hold'em without a limit", "steps/s",
                            lambda: agents("texas_holdem_no_limit_v6", 200)),
    "spiel_bridge": ("OpenSpiel, bridge, solving off", "actions/s",
                     lambda: spiel(load("bridge(use_double_dummy_result=false)"), 10_000)),
    "spiel_hearts": ("OpenSpiel, hearts", "actions/s", lambda: spiel(load("hearts"), 10_000)),
    "spiel_euchre": ("OpenSpiel, euchre", "actions/s", lambda: spiel(load("euchre"), 10_000)),
    "spiel_dominoes": ("OpenSpiel, python_team_dominoes", "actions/s",
                       lambda: spiel(load("python_team_dominoes"), 500)),
    "spiel_mcts": ("OpenSpiel, MCTS in C++ at the start of connect_four", "simulations/s",
                   lambda: mcts("connect_four", 2000)),
    "spiel_ismcts": ("OpenSpiel, ISMCTS in C++ at the first decision of hearts", "simulations/s",
                     lambda: ismcts("hearts", 500)),
    "spiel_python_ismcts": ("OpenSpiel, ISMCTS in Python at the first decision of hearts",
                            "simulations/s", lambda: python_ismcts("hearts", 50)),
    "endplay": ("endplay, solve_board of four hands of seven cards", "boards/s",
                lambda: endings(20)),
}  # fmt: skip


def main() -> None:
    """Tell what there is, then do what is asked until the input ends."""
    for name in ("pyspiel", "open_spiel.python.games.team_dominoes"):
        importlib.import_module(name)
    said = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is no answer
    told = {
        "stages": {key: stage[:2] for key, stage in STAGES.items()},
        "versions": {name: metadata.version(name) for name in LIBRARIES},
    }
    print(json.dumps(told), file=said, flush=True)
    made: dict[str, Work] = {}
    for line in sys.stdin:
        key = line.strip()
        if key not in made:
            made[key] = STAGES[key][2]()
        began = time.perf_counter()
        done = made[key]()
        answer = {"done": done, "seconds": time.perf_counter() - began}
        print(json.dumps(answer), file=said, flush=True)


if __name__ == "__main__":
    main()
