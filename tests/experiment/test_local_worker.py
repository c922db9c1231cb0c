"""The worker beside a learner: ends with the run, and a run does not outlive its worker."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO

import pytest

from zebfast.experiment import local_run as local_worker
from zebfast.experiment.experiment import Experiment
from zebfast.experiment.local_run import LocalWorker, RunFailed

Make = Callable[..., Experiment]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """What would have been started; what is started instead is Python code in ``commands[0]``."""
    asked: list[Sequence[str]] = []

    def start(command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        code = asked[0]
        asked.append(command)
        return subprocess.Popen(
            [sys.executable, "-c", *code], stdin=subprocess.PIPE, stdout=log, stderr=log
        )

    monkeypatch.setattr(local_worker, "start_child", start)
    monkeypatch.setattr(local_worker, "_LOOK_SECONDS", 0.02)
    return asked


@pytest.fixture
def terminated() -> Iterator[threading.Event]:
    """Set when this process is sent SIGTERM."""
    came = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: came.set())
    yield came
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def led(make_experiment: Make) -> Experiment:
    experiment = make_experiment(recipe="quick")
    experiment.directory.mkdir(parents=True)
    return experiment


def test_it_is_started_for_the_recipe_and_ends_with_the_run(
    led: Experiment, commands: list[Sequence[str]], terminated: threading.Event
) -> None:
    commands.append(("import sys; print('plays', flush=True); sys.stdin.read()",))
    with LocalWorker(led) as worker:
        process = worker._process
        assert process is not None
        assert process.poll() is None
    assert process.poll() is not None
    assert not terminated.is_set()
    words = list(commands[1])
    assert words[:4] == ["zebfast", "host", "run", "--stop-at-eof"]
    assert words[words.index("--mode") + 1] == "recipe"
    assert words[words.index("--worker-id") + 1] == local_worker.WORKER_ID


def test_a_worker_that_cannot_be_kept_going_ends_the_run(
    led: Experiment, commands: list[Sequence[str]], terminated: threading.Event
) -> None:
    commands.append(("import sys; print('no such flag'); sys.exit(2)",))
    with pytest.raises(RunFailed, match=r"code 2: no such flag \(whole log: .*worker\.log\)"):  # noqa: SIM117
        with LocalWorker(led):
            assert terminated.wait(10.0), "the learner was never told"
