"""Fixtures that every room's tests share: recorded files, and no network but the loopback."""

from __future__ import annotations

import gzip
import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disk_faults import DiskFaults
from forkserver import SERVER, Program

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = ("127.", "::1", "localhost")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=12, help="SIGKILLs of each ordeal")
    parser.addoption("--renew-pictures", action="store_true", help="those of docs/, anew")
    parser.addoption(
        "--renew-golden", action="store_true", help="trees, manifests, a playthrough, anew"
    )


# Files that take longest, the longest first (`make test-costs` prints them): begun first, so that
# no process is left running one alone when the others have nothing more to do.
LONG = (
    "tests/package/test_selftest.py",  # compiles for a minute where build/ has nothing yet
    "tests/learner/test_wandb.py",
    "tests/learner/test_hub.py",
    "tests/web/test_browser.py",
    "tests/exchange/test_hub_weights_faults.py",
    "tests/exchange/test_hub_uploads.py",
    "tests/experiment/test_many_workers.py",
    "tests/exchange/test_hub_downloads.py",
    "tests/package/test_archive.py",
    "tests/experiment/test_hub_kill.py",
    "tests/worker/test_hub.py",
    "tests/cli/test_experiment_hub.py",
    "tests/worker/test_worker.py",
    "tests/experiment/test_stages.py",
    "tests/exchange/test_hub_lease.py",
    "tests/worker/test_supervisor.py",
    "tests/worker/test_eval_aux.py",
    "tests/exchange/test_hub_weights.py",
    "tests/learner/test_loop.py",
    "tests/learner/test_resume_auto.py",
    "bench/test_counts.py",
    "tests/experiment/test_kill.py",
    "tests/net/test_evaluator.py",
    "tests/cli/test_experiment_watch.py",
    "tests/cli/test_demo.py",
    "tests/net/test_v1.py",
    "tests/cli/test_fleet.py",
    "tests/exchange/test_hub_examples.py",
    "tests/exchange/test_heartbeats.py",
    "tests/package/test_gate.py",
    "tests/package/test_lint.py",
    "tests/arena/test_pimc.py",
    "tests/experiment/test_recipe_run.py",
    "tests/experiment/test_local.py",
    "tests/learner/test_recipe_run.py",
    "tests/selfplay/test_games.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(LONG)))


def pytest_configure() -> None:
    """Let programs that tests start see Ctrl-C: what a shell runs in the background ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def disk_faults() -> Iterator[DiskFaults]:
    """Calls on files that fail in this process: ``disk_faults.fail("open", "state", EIO)``."""
    faults = DiskFaults()
    faults.install()
    yield faults
    faults.remove()


@pytest.fixture(autouse=True)
def signal_handlers() -> Iterator[None]:
    """Those of the signals that end a program are afterwards what they were.

    Always, as a program that a test runs in this process has its own: what ends it would be
    remembered, and end the next test's too.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """Two threads on a busy machine wait for each other far longer than they compute."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="session")
def forked_programs() -> Iterator[None]:
    """Programs that tests start, and that programs start, need not import torch each (forkserver).

    Only tests/package starts every interpreter anew.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", Program)
        yield
    SERVER.close()


@pytest.fixture
def own_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test that looks at a program from outside: what it starts is no fork."""
    monkeypatch.setattr(subprocess, "Popen", Program.__base__)


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The checkout these tests belong to."""
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of recorded files, which lies beside the checkout where there is one."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip("the recorded files (../shared) are not on this machine")
    return path


def _recorded(shared_dir: Path, name: str) -> Path:
    path = shared_dir / name
    if not path.is_file():
        pytest.skip(f"the recorded file {name} is not on this machine")
    return path


@pytest.fixture(scope="session")
def rules_games_path(shared_dir: Path) -> Path:
    """1,500 recorded games, gzipped JSON lines."""
    return _recorded(shared_dir, "golden/rules_games.jsonl.gz")


@pytest.fixture(scope="session")
def rules_games(rules_games_path: Path) -> list[dict[str, Any]]:
    """The recorded games, one dict each; treat them as read-only."""
    with gzip.open(rules_games_path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def full_games_path(shared_dir: Path) -> Path:
    """332 recorded games to seven marks, gzipped JSON lines; tests/golden has 42 of them."""
    return _recorded(shared_dir, "golden/full_games.jsonl.gz")


@pytest.fixture(scope="session")
def v1_observations(shared_dir: Path) -> dict[str, np.ndarray]:
    """Recorded positions with tokens, masks and the published network's outputs, by array name."""
    path = _recorded(shared_dir, "golden/v1_observations_zeb-557k-1m.npz")
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="session")
def peer_weights_path(shared_dir: Path) -> Path:
    """The published weights that the recorded outputs came from."""
    return _recorded(shared_dir, "peer/zeb-557k-1m.pt")


def _is_local(family: int, address: Any) -> bool:
    if family not in (socket.AF_INET, socket.AF_INET6):
        return True
    host = address[0] if isinstance(address, tuple) else str(address)
    return str(host).startswith(LOOPBACK)


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Any connection that would leave this machine fails the test that makes it."""
    patch = pytest.MonkeyPatch()

    def guarded(name: str) -> None:
        original = getattr(socket.socket, name)

        def connect(self: socket.socket, address: Any) -> Any:
            if not _is_local(self.family, address):
                raise PermissionError(f"tests must not reach the network, but tried {address!r}")
            return original(self, address)

        patch.setattr(socket.socket, name, connect)

    guarded("connect")
    guarded("connect_ex")
    yield
    patch.undo()
