"""Runs as files, written as learners, workers and fleets write them, and a dashboard of them."""

from __future__ import annotations

import json
import math
import random
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from random_games import random_games
from web_server import Client, running

from zebfast.cli.experiment.context import stores_of
from zebfast.cli.run import user_sentence
from zebfast.exchange import Namespace, Place, example_name
from zebfast.exchange.heartbeat import Heartbeat, heartbeat_name
from zebfast.experiment.experiment import (
    Experiment,
    find_recipe,
    fleet_names,
    own_stages,
    write_new,
)
from zebfast.experiment.runlog import LEARN_LOCK, RunLog
from zebfast.fleet.model import FleetState, Instance, Spec
from zebfast.fleet.state_file import FLEET_DIR, FleetFiles, write_state
from zebfast.selfplay.examples import write_native
from zebfast.system.events import CycleDone, EventFile, Incident
from zebfast.system.locks import hold_lock
from zebfast.web.dashboard.run import Means
from zebfast.web.dashboard.serve import dashboard_app
from zebfast.web.dashboard.watching import Watching
from zebfast.web.lane import Lane
from zebfast.web.server import listen

TOKEN = "a-token-of-this-test"
SOURCE = "rollout"
GAMES_A_CYCLE = 1000
SECONDS_A_CYCLE = 4.0
GPUS = ("RTX 3060", "RTX 4090", None)


