"""Locks and what a killed writer leaves: one owner at a time, and nobody else's files touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zebfast.system.files import remove_leftovers
from zebfast.system.locks import hold_lock
from zebfast.worker.progress import hold_worker_id


class Busy(Exception):
    """The lock is held."""


def test_lock_is_held_once_and_names_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    for _ in range(2):
        with hold_lock(path, busy=Busy):
            with pytest.raises(Busy, match=rf"^{os.getpid()}$"), hold_lock(path, busy=Busy):
                pass
            assert path.read_text() == str(os.getpid())


def test_only_own_temporaries_go(tmp_path: Path) -> None:
    keep = ["model.pt", ".model.pt", ".model.pt.bak.01234567.tmp", "model.pt.01234567.tmp", ".tmp"]
    for name in (*keep, ".model.pt.01234567.tmp"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, {"model.pt"}.__contains__)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(keep)
    remove_leftovers(tmp_path / "absent", lambda name: True)


def test_a_worker_leaves_others_temporaries_alone(tmp_path: Path) -> None:
    """The id w begins the file names of the worker w_2, which may be writing just now."""
    theirs = [".w_2_1700000000_0a.safetensors.01234567.tmp", "..w_2.progress.json.01234567.tmp"]
    own = [".w_1700000000_0a.safetensors.01234567.tmp", "..w.progress.json.01234567.tmp"]
    for name in (*theirs, *own):
        (tmp_path / name).touch()
    with hold_worker_id(tmp_path, "w"):
        left = sorted(p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp"))
    assert left == sorted(theirs)
