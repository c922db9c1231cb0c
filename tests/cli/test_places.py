"""Directory flags mean directories; the others refuse a Hub repository in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from zebfast.cli.places import chosen_place
from zebfast.exchange import Place

PLAIN, EITHER = "--output-dir", "--examples-repo-id"


def chosen(plain: str | None = None, either: str | None = None, bucket: str | None = None) -> Place:
    flags = {"output_dir": plain, "examples_repo_id": either, "examples_bucket": bucket}
    return chosen_place(flags, PLAIN, EITHER)


def test_a_plain_flag_always_means_a_directory() -> None:
    assert chosen(plain="owner/name") == Place("directory", "owner/name")


def test_owner_and_name_is_a_hub_repository_unless_it_is_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner").mkdir()
    assert chosen(either="owner/name") == Place("dataset", "owner/name")
    (tmp_path / "owner" / "name").mkdir()
    assert chosen(either="owner/name") == Place("directory", "owner/name")
    assert chosen(bucket="owner/name") == Place("bucket", "owner/name")
    with pytest.raises(ValueError, match="expected owner/name"):
        chosen(bucket="name")


@pytest.mark.parametrize("written", ["run", "./a/b", "../a", "/x/y", "a/b/c", "run/", "~/x"])
def test_what_is_no_repository_name_is_a_directory(written: str) -> None:
    assert chosen(either=written) == Place.directory(Path(written).expanduser())


def test_neither_both_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="Missing option"):
        chosen()
    with pytest.raises(ValueError, match="not both"):
        chosen(plain="a", either="a")
    with pytest.raises(ValueError, match="is a file"):
        chosen(plain=str(tmp_path / "file"))
