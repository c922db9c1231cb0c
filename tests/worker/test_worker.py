"""Workers as real processes: what they write, what they say, and what kills cannot break."""

from __future__ import annotations

import itertools
import re
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from runs import Start, publish
from workers import examples_in, finish, games_of, one_batch, wait_for_files

from zebfast.core.records import EXAMPLE_HAS_BELIEF, EXAMPLE_HAS_POLICY
from zebfast.exchange import LocalWeightStore, Namespace, WeightStore
from zebfast.exchange.state import Torn, Unannounced
from zebfast.selfplay.example_files import read_examples
from zebfast.system.signals import StopFlag
from zebfast.worker import network
from zebfast.worker.config import WorkerConfig
from zebfast.worker.network import SyncedNetwork


def test_batches_and_their_lines(run_dir: Path, start: Start) -> None:
    code, out, err = finish(start("--max-batches", "3", "--seed", "5"))
    assert (code, err) == (0, "")
    lines = [line for line in out.splitlines() if line.startswith("[worker-0]")]
    assert len(lines) == 3
    for i, line in enumerate(lines, 1):
        pattern = rf"\[worker-0\] batch {i}: 224 examples, [\d.]+ games/s, step=0, "
        pattern += f"total_games={8 * i}"
        assert re.fullmatch(pattern, line)
    files = examples_in(run_dir)
    assert [f.n_games for f in files] == [8, 8, 8]
    assert sorted(f.metadata["first_game"] for f in files) == [0, 8, 16]
    assert {f.metadata["seed"] for f in files} == {5}
    assert all(len(f.records) == 224 for f in files)
    sizes = [p.stat().st_size / 224 for p in (run_dir / "examples").glob("worker-0_*")]
    assert max(sizes) < 100


def test_files_say_how_their_games_were_searched(run_dir: Path, start: Start) -> None:
    """Sampled worlds and exact endings by default, or the published way on demand."""
    published = ("--worlds", "true", "--n-worlds", "3", "--exact-tricks", "0")
    for name, flags in (("worker-0", ()), ("worker-0_true", published)):
        code, _, err = finish(start("--max-batches", "1", "--worker-id", name, *flags))
        assert (code, err) == (0, "")
    found = {f.metadata["worker_id"]: f.metadata for f in examples_in(run_dir)}
    keys = ("worlds", "n_worlds", "exact_tricks")
    assert [found["worker-0"][key] for key in keys] == ["sampled", 16, 7]
    assert [found["worker-0_true"][key] for key in keys] == ["true", 3, 0]
    assert found["worker-0"]["solved"] > 0 == found["worker-0_true"]["solved"]


def test_documented_format_holds_the_same_examples(run_dir: Path, start: Start) -> None:
    for kind in ("native", "pt"):
        code, _, err = finish(
            start(
                *["--max-batches", "1", "--seed", "5"],
                "--example-format",
                kind,
                "--worker-id",
                f"worker-0_{kind}",
            )
        )
        assert (code, err) == (0, "")
    native, documented = (
        read_examples(next((run_dir / "examples").glob(f"worker-0_{kind}_*")))
        for kind in ("native", "pt")
    )
    for field in ("value", "left", "partner"):
        assert (native.records[field] == documented.records[field]).all()
    # All but the final points, which that layout has no place for.
    targets = EXAMPLE_HAS_POLICY | EXAMPLE_HAS_BELIEF
    assert (native.records["flags"] & targets == documented.records["flags"]).all()
    weights = [e.records["policy"].astype(float) for e in (native, documented)]
    shares = [w / w.sum(1, keepdims=True) for w in weights]
    assert np.abs(shares[0] - shares[1]).max() < 1e-4


def test_given_seed_goes_on_after_a_restart(run_dir: Path, start: Start) -> None:
    for _ in range(2):
        code, _, err = finish(start("--max-batches", "2", "--seed", "9"))
        assert (code, err) == (0, "")
    games = games_of(examples_in(run_dir))
    assert len(games) == len(set(games)) == 32
    other = finish(start("--max-batches", "1", "--seed", "10"))
    assert other[0] == 0
    assert len(set(games_of(examples_in(run_dir)))) == 40


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_hand_over_what_is_finished(
    run_dir: Path, start: Start, number: signal.Signals, code: int
) -> None:
    process = start("--games-per-batch", "100000", "--seed", "3", "--n-simulations", "2")
    while "Playing on" not in (process.stdout.readline() if process.stdout else ""):
        assert process.poll() is None
    time.sleep(1.0)
    process.send_signal(number)
    got, out, err = finish(process)
    assert (got, err) == (code, "")
    files = examples_in(run_dir)
    assert len(files) == 1
    assert f"{len(files[0].records)} examples" in out


def test_kill_9_loses_and_doubles_nothing(run_dir: Path, start: Start) -> None:
    """Killed at many moments; every file that has its name is whole, and no game is there twice."""
    for attempt in range(6):
        process = start("--seed", "4", "--n-simulations", "2")
        wait_for_files(run_dir, 1 + 2 * attempt, process)
        time.sleep(0.013 * attempt)
        process.kill()
        process.communicate()
    assert finish(start("--seed", "4", "--max-batches", "1"))[0] == 0
    files = examples_in(run_dir)
    games = games_of(files)
    assert len(games) == len(set(games)) == sum(f.n_games for f in files) >= 80
    left = [p.name for p in (run_dir / "examples").iterdir() if p.name.endswith(".tmp")]
    assert left == []


