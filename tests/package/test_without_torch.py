"""What the package does in an environment that has no torch: all but training, v1 and GPUs.

One process runs many commands, each a real one to its end.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zebfast.exchange import LocalWeightStore, Namespace
from zebfast.net import checkpoint
from zebfast.net.v1 import SIZES
from zebfast.net.v2 import V2Config

TINY = V2Config(width=32, n_blocks=1, belief_head=True)

#: Imports every module but those that may import torch; prints what else fails.
IMPORTS = """
import importlib, json, pkgutil, sys, zebfast
failed = {}
for module in pkgutil.walk_packages(zebfast.__path__, "zebfast."):
    try:
        module.name.endswith("__main__") or importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        failed[module.name] = error.name
print(json.dumps(failed))
"""

#: Says what the shipped network thinks of a position, by every way there is.
PLAYER = """
import json, sys
import numpy as np
import zebfast
from zebfast.net import checkpoint, shipped
from zebfast.net.heads import open_heads
game = zebfast.Game.deal(seed=7)
player = zebfast.load_player()
chosen = player.choose(game)
searched = zebfast.load_player("search:worlds=4,belief=head").choose(game)
held = checkpoint.load(shipped.PATH)
batch = zebfast.GameBatch([game.dealt], [game.decl], [game.leader])
heads = open_heads(held.config, held.weights)(batch.observe())
problems = []
for spec, device in ((f"zeb:source={sys.argv[1]}", "cpu"), ("zeb", "cuda")):
    try:
        zebfast.load_player(spec, device=device)
    except ValueError as error:
        problems.append(str(error))
