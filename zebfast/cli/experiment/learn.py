"""`zebfast experiment learn NAME`: the learner of an experiment, with a record of the run."""

from __future__ import annotations

import math
import platform
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

import zebfast
from zebfast.cli import learn as learner
from zebfast.cli.experiment.context import experiments_dir_option, open_experiment
from zebfast.cli.experiment.runs import draw_curves
from zebfast.cli.experiment.settings import origins, plain_settings, resolve
from zebfast.cli.messages import note
from zebfast.cli.run import EXIT_FAILED, user_sentence
from zebfast.system.machine import installed_version
from zebfast.system.signals import SignalsHeld, exit_behind

if TYPE_CHECKING:
    from zebfast.experiment.experiment import Experiment
    from zebfast.experiment.status.recipe_progress import RecipeWatch
    from zebfast.learner.config import LearnerConfig
    from zebfast.selfplay.producer_kinds import Role
    from zebfast.system.events import Event

# --- What a run after a recipe has beside its learner: progress, a worker, a picture at its end.

_NOTE_SECONDS = 60.0
_DRAWS_A_SECOND = 1.0


@contextmanager
def _beside(experiment: Experiment, config: LearnerConfig, *, local_worker: bool) -> Iterator[None]:
    """Show where the run stands, and have a worker of this machine where it belongs to the run.

    There is nothing of it without a recipe. Raises RunFailed if the worker could not be kept going.
    """
    from zebfast.experiment.experiment import recipe_of
    from zebfast.experiment.local_run import LocalWorker
    from zebfast.experiment.status.recipe_progress import RecipeWatch
    from zebfast.learner.metrics import read_metrics
    from zebfast.system.events import subscribed

    recipe = recipe_of(experiment)
    if recipe is None:
        yield
        return
    counted = [row.get("stats/total_games") for row in read_metrics(config.metrics_path)]
    watch = RecipeWatch(recipe, int(next((n for n in reversed(counted) if n is not None), 0)))
    with ExitStack() as stack:
        told = subscribed(lambda event: watch.take(event, now=time.monotonic()))
        stack.enter_context(told)
        stack.enter_context(_showing(watch))
        if local_worker:
            stack.enter_context(LocalWorker(experiment))
        yield


@contextmanager
def _showing(watch: RecipeWatch) -> Iterator[None]:
    """Where the run stands: a live line on a terminal, else a line on stderr each minute."""

    def text() -> str:
        return " | ".join(filter(None, (str(watch.progress()), watch.losses)))

    if sys.stderr.isatty():
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        with Live(
            console=Console(stderr=True),
            get_renderable=lambda: Text(text()),
            refresh_per_second=_DRAWS_A_SECOND,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # else what is piped would go to the terminal
        ):
            yield
        return
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(_NOTE_SECONDS):
            note(text())

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


_SELFPLAY: Final = "selfplay"
_EVALAUX: Final = "evalaux"
_ENDS = {
    0: "finished",
    129: "stopped by SIGHUP",
    130: "stopped by Ctrl-C",
    143: "stopped by SIGTERM",
}


@click.command(
    name="learn",
    short_help="Run its learner.",
    context_settings={"ignore_unknown_options": True},
    help="""Run the learner of an experiment until stopped; the same command continues it.

    Stage selfplay trains on self-play alone; stage evalaux mixes in the eval-aux examples. Going
    back from evalaux to selfplay is the rollback: restart the learner, and leave the workers.

    An experiment with a recipe goes through the recipe's stages by itself, and ends with the last.
    On directories a worker of this machine is started beside the learner, and ends with it.

    Any flag of zebfast-learn may follow (see zebfast-learn --help); it goes before the settings in
    experiment.toml. What everything was resolved to is printed, and kept beside that file.

    \b
    Examples:
      zebfast experiment learn first --stage selfplay --batch-size 128 --amp
      zebfast experiment learn hour""",
)
@click.argument("name")
@click.argument("learner_flags", nargs=-1, type=click.UNPROCESSED, metavar="[LEARNER FLAGS]")
@click.option("--stage", type=click.Choice([_SELFPLAY, _EVALAUX]), help="What to train on; "
              "required, but for an experiment with a recipe.")  # fmt: skip
@click.option("--local-worker/--no-local-worker", default=None, help="With a recipe: a worker on "
              "this machine, too (default: where weights and examples are directories).",
              )  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print the resolved configuration and stop.")
@experiments_dir_option
def learn(
    name: str, learner_flags: tuple[str, ...], stage: Role | None, local_worker: bool | None,
    dry_run: bool, experiments_dir: Path,
) -> int:  # fmt: skip
    """Resolve, record, run. Exit codes: those of zebfast-learn; 1 when its worker has failed."""
    experiment = open_experiment(name, experiments_dir)
    stage, local_worker = _stage_and_worker(experiment, stage, local_worker)
    context = resolve(experiment, stage, learner_flags)
    config = learner.config_from_flags(context.params)
    if (config.weights, config.examples) != (experiment.weights, experiment.examples):
        raise click.UsageError(
            f"{experiment.path} names {experiment.weights} and {experiment.examples}, but from "
            f"here they are {config.weights} and {config.examples}: run this in another directory."
        )
    text = _resolved_toml(experiment, stage, local_worker, context, config)
    if dry_run:
        click.echo(text, nl=False)
        return 0
    note(text.rstrip())
    _say_workers(experiment, stage, local_worker)
    beside = _beside(experiment, config, local_worker=local_worker)
    code = _run(experiment, beside, stage, context.params, config, text)
    if experiment.recipe is not None and code == 0:
        from zebfast.experiment.commands import after_commands
        from zebfast.experiment.experiment import recipe_of

        picture = experiment.directory / "curves.png"
        draw_curves(config.metrics_path, picture, title=name, recipe=recipe_of(experiment))
        click.echo("The recipe is done. What now:")
        for line in after_commands(experiment):
            click.echo(f"  {line}")
    return code


