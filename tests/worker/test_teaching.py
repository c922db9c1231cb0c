"""Workers with a teacher, and workers that follow a run's recipe."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from listening import work
from runs import publish
from workers import examples_in, one_batch

from zebfast.core.options import SearchOptions
from zebfast.core.records import EXAMPLE_HAS_PLAY_VALUES
from zebfast.exchange import ExchangeError
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.teaching import TeachingConfig
from zebfast.selfplay.whole_hands import WholeHandsConfig
from zebfast.worker.config import RecipeConfig
from zebfast.worker.options import Task, task_of


@pytest.mark.parametrize(("teacher", "source"), [("exact", "eq-exact"), ("rollout", "rollout")])
def test_a_teacher_hands_over_labelled_decisions(tmp_path: Path, teacher: str, source: str) -> None:
    producer = TeachingConfig(teacher=teacher, label_share=0.3, n_parallel_games=4, n_groups=1)
    lines: list[str] = []
    assert work(one_batch(tmp_path, producer=producer), say=lines.append) == 0
    [file] = examples_in(tmp_path)
    assert (file.source, file.n_games) == (source, 4)
    assert (file.records["flags"] & EXAMPLE_HAS_PLAY_VALUES != 0).all()
    assert file.metadata["labels"] == len(file.records) < 4 * 28
    assert (file.metadata["teacher"], file.metadata["label_share"]) == (teacher, 0.3)
    line = rf"\[worker-0\] batch 1: {len(file.records)} examples, [\d.]+ games/s, step=0, "
    assert re.fullmatch(line + r"total_games=4, [\d.]+ labels a game", lines[-1])


def test_hands_of_whole_games_bring_their_contracts(tmp_path: Path) -> None:
    producer = WholeHandsConfig(label_share=0.3, n_parallel_games=4, n_groups=1)
    lines: list[str] = []
    assert work(one_batch(tmp_path, producer=producer), say=lines.append) == 0
    [file] = examples_in(tmp_path)
    assert (file.source, file.n_games) == ("whole-game", 4)
    assert file.records["obs"]["contract"]["bid"].any()
    assert (file.metadata["auction_share"], file.metadata["wild"]) == (0.5, 0.04)
    assert any("auctions in 50% of the hands" in line for line in lines)


def test_the_documented_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected native"):
        one_batch(tmp_path, producer=TeachingConfig(), example_format="pt")


#: What a state asks for, in stages of a few games.
QUICK = {"games_per_batch": 2, "n_parallel_games": 2, "threads": 1}
EXACT = {"mode": "exact", "label_share": 0.2, **QUICK}
ROLLOUT = {"mode": "rollout", **QUICK}
SELFPLAY = {"mode": "selfplay", "n_simulations": 4, **QUICK}


def follow(
    tmp_path: Path, on_line: Callable[[str], Any], n_batches: int
) -> tuple[list[str], list[str]]:
    """Run a worker of a recipe; the lines it says, and the sources of its files in their order."""
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        on_line(line)

    config = one_batch(
        tmp_path,
        producer=RecipeConfig(machine={"n_groups": 1}),
        max_batches=n_batches,
        weight_sync_interval=1,
        poll_seconds=0.01,
    )
    assert work(config, say=say) == 0
    files = sorted(examples_in(tmp_path), key=lambda file: int(file.metadata["first_game"]))
    assert [f.metadata["first_game"] for f in files] == [2 * i for i in range(n_batches)]
    return lines, [file.source for file in files]


def test_a_worker_follows_the_recipe(tmp_path: Path) -> None:
    """It waits for the first stage, goes from stage to stage, and rests where there is none."""
    run = tmp_path / "run"
    stages = {
        "names no producer yet": (1, EXACT),
        "batch 2:": (2, ROLLOUT),
        "batch 3:": (3, {"mode": "none"}),
        "producer: none": (3, SELFPLAY),  # the same weights, another producer
    }

    def on_line(line: str) -> None:
        for words, (step, producer) in stages.items():
            if words in line:
                publish(run, step=step, producer=producer)

    lines, sources = follow(tmp_path, on_line, 4)
    assert sources == ["eq-exact", "eq-exact", "rollout", "selfplay-mcts"]
    told = [line.split(" on ")[0] for line in lines if "producer: " in line]
    assert [line.partition("producer: ")[2].split(",")[0] for line in told] == [
        "exact",
        "rollout",
        "none",
        "selfplay",
    ]


def test_a_recipe_that_cannot_be_followed_ends_the_worker(tmp_path: Path) -> None:
    def on_line(line: str) -> None:
        if "names no producer" in line:
            publish(tmp_path / "run", step=1, producer={"mode": "exact", "explore": "much"})

    with pytest.raises(ExchangeError, match="explore is 'much': expected a number"):
        follow(tmp_path, on_line, 1)


def test_tasks() -> None:
    task = task_of({"mode": "rollout", "label_worlds": 4, "explore": 0}, {"n_groups": 3})
    wanted = TeachingConfig(
        teacher="rollout", n_worlds=4, explore=0, n_groups=3, n_parallel_games=384
    )
    assert task == Task(producer=wanted)
    own = {"mode": "selfplay", "max_mcts_nodes": 99, "cache_mb": 1, "n_parallel_games": 8}
    task = task_of(own, {"n_parallel_games": 5, "threads": None, "games_per_batch": 7})
    search = SearchOptions(max_nodes=99)
    assert task.producer == SelfPlayConfig(
        n_parallel_games=5, n_groups=1, cache_mb=1, search=search
    )
    assert (task.threads, task.games_per_batch) == (None, 7)
    assert task_of({"mode": "none"}, {"n_groups": 2}) == Task(producer=None)
    for told, groups in ((None, 5), (3, 3)):
        said = task_of({"mode": "exact", "n_groups": 5}, {"n_groups": told}, default_groups=2)
        assert isinstance(said.producer, TeachingConfig)
        assert said.producer.n_groups == groups
    whole = task_of({"mode": "game", "wild": 0.5, "explore": 0.3}, {}, default_groups=2).producer
    assert whole == WholeHandsConfig(wild=0.5, explore=0.3, n_groups=2)
    unsaid = task_of({"mode": "exact"}, {}, default_groups=2).producer
    assert unsaid == TeachingConfig(teacher="exact", n_groups=2)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({}, "mode is None: expected one of exact, game, rollout, selfplay, none"),
        ({"mode": "oracle"}, "mode is 'oracle'"),
        ({"mode": "exact", "n_simulations": 4}, "'n_simulations' is no option of exact"),
        ({"mode": "rollout", "wild": 0.1}, "'wild' is no option of rollout"),
        ({"mode": "game", "auction_share": 0.9}, "expected at most 1 together"),
        ({"mode": "exact", "label_share": 2.0}, "label_share is 2.0"),
        ({"mode": "exact", "label_worlds": 1.5}, "label_worlds is 1.5: expected a whole number"),
        ({"mode": "exact", "label_worlds": True}, "label_worlds is True: expected a whole number"),
        ({"mode": "exact", "games_per_batch": 0}, "games_per_batch is 0: expected 1 to 1000000"),
        ({"mode": "exact", "games_per_batch": 10**30}, "expected 1 to 1000000"),
        ({"mode": "exact", "threads": 100_000}, "threads is 100000: expected 1 to 1024"),
        ({"mode": "exact", "n_parallel_games": 10**9}, "expected 1 to 65536"),
        ({"mode": "exact", "temperature": 1e300}, "temperature is 1e+300: expected 0 to 1000"),
        ({"mode": "selfplay", "noise_alpha": math.inf}, "expected above 0 and at most 1000"),
        ({"mode": "selfplay", "c_puct": math.nan}, "c_puct is nan: expected above 0 and at most"),
        ({"mode": "selfplay", "root": "weird"}, "root is 'weird'"),
    ],
)
def test_entries_that_cannot_be_followed(entry: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        task_of(entry, {})
