"""Several ranks that share every batch: the same network as one, replicas, ends, resumption."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from learning import run, state_of
from rank_threads import ThreadGroup, followers, place_of_rank_0, run_on
from taught import add_taught_file, taught_games, tiny_recipe

from zebfast.cli.learn import command
from zebfast.core.observe import games_to_examples
from zebfast.core.records import EXAMPLE_EVAL_AUX
from zebfast.learner.config import LearnerConfig
from zebfast.learner.data.replay import ReplayMixture, packed_rows
from zebfast.learner.ranks import supervisor
from zebfast.learner.ranks.group import meet
from zebfast.learner.ranks.leader import Leader
from zebfast.learner.ranks.memory import CommonMemory, roomy_file
from zebfast.learner.ranks.place import RANK_LOST, RankLost, RankPlace, launched
from zebfast.learner.ranks.supervisor import Patience, RanksFailed, supervise
from zebfast.learner.state import load_checkpoint
from zebfast.learner.train.losses import compute_losses, target_counts, unpack_batch
from zebfast.learner.train.trainer import ReplicasParted, Trainer, TrainReport
from zebfast.net import checkpoint as model_file
from zebfast.net.v1 import NetConfig
from zebfast.net.v2 import V2Config
from zebfast.selfplay.play_values import labelled_examples
from zebfast.system.machine import interface_towards

Make = Callable[..., LearnerConfig]
AddFile = Callable[..., str]
TINY_V2 = V2Config(width=16, n_blocks=1, belief_head=True)
TINY_V1 = NetConfig(embed_dim=16, n_heads=2, n_layers=1, ff_dim=16, belief_head=True)


@pytest.fixture
def v2_path(tmp_path: Path) -> Path:
    path = tmp_path / "v2.pt"
    model_file.save(model_file.fresh(TINY_V2, seed=0), path)
    return path


def filled(config: LearnerConfig, make_games: Callable[..., np.ndarray]) -> ReplayMixture:
    """Self-play, a teacher's labels and evaluation games."""
    mixture = ReplayMixture(config)
    mixture.selfplay.add(games_to_examples(make_games(3, seed=3)))
    mixture.selfplay.add(labelled_examples(games_to_examples(taught_games(2, seed=4))))
    mixture.add_eval_aux(games_to_examples(make_games(2, seed=5)))
    return mixture


def trained(
    world: int,
    config: LearnerConfig,
    make_games: Callable[..., np.ndarray],
    *,
    sees_memory: bool = True,
) -> tuple[Trainer, TrainReport]:
    """A trainer after some steps on so many ranks, whose replicas are equal."""
    net = model_file.fresh(TINY_V2, seed=0).network()
    mixture = filled(config, make_games)
    if world == 1:
        trainer = Trainer(net, config)
        return trainer, trainer.train(mixture, n_steps=7, should_stop=lambda: False)
    with followers(config, world, sees_memory=sees_memory) as group:
        leader = Leader(group, place_of_rank_0(world), timeout=20)
        trainer = Trainer(net, config, leader=leader)
        trainer.share()
        report = trainer.train(mixture, n_steps=7, should_stop=lambda: False)
        trainer.compare_replicas()
        leader.close()
    return trainer, report


def test_any_number_of_ranks_trains_the_same_network(
    make_config: Make, make_games: Callable[..., np.ndarray]
) -> None:
    """To the bit for one number of them; to rounding, a millionth here, for different ones."""
    config = make_config(batch_size=10, lr=1e-3, ema=0.9)  # which three ranks cannot share evenly
    one, told = trained(1, config, make_games)
    for world in (2, 3):
        ours, report = trained(world, config, make_games)
        again, _ = trained(world, config, make_games, sees_memory=False)
        assert ours.digest() == again.digest()
        for mine, theirs in ((ours.net.state_dict(), one.net.state_dict()),
                             (ours.weights(), one.weights())):  # fmt: skip
            for name, weight in theirs.items():
                np.testing.assert_allclose(mine[name], weight, rtol=0, atol=1e-6, err_msg=name)
        assert report.means.keys() == told.means.keys()
        alike = {name for name in told.means if "loss" in name or "norm" in name}
        for name in alike:
            assert report.means[name] == pytest.approx(told.means[name], rel=1e-4), name