def test_second_worker_of_the_same_name_is_refused(run_dir: Path, start: Start) -> None:
    first = start("--games-per-batch", "100000")
    while "Playing on" not in (first.stdout.readline() if first.stdout else ""):
        assert first.poll() is None
    code, _, err = finish(start())
    assert code == 1
    assert "already works into" in err
    assert f"process {first.pid}" in err
    assert "--worker-id" in err


def test_weights_are_waited_for_and_synced(run_dir: Path, start: Start, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    process = start("--max-batches", "2", "--weight-sync-interval", "1", repo=empty)
    assert process.stdout is not None
    assert "waiting for the learner" in process.stdout.readline()
    publish(empty, step=7)
    code, out, err = finish(process)
    assert (code, err) == (0, "")
    assert "(step 7, 70 games)" in out
    assert "step=7, total_games=16" in out


def test_newer_weights_are_used_and_other_networks_refused(run_dir: Path, start: Start) -> None:
    process = start("--weight-sync-interval", "1", "--n-simulations", "2")
    wait_for_files(run_dir, 1, process)
    publish(run_dir, step=3, seed=1)
    assert process.stdout is not None
    while "new weights: step 3" not in process.stdout.readline():
        assert process.poll() is None
    publish(run_dir, step=4, size="medium")
    code, _, err = finish(process)
    assert code == 1
    assert "different network" in err
    assert "Traceback" not in err


def test_a_namespace_that_was_begun_anew_is_followed_from_its_first_step(tmp_path: Path) -> None:
    config, run_dir = one_batch(tmp_path), tmp_path / "run"
    store = LocalWeightStore(run_dir, config.namespace)
    publish(run_dir, step=500, lineage="first")
    weights = store.pull()
    assert weights is not None
    network = SyncedNetwork(store, weights, config)
    publish(run_dir, step=499, lineage="first")  # as from an older snapshot: not newer
    network.sync("w")
    assert network.step == 500
    publish(run_dir, step=2, lineage="second")
    network.sync("w")
    assert network.step == 2
    network.sync("w")
    publish(run_dir, step=3, lineage="second")
    network.sync("w")
    assert network.step == 3


@pytest.mark.parametrize(
    ("flags", "code", "why"),
    [
        (("--n-simulations", "0"), 2, "n-simulations"),
        (("--n-simulations", "100000"), 2, "100000 is not in the range 1<=x<=65535"),
        (("--max-mcts-nodes", "3"), 2, "--max-mcts-nodes"),
        (("--worker-id", "../evil"), 2, "worker id"),
        (("--weights-name", "a/b"), 2, "weights name"),
        (("--device", "tpu"), 2, "--device tpu"),
        (("--worlds", "imagined"), 2, "worlds"),
        (("--n-worlds", "0"), 2, "n-worlds"),
        (("--exact-tricks", "8"), 2, "exact-tricks"),
        (("--n-sims", "5"), 2, "n-sims"),
    ],
)
def test_wrong_flags(
    run_dir: Path, start: Start, flags: tuple[str, ...], code: int, why: str
) -> None:
    got, _, err = finish(start(*flags))
    assert got == code
    assert why in err
    assert "Traceback" not in err
    assert not list((run_dir / "examples").glob("worker-0_*"))


def test_foreign_weights_are_refused(run_dir: Path, start: Start) -> None:
    (run_dir / "model.pt").write_bytes(b"not weights at all")
    code, _, err = finish(start("--max-batches", "1"))
    assert code == 1
    assert err.startswith("error: ")
    assert "model.pt" in err
    assert "Traceback" not in err


def test_a_pair_that_another_machines_disk_shows_torn_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disk of a network may show the state newer than the weights, for a minute at most."""
    pulls: list[type[Unannounced]] = []
    now = itertools.count(0.0, 10.0)

    class Store:
        label, namespace = "run", Namespace()

        def pull(self) -> Any:
            if pulls:
                raise pulls.pop(0)("run/model.pt", "state")
            return SimpleNamespace(step=1, total_games=1)

    store = cast(WeightStore, Store())
    config = cast(WorkerConfig, SimpleNamespace(stores=SimpleNamespace(retry_seconds=0.0)))
    monkeypatch.setattr(network, "SyncedNetwork", lambda *found: found)
    monkeypatch.setattr(network.time, "monotonic", lambda: next(now))
    with StopFlag() as stop:
        monkeypatch.setattr(stop, "wait", lambda _seconds: None)
        pulls[:] = [Torn] * 3
        assert network.wait_for_network(store, config, stop)[0] is store  # type: ignore[index]
        for kind, most in ((Torn, 19), (Unannounced, 1)):
            pulls[:] = [kind] * 100
            with pytest.raises(kind):
                network.wait_for_network(store, config, stop)
            assert 0 < 100 - len(pulls) <= most
