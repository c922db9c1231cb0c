"""A learner and 1,000 simulated workers: ``python -m tests.experiment.scale_figures bucket``.

The learner is the program itself, with a v2 medium network. Of each worker there is what the
exchange sees: its id, its serial numbers, and at its moments its files of games with a heartbeat,
in one commit. What on their own machines would cost workers time is done beforehand: files are made
and their contents uploaded, and one process of one thread hands them over, by renaming a file or by
the one request that names it. Another looks at the fleet, the status and the dashboard's page once,
while the learner trains. The exchange is a directory, or a loopback Hub: a bucket, or a repository
whose quota of commits an hour is held to; there a commit has one file however long its worker has
played. ``--faster`` compresses the clock of workers and learner alike; what part of the time is
trained is judged at 1 only.

Every game must be counted once, and no commit refused. The outcome is one JSON object; with --slug
it is kept in bench/records/scale/, whatever holds. Ends by itself.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tools")]

from crowd import NAME, Crowd  # noqa: E402

from bench.ranks import megabytes, processor_seconds  # noqa: E402

QUOTA = 128  # commits an hour that the Hub allows
PUSH_SECONDS, POLL_SECONDS = 180.0, 20.0  # a learner's defaults on the Hub
WARM_CYCLES = 2
PATIENCE_SECONDS = 60.0  # until what was handed over last is counted
LEAST_SHARE, MOST_GROWTH_MB = 0.98, 40.0


# --- Who looks at it.


def prepare_experiment(given: argparse.Namespace, home: Path) -> None:
    """The experiment's file and its first weights."""
    from zebfast import __version__
    from zebfast.exchange import Namespace, Place
    from zebfast.experiment.experiment import Experiment, write_new
    from zebfast.net import checkpoint
    from zebfast.net.networks import sized

    far = Place("bucket" if given.exchange == "bucket" else "dataset", "me/examples")
    here = given.exchange == "directory"
    experiment = Experiment(
        directory=home / "experiments" / NAME, name=NAME, namespace=Namespace.parse(NAME),
        created=datetime.now(UTC), version=__version__, state_dir=str(home / "learner"),
        weights=Place.directory(home / "run") if here else Place("model", "me/weights"),
        examples=Place.directory(home / "run" / "examples") if here else far,
    )  # fmt: skip
    network = checkpoint.fresh(sized("v2", "medium", belief_head=False), seed=1)
    write_new(experiment, lambda path: checkpoint.save(network, path))


def look(home: Path) -> dict[str, Any]:
    """How long each kind of look takes, the first and the next one, and what it sees."""
    from zebfast.exchange import StoreOptions
    from zebfast.experiment.experiment import read_experiment
    from zebfast.experiment.status.report import status_of
    from zebfast.experiment.status.snapshot import gather, open_stores
    from zebfast.web.dashboard.run import Means, Run

    directory = home / "experiments" / NAME
    experiment, options = read_experiment(directory), StoreOptions(state_dir=home / "looks")
    stores = open_stores(experiment, options)
    page = Run(NAME, directory, Means(lambda _: options, str, every=1e-6))
    looks = {
        "listing": lambda: stores.examples.list(),
        "heartbeats": lambda: stores.examples.heartbeats(),
        "status": lambda: status_of(
            gather(experiment, options=options, now=time.time(), stores=stores)
        ),
        "dashboard": page.look,
    }
    seconds: dict[str, list[float]] = {}
    found: dict[str, Any] = {}
    for kind, act in looks.items():
        for _ in range(2):
            began = time.monotonic()
            found[kind] = act()
            seconds.setdefault(kind, []).append(round(time.monotonic() - began, 3))
    if page.trouble:
        raise SystemExit(f"error: the dashboard says {page.trouble}")
    return {
        "seconds": seconds,
        "files_listed": len(found["listing"]),
        "heartbeats": len(found["heartbeats"]),
        "workers_shown": len(found["status"].workers),
        "page_bytes": len(page.look_bytes),
        "megabytes": round(megabytes(os.getpid()), 1),
    }


def published(home: Path) -> dict[str, Any]:
    """What the learner has published at its end."""
    from zebfast.exchange import StoreOptions
    from zebfast.experiment.experiment import read_experiment
    from zebfast.experiment.status.snapshot import open_stores

    experiment = read_experiment(home / "experiments" / NAME)
    stores = open_stores(experiment, StoreOptions(state_dir=home / "looks"))
    state = stores.weights.read_state() or {}
    listed = len(stores.examples.list())
    return {
        "games_counted": state.get("total_games", 0),
        "state_bytes": len(json.dumps(state)),
        "files_left": listed,
    }


