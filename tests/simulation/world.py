"""One run in the simulated world: a learner, workers, a shared disk, a mirror; and faults.

Everything is drawn from a seed, and happens again with it to the letter.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.simulation.checks import Checks
from tests.simulation.disks import Disks
from tests.simulation.far_place import FarPlace
from tests.simulation.hub import Api, Hub
from tests.simulation.kernel import Broken, Kernel, Process
from tests.simulation.market import Market, look_after, spec_of
from tests.simulation.seams import EPOCH, Clock, simulated
from zebfast.exchange import ExchangeError, LocalWeightStore, Namespace, Place, StoreOptions
from zebfast.exchange.hub.weights import HubWeightStore
from zebfast.exchange.mirror.mirror import Mirror
from zebfast.exchange.state import parse_state
from zebfast.fleet.reconcile import FleetBusy
from zebfast.fleet.state_file import FleetFileError
from zebfast.learner import session
from zebfast.learner.config import LearnerConfig
from zebfast.learner.loop import learn
from zebfast.learner.recipe import led_recipe
from zebfast.system.events import Event, Incident, console_text
from zebfast.worker import example_writer
from zebfast.worker.config import WorkerConfig
from zebfast.worker.loop import work

MINUTE, HOUR = 60.0, 3600.0
LEASE_HOURS = 2.0  # of a learner's hold on the Hub: renewed as seldom as everything else happens
WEIGHTS, EXAMPLES = "me/zeb", "me/zebx"
CYCLE_STEPS = 2
_REPLAY = 400  # examples


@dataclass
class Host:
    """A machine: its name, which is its disk's, too; how wrong its clock is; is it up?"""

    name: str
    skew: float = 0.0
    uptime: float = 1000.0
    boots: int = 1
    up: bool = True


@dataclass
class Role:
    """What is to run: it is started again, some time after it has ended.

    Attributes:
        config: makes the command of the host that it runs on.
        wanted: is it to be started again?
    """

    name: str
    host: Host
    main: Callable[[Host], Callable[[], int]]
    process: Process | None = None
    wanted: bool = True
    starts: int = 0
    ends: list[str] = field(default_factory=list)

    @property
    def runs(self) -> bool:
        return self.process is not None and not self.process.dead


