"""A fleet on a real Slurm of this machine: its tasks start, are killed, replaced, ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import slurm_cluster
from slurm_cluster import Cluster, running_cluster, wait_for

from zebfast.exchange import LocalExampleStore, LocalWeightStore, Namespace
from zebfast.net import checkpoint, v2
from zebfast.selfplay.example_files import read_examples

FLEET = "zeb-first-selfplay"
N = 8
QUICK = ("--n-groups", "1", "--n-parallel-games", "8", "--n-simulations", "4",
         "--games-per-batch", "8")  # fmt: skip
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(slurm_cluster.missing() is not None, reason=str(slurm_cluster.missing())),
]


class Site:
    """The experiment `first` over directories, and the programs that a person types."""

    def __init__(self, root: Path, cluster: Cluster) -> None:
        self.root, self.cluster = root, cluster
        self.env = os.environ | cluster.environment | {"HOME": str(root)}

    def zebfast(self, *arguments: str, code: int = 0) -> str:
        """The program's standard output; its complaints where it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "zebfast", *arguments], cwd=self.root, env=self.env,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stderr if code else done.stdout

    def up(self, *flags: str, code: int = 0) -> str:
        return self.zebfast(
            "fleet", "up", "first", "--provider", "slurm", "--yes", *flags, "--", *QUICK, code=code
        )

    def report(self) -> Any:
        [found] = json.loads(
            self.zebfast("fleet", "status", "first", "--role", "selfplay", "--json")
        )
        return found

    def tasks(self) -> dict[str, str]:
        """State by name of every task that Slurm lists as alive."""
        said = self.cluster.run("squeue", "--me", "--array", "-h", "-o", "%i %T")
        return dict(line.split() for line in said.splitlines())

    def supervisors(self) -> list[int]:
        """Processes that Slurm started: one of each task that runs."""
        found = []
        for path in Path("/proc").iterdir():
            if not path.name.isdigit():
                continue
            try:
                words = (path / "cmdline").read_bytes().split(b"\0")
                env = (path / "environ").read_bytes()
            except OSError:
                continue
            is_ours = f"SLURM_CONF={self.cluster.home}".encode() in env
            if is_ours and b"host" in words and b"run" in words and b"SLURM_JOB_ID=" in env:
                found.append(int(path.name))
        return found

    @property
    def logs(self) -> Path:
        return self.root / "experiments" / "first" / "fleet" / "slurm"

    def phases(self) -> list[str]:
        """What the workers last said of themselves."""
        return [beat.phase for beat in self.store().heartbeats().values()]

    def store(self) -> LocalExampleStore:
        return LocalExampleStore(self.root / "run" / "examples", Namespace.parse("first"))

    def workers(self) -> set[str]:
        """Those that have handed over examples."""
        return {name.rsplit("_", 2)[0] for name in self.store().list()}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("slurm")) as made:
        yield made


@pytest.fixture
def preempting(tmp_path: Path) -> Iterator[Cluster]:
    with running_cluster(tmp_path / "slurm", preempts=True) as made:
        yield made


@pytest.fixture
def site(tmp_path: Path, cluster: Cluster) -> Iterator[Site]:
    yield from site_at(tmp_path, cluster)


@pytest.fixture
def preempting_site(tmp_path: Path, preempting: Cluster) -> Iterator[Site]:
    yield from site_at(tmp_path, preempting)


def site_at(root: Path, cluster: Cluster) -> Iterator[Site]:
    """An experiment that has weights to play with; nothing of it runs on behind it."""
    made = Site(root, cluster)
    fresh = checkpoint.fresh(v2.SIZES["small"], seed=1)
    checkpoint.save(fresh, root / "fresh.pt")
    made.zebfast("experiment", "create", "first", "--from", "fresh.pt", "--weights-dir", "run",
                 "--input-dir", "run/examples")  # fmt: skip
    LocalWeightStore(root / "run", Namespace.parse("first")).publish(
        fresh.weights, fresh.config.to_dict(), {"step": 1, "total_games": 10}
    )
    yield made
    cluster.run("scancel", "--me")
    wait_for("an empty cluster", lambda: not made.tasks())


def test_from_up_to_down_with_every_task_killed_between(site: Site) -> None:
    began = time.monotonic()
    site.up("-n", str(N))
    wait_for("an example of the first task", site.workers)
    first_after = time.monotonic() - began
    wait_for("examples of all", lambda: len(site.workers()) == N)
    all_after = time.monotonic() - began
    print(f"first example after {first_after:.1f} s, one of each task after {all_after:.1f} s")
    first = site.tasks()
    assert len({task.partition("_")[0] for task in first}) == 1, "one array"
    wait_for("all heartbeats", lambda: site.report()["playing"] == N)

    # Out of memory, a hand, a bug: Slurm brings none of them back, one look does.
    killed = site.supervisors()
    assert len(killed) == N
    for process in killed:
        os.kill(process, signal.SIGKILL)
    wait_for("eight dead tasks", lambda: not site.tasks())
    site.zebfast("fleet", "replenish", "first")
    assert (site.logs.parent / f"{FLEET}.log").read_text().count("is over: FAILED") == N
    second = site.tasks()
    assert len(second) == N
    assert not second.keys() & first.keys()
    wait_for("examples of all the new ones", lambda: len(site.workers()) == 2 * N)

    site.zebfast("fleet", "down", "first", "--yes")
    assert site.tasks() == {}
    assert site.supervisors() == []
    # Told to stop, each hands over what it has; those whose supervisor was killed, too.
    assert site.phases() == ["stopped"] * 2 * N
    names = site.store().list()
    with site.store().fetch(names) as paths:
        assert all(read_examples(path).n_games for path in paths.values())
    logs = "".join(path.read_text() for path in site.logs.glob("*.log"))
    assert "Traceback" not in logs


