"""Stores on the loopback Hub as test processes see them."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub import Hub, HubClient

NAMES = [f"w0_{100 + number}_abcd{number}.safetensors" for number in range(4)]


PUT_AND_CLOSE = "put(store, *names)\nreturn store.close(30)"


FETCH = """
store.list()
with store.fetch(names) as paths:
    assert all(path.read_bytes() == content(store, name) for name, path in paths.items())
    return sorted(paths)
"""


PUBLISH = """
store = weights(repo, name, home)
return store.publish(tensors(step), {"embed_dim": 16}, {"step": step, "total_games": 10 * step})
"""


PULL = """
pulled = weights(repo, name, home).pull(newer_than=newer_than, revision=revision)
return pulled and [pulled.step, pulled.total_games, pulled.state_dict["w"].tolist(), pulled.config]
"""


@dataclass
class Far:
    """Examples of a namespace in one kind of place, as a client process sees them."""

    hub: Hub
    client: HubClient
    kind: str
    repo: str
    home: Path

    def do(self, code: str, **args: Any) -> Any:
        """A snippet with ``store``, a new one on this place."""
        self.start(code, **args)
        return self.client.finish()

    def start(self, code: str, *, changes: dict[str, Any] | None = None, **args: Any) -> None:
        opened = "store = examples(kind, repo, 'large', home, **changes)\n"
        code = opened + textwrap.dedent(code)
        self.client.start(code, kind=self.kind, repo=self.repo, home=str(self.home),
                          changes=changes or {}, **args)  # fmt: skip

    def files(self) -> list[str]:
        """Names in the namespace's folder at the Hub."""
        place = self.repo if self.kind == "bucket" else f"dataset:{self.repo}"
        return [path.removeprefix("large/") for path in sorted(self.hub.files(place))]

    def spooled(self) -> list[str]:
        return sorted(path.name for path in self.home.glob("*/spool/*/*.safetensors"))

    def sent_twice(self) -> list[str]:
        """Files that were committed more than once; for a bucket the library repeats itself."""
        added = self.hub.control()["added"]
        ours = {path: n for path, n in added.items() if path.startswith(f"{self.repo}/")}
        return [path for path, times in ours.items() if times > 1]

    def uploads(self) -> int:
        """Commits or batches that were applied."""
        return int(self.hub.control()["writes"].get(self.repo, 0))


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come; a minute is never."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def publish(client: HubClient, repo: str, home: Path, step: int, name: str | None = None) -> Any:
    return client.do(PUBLISH, repo=repo, name=name, home=str(home), step=step)


def pull(
    client: HubClient,
    repo: str,
    home: Path,
    *,
    name: str | None = None,
    newer_than: int | None = None,
    revision: str | None = None,
) -> Any:
    return client.do(
        PULL, repo=repo, name=name, home=str(home), newer_than=newer_than, revision=revision
    )


def expected(step: int) -> list[Any]:
    return [step, 10 * step, [float(step)] * 3, {"embed_dim": 16}]
