"""The workers of ``scale_figures``: as the exchange sees them, and no more.

What would cost workers time on their own machines is done before anything is handed over: files are
made, and their contents uploaded. Then one thread names each at its moment.
"""

from __future__ import annotations

import json
import math
import os
import time
from argparse import Namespace as Given
from base64 import b64encode
from pathlib import Path
from typing import Any, NamedTuple

NAME = "crowd"  # of the experiment and its namespace
GAMES_A_FILE = 256  # a worker's default
KINDS_OF_FILES = 64  # of which each worker's have the games of one
AT_ONCE = 100  # contents that are uploaded together beforehand


class Upload(NamedTuple):
    """What a worker hands over at ``due`` seconds of its own clock: numbers of its files."""

    due: float
    worker: int
    numbers: range


def interval(given: Given) -> float:
    """Seconds between two uploads of a worker, by its defaults."""
    from zebfast.exchange.hub.uploader import upload_interval_for

    if given.exchange == "directory":
        return GAMES_A_FILE / given.games_per_s
    return upload_interval_for(given.workers if given.exchange == "repository" else 1)


def schedule(given: Given) -> list[Upload]:
    """All uploads in order: workers are spread evenly over an interval."""
    every, found = interval(given), []
    a_time = 1.0 if given.exchange == "repository" else every * given.games_per_s / GAMES_A_FILE
    for worker in range(given.workers):
        phase, turn = worker * 0.618034 % 1, 0
        while (due := (turn + worker / given.workers) * every) < given.seconds * given.faster:
            first, last = (math.floor(phase + n * a_time) for n in (turn, turn + 1))
            found.append(Upload(due, worker, range(first, last)))
            turn += 1
    return sorted(found)