def test_what_slurm_would_never_start_is_refused_before_it_is_submitted(site: Site) -> None:
    for flags, words in (
        (
            ("--partition", "nope"),
            "no partition 'nope': give --partition one of main, short",
        ),
        (("--gres", "gpu:1"), "Slurm refuses this"),
        (("--mem", "900G"), "Slurm refuses this"),
        (("--partition", "short", "--time", "10"), "longer than partition short allows"),
        (("--partition", "a b"), "partition is 'a b': expected a name"),
        (("--provider", "vast"), "--provider slurm goes alone"),
        (("--package", "zebfast==0.1.0"), "--package is for machines that start empty"),
    ):
        error = site.up(*flags, code=2).strip().rpartition("\n")[2]
        assert error.startswith("Error: "), error
        assert words in error
    assert site.tasks() == {}
    site.env["PATH"] = "/nowhere"
    assert "no sbatch and no squeue" in site.up(code=2)
    assert not (site.logs.parent / f"{FLEET}.json").exists()


def test_at_the_end_of_its_time_a_task_ends_in_order_and_is_replaced(site: Site) -> None:
    """Slurm tells the batch shell, which is the worker's supervisor, some time before."""
    site.up("-n", "1", "--partition", "short", "--time", "1", "--grace", "50")
    [first] = site.tasks()
    wait_for("its last sign", lambda: "stopped" in site.phases(), 90)
    wait_for("its end", lambda: not site.tasks())
    site.zebfast("fleet", "replenish", "first")
    [second] = site.tasks()
    assert second != first


def test_a_preempted_task_ends_in_order_and_waits_for_its_turn(preempting_site: Site) -> None:
    """Its batch shell hears nothing of the partition's grace time, and SIGTERM at its end."""
    site = preempting_site
    everything = str(os.cpu_count())
    site.up("-n", "1", "--partition", "low", "--cpus-per-task", everything)
    wait_for("its first example", site.workers)
    before = site.tasks()
    wish = ("--partition=high", f"--cpus-per-task={everything}", "--wrap=sleep 30")
    assert "Submitted" in site.cluster.run("sbatch", *wish, "--output=/dev/null")
    wait_for("its last sign", lambda: site.phases() == ["stopped"])
    [one] = before
    wait_for("that it waits", lambda: site.tasks().get(one) == "PENDING")
    site.zebfast("fleet", "replenish", "first")
    [row] = site.report()["rows"]
    assert (row["id"], row["state"]) == (one, "queued")


def test_a_controller_that_is_gone_says_nothing_of_tasks(site: Site, cluster: Cluster) -> None:
    """What it has not saved when it is killed it forgets: it would begin these tasks anew."""
    site.up("-n", "2")
    wait_for("examples of both", lambda: len(site.workers()) == 2)
    before, began = site.tasks(), time.time()
    wait_for("that it saves them", lambda: cluster.has_saved(began))
    cluster.kill_controller()
    try:
        site.zebfast("fleet", "replenish", "first")
        down = ("fleet", "down", "first", "--role", "selfplay", "--yes", "--wait", "1")
        assert "slurm does not say what is left there" in site.zebfast(*down, code=1)
        assert site.report()["silent"] == ["slurm"]
    finally:
        cluster.start_controller()
    wait_for("an answer", lambda: site.tasks() == before)
    assert len(site.supervisors()) == 2
    site.zebfast("fleet", "down", "first", "--yes")
    assert site.tasks() == {}


def test_a_requeued_task_keeps_its_place_and_a_lost_reply_is_found(
    site: Site, tmp_path: Path
) -> None:
    wrapped = tmp_path / "bin"
    wrapped.mkdir()
    real = shutil.which("sbatch")
    late = f"""#!/bin/sh
    {real} "$@" >/dev/null && [ "$1" != --test-only ] || exit 0
    echo >&2 "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
    exit 1
    """
    (wrapped / "sbatch").write_text(late)
    (wrapped / "sbatch").chmod(0o755)
    path, site.env["PATH"] = site.env["PATH"], f"{wrapped}:{site.env['PATH']}"
    site.up("-n", "2")
    site.env["PATH"] = path
    rows = {row["id"]: row for row in site.report()["rows"]}
    assert rows.keys() == site.tasks().keys()
    one = min(rows)
    wait_for("that both run", lambda: set(site.tasks().values()) == {"RUNNING"})
    assert site.cluster.run("scontrol", "requeue", one) == ""
    wait_for("that it waits", lambda: site.tasks().get(one) == "PENDING")
    site.zebfast("fleet", "replenish", "first")
    assert site.tasks().keys() == rows.keys(), "Slurm starts it again after two minutes"
    site.zebfast("fleet", "down", "first", "--yes")
    assert site.tasks() == {}
