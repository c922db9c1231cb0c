"""The schedule of a run through its recipe: rates, rows, stages; and the average of weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from listening import listening
from taught import taught_games, tiny_recipe

from zebfast.core.observe import games_to_examples
from zebfast.learner.config import LearnerConfig
from zebfast.learner.data.replay import ReplayMixture
from zebfast.learner.evaluation import Evaluation, evaluation_seed
from zebfast.learner.schedule import Schedule
from zebfast.learner.state import Progress, schedule_from_state, schedule_to_state
from zebfast.learner.train.trainer import (
    AveragedWeights,
    TrainReport,
    merge_reports,
    mixed_precision,
)
from zebfast.net.torch.modules import build
from zebfast.net.v1 import NetConfig
from zebfast.net.v2 import V2Config
from zebfast.rules import Stream
from zebfast.rules.rng import bits, stream_key
from zebfast.selfplay.play_values import labelled_examples


class Site:
    """A schedule over buffers that files of two games are put into; lines in ``said``."""

    def __init__(self, config: LearnerConfig, progress: Progress | None = None) -> None:
        self.said: list[str] = []
        self.progress = progress or Progress(lineage="x")
        self.mixture = ReplayMixture(config)
        recipe = tiny_recipe(("warmup_steps = 2", "warmup_steps = 0"))
        with listening(self.said.append):
            self.schedule = Schedule(recipe, self.progress, self.mixture)

    def file(self, number: int) -> int:
        """Count one file, as the ingestor does; its examples."""
        records = labelled_examples(games_to_examples(taught_games(2, seed=number)))
        self.mixture.selfplay.add(records)
        self.progress.total_games += 2
        self.progress.ledger.add(f"file-{number}")
        self.schedule.count(len(records), 2)
        return len(records)


@pytest.fixture
def site(make_config: Callable[..., LearnerConfig]) -> Site:
    return Site(make_config())


def test_rows_are_what_examples_bring(site: Site) -> None:
    assert site.schedule.n_steps() == 0
    n = site.file(1)
    allowed = site.schedule.n_steps()
    assert allowed == 2 * n // 8
    rates = [site.schedule.rate(100) for _ in range(allowed)]
    assert site.schedule.n_steps() == 0
    # Half of the stage's games: half-way to the end, but not before the rows are trained.
    assert rates[0] == pytest.approx(1e-2)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx((1e-2 + 1e-3) / 2, rel=0.2)


def test_a_backlog_of_rows_is_no_more_than_a_buffer(site: Site) -> None:
    n = site.file(1)
    site.mixture.selfplay.clear()
    assert site.schedule.n_steps() == 0
    assert site.schedule.saved.rows_due < 2 * n


def test_a_stage_begins_with_its_games(site: Site) -> None:
    assert site.said == [
        "Stage 1 of 2, first: exact games up to 4, lr 0.01 to 0.001, reuse 2",
    ]
    site.file(1)
    assert site.schedule.producer == {"mode": "exact", "explore": 0.1}
    assert not site.schedule.stage_changed
    site.file(2)
    assert site.schedule.stage_changed
    assert site.schedule.producer == {"mode": "rollout"}
    assert len(site.mixture.selfplay) == 0
    assert site.schedule.saved.forgotten == ["file-1", "file-2"]
    assert site.schedule.n_steps() == 0
    n = site.file(3)
    assert site.schedule.n_steps() == n // 4
    assert not site.schedule.has_all_games
    site.file(4)
    assert site.schedule.has_all_games
    assert not site.schedule.is_done
    assert site.schedule.producer == {"mode": "none"}
    while site.schedule.n_steps():
        last = site.schedule.rate(100)
    assert site.schedule.is_done
    site.file(5)  # on its way when the others were enough
    assert site.schedule.is_done
    assert last < 2e-3 * 0.1


def test_the_rate_rises_first(make_config: Callable[..., LearnerConfig]) -> None:
    progress = Progress(lineage="x")
    recipe = tiny_recipe(("warmup_steps = 2", "warmup_steps = 4"))
    schedule = Schedule(recipe, progress, ReplayMixture(make_config()))
    rates = [schedule.rate(n) for n in range(6)]
    assert rates == pytest.approx([2.5e-3, 5e-3, 7.5e-3, 1e-2, 1e-2, 1e-2])


def test_games_alone_say_the_stage(make_config: Callable[..., LearnerConfig]) -> None:
    """A run that was counted on elsewhere, or whose recipe was edited since."""
    progress = Progress(lineage="x", total_games=5)
    assert Site(make_config(), progress).schedule.stage.name == "second"
    progress.total_games = 3
    assert Site(make_config(), progress).schedule.stage.name == "first"


def test_a_schedule_survives_the_published_state(site: Site) -> None:
    site.file(1)
    site.file(2)
    assert schedule_from_state(schedule_to_state(site.schedule.saved)) == site.schedule.saved
    assert schedule_to_state(None) == {}
    assert schedule_from_state({}) is None
    assert schedule_from_state({"course": {"unknown": 1}}) is None
    assert schedule_from_state({"course": 3}) is None
    assert schedule_from_state({"course": {"rows_done": "many"}}) is None
    assert schedule_from_state({"course": {"best": [1]}}) is None


def test_time_is_counted_over_sittings(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("zebfast.learner.schedule.time.monotonic", lambda: now[0])
    site.schedule.tick()
    before = site.schedule.saved.minutes
    now[0] += 90.0
    site.schedule.tick()
    site.schedule.tick()
    assert site.schedule.saved.minutes - before == pytest.approx(1.5)


def test_the_average_is_that_of_the_definition() -> None:
    net = torch.nn.Linear(3, 2)
    average = AveragedWeights(net, 0.5)
    expected = net.weight.detach().clone()
    for step in range(8):
        with torch.no_grad():
            net.weight.add_(1.0)
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * net.weight.detach()
    torch.testing.assert_close(average.weights["weight"], expected)
    other = AveragedWeights(torch.nn.Linear(3, 2), 0.5)
    other.load_state(average.state())
    torch.testing.assert_close(other.weights["weight"], expected)
    average.restart()
    torch.testing.assert_close(average.weights["weight"], net.weight.detach())


def test_parts_of_a_cycle_are_told_as_one() -> None:
    parts = [
        TrainReport(1, 1.0, {"a": 1.0, "lr": 3.0}, 0.0),
        TrainReport(3, 2.0, {"a": 5.0, "b": 7.0, "lr": 2.0}, 0.4),
    ]
    whole = merge_reports(parts)
    assert (whole.n_steps, whole.seconds) == (4, 3.0)
    assert whole.means == {"a": 4.0, "b": 7.0, "lr": 2.0}
    assert whole.eval_aux_share == pytest.approx(0.3)


def test_every_evaluation_has_a_seed_of_its_own() -> None:
    seeds = {evaluation_seed(seed, number) for seed in range(3) for number in range(100)}
    assert len(seeds) == 300
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert evaluation_seed(5, 2) == bits(stream_key(5, Stream.LOOK, 2), 0) >> 1


def test_a_first_evaluation_is_the_best_and_no_collapse() -> None:
    found = Evaluation({}, None)
    assert found.is_best
    assert found.outcome != "collapsed"
    assert found.z == 0.0


@pytest.mark.parametrize(
    ("asked", "has_bf16", "expected"),
    [
        ({}, True, None),
        ({"amp": True, "amp_dtype": "bf16"}, True, torch.bfloat16),
        ({"amp": True, "amp_dtype": "bf16"}, False, None),
        ({"amp": True, "amp_dtype": "fp16"}, True, None),
        ({"amp": True, "amp_dtype": "fp16", "device": "cuda"}, False, torch.float16),
        ({"amp": True, "amp_dtype": "bf16", "device": "cuda:1"}, False, torch.bfloat16),
    ],
)
def test_half_precision_is_used_where_it_helps(
    make_config: Callable[..., LearnerConfig],
    monkeypatch: pytest.MonkeyPatch,
    asked: dict[str, Any],
    has_bf16: bool,
    expected: torch.dtype | None,
) -> None:
    monkeypatch.setattr("zebfast.learner.train.trainer.cpu_has_bf16", lambda: has_bf16)
    net = build(V2Config(width=16, n_blocks=1))
    assert mixed_precision(make_config(**asked), net) is expected
    if expected is torch.bfloat16 and not asked.get("device"):
        assert (
            mixed_precision(
                make_config(**asked),
                build(NetConfig(embed_dim=16, n_heads=2, n_layers=1, ff_dim=16)),
            )
            is None
        )
