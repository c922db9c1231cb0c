"""Settings of the learner that come from an experiment's file, as if they were flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from zebfast.cli import learn

if TYPE_CHECKING:
    from zebfast.experiment.experiment import Experiment
    from zebfast.experiment.runlog import Run
    from zebfast.selfplay.producer_kinds import Role

#: Flags that are the experiment itself: another value would be another experiment.
_IDENTITY = frozenset(
    ("weights_dir", "repo_id", "input_dir", "examples_repo_id", "examples_bucket", "weights_name",
     "recipe")
)  # fmt: skip
_PROGRAM = "zebfast experiment learn"
_TYPED = "command line"
_ONCE = frozenset(("take_over", "dry_run"))  # meant for the one time that they were typed


def given_settings(arguments: Sequence[str]) -> dict[str, Any]:
    """Flags of zebfast-learn as plain values by variable name; only those that were given.

    Raises:
        click.UsageError: not a flag of the learner, a wrong value, or one that is the
            experiment's own.
    """
    context = _parse(arguments, {})
    return {name: _plain(context.params[name]) for name in _given(context)}


def resolve(experiment: Experiment, stage: Role, arguments: Sequence[str]) -> click.Context:
    """The learner's flags for a run of the experiment: a context of its command, not yet invoked.

    Raises:
        ExperimentError: the experiment's file has a setting that the learner does not know or
            cannot use.
        click.UsageError: the same of ``arguments``.
    """
    from zebfast.experiment.experiment import ExperimentError

    settings = experiment.stage_settings(stage)
    refuse_unknown_settings(experiment)
    try:
        _parse((), settings)
    except click.UsageError as error:
        problem = error.format_message()
        raise ExperimentError(f"{experiment.path} cannot be used: {problem}") from None
    return _parse(arguments, settings)


def problem_of(experiment: Experiment) -> str | None:
    """Why its file's settings cannot be used, in a sentence; None where they can."""
    from zebfast.experiment.experiment import ExperimentError

    try:
        for stage in experiment.own_stages:
            resolve(experiment, stage, ())
    except ExperimentError as error:
        return str(error)
    return None


def refuse_unknown_settings(experiment: Experiment) -> None:
    """ExperimentError for a setting in the file that is no flag, or is part of the identity."""
    from zebfast.experiment.experiment import ExperimentError
    from zebfast.system.settings import did_you_mean

    tables = {"learner": experiment.learner}
    tables |= {f"stages.{stage}": settings for stage, settings in experiment.stages.items()}
    names = {parameter.name for parameter in learn.command.params if parameter.name is not None}
    known = sorted(names - _IDENTITY)
    for table, settings in tables.items():
        for name in settings:
            if name in _IDENTITY:
                raise ExperimentError(
                    f"{experiment.path} cannot be used: {name} in [{table}] belongs to [places] or "
                    "[identity], and would make it another experiment"
                )
            if name not in known:
                raise ExperimentError(
                    f"{experiment.path} cannot be used: unknown key in [{table}]: {name!r}"
                    f"{did_you_mean(name, known)}; expected a flag of zebfast-learn with "
                    "underscores"
                )


def origins(context: click.Context) -> dict[str, str]:
    """Where each resolved flag comes from that is not at its default."""
    words = {ParameterSource.COMMANDLINE: _TYPED, ParameterSource.DEFAULT_MAP: "experiment"}
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name: words[source] for name, source in sources.items() if source in words}


def plain_settings(params: Mapping[str, Any]) -> dict[str, Any]:
    """Resolved flags as values that TOML can hold; flags without a value are left out."""
    return {name: _plain(value) for name, value in params.items() if value is not None}


def given_again(experiment: Experiment, run: Run) -> list[str]:
    """The flags that a run was given on its command line, to be given to the next one.

    A run whose settings cannot be read gets none; nor is one that took a namespace over repeated.
    """
    from zebfast.experiment.runlog import resolved

    tables = resolved(experiment, run)
    try:
        given, settings = dict(tables["given"]), dict(tables["learner"])
        has_worker = dict(tables["run"]).get("local_worker", True)
    except (ValueError, KeyError, TypeError):
        return []
    flags = ["--no-local-worker"] if experiment.recipe and not has_worker else []
    for parameter in learn.command.params:
        name = parameter.name or ""
        if given.get(name) != _TYPED or name not in settings or name in _ONCE:
            continue
        if isinstance(settings[name], bool):
            flags += (parameter.opts if settings[name] else parameter.secondary_opts)[:1]
        else:
            flags += [parameter.opts[0], str(settings[name])]
    return flags


def _parse(arguments: Sequence[str], settings: Mapping[str, Any]) -> click.Context:
    # As text, a value is checked as if it were typed: 64.5 is no batch size.
    as_text = {k: v if isinstance(v, bool) else str(v) for k, v in settings.items()}
    defaults = {k: v for k, v in as_text.items() if settings[k] is not None}
    context = learn.command.make_context(_PROGRAM, list(arguments), default_map=defaults)
    foreign = sorted(_IDENTITY.intersection(_given(context)))
    if foreign:
        flag = "--" + foreign[0].replace("_", "-")
        raise click.UsageError(
            f"{flag} is part of what the experiment is: create another one for another place."
        )
    return context


def _given(context: click.Context) -> list[str]:
    """The flags that were typed."""
    typed = ParameterSource.COMMANDLINE
    return sorted(name for name in context.params if context.get_parameter_source(name) is typed)


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else str(value)
