"""Experiments whose workers are started by a fleet."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zebfast.exchange import Namespace, Place
from zebfast.experiment.experiment import Experiment


def hub_experiment(tmp_path: Path, **changes: Any) -> Experiment:
    """The experiment ``first`` over two repositories; nothing of it is written."""
    base: dict[str, Any] = {
        "directory": tmp_path / "experiments" / "first",
        "name": "first",
        "namespace": Namespace.parse("first"),
        "created": datetime(2026, 2, 15, 12, 0, tzinfo=UTC),
        "version": "0.1.0",
        "weights": Place("model", "me/weights"),
        "examples": Place("dataset", "me/examples"),
    }
    return Experiment(**(base | changes))


def near_experiment(tmp_path: Path) -> Experiment:
    """The same over directories of this machine."""
    run = tmp_path / "run"
    return hub_experiment(
        tmp_path, weights=Place.directory(run), examples=Place.directory(run / "examples")
    )