def test_v1_ranks_drop_out_each_for_themselves(
    make_config: Make, make_games: Callable[..., np.ndarray]
) -> None:
    """So another number of ranks draws other masks; the same number draws the same."""
    config = make_config(batch_size=10, lr=1e-3)
    mixture = filled(config, make_games)
    digests = []
    for _ in range(2):
        with followers(config, 2) as group:
            leader = Leader(group, place_of_rank_0(2), timeout=20)
            trainer = Trainer(model_file.fresh(TINY_V1, seed=0).network(), config, leader=leader)
            trainer.share()
            trainer.train(mixture, n_steps=3, should_stop=lambda: False)
            trainer.compare_replicas()
            digests.append(trainer.digest())
            leader.close()
    assert digests[0] == digests[1]


@pytest.mark.parametrize("net", [TINY_V2, TINY_V1, replace(TINY_V1, belief_head=False)])
def test_counts_of_packed_rows_are_those_of_the_loss(
    net: V2Config | NetConfig, make_games: Callable[..., np.ndarray]
) -> None:
    records = np.concatenate([
        games_to_examples(make_games(3, seed=3)),
        labelled_examples(games_to_examples(taught_games(2, seed=4))),
    ])  # fmt: skip
    rng = np.random.default_rng(0)
    records["flags"] &= rng.choice([0xFFFF, 0xFFFE, 0xFFFD], len(records)).astype(np.uint16)
    records["flags"] |= rng.choice([0, EXAMPLE_EVAL_AUX], len(records)).astype(np.uint16)
    rows = packed_rows(records).reshape(2, -1, records.itemsize)
    module = model_file.fresh(net, seed=0).network()
    counts = target_counts(
        rows, has_belief_head=net.belief_head, has_points_head=isinstance(net, V2Config)
    )
    for batch_rows, found in zip(rows, counts, strict=True):
        batch = unpack_batch(torch.from_numpy(batch_rows), module.prepare)
        want = compute_losses(module.run(batch.inputs), batch).counts
        assert np.array_equal(found, want.numpy())
    assert (counts > 0).any(axis=(0, 2)).all()  # every source


def test_every_head_is_in_every_graph(
    make_config: Make, make_games: Callable[..., np.ndarray]
) -> None:
    """Of one process, too: a head without a gradient would be left out by the optimizer there."""
    config = make_config(batch_size=4)
    bare = games_to_examples(make_games(1, seed=3))
    bare["flags"] = 0  # nothing known but who won
    for net in (TINY_V2, TINY_V1):
        mixture = ReplayMixture(config)
        mixture.selfplay.add(bare)
        trainer = Trainer(model_file.fresh(net, seed=0).network(), config)
        trainer.train(mixture, n_steps=1, should_stop=lambda: False)
        assert all(weight.grad is not None for weight in trainer.net.parameters())


def test_two_and_two_cycles_are_four_on_two_ranks(
    make_config: Make, add_file: AddFile, v2_path: Path
) -> None:
    whole = make_config("whole", checkpoint=v2_path, max_cycles=4, ema=0.9)
    halves = make_config("halves", checkpoint=v2_path, max_cycles=2, ema=0.9)
    for config in (whole, halves):
        add_file(config.examples.path, 1)
    code, lines = run_on(2, whole)
    assert code == 0
    assert "  2 processes share every batch" in lines
    for before in ("", "rank 1 was ended by SIGKILL"):
        code, lines = run_on(2, halves, before=before)
        assert code == 0
    assert "  rank 1 was ended by SIGKILL: all began anew from what was saved last" in lines
    ours, theirs = (load_checkpoint(config.checkpoint_path) for config in (whole, halves))
    assert ours is not None
    assert theirs is not None
    for mine, other in ((ours.model_state_dict, theirs.model_state_dict),
                        (ours.published_weights, theirs.published_weights)):  # fmt: skip
        for name, weight in mine.items():
            assert np.array_equal(weight, other[name]), name


def test_a_run_goes_on_with_another_number_of_ranks(
    make_config: Make, add_file: AddFile, v2_path: Path
) -> None:
    config = make_config(checkpoint=v2_path, max_cycles=1, ema=0.9)
    steps = config.training.training_steps_per_cycle
    for number, world in enumerate((2, 3, 1, 2), start=1):
        add_file(config.examples.path, number)
        if world == 1:
            run(config)
        else:
            assert run_on(world, config)[0] == 0
        state = state_of(config)
        assert (state["step"], state["optimizer_steps"]) == (number, number * steps)
        assert state["total_games"] == 2 * number


