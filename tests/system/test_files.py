"""Whole files on disks that fail: what passes, what is named, what is no error."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from disk_faults import PASSING, DiskFaults

from zebfast.system.files import (
    append_line,
    fault_text,
    file_mark,
    is_passing,
    sync_directory,
    write_atomic,
)
from zebfast.system.locks import hold_lock


def test_which_faults_pass() -> None:
    assert all(is_passing(OSError(code, os.strerror(code))) for code in PASSING)
    lasting = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENOENT)
    assert not any(is_passing(OSError(code, os.strerror(code))) for code in lasting)
    assert not is_passing(ValueError())
    assert not is_passing(OSError("no number"))


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_directory_that_cannot_be_synced_is_no_error(
    tmp_path: Path, disk_faults: DiskFaults, code: int
) -> None:
    disk_faults.fail("sync_directory", str(tmp_path), code)
    write_atomic(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert disk_faults.failed == [("sync_directory", str(tmp_path))]


def test_other_faults_of_syncing_are_told_with_the_name(
    tmp_path: Path, disk_faults: DiskFaults
) -> None:
    disk_faults.fail("sync_directory", str(tmp_path), errno.EIO)
    with pytest.raises(OSError, match="Input/output error") as raised:
        sync_directory(tmp_path)
    assert raised.value.filename == str(tmp_path)
    disk_faults.stop()
    disk_faults.fail("sync", "tmp$", errno.EINVAL)  # of a file it is one
    with pytest.raises(OSError, match="Invalid argument") as raised:
        write_atomic(tmp_path / "file", b"x")
    assert raised.value.filename == str(tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_a_fault_names_the_file_and_not_its_temporary(
    tmp_path: Path, disk_faults: DiskFaults
) -> None:
    path = tmp_path / "model.pt"
    for call in ("open", "rename"):
        disk_faults.fail(call, r"model\.pt", errno.EBUSY, times=1)
        with pytest.raises(OSError, match="busy") as raised:
            write_atomic(path, b"x")
        assert fault_text(raised.value) == f"Device or resource busy: {str(path)!r}"
    write_atomic(path, b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.pt"]


def test_reading_and_locking_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read of a directory fails as one on a bad disk does: behind the opening, and nameless."""
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(OSError, match="No locks") as raised,
        hold_lock(tmp_path / "l", busy=OSError),
    ):
        pass
    assert raised.value.filename == str(tmp_path / "l")
    monkeypatch.setattr("hashlib.file_digest", refuse)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="No locks") as raised:
        file_mark(tmp_path / "file")
    assert raised.value.filename == str(tmp_path / "file")


def test_a_line_that_failed_is_not_there(tmp_path: Path, disk_faults: DiskFaults) -> None:
    path = tmp_path / "log"
    append_line(path, b"one\n")
    disk_faults.fail("sync", "log", errno.EIO, times=1)
    with pytest.raises(OSError, match="Input/output") as raised:
        append_line(path, b"two\n", sync=True)
    assert raised.value.filename == str(path)
    assert path.read_bytes() == b"one\n"
    append_line(path, b"two\n", sync=True)
    path.write_bytes(path.read_bytes() + b"cut")
    append_line(path, b"three\n")
    assert path.read_bytes() == b"one\ntwo\ncut\nthree\n"
