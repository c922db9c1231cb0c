"""A run goes on on another machine from what the first one sent away, and counts exactly."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from learning import learn, run

from zebfast.cli.learn import command
from zebfast.exchange import ExchangeError, LocalWeightStore, StoreOptions, TransientError
from zebfast.exchange.mirror.mirror import Mirror
from zebfast.learner.config import LearnerConfig
from zebfast.learner.metrics import read_metrics
from zebfast.learner.resume import StartError
from zebfast.learner.snapshots import CHECKPOINT, METRICS
from zebfast.net import checkpoint as model_file
from zebfast.net.v1 import SIZES

AddFile = Callable[..., str]


class Site:
    """Weights and examples that all machines see, a mirror, and machines with their own files."""

    def __init__(self, make_config: Callable[..., LearnerConfig], tmp_path: Path) -> None:
        self._make, self._root = make_config, tmp_path
        self.far = tmp_path / "far" / "model"

    def on(self, machine: str, **changes: Any) -> LearnerConfig:
        home = self._root / machine
        base = {
            "stores": StoreOptions(state_dir=home, retry_seconds=0.01),
            "replay_cache_dir": home / "cache",
            "sync_to": f"file://{self.far.parent}",
            "snapshot_every": 1,
            "max_cycles": 2,
        }
        return self._make(**(base | changes))

    def state(self) -> dict[str, Any]:
        config = self.on("reader")
        state = LocalWeightStore(config.weights.path, config.namespace).read_state()
        assert state is not None
        return state

    def states(self) -> list[Path]:
        """Folders at the mirror, by step."""
        return sorted(self.far.glob("step-*"))


@pytest.fixture
def site(make_config: Callable[..., LearnerConfig], tmp_path: Path) -> Site:
    return Site(make_config, tmp_path)


@pytest.fixture
def examples(site: Site) -> Path:
    path = site.on("one").examples.path
    assert path is not None
    return path


def said(lines: list[str], words: str) -> str:
    """The one line with these words."""
    [line] = [line for line in lines if words in line]
    return line


def test_the_furthest_state_is_gone_on_from_though_an_older_has_a_later_time(
    site: Site, add_file: AddFile, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_file(examples, 1)
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time", lambda now=time.time: now() + 600)
        run(site.on("one", max_cycles=3))
    run(site.on("two"))
    shutil.rmtree(site.on("one").weights.path)
    add_file(examples, 1)
    lines = run(site.on("three", max_cycles=1))
    assert "cycle 5," in said(lines, "Resumed from")
    assert site.state()["step"] == 6


def test_a_fresh_machine_goes_on_with_everything(
    site: Site, add_file: AddFile, examples: Path
) -> None:
    names = [add_file(examples, number) for number in (1, 2)]
    run(site.on("one", max_cycles=3))
    for name in names:  # as pruning does: the replay buffer must come from the snapshot
        (examples / name).unlink()
    lines = run(site.on("two", checkpoint=None))
    assert "cycle 3, 4 games, optimizer, replay buffer" in said(lines, "Resumed from file://")
    said(lines, "Continuing model.ckpt from cycle 3, optimizer included")
    said(lines, "examples from 2 files")
    state = site.state()
    assert (state["step"], state["total_games"], state["optimizer_steps"]) == (5, 4, 20)
    rows = read_metrics(site.on("two").metrics_path)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]


def test_a_snapshot_from_before_its_weights_were_published_is_known_again(
    site: Site, add_file: AddFile, examples: Path
) -> None:
    """Kept after a cycle that is not published, which the end of the run then is."""
    add_file(examples, 1)
    run(site.on("one", max_cycles=3, push_every=2))
    lines = run(site.on("two", checkpoint=None))
    said(lines, "Continuing model.ckpt from cycle 3, optimizer included")
    assert site.state()["optimizer_steps"] == 20


def test_the_machine_that_has_it_all_fetches_nothing(
    site: Site, add_file: AddFile, examples: Path
) -> None:
    add_file(examples, 1)
    run(site.on("one"))
    lines = run(site.on("one"))
    assert not any("Resumed" in line for line in lines)
    said(lines, "optimizer included")


def test_an_older_state_gives_way(site: Site, add_file: AddFile, examples: Path) -> None:
    add_file(examples, 1)
    run(site.on("one"))
    run(site.on("two"))
    lines = run(site.on("one"))
    assert "cycle 4" in said(lines, "Resumed from")
    assert site.state()["optimizer_steps"] == 24


def test_never_means_the_published_weights(site: Site, add_file: AddFile, examples: Path) -> None:
    add_file(examples, 1)
    run(site.on("one"))
    lines = run(site.on("two", resume="never"))
    assert not any("Resumed" in line or "optimizer included" in line for line in lines)
    assert (site.state()["step"], site.state()["total_games"]) == (4, 2)


@pytest.mark.parametrize("keep", [1, 0])
def test_published_weights_newer_than_the_snapshot_win_and_count(
    site: Site, add_file: AddFile, examples: Path, keep: int
) -> None:
    """The machine was lost after it had pushed, and before the mirror had the state of it."""
    add_file(examples, 1)
    run(site.on("one"))
    for number in (2, 3):
        add_file(examples, number)
    run(site.on("one", sync_to=None, snapshot_every=0, keep_example_files=keep))
    lost = site.state()
    assert (lost["step"], lost["total_games"], lost["optimizer_steps"]) == (4, 6, 16)
    add_file(examples, 4)
    lines = run(site.on("two"))
    assert "cycle 2, 2 games" in said(lines, "Resumed from")
    assert "with the optimizer of step 2" in said(lines, "Step 4 was published after")
    state = site.state()
    assert (state["step"], state["total_games"], state["optimizer_steps"]) == (6, 8, 24)
    assert state["counted"]["streams"]["selfplay-mcts"]["files"] == 4


def test_the_same_weights_published_later_with_more_files_counted(
    site: Site, add_file: AddFile, examples: Path
) -> None:
    """What a run that only ingested publishes at its end, before it prunes those files."""
    add_file(examples, 1)
    run(site.on("one"))
    add_file(examples, 2)
    none = {"min_buffer_size": 1000, "replay_buffer_size": 1000, "max_minutes": 0.003}
    run(site.on("one", sync_to=None, snapshot_every=0, keep_example_files=1, **none))
    assert (site.state()["step"], site.state()["total_games"]) == (2, 4)
    for path in examples.glob("*.safetensors"):
        path.unlink()
    lines = run(site.on("two", min_buffer_size=1))
    said(lines, "optimizer included")
    assert (site.state()["step"], site.state()["total_games"]) == (4, 4)
    assert site.state()["optimizer_steps"] == 16


def test_eval_aux_files_counted_between_pushes_are_counted_once(
    site: Site, add_file: AddFile, examples: Path
) -> None:
    """The state is renewed between pushes, with counts that are ahead of its list of files."""
    add_file(examples, 1)
    run(site.on("one"))
    name = add_file(examples, 2, source="eval-eq-zeb", worker_id="w")
    store = LocalWeightStore(site.on("one").weights.path, site.on("one").namespace)
    store.update_state({"eval_aux_games": 2})  # as the renewal of a machine that is then lost
    run(site.on("two", resume="never"))
    assert name in site.state()["ingested"]
    assert site.state()["eval_aux_games"] == 2


def test_reverted_weights_get_a_fresh_optimizer(
    site: Site, add_file: AddFile, examples: Path
) -> None:
    add_file(examples, 1)
    run(site.on("one"))
    config = site.on("one")
    store = LocalWeightStore(config.weights.path, config.namespace)
    pulled = store.pull()
    assert pulled is not None
    older = {name: weight * 0.5 for name, weight in pulled.state_dict.items()}
    store.publish(
        older, pulled.config,
        {**pulled.state, "step": 9, "reverted_at": 9, "optimizer_steps": 99},
    )  # fmt: skip
    said(run(site.on("two")), "with a fresh optimizer")
    assert site.state()["step"] == 11


@pytest.mark.parametrize("how", ["cut", "half", "pointer", "gone"])
def test_what_is_damaged_is_passed_over(
    site: Site, add_file: AddFile, examples: Path, how: str
) -> None:
    add_file(examples, 1)
    run(site.on("one", max_cycles=3))
    newest = site.states()[-1]
    if how == "cut":
        (newest / CHECKPOINT).write_bytes((newest / CHECKPOINT).read_bytes()[:-1])
    elif how == "half":
        (newest / CHECKPOINT).unlink()
    elif how == "gone":
        shutil.rmtree(newest)
    else:
        (site.far / "latest.json").write_bytes(b"{")
    lines = run(site.on("two"))
    if how == "pointer":
        assert "cycle 3" in said(lines, "Resumed from")
        said(lines, "latest.json is damaged")
    else:
        assert "cycle 2" in said(lines, "Resumed from")
        assert newest.name in said(lines, "looking at the state before it")
    assert site.state()["total_games"] == 2
    assert not list((site.on("two").snapshots_path).glob(".*"))


@pytest.mark.parametrize("newest_is_damaged", [False, True])
def test_a_damaged_checkpoint_is_replaced_from_the_snapshots_here(
    site: Site, add_file: AddFile, examples: Path, newest_is_damaged: bool
) -> None:
    add_file(examples, 1)
    config = site.on("one", sync_to=None)
    run(config)
    config.checkpoint_path.unlink()  # it shares its bytes with the newest snapshot
    config.checkpoint_path.write_bytes(b"damaged")
    if newest_is_damaged:
        path = max(config.snapshots_path.glob("step-*")) / METRICS
        path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    lines = run(config)
    step = 1 if newest_is_damaged else 2
    assert f"cycle {step}, 2 games" in said(lines, f"Resumed from {config.snapshots_path}")
    assert any("its SHA-256 differs" in line for line in lines) is newest_is_damaged
    assert (site.state()["step"], site.state()["total_games"]) == (4, 2)


def test_a_lost_namespace_is_published_again(
    site: Site, add_file: AddFile, examples: Path, tmp_path: Path
) -> None:
    """Weights in a directory of the machine that is gone."""
    add_file(examples, 1)
    run(site.on("one", push_every=100, max_cycles=3))
    before = site.state()
    for name in ("model.pt", "config.json", "training_state.json"):
        (tmp_path / "run" / name).unlink()
    lines = run(site.on("two"))
    assert "cycle 3, 2 games" in said(lines, "Resumed from")
    said(lines, "published those of the snapshot")
    said(lines, "optimizer included")
    after = site.state()
    assert after["lineage"] == before["lineage"]
    assert (after["step"], after["total_games"]) == (5, 2)


def test_a_lost_namespace_is_not_published_over_another_network(
    site: Site, add_file: AddFile, examples: Path, tmp_path: Path
) -> None:
    add_file(examples, 1)
    run(site.on("one"))
    for name in ("model.pt", "config.json", "training_state.json"):
        (tmp_path / "run" / name).unlink()
    other = tmp_path / "other.pt"
    model_file.save(model_file.fresh(SIZES["small"], seed=2), other)
    with pytest.raises(StartError, match="different network"):
        learn(site.on("two", checkpoint=other), say=lambda _line: None)
    assert not (tmp_path / "run" / "model.pt").exists()


def test_another_run_does_not_touch_the_states(
    site: Site, add_file: AddFile, examples: Path, make_config: Callable[..., LearnerConfig]
) -> None:
    add_file(examples, 1)
    run(site.on("one"))
    before = site.states()
    other = make_config("other", sync_to=site.on("one").sync_to, snapshot_every=1, max_cycles=1)
    add_file(other.examples.path, 1)
    with pytest.raises(Exception, match="another run"):
        learn(replace(other, resume="never"), say=lambda _line: None)
    assert site.states() == before


def test_a_mirror_that_is_away_keeps_only_those_waiting_who_need_it(
    site: Site, add_file: AddFile, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_file(examples, 1)
    run(site.on("one"))
    probe, failures = Mirror.probe, [TransientError("the mirror is away")] * 3

    def away(self: Mirror) -> None:
        if failures:
            raise failures.pop()
        probe(self)

    monkeypatch.setattr(Mirror, "probe", away)
    said(run(site.on("one")), "going on with it")
    lines = run(site.on("two"))
    assert len([line for line in lines if "cannot start yet" in line]) == 2
    said(lines, "Resumed from")


def test_a_wrong_place_ends_the_start_before_anything_is_made(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExchangeError, match="correct --sync-to"):
        learn(site.on("one", sync_to=f"file://{tmp_path}/file"), say=lambda _line: None)
    assert not list((tmp_path / "run").glob("*.pt"))


PLACES = ("--weights-dir", "w", "--input-dir", "e")


def test_flags() -> None:
    def settings(*flags: str) -> dict[str, Any]:
        result = CliRunner().invoke(command, [*PLACES, *flags, "--dry-run"])
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.output)
        return found

    plain = settings()
    assert (plain["snapshot_every"], plain["keep_snapshots"], plain["disk_limit"]) == (0, 3, 90)
    assert (plain["resume"], plain["sync_to"], plain["push_seconds"]) == ("auto", None, 0)
    synced = settings("--sync-to", "s3://bucket/x", "--sync-endpoint", "http://127.0.0.1:9")
    assert (synced["snapshot_every"], synced["push_seconds"]) == (25, 0)
    assert settings("--sync-to", "hf://me/x")["push_seconds"] == 180  # each state is a commit
    assert settings("--sync-to", "hf://buckets/me/x", "--snapshot-every", "3")["push_seconds"] == 0


@pytest.mark.parametrize(
    "flags",
    [
        ("--sync-to", "bucket/folder"),
        ("--sync-to", "s3://key:hidden@bucket"),
        ("--sync-endpoint", "http://127.0.0.1:9"),
        ("--keep-snapshots", "0"),
        ("--disk-limit", "101"),
        ("--resume", "maybe"),
    ],
)
def test_wrong_flags_exit_2(flags: tuple[str, str]) -> None:
    result = CliRunner().invoke(command, [*PLACES, *flags])
    assert result.exit_code == 2, result.output
    assert flags[0].strip("-").replace("-", "_") in result.output.replace("-", "_")
    assert "hidden" not in result.output
