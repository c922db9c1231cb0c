"""A file that grows is read once, whatever becomes of it meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zebfast.system.follow import BLOCK, Follower, sampled_lines


def _all(follower: Follower) -> list[bytes]:
    found = follower.read()
    while follower.is_behind:
        found += follower.read()
    return found


@given(st.lists(st.text("ab\n", max_size=20).map(str.encode), min_size=1, max_size=30))
def test_each_whole_line_comes_once_wherever_writing_stopped(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("follow") / "lines"
    path.touch()
    follower, found = Follower(path), []
    for part in parts:
        with open(path, "ab") as handle:
            handle.write(part)
        found += _all(follower)
    *whole, _half = path.read_bytes().split(b"\n")
    assert found == [line for line in whole if line]
    assert follower.generation == 1
    follower.close()


def test_a_file_that_is_cut_or_replaced_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    follower = Follower(path)
    assert (follower.read(), follower.is_there) == ([], False)
    path.write_bytes(b"one\ntwo\nhal")
    assert _all(follower) == [b"one", b"two"]
    os.truncate(path, 4)
    assert _all(follower) == [b"one"]
    path.write_bytes(b"other and longer\n")  # the same file, written anew
    assert _all(follower) == [b"other and longer"]
    beside = tmp_path / "beside"
    beside.write_bytes(b"other and longer\nmore\n")
    beside.replace(path)
    assert _all(follower) == [b"other and longer", b"more"]
    assert follower.generation == 4


def test_while_it_is_gone_nothing_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lines"
    path.parent.mkdir()
    path.write_bytes(b"one\n")
    follower = Follower(path)
    assert _all(follower) == [b"one"]
    path.parent.rename(tmp_path / "away")
    assert (follower.read(), follower.is_there, follower.generation) == ([], False, 1)
    (tmp_path / "away").rename(path.parent)
    with open(path, "ab") as handle:
        handle.write(b"two\n")
    assert (_all(follower), follower.generation) == ([b"two"], 1)


def test_a_line_without_end_takes_no_memory_and_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\n" + b"x" * (3 * BLOCK) + b"\ntwo\n")
    follower = Follower(path)
    assert _all(follower) == [b"one", b"two"]
    assert follower.dropped == 1


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a plain file"):
        Follower(tmp_path / "pipe").read()


def test_samples_are_whole_lines_in_order_to_the_last(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    lines = [b"%06d" % number for number in range(10_000)]
    path.write_bytes(b"\n".join(lines) + b"\nhal")
    found = sampled_lines(path, pieces=10, size=100)
    assert found == sorted(set(found))
    assert set(found) <= set(lines)
    assert (found[0], found[-1]) == (lines[0], lines[-1])
    assert len(found) == pytest.approx(10 * 100 / 7, rel=0.1)
    assert sampled_lines(path, pieces=1, size=100)[-1] == lines[-1]
    assert sampled_lines(path, pieces=3, size=1 << 20) == 3 * lines  # of a short one, all
