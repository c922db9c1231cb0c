"""The programs that learn on the environments run, in an environment of their own, and learn.

It stands on the one that the tests run in, and adds what the programs need; it is kept in build/.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

NEEDED = {"maskable_ppo": "sb3-contrib", "torchrl_ppo": "torchrl"}
MEAN = r"([+-][\d.]+) ± ([\d.]+)"


@pytest.fixture(scope="module")
def python(repo_root: Path) -> Path:
    """An interpreter that has the libraries; skips where they cannot be fetched."""
    home = repo_root / "build" / f"environments-{sys.implementation.cache_tag}"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
    own = Path(sysconfig.get_path("purelib"))
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    (site / "tests.pth").write_text(f"{own}\n{repo_root}\n")
    command = [python, "-m", "pip", "install", "--quiet", "-c", repo_root / "constraints.txt"]
    done = subprocess.run([*command, *NEEDED.values()], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the libraries cannot be fetched: {done.stderr.splitlines()[-1:]}")
    return python


#: TorchRL's own check of every environment, masks in either place.
CHECK = """
from torchrl.envs import PettingZooWrapper
from torchrl.envs.utils import check_env_specs
from zebfast.environments.pettingzoo import hand_env, whole_game_env
seats = [f"seat_{seat}" for seat in range(4)]
for make in (hand_env, whole_game_env):
    for mask in ("observation", "info"):
        check_env_specs(PettingZooWrapper(make(mask=mask), use_mask=True, group_map={"a": seats}))
"""


@pytest.mark.slow
def test_torchrl_takes_the_environments(python: Path) -> None:
    done = subprocess.run([python, "-c", CHECK], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("check_env_specs succeeded") + done.stdout.count("succeeded") == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "options"),
    [("maskable_ppo", []), ("torchrl_ppo", ["--batches", "30"])],
)  # fmt: skip
def test_a_program_learns(program: str, options: list[str], python: Path, repo_root: Path) -> None:
    path = repo_root / "examples" / "environments" / f"{program}.py"
    done = subprocess.run(
        [python, path, *options], capture_output=True, text=True, timeout=900,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = re.findall(MEAN, done.stdout.splitlines()[-1])
    (before, less), (after, more) = (tuple(map(float, pair)) for pair in found)
    assert after - before > less + more, done.stdout  # further than both intervals reach