def test_a_recipe_runs_on_two_ranks(make_config: Make) -> None:
    """Stages, a buffer that is forgotten, the guard, the best network, the end."""
    config = make_config(recipe=tiny_recipe(), checkpoint=None, eval_every=0, max_reuse=0.0)
    for number in range(4):
        add_taught_file(config.examples.path, number)
    code, lines = run_on(2, config)
    assert code == 0
    assert any("Recipe tiny is done" in line for line in lines)
    assert config.best_path.exists()
    assert state_of(config)["recipe"]["finished"]


def test_ranks_that_part_end_before_anything_of_it_is_saved(
    make_config: Make, add_file: AddFile, v2_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(checkpoint=v2_path, max_cycles=1)
    add_file(config.examples.path, 1)
    assert run_on(2, config)[0] == 0
    saved, published = config.checkpoint_path.read_bytes(), state_of(config)
    follow = Trainer.follow

    def astray(self: Trainer, *args: Any) -> None:
        follow(self, *args)
        with torch.no_grad():
            next(self.net.parameters()).view(-1)[0] += 1e-7

    monkeypatch.setattr(Trainer, "follow", astray)
    with pytest.raises(ReplicasParted, match="rank 1 no longer has the weights of rank 0"):
        run_on(2, config)
    assert config.checkpoint_path.read_bytes() == saved
    assert state_of(config)["step"] == published["step"]


def test_a_lost_rank_ends_the_others_and_what_was_saved_stays(
    make_config: Make, add_file: AddFile, v2_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(checkpoint=v2_path, max_cycles=1)
    add_file(config.examples.path, 1)
    assert run_on(2, config)[0] == 0
    saved = config.checkpoint_path.read_bytes()

    def dies(self: Trainer, *_: Any) -> None:
        assert self._shared is not None
        group: Any = self._shared._group
        group.meeting.break_off()
        raise RankLost("gone")

    monkeypatch.setattr(Trainer, "follow", dies)
    code, lines = run_on(2, config)
    assert code == RANK_LOST
    assert "has lost another rank" in lines[-1]
    assert config.checkpoint_path.read_bytes() == saved
    monkeypatch.undo()
    assert run_on(2, config)[0] == 0
    assert state_of(config)["step"] == 2


def test_a_stop_that_reaches_rank_0_twice_is_one(
    make_config: Make, add_file: AddFile, v2_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm and systemd signal every process, and a supervisor or torchrun passes it on."""
    config = make_config(checkpoint=v2_path, max_cycles=3)
    add_file(config.examples.path, 1)
    ended: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: ended.append(number))
    step = Trainer._next_rate

    def stopped_twice(self: Trainer) -> float:
        for _ in range(2 if self.optimizer_steps == 1 else 0):
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self)

    monkeypatch.setattr(Trainer, "_next_rate", stopped_twice)
    try:
        code, _ = run_on(2, config)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (code, ended) == (128 + signal.SIGTERM, [])
    assert state_of(config)["optimizer_steps"] == 2


def test_a_rank_that_is_gone_is_noticed_while_nothing_is_trained(make_config: Make) -> None:
    config = make_config(max_minutes=1.0)  # it waits for examples
    lost = threading.Event()

    def look(group: ThreadGroup) -> None:
        lost.set()

    with followers(config, 2, look) as group:
        leader = Leader(group, place_of_rank_0(2), timeout=0.05)
        time.sleep(0.2)  # it has said several times that it lives
        assert leader.error is None
        group.meeting.break_off()
        deadline = time.monotonic() + 10
        while leader.error is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert leader.error is not None
        with pytest.raises(RankLost):
            leader.compare(1)
        leader.close()
    assert lost.is_set()


def test_an_error_within_a_step_leaves_nobody_waiting(
    make_config: Make, make_games: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(batch_size=4)
    with followers(config, 2) as group:
        leader = Leader(group, place_of_rank_0(2), timeout=20)
        trainer = Trainer(model_file.fresh(TINY_V2, seed=0).network(), config, leader=leader)
        trainer.share()
        mixture = filled(config, make_games)

        def fail(*_: Any) -> None:
            raise MemoryError

        monkeypatch.setattr(trainer, "_forward", fail)
        with pytest.raises(MemoryError):
            trainer.train(mixture, n_steps=1, should_stop=lambda: False)
        assert leader.error is not None
        group.meeting.break_off()  # as the end of the process does
        leader.close()


# --- who begins them ------------------------------------------------------------------------------

TORCHRUN = {
    "RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node", "MASTER_PORT": "29500", "TORCHELASTIC_USE_AGENT_STORE": "True",
}  # fmt: skip


def test_torchrun_tells_a_rank_its_place() -> None:
    place = launched(TORCHRUN)
    assert place is not None
    assert (place.rank, place.world, place.local_rank, place.local_world) == (1, 4, 1, 2)
    assert (place.address, place.port, place.serves) == ("node", 29500, False)
    assert not place.is_one_machine
    assert (place.device("cuda"), place.device("cpu")) == ("cuda:1", "cpu")
    alone = launched({name: TORCHRUN[name] for name in ("MASTER_ADDR", "MASTER_PORT")}
                     | {"RANK": "0", "WORLD_SIZE": "2"})  # fmt: skip
    assert alone is not None
    assert alone.serves
    assert launched({"RANK": "1", "WORLD_SIZE": "4"}) is None  # somebody else's
    assert launched({}) is None


@pytest.mark.parametrize(
    ("changes", "flags", "sentence"),
    [
        ({"RANK": "one"}, (), "RANK is 'one', expected a whole number"),
        ({"RANK": "4"}, (), "rank 4 of 4"),
        ({}, ("--processes", "2"), "--processes is torchrun's to say"),
        ({}, ("--batch-size", "3"), "a batch of 3 examples cannot be shared by 4 processes"),
        (None, ("--processes", "9", "--batch-size", "8"), "cannot be shared by 9 processes"),
        (None, ("--processes", "0"), "--processes"),
        (None, ("--rank-timeout", "0"), "--rank-timeout"),
    ],
)
def test_ranks_that_cannot_be_are_refused(
    tmp_path: Path, changes: dict[str, str] | None, flags: tuple[str, ...], sentence: str
) -> None:
    place = ["--repo-id", str(tmp_path / "run"), "--input-dir", str(tmp_path)]
    env = {} if changes is None else TORCHRUN | changes
    result = CliRunner().invoke(command, [*place, *flags], env=env)
    assert result.exit_code == 2, result.output
    assert sentence in result.output
    assert not (tmp_path / "run").exists()


def test_ranks_meet_over_what_dead_ones_left() -> None:
    store = torch.distributed.HashStore()
    store.set_timeout(timedelta(seconds=20))
    for rank in (1, 2):
        store.set(f"word/{rank}", "of the dead")
    tokens: dict[int, str] = {}

    def come(rank: int) -> None:
        tokens[rank] = meet(store, rank, 3, seconds=20)

    def all_come() -> None:
        threads = [threading.Thread(target=come, args=(rank,)) for rank in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    all_come()
    first = set(tokens.values())
    all_come()
    second = set(tokens.values())
    assert (len(first), len(second), len(first | second)) == (1, 1, 2)


def test_a_rank_that_does_not_come_is_named() -> None:
    store = torch.distributed.HashStore()
    with pytest.raises(RankLost, match="of 2 ranks, number 1 did not come within 0 s"):
        meet(store, 0, 2, seconds=0)


# --- memory that ranks of one machine share ---


def memories(world: int, n: int, *, timeout: float = 20.0) -> list[CommonMemory]:
    """Each rank's view, as its process has it."""
    file = roomy_file(CommonMemory.size(n, world))
    assert file is not None
    with file:
        return [
            CommonMemory(file.name, n=n, rank=rank, world=world, timeout=timeout)
            for rank in range(world)
        ]


def test_ranks_see_what_others_wrote_before_they_came() -> None:
    views, n_turns, seen = memories(3, 4), 50, []

    def live(view: CommonMemory, rank: int) -> None:
        for turn in range(n_turns):
            view.tensors[rank].fill_(turn + rank)
            view.wait_for_all()
            seen.append([int(each[0]) for each in view.tensors] == [turn, turn + 1, turn + 2])
            view.wait_for_all()

    threads = [threading.Thread(target=live, args=each[::-1]) for each in enumerate(views)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 3 * n_turns


def test_each_step_is_heard_once() -> None:
    """Rank 0 never tells of a step before the one before it was made by all."""
    first, second = memories(2, 1)
    heard: list[float] = []

    def follow() -> None:
        while not np.isnan(rate := second.hear_step()):
            heard.append(rate)
            second.wait_for_all()

    thread = threading.Thread(target=follow)
    thread.start()
    for rate in (1e-3, 2e-3, 2e-3):
        first.tell_step(rate)
        first.wait_for_all()
    first.tell_step(np.nan)
    thread.join()
    assert heard == [1e-3, 2e-3, 2e-3]


def test_a_rank_that_does_not_come_or_has_ended_is_lost() -> None:
    late, _ = memories(2, 1, timeout=0.01)
    with pytest.raises(RankLost, match="has lost rank 1, which did not come in 0 s"):
        late.wait_for_all()
    widow, _ = memories(2, 1)
    ended = os.fork()
    if not ended:
        os._exit(0)  # and is a zombie from then on
    widow._words[8 + 1] = ended
    with pytest.raises(RankLost, match="has lost rank 1, which has ended"):
        widow.wait_for_all()
    os.waitpid(ended, 0)


def test_the_way_to_another_machine_is_an_interface() -> None:
    assert interface_towards("127.0.0.1", 9) == "lo"
    assert interface_towards("no such host.", 9) is None


# --- a supervisor of ours, over processes that train nothing --------------------------------------

QUICK = Patience(halted=0.2, grace=0.5, failures=2, first_pause=0.01)


def begun(folder: Path, place: RankPlace) -> int:
    """Which start this is, from 1 on: the name of each is that of its meeting place."""
    assert place.file is not None
    (folder / f"start-{place.file.name}").touch()
    return len(list(folder.glob("start-*")))


def wait_for_the_end() -> int:
    time.sleep(20)
    return RANK_LOST


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("victim", [0, 1])
def test_ranks_begin_anew_where_one_was_killed_or_stands_still(
    tmp_path: Path, number: int, victim: int
) -> None:
    def act(place: RankPlace) -> int:
        first = begun(tmp_path, place) == 1 and not place.before
        if not first:
            (tmp_path / f"told-{place.rank}").write_text(place.before)
            return 0
        if place.rank == victim:
            os.kill(os.getpid(), number)
        return wait_for_the_end()

    assert supervise(2, act, QUICK) == 0
    assert len(list(tmp_path.glob("start-*"))) == 2
    told = [(tmp_path / f"told-{rank}").read_text() for rank in range(2)]
    assert told == [f"rank {victim} was ended by SIGKILL"] * 2


def test_a_rank_that_lost_another_is_no_end(tmp_path: Path) -> None:
    def act(place: RankPlace) -> int:
        if place.before:
            return 7 if place.rank == 0 else 0
        return RANK_LOST if place.rank == 0 else 3

    assert supervise(2, act, QUICK) == 7


def test_ranks_that_never_get_anywhere_are_given_up(tmp_path: Path) -> None:
    def act(place: RankPlace) -> int:
        begun(tmp_path, place)
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    with pytest.raises(RanksFailed, match=r"ended by SIGKILL, and so it went 2 times"):
        supervise(2, act, QUICK)
    assert len(list(tmp_path.glob("start-*"))) == 2


def test_starts_that_have_something_to_save_are_not_counted(tmp_path: Path) -> None:
    def act(place: RankPlace) -> int:
        n = begun(tmp_path, place)
        assert place.progressed is not None
        if place.rank == 0:
            place.progressed[0] = 1
        return RANK_LOST if n < 5 else 0

    assert supervise(1, act, QUICK) == 0


def test_a_stop_is_rank_0s_to_act_on(tmp_path: Path) -> None:
    def act(place: RankPlace) -> int:
        if place.rank:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            deadline = time.monotonic() + 20
            while not (tmp_path / "end").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            return 0
        with supervisor.StopFlag() as stop:
            os.kill(place.parent, signal.SIGTERM)
            stop.wait(20)
            (tmp_path / "end").touch()
            return stop.exit_code

    assert supervise(2, act, QUICK) == 143
