"""A learner on two processes against one: steps a second and memory; and one against another build.

    python -m bench.ranks --against OTHER/.venv/bin/python --output bench/records/ranks/DATE.json

Whole learners, as `zebfast-learn` runs them, over a directory of random games: v2 medium, a global
batch of 1,024, one thread a process. They take turns, one at a time; of a run the fastest cycle
counts, of a side the best and the median of its runs, for others load a machine, too. So there is
also the processor time of a step of the busiest process, which others change less; what is done
between cycles is in it. Memory is the proportional set size of all processes of a run, of which
shared pages are counted once, at its most.

What this machine could give at best is measured, too: two learners of one process that have nothing
to do with each other, at once, each with batches of 512. Of those the slower one counts.
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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
N_FILES, GAMES_A_FILE = 20, 100
CYCLES = 12  # short ones, of which some meet a quiet moment
LOOK_SECONDS = 0.25
APART = "two processes apart"


def prepare(folder: Path) -> None:
    """Examples and the network to start from."""
    from zebfast.benchmark.workload import finished_games
    from zebfast.net import checkpoint
    from zebfast.net.networks import sized
    from zebfast.selfplay.examples import write_native

    (folder / "examples").mkdir()
    games = finished_games(GAMES_A_FILE)  # the same in every file: a step takes as long
    for number in range(N_FILES):
        about = {"worker_id": "w", "model_step": 0, "n_games": GAMES_A_FILE, "timestamp": number,
                 "source": "selfplay-mcts"}  # fmt: skip
        path = folder / "examples" / f"w_{1_700_000_000 + number}_{number:08x}.safetensors"
        write_native(path, games, about)
    config = sized("v2", "medium", belief_head=True)
    checkpoint.save(checkpoint.fresh(config, seed=1), folder / "start.pt")


class Turn(NamedTuple):
    """What one run shows: of its fastest cycle, of all but its first ones, and at most."""

    steps_per_s: float
    processor_ms: float
    megabytes: float


def flags(folder: Path, place: str, batch: int, steps: int) -> list[str]:
    """Of a learner that leaves its files in ``place``."""
    numbers = {
        "batch-size": batch, "threads": 1, "training-steps-per-cycle": steps, "max-cycles": CYCLES,
        "eval-every": 0, "keep-example-files": 0, "disk-limit": 0,
    }  # fmt: skip
    return [
        *("--repo-id", place, "--input-dir", str(folder / "examples"), "--device", "cpu"),
        *("--checkpoint", str(folder / "start.pt"), "--local-replay-cache-dir", f"{place}/cache"),
        *(word for name, number in numbers.items() for word in (f"--{name}", str(number))),
    ]


def run(folder: Path, python: str, steps: int, *more: str, apart: int = 1) -> Turn:
    """A learner from its start to its end; or so many at once, each with its part of a batch."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        places = [f"{made}/{number}" for number in range(apart)]
        processes = [
            subprocess.Popen(
                [python, "-m", "zebfast.learner", *flags(folder, place, 1024 // apart, steps),
                 *more],
                cwd=folder, env=os.environ | {"PYTHONPATH": ""},
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )
            for place in places
        ]  # fmt: skip
        most, seen = 0.0, []
        while any(process.poll() is None for process in processes):
            most = max(most, sum(megabytes(process.pid) for process in processes))
            spent = [processor_seconds(process.pid) for process in processes]
            seen.append((time.time(), {pid: time for each in spent for pid, time in each.items()}))
            time.sleep(LOOK_SECONDS)
        for process in processes:
            if process.returncode:
                assert process.stderr is not None
                told = process.stderr.read().decode()[-2000:]
                raise SystemExit(f"error: a learner failed: {told}")
        rows = [_metrics(Path(place)) for place in places]
    rate = min(max(row["train/steps_per_s"] for row in of_one) for of_one in rows)
    first, last = (max(of_one[i]["time"] for of_one in rows) for i in (1, -1))
    took = {pid: _at(seen, pid, last) - _at(seen, pid, first) for pid in seen[-1][1] | seen[-2][1]}
    return Turn(rate, 1e3 * max(took.values()) / (steps * (len(rows[0]) - 2)), most)


def _metrics(place: Path) -> list[dict[str, Any]]:
    return [*map(json.loads, (place / "metrics.jsonl").read_text().splitlines())]


def _at(seen: Sequence[tuple[float, Mapping[int, float]]], pid: int, unix: float) -> float:
    """Processor seconds of a process at a time between looks, or at the last one before."""
    times = [each for each, held in seen if pid in held]
    return float(np.interp(unix, times, [held[pid] for _, held in seen if pid in held]))


def tree(pid: int) -> list[int]:
    """A process and those that it began."""
    found = [pid]
    for each in found:
        with suppress(OSError):  # it has just ended
            found += map(int, Path(f"/proc/{each}/task/{each}/children").read_text().split())
    return found


def megabytes(pid: int) -> float:
    """Of such a tree."""
    total = 0.0
    for each in tree(pid):
        with suppress(OSError):
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))
    return total


def processor_seconds(pid: int) -> dict[int, float]:
    """Of each process of such a tree."""
    found = {}
    for each in tree(pid):
        with suppress(OSError):
            words = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            found[each] = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return found


def measured(against: str | None, rounds: int, steps: int) -> dict[str, Any]:
    """By side: the best of its turns, and each of them."""
    sides: dict[str, tuple[str, ...]] = {
        "one process": (sys.executable,),
        "two processes": (sys.executable, "--processes", "2"),
        APART: (sys.executable,),
    }
    if against is not None:
        sides["one process, other build"] = (against,)
    turns: dict[str, list[Turn]] = {name: [] for name in sides}
    loads = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        prepare(folder)
        for _ in range(rounds):
            for name, (python, *more) in sides.items():
                loads.append(round(os.getloadavg()[0], 2))
                turn = run(folder, python, steps, *more, apart=2 if name == APART else 1)
                turns[name].append(turn)
                print(f"{name}: {turn}", file=sys.stderr)
    return {
        "sides": {
            name: {
                "steps_per_s": {
                    "best": round(max(turn.steps_per_s for turn in found), 3),
                    "median": round(statistics.median(turn.steps_per_s for turn in found), 3),
                },
                "processor_ms_a_step": round(min(turn.processor_ms for turn in found), 3),
                "megabytes": round(min(turn.megabytes for turn in found), 1),
                "turns": [turn._asdict() for turn in found],
            }
            for name, found in turns.items()
        },
        "load_before_each_turn": loads,
    }


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """What is asked for, of the sides."""
    sides = found["sides"]
    one, two = sides["one process"], sides["two processes"]
    told = {
        f"steps/s, {name} to one, {kind}": sides[name]["steps_per_s"][kind]
        / one["steps_per_s"][kind]
        for name in ("two processes", APART)
        for kind in ("best", "median")
    }
    told["processor time of a step, one process to the busier of two"] = (
        one["processor_ms_a_step"] / two["processor_ms_a_step"]
    )
    told["memory, two processes to one"] = two["megabytes"] / one["megabytes"]
    if (other := sides.get("one process, other build")) is not None:
        told["steps/s, one process here to the other build, best"] = (
            one["steps_per_s"]["best"] / other["steps_per_s"]["best"]
        )
        told["processor time of a step, one process here to the other build"] = (
            one["processor_ms_a_step"] / other["processor_ms_a_step"]
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
