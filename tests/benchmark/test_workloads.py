"""The registry: names that are published stay, and every figure of a record is still measured."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from zebfast.benchmark.workload import Done, Measurement, Work, identity, measure, workload
from zebfast.benchmark.workloads import WORKLOADS, used_by


def test_keys_are_unique_where_they_are_used() -> None:
    for use in ("report", "record", "gate"):
        assert len(used_by(use)) == sum(use in workload.uses for workload in WORKLOADS), use


def test_what_earlier_versions_report_and_compare_has_its_names() -> None:
    assert list(used_by("report")) == [
        "random_games", "simulations", "exact_deals", "worlds", "features", "evaluations",
        "evaluations_v2", "selfplay_published_way", "selfplay_games", "selfplay_v2_published_way",
        "selfplay_v2", "examples_written", "examples_read", "learner_steps", "learner_steps_v2",
    ]  # fmt: skip
    assert set(used_by("gate")) == {
        "random_games", "policy_games", "modelled_rollouts", "whole_games", "whole_games_together",
        "nello",
        "house_plays",
        "trees", "trees_worlds", "trees_gumbel",
        "trees_thrifty", "match_forest", "worlds_first", "worlds_voids", "solver_deals",
        "solver_plays", "observations", "seat_planes", "features",
        "first_layer", "first_gradient", "answers", "network_fp32_1", "network_fp32_64",
        "network_contract",
        "network_bf16_1",
        "network_bf16_64", "network_int8_1", "network_int8_64", "examples_made",
        "evaluations_v1", "evaluations_v2", "loading_v1",
        "loading_v2", "learner_step_v1", "learner_step_v2", "selfplay_true", "selfplay_exact",
        "selfplay_network", "decisions", "labels", "priced_hands_64", "match", "match_network",
        "match_v2",
        "match_exact", "replay", "write_native",
        "write_pt", "read_native", "read_pt", "ingest", "publish", "pull",
    }  # fmt: skip


def test_every_figure_of_the_records_is_still_measured(repo_root: Path) -> None:
    recorded = {
        figure["key"]
        for path in (repo_root / "bench" / "records").glob("*.json")
        for figure in json.loads(path.read_text())["figures"]
    }
    tests = "".join(path.read_text() for path in (repo_root / "bench").glob("test_*.py"))
    measured = {*used_by("record"), *re.findall(r'\bkey="(\w+)"', tests)}
    assert len(recorded) > 60
    assert recorded - measured == set()


def test_set_up_is_not_timed_and_gets_a_folder_that_goes(tmp_path: Path) -> None:
    folders, done = [], []

    def prepare(folder: Path, *, units: int) -> Work:
        folders.append(folder)
        assert list(folder.iterdir()) == []
        return lambda: done.append(units) or Done(units)  # type: ignore[func-returns-value]

    work = workload(("report",), "k", "games/s", "x", prepare, units=3)
    found = measure(work, seconds=0.01)
    assert found.units == 3 * (len(done) - 1), "but for the one that warms up"
    assert found.seconds >= 0.01
    assert (len(folders), folders[0].exists()) == (1, False)
    assert found == Measurement("k", "games/s", "x", found.units, found.seconds, {})


def test_a_figure_is_in_its_workloads_unit() -> None:
    rate, each = (workload((), "k", unit, "x", Done) for unit in ("games/s", "microseconds"))  # type: ignore[arg-type]
    assert rate.figure(30, 2.0) == 15.0
    assert each.figure(30, 0.003) == pytest.approx(100.0)


def test_identity_tells_work_apart() -> None:
    import numpy as np

    same = identity((np.arange(3), {"b": 1, "a": "x"}))
    assert same == identity([np.arange(3), {"a": "x", "b": 1}])
    assert same != identity((np.arange(3), {"b": 2, "a": "x"}))
    with pytest.raises(TypeError, match="must not return a float"):
        identity(1.5)
