"""The numbers of a run: the rows of its metrics, and the local file that they go to."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from zebfast.system.events import CycleDone, Evaluated, Event, Row, Subscriber
from zebfast.system.files import append_line, read_json_lines, write_atomic

if TYPE_CHECKING:  # what only reads metrics files loads no network
    from zebfast.learner.data.replay import ReplayMixture
    from zebfast.learner.state import Progress
    from zebfast.learner.train.trainer import TrainReport

_MOST = 1e300  # of a number that is added to others without becoming infinite
_NUMBERS = (int, float)  # and not what is made of them, as True
# Some ten thousand cycles: whoever looks reads them all, and snapshots hold a copy.
_MAX_BYTES = 32 << 20

MetricsRow: TypeAlias = dict[str, float | int | None]
"""Metrics by name, as in the metrics file."""


def log_metrics(*sinks: Callable[[int, Row], None]) -> Subscriber:
    """A subscriber that hands cycle number and row of cycles and evaluations to ``sinks``."""

    def take(event: Event) -> None:
        if isinstance(event, CycleDone | Evaluated):
            for log in sinks:
                log(event.cycle, event.metrics)

    return take


class JsonlMetrics:
    """``metrics.jsonl``: a line per cycle, with ``step`` and ``time`` (unix seconds).

    Opening it drops what a killed run wrote beyond the checkpoint that training continues from
    (those cycles will run again) and any line that was cut short, so each cycle appears once.
    ``last_evaluation`` does the same for numbered evaluations, of which a cycle may have several.

    Of a file that has become long, every second row of the older half goes, evaluations apart:
    the further back, the fewer rows there are.
    """

    def __init__(self, path: Path, *, last_step: int, last_evaluation: int = 0) -> None:
        self.path, self._limit = path, _MAX_BYTES
        if path.exists():
            rows = [row for row in read_metrics(path) if row["step"] <= last_step]
            kept = [row for row in rows if row.get("arena/look", 0) <= last_evaluation]
            self._write(kept)

    def log(self, step: int, row: Row) -> None:
        """Append one line. Raises OSError."""
        finite = {k: v if v is None or math.isfinite(v) else None for k, v in row.items()}
        line = json.dumps({"step": step, "time": round(time.time(), 3), **finite})
        append_line(self.path, f"{line}\n".encode())
        with suppress(OSError):  # the row is there: tried again it would be there twice
            if self.path.stat().st_size > self._limit:
                self._thin_out()

    def _thin_out(self) -> None:
        rows = read_metrics(self.path)
        older = rows[: len(rows) // 2]
        kept = [row for number, row in enumerate(older) if number % 2 or _is_evaluation(row)]
        self._write(kept + rows[len(older) :])
        # Where hardly anything can go, that is not tried at every row.
        self._limit = max(_MAX_BYTES, self.path.stat().st_size * 5 // 4)

    def _write(self, rows: Sequence[Row]) -> None:
        write_atomic(self.path, "".join(json.dumps(row) + "\n" for row in rows).encode())


def _is_evaluation(row: Row) -> bool:
    return any(name.startswith(("eval/", "arena/")) for name in row)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Rows of a metrics file in order; lines cut short by a crash are left out.

    Values are finite numbers or None, as they are written.
    """
    return list(iter_metrics(path))


def iter_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """The same one after the other, of a file of any length. Raises OSError."""
    for found in read_json_lines(path):
        if (row := metrics_row(found)) is not None:
            yield row


def metrics_row(found: dict[str, Any]) -> dict[str, Any] | None:
    """A line of a metrics file as a row; None where it is none."""
    row = {
        name: value for name, value in found.items()
        if value is None or (type(value) in _NUMBERS and -_MOST < value < _MOST)
    }  # fmt: skip
    return row if type(row.get("step")) is int else None


def cycle_row(
    report: TrainReport,
    *,
    progress: Progress,
    mixture: ReplayMixture,
    optimizer_steps: int,
    share_of_time: float,
) -> MetricsRow:
    """The metrics of one cycle but for what was ingested; ``train/*`` are those of ``report``.

    ``share_of_time``: part of the time since the last cycle that was spent training.
    """
    return {
        **{f"train/{name}": mean for name, mean in report.means.items()},
        "train/seconds": report.seconds,
        "train/steps_per_s": report.n_steps / max(report.seconds, 1e-9),
        "train/share_of_time": share_of_time,
        "stats/total_games": progress.total_games,
        "stats/eval_aux_games": progress.eval_aux_games,
        "stats/optimizer_steps": optimizer_steps,
        "stats/replay_buffer_selfplay": len(mixture.selfplay),
        "stats/replay_buffer_eval_aux": len(mixture.eval_aux),
        "stats/selfplay_mix_ratio": 1 - report.eval_aux_share,
        "stats/eval_aux_mix_ratio": report.eval_aux_share,
        "stats/eval_aux_policy_weight": mixture.config.policy_weight,
        "stats/replay_reuse": mixture.selfplay.replay_ratio(),
        "stats/eval_aux_replay_reuse": mixture.eval_aux.replay_ratio(),
    }
