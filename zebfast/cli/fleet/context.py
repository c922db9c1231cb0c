"""What the commands on fleets share: which fleet is meant, its providers, stores and lock."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zebfast.cli.experiment.context import experiments_dir_option, open_experiment, stores_of
from zebfast.cli.messages import note
from zebfast.cli.options import together
from zebfast.selfplay.producer_kinds import BY_ROLE, EVAL_AUX, Role
from zebfast.system.clock import steady
from zebfast.system.retry import Once, constant, retrying

if TYPE_CHECKING:
    from zebfast.experiment.experiment import Experiment
    from zebfast.fleet.model import FleetState, Launch, Offer, Spec
    from zebfast.fleet.observe import Outlook
    from zebfast.fleet.reconcile import Change, Tick
    from zebfast.fleet.rent import Fleet
    from zebfast.fleet.state_file import FleetFiles

KEYS = {"vast": "VAST_API_KEY", "runpod": "RUNPOD_API_KEY"}
TOKEN = "HF_TOKEN"
NAME = "ZEB_WEIGHTS_NAME"
_LOCK_PATIENCE = 120.0  # a tick of another process may wait for a provider for so long
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")
_LOG = logging.getLogger(__name__)


class _Role(click.Choice[str]):
    """A role by its name, or by the worker's mode of that name."""

    def __init__(self) -> None:
        super().__init__(list(BY_ROLE))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(EVAL_AUX.role if value == EVAL_AUX.mode else value, param, ctx)


@dataclass(frozen=True)
class Chosen:
    """One fleet of an experiment; it may have no machine and no memory yet."""

    experiment: Experiment
    role: Role
    files: FleetFiles


def command_of(chosen: Chosen, verb: str) -> str:
    """A command on this one fleet, as a person would type it."""
    from zebfast.experiment.commands import fleet_command

    label = chosen.files.fleet
    role = ("--role", chosen.role)
    named = label in chosen.experiment.fleets.values()
    return fleet_command(chosen.experiment, verb, *(role if named else (*role, "--fleet", label)))


#: The options that say which fleet is meant, and the experiment as an argument.
fleet_options = together(
    click.argument("experiment", envvar=NAME),
    click.option("--role", type=_Role(), envvar="ZEB_WORKER_MODE", show_envvar=True,
                 help="Which of the experiment's streams of examples; one with a recipe has "
                 "only that of its recipe."),
    click.option("--fleet", metavar="LABEL", envvar="ZEB_FLEET", show_envvar=True,
                 help="Another label than the experiment's own for its machines."),
    experiments_dir_option,
)  # fmt: skip


def named_experiment(experiment: str, worker_flags: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The experiment and the workers' flags, where the first of these may stand in its place: so
    it is where the name comes from the environment."""
    named = os.environ.get(NAME)
    if named and experiment.startswith("-"):
        return named, (experiment, *worker_flags)
    return experiment, worker_flags


def fleets_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """As ``fleet_options``, and ``--all``, for a command that is given the fleets as ``listed``.

    They are the one that is named, else every one of the experiment.
    """

    @wraps(command)
    def run(
        *, experiment: str, role: Role | None, fleet: str | None, both: bool,
        experiments_dir: Path, **flags: Any,
    ) -> Any:  # fmt: skip
        if both:
            role = fleet = None
        return command(listed=choose_some(experiment, role, fleet, experiments_dir), **flags)

    every = "Every role, whatever the environment says."
    return fleet_options(click.option("--all", "both", is_flag=True, help=every)(run))


def confirm(question: str, deed: str) -> None:
    """Ask, and end the command unless the answer is yes. UsageError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"This {deed}: give --yes to go on.")
    click.confirm(question, abort=True, err=True)


def choose(name: str, role: Role | None, label: str | None, experiments_dir: Path) -> Chosen:
    """The fleet of one role, by default that of the experiment's first stage.

    UsageError where there is no such experiment, it has no such role, or the label is none.
    """
    from zebfast.experiment.experiment import fleet_names
    from zebfast.fleet.state_file import FLEET_DIR, MARKET_STEM, FleetFiles

    experiment = open_experiment(name, experiments_dir)
    role = role or experiment.own_stages[0]
    if role not in experiment.own_stages:
        raise click.UsageError(
            f"{name!r} has no workers of the role {role}: expected "
            f"{' or '.join(experiment.own_stages)}; leave --role out for the first"
        )
    named = experiment.fleets.get(role)
    fleet = label or named or fleet_names(experiment.name, experiment.own_stages)[role]
    if not _LABEL.fullmatch(fleet) or fleet == MARKET_STEM:
        raise click.UsageError(
            f"{fleet!r} cannot be a fleet's label: expected letters, digits, dots and dashes, at "
            f"most 80, and not {MARKET_STEM!r}"
        )
    return Chosen(experiment, role, FleetFiles(experiment.directory / FLEET_DIR, fleet))


def choose_some(
    name: str, role: Role | None, label: str | None, experiments_dir: Path
) -> list[Chosen]:
    """The fleet that is named, else every one of the experiment."""
    from zebfast.fleet.state_file import FleetFileError, read_state

    if label is None:
        roles = open_experiment(name, experiments_dir).own_stages if role is None else (role,)
        return [choose(name, each, None, experiments_dir) for each in roles]
    chosen = choose(name, role, label, experiments_dir)
    try:
        state = read_state(chosen.files.state)
    except FleetFileError:
        state = None  # whoever needs it says so
    return [chosen if state is None or role else replace(chosen, role=state.spec.role)]


