"""Replay buffers: rings of packed examples, sampled by step number; how often; kept on disk.

And the mixture of two streams that batches are drawn from: self-play, and evaluation games as an
auxiliary. Everything that treats them differently is decided there: which buffer a file goes to,
which files are too old, and how batches are mixed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import zlib
from collections.abc import Iterable, KeysView, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.core.records import (
    EXAMPLE_DTYPE,
    EXAMPLE_EVAL_AUX,
    EXAMPLE_HAS_BELIEF,
    EXAMPLE_HAS_PLAY_VALUES,
    EXAMPLE_HAS_POINTS,
    EXAMPLE_HAS_POLICY,
    EXAMPLE_POINTS_SHIFT,
    laid_out_as,
    without_contract,
)
from zebfast.learner.config import EvalAuxConfig, TrainerConfig
from zebfast.net.output import N_POINTS
from zebfast.system.files import lasting_faults_suppressed, remove_leftovers, write_atomic
from zebfast.system.parse import parse_json

EXAMPLE_BYTES = EXAMPLE_DTYPE.itemsize


class ReplayBuffer:
    """The newest ``capacity`` examples, in one preallocated flat array.

    Args:
        capacity: examples kept; older ones are overwritten.
        stream: word of the sampling counter, different for buffers that are mixed in one batch.
    """

    def __init__(self, capacity: int, *, stream: int = 0) -> None:
        self.capacity = capacity
        self.stream = stream
        self.total_added = 0
        self._records = np.zeros(capacity, EXAMPLE_DTYPE)
        self._bytes = self._records.view(np.uint8).reshape(capacity, EXAMPLE_BYTES)
        self._draws = np.zeros(capacity, np.uint32)

    def __len__(self) -> int:
        return min(self.total_added, self.capacity)

    def add(self, records: NDArray[np.void], draws: NDArray[np.uint32] | None = None) -> None:
        """Append EXAMPLE_DTYPE[N] in order; only the last ``capacity`` of them can stay.

        ``draws`` uint32[N] says how often each was drawn before; never, if it is left out.
        """
        self.total_added += max(0, len(records) - self.capacity)
        records = records[-self.capacity :]
        draws = np.zeros(len(records), np.uint32) if draws is None else draws[-self.capacity :]
        start = self.total_added % self.capacity
        # As bytes, up to the end of the ring and then from its beginning: field by field, or by the
        # numbers of places, it takes several times as long, and training waits for it.
        n_first = min(len(records), self.capacity - start)
        n_left, rows = len(records) - n_first, packed_rows(records)
        self._bytes[start : start + n_first] = rows[:n_first]
        self._bytes[:n_left] = rows[n_first:]
        self._draws[start : start + n_first] = draws[:n_first]
        self._draws[:n_left] = draws[n_first:]
        self.total_added += len(records)

    def clear(self) -> None:
        """Drop all examples."""
        self.total_added = 0

    def sample(self, sizes: NDArray[np.int64], *, seed: int, step: int) -> NDArray[np.uint8]:
        """Uniform draws with replacement: ``sizes[i]`` of them for optimizer step ``step + i``.

        Returns uint8[sum(sizes), 72], step after step. The draw of a step is a function of (seed,
        stream, step, its size, number of examples held), so nothing has to be saved for a restart
        to continue it.
        """
        assert len(self), "an empty buffer cannot be sampled"
        rows = [
            np.random.Generator(
                np.random.Philox(key=seed, counter=[0, step + i, self.stream, 0])
            ).integers(0, len(self), size)
            for i, size in enumerate(sizes)
        ]
        drawn = np.concatenate(rows)
        np.add.at(self._draws, drawn, 1)
        batch: NDArray[np.uint8] = self._bytes[drawn]
        return batch

    def replay_ratio(self) -> float:
        """How often the average example that is held now has been drawn; 0 when none is."""
        return float(self._draws[: len(self)].mean()) if len(self) else 0.0

    def contents(self) -> NDArray[np.void]:
        """EXAMPLE_DTYPE[len] as they lie in the ring (not a copy)."""
        return self._records[: len(self)]

    def draws(self) -> NDArray[np.uint32]:
        """uint32[len]: how often each of ``contents()`` has been drawn (not a copy)."""
        return self._draws[: len(self)]

    def restore(
        self,
        records: NDArray[np.void],
        draws: NDArray[np.uint32],
        *,
        capacity: int,
        total_added: int,
    ) -> None:
        """Replace everything by ``contents`` and ``draws`` of a buffer with these two numbers."""
        if capacity == self.capacity:
            self._records[: len(records)] = records
            self._draws[: len(records)] = draws
            self.total_added = total_added
            return
        start = total_added % capacity if total_added > capacity else 0
        self.total_added = 0
        self.add(np.roll(records, -start), np.roll(draws, -start))


def packed_rows(records: NDArray[Any]) -> NDArray[np.uint8]:
    """EXAMPLE_DTYPE[N] as uint8[N, 72], the form that batches have."""
    return np.ascontiguousarray(records).view(np.uint8).reshape(len(records), EXAMPLE_BYTES)


# --- A warning when few examples are trained on again and again.

_REARM = 0.8


class ReplayRatioGuard:
    """Says when the average example of a buffer was drawn more than ``limit`` times; 0 = never.

    Drawn 50 times, the default, is several times what fresh self-play at the documented pace comes
    to: then the network learns these very games by heart, most easily from a small buffer that was
    just refilled. It is only said: whether to go on is for people to decide.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._next: dict[str, float] = {}

    def check(self, name: str, replay: ReplayBuffer) -> str | None:
        """The warning, when the limit is passed and again at every doubling."""
        ratio = replay.replay_ratio()
        if ratio < _REARM * self._limit:
            self._next.pop(name, None)
        threshold = self._next.get(name, self._limit)
        if not self._limit or ratio <= threshold:
            return None
        self._next[name] = 2 * ratio
        return (
            f"Warning: the average example of the {name} buffer ({len(replay):,} examples) has "
            f"been trained on {ratio:.0f} times: its games are being memorised; add workers, or "
            "lower --training-steps-per-cycle (--max-reuse sets this limit)"
        )