def _stage_and_worker(
    experiment: Experiment, stage: Role | None, local_worker: bool | None
) -> tuple[Role, bool]:
    """The stage of this run, and whether a worker of this machine belongs to it.

    UsageError where either must be given, or must not.
    """
    first = experiment.own_stages[0]
    if experiment.recipe is None and stage is None:
        raise click.UsageError(f"Missing option '--stage': begin with --stage {first}.")
    if experiment.recipe is None and local_worker:
        raise click.UsageError(
            "--local-worker is for experiments with a recipe: start zebfast worker beside this."
        )
    if experiment.recipe is not None and stage is not None:
        raise click.UsageError(
            f"--stage is not for {experiment.name!r}, whose recipe has its own: leave it out."
        )
    if local_worker is None:
        local_worker = experiment.recipe is not None and experiment.is_local
    return stage or first, local_worker


def _run(
    experiment: Experiment, beside: AbstractContextManager[None], stage: Role,
    flags: dict[str, Any], config: LearnerConfig, text: str,
) -> int:  # fmt: skip
    """The learner in this process, between the first and the last line of its record."""
    # Before anybody can know this process: torch loses a signal that comes while it is imported.
    # Where it is missing, nothing has begun.
    import zebfast.learner.loop
    from zebfast.exchange import NamespaceBusy
    from zebfast.experiment.runlog import LEARN_LOCK, RunLog, run_counts
    from zebfast.learner.metrics import read_metrics
    from zebfast.system.events import subscribed
    from zebfast.system.files import write_atomic
    from zebfast.system.locks import hold_lock

    def busy(owner: str) -> NamespaceBusy:
        return NamespaceBusy(
            f"experiment {experiment.name!r} has a learner on this machine already (process "
            f"{owner}): stop it first"
        )

    # Nothing comes between the record's first line and what sees to its last.
    lock = hold_lock(experiment.directory / LEARN_LOCK, busy=busy, lockless=note)
    with lock, SignalsHeld() as signals:
        log, started = RunLog(experiment.run_log), time.time()
        file = f"configs/{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(started))}-{stage}.toml"
        (experiment.directory / file).parent.mkdir(exist_ok=True)
        write_atomic(experiment.directory / file, text.encode())
        run = log.start(
            stage=stage, host=socket.gethostname(), version=zebfast.__version__,
            commit=_commit(), config_file=file,
        )  # fmt: skip

        def record(event: Event) -> None:
            with suppress(OSError):  # a full disk must not end the training that it only records
                log.take(run, event)

        code, reason = EXIT_FAILED, "failed"
        try:
            with signals.released(), beside, subscribed(record):
                ended = learner.run_learner(flags)
            code, reason = ended, _ended(ended)
        except BaseException as error:
            by_signal = exit_behind(error)  # that came before the learner listened itself
            if by_signal is not None:
                code, reason = by_signal, _ended(by_signal)
            else:
                reason = f"failed: {user_sentence(error) or type(error).__name__}"
            raise
        finally:
            with suppress(OSError):
                cycles, games = run_counts(read_metrics(config.metrics_path), started, math.inf)
                log.end(run, reason=reason, exit_code=code, cycles=cycles, games=games)
    return code


def _ended(code: int) -> str:
    """Why a learner ended with this exit code."""
    return _ENDS.get(code, f"ended with exit code {code}")


def _resolved_toml(
    experiment: Experiment, stage: Role, local_worker: bool, context: click.Context,
    config: LearnerConfig,
) -> str:  # fmt: skip
    """Everything this run is told, with what ran it: a TOML text."""
    import tomli_w

    run = {
        "experiment": experiment.name,
        "stage": stage,
        "local_worker": local_worker,
        "started": datetime.now(UTC).replace(microsecond=0),
        "host": socket.gethostname(),
        "version": zebfast.__version__,
        "commit": _commit() or "unknown",
        "python": platform.python_version(),
        "torch": installed_version("torch") or "missing",
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

    def git(*arguments: str) -> str:
        command = ("git", "-C", str(root), *arguments)
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _say_workers(experiment: Experiment, stage: Role, local_worker: bool) -> None:
    from zebfast.experiment.commands import status_command, worker_command
    from zebfast.experiment.local_run import LOG_FILE

    first = experiment.own_stages[0]
    if local_worker:
        log = experiment.directory / LOG_FILE
        note(f"\nA worker of this machine is started, too (its log: {log}). More:")
    else:
        note(f"\nWorkers for this stage (fleet {experiment.fleets.get(first, '-')}):")
    note(f"  {worker_command(experiment, first)}")
    if stage == _EVALAUX:
        note(f"and of the eval-aux stream (fleet {experiment.fleets.get(_EVALAUX, '-')}):")
        note(f"  {worker_command(experiment, _EVALAUX)}")
    note(f"To see what runs: {status_command(experiment)}\n")
