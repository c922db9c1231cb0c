"""The supervisor with pretended workers that crash, freeze and refuse, and with a real one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from listening import listening
from runs import publish
from workers import child_of, finish, wait_for_line

from zebfast.exchange import LocalExampleStore, Namespace
from zebfast.exchange.heartbeat import Heartbeat
from zebfast.system.events import Ended, from_line
from zebfast.worker.supervisor import Failure, Supervisor, SupervisorConfig

QUICK = SupervisorConfig(stall=60.0, grace=30.0, first_pause=0.01, longest_pause=0.04)
# One line for each start: what a pretended worker does.
CHILD = """
import os, signal, sys, time
from zebfast.system.events import BatchDone, write_to
deeds, restarts, batches, events = sys.argv[1:]
told = write_to(int(events))
def batch():
    print("[w] batch 1: 224 examples", flush=True)
    told(BatchDone(worker_id="w", batch=1, games=8, examples=224, games_per_s=1.0, step=0,
                   total_games=8))
print(f"start {restarts} after {batches}", flush=True)
exec(deeds.split("|")[int(restarts)])
"""


class Stage:
    """A supervisor over a pretended worker, and what came of it."""

    def __init__(self, config: SupervisorConfig = QUICK) -> None:
        self.config = config
        self.said: list[str] = []
        self.failures: list[Failure] = []
        self.worked = 0

    def run(self, *deeds: str, on_line: Callable[[str], None] = lambda line: None) -> int:
        def say(line: str) -> None:
            self.said.append(line)
            on_line(line)

        def command(*facts: int) -> list[str]:
            return [sys.executable, "-c", CHILD, "|".join(deeds), *map(str, facts)]

        def worked() -> None:
            self.worked += 1

        report = self.failures.append
        with listening(say):
            return Supervisor(command, self.config, report=report, worked=worked).run()


BATCH = "batch()"
CRASH = 'print("working", file=sys.stderr); sys.exit("error: the GPU fell off")'
HANG = "time.sleep(600)"


def test_a_worker_that_is_done_is_done(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    stage = Stage()
    assert stage.run(f"{BATCH}; print('note', file=sys.stderr)") == 0
    assert (stage.said, stage.failures, stage.worked) == ([], [], 1)
    out, err = capfdbinary.readouterr()
    assert out == b"start 0 after 0\n[w] batch 1: 224 examples\n"
    assert err == b"note\n"


def test_crashes_are_told_counted_and_survived() -> None:
    stage = Stage()
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    deeds = f"{BATCH};{BATCH};{CRASH}", CRASH, f"{BATCH};{kill}", "1 / 0", "sys.exit(3)", ""
    assert stage.run(*deeds) == 0
    assert stage.failures == [
        Failure("error: the GPU fell off", 2, 0),
        Failure("error: the GPU fell off", 2, 1),
        Failure("killed by SIGKILL", 3, 2),
        Failure("ZeroDivisionError: division by zero", 3, 3),
        Failure("exit code 3", 3, 4),
    ]
    pauses = [float(line.split()[-2]) for line in stage.said]
    assert pauses == [0.01, 0.02, 0.04, 0.04, 0.04]


def test_a_long_life_makes_the_pause_short_again() -> None:
    stage = Stage(SupervisorConfig(first_pause=0.01, longest_pause=1.0, healthy=0.0))
    assert stage.run(CRASH, CRASH, CRASH, "") == 0
    assert {float(line.split()[-2]) for line in stage.said} == {0.01}


def test_wrong_flags_are_not_tried_again() -> None:
    stage = Stage()
    refuse = 'print("Error: No such option", file=sys.stderr); sys.exit(2)'
    assert stage.run(refuse) == 2
    assert stage.failures == [Failure("Error: No such option", 0, 0)]


def test_a_frozen_worker_is_stopped_and_started_again() -> None:
    """Halted it can do nothing about SIGTERM; waking it, it can. Deaf, it is killed."""
    stage = Stage(SupervisorConfig(stall=2.0, grace=0.5, first_pause=0.01))
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    heed = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))"
    halted = f"{heed}; {BATCH}; os.kill(os.getpid(), signal.SIGSTOP); {HANG}"
    began = time.monotonic()
    assert stage.run(halted, f"{deaf}; {HANG}", "") == 0
    assert time.monotonic() - began < 60
    assert [failure.batches for failure in stage.failures] == [1, 1]
    assert all("no batch for" in failure.error for failure in stage.failures)


def test_batches_keep_a_worker_alive() -> None:
    stage = Stage(SupervisorConfig(stall=3.0, grace=1.0))
    assert stage.run(f"for _ in range(20): time.sleep(0.2); {BATCH}") == 0
    assert stage.failures == []


def stop_when(ready: Path, number: int) -> threading.Thread:
    """Sends this process a signal as soon as the file is there."""

    def wait() -> None:
        while not ready.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_passed_on_and_waited_for(tmp_path: Path, number: int, code: int) -> None:
    stage, ready, saved = Stage(), tmp_path / "ready", tmp_path / "saved"
    save = f"(time.sleep(0.3), open({str(saved)!r}, 'w').close(), sys.exit({code}))"
    deed = f"signal.signal({int(number)}, lambda *_: {save}); open({str(ready)!r}, 'w'); {HANG}"
    stop_when(ready, number)
    assert stage.run(deed) == code
    assert saved.exists()
    assert stage.failures == []


def test_a_worker_that_does_not_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    stage = Stage(SupervisorConfig(grace=0.2))
    ignore = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); open({str(ready)!r}, 'w'); {HANG}"
    stop_when(ready, signal.SIGTERM)
    assert stage.run(ignore) == 143


def test_a_signal_between_two_starts_ends_it_at_once() -> None:
    stage = Stage(SupervisorConfig(first_pause=600.0))

    def stop(line: str) -> None:
        if "restart" in line:
            os.kill(os.getpid(), signal.SIGTERM)

    assert stage.run(CRASH, on_line=stop) == 143
    assert len(stage.failures) == 1


@pytest.fixture
def run_host(run_dir: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `zebfast host run` over a quick worker; all is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def run(*flags: str, options: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        worker = ("--repo-id", str(run_dir), "--output-dir", str(run_dir / "examples"),
                  "--device", "cpu", "--threads", "1", "--games-per-batch", "8",
                  "--n-parallel-games", "8", "--n-simulations", "2")  # fmt: skip
        command = [sys.executable, "-m", "zebfast", "host", "run", "--first-pause", "0.1",
                   *options, "--", *worker, *flags]  # fmt: skip
        started.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def sign(run_dir: Path) -> Heartbeat:
    return LocalExampleStore(run_dir / "examples", Namespace()).heartbeats()["worker-0"]


def test_a_real_worker_is_kept_going(
    run_dir: Path, run_host: Callable[..., subprocess.Popen[str]]
) -> None:
    process = run_host()
    wait_for_line("batch 2:", process)
    os.kill(child_of(process), signal.SIGKILL)
    wait_for_line("batch 1:", process)
    again = child_of(process)
    wait_for_line("batch 2:", process)
    process.send_signal(signal.SIGTERM)
    code, _, err = finish(process)
    assert code == 143
    assert "the worker ended (killed by SIGKILL): restart 1 in 0.1 s" in err
    beat = sign(run_dir)
    assert (beat.phase, beat.restarts, beat.error) == ("stopped", 1, None)
    assert beat.earlier_batches >= 2
    assert beat.batch >= 2
    assert not Path(f"/proc/{again}").exists()


def test_the_failure_of_a_real_worker_is_its_heartbeat(
    run_dir: Path, run_host: Callable[..., subprocess.Popen[str]]
) -> None:
    (run_dir / "model.pt").write_bytes(b"not weights at all")
    process = run_host(options=("--first-pause", "600"))
    assert process.stderr is not None
    while "restart 1" not in (line := process.stderr.readline()):
        assert line
    beat = sign(run_dir)
    assert (beat.phase, beat.restarts) == ("failed", 0)
    assert "model.pt" in (beat.error or "")
    publish(run_dir, step=1)
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 130


def test_a_supervisor_that_is_killed_takes_the_worker_with_it(
    run_dir: Path, run_host: Callable[..., subprocess.Popen[str]]
) -> None:
    process = run_host()
    wait_for_line("batch 1:", process)
    child = Path(f"/proc/{child_of(process)}")
    process.kill()
    process.wait()
    end = time.monotonic() + 60
    while child.exists() and "\nState:\tZ" not in (child / "status").read_text():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_flags_that_the_worker_refuses(run_host: Callable[..., subprocess.Popen[str]]) -> None:
    code, _, err = finish(run_host("--n-sims", "5"))
    assert code == 2
    assert "--n-sims" in err
    assert "Traceback" not in err


def test_how_the_worker_ends_is_an_event_in_the_log_where_that_is_asked(
    run_host: Callable[..., subprocess.Popen[str]],
) -> None:
    code, out, err = finish(run_host("--n-sims", "5", options=("--log-events",)))
    assert code == 2
    [event] = [from_line(line) for line in out.splitlines()]
    assert isinstance(event, Ended)
    assert (event.program, event.code, event.restarts) == ("worker", 2, 0)
    assert event.reason in err
