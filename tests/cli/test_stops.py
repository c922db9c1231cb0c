"""Every signal into every long work: the program ends from there, with the signal's exit code."""

from __future__ import annotations

import gzip
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from runs import publish

from zebfast.arena.pairs import PairedGames
from zebfast.arena.players.base import NetworkPlayer
from zebfast.arena.players.pimc import PimcPlayer
from zebfast.cli import learn as cli_learn
from zebfast.cli import run as cli_run
from zebfast.cli import worker as cli_worker
from zebfast.cli.fleet import monitor
from zebfast.cli.main import cli
from zebfast.core.solver_pool import SolverPool
from zebfast.exchange import LocalWeightStore
from zebfast.learner.state import load_checkpoint

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ALL = pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.name)
QUICK = ("--device", "cpu", "--threads", "1")


class Unit:
    """Stands for a small part of a long work; the ``at``-th time, the signal comes within it.

    What is left of the work after that would last a minute, or ten thousand parts.
    """

    def __init__(self, number: int, *, at: int = 1, real: Callable[..., Any] | None = None) -> None:
        self.number, self.at, self.real, self.calls = number, at, real, 0

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        if self.calls == self.at:
            os.kill(os.getpid(), self.number)
            if self.real is None:
                time.sleep(60)
        assert self.calls < self.at + 2, "the work goes on"
        return None if self.real is None else self.real(*args, **options)


def ends(command: Any, *argv: str | Path) -> int:
    """Run a program in this process; its exit code, long before the work could be over."""
    began = time.monotonic()
    with pytest.raises(SystemExit) as ended:
        cli_run.run(command, prog_name="program", argv=[str(each) for each in argv])
    assert time.monotonic() - began < 45
    assert isinstance(ended.value.code, int)
    return ended.value.code


def patched(patch: pytest.MonkeyPatch, owner: Any, name: str, unit: Unit) -> Unit:
    """Have ``owner.name`` be the unit, as the method that it may be."""
    patch.setattr(owner, name, lambda *args, **options: unit(*args, **options))
    return unit


@ALL
@pytest.mark.parametrize(
    "flags", [("random", "vs", "heuristic"), ("--matrix", "random", "heuristic")]
)
def test_matches(monkeypatch: pytest.MonkeyPatch, number: int, flags: tuple[str, ...]) -> None:
    unit = Unit(number, at=3, real=PairedGames.advance)
    patched(monkeypatch, PairedGames, "advance", unit)
    assert ends(cli, "eval", *flags, "--n-deals", "1000000") == 128 + number
    assert unit.calls == 3


@ALL
def test_solving(monkeypatch: pytest.MonkeyPatch, number: int, tmp_path: Path) -> None:
    position = {"decl": 5, "remaining": [[20], [19], [25], [27]], "leader": 1, "trick": []}
    path = tmp_path / "positions.jsonl.gz"
    path.write_bytes(gzip.compress((json.dumps(position) + "\n").encode() * 20_000))
    unit = Unit(number, at=3, real=SolverPool.play_values)
    patched(monkeypatch, SolverPool, "play_values", unit)
    assert ends(cli, "solve", path, "--threads", "1") == 128 + number
    assert unit.calls == 3


@ALL
def test_measuring_and_drawing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    from zebfast.cli import bench

    patched(monkeypatch, bench, "measure", Unit(number))
    assert ends(cli, "bench", "--stage", "random_games") == 128 + number


@ALL
@pytest.mark.parametrize("method", ["hold", "pull"])
def test_a_learner_that_cannot_start(
    monkeypatch: pytest.MonkeyPatch, number: int, tmp_path: Path, method: str
) -> None:
    """A far place that does not answer, or the pauses of a library between its attempts."""
    publish(tmp_path / "run", step=0)
    patched(monkeypatch, LocalWeightStore, method, Unit(number))
    place = ("--repo-id", tmp_path / "run", "--input-dir", tmp_path / "run" / "examples")
    assert ends(cli_learn.command, *place, *QUICK) == 128 + number


