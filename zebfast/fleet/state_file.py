"""What a fleet remembers, as a file: read whole or refused in a sentence, written whole or not."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from zebfast.fleet.model import FleetState
from zebfast.fleet.task import Task
from zebfast.system.files import write_atomic
from zebfast.system.parse import parse_json
from zebfast.system.settings import SettingError, decode, encode

FLEET_DIR = "fleet"
MARKET_STEM = "market"  # of what all fleets share: no fleet can have that label
_FORMAT = 1


class FleetFileError(RuntimeError):
    """One sentence: the file of a fleet, what is wrong with it, what to do."""


@dataclass(frozen=True)
class FleetFiles:
    """Where the files of one fleet are; ``directory`` is shared by the fleets of an experiment."""

    directory: Path
    fleet: str

    @property
    def state(self) -> Path:
        return self.directory / f"{self.fleet}.json"

    @property
    def lock(self) -> Path:
        return self.directory / f"{self.fleet}.lock"

    @property
    def log(self) -> Path:
        return self.directory / f"{self.fleet}.log"

    @property
    def market(self) -> Path:
        return self.directory / f"{MARKET_STEM}.json"


def write_state(path: Path, state: FleetState) -> None:
    """Write what is remembered, once it reads back as it is.

    Raises:
        OSError, FleetFileError: it cannot be written, or could not be read; an older file is then
            left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"format": _FORMAT, **encode(state)}
    # What says nothing is left out: all these files were without it once.
    if state.last_steady is None:
        del facts["last_steady"], facts["boot"]
    if not state.node_hours:
        del facts["node_hours"]
    if state.spec.budget_node_hours is None:
        del facts["spec"]["budget_node_hours"]
    if state.spec.task == Task():
        del facts["spec"]["task"]
    for machine in facts["machines"].values():
        if machine["missing_since"] is None:
            del machine["missing_since"]
    data = (json.dumps(facts, indent=1) + "\n").encode()
    try:
        _parse(data)
    except ValueError as error:
        raise FleetFileError(
            f"{path} is left as it was: what it was to say is wrong, {error}"
        ) from None
    write_atomic(path, data)


def read_state(path: Path) -> FleetState | None:
    """What is remembered; None where there is no file. Keys of a later version are left out.

    Raises:
        FleetFileError: the file is there and cannot be used.
    """
    try:
        return _parse(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise FleetFileError(
            f"{path} cannot be used ({error}): the machines that it remembers may be alive and "
            "paid for; zebfast fleet down finds them by their label, takes them down and sets "
            "this file aside"
        ) from None


def _parse(data: bytes) -> FleetState:
    """What a file says. ValueError where it cannot be used."""
    found = parse_json(data)
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")
    if found.get("format") != _FORMAT:
        raise ValueError(f"its format is {found.get('format')!r:.40}, not {_FORMAT}")
    state = decode(FleetState, found, drop_unknown=True)
    for label, instance in state.machines.items():
        if instance.label != label:
            raise SettingError(f"[machines.{label:.80}] is of {instance.label!r:.80}")
    return state


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be used, so that nothing of it is lost; its new name."""
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    path.rename(aside)
    return aside