# --- The learner, and all together.


def learner_command(given: argparse.Namespace, home: Path) -> list[str]:
    here = given.exchange == "directory"
    kind = "--examples-bucket" if given.exchange == "bucket" else "--examples-repo-id"
    places = (
        ("--repo-id", str(home / "run"), "--input-dir", str(home / "run" / "examples"))
        if here
        else ("--repo-id", "me/weights", kind, "me/examples")
    )
    flags = {
        "weights-name": NAME, "checkpoint": home / "experiments" / NAME / "bootstrap.pt",
        "state-dir": home / "learner", "local-replay-cache-dir": home / "cache",
        "training-steps-per-cycle": given.steps, "threads": 1, "device": "cpu", "eval-every": 0,
        "disk-limit": 0, "poll-seconds": (1.0 if here else POLL_SECONDS) / given.faster,
        "push-seconds": 0.0 if here else PUSH_SECONDS / given.faster,
    }  # fmt: skip
    more = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    return [sys.executable, "-u", "-m", "zebfast.learner", *places, *more]


class Programs:
    """What runs at the same time: the Hub, the workers, the learner, and who looks."""

    def __init__(self, given: argparse.Namespace, home: Path, held: ExitStack) -> None:
        from hub import running_hub

        self._home, self._held, self._env = home, held, dict(os.environ)
        self.hub = None
        if given.exchange != "directory":
            self.hub = held.enter_context(running_hub(home / "hf"))
            self._env = self.hub.env()

    def start(self, command: list[str], **more: Any) -> Any:
        """A program that is killed at the end, if it still runs."""
        process = subprocess.Popen(command, cwd=ROOT, env=self._env, text=True, **more)
        self._held.callback(process.wait)
        self._held.callback(process.kill)
        return process

    def part(self, role: str) -> Any:
        """This program in another role."""
        command = [
            sys.executable,
            "-m",
            "tests.experiment.scale_figures",
            *sys.argv[1:],
            "--role",
            role,
        ]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return self.start([*command, "--home", str(self._home)], **pipes)


def run(given: argparse.Namespace, home: Path) -> dict[str, Any]:
    """Start everything, wait, and say what came of it."""
    prepare_experiment(given, home)
    with ExitStack() as held:
        programs = Programs(given, home, held)
        hub, crowd = programs.hub, programs.part("crowd")
        if crowd.stdout.readline().strip() != "ready":
            raise SystemExit("error: the workers could not be prepared")
        if hub is not None:
            hub.control(reset=True)
            if given.exchange == "repository":
                hub.control(commit_quota=QUOTA, quota_seconds=3600 / given.faster)
        log = held.enter_context(open(home / "learner.log", "w"))
        learner = programs.start(learner_command(given, home), stdout=log, stderr=log)
        crowd.stdin.write("go\n")
        crowd.stdin.flush()
        began, looker = time.time(), None
        memory = []
        while crowd.poll() is None and learner.poll() is None:
            memory.append((time.time(), round(megabytes(learner.pid), 1)))
            time.sleep(0.5)
            if looker is None and time.time() - began > given.seconds / 2:
                looker = programs.part("look")
        handed, ended = json.loads(crowd.communicate()[0] or "null"), time.time()
        if handed is None or looker is None or learner.poll() is not None:
            raise SystemExit(f"error: ended early: {(home / 'learner.log').read_text()[-3000:]}")
        # A learner that is told to end reads for 5 s what it has not counted; the next start does
        # the rest. Here it is waited for.
        while counted(home) < handed["games"] and time.time() - ended < PATIENCE_SECONDS:
            time.sleep(0.2)
        found = {
            "counted_after_seconds": round(time.time() - ended, 1),
            "learner_processor_seconds": round(processor_seconds(learner.pid)[learner.pid], 1),
        }
        learner.send_signal(signal.SIGTERM)
        found["code"] = learner.wait(120)
        state = json.loads(programs.part("state").communicate()[0])
        rows = [json.loads(line) for line in metrics(home).read_text().splitlines()]
        return {
            "exchange": given.exchange,
            "workers": given.workers,
            "faster": given.faster,
            "games_per_s": round(handed["games"] / handed["seconds"], 1),
            "handed": handed,
            **state,
            **found,
            "look": json.loads(looker.communicate()[0]),
            **({} if hub is None else of_hub(hub.control())),
            "cycles": of_cycles(rows, ended),
            "memory_mb": memory_of(memory, rows),
        }


