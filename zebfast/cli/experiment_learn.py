"""`zebfast experiment learn NAME`: the learner of an experiment, with a record of the run."""

from __future__ import annotations

import math
import platform
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

import zebfast
from zebfast.cli import learn as learner
from zebfast.cli.experiments import experiments_dir_option, note, open_experiment
from zebfast.cli.learner_settings import origins, plain_settings, resolve
from zebfast.cli.run import EXIT_FAILED, EXIT_INTERRUPTED, user_sentence

if TYPE_CHECKING:
    from zebfast.experiment.record import Experiment, Stage
    from zebfast.learner.config import LearnerConfig

_SELFPLAY: Final = "selfplay"
_EVALAUX: Final = "evalaux"
_ENDS = {0: "finished", 130: "stopped by Ctrl-C", 143: "stopped by SIGTERM"}


@click.command(
    name="learn",
    short_help="Run its learner, in one of two stages.",
    context_settings={"ignore_unknown_options": True},
    help="""Run the learner of an experiment until stopped; the same command continues it.

    Stage selfplay trains on self-play alone; stage evalaux mixes in the eval-aux examples. Going
    back from evalaux to selfplay is the rollback: restart the learner, and leave the workers.

    Any flag of zebfast-learn may follow (see zebfast-learn --help); it goes before the settings in
    experiment.toml. What everything was resolved to is printed, and kept beside that file.

    \b
    Example:
      zebfast experiment learn first --stage selfplay --batch-size 128 --amp""",
)
@click.argument("name")
@click.argument("learner_flags", nargs=-1, type=click.UNPROCESSED, metavar="[LEARNER FLAGS]")
@click.option(
    "--stage", type=click.Choice([_SELFPLAY, _EVALAUX]), required=True, help="What to train on."
)
@click.option("--dry-run", is_flag=True, help="Print the resolved configuration and stop.")
@experiments_dir_option
def learn(
    name: str, learner_flags: tuple[str, ...], stage: Stage, dry_run: bool, experiments_dir: Path
) -> int:
    """Resolve, record, run. Exit codes: those of zebfast-learn."""
    experiment = open_experiment(name, experiments_dir)
    context = resolve(experiment, stage, learner_flags)
    config = learner.config_from_flags(context.params)
    if (config.weights, config.examples) != (experiment.weights, experiment.examples):
        raise click.UsageError(
            f"{experiment.path} names {experiment.weights} and {experiment.examples}, but from "
            f"here they are {config.weights} and {config.examples}: run this in another directory."
        )
    text = _resolved_toml(experiment, stage, context, config)
    if dry_run:
        click.echo(text, nl=False)
        return 0
    note(text.rstrip())
    _say_workers(experiment, stage)
    return _run(experiment, stage, context.params, config, text)


def _run(
    experiment: Experiment, stage: Stage, flags: dict[str, Any], config: LearnerConfig, text: str
) -> int:
    """The learner in this process, between the first and the last line of its record."""
    from zebfast.exchange import NamespaceBusy
    from zebfast.experiment.runlog import RunLog
    from zebfast.experiment.summary import LEARN_LOCK, run_counts
    from zebfast.learner.metrics import read_metrics
    from zebfast.system.files import write_atomic
    from zebfast.system.locks import hold_lock

    def busy(owner: str) -> NamespaceBusy:
        return NamespaceBusy(
            f"experiment {experiment.name!r} has a learner on this machine already (process "
            f"{owner}): stop it first"
        )

    with hold_lock(experiment.directory / LEARN_LOCK, busy=busy):
        log, started = RunLog(experiment.run_log), time.time()
        file = f"configs/{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(started))}-{stage}.toml"
        (experiment.directory / file).parent.mkdir(exist_ok=True)
        write_atomic(experiment.directory / file, text.encode())
        run = log.start(
            stage=stage, host=socket.gethostname(), version=zebfast.__version__,
            commit=_commit(), config_file=file,
        )  # fmt: skip

        def say(line: str) -> None:
            click.echo(line)
            with suppress(OSError):  # a full disk must not end the training that it only records
                log.line(run, line)

        code, reason = EXIT_FAILED, "failed"
        try:
            code = learner.run_learner(flags, say=say)
            reason = _ENDS.get(code, f"ended with exit code {code}")
        except KeyboardInterrupt:
            code, reason = EXIT_INTERRUPTED, _ENDS[EXIT_INTERRUPTED]
            raise
        except BaseException as error:
            reason = f"failed: {user_sentence(error) or type(error).__name__}"
            raise
        finally:
            with suppress(OSError):
                metrics = config.stores.state_dir / config.namespace.metrics_file
                cycles, games = run_counts(read_metrics(metrics), started, math.inf)
                log.end(run, reason=reason, exit_code=code, cycles=cycles, games=games)
    return code


def _resolved_toml(
    experiment: Experiment, stage: Stage, context: click.Context, config: LearnerConfig
) -> str:
    """Everything this run is told, with what ran it: a TOML text."""
    import tomli_w
    import torch

    run = {
        "experiment": experiment.name,
        "stage": stage,
        "started": datetime.now(UTC).replace(microsecond=0),
        "host": socket.gethostname(),
        "version": zebfast.__version__,
        "commit": _commit() or "unknown",
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }
    settings = plain_settings(context.params) | {
        "device": config.device,
        "state_dir": str(config.stores.state_dir),
    }
    return tomli_w.dumps({"run": run, "learner": settings, "given": origins(context)})


def _commit() -> str | None:
    """The commit of the checkout that runs, `-dirty` where it was changed; None outside one."""
    root = Path(zebfast.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("-dirty" if _git(root, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command: Sequence[str] = ("git", "-C", str(root), *arguments)
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()


def _say_workers(experiment: Experiment, stage: Stage) -> None:
    from zebfast.experiment.commands import status_command, worker_command

    note(f"\nWorkers for this stage (fleet {experiment.fleets.get(_SELFPLAY, '-')}):")
    note(f"  {worker_command(experiment, _SELFPLAY)}")
    if stage == _EVALAUX:
        note(f"and of the eval-aux stream (fleet {experiment.fleets.get(_EVALAUX, '-')}):")
        note(f"  {worker_command(experiment, _EVALAUX)}")
    note(f"To see what runs: {status_command(experiment)}\n")