# --- The replay buffers on the local disk, so that a restart does not begin with empty ones.

_MANIFEST = "manifest.json"
_PREVIOUS = "manifest.previous.json"
_DATA_FILE = re.compile(r"replay-[0-9a-f]{8}\.bin")
# An example and, as uint32, how often it has been drawn; first all of those, then all of these.
_RECORD_BYTES = EXAMPLE_DTYPE.itemsize + 4
#: Examples as they were saved before contracts: by bytes of a record.
_DTYPES = {dtype.itemsize + 4: dtype for dtype in (EXAMPLE_DTYPE, without_contract(EXAMPLE_DTYPE))}
_KNOWN_FLAGS = (
    EXAMPLE_HAS_POLICY
    | EXAMPLE_HAS_BELIEF
    | EXAMPLE_EVAL_AUX
    | EXAMPLE_HAS_POINTS
    | EXAMPLE_HAS_PLAY_VALUES
)


@dataclass(frozen=True)
class ReplayCache:
    """Replay cache of one lineage in its own ``directory``."""

    directory: Path
    lineage: str

    def save(self, buffers: Sequence[ReplayBuffer], names: Iterable[str]) -> None:
        """Write the buffers and the names of the files in them, in the order given.

        Raises OSError; the old pair stays.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        data = b"".join(
            part
            for buffer in buffers
            for part in (packed_rows(buffer.contents()).tobytes(), buffer.draws().tobytes())
        )
        data_file = f"replay-{secrets.token_hex(4)}.bin"
        manifest = {
            "lineage": self.lineage,
            "record_bytes": _RECORD_BYTES,
            "data_file": data_file,
            "crc32": zlib.crc32(data),
            "buffers": [
                {
                    "n_records": len(buffer),
                    "capacity": buffer.capacity,
                    "total_added": buffer.total_added,
                }
                for buffer in buffers
            ],
            "files": list(names),
        }
        write_atomic(self.directory / data_file, data)
        with suppress(FileNotFoundError):
            write_atomic(self.directory / _PREVIOUS, (self.directory / _MANIFEST).read_bytes())
        write_atomic(self.directory / _MANIFEST, json.dumps(manifest).encode())
        self._remove_unreferenced()

    def load(self, *buffers: ReplayBuffer) -> KeysView[str] | None:
        """Fill ``buffers``, as many as are given, from the newest usable save.

        Returns the names of the files in it, in order, or None if there is no such save.
        """
        remove_leftovers(self.directory, lambda name: True)  # the directory is this cache's alone
        for manifest in map(self._read_manifest, (_MANIFEST, _PREVIOUS)):
            held = None if manifest is None else self._read_data(manifest)
            if manifest is None or held is None:
                continue
            for buffer, saved, part in zip(buffers, manifest["buffers"], held, strict=False):
                buffer.restore(*part, capacity=saved["capacity"], total_added=saved["total_added"])
            return dict.fromkeys(manifest["files"]).keys()
        return None

    def saved_files(self) -> tuple[Path, Path] | None:
        """Manifest and data file of the newest save; None if there is none."""
        manifest = self._read_manifest(_MANIFEST)
        if manifest is None:
            return None
        return self.directory / _MANIFEST, self.directory / manifest["data_file"]

    def install(self, manifest: Path, directory: Path) -> bool:
        """Take over copies of a save: its manifest, and its data file in ``directory``.

        False if they are not a save of this lineage. Raises OSError; the old pair stays.
        """
        try:
            name = parse_json(manifest.read_bytes())["data_file"]
        except (ValueError, KeyError, TypeError):
            return False
        if not isinstance(name, str) or not _DATA_FILE.fullmatch(name):
            return False
        self.directory.mkdir(parents=True, exist_ok=True)
        write_atomic(self.directory / name, (directory / name).read_bytes())
        write_atomic(self.directory / _MANIFEST, manifest.read_bytes())
        self._remove_unreferenced()
        return self._read_manifest(_MANIFEST) is not None

    def _read_manifest(self, name: str) -> dict[str, Any] | None:
        """None where there is none that can be used; passing faults of the disk come through."""
        odd = (ValueError, LookupError, TypeError, AttributeError)
        with suppress(*odd), lasting_faults_suppressed():
            manifest = parse_json((self.directory / name).read_bytes())
            if (
                manifest.get("lineage") == self.lineage
                and manifest.get("record_bytes") in _DTYPES
                and _is_sound(manifest)
            ):
                return dict(manifest)
        return None

    def _read_data(
        self, manifest: dict[str, Any]
    ) -> list[tuple[NDArray[np.void], NDArray[np.uint32]]] | None:
        """Records and draws of each buffer of a save; None where its data are not as written."""
        data, record_bytes = b"", manifest["record_bytes"]
        dtype = _DTYPES[record_bytes]
        with lasting_faults_suppressed():
            data = (self.directory / manifest["data_file"]).read_bytes()
        sizes = [saved["n_records"] for saved in manifest["buffers"]]
        if len(data) != sum(sizes) * record_bytes or zlib.crc32(data) != manifest["crc32"]:
            return None
        parts, start = [], 0
        for n in sizes:
            records = laid_out_as(np.frombuffer(data, dtype, n, start), EXAMPLE_DTYPE)
            draws = np.frombuffer(data, np.uint32, n, start + n * dtype.itemsize)
            parts.append((records, draws))
            start += n * record_bytes
        return parts if all(_flags_are_known(records) for records, _ in parts) else None

    def _remove_unreferenced(self) -> None:
        used = {m["data_file"] for m in map(self._read_manifest, (_MANIFEST, _PREVIOUS)) if m}
        for path in self.directory.glob("replay-*.bin"):
            if path.name not in used:
                with suppress(OSError):
                    os.unlink(path)


def _is_sound(manifest: dict[str, Any]) -> bool:
    """Do the entries have the types and sizes that are relied on? Any exception says no, too."""
    buffers = [
        (each["n_records"], each["total_added"], each["capacity"]) for each in manifest["buffers"]
    ]
    return (
        _DATA_FILE.fullmatch(manifest["data_file"]) is not None
        and type(manifest["crc32"]) is int
        and all(type(number) is int for numbers in buffers for number in numbers)
        and all(0 <= n <= min(added, most) and most > 0 for n, added, most in buffers)
        and all(isinstance(name, str) for name in manifest["files"])
    )


def _flags_are_known(records: NDArray[np.void]) -> bool:
    flags = records["flags"]
    points = flags >> EXAMPLE_POINTS_SHIFT
    low = flags & ((1 << EXAMPLE_POINTS_SHIFT) - 1)
    is_possible = (points < N_POINTS) & ((points == 0) | (flags & EXAMPLE_HAS_POINTS > 0))
    return bool((is_possible & (low | _KNOWN_FLAGS == _KNOWN_FLAGS)).all())


# --- The mixture of both streams.


def chance_to_keep(lag: int, config: EvalAuxConfig) -> float:
    """Probability that an eval-aux file played ``lag`` cycles ago is trained on."""
    lag = max(0, lag)
    if 0 <= config.max_model_lag < lag:
        return 0.0
    return max(config.min_keep_weight, float(0.5 ** (lag / config.lag_half_life)))


def is_kept(name: str, lag: int, config: EvalAuxConfig) -> bool:
    """Is the eval-aux file ``name``, played ``lag`` cycles ago, trained on?

    The draw is a function of the name, so a restart decides alike.
    """
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64 < chance_to_keep(lag, config)


@dataclass(frozen=True)
class Batches:
    """Batches for some steps.

    ``rows`` are uint8[n_steps, batch, 72], of which ``n_eval_aux`` are eval-aux ones;
    ``has_teacher`` says whether any has a teacher's action values.
    """

    rows: NDArray[np.uint8]
    n_eval_aux: int
    has_teacher: bool


class ReplayMixture:
    """The replay buffers of both streams and the mixture that batches are drawn from."""

    def __init__(self, config: TrainerConfig) -> None:
        self.config = config.eval_aux
        self.selfplay = ReplayBuffer(config.training.replay_buffer_size)
        self.eval_aux = ReplayBuffer(config.eval_aux.replay_buffer_size, stream=1)

    def add_eval_aux(self, records: NDArray[np.void]) -> None:
        """EXAMPLE_DTYPE[N] of evaluation games; they carry their mark into the batches."""
        marked = records.copy()
        marked["flags"] |= EXAMPLE_EVAL_AUX
        self.eval_aux.add(marked)

    def eval_aux_share(self) -> float:
        """Part of a batch that comes from the eval-aux buffer now."""
        usable = self.config.enabled and len(self.eval_aux)
        return self.config.batch_fraction if usable else 0.0

    def draw(self, *, n_steps: int, batch_size: int, seed: int, step: int) -> Batches:
        """Batches of optimizer steps ``step`` to ``step + n_steps - 1``.

        Step k has floor((k+1) x) - floor(k x) eval-aux rows, x = batch size times share: over any
        run of steps that is the share to within one row. They come after the self-play rows.
        """
        edges = np.floor(np.arange(step, step + n_steps + 1) * (batch_size * self.eval_aux_share()))
        n_eval = np.diff(edges).astype(np.int64)
        rows = np.empty((n_steps, batch_size, EXAMPLE_BYTES), np.uint8)
        from_eval = np.arange(batch_size) >= (batch_size - n_eval)[:, None]
        n_selfplay = batch_size - n_eval
        if n_selfplay.any():
            rows[~from_eval] = self.selfplay.sample(n_selfplay, seed=seed, step=step)
        if n_eval.any():
            rows[from_eval] = self.eval_aux.sample(n_eval, seed=seed, step=step)
        flags = rows.view(EXAMPLE_DTYPE)["flags"]
        return Batches(rows, int(n_eval.sum()), bool((flags & EXAMPLE_HAS_PLAY_VALUES).any()))
