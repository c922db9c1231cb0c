"""Who delivers what: a running account of the example streams, published for `status`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from zebfast.selfplay.examples import Examples, parse_example_name

_RATE_SECONDS = 1800.0
_LEAST_RATE_SECONDS = 60.0
_WORKER_SECONDS = 7 * 86400
_N_WORKERS = 500


@dataclass
class Streams:
    """Counts of every file that the ledger has or had; plain values, saved with the ledger.

    Attributes:
        sources: by source: files, games, examples, first_unix, last_unix.
        workers: by worker id: source, last_unix, games, model_step.
        recent: by source: [unix seconds, games] of the files of the last half hour.
    """

    sources: dict[str, dict[str, int]] = field(default_factory=dict)
    workers: dict[str, dict[str, Any]] = field(default_factory=dict)
    recent: dict[str, list[list[int]]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class StreamRecord:
    """Keeps a Streams up to date. Times are those in the file names, as the workers' clocks say."""

    def __init__(self, streams: Streams) -> None:
        self.streams = streams

    def count(self, name: str, examples: Examples) -> None:
        """One more file, which must not have been counted before."""
        parsed = parse_example_name(name)
        assert parsed is not None
        now, games = parsed.unix_seconds, examples.n_games
        found = self.streams.sources.setdefault(
            examples.source,
            {"files": 0, "games": 0, "examples": 0, "first_unix": now, "last_unix": now},
        )
        found["files"] += 1
        found["games"] += games
        found["examples"] += len(examples.records)
        found["last_unix"] = max(found["last_unix"], now)
        recent = self.streams.recent.setdefault(examples.source, [])
        recent.append([now, games])
        newest = found["last_unix"]
        recent[:] = [entry for entry in recent if newest - entry[0] <= _RATE_SECONDS]
        self._note_worker(str(examples.metadata["worker_id"]), now, examples)

    def _note_worker(self, worker: str, now: int, examples: Examples) -> None:
        workers = self.streams.workers
        known = workers.get(worker, {"games": 0, "last_unix": 0, "model_step": 0})
        newer = now >= known["last_unix"]
        step = int(examples.metadata["model_step"]) if newer else known["model_step"]
        workers[worker] = {
            "source": examples.source,
            "last_unix": max(known["last_unix"], now),
            "games": known["games"] + examples.n_games,
            "model_step": step,
        }
        if len(workers) > _N_WORKERS:
            newest = max(entry["last_unix"] for entry in workers.values())
            for name in sorted(workers, key=lambda w: workers[w]["last_unix"])[:-_N_WORKERS]:
                del workers[name]
            for name in [w for w in workers if newest - workers[w]["last_unix"] > _WORKER_SECONDS]:
                del workers[name]

    def summary(self, now: float) -> dict[str, dict[str, Any]]:
        """``sources`` with ``games_per_s`` over the last half hour before ``now``."""
        return {
            source: {**found, "games_per_s": self._rate(source, now)}
            for source, found in self.streams.sources.items()
        }

    def _rate(self, source: str, now: float) -> float:
        since = max(now - _RATE_SECONDS, self.streams.sources[source]["first_unix"])
        games = sum(n for unix, n in self.streams.recent.get(source, ()) if unix >= since)
        return round(games / max(now - since, _LEAST_RATE_SECONDS), 3)


def streams_from_state(state: Mapping[str, Any]) -> Streams:
    """The account in a published state; an empty one if there is none that can be used."""
    try:
        sources = {
            str(source): {
                key: int(found[key])
                for key in ("files", "games", "examples", "first_unix", "last_unix")
            }
            for source, found in state["streams"].items()
        }
        workers = {
            str(worker): {
                "source": str(found["source"]),
                **{key: int(found[key]) for key in ("last_unix", "games", "model_step")},
            }
            for worker, found in state["workers"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return Streams()
    return Streams(sources, workers)
