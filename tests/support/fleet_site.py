"""An experiment over the loopback Hub, with fleets of real workers as processes of this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub import Hub, HubClient, running_hub
from hub_site import Site
from local_machines import LocalMachine

PLACES = ("--repo-id", "me/zeb", "--examples-repo-id", "me/zeb-examples")
LEARNER = ("--batch-size", "16", "--min-buffer-size", "200", "--training-steps-per-cycle", "30",
           "--push-every", "1", "--poll-seconds", "0.5", "--eval-every", "0", "--threads", "1",
           "--keep-example-files", "0", "--retry-seconds", "0.2")  # fmt: skip
PLAYING = ("--threads", "1", "--device", "cpu", "--retry-seconds", "0.2", "--games-per-batch", "64")
SELF_PLAY = (*PLAYING, "--n-groups", "1", "--n-simulations", "4", "--n-parallel-games", "64",
             "--weight-sync-interval", "2")  # fmt: skip
PUBLISH = """
from zebfast.net.checkpoint import fresh
from zebfast.net.v1 import SIZES
made = fresh(SIZES["small"], seed=1)
weights("me/zeb", "large-belief", home).publish(
    made.weights, made.config.to_dict(), {"step": step, "total_games": games})
"""
COUNT = """
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.producer_kinds import SELFPLAY
store = examples("dataset", "me/zeb-examples", name, home)
names = [each for each in store.list() if each not in without]
with store.fetch(names) as paths:
    assert len(paths) == len(names)
    found = [read_examples(path).metadata for path in paths.values()]
return sum(each["n_games"] for each in found if each["source"] == SELFPLAY.source)
"""


class FleetSite(Site):
    """The site of one experiment, and its fleets of local processes."""

    def fleet(self, *arguments: str) -> str:
        verb, *more = arguments
        return self.zebfast("fleet", verb, self.name, *more, polite=True)

    def monitor(self) -> None:
        """Start what looks after the fleets."""
        self.start("monitor", "fleet", "monitor", self.name, "--fast", "2", polite=True)

    def rows(self, role: str) -> list[dict[str, Any]]:
        """The machines of a role as `fleet status` has them."""
        [found] = json.loads(self.fleet("status", "--role", role, "--json"))
        rows: list[dict[str, Any]] = found["rows"]
        return rows

    def playing(self, role: str) -> set[str]:
        """Labels of the machines that hand over work and of which nothing bad is known."""
        return {row["label"] for row in self.rows(role) if row["games_per_s"] and row["good"]}

    def until_play(self, role: str, n: int, *, without: frozenset[str] = frozenset()) -> set[str]:
        """The machines that play, once they are ``n``, those of ``without`` not among them."""

        def enough() -> set[str] | None:
            found = self.playing(role) - without
            return found if len(found) == n else None

        found: set[str] = self.until(f"{n} play {role}", enough)
        return found

    def until(self, what: str, is_so: Callable[[], Any]) -> Any:
        """What ``is_so`` returns once that is true."""
        deadline = time.monotonic() + 400
        while not (found := is_so()):
            said = self.log("monitor").read_text()[-3000:] if self.log("monitor").exists() else ""
            assert time.monotonic() < deadline, f"never: {what}\n{said}"
            time.sleep(1)
        return found

    def machine(self, label: str) -> LocalMachine:
        return LocalMachine(self._machines / label.rsplit("/", 1)[-1])

    def machines(self) -> list[LocalMachine]:
        """All that ever were."""
        return [LocalMachine(birth.parent) for birth in self._machines.glob("*/birth")]

    @property
    def _machines(self) -> Path:
        return self.root / "experiments" / self.name / "fleet" / "local"

    def games_on_the_hub(self, *, without: tuple[str, ...] = ()) -> int:
        """Self-play games in all example files, read anew."""
        client = HubClient(self.env)
        try:
            found: int = client.do(
                COUNT, home=str(self.root / "counter"), name=self.name, without=without
            )
        finally:
            client.kill()
        return found


@contextmanager
def fleet_site(root: Path, name: str) -> Iterator[FleetSite]:
    """An empty machine and an empty Hub; no program and no machine survives the context."""
    with running_hub(root / "hf") as hub:
        site = FleetSite(root, hub, name)
        try:
            yield site
        finally:
            site.close()
            for machine in site.machines():
                machine.vanish()


def publish_earlier(hub: Hub, home: Path, *, step: int, games: int) -> None:
    """Weights of a namespace ``large-belief``, so far trained, to start from."""
    client = HubClient(hub.env())
    client.do(PUBLISH, home=str(home), step=step, games=games)
    client.kill()
