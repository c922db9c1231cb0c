"""`zebfast experiment watch [NAME]`: is there progress? For a terminal, cron or a scheduled job."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from zebfast.cli.experiment.context import (
    echo_json,
    experiments_dir_option,
    open_experiment,
    stores_of,
)
from zebfast.cli.experiment.settings import given_again
from zebfast.cli.options import Number, together
from zebfast.cli.run import EXIT_FAILED, EXIT_OK, user_sentence
from zebfast.system.clock import steady
from zebfast.system.settings import A_YEAR

if TYPE_CHECKING:
    from zebfast.experiment.experiment import Experiment
    from zebfast.experiment.status.snapshot import Facts
    from zebfast.experiment.watch.watcher import Means, WatchConfig, Watched

# --- `zebfast experiment watch --print`: what makes a machine watch an experiment by itself.

PROGRAM = (sys.executable, "-m", "zebfast")
#: Flags that are not repeated in what --print prints; the address is a secret.
_OWN = frozenset(("name", "once", "every", "as_json", "dry_run", "print_as", "notify",
                  "experiments_dir"))  # fmt: skip


def print_job(context: click.Context) -> None:
    """Print the kind of job that the flags of ``context`` name."""
    from zebfast.experiment.runlog import read_runs
    from zebfast.experiment.watch.service_templates import (
        Service,
        cron_line,
        github_workflow,
        systemd_units,
    )
    from zebfast.selfplay.producer_kinds import BY_ROLE

    flags = context.params
    if flags["name"] is None:
        raise click.UsageError("--print needs the NAME of one experiment.")
    experiment = open_experiment(flags["name"], flags["experiments_dir"])
    runs = read_runs(experiment.run_log)
    first = experiment.own_stages[0]
    stage = next((known for known in BY_ROLE if runs and known == runs[-1].stage), first)
    service = Service(experiment, stage, PROGRAM, Path.cwd(), _given(context))
    printers: dict[str, Callable[[Service], str]] = {
        "cron": cron_line, "systemd": systemd_units, "github": github_workflow,
    }  # fmt: skip
    click.echo(printers[flags["print_as"]](service), nl=False)


def _given(context: click.Context) -> list[str]:
    """The flags of this command line that a job is to be given, too."""
    words: list[str] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name in _OWN or source is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        values = value if isinstance(value, tuple) else (value,)
        for each in values:
            words += [parameter.opts[0]] if each is True else [parameter.opts[0], str(each)]
    return words


EXIT_STALLED = 3
_CODES = {"healthy": EXIT_OK, "stopped": EXIT_OK, "stalled": EXIT_STALLED}
_MINUTES = Number(0, A_YEAR // 60, low_open=True)
_HOURS = Number(0, A_YEAR // 3600, low_open=True)


#: What a watcher judges by and what it does.
watch_options = together(
    click.option("--stall-minutes", type=_MINUTES, default=15.0, show_default=True,
                 help="No cycle of training for so long is a stall."),
    click.option("--examples-minutes", type=_MINUTES, default=30.0, show_default=True,
                 help="No new example file of a stream for so long is a stall."),
    click.option("--grace-minutes", type=_MINUTES, default=30.0, show_default=True,
                 help="Time that a learner has from its start to its first cycle."),
    click.option("--wandb", is_flag=True, help="Ask W&B for its run as well."),
    click.option("--notify", metavar="URL", envvar="ZEB_NOTIFY_URL", show_envvar=True,
                 help="Post each change of the verdict there as JSON (Slack, Discord; ntfy "
                 "with ?tpl=1&m={{.text}}). In the environment it stays out of process lists."),
    click.option("--remind-hours", type=_HOURS, default=6.0, show_default=True,
                 help="Post a verdict that is still bad again after so long."),
    click.option("--act", "acts", multiple=True,
                 type=click.Choice(["restart-learner", "replenish"]),
                 help="restart-learner: start it again where it died or froze on this machine, "
                 "three times an hour at most. replenish: bring the rented fleet back to its "
                 "number. Can be given twice."),
    click.option("--restart-command", metavar="COMMAND",
                 help="What restarts the learner in place of this program, such as "
                 "'systemctl --user restart …'."),
    click.option("--print", "print_as", type=click.Choice(["cron", "systemd", "github"]),
                 help="Print what makes a machine run this by itself, with the other flags "
                 "given, and stop."),
)  # fmt: skip


@click.command(
    name="watch",
    short_help="Judge its progress; tell, and restart what died.",
    help="""Judge an experiment, or every one, by its progress: a process that runs proves nothing.

    \b
    healthy  cycles are trained, and workers hand over examples
    stalled  neither has moved for too long: no examples, a frozen learner, ...
    failed   the learner died, here or elsewhere
    stopped  somebody stopped it, or it has finished, or never started
    unknown  the places could not be reached

    With --once it looks once; without, again and again until Ctrl-C. It remembers its looks in
    experiments/NAME/watch.json, so that its own clock decides, and tells and does a thing once.
    It can run anywhere that the places of the experiment can be read from.

    \b
    Exit codes with --once: 0 healthy or stopped, 3 stalled, 1 failed or unknown (the worst one
    of several), whatever was done about it; 2 wrong usage.

    \b
    Examples:
      zebfast experiment watch first --once --act restart-learner
      zebfast experiment watch --every 300 --notify https://hooks.slack.com/services/...
      zebfast experiment watch first --wandb --print github > .github/workflows/watch-first.yml
      zebfast experiment watch first --print systemd | sh""",
)
@click.argument("name", required=False)
@click.option("--once", is_flag=True, help="Look once; the verdict is the exit code.")
@click.option("--every", type=Number(1, A_YEAR), default=60.0, show_default=True,
              help="Seconds between looks without --once.")  # fmt: skip
@watch_options
@click.option("--dry-run", is_flag=True, help="Say what would be told and done; do none of it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, without --once a line a look.")
@experiments_dir_option
@click.pass_context
def watch(context: click.Context, /, **flags: Any) -> None:
    """Print a file, or look and judge. Exit codes: as the help says, or 130, 143 and 129."""
    if flags["print_as"]:
        print_job(context)
        return
    config, name, directory = _config(flags), flags["name"], flags["experiments_dir"]
    if name is not None:
        open_experiment(name, directory)
    if flags["once"]:
        found = _look_at_all(name, directory, config)
        if flags["as_json"]:
            echo_json([each.to_json() for each in found], one=name is not None)
        else:
            for each in found:
                click.echo(_line(each))
        codes = (_CODES.get(each.verdict.state, EXIT_FAILED) for each in found)
        raise click.exceptions.Exit(max(codes, key=(EXIT_OK, EXIT_STALLED, EXIT_FAILED).index))
    from zebfast.system.signals import StopFlag, Stopped

    with StopFlag() as stop, suppress(Stopped):
        while not stop():
            for each in _look_at_all(name, directory, config, stop.interrupting):
                click.echo(json.dumps(each.to_json()) if flags["as_json"] else _line(each))
            stop.wait(flags["every"])
    raise click.exceptions.Exit(stop.exit_code)


def _config(flags: dict[str, Any]) -> WatchConfig:
    from zebfast.experiment.watch.verdict import Limits
    from zebfast.experiment.watch.watcher import WatchConfig
    from zebfast.system.webhook import check_address

    if flags["restart_command"] and "restart-learner" not in flags["acts"]:
        raise click.UsageError("--restart-command needs --act restart-learner.")
    try:
        notify = check_address(flags["notify"]) if flags["notify"] else None
    except ValueError as error:
        raise click.UsageError(f"--notify: {error}") from None
    names = ("stall", "examples", "grace")
    return WatchConfig(
        limits=Limits(**{name: 60 * flags[f"{name}_minutes"] for name in names}),
        wandb=flags["wandb"],
        notify=notify,
        remind=3600 * flags["remind_hours"],
        acts=frozenset(flags["acts"]),
        restart_command=flags["restart_command"],
        dry_run=flags["dry_run"],
    )


_Interrupting = Callable[[], AbstractContextManager[None]]


def _look_at_all(
    name: str | None,
    directory: Path,
    config: WatchConfig,
    interrupting: _Interrupting = nullcontext,
) -> list[Watched]:
    """One look at each; what keeps one from being looked at is its verdict."""
    from zebfast.experiment.experiment import ExperimentError, list_experiments

    names = [name] if name is not None else list_experiments(directory)
    if not names:
        # A job in the wrong directory must not be satisfied for ever.
        raise ExperimentError(f"there is no experiment in {directory} to watch: give its place "
                              "with --experiments-dir")  # fmt: skip
    return [_look_at(each, directory, config, interrupting) for each in names]


def _look_at(
    name: str, directory: Path, config: WatchConfig, interrupting: _Interrupting
) -> Watched:
    from zebfast.experiment.experiment import read_experiment
    from zebfast.experiment.watch.verdict import Verdict
    from zebfast.experiment.watch.watcher import Watched, watch_once

    try:
        experiment = read_experiment(directory / name)
        means = replace(_means(experiment), interrupting=interrupting)
        return watch_once(experiment, config, means)
    except Exception as error:
        sentence = user_sentence(error)
        if sentence is None:
            raise
        now = time.time()
        return Watched(name, Verdict("unknown", "unreached", sentence), now, now)


def _means(experiment: Experiment) -> Means:
    from zebfast.experiment.commands import stage_flags
    from zebfast.experiment.status.liveness import stage_or_first
    from zebfast.experiment.status.snapshot import gather
    from zebfast.experiment.watch.watcher import LookFailed, Means

    where = ("--experiments-dir", str(experiment.directory.parent))

    def look() -> Facts:
        try:
            return gather(experiment, options=stores_of(experiment), now=time.time())
        except Exception as error:
            sentence = user_sentence(error)
            if sentence is None:
                raise
            raise LookFailed(sentence) from error

    def learn(facts: Facts) -> list[str]:
        verb = ("experiment", "learn", experiment.name, *stage_flags(stage_or_first(facts)))
        again = given_again(experiment, facts.runs[-1]) if facts.runs else []
        return [*PROGRAM[:1], "-u", *PROGRAM[1:], *verb, *where, *again]

    replenish = (*PROGRAM, "fleet", "replenish", experiment.name, "--all", *where)
    return Means(look=look, learn=learn, replenish=replenish, now=time.time, steady=steady)


def _line(watched: Watched) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(watched.looked))
    verdict = watched.verdict
    return f"{at} {watched.experiment}: {verdict.state}, {verdict.reason}"