def known_fleets(listed: Sequence[Chosen]) -> Sequence[Chosen]:
    """Those that were begun. UsageError where none was."""
    found = [each for each in listed if each.files.state.exists()]
    if not found:
        names = " or ".join(each.files.fleet for each in listed)
        example = f"zebfast fleet up {listed[0].experiment.name} -n 2"
        raise click.UsageError(f"There is no fleet {names} yet; {example} rents one")
    return found


def n_beside(chosen: Chosen) -> int:
    """Machines of the experiment's other fleets: they upload to the same place."""
    from zebfast.fleet.state_file import FleetFileError, read_state

    n = 0
    for label in set(chosen.experiment.fleets.values()) - {chosen.files.fleet}:
        try:
            state = read_state(replace(chosen.files, fleet=label).state)
        except FleetFileError:
            continue  # whoever needs it says so
        if state is not None and state.wanted:
            n += state.spec.n + state.spec.max_surge
    return n


def keys() -> dict[str, str]:
    """Secrets of the providers, by provider."""
    return {name: os.environ.get(variable, "") for name, variable in KEYS.items()}


def usable_providers(chosen: Chosen) -> tuple[str, ...]:
    """Providers that may have machines of a fleet that nobody remembers: those with a key, and
    what is one's own where a fleet of the experiment has had some."""
    from zebfast.fleet.model import OWN

    found = [name for name, key in keys().items() if key]
    return (*found, *(name for name in OWN if (chosen.files.directory / name).is_dir()))


def open_outlook(chosen: Chosen, names: Sequence[str]) -> Outlook:
    """Where to look for a fleet: these providers, and the experiment's stores.

    Raises:
        ProviderError: a provider's key is missing.
        ModuleNotFoundError: its client library is.
        click.UsageError: nothing of it can be asked from this machine.
    """
    from zebfast.exchange import open_examples, open_weights
    from zebfast.fleet.observe import Outlook
    from zebfast.fleet.provider import WrongSettings
    from zebfast.fleet.providers import open_provider

    experiment, options = chosen.experiment, stores_of(chosen.experiment)
    urls = {"vast": os.environ.get("VAST_URL", "")}
    directory = chosen.files.directory
    try:
        providers = {
            name: open_provider(
                name, keys=keys(), directory=directory, urls=urls, environment=os.environ
            )
            for name in names
        }
    except WrongSettings as error:
        raise click.UsageError(str(error)) from None
    return Outlook(
        providers=providers,
        weights=open_weights(experiment.weights, experiment.namespace, options=options),
        examples=open_examples(experiment.examples, experiment.namespace, options=options),
    )


def open_fleet(chosen: Chosen, names: Sequence[str]) -> Fleet:
    """Everything that a look touches; see open_outlook for what it raises."""
    from zebfast.fleet.launch import for_task, launch_env, start_command
    from zebfast.fleet.model import Launch, worker_id_of
    from zebfast.fleet.rent import Fleet
    from zebfast.fleet.slurm import INDEX

    experiment, token = chosen.experiment, os.environ.get(TOKEN)

    def launcher(spec: Spec, offer: Offer, label: str) -> Launch:
        env, index = launch_env(experiment, hf_token=token), None
        if offer.provider == "slurm":
            spec, index = for_task(spec), INDEX
            env |= {} if spec.task.gpu else {"ZEB_ALLOW_CPU": "1"}
        return Launch(
            label=label,
            command=start_command(spec, experiment, worker_id_of(label, spec.role), index=index),
            env=env,
            image=spec.image,
            disk_gb=spec.disk_gb,
            bid=offer.price_per_hour if offer.interruptible else None,
            task=spec.task,
        )

    outlook = open_outlook(chosen, names)
    return Fleet(files=chosen.files, outlook=outlook, launcher=launcher, steady=steady)


def strange_state(chosen: Chosen) -> FleetState:
    """What to assume of a fleet that nobody remembers: nothing of it is wanted."""
    from zebfast.fleet.model import FleetState, Spec

    spec = Spec(
        fleet=chosen.files.fleet,
        experiment=chosen.experiment.name,
        role=chosen.role,
        n=0,
        max_surge=0,
        providers=usable_providers(chosen),
    )
    return FleetState(spec=spec, wanted=False)


def reconcile_patiently(fleet: Fleet, change: Change | None = None) -> Tick:
    """One tick, once no other process holds the fleet: for two minutes at most, FleetBusy then."""
    from zebfast.fleet.reconcile import FleetBusy, reconcile

    deadline, is_new = time.monotonic() + _LOCK_PATIENCE, Once()

    def again(error: FleetBusy, _attempt: int, _seconds: float) -> None:
        if time.monotonic() > deadline:
            raise error
        if is_new("busy"):
            note(f"{error}; waiting")

    return retrying(
        lambda: reconcile(fleet, change), on=FleetBusy, pause=constant(0.2), again=again
    )


def as_it_is_now(fleet: Fleet, done: Tick) -> Tick:
    """A tick to be shown: looked at again where it has changed anything."""
    from zebfast.fleet.reconcile import plan

    if not (done.decision.destroy or done.decision.rent):
        return done
    return plan(done.state, fleet.outlook, now=fleet.clock())
