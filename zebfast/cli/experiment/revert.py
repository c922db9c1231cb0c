"""`zebfast experiment revert NAME --to …`: publish earlier weights of an experiment again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zebfast.cli.experiment.context import experiments_dir_option, open_experiment, stores_of
from zebfast.cli.messages import note

if TYPE_CHECKING:
    from zebfast.exchange import WeightStore

LISTED = 50


@click.command(
    name="revert",
    short_help="Publish earlier weights again.",
    help="""Publish the weights of an earlier version, or of a checkpoint file, as the newest
    version of an experiment. Steps, games and the files counted so far go on; workers fetch the
    weights as they do any others, and the learner continues from them with a fresh optimizer.
    Stop the learner first.

    \b
    Examples:
      zebfast experiment revert first --list
      zebfast experiment revert first --to 1a2b3c4 --dry-run
      zebfast experiment revert first --to 3740 --yes
      zebfast experiment revert first --to snapshot.pt --yes""",
)
@click.argument("name")
@click.option("--to", metavar="REVISION|FILE", help="A commit, the start of one, the number of a "
              "step, or a checkpoint file.")  # fmt: skip
@click.option("--list", "as_list", is_flag=True, help="List the versions there are.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--take-over", is_flag=True, help="Dispossess a learner of another machine.")
@click.option("--dry-run", is_flag=True, help="Say what would be published, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print the result, or the list, as JSON.")
@experiments_dir_option
def revert(
    name: str, to: str | None, as_list: bool, yes: bool, take_over: bool, dry_run: bool,
    as_json: bool, experiments_dir: Path,
) -> None:  # fmt: skip
    """Plan, ask, publish. Exit codes: 0 done, 1 it cannot be, 2 usage or nobody to ask."""
    from zebfast.exchange import open_weights
    from zebfast.experiment.commands import learn_command
    from zebfast.experiment.revert import plan_revert, revert_target
    from zebfast.experiment.revert import revert as publish
    from zebfast.experiment.runlog import RunLog

    if as_list == (to is not None):
        raise click.UsageError("Give --to a revision or a file, or --list to see the revisions.")
    experiment = open_experiment(name, experiments_dir)
    options = stores_of(experiment)
    store = open_weights(experiment.weights, experiment.namespace, options=options)
    if to is None:
        _print_revisions(store, as_json)
        return
    if not (yes or dry_run or sys.stdin.isatty()):
        raise click.UsageError("This changes what workers play with: give --yes to go on.")
    target = revert_target(store, to)
    plan = plan_revert(store, target, to=to, state_dir=options.state_dir)
    kept = f" (with {plan.uncounted} files that only this machine had counted)"
    note(
        f"Namespace {plan.namespace} in {plan.label}: the weights of {plan.to} (step "
        f"{plan.to_step}) become step {plan.step}, after step {plan.from_step}; "
        f"{plan.total_games:,} games stay counted{kept if plan.uncounted else ''}"
    )
    if not (yes or dry_run):
        click.confirm("Publish it?", abort=True, err=True)
    if not dry_run:
        plan = publish(store, target, to=to, state_dir=options.state_dir, take_over=take_over)
        RunLog(experiment.run_log).event("revert", **plan.to_json())
    click.echo(json.dumps(plan.to_json()) if as_json else f"step {plan.step}")
    if dry_run:
        note("Nothing was published")
        return
    first, *others = experiment.own_stages
    other = f" (or {others[0]})" if others else ""
    note(f"Published. Continue with: {learn_command(experiment, first)}{other}")


def _print_revisions(store: WeightStore, as_json: bool) -> None:
    from zebfast.cli.experiment.text import when

    revisions = store.revisions(LISTED)
    if as_json:
        rows = [{"id": r.id, "unix": r.unix_seconds, "title": r.title} for r in revisions]
        click.echo(json.dumps(rows, indent=2))
        return
    for revision in revisions:
        click.echo(f"{revision.id}  {when(revision.unix_seconds)}  {revision.title}")
    if not revisions:
        note(f"{store.label} keeps no earlier versions: give --to a checkpoint file")