class World:
    """The run of one seed. ``live`` lives it, and raises Broken."""

    def __init__(self, seed: int, hours: float = 24.0, *, n_faults: int = 24) -> None:
        self.seed, self.hours, self.n_faults = seed, hours, n_faults
        self.rng = random.Random(f"world {seed}")
        self.kernel = Kernel()
        shm = Path("/dev/shm")
        parent = shm if shm.is_dir() and os.access(shm, os.W_OK) else None
        self.root = Path(tempfile.mkdtemp(prefix=f"zebfast-sim-{seed}-", dir=parent))
        self.disks = Disks(self.root, self.kernel, random.Random(f"disks {seed}"))
        self.lines: list[str] = []
        self.faults: Counter[str] = Counter()
        self.processes: list[Process] = []
        self.extras: list[Role] = []
        self.shared = self.root / "shared"
        self.namespace = Namespace.parse(self.rng.choice((None, "run-a")))
        self.far = FarPlace(self.kernel, random.Random(f"far {seed}"))
        self.hub = Hub(self.kernel, random.Random(f"hub {seed}"), EPOCH)
        self.hosts = {name: self._host(name) for name in ("l1", "l2", "w1", "w2", "w3")}
        self.settings = self._settings()
        self.learner = Role("learner", self.hosts["l1"], self._learner)
        self.workers = [
            Role(f"worker-{n}", self.hosts[f"w{n}"], partial(self._worker, f"worker-{n}"))
            for n in range(1, 1 + self.rng.randint(2, 3))
        ]
        self.market = Market(self, random.Random(f"market {seed}"))
        self.clock = Clock(self.kernel)
        self.fleet: Role | None = None
        self.fleet_ends = False
        self.spec = spec_of(self.rng)
        if self.settings["fleet"]:
            self.hosts["f1"] = self._host("f1")
            self.fleet = Role("fleet", self.hosts["f1"], partial(look_after, self))
        self.checks = Checks(self)
        self.disks.watch = self.checks.named
        self.hub.watch = self.checks.committed

    @property
    def roles(self) -> list[Role]:
        fleet = [] if self.fleet is None else [self.fleet]
        return [self.learner, *self.workers, *fleet]

    @property
    def examples(self) -> Path:
        return self.shared / "examples" / self.namespace.examples_prefix

    def _host(self, name: str) -> Host:
        (self.root / name).mkdir()
        skew = self.rng.choice((0.0, 0.0, self.rng.uniform(-900, 900), self.rng.uniform(-9e4, 9e4)))
        return Host(name, skew=skew, uptime=self.rng.uniform(60, 1e6))

    def _settings(self) -> dict[str, Any]:
        rng = self.rng
        self.shared.mkdir()
        return {
            "push_every": rng.choice((1, 1, 2)),
            "snapshot_every": rng.choice((2, 3, 5)),
            "keep_snapshots": rng.choice((1, 2, 3)),
            "keep_example_files": rng.choice((0, 8, 16)),
            "replay_cache_save_every": rng.choice((1, 2, 4)),
            "checkpoint_every": rng.choice((1, 1, 2)),
            "own_disk": rng.random() < 0.6,
            "hub": rng.random() < 0.3,
            "fleet": rng.random() < 0.2,
            "seeded": rng.random() < 0.5,
        }

    # --- the programs ---

    def options(self, host: Host) -> StoreOptions:
        has_own = self.settings["own_disk"] or self.on_hub
        own = self.root / host.name / "state" if has_own else self.shared
        return StoreOptions(state_dir=own, retry_seconds=20.0, upload_interval=1800.0)

    @property
    def on_hub(self) -> bool:
        return bool(self.settings["hub"])

    def places(self) -> dict[str, Any]:
        if self.on_hub:
            weights, examples = Place("model", WEIGHTS), Place("dataset", EXAMPLES)
        else:
            weights = Place.directory(self.shared)
            examples = Place.directory(self.shared / "examples")
        return {"weights": weights, "examples": examples, "namespace": self.namespace}

    def _learner(self, host: Host) -> Callable[[], int]:
        settings = self.settings
        config = LearnerConfig(
            **self.places(),
            stores=self.options(host),
            checkpoint=self.shared / "start.pt",
            recipe=led_recipe(
                training_steps_per_cycle=CYCLE_STEPS, replay_buffer_size=_REPLAY,
                min_buffer_size=1, push_every=settings["push_every"], batch_size=4,
            ),
            eval_every=0,
            max_example_age=0.0,
            replay_cache_dir=self.root / host.name / "cache",
            poll_seconds=1800.0,
            squash_after=40,
            push_seconds=1800.0,
            sync_to="file:///far",
            sync_grace=600.0,
            **{name: settings[name] for name in (
                "snapshot_every", "keep_snapshots", "keep_example_files",
                "replay_cache_save_every", "checkpoint_every")},
        )  # fmt: skip
        return partial(learn, config)

    def _worker(self, worker_id: str, host: Host) -> Callable[[], int]:
        config = WorkerConfig(
            **self.places(),
            stores=self.options(host),
            worker_id=worker_id,
            games_per_batch=4,
            weight_sync_interval=1,
            poll_seconds=900.0,
            disk_retry_seconds=60.0,
            seed=zlib.crc32(worker_id.encode()) if self.settings["seeded"] else None,
        )
        return partial(work, config)

    def rented(self, name: str, worker_id: str) -> Role:
        """A machine is had, on which a worker will be started."""
        self.hosts[name] = host = self._host(name)
        role = Role(worker_id, host, partial(self._worker, worker_id))
        self.workers.append(role)
        return role

    def start(self, role: Role) -> None:
        """Start it where it is to run, unless it runs, or its machine is down."""
        if role.runs or not role.wanted or not role.host.up:
            return
        role.starts += 1
        process = Process(self.kernel, f"{role.name}#{role.starts}", role.host)
        process.on_end = partial(self._ended, role, process)
        role.process = process
        self.processes.append(process)
        process.start(role.main(role.host))

    def _ended(self, role: Role, process: Process) -> None:
        self.disks.unlock(process)
        self.disks.die_at.pop(process, None)
        error = process.failure
        why = "killed"
        if error is not None:
            why = f"{type(error).__name__}: {error}"
            self.checks.failed(process, error)
        elif process.exit_code is not None:
            why = f"exit {process.exit_code}"
        role.ends.append(why)
        self.log(f"{process.name} on {role.host.name} ended: {why}")
        if role.wanted and not (role is self.fleet and process.exit_code == 0):
            self.kernel.at(
                self.kernel.now + self.rng.choice((60.0, 600.0, 1800.0)), partial(self.start, role)
            )

    def log(self, line: str) -> None:
        text = line.replace(f"{self.root}/", "")
        self.lines.append(f"{self.kernel.now / HOUR:8.3f} h  {text}")

    def told(self, process: Process, event: Event) -> None:
        text = console_text(event)
        is_strange = isinstance(event, Incident) and event.what == "fresh optimizer"
        if is_strange and not self.faults["twin_learner"]:
            self.kernel.fail(Broken(f"{process.name} does not know its own run again: {text}"))
        self.log(f"{process.name}: {type(event).__name__} {text or ''}")

    # --- the whole life ---

    def live(self) -> World:
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self.root, ignore_errors=True)
            stack.callback(self.kernel.close, self.processes)
            stack.enter_context(
                simulated(
                    self.kernel, self.disks, random.Random(f"names {self.seed}"),
                    Api(self.hub),
                    step_seconds=1 * HOUR, game_seconds=0.5 * HOUR, nap_seconds=0.5 * HOUR,
                    told=self.told,
                )
            )  # fmt: skip
            stack.enter_context(patch.object(session, "open_mirror", self._mirror))
            lease = {"lease_seconds": LEASE_HOURS * HOUR}
            stack.enter_context(patch.object(HubWeightStore.__init__, "__kwdefaults__", lease))
            stack.enter_context(patch.object(tempfile, "tempdir", str(self.root.parent)))
            real = example_writer.write_native

            def write(path: Path, games: Any, metadata: Mapping[str, Any]) -> None:
                self.checks.plays(path.name, len(games), metadata)
                real(path, games, metadata)

            stack.enter_context(patch.object(example_writer, "write_native", write))
            try:
                self._live()
            except BaseException as error:
                error.add_note(f"seed {self.seed}\n" + "\n".join(self.lines[-60:]))
                raise
        return self

    def _live(self) -> None:
        from tests.simulation.faults import plan

        self.kernel.at(0.0, partial(self.start, self.learner))
        for role in self.roles[1:]:
            self.kernel.at(self.rng.uniform(0, HOUR), partial(self.start, role))
        plan(self)
        end = self.hours * HOUR
        self.kernel.run(end)
        self._settle()
        self.checks.at_end()

    def _settle(self) -> None:
        """Faults are over: everything goes on, then the workers end, then the learner."""
        self.disks.troubles.clear()
        self.disks.die_at.clear()
        self.market.away_until = self.market.loses = self.market.lag = self.market.short = 0.0
        self.far.away_until = self.far.loses_replies = 0.0
        self.hub.away.clear()
        self.hub.loses = self.hub.fails = 0.0
        for twin in self.extras:
            if twin.process is not None:
                self.kernel.kill(twin.process)
        for host in self.hosts.values():
            host.up = True
        for role in self.roles:
            self.start(role)
        self._run(LEASE_HOURS * HOUR + 1 * HOUR)
        self.fleet_ends = True
        if self.fleet is not None:
            self._run(2 * HOUR)
            if self.fleet.ends[-1:] != ["exit 0"]:
                raise Broken(f"the fleet does not end: {self.fleet.ends[-3:]}")
        for role in self.workers:
            role.wanted = False
            if role.process is not None and role.runs:
                role.process.stop(signal.SIGTERM)
        self._run(0.5 * HOUR)
        for role in self.workers:
            if role.runs:
                raise Broken(f"{role.name} does not end")
        self._run(1 * HOUR)
        if not self.learner.runs:
            raise Broken(f"the learner does not run any more: {self.learner.ends[-3:]}")
        self.learner.wanted = False
        assert self.learner.process is not None
        self.learner.process.stop(signal.SIGTERM)
        self._run(1 * HOUR)
        if self.learner.runs or self.learner.ends[-1] != "exit 143":
            raise Broken(f"the learner did not end in order: {self.learner.ends[-1:]}")

    def _run(self, seconds: float) -> None:
        self.kernel.run(self.kernel.now + seconds)

    def _mirror(self, _url: str, _namespace: Namespace, **_: Any) -> Mirror:
        return Mirror(self.far)

    def reboot(self, host: Host) -> None:
        """It begins anew, without what ran on it."""
        host.boots += 1
        host.uptime = -self.kernel.now
        for role in (*self.roles, *self.extras):
            if role.host is host and role.process is not None:
                self.kernel.kill(role.process)

    def example_names(self) -> set[str]:
        """What lies where example files are handed over."""
        if self.on_hub:
            prefix = self.in_repository("")
            tree = self.hub.tree(EXAMPLES, "dataset")
            return {path.removeprefix(prefix) for path in tree if path.startswith(prefix)}
        return {p.name for p in self.examples.iterdir()} if self.examples.is_dir() else set()

    def put_example(self, name: str, data: bytes) -> None:
        """Somebody puts a file there, by no program of ours."""
        if not self.on_hub:
            self.examples.mkdir(parents=True, exist_ok=True)
            (self.examples / name).write_bytes(data)
        elif ("dataset", EXAMPLES) in self.hub.repositories:
            repo = self.hub.repository(EXAMPLES, "dataset")
            tree = repo.commits[-1].tree | {self.in_repository(name): data}
            self.hub.commit(repo, tree, f"Add {name}")

    def in_repository(self, name: str) -> str:
        prefix = self.namespace.examples_prefix
        return f"{prefix}/{name}" if prefix else name

    def state(self) -> dict[str, Any] | None:
        """What is published."""
        if self.on_hub:
            data = self.hub.tree(WEIGHTS, "model").get(self.namespace.state_file)
            return None if data is None else parse_state(data, "the Hub")
        return LocalWeightStore(self.shared, self.namespace).read_state()

    def checkpoint_path(self) -> Path:
        return self.options(self.learner.host).state_dir / self.namespace.checkpoint_file

    def snapshots_path(self) -> Path:
        return self.options(self.learner.host).state_dir / "snapshots" / self.namespace.stem

    def epoch(self) -> float:
        """Unix seconds now, by a clock that is right."""
        return EPOCH + self.kernel.now

    def allowed(self, error: Exception) -> bool:
        """May a program end with this? A person reads one sentence then."""
        return isinstance(error, ExchangeError | OSError | FleetFileError | FleetBusy)
