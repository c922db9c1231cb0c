"""`zebfast experiment watch` on real learners: frozen, killed, restarted, stopped; its files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from experiments import create, edit, experiment, learning, zebfast

from tests.servers.webhook import WebhookServer
from zebfast.cli.experiment import watch as experiment_watch
from zebfast.exchange import Place
from zebfast.experiment.experiment import Experiment, read_experiment, write_new
from zebfast.experiment.runlog import learner_process, read_runs
from zebfast.experiment.watch.restart import Patience, RestartFailed, restart_learner

SOON = ("--stall-minutes", "0.01")
RESTART = ("--act", "restart-learner")


@pytest.fixture
def service() -> Iterator[WebhookServer]:
    with WebhookServer() as running:
        yield running


@pytest.fixture
def long(root: Path) -> Iterator[Path]:
    """An experiment whose learner does not end by itself; one that was restarted is ended."""
    edit(root, "max_minutes = 0.5", "max_minutes = 9.0")
    yield root
    process = learner_process(read(root))
    if process is not None:
        os.kill(process, signal.SIGKILL)


def read(root: Path) -> Experiment:
    return read_experiment(root / "experiments" / "first")


def watch(root: Path, *arguments: str) -> Result:
    return experiment("watch", "first", "--once", *arguments, root=root)


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def stages_and_ends(root: Path) -> list[tuple[str, int | None]]:
    return [(run.stage, run.exit_code) for run in read_runs(read(root).run_log)]


def test_a_frozen_learner_is_told_of_once_and_restarted_once(
    long: Path, service: WebhookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZEB_NOTIFY_URL", service.url)
    with learning(long) as process:
        done = watch(long)
        assert (done.exit_code, service.messages) == (0, []), done.output
        assert f"first: healthy, process {process.pid}, cycle" in done.stdout
        process.send_signal(signal.SIGSTOP)
        until(lambda: watch(long, *SOON).exit_code == 3)
        assert watch(long, *SOON).exit_code == 3
        assert service.verdicts == ["stalled"]
        would = watch(long, *SOON, *RESTART, "--dry-run")
        assert "would restart the learner: " in would.stderr
        assert learner_process(read(long)) == process.pid

        done = watch(long, *SOON, *RESTART, "--json")
        assert done.exit_code == 3, "as it was found"
        found = json.loads(done.stdout)
        assert (found["verdict"], found["cause"]) == ("stalled", "frozen")
        assert process.wait(60) == 143, "it was let go on to save what it had"
        new = learner_process(read(long))
        assert new not in (None, process.pid)
        assert found["did"] == [f"restarted the learner (process {new})"]
        assert watch(long, *RESTART).exit_code == 0
        assert learner_process(read(long)) == new
        assert service.verdicts == ["stalled", "healthy"]
    assert stages_and_ends(long) == [("selfplay", 143), ("selfplay", None)]
    [incident] = [each for run in read_runs(read(long).run_log) for each in run.incidents]
    assert incident.kind == "restart"
    assert "no cycle for" in incident.line
    assert "[run]" in (read(long).directory / "learner.log").read_text()


def test_a_killed_learner_is_restarted_as_it_was_by_one_of_two_watchers(
    long: Path, monkeypatch: pytest.MonkeyPatch, own_interpreter: None
) -> None:
    """One of them is what cron would start, far from the place that the paths start from."""
    monkeypatch.chdir(long)
    with learning(long, "--lr", "0.002", "--no-amp") as process:
        process.kill()
        process.wait()
    done = watch(long)
    assert done.exit_code == 1
    assert "first: failed, the learner on " in done.stdout
    assert "did not end cleanly" in done.stdout

    printed = zebfast("experiment", "watch", "first", "--print", "cron", *RESTART,
                      "--stall-minutes", "20")  # fmt: skip
    *comments, line = printed.stdout.splitlines()
    assert all(comment.startswith("#") for comment in comments)
    assert line.startswith("*/5 * * * * cd ")
    command = line.split(" ", 5)[5].replace("\\%", "%")
    assert "--act restart-learner" in command
    assert "--stall-minutes 20.0" in command
    with subprocess.Popen(["sh", "-c", command], cwd="/") as other:
        own = watch(long, *RESTART)
        assert other.wait(120) in (0, 1)
    said = own.stderr + Path("experiments/first/watch.log").read_text()
    assert said.count("restarted the learner (process") == 1, said
    new = learner_process(read(long))
    assert new is not None
    # Who holds the lock has yet to write the first line of its record.
    until(lambda: stages_and_ends(long) == [("selfplay", None)] * 2)
    arguments = Path(f"/proc/{new}/cmdline")
    if arguments.exists():
        assert arguments.read_text().split("\0")[-4:] == ["--lr", "0.002", "--no-amp", ""]

    os.kill(new, signal.SIGTERM)
    until(lambda: stages_and_ends(long)[-1] == ("selfplay", 143))
    until(lambda: learner_process(read(long)) is None)
    stopped = watch(long, *RESTART)
    assert stopped.exit_code == 0
    assert "first: stopped, stopped by SIGTERM" in stopped.stdout
    assert learner_process(read(long)) is None


def test_who_ignores_sigterm_is_killed(root: Path) -> None:
    kept = read(root)
    holder = (
        "import signal, sys, time\n"
        "from pathlib import Path\n"
        "from zebfast.system.locks import hold_lock\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "with hold_lock(Path(sys.argv[1]), busy=RuntimeError):\n"
        "    time.sleep(600)\n"
    )
    words = [sys.executable, "-c", holder, str(kept.directory / ".learn.lock")]
    with subprocess.Popen(words) as old:
        until(lambda: learner_process(kept) == old.pid)
        new = restart_learner(kept, old.pid, words, Patience(end=0.2, start=60))
        assert old.wait(60) == -signal.SIGKILL
    assert learner_process(kept) == new
    os.kill(new, signal.SIGKILL)
    until(lambda: learner_process(kept) is None)
    with pytest.raises(RestartFailed, match="ended at once with exit code 7"):
        restart_learner(kept, None, [sys.executable, "-c", "exit(7)"], Patience(start=60))
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(RestartFailed, match="had not begun its run 0 s after"):
        restart_learner(kept, None, sleeper, Patience(start=0.1))


def test_the_worst_of_several_is_the_exit_code(root: Path) -> None:
    assert create(root, "--from", root / "tiny.pt", name="second").exit_code == 0
    done = experiment("watch", "--once", "--json", root=root)
    assert done.exit_code == 0
    assert [each["verdict"] for each in json.loads(done.stdout)] == ["stopped", "stopped"]
    (root / "experiments" / "second" / "experiment.toml").write_text("[")
    done = experiment("watch", "--once", root=root)
    assert done.exit_code == 1
    assert "second: unknown, " in done.stdout
    assert "first: stopped, not started yet" in done.stdout


def test_mistakes(root: Path, tmp_path: Path) -> None:
    assert zebfast("experiment", "watch", "firts", "--once", "--experiments-dir",
                   root / "experiments").exit_code == 2  # fmt: skip
    empty = zebfast("experiment", "watch", "--once", "--experiments-dir", tmp_path / "none")
    assert "there is no experiment in" in str(empty.exception)
    bad = watch(root, "--notify", "file:///etc/passwd")
    assert (bad.exit_code, "expected https://HOST" in bad.stderr) == (2, True)
    assert watch(root, "--restart-command", "true").exit_code == 2
    assert experiment("watch", "--print", "cron", root=root).exit_code == 2


def test_without_once_it_looks_until_it_is_stopped(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once, looks = experiment_watch._look_at_all, []

    def look(*arguments: Any) -> Any:
        looks.append(arguments)
        found = once(*arguments)
        if len(looks) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return found

    monkeypatch.setattr(experiment_watch, "_look_at_all", look)
    done = experiment("watch", "--every", "1", "--json", root=root)
    verdicts = [json.loads(line)["verdict"] for line in done.stdout.splitlines()]
    assert verdicts == ["stopped"] * 2
    assert done.exit_code == 143


def test_units_are_accepted_by_systemd(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    printed = zebfast("experiment", "watch", "first", "--print", "systemd", "--wandb")
    home = tmp_path / "home"
    env = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"),
           "XDG_RUNTIME_DIR": str(tmp_path)}  # fmt: skip
    done = subprocess.run(
        ["sh"], input=printed.stdout, env=env, capture_output=True, text=True, check=True
    )
    assert "enable --now zebfast-learn-first.service zebfast-watch-first.timer" in done.stderr
    units = sorted((home / ".config/systemd/user").iterdir())
    assert [unit.name for unit in units] == [
        "zebfast-learn-first.service", "zebfast-watch-first.service", "zebfast-watch-first.timer",
    ]  # fmt: skip
    text = units[1].read_text()
    assert '--restart-command "systemctl --user restart zebfast-learn-first.service"' in text
    assert f"WorkingDirectory={root}" in text
    verify = shutil.which("systemd-analyze")
    if verify is not None:
        checked = subprocess.run(
            [verify, "verify", "--user", *map(str, units)], env=env, capture_output=True, text=True
        )
        assert checked.returncode == 0, checked.stderr
        named = [line for line in checked.stderr.splitlines() if "zebfast-" in line]
        assert named == [], "an unknown key is only a warning"


def test_the_workflow_is_one_and_names_its_secrets(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml = pytest.importorskip("yaml")
    monkeypatch.chdir(root)
    local = zebfast("experiment", "watch", "first", "--print", "github")
    assert "which no GitHub job can see" in str(local.exception)
    places = {"weights": Place("model", "me/zeb"), "examples": Place("dataset", "me/zeb-examples")}
    there = replace(read(root), directory=root / "experiments/far", name="far", **places)
    write_new(there, None)
    printed = zebfast("experiment", "watch", "far", "--print", "github", "--wandb",
                      "--act", "replenish", "--notify", "https://hooks.example/SECRET")  # fmt: skip
    assert printed.exit_code == 0, printed.output
    assert "SECRET" not in printed.stdout
    flow = yaml.safe_load(printed.stdout)
    assert flow[True]["schedule"] == [{"cron": "*/10 * * * *"}]  # YAML 1.1 takes `on` for true
    assert flow["env"]["PACKAGE"].startswith("zebfast[hub,wandb,fleet]==")
    steps = {step.get("name", step.get("uses")): step for step in flow["jobs"]["look"]["steps"]}
    look = steps["Look"]
    assert look["run"] == (
        "zebfast experiment watch far --once --wandb --act replenish --experiments-dir experiments"
    )
    assert look["env"]["ZEB_NOTIFY_URL"] == "${{ secrets.ZEB_NOTIFY_URL }}"
    kept = [steps[name]["with"]["path"] for name in ("What the last look remembered",
                                                     "Remember this look")]  # fmt: skip
    assert kept == ["experiments/far/watch.json\nexperiments/far/fleet\n"] * 2
