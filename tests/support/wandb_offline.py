"""Reads what a W&B run left on the disk: the records of its ``run-ID.wandb`` file.

The file is a log of blocks of 32 KiB. A record is one or more chunks, each with a header of check
sum, length and type; a chunk never crosses a block.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_BLOCK = 32768
_FILE_HEADER = 7
_CHUNK = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass
class OfflineRun:
    """Configuration, rows of history, and the x-axis by metric name (of globs, by pattern)."""

    run_id: str = ""
    project: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    axes: dict[str, str] = field(default_factory=dict)


def read_run(path: Path) -> OfflineRun:
    """The run that a ``.wandb`` file holds, as far as it was written."""
    from wandb.proto import wandb_internal_pb2

    found = OfflineRun()
    for data in _records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.run_id, found.project = record.run.run_id, record.run.project
            found.config = {u.key: json.loads(u.value_json) for u in record.run.config.update}
        elif kind == "metric":
            metric = record.metric
            found.axes[metric.name or metric.glob_name] = metric.step_metric
        elif kind == "history":
            row = {
                "/".join(item.nested_key) or item.key: json.loads(item.value_json)
                for item in record.history.item
            }
            found.rows.append({k: v for k, v in row.items() if not k.startswith("_")})
    return found


def _records(data: bytes) -> Iterator[bytes]:
    assert data[:4] == b":W&B", f"not a W&B run file: {data[:8]!r}"
    at, joined = _FILE_HEADER, b""
    while at + _CHUNK.size <= len(data):
        rest_of_block = _BLOCK - at % _BLOCK
        if rest_of_block < _CHUNK.size:  # too small for a header: padding
            at += rest_of_block
            continue
        _, length, kind = _CHUNK.unpack_from(data, at)
        if kind == 0:
            return
        at += _CHUNK.size
        joined = (
            data[at : at + length] if kind in (_WHOLE, _FIRST) else joined + data[at : at + length]
        )
        at += length
        if kind in (_WHOLE, _LAST):
            yield joined
