"""Fleets of Slurm's tasks, with programs that stand for Slurm's: submitted, lost, found, ended."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from fake_fleet import FakeStores
from fake_provider import Clock, beat
from launches import near_experiment
from listening import listening
from slurm_stub import SlurmStub

from zebfast.exchange import ExampleStore, WeightStore
from zebfast.fleet.decide import PAUSE
from zebfast.fleet.launch import for_task, start_command
from zebfast.fleet.model import FleetState, Launch, Offer, Spec, worker_id_of
from zebfast.fleet.observe import Outlook
from zebfast.fleet.provider import ProviderError, Unreachable, WrongSettings
from zebfast.fleet.reconcile import Change, Tick, begin, end, reconcile
from zebfast.fleet.rent import Fleet
from zebfast.fleet.slurm import INDEX, SlurmProvider, batch_script
from zebfast.fleet.state_file import FleetFiles, read_state
from zebfast.fleet.task import Task, time_seconds
from zebfast.system.events import Ended, to_line
from zebfast.system.settings import SettingError

FLEET = "zeb-first-selfplay"
SPEC = Spec(
    fleet=FLEET, experiment="first", role="selfplay", n=8, providers=("slurm",),
    package="installed", task=Task(partition="main", cpus=2),
)  # fmt: skip


@dataclass
class World:
    """A fleet, its cluster and the clock."""

    root: Path
    stub: SlurmStub
    clock: Clock = field(default_factory=Clock)
    stores: FakeStores = field(default_factory=FakeStores)
    lines: list[str] = field(default_factory=list)
    batch: int = 0

    @property
    def provider(self) -> SlurmProvider:
        return SlurmProvider(self.root / "fleet" / "slurm", os.environ)

    @property
    def state(self) -> FleetState:
        found = read_state(self.files.state)
        assert found is not None
        return found

    @property
    def files(self) -> FleetFiles:
        return FleetFiles(self.root / "fleet", FLEET)

    def launch(self, spec: Spec, _offer: Offer, label: str) -> Launch:
        worker, experiment = worker_id_of(label, "selfplay"), near_experiment(self.root)
        command = start_command(for_task(spec), experiment, worker, index=INDEX)
        return Launch(label=label, command=command, env={"HF_TOKEN": "hf_one"}, image="",
                      disk_gb=1.0, task=spec.task)  # fmt: skip

    def tick(self, change: Change | None = None) -> Tick:
        outlook = Outlook(
            providers={"slurm": self.provider},
            weights=cast(WeightStore, self.stores),
            examples=cast(ExampleStore, self.stores),
        )
        fleet = Fleet(files=self.files, outlook=outlook, launcher=self.launch, clock=self.clock)
        with listening(self.lines.append):
            return reconcile(fleet, change)

    def play(self) -> None:
        """A minute in which all that wait are started and every task hands over a batch."""
        self.clock.now += 60.0
        self.batch += 1
        self.stub.set("RUNNING", start=self.clock.now - 30.0)
        for job in self.stub.jobs:
            if job["state"] == "RUNNING":
                worker = f"selfplay-{job['name'].rpartition('/')[2]}-{job['index']}"
                self.stores.beats[worker] = beat(worker, self.batch)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
    stub = SlurmStub(str(tmp_path / "cluster"))
    stub.install()
    monkeypatch.setenv("PATH", stub.bin, prepend=os.pathsep)
    return World(tmp_path, stub)


def test_from_up_to_down_killed_tasks_are_replaced_in_one_look(world: World) -> None:
    world.tick(begin(SPEC))
    first = world.state.machines
    assert (world.stub.arrays(), len(world.stub.alive())) == (1, 8), "one array"
    assert {each.id for each in first.values()} == {f"1_{index}" for index in range(8)}
    waiting = world.tick().observed.machines
    assert {machine.state for machine in waiting} == {"queued"}
    world.clock.now += 24 * 3600.0
    assert not world.tick().decision.destroy, "a queue may be long"
    world.play()
    assert {machine.host for machine in world.tick().observed.machines} == {"n1"}

    world.stub.set("FAILED", reason="JobLaunchFailure")  # what SIGKILL of a task's process leaves
    world.clock.now += 60.0
    done = world.tick()
    assert (world.stub.arrays(), len(world.stub.alive())) == (2, 8)
    assert not set(done.state.machines) & set(first)
    assert sum("is over: FAILED (JobLaunchFailure)" in note for note in done.decision.notes) == 8

    world.play()
    world.tick(end(world.state))
    assert world.stub.alive() == []
    assert world.tick().is_over
    assert world.stub.arrays() == 2


def test_a_task_that_is_just_ending_is_no_longer_counted_but_waited_for(world: World) -> None:
    world.tick(begin(replace(SPEC, n=1)))
    world.play()
    world.tick()
    world.stub.set("COMPLETING")
    assert world.tick().decision.rent == 1, "by itself: it is replaced"
    world.play()
    world.stub.set("COMPLETING", "2_0")
    assert not world.tick(end(world.state)).is_over, "it may still write"
    assert not world.tick().is_over
    world.stub.set("CANCELLED", "1_0", "2_0")
    assert world.tick().is_over


def test_what_a_lost_reply_left_is_found_by_its_name(world: World) -> None:
    world.stub.fail("sbatch", "lost")
    world.tick(begin(SPEC))
    assert {each.id for each in world.state.machines.values()} == {None}
    assert "the next look finds out" in "".join(world.lines)
    world.tick()
    assert {each.id for each in world.state.machines.values()} == {f"1_{i}" for i in range(8)}
    world.files.state.unlink()  # and even what was written down before it
    world.tick(begin(SPEC))
    assert (len(world.state.machines), world.stub.arrays()) == (8, 1)


def test_a_request_that_was_never_heard_is_made_again(world: World) -> None:
    world.stub.fail("sbatch", "error")
    world.tick(begin(SPEC))
    for _ in range(12):
        world.clock.now += 100.0
        world.tick()
    assert (world.stub.arrays(), len(world.stub.alive())) == (2, 8)


@pytest.mark.parametrize("fault", ["error", "empty"])
def test_no_list_is_not_a_list_of_nothing(world: World, fault: str) -> None:
    world.tick(begin(SPEC))
    for _ in range(5):
        world.stub.fail("squeue", fault)
        world.clock.now += 600.0
        assert world.tick().observed.silent == {"slurm"}
    assert (world.stub.arrays(), len(world.state.machines)) == (1, 8)
    world.stub.fail("squeue", fault)
    assert not world.tick(end(world.state)).is_over
    assert len(world.stub.alive()) == 8
    world.tick()
    assert world.tick().is_over


def test_requeued_tasks_wait_their_turn_and_held_ones_are_replaced(world: World) -> None:
    world.tick(begin(replace(SPEC, n=2)))
    world.play()
    world.tick()
    world.stub.set("PENDING", "1_0", reason="BeginTime")  # preempted, or its node was lost
    world.stub.set("PENDING", "1_1", reason="launch failed requeued held")
    world.clock.now += 3 * 3600.0
    done = world.tick()
    assert [each.machine.id for each in done.decision.destroy] == ["1_1"]
    assert world.stub.alive() == ["1_0", "2_0"]
    world.play()
    assert not world.tick().decision.destroy, "its silence counts from its new start"


def test_tasks_that_fail_at_once_are_not_tried_for_ever(world: World) -> None:
    world.tick(begin(SPEC))
    world.stub.set("RUNNING", start=world.clock.now)
    world.tick()
    log = world.root / "fleet" / "slurm" / "1_3.log"
    log.write_bytes(to_line(Ended(program="start", code=1, reason="no such flag")))
    world.stub.set("FAILED", reason="NonZeroExitCode")
    done = world.tick()
    assert (world.stub.alive(), world.stub.arrays()) == ([], 1)
    notes = "\n".join(done.decision.notes)
    assert "-3 is over: FAILED (NonZeroExitCode): no such flag" in notes
    assert "8 failed before their first sign of work, next try in 300 s" in notes
    world.clock.now += PAUSE + 1
    world.tick()
    assert len(world.stub.alive()) == 1, "one, to see"


def test_node_hours_are_counted_and_end_the_fleet(world: World) -> None:
    world.tick(begin(replace(SPEC, budget_node_hours=1.0)))
    world.clock.now += 7200.0
    world.tick()
    assert world.state.node_hours == 0.0, "waiting costs nothing"
    for _ in range(3):
        world.play()
        world.tick()
    assert world.state.node_hours == pytest.approx(8 * 3 * 30 / 3600)
    world.clock.now += 600.0
    world.tick()
    assert not world.state.wanted
    assert world.stub.alive() == []


def test_what_sbatch_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = {"VAST_API_KEY": "k", "WANDB_API_KEY": "k", "SLURM_CPUS_PER_TASK": "3",
              "SQUEUE_PARTITION": "x"}  # fmt: skip
    for name, value in hidden.items():
        monkeypatch.setenv(name, value)
    task = Task(partition="main", account="lab", qos="low", gres="gpu:a100:1", cpus=4, memory="8G",
                time="1-12:00:00", grace=90)  # fmt: skip
    world.tick(begin(replace(SPEC, task=task)))
    job = world.stub.jobs[3]
    assert job["flags"] == [
        "--parsable", f"--job-name={job['name']}", "--array=0-7", "--partition=main",
        "--account=lab", "--qos=low", "--gres=gpu:a100:1", "--cpus-per-task=4", "--mem=8G",
        "--time=1-12:00:00", "--signal=B:TERM@90", "--requeue", "--open-mode=append",
        f"--output={world.root}/fleet/slurm/%A_%a.log", f"--chdir={world.root}/fleet/slurm",
        "--export=ALL",
    ]  # fmt: skip
    assert job["script"].startswith("#!/bin/bash\nexport PATH=")
    assert "exec zebfast host run -- " in job["script"]
    token = job["name"].rpartition("/")[2]
    assert f'--worker-id selfplay-{token}-"$SLURM_ARRAY_TASK_ID" ' in job["script"]
    assert "--threads 4" in job["script"]
    assert job["env"]["HF_TOKEN"] == "hf_one"
    assert not hidden.keys() & job["env"].keys()
    assert "hf_one" not in "".join(map(str, [*job["flags"], job["script"], world.stub.calls]))
    assert world.provider.offers(replace(SPEC, task=task))[0].gpu == "a100"


def test_what_can_never_be_is_told_before_anything_is_submitted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = Launch(label=f"{FLEET}/x", command="true", env={}, image="", disk_gb=1.0)
    for task, words in (
        (Task(partition="nope"), "no partition 'nope': give --partition one of full, main, short"),
        (Task(partition="short", time="10"), r"--time 10 .* allows \(2 minutes\)"),
        (Task(qos="unknown"), "Invalid qos specification"),
    ):
        with pytest.raises(WrongSettings, match=words):
            world.provider.check(replace(launch, task=task))
    world.provider.check(replace(launch, task=Task(partition="short,main", time="10")))
    for program in ("sinfo", "sbatch"):
        world.stub.fail(program, "error")
        with pytest.raises(Unreachable, match="timed out"):
            world.provider.check(launch)
    assert world.stub.jobs == []
    with pytest.raises(ProviderError, match=r"Slurm refuses this \(.*submit limit"):
        world.provider.create_array(replace(launch, task=Task(partition="full")), 3)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(WrongSettings, match=r"no sbatch and no squeue .* on the path"):
        _ = world.provider


def test_a_refusal_is_said_and_remembered_for_a_while(world: World) -> None:
    world.tick(begin(replace(SPEC, task=Task(partition="full"))))
    assert "submit limit" in "".join(world.lines)
    assert world.state.machines == {}
    world.tick()
    assert world.stub.arrays() == 1
    world.clock.now += 300.0
    world.tick()
    assert world.stub.arrays() == 2


def test_odd_answers(world: World) -> None:
    world.tick(begin(replace(SPEC, n=1)))
    world.stub.set("A_NEW_ONE", "1_0")
    assert [each.state for each in world.provider.machines(FLEET)] == ["running"]
    world.stub.jobs = [{**world.stub.jobs[0], "id": "1_0|2"}]
    assert world.provider.machines(FLEET) == [], "no fleet's label"
    world.provider.destroy_all(["--user=root", "1_0"])
    assert world.stub.calls[-1] == ["scancel", "--quiet", "1_0"]
    assert world.provider.logs("../../x", lines=3) == world.provider.logs("9_9", lines=3) == ""
    assert batch_script("true").endswith("\ntrue\n")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 1800), ("1:30", 90), ("2:00:00", 7200), ("1-0", 86400), ("1-02:03", 93780),
     ("1-02:03:04", 93784), ("infinite", None), ("n/a", None)],
)  # fmt: skip
def test_times(text: str, seconds: int | None) -> None:
    assert time_seconds(text) == seconds


def test_tasks() -> None:
    assert Task(gres="gpu:a100:2").gpu == ("a100", 2)
    assert Task(gres="craynetwork:1,gpu:4").gpu == ("", 4)
    assert Task(gres="gpu").gpu == ("", 1)
    assert Task(gres="gpu:0").gpu is None
    assert (Task().gpu, Task().gpu_type, Task(memory="2G").memory_mib) == (None, "cpu", 2048)
    for wrong in ({"partition": "a b"}, {"qos": "x\n#SBATCH"}, {"gres": "gpu 1"}, {"memory": "8X"},
                  {"time": "soon"}, {"account": "$(x)"}, {"cpus": 0}):  # fmt: skip
        with pytest.raises(SettingError):
            Task(**wrong)  # type: ignore[arg-type]
