"""What must hold, looked at whenever something is written, and at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.simulation.kernel import Broken, Process
from tests.simulation.market import TICK_SECONDS
from zebfast.exchange.mirror.mirror import Mirror
from zebfast.learner.snapshots import Snapshots
from zebfast.learner.state import load_checkpoint

if TYPE_CHECKING:
    from tests.simulation.world import World
    from zebfast.fleet.reconcile import Tick


class Checks:
    """Keeps account of what truly happened, and compares."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.games: dict[str, int] = {}  # of every file that a worker has written
        self.there: set[str] = set()  # files that have been handed over
        self.doubtful: set[str] = set()  # and that a loss of power took back
        self.same: dict[tuple[int, int], dict[int, list[str]]] = {}  # by seed, step and game: files
        self.content: dict[str, bytes] = {}
        self.newest = (0, 0)  # step and games that have been published
        self.steps: dict[str, int] = {}  # of the network of each worker
        self.publisher: Process | None = None
        self.dispossessed: set[Process] = set()  # that published before another one did
        self.doomed: dict[str, int] = {}

    def plays(self, name: str, n_games: int, metadata: Mapping[str, Any]) -> None:
        """A worker writes a file."""
        self.games[name] = n_games
        task = self._world.kernel.current
        assert task is not None
        who, step = task.process.name, int(metadata["model_step"])
        if step < self.steps.get(who, 0):
            raise Broken(f"{who} went back from step {self.steps[who]} to {step}")
        self.steps[who] = step
        if self._world.settings["seeded"]:
            games = self.same.setdefault((int(metadata["seed"]), step), {})
            first = int(metadata["first_game"])
            for game in range(first, first + n_games):
                games.setdefault(game, []).append(name)

    def named(self, process: Process, path: str) -> None:
        """A file has got its name."""
        world = self._world
        folder, _, name = path.rpartition("/")
        if folder == str(world.examples) and name in self.games:
            self._handed_over(name, world.disks.peek(path))
        elif name == world.namespace.state_file and folder == str(world.shared):
            self.published(process, json.loads(world.disks.peek(path)))

    def committed(self, process: Process, files: Mapping[str, bytes]) -> None:
        """A commit was made on the Hub."""
        for path, data in files.items():
            name = path.rpartition("/")[2]
            if name in self.games:
                self._handed_over(name, data)
            elif name == self._world.namespace.state_file:
                self.published(process, json.loads(data))

    def _handed_over(self, name: str, data: bytes) -> None:
        self.there.add(name)
        self.doubtful.discard(name)
        self.content[name] = data

    def published(self, process: Process, state: Mapping[str, Any]) -> None:
        now = (int(state["step"]), int(state["total_games"]))
        if now[0] < self.newest[0] or now[1] < self.newest[1]:
            raise Broken(f"{process.name} published {now} after {self.newest}")
        self.newest = now
        if process is not self.publisher:
            if process in self.dispossessed:
                raise Broken(f"{process.name} publishes again, which had been dispossessed")
            if self.publisher is not None:
                self.dispossessed.add(self.publisher)
            self.publisher = process

    def taken_back(self, before: set[str]) -> None:
        """A loss of power: example files that there were before may be gone."""
        lost = (before - self._world.example_names()) & self.there
        self.there -= lost
        self.doubtful |= lost

    def looked(self, tick: Tick) -> None:
        """A fleet was looked at: is its money capped, and are its machines no more than wanted?"""
        world, spec = self._world, self._world.spec
        if world.market.most_alive > spec.n + spec.max_surge:
            raise Broken(f"{world.market.most_alive} machines at once; {spec.n} are wanted")
        if not tick.state.wanted and not tick.observed.silent:
            for rental in world.market.alive():
                self.doomed.setdefault(rental.id, 0)
                self.doomed[rental.id] += 1
                if self.doomed[rental.id] > 20:
                    raise Broken(f"{rental.id} lives on, though nothing is wanted")

    def _money(self) -> None:
        """Nothing is rented any more, and no more was spent than could be seen in time."""
        spec, market = self._world.spec, self._world.market
        if market.alive():
            raise Broken(f"machines are left: {[each.id for each in market.alive()]}")
        if spec.budget_dollars is not None:
            most_an_hour = (spec.n + spec.max_surge) * market.dearest
            blind = (market.longest_gap + 2 * TICK_SECONDS) / 3600
            if market.dollars() > spec.budget_dollars * 1.02 + most_an_hour * blind:
                raise Broken(f"${market.dollars():.2f} were spent of ${spec.budget_dollars:.2f}")

    def failed(self, process: Process, error: Exception) -> None:
        """A program has ended with an error: was it one that a person can understand?"""
        if not self._world.allowed(error):
            raise Broken(f"{process.name} failed: {type(error).__name__}: {error}") from error

    def at_end(self) -> None:
        world = self._world
        state = world.state()
        if state is None:
            raise Broken("nothing is published")
        self._counts(int(state["total_games"]), "the published state")
        config = world.checkpoint_path()
        saved = load_checkpoint(config)
        if saved is None:
            raise Broken("there is no checkpoint")
        if world.fleet is not None:
            self._money()
        self._counts(saved.progress.total_games, "the checkpoint")
        if saved.progress.step != state["step"]:
            raise Broken(f"step {saved.progress.step} was saved, {state['step']} published")
        self._snapshots(saved.progress.step, saved.progress.total_games, str(state["lineage"]))

    def _counts(self, counted: int, where: str) -> None:
        twice = {
            name for games in self.same.values() for names in games.values()
            if len(self.there.intersection(names)) > 1 for name in names
        }  # fmt: skip
        # Of files that hold a game of the same seed and weights, one at least is counted.
        sure = self.there - twice
        expected = sum(self.games[name] for name in self.there)
        possible = {sum(self.games[name] for name in sure)}
        for name in self.doubtful | twice:
            possible |= {n + self.games[name] for n in possible}
        if counted not in possible:
            raise Broken(
                f"{where} counts {counted} games; {len(self.there)} files of {expected} were "
                f"handed over (doubtful: {len(self.doubtful)})"
            )

    def _snapshots(self, step: int, games: int, lineage: str) -> None:
        world = self._world
        here = Snapshots(world.snapshots_path(), lineage).complete()
        if not here or (here[0].manifest.step, here[0].manifest.total_games) != (step, games):
            found = [(s.manifest.step, s.manifest.total_games) for s in here]
            raise Broken(f"the snapshots here are {found}; training stands at {step}, {games}")
        there = list(Mirror(world.far).states())
        if not there or (there[0].step, there[0].total_games) != (step, games):
            found = [(m.step, m.total_games) for m in there]
            raise Broken(f"at the mirror are {found}; training stands at {step}, {games}")
