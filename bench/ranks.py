"""A learner on two processes against one: steps a second and memory; and one against another build.

    python -m bench.ranks --against OTHER/.venv/bin/python --output bench/records/ranks/DATE.json

Whole learners, as `zebfast-learn` runs them, over a directory of random games: v2 medium, a global
batch of 1,024, one thread a process. They take turns, one at a time; of a run the fastest cycle
counts, of a side the best and the median of its runs, for others load a machine, too. Memory is the
proportional set size of all processes of a run, of which shared pages are counted once, at its
most.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
N_FILES, GAMES_A_FILE = 20, 100
CYCLES = 12  # short ones, of which some meet a quiet moment
LOOK_SECONDS = 0.25


def prepare(folder: Path) -> None:
    """Examples and the network to start from."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from random_games import random_games

    from zebfast.net import checkpoint
    from zebfast.net.networks import sized
    from zebfast.selfplay.examples import write_native

    (folder / "examples").mkdir()
    for number in range(N_FILES):
        about = {"worker_id": "w", "model_step": 0, "n_games": GAMES_A_FILE, "timestamp": number,
                 "source": "selfplay-mcts"}  # fmt: skip
        path = folder / "examples" / f"w_{1_700_000_000 + number}_{number:08x}.safetensors"
        write_native(path, random_games(GAMES_A_FILE, seed=number), about)
    config = sized("v2", "medium", belief_head=True)
    checkpoint.save(checkpoint.fresh(config, seed=1), folder / "start.pt")


def run(folder: Path, python: str, steps: int, *more: str) -> tuple[float, float]:
    """Steps a second of the fastest cycle of a learner, and its megabytes at most."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        flags = [
            *("--repo-id", place, "--input-dir", str(folder / "examples"), "--device", "cpu"),
            *("--checkpoint", str(folder / "start.pt"), "--batch-size", "1024", "--threads", "1"),
            *(
                "--training-steps-per-cycle",
                str(steps),
                "--max-cycles",
                str(CYCLES),
                "--eval-every",
                "0",
            ),
            *("--keep-example-files", "0", "--local-replay-cache-dir", f"{place}/cache"),
            *("--disk-limit", "0", *more),
        ]
        process = subprocess.Popen(
            [python, "-m", "zebfast.learner", *flags],
            cwd=folder, env=os.environ | {"PYTHONPATH": ""},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        most = 0.0
        while process.poll() is None:
            most = max(most, megabytes(process.pid))
            time.sleep(LOOK_SECONDS)
        if process.returncode:
            assert process.stderr is not None
            raise SystemExit(f"error: a learner failed: {process.stderr.read().decode()[-2000:]}")
        rows = map(json.loads, (Path(place) / "metrics.jsonl").read_text().splitlines())
        return max(row["train/steps_per_s"] for row in rows if "train/steps_per_s" in row), most


def megabytes(pid: int) -> float:
    """Of a process and those that it began."""
    total, found = 0.0, [pid]
    for each in found:
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
            children = Path(f"/proc/{each}/task/{each}/children").read_text().split()
        except OSError:
            continue  # it has just ended
        total += sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))
        found += map(int, children)
    return total


def measured(against: str | None, rounds: int, steps: int) -> dict[str, Any]:
    """By side: steps a second of each turn and the megabytes of the first."""
    sides: dict[str, tuple[str, ...]] = {
        "one process": (sys.executable,),
        "two processes": (sys.executable, "--processes", "2"),
    }
    if against is not None:
        sides["one process, other build"] = (against,)
    rates: dict[str, list[float]] = {name: [] for name in sides}
    memory: dict[str, float] = {}
    loads = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        prepare(folder)
        for _ in range(rounds):
            for name, (python, *more) in sides.items():
                loads.append(round(os.getloadavg()[0], 2))
                rate, most = run(folder, python, steps, *more)
                rates[name].append(round(rate, 3))
                memory[name] = round(min(most, memory.get(name, most)), 1)
                print(f"{name}: {rate:.2f} steps/s, {most:.0f} MB", file=sys.stderr)
    return {
        "sides": {
            name: {
                "steps_per_s": {"best": max(found), "median": statistics.median(found)},
                "turns": found,
                "megabytes": memory[name],
            }
            for name, found in rates.items()
        },
        "load_before_each_turn": loads,
    }


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """What is asked for, of the sides."""
    sides = found["sides"]
    one, two = sides["one process"], sides["two processes"]
    rates = one["steps_per_s"], two["steps_per_s"]
    told = {
        f"steps/s, two processes to one, {kind}": rates[1][kind] / rates[0][kind]
        for kind in ("best", "median")
    }
    told["memory, two processes to one"] = two["megabytes"] / one["megabytes"]
    if (other := sides.get("one process, other build")) is not None:
        told["steps/s, one process here to the other build, best"] = (
            one["steps_per_s"]["best"] / other["steps_per_s"]["best"]
        )
    return {name: round(value, 3) for name, value in told.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Read the arguments, measure, print, and write what is to be kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", help="another environment's interpreter")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=16, help="of a cycle, of which a run has 12")
    parser.add_argument("--output", type=Path, help="file for the record")
    told = parser.parse_args(argv)
    from provenance import origin

    found = measured(told.against, told.rounds, told.steps)
    results = found | {"ratios": ratios(found)}
    print(json.dumps(results["ratios"], indent=2))
    if told.output is not None:
        record = origin("python -m bench.ranks", sys.argv) | {"results": results}
        told.output.parent.mkdir(exist_ok=True)
        told.output.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
