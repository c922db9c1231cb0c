"""A release, as far as it can be judged without one: by hand only, every step of it pinned."""

from __future__ import annotations

import importlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

VERSIONS = ("3.11", "3.12", "3.13", "3.14")


@pytest.fixture
def workflow(repo_root: Path) -> dict[Any, Any]:
    yaml = pytest.importorskip("yaml")
    file = repo_root / ".github" / "workflows" / "release.yml"
    if not file.is_file():
        pytest.skip("source archives have no workflows")
    loaded: dict[Any, Any] = yaml.safe_load(file.read_text())
    return loaded


def test_releases_are_made_by_hand_and_published_where_that_is_said(
    workflow: dict[Any, Any],
) -> None:
    assert list(workflow[True]) == ["workflow_dispatch"]  # `on`, as YAML reads it
    asked = workflow[True]["workflow_dispatch"]["inputs"]["publish"]
    assert asked["default"] == "nowhere"
    assert workflow["jobs"]["publish"]["if"] == "inputs.publish != 'nowhere'"


def test_nothing_but_publishing_may_write_and_every_action_is_pinned(
    workflow: dict[Any, Any],
) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    may = {
        name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job
    }
    written = {key for key, value in may.pop("publish").items() if value == "write"}
    assert written == {"id-token", "attestations"}
    assert may == {}
    used = [
        step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step
    ]
    assert used
    assert [action for action in used if not re.search(r"@[0-9a-f]{40}$", action)] == []


def test_wheels_are_built_for_every_version_that_is_promised(repo_root: Path) -> None:
    project = tomllib.loads((repo_root / "pyproject.toml").read_text())
    built = project["tool"]["cibuildwheel"]["build"]
    assert built == [f"cp{version.replace('.', '')}-*" for version in VERSIONS]
    promised = [c.rpartition(" ")[2] for c in project["project"]["classifiers"]
                if c.startswith("Programming Language :: Python :: 3.")]  # fmt: skip
    assert promised == list(VERSIONS)
    [test] = project["tool"]["cibuildwheel"]["test-sources"]
    assert (repo_root / test).is_file()


def test_a_wheel_is_audited_by_its_libraries_as_well_as_by_its_symbols(
    repo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(repo_root / "tools"))
    wheels = importlib.import_module("wheels")
    wheel = Path("zebfast-1-cp313-cp313-linux_x86_64.whl")

    def audited(tag: str) -> str:
        told = {"overall_tag": tag, "sym_tag": "manylinux_2_17_x86_64"}
        monkeypatch.setattr(wheels, "run", lambda *_given: json.dumps(told))
        found: str = wheels.audited(wheel)
        return found

    assert audited("manylinux_2_17_x86_64") == "manylinux_2_17"
    assert audited("manylinux_2_28_aarch64") == "manylinux_2_28"
    with pytest.raises(wheels.Failed, match=r"asks for glibc 2\.34"):
        audited("manylinux_2_34_x86_64")
    with pytest.raises(wheels.Failed, match="for no manylinux system, but for linux_x86_64"):
        audited("linux_x86_64")
