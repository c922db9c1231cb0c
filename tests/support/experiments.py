"""Experiments over directories for tests of their commands: quick settings, files to learn from."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from random_games import random_games

from zebfast.cli.main import cli
from zebfast.exchange import LocalWeightStore, Namespace, example_name
from zebfast.selfplay.examples import write_native

QUICK = (
    "--threads", "1", "--device", "cpu", "--batch-size", "8", "--min-buffer-size", "28",
    "--training-steps-per-cycle", "4", "--push-every", "1", "--eval-every", "2",
    "--eval-games", "4", "--max-minutes", "0.5", "--no-local-replay-cache-enabled",
)  # fmt: skip
_seeds = itertools.count(1)


def zebfast(*arguments: str | Path) -> Result:
    """Run the program in this process."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="zebfast")


def experiment(verb: str, *arguments: str | Path, root: Path) -> Result:
    """Run `zebfast experiment VERB …` on the experiments below ``root``."""
    return zebfast("experiment", verb, *arguments, "--experiments-dir", root / "experiments")


def create(root: Path, *arguments: str | Path, name: str = "first") -> Result:
    """Create an experiment over ``root/run``, quick unless the arguments have a -- of their own."""
    places = ("--weights-dir", root / "run", "--input-dir", root / "run" / "examples")
    quick = () if "--" in arguments else ("--", *QUICK)
    return zebfast("experiment", "create", name, *places,
                   "--experiments-dir", root / "experiments", *arguments, *quick)  # fmt: skip


def add_examples(
    root: Path, *, name: str = "first", worker: str = "worker-0", age: float = 5.0, n: int = 2,
    source: str = "selfplay-mcts", model_step: int = 0, weights_name: str | None = None,
) -> Path:  # fmt: skip
    """Add a file of ``n`` random games to the experiment's examples, as a worker would."""
    directory = root / "run" / "examples" / name
    directory.mkdir(parents=True, exist_ok=True)
    written = time.time() - age
    path = directory / example_name(worker, written)
    metadata = {"worker_id": worker, "model_step": model_step, "n_games": n, "timestamp": written,
                "source": source, "weights_name": weights_name or name}  # fmt: skip
    write_native(path, random_games(n, seed=next(_seeds)), metadata)
    return path


def learn(root: Path, *arguments: str, stage: str = "selfplay", cycles: int = 2) -> Any:
    """A few cycles of the learner of the experiment `first`."""
    return experiment("learn", "first", "--stage", stage, "--max-cycles", str(cycles), *arguments,
                      root=root)  # fmt: skip


def status(root: Path) -> dict[str, Any]:
    """What `status --json` says of it."""
    done = experiment("status", "first", "--json", root=root)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def checks(root: Path) -> dict[str, str]:
    """State of each check by its name."""
    return {check["name"]: check["state"] for check in status(root)["checks"]}


def state(root: Path) -> dict[str, Any]:
    """What its learner has published."""
    found = LocalWeightStore(root / "run", Namespace.parse("first")).read_state()
    assert found is not None
    return found


def edit(root: Path, old: str, new: str) -> None:
    """Change its file."""
    path = root / "experiments" / "first" / "experiment.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@contextmanager
def learning(root: Path, *flags: str) -> Iterator[subprocess.Popen[str]]:
    """A learner as a process of its own, after its second cycle; killed at the end."""
    command = [sys.executable, "-m", "zebfast", "experiment", "learn", "first", "--stage",
               "selfplay", "--experiments-dir", str(root / "experiments"), *flags]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        while "Cycle    2" not in (line := process.stdout.readline()):
            assert line or process.poll() is None
        yield process
    finally:
        process.kill()
        process.communicate()