@dataclass
class MadeRun:
    """A run after a recipe, whose files grow as a test says."""

    root: Path
    name: str
    began: float = field(default_factory=lambda: time.time() - 3600)
    cycle: int = 0

    def __post_init__(self) -> None:
        self.run = self.root / "run" / self.name
        self.experiment = Experiment(
            directory=self.root / "experiments" / self.name, name=self.name,
            namespace=Namespace.parse(self.name), version="0.1.0", recipe="fast",
            created=datetime.fromtimestamp(self.began, UTC).replace(microsecond=0),
            weights=Place.directory(self.run), examples=Place.directory(self.run / "examples"),
            fleets=fleet_names(self.name, own_stages("fast")), lineage={"kind": "fresh"},
        )  # fmt: skip
        write_new(self.experiment, None, recipe=find_recipe("fast").read_text(encoding="utf-8"))
        self.games = self.run / "examples" / self.name
        (self.games / "heartbeats").mkdir(parents=True)
        self._rng = random.Random(self.name)
        self._events = EventFile(self.run / self.experiment.namespace.events_file)
        self._log = RunLog(self.experiment.run_log)
        self.id = self._log.start(
            stage="recipe", host=socket.gethostname(), version="0.1.0", commit=None,
            config_file="runs/none.toml",
        )  # fmt: skip

    @property
    def metrics(self) -> Path:
        """Its metrics file."""
        return self.run / self.experiment.namespace.metrics_file

    def row(self, cycle: int) -> dict[str, Any]:
        """The metrics of a cycle, which look like those of a run that learns."""
        fall, noise = math.exp(-cycle / 300), self._rng.uniform(-0.01, 0.01)
        return {
            "step": cycle, "time": round(self.began + SECONDS_A_CYCLE * cycle, 3),
            "train/policy_loss": 1.2 + 0.6 * fall + noise, "train/value_loss": 0.2 + 0.1 * fall,
            "train/play_loss": 0.08 + 0.3 * fall + noise / 4,
            "train/points_loss": 2.1 + fall + noise, "train/belief_loss": 0.9 + 0.2 * fall,
            "train/belief_acc": 0.55 - 0.2 * fall, "train/policy_top1_accuracy": 0.8 - 0.4 * fall,
            "train/lr": 3e-3 * fall, "stats/total_games": GAMES_A_CYCLE * cycle,
            "stats/eval_aux_games": 0, "stats/minutes": SECONDS_A_CYCLE * cycle / 60,
            "stats/replay_buffer_selfplay": min(2_000_000, 28_000 * cycle),
            "stats/replay_buffer_eval_aux": 0, "stats/selfplay_mix_ratio": 1.0,
            "stats/eval_aux_mix_ratio": 0.0, "stats/replay_reuse": 2.5 * (1 - fall),
        }  # fmt: skip

    def look_row(self, cycle: int, games: int = 4000) -> dict[str, Any]:
        """The row of a look at the network's strength."""
        row: dict[str, Any] = {"step": cycle, "time": round(self.began + 4.0 * cycle + 1, 3)}
        for name, least, gain in (("random", 0.5, 0.33), ("heuristic2", 0.3, 0.33)):
            rate = least + gain * (1 - math.exp(-cycle / 250)) + self._rng.uniform(-0.004, 0.004)
            half = 1.96 * math.sqrt(rate * (1 - rate) / games)
            row |= {f"eval/vs_{name}_win_rate": rate, f"eval/vs_{name}_low": rate - half,
                    f"eval/vs_{name}_high": rate + half}  # fmt: skip
        return row | {"arena/look": cycle // 50, "arena/is_best": 1}

    def train(self, cycles: int) -> None:
        """So many cycles go by."""
        rows = []
        for _ in range(cycles):
            self.cycle += 1
            rows.append(self.row(self.cycle))
            if self.cycle % 50 == 0:
                rows.append(self.look_row(self.cycle))
        self.run.mkdir(parents=True, exist_ok=True)
        with open(self.metrics, "a", encoding="utf-8") as handle:
            handle.writelines(json.dumps(row) + "\n" for row in rows)
        self._events.take(CycleDone(cycle=self.cycle, metrics=self.row(self.cycle)))

    @contextmanager
    def led(self) -> Iterator[None]:
        """While the context lasts, its learner is this process."""
        with hold_lock(self.experiment.directory / LEARN_LOCK, busy=RuntimeError):
            yield

    def meet(self, text: str, what: Any = "exchange") -> None:
        """Something goes wrong, and the run goes on."""
        self._log.take(self.id, Incident(what=what, text=text))

    def publish(self, workers: int = 0, **more: Any) -> None:
        """What the learner says of itself and has counted of so many workers."""
        now = int(time.time())
        counted = {"files": 2 * max(1, workers), "games": 512 * max(1, workers), "examples": 1,
                   "first_unix": now - 3000, "last_unix": now}  # fmt: skip
        state = {
            "step": self.cycle, "total_games": GAMES_A_CYCLE * self.cycle, "running": True,
            "host": socket.gethostname(), "updated_unix": time.time(),
            "streams": {SOURCE: counted},
            "workers": {
                worker_id(n): {"source": SOURCE, "last_unix": now, "games": 512,
                               "model_step": self.cycle}
                for n in range(workers)
            },
            "learning": {"cycle": self.cycle, "policy_loss": 1.2}, **more,
        }  # fmt: skip
        path = self.run / self.experiment.namespace.state_file
        path.write_text(json.dumps(state), encoding="utf-8")

    def work(self, workers: int, *, failed: int = 0, files: int = 2, batch: int = 9) -> None:
        """So many workers have handed over files and say that they live; the first have failed."""
        now = time.time()
        one = self.run / "one"
        write_native(one, random_games(2, seed=1), {
            "worker_id": worker_id(0), "model_step": self.cycle, "n_games": 2, "timestamp": now,
            "source": SOURCE, "weights_name": self.name,
        })  # fmt: skip
        for number in range(workers):
            for age in range(files):
                (self.games / example_name(worker_id(number), now - 200 * age - 5)).hardlink_to(one)
            bad = number < failed
            self.beat(
                number, phase="failed" if bad else "playing", batch=batch,
                error="CUDA error: out of memory" if bad else None,
            )  # fmt: skip
        one.unlink()

    def beat(self, number: int, **facts: Any) -> None:
        """A worker says how it is."""
        gpu = GPUS[number % len(GPUS)]
        told: dict[str, Any] = {
            "worker_id": worker_id(number), "unix": time.time(), "phase": "playing",
            "source": SOURCE, "games_per_s": 3.0 + number % 7, "model_step": self.cycle,
            "total_games": 4608, "gpu": gpu, "gpu_memory": gpu and 1800.0, "host": f"host-{number}",
        } | facts  # fmt: skip
        beat = Heartbeat(**told)
        path = self.games / "heartbeats" / heartbeat_name(beat.worker_id)
        path.write_bytes(beat.to_bytes())

    def rent(self, machines: int, *, spent: float = 1.25, budget: float = 5.0) -> None:
        """A fleet that so many machines belong to, looked at a moment ago."""
        now, label = time.time(), self.experiment.fleets["recipe"]
        rented = {
            f"{label}/{number:08x}": Instance(
                label=f"{label}/{number:08x}", provider="vast", asked=now - 3000, id=str(number),
                gpu="RTX 3060", price_per_hour=0.05, up_since=now - 2800, progress="9",
                progress_at=now - 60, games_per_s=4.0, listed_at=now - 30,
            )
            for number in range(machines)
        }  # fmt: skip
        spec = Spec(fleet=label, experiment=self.name, role="recipe", n=machines,
                    budget_dollars=budget)  # fmt: skip
        state = FleetState(spec=spec, machines=rented, spent=spent, first=now - 3000,
                           last_look=now - 30)  # fmt: skip
        write_state(FleetFiles(self.experiment.directory / FLEET_DIR, label).state, state)


def worker_id(number: int) -> str:
    """Of the worker on the machine of that number."""
    return f"recipe-{number:08x}"


@dataclass
class Board:
    """A dashboard of the experiments below ``root``, and requests to it."""

    root: Path
    port: int
    watching: Watching
    owner: Client = field(init=False)

    def __post_init__(self) -> None:
        self.owner = Client(self.port, f"zebfast-{self.port}={TOKEN}")

    def address(self, page: str = "/") -> str:
        """What its owner opens."""
        return f"http://127.0.0.1:{self.port}{page}?token={TOKEN}"

    def look(self, name: str, *others: str, seconds: float = 20.0) -> Any:
        """One experiment, once it was looked at anew and read to its end."""
        query = "&".join(f"with={other}" for other in others)
        watched = self.watching.find(name)
        before, ends = watched.run.looks, time.monotonic() + seconds
        while time.monotonic() < ends:
            answer = self.owner.get(f"/api/run/{name}?{query}")
            assert answer.status == 200, answer.body
            curves = watched.run.curves
            done = curves is None or not curves.follower.is_behind
            if watched.run.looks > before + 1 and done:
                return answer.json
            time.sleep(0.01)
        raise AssertionError(f"{name} was not looked at: {watched.run.trouble}")


def means(every: float | None = 0.02) -> Means:
    """How the dashboards of tests look: often."""
    return Means(stores_of, user_sentence, every)


@contextmanager
def dashboard(root: Path, *, every: float | None = 0.02) -> Iterator[Board]:
    """A dashboard while the context lasts."""
    watching = Watching(root / "experiments", means(every), lane=Lane("look", 2))
    with listen("127.0.0.1", 0) as found:
        port = found.getsockname()[1]
        app = dashboard_app(watching, TOKEN, port)
        with running(app, watching.close, found):
            yield Board(root, port, watching)
