"""Ranks that are killed and halted, in processes: what is counted, and who goes on by itself."""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import Process

from zebfast.exchange import LocalWeightStore, Namespace
from zebfast.learner.data.replay import ReplayBuffer, ReplayCache
from zebfast.learner.metrics import read_metrics
from zebfast.learner.state import load_checkpoint
from zebfast.net import checkpoint as model_file
from zebfast.net.v2 import V2Config

AddFile = Callable[..., str]
NAME = Namespace.parse("exp")
NET = V2Config(width=16, n_blocks=1, belief_head=True)
PROCESSES = ("zebfast.learner", "--processes", "2")
TORCHRUN = (
    *("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "30"),
    *("--monitor-interval", "0.1", "-m", "zebfast.learner"),
)
BEGUN = "Model:"
KINDS = (signal.SIGKILL, signal.SIGSTOP)


def parent_of(pid: int) -> tuple[int, str]:
    """Parent and command line of a process; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[1]), Path(f"/proc/{pid}/cmdline").read_text()
    except (OSError, ValueError):
        return 0, ""


class Site:
    """A run of two ranks, example files that come in meanwhile, and what must hold at the end."""

    def __init__(self, root: Path, tmp_path: Path, add_file: AddFile) -> None:
        self.root, self.run, self._add = root, tmp_path / "run", add_file
        self.added = 0
        checkpoint = tmp_path / "init.pt"
        model_file.save(model_file.fresh(NET, seed=1), checkpoint)
        self.flags = [
            *("--repo-id", str(self.run), "--input-dir", str(self.run / "examples")),
            *("--weights-name", "exp", "--checkpoint", str(checkpoint), "--device", "cpu"),
            *("--local-replay-cache-dir", str(self.run / "cache"), "--min-buffer-size", "28"),
            *("--batch-size", "8", "--training-steps-per-cycle", "10", "--push-every", "1"),
            *("--eval-every", "0", "--keep-example-files", "3", "--ema", "0.9", "--threads", "1"),
            *("--local-replay-cache-save-every", "2", "--disk-limit", "0", "--rank-timeout", "2"),
        ]
        self.started: list[Process] = []

    def start(
        self, engine: tuple[str, ...], *more: str, within: tuple[str, ...] = (), **env: str
    ) -> Process:
        command = [*within, sys.executable, "-u", "-m", *engine, *self.flags, *more]
        self.started.append(Process(command, {**os.environ, **env}, self.root))
        return self.started[-1]

    def ranks(self, process: Process) -> list[int]:
        """Process ids of the ranks that live, by rank."""
        found = []
        for entry in Path("/proc").iterdir():
            pid = int(entry.name) if entry.name.isdecimal() else 0
            parent, command = parent_of(pid)
            # The server of the tests' own forks is a child, too.
            if parent == process.process.pid and (
                "zebfast.learner" in command or os.getpgid(pid) == pid
            ):
                found.append(pid)
        return sorted(found)

    def file(self) -> None:
        self._add(self.run / "examples" / "exp", self.added)
        self.added += 1

    def finish(self) -> None:
        """The same command once more, and what must hold after it."""
        last = self.start(PROCESSES, "--max-cycles", "2")
        assert last.process.wait(120) == 0, last.text
        self.check()

    def check(self) -> None:
        """Every file is counted once, every cycle told once, and nothing half-written is left."""
        state = LocalWeightStore(self.run, NAME).read_state()
        assert state is not None
        assert state["total_games"] == 2 * self.added
        saved = load_checkpoint(self.run / "exp.ckpt")
        assert saved is not None
        assert (saved.progress.step, saved.progress.total_games) == (state["step"], 2 * self.added)
        lineage, replay = saved.progress.lineage, ReplayBuffer(500_000)
        assert ReplayCache(self.run / "cache" / f"exp-{lineage}", lineage).load(replay) is not None
        assert len(replay) == 56 * self.added
        steps = [row["step"] for row in read_metrics(self.run / "exp-metrics.jsonl")]
        assert steps == list(range(1, state["step"] + 1))
        assert not list(self.run.rglob("*.tmp"))


@pytest.fixture
def site(repo_root: Path, tmp_path: Path, add_file: AddFile) -> Iterator[Site]:
    made = Site(repo_root, tmp_path, add_file)
    yield made
    for process in made.started:
        if process.process.poll() is None:
            for pid in (*made.ranks(process), process.process.pid):
                os.kill(pid, signal.SIGKILL)
            process.process.wait(60)


def test_a_rank_is_killed_and_all_go_on(site: Site) -> None:
    site.file()
    process = site.start(PROCESSES)
    at = process.wait_for(r"Cycle +2:")
    os.kill(site.ranks(process)[1], signal.SIGKILL)
    at = process.wait_for("rank 1 was ended by SIGKILL: all began anew", after=at)
    site.file()
    process.wait_for(r"Cycle .* games: 4\]", after=at)
    assert process.end() == 143, process.text
    site.finish()


def kill_again_and_again(site: Site, engine: tuple[str, ...], n: int) -> None:
    """Each time another rank, by another signal, in training, ingest or publication.

    Nine of ten must go on by themselves; whatever does not must end, and the same command goes on.
    """
    choose, recovered, seconds = random.Random(1), 0, []
    process, at = site.start(engine), 0
    for number in range(n):
        site.file()
        at = process.wait_for(BEGUN, after=at, seconds=120)
        at = process.wait_for(r"Cycle", after=at, seconds=120)
        site.file()  # which is taken in at about the moment of the kill
        time.sleep(choose.random() * 0.3)
        ranks = site.ranks(process)
        assert len(ranks) == 2, process.text
        began = time.monotonic()
        os.kill(ranks[number % 2], KINDS[number // 2 % 2])
        try:
            process.wait_for(BEGUN, after=at, seconds=90)
            recovered += 1
            seconds.append(time.monotonic() - began)
        except AssertionError:
            process.process.send_signal(signal.SIGKILL)
            process, at = site.start(engine), 0
    at = process.wait_for(BEGUN, after=at, seconds=90)
    process.wait_for(r"Cycle", after=at, seconds=90)
    process.end()
    print(f"{recovered} of {n} recovered, in {min(seconds):.1f} to {max(seconds):.1f} s")
    site.finish()
    assert recovered >= 0.9 * n


@pytest.mark.slow
def test_our_own_supervisor_begins_ranks_anew(site: Site) -> None:
    kill_again_and_again(site, PROCESSES, 20)


@pytest.mark.slow
def test_torchrun_begins_ranks_anew(site: Site) -> None:
    kill_again_and_again(site, TORCHRUN, 8)


@pytest.mark.slow
@pytest.mark.parametrize("engine", [PROCESSES, TORCHRUN], ids=["processes", "torchrun"])
def test_where_who_watches_is_gone_ranks_end_and_the_same_command_goes_on(
    site: Site, engine: tuple[str, ...]
) -> None:
    site.file()
    for number in range(3):
        process = site.start(engine)
        process.wait_for(r"Cycle", seconds=120)
        ranks = site.ranks(process)
        process.process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 30
        while any(parent_of(pid)[0] for pid in ranks):
            assert time.monotonic() < deadline, f"{number}: ranks that nobody watches live on"
            time.sleep(0.05)
    site.finish()


@pytest.mark.slow
def test_a_supervisor_that_stands_still_stops_nobody(site: Site) -> None:
    site.file()
    process = site.start(PROCESSES)
    at = process.wait_for(r"Cycle")
    process.process.send_signal(signal.SIGSTOP)
    at = process.wait_for(r"Cycle", after=at + 50)
    os.kill(site.ranks(process)[0], signal.SIGKILL)  # which nobody sees for now
    time.sleep(1)
    process.process.send_signal(signal.SIGCONT)
    process.wait_for(r"rank 0 was ended by SIGKILL: all began anew", after=at)
    assert process.end() == 143
    site.finish()


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_rank_without_memory_is_begun_anew_or_ends_clearly(site: Site, victim: int) -> None:
    """From some moment on it gets no more of it, which the next process may."""
    site.file()
    process = site.start(PROCESSES)
    at = process.wait_for(r"Cycle")
    pid = site.ranks(process)[victim]
    held = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(pid, resource.RLIMIT_AS, (held // 2, held // 2))
    if victim:
        at = process.wait_for("rank 1 ended with exit code 1: all began anew", after=at)
        process.wait_for(r"Cycle", after=at)
        process.end()
    else:
        assert process.process.wait(60) == 1
        assert "error: out of memory" in process.text, process.text
        assert "Traceback" not in process.text
    site.finish()


# --- two machines, each a network namespace of this one ---

HOSTS = ("zf-test-a", "zf-test-b")
ADDRESSES = ("10.231.77.1", "10.231.77.2")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def hosts() -> Iterator[None]:
    """Two namespaces with a cable between them."""
    if os.getuid() or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the program ip")
    try:
        for host in HOSTS:
            ip("netns", "add", host)
        ip("link", "add", "zf0", "netns", HOSTS[0], "type", "veth", "peer", "zf0", "netns",
           HOSTS[1])  # fmt: skip
        for host, address in zip(HOSTS, ADDRESSES, strict=True):
            ip("-n", host, "addr", "add", f"{address}/24", "dev", "zf0")
            for link in ("lo", "zf0"):
                ip("-n", host, "link", "set", link, "up")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces cannot be had here: {error.stderr}")
    yield
    for host in HOSTS:
        subprocess.run(["ip", "netns", "del", host], check=False)


def end_all_of(pid: int) -> None:
    """SIGKILL a process and all below it, at once."""
    found = [pid]
    for each in found:
        found += map(int, Path(f"/proc/{each}/task/{each}/children").read_text().split())
    for each in found:
        os.kill(each, signal.SIGKILL)


@pytest.mark.slow
def test_a_machine_leaves_and_another_comes(site: Site, hosts: None) -> None:
    """They share a disk, as a cluster's do, so that either may have rank 0."""

    def start(number: int) -> Process:
        engine = (
            *("torch.distributed.run", "--nnodes", "1:2", "--nproc-per-node", "1"),
            *("--rdzv-backend", "c10d", "--rdzv-endpoint", f"{ADDRESSES[0]}:29477"),
            *("--rdzv-id", "run", "--local-addr", ADDRESSES[number], "--max-restarts", "30"),
            *("--rdzv-conf", f"is_host={1 - number},last_call_timeout=5,keep_alive_interval=1"),
            *("--monitor-interval", "0.2", "-m", "zebfast.learner"),
        )
        # Else an agent that stays tells one that comes nothing of where to meet.
        switch = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        return site.start(engine, within=("ip", "netns", "exec", HOSTS[number]), **switch)

    def wait(text: str, processes: tuple[Process, ...], after: tuple[int, ...]) -> None:
        """Until one of them has said it anew: whichever has rank 0."""
        deadline = time.monotonic() + 150
        while not any(
            re.search(text, line)
            for process, n in zip(processes, after, strict=True)
            for line in process.lines[n:]
        ):
            assert time.monotonic() < deadline, "\n\n".join(each.text for each in processes)
            time.sleep(0.1)

    def told(*processes: Process) -> tuple[int, ...]:
        return tuple(len(each.lines) for each in processes)

    site.file()
    first, second = start(0), start(1)
    wait("2 processes share every batch", (first, second), (0, 0))
    wait(r"Cycle", (first, second), (0, 0))
    site.file()
    before = told(first)
    end_all_of(second.process.pid)
    wait(BEGUN, (first,), before)
    wait(r"Cycle", (first,), told(first))
    site.file()
    second = start(1)
    before = told(first, second)
    wait("2 processes share every batch", (first, second), before)
    wait(r"Cycle .*games: 6\]", (first, second), before)
    for process in (first, second):
        process.process.send_signal(signal.SIGTERM)
    for process in (first, second):
        process.process.wait(90)
    site.finish()
