"""The network of one environment against that of another: decisions, searches, teachers, self-play.

    python -m bench.against OTHER/.venv/bin/python --output bench/records/network/DATE-SLUG.json

OTHER may be a revision from before the network was in the core. Each figure is taken in a process
of its own, here and there in turns, on one core or, for games, on as many as there are; the best of
all turns counts, for others load a machine, too. Both play the network that is shipped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
ROWS = (1, 64, 256, 1024)
Found = dict[str, float]


# --- What is measured, in either environment.


def evaluators(wanted: Sequence[str]) -> dict[str, Any]:
    """Evaluators on one thread by precision; or, for AVX2, by kernel."""
    from zebfast.net import checkpoint, shipped

    held = checkpoint.load(shipped.PATH)
    try:
        from zebfast.core.network import Network, kernels
    except ImportError:  # torch evaluates
        import torch

        from zebfast.net.evaluator import Evaluator

        old: Any = Evaluator
        torch.set_num_threads(1)
        kinds = ("fp32", "bf16") if wanted == ("own",) else ("fp32",)
        return {kind: old(held.config, held.weights, dtype=kind) for kind in kinds}
    shape: Any = held.config

    def network(precision: str, kernel: str | None) -> Network:
        how = {"precision": precision, "kernel": kernel}
        return Network(shape.width, shape.n_blocks, shape.belief_head, held.weights, **how)

    if wanted == ("own",):
        return {kind: network(kind, None) for kind in ("fp32", "bf16", "int8")}
    return {
        name: network(precision, name)
        for name, precision, supported in kernels()
        if supported and "avx2" in name
    }


def rates(*wanted: str) -> Found:
    """Microseconds a row, by precision or kernel and rows of a batch."""
    from zebfast.benchmark.workload import mixed_observations

    obs, found = mixed_observations(4096), {}
    sizes = ROWS if wanted == ("own",) else (64,)
    for name, evaluator in evaluators(wanted).items():
        evals = np.empty((4096, 8), np.float32)
        evaluator.evaluate(obs[:512], evals[:512])  # a lower precision is judged by its first batch
        for rows in sizes:
            times = []
            for _ in range(12):
                n = max(1, min(300, 2048 // rows))
                began = time.perf_counter()
                for i in range(n):
                    at = i * rows % (4097 - rows)
                    evaluator.evaluate(obs[at : at + rows], evals[:rows])
                times.append((time.perf_counter() - began) / n / rows)
            found[f"{name}, {rows}"] = round(1e6 * min(times), 2)
    return found


def worlds() -> Found:
    """Layouts that search:ms=10 looks at alone, a decision, over the plies of 72 games."""
    from zebfast.arena.pairs import PlayRng
    from zebfast.arena.players import rollouts
    from zebfast.arena.players.build import build_player
    from zebfast.arena.players.specs import parse_spec
    from zebfast.core.engine import GameBatch
    from zebfast.core.masks import has_choice
    from zebfast.core.solver_pool import SolverPool

    searcher: Any = build_player(parse_spec("search:ms=10"), device="cpu", pool=SolverPool(1))
    searcher.clock = time.thread_time
    network = build_player(parse_spec("zeb"), device="cpu")
    looked: list[int] = []
    stages: Any = rollouts.RolloutPlayer._stages

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        for found, n in stages(self, *args, **options):
            looked[-1] = n
            yield found, n

    rollouts.RolloutPlayer._stages = counted  # type: ignore[method-assign]
    games, rows, decisions = GameBatch.deal(72, seed=77), np.arange(72), []
    for ply in range(24):
        decisions += [games.take([i]) for i in rows[rows % 24 == ply]]
        rng = PlayRng(seed=3, games=rows.astype(np.uint64), plies=games.n_plays)
        games.play(network.choose(games, rows, rng, np.full(72, 30, np.uint8)))
    decisions = [game for game in decisions if has_choice(game.legal())[0]]
    for i, game in enumerate([decisions[0], *decisions]):  # the first once to begin with
        looked.append(0)
        rng = PlayRng(seed=9, games=np.array([i], np.uint64), plies=game.n_plays)
        searcher.choose(game, np.zeros(1, np.intp), rng, np.array([30], np.uint8))
    return {"worlds": round(float(np.mean(looked[1:])), 1)}


def games() -> Found:
    """Games a second that the rollout teacher labels wholly, and of self-play by 32 simulations."""
    from zebfast.core.options import SearchOptions
    from zebfast.net import checkpoint, shipped
    from zebfast.selfplay.config import SelfPlay, SelfPlayConfig
    from zebfast.selfplay.teaching import Teaching, TeachingConfig

    held = checkpoint.load(shipped.PATH)
    evaluator: Any
    try:
        from zebfast.net.devices import open_evaluator

        evaluator = open_evaluator(held.config, held.weights, device="cpu", dtype="auto")
    except ImportError:
        import torch

        from zebfast.net.evaluator import Evaluator

        torch.set_num_threads(1)
        old: Any = Evaluator
        evaluator = old(held.config, held.weights, device="cpu", dtype="auto")
    search = SearchOptions(n_simulations=32, exact_tricks=4, n_worlds=8)
    config = SelfPlayConfig(n_parallel_games=128, n_groups=2, search=search)
    found = {}
    for name, play, n in (
        ("labelled", Teaching(evaluator, config=TeachingConfig(teacher="rollout"), seed=1), 1024),
        ("self-play", SelfPlay(evaluator, config=config, seed=1), 512),
    ):
        play.play(64)
        began = time.perf_counter()
        _, stats = play.play(n)
        found[name] = round(stats.finished / (time.perf_counter() - began), 1)
    return found


class Figure:
    """One that is taken here and there; ``environment``: what its process is told besides."""

    def __init__(self, measure: Callable[..., Found], *of: str, **environment: str) -> None:
        self.measure, self.of, self.environment = measure, of, environment


FIGURES: Mapping[str, Figure] = {
    "microseconds a row, one core": Figure(rates, "own"),
    "microseconds a row, one core, AVX2 only": Figure(rates, "avx2", ATEN_CPU_CAPABILITY="avx2",
                                                       ONEDNN_MAX_CPU_ISA="AVX2"),
    "layouts looked at by search:ms=10, one core": Figure(worlds),
    "games a second, all cores": Figure(games),
}  # fmt: skip


# --- Both environments in turns, and the record.


def taken(python: str, name: str) -> Found:
    """A figure by that environment."""
    command = [python, __file__, "--figure", name]
    told = {**os.environ, **FIGURES[name].environment}
    done = subprocess.run(command, env=told, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: {python} could not take {name!r}: {done.stderr[-2000:]}")
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def compared(other: str, turns: int) -> dict[str, Any]:
    """By figure: the best of each side."""
    found: dict[str, Any] = {}
    for name in FIGURES:
        better = min if name.startswith("microseconds") else max
        sides: dict[str, Found] = {"there": {}, "here": {}}
        for _ in range(turns):
            for side, python in (("there", other), ("here", sys.executable)):
                for key, value in taken(python, name).items():
                    sides[side][key] = better(value, sides[side].get(key, value))
        found[name] = sides
        print(f"{name}: {json.dumps(sides)}", file=sys.stderr)
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Take the figures and write the record, or print what one figure is here."""
    parser = argparse.ArgumentParser(description="This network against another environment's.")
    parser.add_argument("other", nargs="?", help="Python of the other environment")
    parser.add_argument("--output", type=Path, help="the record that is written")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--figure", choices=FIGURES, help="print one of this environment and end")
    args = parser.parse_args(argv)
    if args.figure:
        figure = FIGURES[args.figure]
        print(json.dumps(figure.measure(*figure.of)))
        return
    if args.other is None or args.output is None:
        parser.error("the other environment and --output must be given")
    sys.path.insert(0, str(ROOT / "tools"))
    import provenance

    record = {**provenance.origin("python -m bench.against", sys.argv),
              "results": compared(args.other, args.turns)}  # fmt: skip
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
