"""An experiment with published weights, whose fleet commands meet the loopback Vast.ai."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from fake_provider import beat

from tests.servers.vast import VastServer
from zebfast.cli.main import cli
from zebfast.exchange import LocalExampleStore, Namespace
from zebfast.fleet.model import FleetState, worker_id_of
from zebfast.fleet.state_file import FleetFiles, read_state

FLEET = "zeb-first-selfplay"


@dataclass
class Rented:
    """The experiment `first`, its fleets, and where their machines come from."""

    root: Path
    server: VastServer

    @property
    def files(self) -> FleetFiles:
        return FleetFiles(self.root / "experiments" / "first" / "fleet", FLEET)

    @property
    def state(self) -> FleetState | None:
        return read_state(self.files.state)

    def run(self, verb: str, *arguments: str, answer: str | None = None) -> Result:
        """Run `zebfast fleet VERB first …` in this process."""
        command = ["fleet", verb, "first", "--experiments-dir", str(self.root / "experiments")]
        return CliRunner().invoke(cli, [*command, *arguments], prog_name="zebfast", input=answer)

    def status(self) -> Any:
        """What `status --json` says of the self-play fleet."""
        done = self.run("status", "--role", "selfplay", "--json")
        assert done.exit_code == 0, done.output
        [found] = json.loads(done.stdout)
        return found

    def play(self, batch: int) -> None:
        """Every machine runs, and its worker has handed over so many batches."""
        place = self.root / "run" / "examples"
        store = LocalExampleStore(place, Namespace.parse("first"))
        for number in tuple(self.server.instances):
            self.server.set_state(number, "running")
            worker = worker_id_of(str(self.server.instances[number]["label"]), "selfplay")
            store.beat(beat(worker, batch, unix=time.time()))
