"""The program as a whole: verbs explain themselves, mistakes end in one line and a code."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import click
import pytest
from click.testing import CliRunner
from imports import run_without

from zebfast.cli.main import VERBS, cli
from zebfast.cli.messages import account, note
from zebfast.cli.run import run, to_nowhere, user_sentence
from zebfast.system.signals import SignalExit, StopFlag


def _zebfast(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zebfast", *args]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    result = CliRunner().invoke(cli, [verb, "--help"], prog_name="zebfast")
    assert result.exit_code == 0, result.output
    usage, _, rest = result.output.partition("\n")
    assert usage.startswith(f"Usage: zebfast {verb}")
    programs = (f"zebfast {verb}", f"zebfast-{verb}", f"python -m zebfast.{verb}")
    assert any(program in rest for program in programs), "the help shows no example"


@pytest.mark.parametrize("verb", VERBS)
def test_unknown_flag_is_a_usage_error(verb: str) -> None:
    result = CliRunner().invoke(cli, [verb, "--no-such-flag"])
    assert result.exit_code == 2
    assert "--no-such-flag" in result.output


def test_unknown_verb_is_a_usage_error(repo_root: Path) -> None:
    done = _zebfast("fly", cwd=repo_root)
    assert done.returncode == 2
    assert "fly" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_and_version_do_not_load_torch(repo_root: Path) -> None:
    for flag in ("--help", "--version"):
        done = run_without("torch", flag, cwd=repo_root)
        assert done.returncode == 0, done.stderr
        assert "zebfast" in done.stdout


@pytest.mark.parametrize("words", [("experiment", "runs"), ("fleet", "status", "absent")])
def test_commands_that_only_look_do_not_load_torch(words: tuple[str, ...], tmp_path: Path) -> None:
    done = run_without("torch", *words, cwd=tmp_path)
    assert "AssertionError" not in done.stderr
    assert done.returncode in (0, 1, 2)


def test_doctor_reports_and_passes_here(repo_root: Path) -> None:
    done = _zebfast("doctor", "--json", cwd=repo_root)
    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    assert report["ok"] is True
    names = {check["name"] for check in report["checks"]}
    assert names >= {"compiled core", "torch", "cuda", "wandb", "C compiler", "disk space"}
    assert "shipped network" in names
    for check in report["checks"]:
        assert check["ok"] or check["fix"], check


def test_doctor_fails_when_something_required_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    result = CliRunner().invoke(cli, ["doctor"])
    assert result.exit_code == 1
    assert "MISSING  safetensors" in result.output
    assert "pip install --upgrade safetensors" in result.output


class Mistake(ValueError):
    """Stands for any error class that zebfast defines."""


Mistake.__module__ = "zebfast.somewhere"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (Mistake("The file is not a checkpoint."), 1, "error: The file is not a checkpoint."),
        (OSError(errno.ENOSPC, "No space left on device", "x.pt"), 1, "free some space"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.pt"), 1, "No such file: 'a.pt'"),
        (click.UsageError("Say what."), 2, "Say what."),
        (click.ClickException("Cannot go on."), 1, "Cannot go on."),
        (MemoryError(), 1, "out of memory"),
        (UnicodeEncodeError("utf-8", "d\udcff", 1, 2, ""), 1, "no UTF-8 text (...'d?'...)"),
        (ModuleNotFoundError("No module", name="torch.nn"), 1, "pip install 'zebfast[train]'"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_become_one_line_and_a_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def failing() -> None:
        raise error

    with pytest.raises(SystemExit) as stop:
        run(failing, prog_name="zebfast", argv=[])
    assert stop.value.code == code
    captured = capsys.readouterr()
    assert line in captured.err
    assert captured.out == ""


def test_a_stop_behind_a_failure_is_a_stop(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def failing() -> None:
        try:
            raise SignalExit(143)
        finally:
            raise ZeroDivisionError("on the way out")

    with pytest.raises(SystemExit) as stop:
        run(failing, prog_name="zebfast", argv=[])
    assert stop.value.code == 143
    assert capsys.readouterr().err == ""


def test_a_bug_keeps_its_traceback() -> None:
    @click.command()
    def failing() -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        run(failing, prog_name="zebfast", argv=[])
    assert user_sentence(ZeroDivisionError()) is None


def test_exit_codes_of_commands_are_kept() -> None:
    @click.command()
    def failing() -> None:
        raise click.exceptions.Exit(1)

    with pytest.raises(SystemExit) as stop:
        run(failing, prog_name="zebfast", argv=[])
    assert stop.value.code == 1


def test_what_a_stream_cannot_show_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def speaking() -> None:
        click.echo("1 — 2 … é \udcff")
        click.echo("–", err=True)

    streams = {name: io.TextIOWrapper(io.BytesIO(), "latin-1") for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    with pytest.raises(SystemExit) as stop:
        run(speaking, prog_name="zebfast", argv=[])
    assert not stop.value.code
    shown = {name: stream.buffer.getvalue() for name, stream in streams.items()}  # type: ignore[attr-defined]
    assert shown == {"stdout": b"1 ? 2 ? \xe9 ?\n", "stderr": b"?\n"}


def unread() -> TextIO:
    """A pipe that nobody reads from."""
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w")


def test_a_pipe_that_nobody_reads_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def speaking() -> None:
        note("a message")
        click.echo("result")

    with unread() as stdout, unread() as stderr:
        monkeypatch.setattr(sys, "stdout", stdout)
        monkeypatch.setattr(sys, "stderr", stderr)
        with pytest.raises(SystemExit) as stop:
            run(speaking, prog_name="zebfast", argv=[])
        to_nowhere(stdout)
        to_nowhere(stderr)
    assert stop.value.code == 1


def test_a_long_running_program_without_a_reader_stops_as_by_sigterm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with unread() as stdout, StopFlag() as stop:
        monkeypatch.setattr(sys, "stdout", stdout)
        for _ in range(3):
            account("cycle 1 — done")
        stop.wait(5.0)
        assert stop.signal_number == signal.SIGTERM


def test_a_full_disk_under_its_log_ends_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as stdout, StopFlag() as stop:
        monkeypatch.setattr(sys, "stdout", stdout)
        account("cycle 1 — done")
        assert not stop()
        to_nowhere(stdout)
