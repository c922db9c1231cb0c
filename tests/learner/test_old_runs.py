"""Run directories that an older version left go on as that version itself went on.

``golden/runs`` holds two, each as revision 0e1ba2b left it after one cycle (``run``), with what the
same revision made of a copy of it (``onward``): a run of flags with both streams of examples, and
one in the middle of a recipe. Batches are drawn alike on any machine; losses agree to rounding.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from learning import run, state_of
from taught import tiny_recipe

from zebfast.learner.config import EvalAuxConfig, LearnerConfig
from zebfast.learner.metrics import read_metrics
from zebfast.net.torch.features import expand
from zebfast.net.torch.v2 import V2Net

Make = Callable[..., LearnerConfig]
RUNS = Path(__file__).parents[1] / "golden" / "runs"
CLOCK = ("time", "minutes", "seconds", "steps_per_s", "share_of_time", "examples_per_s")


@pytest.fixture
def left(tmp_path: Path, make_config: Make) -> Callable[..., LearnerConfig]:
    """``left(kind, **changes)``: a run directory as it was left, and how it was run."""

    def unpack(kind: str, **changes: Any) -> LearnerConfig:
        with tarfile.open(RUNS / f"{kind}.tar.xz") as archive:
            archive.extractall(tmp_path, filter="data")
        settings = {"checkpoint": None, "batch_size": 4, "training_steps_per_cycle": 2}
        return make_config(**settings, **changes)

    return unpack


def assert_same_rows(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    """To rounding; but for the clock and for matches, of which a rounding may turn a game."""
    assert [row.keys() for row in ours] == [row.keys() for row in theirs]
    for own, their in zip(ours, theirs, strict=True):
        for name, value in their.items():
            if name.startswith(("eval/", "arena/")) or name.endswith(CLOCK):
                continue
            wanted = pytest.approx(value, rel=1e-3, abs=1e-5) if "train/" in name else value
            assert own[name] == wanted, (own["step"], name)


def assert_same_state(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours.keys() == theirs.keys()
    for name in ("step", "total_games", "lineage", "optimizer_steps", "ingested", "workers",
                 "eval_aux_games", "wandb_run_id", "running"):  # fmt: skip
        assert ours[name] == theirs[name], name
    assert ours["learning"].keys() == theirs["learning"].keys()
    assert ours["counted"].keys() == theirs["counted"].keys()
    assert ours["counted"]["streams"] == theirs["counted"]["streams"]


def onward(tmp_path: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows and state that the older version itself went on to."""
    directory = tmp_path / "onward"
    state = json.loads((directory / "training_state.json").read_text())
    return read_metrics(directory / "metrics.jsonl"), state


def test_a_run_of_flags_goes_on(left: Callable[..., LearnerConfig], tmp_path: Path) -> None:
    config = left(
        "flags",
        max_cycles=1,
        lr=1e-3,
        replay_buffer_size=100,
        replay_cache_save_every=1,
        min_buffer_size=1,
        eval_aux=EvalAuxConfig(replay_buffer_size=50, batch_fraction=0.25),
    )
    text = "\n".join(run(config))
    assert "Continuing model.ckpt from cycle 1, optimizer included" in text
    assert "56/100 examples and 28 eval_aux ones from 3 files" in text
    assert "Ingested" not in text  # counted and held already
    rows, state = onward(tmp_path)
    assert_same_rows(read_metrics(config.metrics_path), rows)
    assert_same_state(state_of(config), state)


def test_a_run_of_a_recipe_goes_on(
    left: Callable[..., LearnerConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # That run multiplied v2's first layer out, in bf16; five cycles add up what fp32 rounds less.
    monkeypatch.setattr(V2Net, "prepare", lambda net, raw: expand(raw, net.config.n_bits))
    recipe = tiny_recipe(
        ("training_steps_per_cycle = 4", "training_steps_per_cycle = 2"),
        ("batch_size = 4", "batch_size = 3"),
    )
    config = left(
        "recipe",
        recipe=recipe,
        amp_dtype="bf16",
        replay_buffer_size=100,
        replay_cache_save_every=1,
        **{name: getattr(recipe.training, name) for name in ("min_buffer_size", "push_every")},
    )
    copytree(tmp_path / "onward" / "examples", tmp_path / "run" / "examples", dirs_exist_ok=True)
    text = "\n".join(run(config))
    assert "Continuing model.ckpt from cycle 1, optimizer included" in text
    assert "32/100 examples from 3 files" in text
    assert "Stage 2 of 2, second: rollout games up to 8, lr 0.002 to 0, reuse 1" in text
    assert "Ingested 32 examples from 1 files [buffer: 64]" in text
    assert "Recipe tiny is done: 8 games, cycle 11" in text
    rows, state = onward(tmp_path)
    assert_same_rows(read_metrics(config.metrics_path), rows)
    ours = state_of(config)
    assert_same_state(ours, state)
    course, theirs = ours["counted"]["course"], state["counted"]["course"]
    assert course.keys() == theirs.keys()
    for name in ("stage", "rows_due", "rows_done", "forgotten", "looks", "finished"):
        assert course[name] == theirs[name], name
