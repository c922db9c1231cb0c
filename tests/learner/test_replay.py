"""The ring buffer, its sampling, and its cache on disk."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from zebfast.core.records import (
    EXAMPLE_DTYPE,
    EXAMPLE_HAS_POINTS,
    EXAMPLE_POINTS_SHIFT,
    laid_out_as,
    without_contract,
)
from zebfast.learner.data.replay import ReplayBuffer, ReplayCache, packed_rows


def numbered(first: int, n: int) -> np.ndarray:
    records = np.zeros(n, EXAMPLE_DTYPE)
    records["left"] = np.arange(first, first + n)
    return records


def numbers(replay: ReplayBuffer) -> list[int]:
    return sorted(replay.contents()["left"].tolist())


@pytest.mark.parametrize("sizes", [[3, 3], [10], [7, 7], [25], [4, 0, 40, 1], [9, 2, 9, 2]])
def test_the_newest_examples_stay(sizes: list[int]) -> None:
    replay, added = ReplayBuffer(10), 0
    for size in sizes:
        replay.add(numbered(added, size))
        added += size
        assert len(replay) == min(added, 10)
        assert numbers(replay) == list(range(max(0, added - 10), added))


@pytest.mark.parametrize("seed", range(5))
def test_each_example_lies_where_its_number_says(seed: int) -> None:
    """Against the slow twin, which places one at a time; draws and all bytes go with it."""
    rng = np.random.default_rng(seed)
    capacity = int(rng.integers(1, 12))
    replay = ReplayBuffer(capacity)
    rows, draws = np.zeros((capacity, EXAMPLE_DTYPE.itemsize), np.uint8), np.zeros(capacity)
    number = 0
    for size in rng.integers(0, 3 * capacity, 20):
        added = rng.integers(0, 256, (2 * size, EXAMPLE_DTYPE.itemsize)).astype(np.uint8)
        records = added.view(EXAMPLE_DTYPE)[:, 0][::2]  # with gaps: not one block of memory
        drawn = rng.integers(0, 9, size).astype(np.uint32) if rng.integers(2) else None
        replay.add(records, drawn)
        for at in range(size):
            rows[number % capacity] = added[2 * at]
            draws[number % capacity] = 0 if drawn is None else drawn[at]
            number += 1
    np.testing.assert_array_equal(packed_rows(replay.contents()), rows[: len(replay)])
    np.testing.assert_array_equal(replay.draws(), draws[: len(replay)])


def test_samples_are_uniform_and_depend_only_on_seed_and_step() -> None:
    replay = ReplayBuffer(64)
    replay.add(numbered(0, 50))
    both = replay.sample(np.full(40, 256), seed=1, step=7)
    again = np.concatenate(
        [replay.sample(np.full(n, 256), seed=1, step=s) for n, s in ((15, 7), (25, 22))]
    )
    np.testing.assert_array_equal(both, again)
    assert not np.array_equal(both, replay.sample(np.full(40, 256), seed=2, step=7))
    drawn = both.copy().view(EXAMPLE_DTYPE)[..., 0]["left"]
    counts = np.bincount(drawn.ravel(), minlength=50)
    expected = len(drawn) / 50
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert chi2 < 95  # 49 degrees of freedom: p < 0.0001 beyond


def test_cache_gives_back_the_same_ring(tmp_path: Path) -> None:
    replay = ReplayBuffer(10)
    replay.add(numbered(0, 14))
    ReplayCache(tmp_path, "one").save([replay], {"a", "b"})
    restored = ReplayBuffer(10)
    assert ReplayCache(tmp_path, "one").load(restored) == {"a", "b"}
    np.testing.assert_array_equal(packed_rows(restored.contents()), packed_rows(replay.contents()))
    assert restored.total_added == 14


@pytest.mark.parametrize(("capacity", "kept"), [(4, range(10, 14)), (30, range(4, 14))])
def test_cache_into_another_capacity(tmp_path: Path, capacity: int, kept: range) -> None:
    replay = ReplayBuffer(10)
    replay.add(numbered(0, 14))
    ReplayCache(tmp_path, "one").save([replay], set())
    restored = ReplayBuffer(capacity)
    assert ReplayCache(tmp_path, "one").load(restored) == set()
    assert numbers(restored) == list(kept)


def test_damaged_cache_falls_back_to_the_previous_save(tmp_path: Path) -> None:
    cache, replay = ReplayCache(tmp_path, "one"), ReplayBuffer(10)
    replay.add(numbered(0, 2))
    cache.save([replay], {"a"})
    first = set(tmp_path.glob("replay-*.bin"))
    replay.add(numbered(2, 2))
    cache.save([replay], {"a", "b"})
    (second,) = set(tmp_path.glob("replay-*.bin")) - first
    second.write_bytes(second.read_bytes()[:-1] + b"\x7f")
    restored = ReplayBuffer(10)
    assert cache.load(restored) == {"a"}
    assert numbers(restored) == [0, 1]
    for path in first:
        path.unlink()
    assert cache.load(ReplayBuffer(10)) is None


@pytest.mark.parametrize(
    ("flags", "is_usable"),
    [
        (3, True),  # as versions wrote them that did not know final points
        (EXAMPLE_HAS_POINTS | 3 | 42 << EXAMPLE_POINTS_SHIFT, True),
        (EXAMPLE_HAS_POINTS | 3 | 43 << EXAMPLE_POINTS_SHIFT, False),
        (3 | 7 << EXAMPLE_POINTS_SHIFT, False),
        (32, False),
        (0x8000, False),
    ],
)
def test_cache_with_flags_that_nobody_wrote_is_not_used(
    tmp_path: Path, flags: int, is_usable: bool
) -> None:
    records = numbered(0, 3)
    records["flags"] = 3
    records["flags"][1] = flags
    replay = ReplayBuffer(10)
    replay.add(records)
    ReplayCache(tmp_path, "one").save([replay], {"a"})
    restored = ReplayBuffer(10)
    found = ReplayCache(tmp_path, "one").load(restored)
    assert found == ({"a"} if is_usable else None)
    assert len(restored) == (3 if is_usable else 0)


def test_a_save_from_before_there_were_contracts_is_read(tmp_path: Path) -> None:
    """Its examples are of hands for points; the next save is as they are now."""
    cache, records = ReplayCache(tmp_path, "one"), numbered(0, 5)
    records["obs"]["plays"][:, 3] = 7
    replay = ReplayBuffer(10)
    replay.add(records)
    cache.save([replay], {"a"})
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    old = laid_out_as(records, without_contract(EXAMPLE_DTYPE))
    assert old.dtype.itemsize == 64
    data = old.tobytes() + np.arange(5, dtype=np.uint32).tobytes()
    (tmp_path / manifest["data_file"]).write_bytes(data)
    manifest |= {"record_bytes": 68, "crc32": zlib.crc32(data)}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    restored = ReplayBuffer(10)
    assert cache.load(restored) == {"a"}
    np.testing.assert_array_equal(restored.contents(), records)
    assert restored.draws().tolist() == list(range(5))
    manifest |= {"record_bytes": 69}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert cache.load(ReplayBuffer(10)) is None


def test_cache_of_another_lineage_is_not_used(tmp_path: Path) -> None:
    replay = ReplayBuffer(10)
    replay.add(numbered(0, 2))
    ReplayCache(tmp_path, "one").save([replay], {"a"})
    assert ReplayCache(tmp_path, "two").load(ReplayBuffer(10)) is None


def test_old_saves_are_removed(tmp_path: Path) -> None:
    cache, replay = ReplayCache(tmp_path, "one"), ReplayBuffer(10)
    for i in range(5):
        replay.add(numbered(i, 1))
        cache.save([replay], {str(i)})
    assert len(list(tmp_path.iterdir())) == 4  # two manifests, two data files