class Directory:
    """Takes files over by renaming them."""

    def __init__(self, home: Path, _made: Path) -> None:
        self._folder = home / "run" / "examples" / NAME

    def take(self, files: dict[str, Path]) -> None:
        for name, made in files.items():
            (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.rename(made, self._folder / name)


class FarAway:
    """Takes files over whose contents lie on the Hub already: one request, as the client's last."""

    def __init__(self, exchange: str, home: Path, made: Path) -> None:
        from http.client import HTTPConnection

        from zebfast.exchange import StoreOptions
        from zebfast.exchange.hub import bucket, dataset

        kind: Any = bucket if exchange == "bucket" else dataset
        self._is_bucket = exchange == "bucket"
        options = StoreOptions(state_dir=home / "staging", retry_seconds=0.1)
        kind.Folder("me/examples", NAME, options=options).send({"README.md": b"nothing\n"})
        staging, paths = kind.Folder("me/staging", "", options=options), sorted(made.iterdir())
        for start in range(0, len(paths), AT_ONCE):
            staging.send({path.name: path for path in paths[start : start + AT_ONCE]})
        self._there = staging.entries()
        self._to = HTTPConnection(os.environ["HF_ENDPOINT"].removeprefix("http://"))

    def take(self, files: dict[str, Path]) -> None:
        lines, now = [], int(time.time() * 1000)
        if not self._is_bucket:
            lines.append({"key": "header", "value": {"summary": f"Add {len(files)} files"}})
        for name, made in files.items():
            path, there = f"{NAME}/{name}", self._there[made.name]
            if self._is_bucket:
                content = {"xetHash": there.version, "mtime": now}
                lines.append({"type": "addFile", "path": path, **content})
            elif there.sha256 is not None:
                content = {"algo": "sha256", "oid": there.sha256, "size": there.size}
                lines.append({"key": "lfsFile", "value": {"path": path, **content}})
            else:
                text = b64encode(made.read_bytes()).decode()
                lines.append({"key": "file", "value": {"path": path, "content": text}})
        place = ("buckets", "batch") if self._is_bucket else ("datasets", "commit/main")
        headers = {"Authorization": f"Bearer {os.environ['HF_TOKEN']}"}
        body = "".join(json.dumps(line) + "\n" for line in lines)
        self._to.request("POST", "/api/{}/me/examples/{}".format(*place), body, headers)
        answer = self._to.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise SystemExit(f"error: the Hub refused a commit: {answer.status} {said[:300]!r}")


class Crowd:
    """The workers: everything is made before ``run``."""

    def __init__(self, given: Given, home: Path) -> None:
        from random_games import random_games

        from zebfast.exchange.names import new_session

        self._faster, self._made = given.faster, home / "made"
        self._made.mkdir()
        self._uploads = schedule(given)
        self._sessions = [new_session() for _ in range(given.workers)]
        self._games = [random_games(GAMES_A_FILE, seed=n) for n in range(KINDS_OF_FILES)]
        for worker in range(given.workers):
            self._make_beat(worker, 0, 0.0)
        for upload in self._uploads:
            for number in upload.numbers:
                self._make_file(upload.worker, number)
            self._make_beat(upload.worker, upload.numbers.stop, upload.due / given.faster)
        self._to = (
            Directory(home, self._made)
            if given.exchange == "directory"
            else FarAway(given.exchange, home, self._made)
        )
        everyone = range(given.workers)
        self._to.take(dict(self._beat(worker, 0) for worker in everyone))

    def _make_file(self, worker: int, number: int) -> None:
        from zebfast.exchange import Serial
        from zebfast.selfplay.examples import write_native

        about = {
            "worker_id": worker_id(worker), "model_step": 0, "n_games": GAMES_A_FILE,
            "timestamp": time.time(), "source": "selfplay-mcts", "weights_name": NAME,
            **Serial(self._sessions[worker], number).to_metadata(),
        }  # fmt: skip
        to = self._made / f"{worker}-{number}.safetensors"
        write_native(to, self._games[worker % KINDS_OF_FILES], about)

    def _make_beat(self, worker: int, batch: int, due: float) -> None:
        from zebfast.exchange.heartbeat import Heartbeat

        now = time.time() + due  # nearly: the clock of a worker may be some seconds ahead
        beat = Heartbeat(
            worker_id=worker_id(worker), unix=now, phase="playing", source="selfplay-mcts",
            batch=batch, total_games=batch * GAMES_A_FILE, games_per_s=1.6,
            process=self._sessions[worker], last_batch=now if batch else None,
        )  # fmt: skip
        (self._made / f"{worker}-{batch}.json").write_bytes(beat.to_bytes())

    def _beat(self, worker: int, batch: int) -> tuple[str, Path]:
        from zebfast.exchange.heartbeat import HEARTBEATS, heartbeat_name

        name = f"{HEARTBEATS}/{heartbeat_name(worker_id(worker))}"
        return name, self._made / f"{worker}-{batch}.json"

    def run(self) -> dict[str, Any]:
        """Hand everything over, each upload at its moment; what was, and how late at most."""
        from zebfast.exchange import Serial, example_name

        began, spent, late, n_files = time.monotonic(), time.process_time(), 0.0, 0
        for upload in self._uploads:
            wait = began + upload.due / self._faster - time.monotonic()
            time.sleep(max(0.0, wait))
            late, files = max(late, -wait), {}
            for number in upload.numbers:
                serial = Serial(self._sessions[upload.worker], number)
                name = example_name(worker_id(upload.worker), time.time(), serial=serial)
                files[name] = self._made / f"{upload.worker}-{number}.safetensors"
            n_files += len(files)
            if files:
                beat = dict([self._beat(upload.worker, upload.numbers.stop)])
                self._to.take(files | beat)
        return {
            "uploads": len(self._uploads),
            "files": n_files,
            "games": n_files * GAMES_A_FILE,
            "seconds": round(time.monotonic() - began, 1),
            "latest_seconds": round(late, 2),
            "processor_seconds": round(time.process_time() - spent, 1),
        }


def worker_id(number: int) -> str:
    return f"worker-{number:04d}"
