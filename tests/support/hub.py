"""Starts the loopback Hub as a process of its own and talks to it, for tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SERVER = Path(__file__).resolve().parent.parent / "servers" / "hub.py"
TOKEN = "hf_aMarkerThatNothingMayShow"
READ_TOKEN = "hf_read"


class Hub:
    """A running loopback Hub: its URL, orders to it, and the environment of its clients."""

    def __init__(self, url: str, home: Path) -> None:
        self.url, self.home = url, home

    def env(self, *, xet: bool = True, **changes: str) -> dict[str, str]:
        """Environment of a process whose huggingface_hub is to talk to this Hub and no other."""
        ours = {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": TOKEN,
            "HF_HOME": str(self.home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_XET": "0" if xet else "1",
            "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "1",
            "HF_XET_CLIENT_RETRY_BASE_DELAY": "10ms",
            "NO_PROXY": "127.0.0.1",
            **changes,
        }
        return {**os.environ, **ours}

    def control(self, **orders: Any) -> dict[str, Any]:
        """Send orders (see tests/servers/hub.py), get the counters and contents."""
        request = urllib.request.Request(f"{self.url}/_control", json.dumps(orders).encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as reply:
            answer: dict[str, Any] = json.loads(reply.read())
        return answer

    def fault(self, path: str, **how: Any) -> None:
        """Add one fault."""
        self.control(add_faults=[{"path": path, **how}])

    def files(self, repo: str) -> dict[str, int]:
        """Sizes of the files of ``model:me/x``, ``dataset:me/x`` or the bucket ``me/x``."""
        counters = self.control()
        if repo in counters["buckets"]:
            found: dict[str, int] = counters["buckets"][repo]
            return found
        return dict(counters["repos"].get(repo, {}).get("files", {}))


@contextmanager
def running_hub(home: Path, *, port: int = 0) -> Iterator[Hub]:
    """A Hub that lasts as long as the context; ``home`` becomes its clients' HF_HOME."""
    command = [sys.executable, str(SERVER), "--port", str(port), "--until-eof"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("the loopback Hub did not start")
        yield Hub(url, home)
    finally:
        process.kill()
        process.communicate()


class Failed(Exception):
    """What a snippet raised: the class's name and the sentence."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind, self.text = kind, text


class HubClient:
    """A child process with the real client; see ``hub_child``."""

    def __init__(self, env: dict[str, str]) -> None:
        child = Path(__file__).resolve().parent / "hub_child.py"
        root = child.parents[2]
        path = os.pathsep.join([str(root), env.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, str(child)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, cwd=root, env={**env, "PYTHONPATH": path},
        )  # fmt: skip
        self.said: list[str] = []

    def start(self, code: str, **args: Any) -> None:
        """Run a snippet without waiting for it."""
        assert self.process.stdin is not None
        print(json.dumps({"code": code, "args": args}), file=self.process.stdin, flush=True)

    def finish(self) -> Any:
        """The value of the snippet that was started; ``said`` are the lines it said."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Failed("Died", "the child process ended")
        answer = json.loads(line)
        self.said = answer["said"]
        if "error" in answer:
            raise Failed(answer["error"], answer["text"])
        return answer["value"]

    def do(self, code: str, **args: Any) -> Any:
        self.start(code, **args)
        return self.finish()

    def kill(self) -> None:
        """As kill -9 does it."""
        self.process.kill()
        self.process.communicate()
