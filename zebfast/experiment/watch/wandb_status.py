"""What W&B says of an experiment's run, asked through its client in a process of its own.

The client keeps a second process, which neither ends nor answers while the service is away; a
watcher that runs for weeks must not wait for it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from zebfast.exchange.state import usable_run_id
from zebfast.learner.wandb import one_line
from zebfast.system.parse import parse_json

_SECONDS = 45.0
_URL = re.compile(r"/([^/]+)/([^/]+)/runs/([^/?#]+)")


class WandbUnread(RuntimeError):
    """One sentence: why W&B could not be asked."""


@dataclass(frozen=True)
class WandbStatus:
    """A run there.

    Attributes:
        state: running, finished, crashed, failed, killed.
        heartbeat: when its process was last heard of (unix seconds).
        logged: when its last row was logged.
        cycle, games: of that row.
    """

    state: str
    heartbeat: float | None = None
    logged: float | None = None
    cycle: int | None = None
    games: int | None = None


def run_path(state: Mapping[str, Any] | None, project: str) -> str | None:
    """``entity/project/id`` of the run that a published state names, as far as it is known."""
    found = _URL.search(str((state or {}).get("wandb_url") or ""))
    if found:
        return "/".join(found.groups())
    name = usable_run_id(state or {})
    return f"{project}/{name}" if name else None


def ask(path: str, *, seconds: float = _SECONDS) -> WandbStatus:
    """Ask for the run at ``path``. Raises WandbUnread."""
    command = [sys.executable, "-m", "zebfast.experiment.watch.wandb_status"]
    try:
        done = subprocess.run(command, input=path, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise WandbUnread(f"W&B did not answer within {seconds:.0f} s about {path}") from None
    try:
        answer = parse_json(done.stdout.splitlines()[-1])
        problem = answer.pop("problem", None)
        if problem is None:
            return WandbStatus(**answer)
    except (IndexError, TypeError, ValueError, AttributeError):
        problem = f"its client ended with exit code {done.returncode}"
    raise WandbUnread(f"W&B run {path} cannot be read: {' '.join(str(problem).split())[:300]}")


def _ask_client(path: str) -> WandbStatus:
    import wandb

    run = wandb.Api(timeout=10).run(path)
    summary = dict(run.summary)
    return WandbStatus(
        state=str(run.state),
        heartbeat=_unix(getattr(run, "heartbeat_at", None)),
        logged=_number(summary.get("_timestamp")),
        cycle=_whole(summary.get("cycle")),
        games=_whole(summary.get("stats/total_games")),
    )


def _unix(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _main(path: str) -> None:
    """Print the run, or the problem, as one JSON line, and leave without waiting for the client."""
    try:
        answer = asdict(_ask_client(path))
    except ImportError:
        answer = {"problem": "this needs wandb: pip install 'zebfast[wandb]'"}
    except Exception as error:  # the client's errors come from many places
        answer = {"problem": one_line(error)}
    print(json.dumps(answer), flush=True)
    os._exit(0)


if __name__ == "__main__":
    _main(sys.stdin.read())
