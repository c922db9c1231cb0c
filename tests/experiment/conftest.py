"""An experiment over directories, with a network so small that nothing takes long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from zebfast.exchange import Namespace, Place
from zebfast.experiment.experiment import Experiment, fleet_names
from zebfast.selfplay.producer_kinds import BY_ROLE


@pytest.fixture
def make_experiment(tmp_path: Path) -> Callable[..., Experiment]:
    """``make_experiment(name="first", **changes)``: nothing of it is written yet."""

    def make(name: str = "first", **changes: Any) -> Experiment:
        base: dict[str, Any] = {
            "directory": tmp_path / "experiments" / name,
            "name": name,
            "namespace": Namespace.parse(name),
            "created": datetime(2026, 2, 15, 12, 0, tzinfo=UTC),
            "version": "0.1.0",
            "weights": Place.directory(tmp_path / "run"),
            "examples": Place.directory(tmp_path / "run" / "examples"),
            "fleets": fleet_names(name),
            "lineage": {"kind": "fresh", "size": "small", "seed": 0},
            "stages": {role: kind.stage for role, kind in BY_ROLE.items()},
        }
        return Experiment(**(base | changes))

    return make
