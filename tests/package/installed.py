"""Run with a Python that has zebfast installed: does it play as it should, with nothing else there?

Writes what it found as one JSON object. Nothing of this repository is imported.
"""

from __future__ import annotations

import json
import platform
import sys
import time

SIGNATURE = 793710422  # as tests/selfplay/test_signature.py has it


def main() -> None:
    """Play a game with the shipped network, then compute the behaviour's signature."""
    began, worked = time.monotonic(), time.process_time()
    import zebfast

    player, game = zebfast.load_player(), zebfast.Game.deal(seed=7)
    while not game.over:
        game.play(player.choose(game))
    played, worked = time.monotonic() - began, time.process_time() - worked
    assert sum(game.points) == 42, game.points

    from zebfast.core import engine, network
    from zebfast.selfplay.signature import signature

    found = signature()
    assert found == SIGNATURE, f"the signature is {found}, not {SIGNATURE}"
    json.dump(
        {
            "python": sys.version.split()[0],
            "platform": platform.platform(),
            "isa": engine.isa(),
            "kernels": list(network.kernels()),
            "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
            "points": list(game.points),
            "seconds_to_a_game": round(played, 2),
            "processor_seconds_to_a_game": round(worked, 2),
        },
        sys.stdout,
    )
    print()


if __name__ == "__main__":
    main()
