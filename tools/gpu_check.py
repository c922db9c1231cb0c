"""What has never run on a GPU, run on one in about ten minutes, and a record of it.

    python tools/gpu_check.py                        (make gpu-check)
    python tools/gpu_check.py --step evaluator       one step, its result as JSON

Each step is a process of its own, with a time of its own, so that one that fails or hangs costs the
others nothing: captured graphs and the evaluator's device path against the CPU, mixed precision,
whole learners on one rank and on all GPUs through NCCL, the tests that are marked `gpu`, and the
report of `zebfast bench`. Without a GPU the same steps run on the CPU, small, which shows that the
script does; nothing is recorded then.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from generated import ROOT

sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

RECORDS = ROOT / "bench" / "records" / "gpu"
Found = dict[str, Any]
#: How far answers may lie from those of fp32 on the CPU: as the tests of the evaluator have it.
BOUNDS = {"fp32": 1e-4, "fp16": 0.02, "bf16": 0.1}


class Place(NamedTuple):
    """Where a step runs, and how much it does: all of it on a GPU, a little on the CPU."""

    device: str
    n_gpus: int

    @property
    def is_gpu(self) -> bool:
        return self.n_gpus > 0

    def size(self, on_gpu: int, on_cpu: int) -> int:
        return on_gpu if self.is_gpu else on_cpu


def here() -> Place:
    from zebfast.net.torch.runtime import n_gpus

    n = n_gpus()
    return Place("cuda" if n else "cpu", n)


# --- the steps ---


def facts(place: Place) -> Found:
    """What there is, and that it calculates."""
    from zebfast.net.torch.runtime import calculate, cuda_version, gpu_gib, gpu_name

    gpu, why = calculate()
    found: Found = {"cuda": cuda_version(), "calculates": gpu is not None, "why_not": why}
    if place.is_gpu:
        found |= {"gpu": gpu_name(), "gib": round(gpu_gib(), 1), "n_gpus": place.n_gpus}
    return found


def evaluator(place: Place) -> Found:
    """By network and precision: distance from the CPU, evaluations a second, graphs or none."""
    from zebfast.benchmark.workload import fresh_network, mixed_observations
    from zebfast.net.devices import open_evaluator
    from zebfast.net.torch.evaluator import TorchEvaluator

    found: Found = {}
    asked = mixed_observations(place.size(2048, 96))
    for tokenizer in ("v1", "v2"):
        config, weights = fresh_network(
            "medium" if place.is_gpu else "small", tokenizer, belief_head=True
        )
        want = np.empty((len(asked), 8), np.float32)
        open_evaluator(config, weights, device="cpu").evaluate(asked, want)
        for dtype, bound in BOUNDS.items():
            ours = TorchEvaluator(config, weights, device=place.device, dtype=dtype)
            got = np.empty_like(want)
            ours.evaluate(asked, got)  # captures, and is judged
            ours.evaluate(asked, got)
            apart = float(np.abs(got - want).max())
            rates = {str(n): _rate(ours, asked[:n], place.size(60, 2)) for n in place_sizes(place)}
            found[f"{tokenizer} {dtype}"] = {
                "on": ours.describe(),
                "apart_from_the_cpu": apart,
                "is_near": apart <= bound,
                "graphs": ours._graphs.use if place.is_gpu else None,
                "evaluations_per_s": rates,
            }
    return found


def place_sizes(place: Place) -> tuple[int, ...]:
    return (64, 512, 2048) if place.is_gpu else (64,)


def _rate(evaluate_with: Any, obs: Any, times: int) -> int:
    out = np.empty((len(obs), 8), np.float32)
    evaluate_with.evaluate(obs, out)
    began = time.perf_counter()
    for _ in range(times):
        evaluate_with.evaluate(obs, out)
    return round(len(obs) * times / (time.perf_counter() - began))


def training(place: Place) -> Found:
    """By network and precision: steps a second, and the losses after some steps."""
    from zebfast.benchmark.workload import trainer

    found: Found = {}
    n_steps, batch = place.size(64, 2), place.size(1024, 16)
    modes: Mapping[str, Mapping[str, Any]] = {
        "fp32": {}, "bf16": {"amp": True, "amp_dtype": "bf16"},
        "fp16": {"amp": True, "amp_dtype": "fp16"},
    }  # fmt: skip
    for tokenizer in ("v1", "v2"):
        for name, told in modes.items():
            size = "medium" if place.is_gpu else "small"
            of, sources = trainer(
                size, tokenizer, belief_head=True, device=place.device, batch_size=batch, **told
            )
            of.train(sources, n_steps=n_steps, should_stop=lambda: False)
            began = time.perf_counter()
            report = of.train(sources, n_steps=n_steps, should_stop=lambda: False)
            found[f"{tokenizer} {name}"] = {
                "computes_in": str(of.half or "torch.float32"),
                "steps_per_s": round(n_steps / (time.perf_counter() - began), 2),
                "losses": {k: round(v, 4) for k, v in report.means.items() if k.endswith("_loss")},
                "is_finite": report.divergence is None and of.divergence is None,
            }
    return found


def ranks(place: Place) -> Found:
    """Whole learners: one process, rank 0 of a world of one, and one rank a GPU where more are.

    Over NCCL, or gloo on a CPU. Each is run twice, the second time from what the first one left.
    """
    found: Found = {}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        _examples(folder)
        worlds = [0, 1, *([place.n_gpus] if place.n_gpus > 1 else [])]
        for world in worlds:
            for _ in range(2):
                _learner(place, folder, world)
            rows = (folder / f"run-{world}" / "metrics.jsonl").read_text().splitlines()
            last = [row for row in map(json.loads, rows) if "train/steps_per_s" in row][-1]
            name = f"world {world}" if world else "one process"
            found[name] = {
                "cycles": last["step"],
                "steps_per_s": round(last["train/steps_per_s"], 2),
                "policy_loss": round(last["train/policy_loss"], 5),
            }
        losses = [each["policy_loss"] for each in found.values()]
        found["losses_agree"] = max(losses) - min(losses) < 0.01
    return found


def _examples(folder: Path) -> None:
    from zebfast.net import checkpoint
    from zebfast.net.networks import sized
    from zebfast.selfplay.examples import write_native

    random_games = importlib.import_module("random_games").random_games  # of the tests
    (folder / "examples").mkdir()
    about = {"worker_id": "w", "model_step": 0, "n_games": 40, "timestamp": 1,
             "source": "selfplay-mcts"}  # fmt: skip
    write_native(folder / "examples" / "w_1_ab.safetensors", random_games(40, seed=1), about)
    config = sized("v2", "small", belief_head=True)
    checkpoint.save(checkpoint.fresh(config, seed=1), folder / "start.pt")


def _learner(place: Place, folder: Path, world: int) -> None:
    run = folder / f"run-{world}"
    flags = [
        *("--repo-id", str(run), "--input-dir", str(folder / "examples"), "--eval-every", "0"),
        *("--checkpoint", str(folder / "start.pt"), "--local-replay-cache-dir", f"{run}/cache"),
        *("--training-steps-per-cycle", str(place.size(200, 4)), "--max-cycles", "2"),
        *("--batch-size", "64", "--min-buffer-size", "28", "--keep-example-files", "0"),
        *("--device", place.device, "--threads", "1", "--disk-limit", "0"),
    ]
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    of_world = {
        "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    environments = [of_world | {"RANK": str(r), "LOCAL_RANK": str(r)} for r in range(world)] or [{}]
    command = [sys.executable, "-m", "zebfast.learner", *flags]
    processes = [
        subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **own}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for own in environments
    ]  # fmt: skip
    try:
        for process in processes:
            text, _ = process.communicate(timeout=150)
            if process.returncode:
                raise RuntimeError(f"a learner ended with {process.returncode}: {text[-1500:]}")
    finally:
        for process in processes:
            with suppress(OSError):
                process.kill()


def tests(place: Place) -> Found:
    """Those marked ``gpu``; without one they are only collected."""
    own = ["-m", "gpu", "-q", "-p", "no:cacheprovider", *([] if place.is_gpu else ["--co"])]
    command = [sys.executable, "-m", "pytest", *own, "tests/net"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    return {"code": done.returncode, "last": lines[-1] if lines else done.stderr[-500:]}


def bench(place: Place) -> Found:
    """The report of `zebfast bench`, whose networks are on the GPU."""
    stages = [] if place.is_gpu else ["--stage", "evaluations_v2", "--seconds", "0.01"]
    command = [sys.executable, "-m", "zebfast", "bench", "--json", *stages]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


class Step(NamedTuple):
    """What it does, and the seconds it may take on a GPU."""

    run: Callable[[Place], Found]
    seconds: int


STEPS: Mapping[str, Step] = {
    "facts": Step(facts, 60),
    "evaluator": Step(evaluator, 120),
    "training": Step(training, 120),
    "ranks": Step(ranks, 180),
    "tests": Step(tests, 120),
    "bench": Step(bench, 120),
}


# --- all of them, and the record ---


def result_of(name: str) -> Found:
    """A step in a process of its own: what it found, or how it failed; and its seconds."""
    command = [sys.executable, __file__, "--step", name]
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=STEPS[name].seconds,
            check=False,
        )  # fmt: skip
        if done.returncode:
            found: Found = {"failed": done.stderr.strip()[-1500:]}
        else:
            found = dict(json.loads(done.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        found = {"failed": f"took more than {STEPS[name].seconds} s"}
    return found | {"seconds": round(time.monotonic() - began, 1)}


def is_well(found: Any) -> bool:
    """Is nothing in a result a failure, a false answer or a code but 0?"""
    if not isinstance(found, dict):
        return True
    wrong = ("is_near", "is_finite", "losses_agree", "graphs")
    if "failed" in found or found.get("code") or any(found.get(key) is False for key in wrong):
        return False
    return all(map(is_well, found.values()))


def main(argv: Sequence[str] | None = None) -> int:
    """Read the arguments, run the steps, say how each went, write the record. The exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", choices=list(STEPS), help="only this one, its result as JSON")
    parser.add_argument("--output", type=Path, help="file of the record (bench/records/gpu/DATE)")
    told = parser.parse_args(argv)
    place = here()
    if told.step is not None:
        print(json.dumps(STEPS[told.step].run(place)))
        return 0
    if not place.is_gpu:
        print("No GPU that torch can use here: every step runs on the CPU, small, to show that it "
              "does; nothing is recorded.")  # fmt: skip
    results = {}
    for name in STEPS:
        results[name] = found = result_of(name)
        print(f"{name}: {'ok' if is_well(found) else 'NOT WELL'} ({found['seconds']:.0f} s)")
        if not is_well(found):
            print(f"  {json.dumps(found)}")
    if place.is_gpu:
        from provenance import origin, stamp

        path = told.output or RECORDS / f"{stamp()['date']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        record = origin("python tools/gpu_check.py", sys.argv) | {"results": results}
        path.write_text(json.dumps(record, indent=2) + "\n")
        print(f"The record: {path}")
    return 0 if all(map(is_well, results.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