def evaluating(root: Path) -> tuple[str | Path, ...]:
    """A learner that evaluates for hours after a cycle of two steps."""
    return (
        "--repo-id", root / "run", "--input-dir", root / "run" / "examples", "--weights-name",
        "first", "--checkpoint", root / "tiny.pt", "--min-buffer-size", "28", "--batch-size", "8",
        "--training-steps-per-cycle", "2", "--eval-every", "1", "--eval-games", "3000000",
        "--disk-limit", "0", *QUICK,
    )  # fmt: skip


@ALL
def test_an_evaluation_of_a_learner(
    monkeypatch: pytest.MonkeyPatch, number: int, root: Path
) -> None:
    """The cycle before it is saved, and the same command continues."""
    unit = Unit(number, at=3, real=NetworkPlayer.choose)
    patched(monkeypatch, NetworkPlayer, "choose", unit)
    assert ends(cli_learn.command, *evaluating(root)) == 128 + number
    assert unit.calls == 3
    saved = load_checkpoint(root / "run" / "first.ckpt")
    assert saved is not None
    assert saved.progress.step == 1


def test_the_time_that_a_learner_has_ends_an_evaluation(root: Path) -> None:
    assert ends(cli_learn.command, *evaluating(root), "--max-minutes", "0.01") == 0


@ALL
@pytest.mark.parametrize("call", [1, 2])
def test_a_worker_that_waits_for_weights(
    monkeypatch: pytest.MonkeyPatch, number: int, tmp_path: Path, call: int
) -> None:
    """For the first ones, and for newer ones between two batches."""
    publish(tmp_path / "run", step=0)
    pull, calls, unit = LocalWeightStore.pull, iter(range(1, 3)), Unit(number)

    def slow(self: LocalWeightStore, **asked: Any) -> Any:
        return unit() if next(calls) == call else pull(self, **asked)

    monkeypatch.setattr(LocalWeightStore, "pull", slow)
    place = ("--repo-id", tmp_path / "run", "--output-dir", tmp_path / "examples")
    flags = ("--n-groups", "1", "--n-parallel-games", "4", "--n-simulations", "2",
             "--games-per-batch", "4", "--weight-sync-interval", "1")  # fmt: skip
    assert ends(cli_worker.worker, *place, *QUICK, *flags) == 128 + number
    assert len(list((tmp_path / "examples").glob("worker-0_*"))) == call - 1


@ALL
def test_a_worker_that_solves(monkeypatch: pytest.MonkeyPatch, number: int, tmp_path: Path) -> None:
    publish(tmp_path / "run", step=0)
    patched(monkeypatch, PimcPlayer, "decide", Unit(number))
    place = ("--repo-id", tmp_path / "run", "--output-dir", tmp_path / "examples")
    assert ends(cli_worker.worker, "--mode", "eval-aux", *place, *QUICK) == 128 + number


@ALL
def test_a_look_of_a_watcher(monkeypatch: pytest.MonkeyPatch, number: int, root: Path) -> None:
    from zebfast.experiment.status import snapshot

    patched(monkeypatch, snapshot, "gather", Unit(number))
    where = ("--experiments-dir", root / "experiments")
    assert ends(cli, "experiment", "watch", "first", *where) == 128 + number


@ALL
def test_a_look_at_a_fleet(
    monkeypatch: pytest.MonkeyPatch, number: int, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = SimpleNamespace(look=Unit(number), is_over=False, failed=False, chosen=None)
    monkeypatch.setattr(monitor, "known_fleets", lambda listed: [None])
    monkeypatch.setattr(monitor, "_Watch", lambda chosen: fake)
    monkeypatch.setattr(monitor, "command_of", lambda chosen, verb: f"zebfast fleet {verb} first")
    where = ("--experiments-dir", root / "experiments")
    assert ends(cli, "fleet", "monitor", "first", *where) == 128 + number
    assert "they go on" in capsys.readouterr().err