def of_hub(counters: dict[str, Any]) -> dict[str, Any]:
    """What was asked of it since everything was ready."""
    names = {"requests": "requests", "commits": "commits"}
    names["most_commits_in_an_hour"] = "most_commits_in_window"
    return {name: counters[key] for name, key in names.items()}


def metrics(home: Path) -> Path:
    run_directory = home / "run" / f"{NAME}-metrics.jsonl"
    return run_directory if run_directory.exists() else home / "learner" / run_directory.name


def counted(home: Path) -> int:
    """Games that the learner's log says it has counted."""
    lines = metrics(home).read_text().splitlines() if metrics(home).exists() else []
    return int(json.loads(lines[-1])["stats/total_games"]) if lines else 0


def of_cycles(rows: list[dict[str, Any]], ended: float) -> dict[str, Any]:
    """Of those while files were handed over, but for the first ones."""
    rows = [row for row in rows if row["time"] <= ended]
    warm = rows[WARM_CYCLES:]
    seconds = warm[-1]["time"] - rows[WARM_CYCLES - 1]["time"] if warm else 0.0
    trained = sum(row["train/seconds"] for row in warm)
    return {
        "n": len(warm),
        "seconds": round(seconds, 1),
        "share_of_time": round(trained / seconds, 4) if warm else 0.0,
        "steps_per_s": round(sum(row["train/steps_per_s"] for row in warm) / max(1, len(warm)), 2),
        "each": [round(row["train/share_of_time"], 4) for row in warm],
    }


def memory_of(memory: list[tuple[float, float]], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The most in each quarter of the time after the first cycles."""
    since = rows[WARM_CYCLES - 1]["time"] if len(rows) >= WARM_CYCLES else math.inf
    found = [mb for at, mb in memory if at > since]
    edges = [len(found) * n // 4 for n in range(5)]
    quarters = [max(found[a:b], default=0.0) for a, b in itertools.pairwise(edges)]
    growth = max(quarters[2:]) - max(quarters[:2])
    return {"quarters": quarters, "growth": round(growth, 1)}


def judged(found: dict[str, Any]) -> list[str]:
    """What does not hold."""
    wrong, cycles = [], found["cycles"]
    if found["games_counted"] != found["handed"]["games"]:
        counted_of = f"{found['games_counted']:,} of {found['handed']['games']:,}"
        wrong.append(f"{counted_of} games were counted")
    if found["code"] != 143:
        wrong.append(f"the learner ended with {found['code']}")
    if cycles["n"] < 2:
        return [*wrong, "the run was too short"]
    if found["faster"] == 1 and cycles["share_of_time"] < LEAST_SHARE:
        wrong.append(f"{cycles['share_of_time']:.1%} of the time were trained")
    if found["memory_mb"]["growth"] > MOST_GROWTH_MB:
        wrong.append(f"memory grew by {found['memory_mb']['growth']} MB")
    if found.get("most_commits_in_an_hour", 0) > QUOTA:
        wrong.append(f"{found['most_commits_in_an_hour']} commits in an hour")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("exchange", choices=("directory", "bucket", "repository"))
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--games-per-s", type=float, default=1.6, help="of a worker")
    parser.add_argument("--seconds", type=float, default=90.0, help="that files are handed over")
    parser.add_argument("--faster", type=float, default=1.0, help="than the clock")
    parser.add_argument("--steps", type=int, default=1000, help="of training in a cycle")
    parser.add_argument("--slug", help="keep the outcome under this name")
    parser.add_argument("--log", type=Path, help="where the learner's log goes")
    parser.add_argument("--role", choices=("crowd", "look", "state"), help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role in ("look", "state"):
        print(json.dumps((look if given.role == "look" else published)(given.home)))
        return 0
    if given.role == "crowd":
        crowd = Crowd(given, given.home)
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(crowd.run()))
        return 0
    with tempfile.TemporaryDirectory(prefix="scale-") as home:
        try:
            found = run(given, Path(home))
        finally:
            log = Path(home) / "learner.log"
            if given.log is not None and log.exists():
                given.log.write_text(log.read_text())
    found["wrong"] = judged(found)
    print(json.dumps(found, indent=1))
    for sentence in found["wrong"]:
        print(f"error: {sentence}", file=sys.stderr)
    if given.slug:
        from provenance import origin

        record = origin("python -m tests.experiment.scale_figures", sys.argv) | {"results": found}
        to = ROOT / "bench" / "records" / "scale" / f"{record['date']}-{given.slug}.json"
        to.parent.mkdir(exist_ok=True)
        to.write_text(json.dumps(record, indent=2) + "\n")
    return int(bool(found["wrong"]))


if __name__ == "__main__":
    sys.exit(main())
