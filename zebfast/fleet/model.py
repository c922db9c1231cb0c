"""The plain records of a fleet: what can be rented, is rented, is wanted, is known, is seen.

Times are unix seconds, prices dollars an hour. Nothing here asks anybody anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, replace
from typing import Any, ClassVar, Literal, TypeVar

from zebfast.exchange.heartbeat import Heartbeat
from zebfast.fleet.task import Task
from zebfast.selfplay.producer_kinds import Role
from zebfast.system.clock import set_by
from zebfast.system.settings import A_YEAR, check, counted, moment, setting

_T = TypeVar("_T", "Instance", "FleetState")

MachineState = Literal[
    "queued", "loading", "running", "stopped", "exited", "offline", "unknown",
    "ending", "ended", "failed",
]  # fmt: skip
#: States that nothing comes back from; a machine in one of them is paid for and plays nothing.
LOST: tuple[MachineState, ...] = ("stopped", "exited", "offline", "unknown")
#: States of tasks of a cluster that are over: nothing is paid for them and nothing can be ended.
#: ``failed`` by their own fault; one that is ``ending`` may still write.
OVER: tuple[MachineState, ...] = ("ending", "ended", "failed")
#: Providers of what is one's own: they see this machine's disk and what is installed on it.
OWN = ("local", "slurm")
MOST_MACHINES = 10_000  # of a fleet
MOST_DOLLARS = 1_000_000


def _amount(default: Any, most: float = MOST_DOLLARS, key: str | None = None) -> Any:
    """A field for a number from 0 on."""
    return setting(default, least=0, most=most, key=key)


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One machine that a provider would rent out now.

    Attributes:
        id: the provider's name of the offer.
        gpu: as people write it, ``RTX 3060``.
        price_per_hour: dollars, if it is rented as asked for: the bid, when ``interruptible``.
        host: what strikes are counted against; empty where the provider does not say.
        reliability: 0 to 1; inet_up, inet_down: Mbit/s; disk_gb: free; cuda: newest its driver
            runs. None where the provider does not say: a filter lets it pass.
        hours: longest rental, None without an end.
        many: a type of machine, not one of them: it can be rented again and again.
    """

    provider: str
    id: str
    gpu: str
    price_per_hour: float = _amount(MISSING, key="dph")
    n_gpus: int = setting(1, least=1, most=1_000)
    host: str = ""
    interruptible: bool = False
    reliability: float | None = None
    inet_up: float | None = None
    inet_down: float | None = None
    disk_gb: float | None = None
    cuda: float | None = None
    hours: float | None = None
    many: bool = False

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One rented machine as its provider lists it now.

    Attributes:
        label: ``FLEET/ID`` as it was given when it was asked for.
        message: what the provider says about its state, in its words; may be empty.
        price_per_hour, started, ssh: None where the provider does not say (yet).
    """

    provider: str
    id: str
    label: str
    state: MachineState
    gpu: str = ""
    host: str = ""
    message: str = ""
    price_per_hour: float | None = setting(None, key="dph")
    started: float | None = None
    ssh: str | None = None
    interruptible: bool = False

    @property
    def key(self) -> str:
        """Unique over all providers."""
        return f"{self.provider}:{self.id}"


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What a provider needs to start a worker on an offer.

    Attributes:
        label: ``FLEET/ID``; never holds a secret.
        command: one shell script of a few lines, run on the machine once it is up.
        env: variables of the machine, the scoped tokens among them; never logged.
        image: container image, where the provider has such a thing.
        disk_gb: asked for.
        bid: dollars an hour of an interruptible rental; None = on demand.
        task: what one task of a cluster is given.
    """

    label: str
    command: str
    env: Mapping[str, str]
    image: str
    disk_gb: float
    bid: float | None = None
    task: Task = field(default_factory=Task)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What a person wants of one fleet: kept on disk, changed by ``up``, ``replenish``, ``down``.

    Attributes:
        fleet: label of all its machines, ``zeb-NAME-selfplay``.
        n: machines that should play; ``max_surge`` more may be alive while some are replaced.
        gpus: types that may be rented, in no order; empty = any.
        max_price_per_hour: dearest machine, dollars an hour.
        budget_dollars, budget_hours, budget_node_hours: the fleet is taken down when one of them
            is used up.
        providers: in the order in which they are tried.
        bid_factor: an interruptible rental bids this multiple of the lowest bid.
        package: what ``pip install`` gets on the host: a version (``zebfast==0.1.0``), an URL, or
            the path of a wheel or source archive.
        task: what one task of a cluster is given.
        worker_args: flags of every worker, its id apart.
        loading_limit, setup_limit, stall_limit: seconds that a machine may take from being asked
            for to running, from there to its first heartbeat, and between two signs of work (the
            last is longer where uploads are seldom); ``fatal_grace`` to get over a fatal error.
    """

    fleet: str
    experiment: str
    role: Role
    n: int = setting(help="Machines that shall play.", least=0, most=MOST_MACHINES, flag="n")
    max_surge: int = setting(
        1,
        "More machines that may be alive while some are replaced.",
        least=0,
        most=MOST_MACHINES,
        flag="surplus",
        key="surplus",
    )
    gpus: tuple[str, ...] = ()
    max_price_per_hour: float = setting(
        0.15,
        "Dearest machine, dollars an hour.",
        above=0,
        most=1_000,
        flag="max_dph",
        key="max_dph",
        env="ZEB_MAX_DPH",
    )
    budget_dollars: float | None = setting(
        None, "Dollars after which the fleet is taken down.", above=0, most=1_000_000, flag="budget"
    )
    budget_hours: float | None = setting(
        None,
        "Hours after which the fleet is taken down.",
        above=0,
        most=A_YEAR // 3600,
        flag="hours",
    )
    budget_node_hours: float | None = setting(
        None,
        "Hours of all machines together after which the fleet is taken down; a task of a cluster "
        "counts as a machine.",
        above=0,
        most=1_000_000_000,
        flag="node_hours",
    )
    providers: tuple[str, ...] = ("vast",)
    interruptible: bool = False
    bid_factor: float = _amount(1.1)
    min_reliability: float = _amount(0.95)
    min_inet_up: float = _amount(20.0)
    min_inet_down: float = _amount(100.0)
    min_cuda: float = _amount(12.6)
    disk_gb: float = setting(16.0, "GB of disk.", above=0, most=100_000, flag="disk")
    image: str = setting("pytorch/pytorch:2.13.0-cuda12.6-cudnn9-runtime", "Container to start in.")
    package: str = "zebfast"
    task: Task = field(default_factory=Task)
    worker_args: tuple[str, ...] = ()
    upload_interval: float = setting(
        240.0,
        "Seconds between a worker's uploads.",
        above=0,
        most=A_YEAR,
        shown="what the Hub's quota allows so many workers",
    )
    loading_limit: float = _amount(600.0, A_YEAR)
    setup_limit: float = _amount(600.0, A_YEAR)
    stall_limit: float = _amount(900.0, A_YEAR)
    fatal_grace: float = _amount(300.0, A_YEAR)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Instance:
    """What the fleet remembers of one machine, by its label.

    Attributes:
        id: the provider's; None while the answer to the request has not been seen.
        asked: when it was asked for; ``up_since`` when it was first seen running; ``listed_at``
            when its provider last listed it, ``missing_since`` the first look since then at which
            it was not listed, or after which it still worked.
        progress: the last sign of work that was seen (batch and games of its heartbeat), and
            ``progress_at`` when that last changed, by this machine's clock.
        failing_since: when a fatal error was first seen that has not gone since.
        games_per_s: by its newest heartbeat.
        price_per_hour: last price seen.
        terminating: why it is being destroyed; set once and never taken back, so that a destroy
            that failed is tried again and a host gets one strike for one failure.
    """

    label: str
    provider: str
    asked: float = moment()
    id: str | None = None
    gpu: str = ""
    host: str = ""
    price_per_hour: float = _amount(0.0, key="dph")
    up_since: float | None = moment(None)
    listed_at: float | None = moment(None)
    missing_since: float | None = moment(None)
    progress: str | None = None
    progress_at: float | None = moment(None)
    failing_since: float | None = moment(None)
    games_per_s: float | None = counted(None)
    terminating: str = setting("", key="doomed")

    #: Its times, by this machine's clock: all of them are moved where that was set.
    TIMES: ClassVar = (
        "asked", "up_since", "listed_at", "missing_since", "progress_at", "failing_since",
    )  # fmt: skip

    def quiet(self, now: float) -> float:
        """Seconds since the last sign of work, or else since it was asked for."""
        return now - (self.asked if self.progress_at is None else self.progress_at)


@dataclass(frozen=True, kw_only=True)
class FleetState:
    """All that one fleet remembers between two looks.

    Attributes:
        spec: what is wanted; ``wanted`` False = let nothing live (``down`` says so first).
        machines: by label.
        paused_until, pause_reason: no machine is asked for before that time.
        spent: dollars of all machines so far, as prices and times were seen; ``node_hours`` the
            hours that they ran.
        first, last_look: when the fleet was begun, when it was last looked at.
        last_steady, boot: the same look by the count of seconds that no clock's setting changes,
            and the start of the machine since which that counts.
    """

    spec: Spec
    wanted: bool = True
    machines: Mapping[str, Instance] = field(default_factory=dict)
    paused_until: float | None = moment(None)
    pause_reason: str = ""
    spent: float = counted(0.0)
    node_hours: float = counted(0.0)
    first: float | None = moment(None)
    last_look: float | None = moment(None)
    last_steady: float | None = moment(None)
    boot: str = ""

    def at(self, now: float, *, steady: float, boot: str) -> FleetState:
        """As it is to be looked at ``now``: a clock that was set since makes nothing older.

        Without this an hour's jump would be an hour without work of every machine, and an hour of
        money.
        """
        moved = set_by((self.last_look, self.last_steady, self.boot), now, steady, boot)
        return replace(self._moved(moved), last_steady=steady, boot=boot)

    def _moved(self, seconds: float) -> FleetState:
        machines = {
            label: _moved(each, seconds, *each.TIMES) for label, each in self.machines.items()
        }
        state = _moved(self, seconds, "paused_until", "first", "last_look")
        return replace(state, machines=machines)


def _moved(record: _T, seconds: float, *times: str) -> _T:
    known = {name: at for name in times if (at := getattr(record, name)) is not None}
    return replace(record, **{name: max(0.0, at + seconds) for name, at in known.items()})


@dataclass(frozen=True, kw_only=True)
class Observed:
    """One look at a fleet.

    Attributes:
        machines: of all providers that answered; ``silent`` names those that did not: nothing is
            known of their machines, so none is declared gone and none is asked for in its place.
        over: by label, remembered tasks of a cluster that are over, and all that are just ending.
        heartbeats: by worker id. ``heard`` False = they could not be read at all, so that nothing
            follows from one that is missing or old.
        log_errors: by label, the last fatal line of a machine's log where one was found; counts
            for a worker that has never beaten.
        has_weights: does the namespace have weights? None where that could not be learnt.
        credit: dollars left by provider, where known.
    """

    now: float
    machines: tuple[Machine, ...] = ()
    over: Mapping[str, Machine] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()
    heartbeats: Mapping[str, Heartbeat] = field(default_factory=dict)
    heard: bool = True
    log_errors: Mapping[str, str] = field(default_factory=dict)
    has_weights: bool | None = True
    credit: Mapping[str, float] = field(default_factory=dict)

    def beat_of(self, label: str, role: Role) -> Heartbeat | None:
        """The heartbeat of the worker on the machine of this label, where there is one."""
        return self.heartbeats.get(worker_id_of(label, role))


@dataclass(frozen=True, kw_only=True)
class Destroy:
    """End one rental. ``strike``: it counts against the host. ``reason``: words for the log."""

    machine: Machine
    reason: str
    strike: bool = False


def new_label(fleet: str, token: str) -> str:
    """Label of one machine of a fleet: ``FLEET/token``."""
    return f"{fleet}/{token}"


def array_labels(label: str, n: int) -> tuple[str, ...]:
    """Labels of the tasks of an array of this label: ``FLEET/token-0`` and so on."""
    return tuple(f"{label}-{index}" for index in range(n))


def is_of_fleet(label: str | None, fleet: str) -> bool:
    """Is this the label of a machine of that fleet?"""
    return label is not None and label.startswith(f"{fleet}/")


def worker_id_of(label: str, role: Role) -> str:
    """Id of the worker on the machine of this label: ``selfplay-3fa9c1d2``."""
    return f"{role}-{label.rsplit('/', 1)[-1]}"
