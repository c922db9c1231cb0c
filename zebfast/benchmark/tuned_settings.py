"""What `zebfast bench --tune` found, remembered for this machine and used only on it.

One JSON file. An entry is of one machine, one network and one way to search; a worker looks for the
entry of its own search and uses it only if the rest is the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zebfast.benchmark.tuning import Setting
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.system.files import write_atomic
from zebfast.system.machine import cpu_model, installed_version, usable_cores, usable_threads
from zebfast.system.parse import parse_json
from zebfast.system.settings import decode_as

if TYPE_CHECKING:
    from zebfast.worker.config import WorkerConfig
    from zebfast.worker.loop import Settle

_LOG = logging.getLogger(__name__)
_FORMAT = 1
_MOST = 64  # entries; the oldest go first
_TUNE = "zebfast bench --tune"


def machine_facts(device: str) -> dict[str, str | int | None]:
    """What decides how fast a command runs on ``device``: cpu, cores, gpu, torch, zebfast."""
    import zebfast

    gpu = None
    if device.startswith("cuda"):
        from zebfast.net.torch.runtime import gpu_name

        gpu = gpu_name(device)
    return {
        "cpu": cpu_model(),
        "cores": usable_cores(),
        "gpu": gpu,
        "torch": installed_version("torch"),
        "zebfast": zebfast.__version__,
    }


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """Where, with what and how games are played: each a dict of plain values.

    Attributes:
        machine: see machine_facts.
        network: its config, the kind of device, and the dtype.
        search: whatever SelfPlayConfig has but for what is tuned.
    """

    machine: dict[str, Any]
    network: dict[str, Any]
    search: dict[str, Any]

    @classmethod
    def of(
        cls, network: Mapping[str, Any], selfplay: SelfPlayConfig, *, device: str, dtype: str
    ) -> Circumstances:
        """ValueError for a network of no known kind."""
        from zebfast.net.networks import config_from_dict

        search = asdict(selfplay)
        del search["n_parallel_games"], search["n_groups"]
        kind = device.partition(":")[0]  # which of several GPUs it is, its name says better
        facts = {
            "machine": machine_facts(device),
            "network": {
                "network": config_from_dict(network).to_dict(),
                "device": kind,
                "dtype": dtype,
            },
            "search": search,
        }
        return cls(**json.loads(json.dumps(facts)))  # as it is when it comes from the file

    def differences(self, other: Circumstances) -> list[str]:
        """What of machine and network is not as in ``other``, for people: ``torch``, ``cpu``."""
        return [
            name
            for mine, its in ((self.machine, other.machine), (self.network, other.network))
            for name in sorted({*mine, *its})
            if mine.get(name) != its.get(name)
        ]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One outcome: the setting, its games a second, its gain over the default, and the day."""

    circumstances: Circumstances
    setting: Setting
    games_per_second: float
    gain: float | None
    date: str


def load(path: Path) -> list[Entry]:
    """All entries. A file that cannot be used is set aside, and that is said."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    except OSError as error:
        _LOG.info(f"{path} cannot be read ({error.strerror}): playing without what was tuned")
        return []
    except UnicodeDecodeError:
        text = ""
    try:
        found = parse_json(text)
        if found["format"] != _FORMAT:
            raise ValueError(f"format {found['format']}")
        entries: list[Entry] = decode_as(list[Entry], found["entries"], "entries")
        return entries
    except (ValueError, KeyError, TypeError):
        aside = path.with_suffix(".damaged")
        try:
            path.replace(aside)
        except OSError:
            _LOG.info(f"{path} is damaged and not used; remove it with {_TUNE} --forget")
        else:
            _LOG.info(f"{path} was damaged and is now {aside.name}; {_TUNE} writes a new one")
        return []


def remember(path: Path, entry: Entry) -> None:
    """Add the entry, in place of what other versions on this machine found; OSError as it comes."""
    entries = [e for e in load(path) if not _renews(entry.circumstances, e.circumstances)]
    entries = [*entries, entry][-_MOST:]
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"format": _FORMAT, "entries": [asdict(e) for e in entries]}
    write_atomic(path, (json.dumps(told, indent=1) + "\n").encode())


def forget(path: Path) -> bool:
    """Remove every entry; False where there was none."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def find(entries: list[Entry], here: Circumstances) -> tuple[Entry | None, str | None]:
    """The entry to use, or else a sentence why one that is there for this search is not used."""
    same_search = [e for e in entries if e.circumstances.search == here.search]
    for entry in same_search:
        if not here.differences(entry.circumstances):
            return entry, None
    if not same_search:
        return None, None
    entry = min(same_search, key=lambda e: len(here.differences(e.circumstances)))
    other = ", ".join(here.differences(entry.circumstances))
    return None, f"what was tuned on {entry.date} is not used: other {other} ({_TUNE} again)"


def _renews(new: Circumstances, old: Circumstances) -> bool:
    versions = {"torch", "zebfast"}
    return new.search == old.search and versions.issuperset(new.differences(old))


def as_flags(values: Mapping[str, int]) -> str:
    """Fields of a Setting as the worker's flags."""
    return " ".join(f"--{name.replace('_', '-')} {n}" for name, n in values.items())


def settling(path: Path, given: Collection[str]) -> Settle:
    """How a worker comes to play as the file says is best; ``given`` flags are left as they are.

    Returns:
        What ``zebfast.worker.loop.work`` takes as ``settle``.
    """

    def settle(config: WorkerConfig, network: Mapping[str, Any]) -> tuple[WorkerConfig, int | None]:
        selfplay = config.producer
        assert isinstance(selfplay, SelfPlayConfig), "only self-play is tuned"
        here = Circumstances.of(network, selfplay, device=config.device, dtype=config.dtype)
        entry, why_not = find(load(path), here)
        if entry is None:
            if why_not:
                _LOG.info(why_not)
            return config, None
        taken = {name: n for name, n in asdict(entry.setting).items() if name not in given}
        _LOG.info(f"tuned for this machine on {entry.date}: {as_flags(taken)} ({_TUNE} renews it)")
        threads = usable_threads(taken.pop("threads", None))
        n_games = taken.get("n_parallel_games", selfplay.n_parallel_games)
        n_groups = min(taken.get("n_groups", selfplay.n_groups), n_games)
        playing = replace(selfplay, n_parallel_games=n_games, n_groups=n_groups)
        return replace(config, producer=playing), threads

    return settle
