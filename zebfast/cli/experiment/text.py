"""Experiments as text: rich tables, plain when they go to a file or a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from zebfast.cli.console import NOTHING, add_row, console, new_table
from zebfast.experiment.status.liveness import age

if TYPE_CHECKING:
    from zebfast.experiment.runlog import Best, Summary
    from zebfast.experiment.status.report import HeartbeatView, LearnerView, Status, WorkerView

_MARKS = {"ok": "[green]ok[/]", "wait": "[yellow]wait[/]", "wrong": "[red]WRONG[/]", "off": "-"}
_WORKERS_SHOWN = 12
_INCIDENTS_SHOWN = 20


def print_status(status: Status) -> None:
    """The whole screen."""
    out = console()
    stage = f", stage {status.stage}" if status.stage else ""
    out.print(f"[bold]{escape(status.name)}[/]{stage}: weights in {escape(status.weights)}, "
              f"examples in {escape(status.examples)}", soft_wrap=True)  # fmt: skip
    if status.recipe is not None:
        out.print(escape(f"Recipe: {status.recipe}"), soft_wrap=True)
    learner = status.learner
    table = new_table("learner", "published", "games", "cycle", "losses", "won v random",
                      "mix(self/eval)", "W&B")  # fmt: skip
    sign = "" if learner.seconds_since is None else f", {age(learner.seconds_since)} ago"
    rate = learner.win_rate_vs_random
    add_row(table, f"{learner.where or 'not running'}{sign}",
            None if status.published_step is None else f"step {status.published_step}",
            learner.games if learner.games is not None else status.published_games, learner.cycle,
            _losses(learner), None if rate is None else f"{rate:.1%}", _mix(learner),
            status.wandb)  # fmt: skip
    out.print(table)
    table = new_table("stream", "files", "newest", "workers", "games/s, last half hour")
    for stream in status.streams:
        add_row(table, stream.source, stream.n_files, _ago(stream.seconds_since), stream.n_workers,
                _rate(stream.games_per_s))  # fmt: skip
    out.print(table)
    if status.workers:
        out.print(_worker_table(status.workers))
    table = new_table("check", "", "found")
    for check in status.checks:
        table.add_row(escape(check.name), _MARKS[check.state], escape(check.found))
    out.print(table)
    if not status.problems:
        out.print("Nothing is wrong.")
        return
    out.print(f"[bold]{len(status.problems)} wrong, and what to do:[/]")
    for check in status.problems:
        out.print(f"  {escape(check.name)}: {escape(check.fix)}", soft_wrap=True)


def print_status_lines(found: Sequence[Status]) -> None:
    """A line for each of several experiments."""
    table = new_table("experiment", "stage", "learner", "cycle", "step", "games", "wrong")
    for each in found:
        wrong = ", ".join(check.name for check in each.problems) or NOTHING
        learner = each.learner
        add_row(table, each.name, each.stage, learner.where or "not running", learner.cycle,
                each.published_step, each.published_games, wrong)  # fmt: skip
    console().print(table)


def print_runs(summaries: Sequence[Summary]) -> None:
    """A line for each experiment."""
    table = new_table("experiment", "from", "created", "runs", "last", "step", "games", "best eval",
                      "incidents", "note")  # fmt: skip
    for each in summaries:
        experiment = each.experiment
        last = None if each.last_unix is None else when(each.last_unix)
        add_row(table, experiment.name, lineage_text(experiment.lineage),
                f"{experiment.created:%F}", len(each.runs), last, each.step, each.games,
                _best_text(each.best[:1]), each.n_incidents, experiment.note)  # fmt: skip
    console().print(table)


def print_summary(summary: Summary) -> None:
    """One experiment: where it comes from, every run, best figures, incidents."""
    out, experiment = console(), summary.experiment
    after = f" after the recipe {escape(experiment.recipe)}" if experiment.recipe else ""
    out.print(f"[bold]{escape(experiment.name)}[/] from {escape(lineage_text(experiment.lineage))}"
              f"{after}, created {experiment.created:%F %H:%M} UTC", soft_wrap=True)  # fmt: skip
    if experiment.note:
        out.print(escape(experiment.note), soft_wrap=True)
    out.print(f"Best evaluation: {_best_text(summary.best) or 'none yet'}", soft_wrap=True)
    table = new_table("run", "stage", "host", "version", "took", "cycles", "games", "incidents",
                      "end")  # fmt: skip
    for run, end in zip(summary.runs, summary.endings, strict=True):
        took = None if run.ended is None else age(run.ended - run.started)
        add_row(table, when(run.started), run.stage, run.host, run.version, took, run.cycles,
                run.games, len(run.incidents), end)  # fmt: skip
    out.print(table)
    for event in summary.reverts:
        out.print(f"{when(event['unix'])}  reverted from step {event.get('from_step')} to "
                  f"{escape(str(event.get('to')))} (step {event.get('to_step')}), published as "
                  f"step {event.get('step')}", soft_wrap=True)  # fmt: skip
    incidents = [(i, run) for run in summary.runs for i in run.incidents]
    if len(incidents) > _INCIDENTS_SHOWN:
        out.print(f"The last {_INCIDENTS_SHOWN} of {len(incidents)} incidents (all: --json):")
    for incident, _run in incidents[-_INCIDENTS_SHOWN:]:
        out.print(f"{when(incident.unix)}  {incident.kind}: {escape(incident.line)}",
                  soft_wrap=True)  # fmt: skip


def when(unix: float) -> str:
    """A moment, in UTC."""
    return f"{datetime.fromtimestamp(unix, UTC):%F %H:%M}"


def lineage_text(lineage: object) -> str:
    """Where first weights came from, in a few words."""
    facts = lineage if isinstance(lineage, dict) else {}
    kind = facts.get("kind")
    if kind == "fresh":
        return f"nothing ({' '.join(str(facts[k]) for k in ('tokenizer', 'size') if k in facts)})"
    if kind == "published":
        revision = f" at {str(facts['revision'])[:12]}" if "revision" in facts else ""
        return (f"{facts.get('weights_name')} in {facts.get('source')}{revision}, "
                f"step {facts.get('step')}")  # fmt: skip
    if kind == "file":
        return f"{facts.get('file')}, step {facts.get('step')}"
    return f"its namespace, step {facts.get('step')}" if kind == "existing" else "unknown"


def _losses(learner: LearnerView) -> str | None:
    parts = [("policy", learner.policy_loss), ("value", learner.value_loss),
             ("belief", learner.belief_loss)]  # fmt: skip
    return ", ".join(f"{name} {loss:.3f}" for name, loss in parts if loss is not None) or None


def _mix(learner: LearnerView) -> str | None:
    if learner.eval_mix is None:
        return None
    weight = learner.policy_weight
    extra = "" if weight is None else f", eval_aux_policy_w={weight:g}"
    return f"{1 - learner.eval_mix:.2f}/{learner.eval_mix:.2f}{extra}"


def _worker_table(workers: Sequence[WorkerView]) -> Table:
    table = new_table("worker", "stream", "files", "newest", "games/s", "weights", "says")
    for worker in workers[:_WORKERS_SHOWN]:
        step = None if worker.model_step is None else f"step {worker.model_step}"
        behind = f", {worker.behind} behind" if worker.behind else ""
        add_row(table, worker.worker_id, worker.source, worker.n_files, _ago(worker.seconds_since),
                _rate(worker.games_per_s), step and step + behind,
                _says(worker.heartbeat))  # fmt: skip
    if len(workers) > _WORKERS_SHOWN:
        add_row(table, f"and {len(workers) - _WORKERS_SHOWN} more", *[None] * 6)
    return table


def _says(beat: HeartbeatView | None) -> str | None:
    """A worker's last words about itself."""
    if beat is None:
        return None
    words = f"{beat.phase} {age(beat.seconds_since)} ago"
    if beat.restarts:
        words += f", {beat.restarts} restarts"
    if beat.gpu is not None:
        words += f", {beat.gpu}"
    if beat.gpu_memory is not None:
        words += f" {beat.gpu_memory:,.0f} MB"
    return words if beat.error is None else f"{words}: {beat.error}"


def _best_text(best: Sequence[Best]) -> str | None:
    parts = [f"{each.win_rate:.1%} v {each.opponent} (cycle {each.step})" for each in best]
    return ", ".join(parts) or None


def _ago(seconds: float | None) -> str | None:
    return None if seconds is None else f"{age(seconds)} ago"


def _rate(rate: float | None) -> str | None:
    return None if rate is None else f"{rate:.2f}"
