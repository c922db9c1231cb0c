"""What a fleet remembers, as a file: read whole or refused in a sentence, written whole or not."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from zebfast.fleet.model import KEYS, FleetState, Instance, Spec, to_plain
from zebfast.selfplay.producer_kinds import BY_ROLE
from zebfast.system.files import write_atomic

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FLEET_DIR = "fleet"
MARKET_STEM = "market"  # of what all fleets share: no fleet can have that label
_FORMAT = 1
_hints = cache(get_type_hints)  # evaluates source text: a look reads hundreds of records
_Record = TypeVar("_Record", bound="DataclassInstance")


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
    """Write what is remembered. Raises OSError; an older file is then left as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"format": _FORMAT, **to_plain(state)}
    write_atomic(path, (json.dumps(facts, indent=1) + "\n").encode())


def read_state(path: Path) -> FleetState | None:
    """What is remembered; None where there is no file. Keys of a later version are left out.

    Raises:
        FleetFileError: the file is there and cannot be used.
    """
    try:
        found = json.loads(path.read_bytes())
        if not isinstance(found, dict):
            raise ValueError("it is not a JSON object")
        if found.get("format") != _FORMAT:
            raise ValueError(f"its format is {found.get('format')!r:.40}, not {_FORMAT}")
        return _state(found)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise FleetFileError(
            f"{path} cannot be used ({error}): the machines that it remembers may be alive and "
            "paid for; zebfast fleet down finds them by their label, takes them down and sets "
            "this file aside"
        ) from None


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be used, so that nothing of it is lost; its new name."""
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    path.rename(aside)
    return aside


def _state(found: Mapping[str, Any]) -> FleetState:
    listed = found.get("machines", {})
    if not isinstance(listed, dict):
        raise ValueError("machines is not an object")
    spec = record_of(Spec, found.get("spec"), "spec")
    if spec.role not in BY_ROLE:
        raise ValueError(f"spec.role is {spec.role!r:.40}")
    machines = {
        label: record_of(Instance, instance, f"machines[{label!r:.80}]")
        for label, instance in listed.items()
    }
    for label, instance in machines.items():
        if instance.label != label:
            raise ValueError(f"machines[{label!r:.80}] is of {instance.label!r:.80}")
    return record_of(FleetState, {**found, "spec": spec, "machines": machines}, "it")


def record_of(kind: type[_Record], found: object, where: str) -> _Record:
    """A record from plain values, each of the type that its field has. Raises ValueError."""
    if not isinstance(found, dict):
        raise ValueError(f"{where} is not an object")
    hints, values = _hints(kind), {}
    for field in fields(kind):
        key = KEYS.get(field.name, field.name)
        if key not in found:
            continue
        value = found[key]
        if isinstance(value, list):
            value = tuple(value)
        if not _fits(value, hints[field.name]):
            raise ValueError(f"{key} of {where} is {value!r:.80}")
        values[field.name] = value
    try:
        return kind(**values)
    except TypeError:
        names = (f.name for f in fields(kind) if f.name not in values)
        missing = ", ".join(KEYS.get(name, name) for name in names)
        raise ValueError(f"{where} lacks one of {missing}") from None


def _fits(value: object, hint: Any) -> bool:
    """Is this plain value of the type of a record's field?"""
    if isinstance(hint, UnionType):
        return any(_fits(value, each) for each in get_args(hint))
    if hint is float:
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        return plain and math.isfinite(value)  # type: ignore[arg-type]
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(isinstance(each, str) for each in value)
    if hint is NoneType:
        return value is None
    return not isinstance(hint, type) or isinstance(value, hint)