print(json.dumps({
    "legal": [chosen in game.legal(), searched in game.legal()],
    "probabilities": {str(d): p for d, p in player.probabilities(game).items()},
    "points": player.points(game).tolist(), "expected": player.expected_points(game),
    "value": float(heads.value[0]), "belief": heads.belief[0].tolist(), "problems": problems,
}))
"""

#: Runs commands one after another: a line of JSON for each, [exit code, stdout, stderr].
COMMANDS = """
import contextlib, io, json, sys
from zebfast.cli.main import main
for argv in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(argv)
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
assert not [name for name in sys.modules if name.partition(".")[0] == "torch"]
"""

Lean = Callable[..., str]


@pytest.fixture
def lean(lean_python: Path, tmp_path: Path) -> Lean:
    """Runs code by a Python without torch, and gives what it prints."""

    def run(code: str, *arguments: str) -> str:
        env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        done = subprocess.run(
            [lean_python, "-c", code, *arguments],
            capture_output=True, text=True, cwd=tmp_path, env=env,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def commands(lean: Lean, *argvs: list[str]) -> list[tuple[int, str, str]]:
    return [tuple(json.loads(line)) for line in lean(COMMANDS, json.dumps(argvs)).splitlines()]


def test_every_module_imports_but_those_of_torch(lean: Lean) -> None:
    failed = json.loads(lean(IMPORTS))
    extras = ("gymnasium", "pettingzoo", "pyspiel")  # whose modules say so
    failed = {name: library for name, library in failed.items() if library not in extras}
    assert set(failed.values()) == {"torch"}
    others = [name for name in failed if not name.startswith("zebfast.net.torch")]
    assert {name.rpartition(".")[0] for name in others} <= {
        "zebfast.learner",
        "zebfast.learner.ranks",
        "zebfast.learner.train",
    }


def test_a_program_asks_the_shipped_network(lean: Lean, tmp_path: Path) -> None:
    checkpoint.save(checkpoint.fresh(SIZES["small"], seed=0), tmp_path / "v1.pt")
    found = json.loads(lean(PLAYER, str(tmp_path / "v1.pt")))
    assert found["legal"] == [True, True]
    assert sum(found["probabilities"].values()) == pytest.approx(1)
    assert sum(found["points"]) == pytest.approx(1)
    assert 0 < found["expected"] < 42
    assert -1 < found["value"] < 1
    assert [len(found["belief"]), len(found["belief"][0])] == [28, 3]
    of_v1, of_gpu = found["problems"]
    assert of_v1 == (
        "v1 networks need torch, which is not installed here: pip install 'zebfast[train]'."
    )
    assert of_gpu == (
        "device 'cuda' needs torch, which is not installed here: pip install 'zebfast[train]'."
    )


def test_commands_play_and_measure(lean: Lean) -> None:
    stages = [f"--stage={name}" for name in ("random_games", "evaluations_v2", "learner_steps")]
    played, measured, doctor, host, version = commands(
        lean,
        ["eval", "zeb", "vs", "random", "--n-games", "2", "--json"],
        ["bench", "--seconds", "0.01", *stages],
        ["doctor", "--json"],
        ["host", "check", "--allow-cpu", "--json"],
        ["--version"],
    )
    assert (played[0], json.loads(played[1])["games"]) == (0, 2)
    assert measured[0] == 0, measured
    assert "torch none" in measured[1]
    assert "learner_steps is left out: training needs torch" in measured[2]
    checks = {check["name"]: check for check in json.loads(doctor[1])["checks"]}
    assert not checks["torch"]["ok"]
    assert not checks["torch"]["required"]
    assert checks["torch"]["fix"] == "pip install 'zebfast[train]'"
    assert json.loads(host[1])["checks"][0]["name"] == "GPU"
    assert "torch missing" in version[1]


def test_what_needs_torch_says_what_to_install(lean: Lean, tmp_path: Path) -> None:
    checkpoint.save(checkpoint.fresh(SIZES["small"], seed=0), tmp_path / "v1.pt")
    source, out = f"zeb:source={tmp_path / 'v1.pt'}", str(tmp_path / "new.pt")
    told = commands(
        lean,
        ["eval", source, "vs", "random", "--n-games", "2"],
        ["eval", "zeb", "vs", "random", "--n-games", "2", "--device", "cuda"],
        ["init", "--size", "small", "-o", out],
        ["learn", "--repo-id", str(tmp_path), "--input-dir", str(tmp_path), "--no-wandb"],
        ["init", "--from", "shipped", "-o", out],
    )
    for code, _, text in told[:-1]:
        assert (code, text.count("\n")) == (1, 1), text
        assert "torch" in text
        assert "pip install 'zebfast[train]'" in text
    assert told[-1][0] == 0, told[-1]
    assert checkpoint.load(Path(out)).config.tokenizer == "v2"


def test_workers_hand_over_a_batch_of_every_kind(lean: Lean, tmp_path: Path) -> None:
    made = checkpoint.fresh(TINY, seed=1)
    producer: dict[str, Any] = {"mode": "exact", "label_share": 0.2, "games_per_batch": 2}
    state = {"step": 3, "total_games": 0, "producer": producer | {"n_parallel_games": 2}}
    LocalWeightStore(tmp_path, Namespace.parse(None)).publish(
        made.weights, made.config.to_dict(), state
    )
    plain = ["--repo-id", str(tmp_path), "--output-dir", str(tmp_path / "examples"),
             "--device", "cpu", "--games-per-batch", "2", "--max-batches", "1"]  # fmt: skip
    own = {
        "selfplay": ["--n-simulations", "4", "--n-parallel-games", "2", "--n-groups", "1"],
        "eval-aux": ["--n-samples", "2"],
        "exact": ["--n-parallel-games", "2", "--n-groups", "1"],
        "rollout": ["--n-parallel-games", "2", "--n-groups", "1", "--label-share", "0.1"],
        "recipe": [],
    }
    argvs = [["worker", "--mode", mode, *plain, *flags] for mode, flags in own.items()]
    argvs.append([*argvs[0], "--example-format", "pt"])
    for code, said, problem in commands(lean, *argvs):
        assert code == 0, problem
        assert "batch 1:" in said
    names = [path.name for path in (tmp_path / "examples").iterdir() if path.suffix != ".json"]
    assert len([name for name in names if name.endswith((".safetensors", ".pt"))]) == 6
