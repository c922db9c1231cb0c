"""Runs seeds of the simulation: ``python -m tests.simulation.run --seeds 100 --hours 24``."""

from __future__ import annotations

import argparse
import gc
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from tests.simulation.world import World  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--hours", type=float, default=24.0, help="simulated, of each")
    parser.add_argument("--faults", type=int, default=24, help="of each")
    parser.add_argument("--lines", action="store_true", help="print what happened")
    options = parser.parse_args()
    torch.set_num_threads(1)
    gc.freeze()  # what is imported is not looked through again and again
    gc.set_threshold(20_000, 20, 50)
    began, broken, faults = time.perf_counter(), [], Counter[str]()
    for seed in range(options.first, options.first + options.seeds):
        world = World(seed, options.hours, n_faults=options.faults)
        try:
            world.live()
        except Exception as error:
            broken.append(seed)
            print(f"seed {seed} BROKEN: {str(error)[:300]}", flush=True)
            if options.lines:
                traceback.print_exc()
        if options.lines:
            print("\n".join(world.lines))
        faults += world.faults
    seconds = time.perf_counter() - began
    hours = options.seeds * options.hours
    print(
        f"{options.seeds} seeds from {options.first}, {hours:,.0f} simulated hours in "
        f"{seconds:.1f} s ({60 * hours / seconds:,.0f} hours a minute), "
        f"{sum(faults.values())} faults, "
        f"{len(broken)} broken: {broken}"
    )
    print(", ".join(f"{name} {n}" for name, n in sorted(faults.items())))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
