"""The commands on fleets of Slurm's tasks, against programs that stand for Slurm's."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from runs import publish
from slurm_stub import SlurmStub

from zebfast.cli.main import cli

UP = ("up", "-n", "3", "--provider", "slurm", "--yes")


@pytest.fixture
def stub(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlurmStub:
    publish(root / "run", step=3, name="first")
    made = SlurmStub(str(tmp_path / "cluster"))
    made.install()
    monkeypatch.setenv("PATH", made.bin, prepend=os.pathsep)
    monkeypatch.setenv("HOME", str(root))
    return made


def fleet(root: Path, verb: str, *flags: str) -> Result:
    command = ["fleet", verb, "first", "--experiments-dir", str(root / "experiments"), *flags]
    return CliRunner().invoke(cli, command, prog_name="zebfast")


def test_up_status_logs_replenish_down(root: Path, stub: SlurmStub) -> None:
    done = fleet(root, *UP, "--partition", "main", "--mem", "2G", "--node-hours", "100")
    assert done.exit_code == 0, done.output
    assert "3x cpu" in done.stdout
    assert "3 machines" in done.stdout
    assert "after 100 node hours" in done.stdout
    assert len(stub.alive()) == 3
    stub.set("RUNNING")
    log = root / "experiments" / "first" / "fleet" / "slurm" / "1_2.log"
    log.write_text("one\ntwo\n")
    shown = fleet(root, "logs", "1_2", "--lines", "1")
    assert shown.output.strip() == "two"
    [report] = json.loads(fleet(root, "status", "--json").stdout)
    assert [row["state"] for row in report["rows"]] == ["running"] * 3
    assert "0.0 of 100 node hours used" in fleet(root, "status").stdout
    assert fleet(root, "replenish").exit_code == 0
    gone = fleet(root, "down", "--yes")
    assert gone.exit_code == 0, gone.output
    assert "Nothing is left" in gone.stderr
    assert stub.alive() == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--partition", "nope"), "Slurm has no partition 'nope': give --partition one of full"),
        (("--qos", "unknown"), "Invalid qos specification"),
        (("--time", "soon"), "time is 'soon': expected minutes, HH:MM:SS or D-HH:MM:SS"),
        (("--provider", "local"), "--provider slurm goes alone"),
        (("--interruptible",), "give a --partition or --qos"),
        (("--package", "x"), "--package is for machines that start empty"),
    ],
)
def test_what_cannot_be_is_a_sentence_and_2(
    root: Path, stub: SlurmStub, flags: tuple[str, ...], words: str
) -> None:
    done = fleet(root, *UP, *flags)
    assert (done.exit_code, stub.jobs) == (2, [])
    assert words in done.stderr
    assert not (root / "experiments" / "first" / "fleet" / "zeb-first-selfplay.json").exists()


def test_without_slurm_on_the_path(
    root: Path, stub: SlurmStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    done = fleet(root, *UP)
    assert done.exit_code == 2
    assert "no sbatch and no squeue and no scancel and no sinfo on the path" in done.stderr
