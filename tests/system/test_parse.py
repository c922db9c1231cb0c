"""Text from elsewhere is wrong in one way only, and only plain files are read and locked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zebfast.system.files import append_line, open_plain, read_json_lines, read_plain
from zebfast.system.locks import hold_lock, lock_owner
from zebfast.system.parse import MAX_TOML_BYTES, parse_json, parse_toml


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "'c' twice"),
        ("9" * 5001, "digits"),
        ("", "Expecting value"),
        (b"\xff\xfe\xfd", "decode"),
    ],
)
def test_json(text: str | bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_json(text)


def test_tame_json_has_no_number_that_is_none() -> None:
    text = '{"a": NaN, "b": -Infinity, "c": 1e999, "d": 18446744073709551616, "e": 9, "f": 1.5}'
    assert parse_json(text, tame=True) == dict.fromkeys("abcd") | {"e": 9, "f": 1.5}
    assert parse_json("9" * 5001, tame=True) is None


@pytest.mark.parametrize(
    "text", ["[" * 600, "a = " + "[" * 3000, f"a = {'9' * 5001}", "a = 1\na = 2", "#" * 200_000]
)
def test_toml(text: str) -> None:
    with pytest.raises(ValueError, match=r"^.+$"):
        parse_toml(text)
    assert len("#" * MAX_TOML_BYTES) == MAX_TOML_BYTES
    assert parse_toml("a = 0x" + "f" * 9) == {"a": 0xFFFFFFFFF}


def test_only_plain_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "plain").write_bytes(b"12345")
    os.symlink(tmp_path / "plain", tmp_path / "link")
    assert read_plain(tmp_path / "link", 3) == b"1234"  # one too many tells that it is longer
    for name in ("pipe", "."):
        with pytest.raises(OSError, match="plain file"):
            open_plain(tmp_path / name)
    with pytest.raises(OSError, match="link"):
        open_plain(tmp_path / "link", follow=False)


def test_nothing_is_appended_through_a_link_or_read_from_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep")
    os.symlink(tmp_path / "precious", tmp_path / "events.jsonl")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="link"):
        append_line(tmp_path / "events.jsonl", b"{}\n")
    with pytest.raises(OSError, match="plain file"):
        list(read_json_lines(tmp_path / "pipe"))
    assert (tmp_path / "precious").read_text() == "keep"


def test_what_a_link_in_place_of_a_lock_leads_to_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep")
    os.symlink(tmp_path / "precious", tmp_path / "lock")
    os.mkfifo(tmp_path / "pipe")
    for name, words in (("lock", "a symbolic link where a lock"), ("pipe", "no plain file where")):
        with (
            pytest.raises(OSError, match=words),
            hold_lock(tmp_path / name, busy=lambda owner: ValueError(owner)),
        ):
            pytest.fail("held")
        assert lock_owner(tmp_path / name) is None
    assert (tmp_path / "precious").read_text() == "keep"
