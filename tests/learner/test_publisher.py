"""Publishing beside training: order, failures, and runs whose store is slow, away or taken over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from learning import learn
from listening import listening

from zebfast.exchange import ExchangeError, LocalWeightStore, NamespaceBusy, TransientError
from zebfast.learner import loop
from zebfast.learner.checkpoints import Publisher, PublishRequest
from zebfast.learner.config import LearnerConfig
from zebfast.learner.state import fingerprint, load_checkpoint

Make = Callable[..., LearnerConfig]
AddFile = Callable[..., str]


class Recorder:
    """A weight store that notes what it is told; ``errors`` are raised one a call."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.told: list[Any] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def publish(self, _weights: Any, _config: Any, state: Mapping[str, Any]) -> dict[str, Any]:
        self.entered.set()
        assert self.gate.wait(60)
        if self.errors:
            raise self.errors.pop(0)
        self.told.append(state["step"])
        return dict(state)

    def update_state(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        self.told.append(dict(changes))
        return dict(changes)

    def compact(self, _limit: int) -> str | None:
        return None


@pytest.fixture
def publish() -> Iterator[Callable[..., Publisher]]:
    made: list[Publisher] = []

    def make(store: Recorder, **pace: float) -> Publisher:
        given: dict[str, Any] = {"push_seconds": 0.0, "retry_seconds": 0.01, "squash_after": 0}
        made.append(Publisher(store, **(given | pace)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for publisher in made:
        publisher.close(10)


def weights(step: int) -> PublishRequest:
    return PublishRequest(state={"step": step}, weights={})


def renewal(**changes: int) -> PublishRequest:
    return PublishRequest(state=changes)


def drained(publisher: Publisher) -> PublishRequest | None:
    assert publisher.finish(30)
    return publisher.arrived()


def test_the_newest_request_wins(publish: Callable[..., Publisher]) -> None:
    store = Recorder()
    publisher = publish(store)
    store.gate.clear()
    publisher.submit(weights(1))
    assert store.entered.wait(30)  # the first is under way
    for step in (2, 3, 4):
        publisher.submit(weights(step))
    assert publisher.arrived() is None
    store.gate.set()
    arrived = drained(publisher)
    assert store.told == [1, 4]
    assert arrived is not None
    assert arrived.state["step"] == 4


def test_passing_failures_are_tried_again_and_said_once(publish: Callable[..., Publisher]) -> None:
    away = [TransientError("the Hub is away") for _ in range(3)]
    store = Recorder(*away, TransientError("another reason"))
    publisher = publish(store)
    lines: list[str] = []
    with listening(lines.append):
        publisher.submit(weights(1))
        drained(publisher)
    assert store.told == [1]
    assert lines == [
        "  push error (will retry): the Hub is away",
        "  push error (will retry): another reason",
    ]


def test_a_renewal_goes_with_the_push_that_waits(publish: Callable[..., Publisher]) -> None:
    store = Recorder()
    publisher = publish(store, push_seconds=3600.0)
    publisher.submit(weights(1))
    drained(publisher)
    publisher.submit(renewal(a=1))
    publisher.submit(weights(2))
    publisher.submit(renewal(a=2))
    arrived = drained(publisher)  # which does not wait for the hour to pass
    assert store.told == [1, 2]
    assert arrived is not None
    assert arrived.state == {"step": 2, "a": 2}
    publisher.submit(renewal(a=3))
    drained(publisher)
    assert store.told == [1, 2, {"a": 3}]


def test_what_cannot_be_helped_is_handed_on(publish: Callable[..., Publisher]) -> None:
    publisher = publish(Recorder(NamespaceBusy("taken over")))
    publisher.submit(weights(1))
    assert drained(publisher) is None
    assert isinstance(publisher.error, NamespaceBusy)


def test_finish_gives_up_when_its_time_is_over(publish: Callable[..., Publisher]) -> None:
    store = Recorder()
    publisher = publish(store)
    store.gate.clear()
    publisher.submit(weights(1))
    assert store.entered.wait(30)
    assert not publisher.finish(0.01)
    store.gate.set()


class Shared:
    """What the stores of one test share."""

    gate = threading.Event()
    error: ExchangeError | None = None
    start_errors = 0
    fail_hold = False
    takes_over: list[bool]


class Watched(LocalWeightStore):
    """A store that blocks or fails as ``Shared`` says."""

    def pull(self, **arguments: Any) -> Any:
        if Shared.start_errors:
            Shared.start_errors -= 1
            raise TransientError("no route to the Hub")
        return super().pull(**arguments)

    def publish(self, state_dict: Any, config: Any, state: Any) -> dict[str, Any]:
        if state["step"]:
            assert Shared.gate.wait(60)
            if Shared.error is not None:
                raise Shared.error
        return super().publish(state_dict, config, state)

    @contextmanager
    def hold(self, owner: str, *, take_over: bool = False) -> Iterator[None]:  # type: ignore[override]
        Shared.takes_over.append(take_over)
        if Shared.fail_hold:
            Shared.fail_hold = False
            raise TransientError("the lease cannot be read")
        with super().hold(owner):
            yield


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    Shared.gate.clear()
    Shared.error, Shared.start_errors, Shared.fail_hold = None, 0, False
    Shared.takes_over = []

    def open_weights(place: Any, namespace: Any, **_more: Any) -> Watched:
        return Watched(place.path, namespace)

    monkeypatch.setattr(loop, "open_weights", open_weights)


def test_training_goes_on_while_weights_are_pushed(make_config: Make, add_file: AddFile) -> None:
    """The first push ends only when cycle 10 is over, and only the newest follows it."""
    config = make_config(max_cycles=12)
    add_file(config.examples.path, 1)

    def say(line: str) -> None:
        if line.startswith("Cycle   10:"):
            Shared.gate.set()

    assert learn(config, say=say) == 0
    weights = LocalWeightStore(config.stores.state_dir, config.namespace).pull()
    assert weights is not None
    assert weights.step == 12


def test_a_start_waits_for_the_hub(make_config: Make, add_file: AddFile) -> None:
    config = make_config(max_cycles=1, take_over=True)
    config = replace(config, stores=replace(config.stores, retry_seconds=0.01))
    add_file(config.examples.path, 1)
    Shared.gate.set()
    Shared.start_errors, Shared.fail_hold = 3, True
    lines: list[str] = []
    assert learn(config, say=lines.append) == 0
    assert sum("cannot start yet" in line for line in lines) == 4
    assert sum(line.startswith("Bootstrapped") for line in lines) == 1
    assert Shared.takes_over == [True, True]


def test_a_dispossessed_learner_ends_and_keeps_what_it_trained(
    make_config: Make, add_file: AddFile
) -> None:
    config = make_config(checkpoint_every=1000, push_every=2, training_steps_per_cycle=2)
    add_file(config.examples.path, 1)
    Shared.gate.set()
    Shared.error = NamespaceBusy("another learner took this namespace over")
    with pytest.raises(NamespaceBusy, match="took this namespace over"):
        learn(config, say=lambda _line: None)
    saved = load_checkpoint(config.stores.state_dir / "model.ckpt")
    assert saved is not None
    assert saved.progress.step >= 2
    assert saved.progress.total_games == 2


def test_many_pushes_that_never_landed_do_not_hide_the_one_that_did(
    make_config: Make, add_file: AddFile
) -> None:
    """The Hub goes away after cycle 2, for so long that 40 snapshots are handed over meanwhile."""
    config = make_config()
    add_file(config.examples.path, 1)
    Shared.gate.set()
    store = LocalWeightStore(config.stores.state_dir, config.namespace)

    def die(line: str) -> None:
        if line.startswith("Cycle    3:"):
            Shared.error = TransientError("the Hub is away")
        if line.startswith("Cycle   45:"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(config, say=die)
    assert (store.read_state() or {})["step"] <= 3
    Shared.error = None
    lines: list[str] = []
    assert learn(replace(config, max_cycles=1), say=lines.append) == 0
    assert any(line.startswith("Continuing model.ckpt from cycle 44") for line in lines)
    assert (store.read_state() or {})["step"] == 45


def test_weights_of_a_push_that_outlived_newer_checkpoints_are_own(
    make_config: Make, add_file: AddFile
) -> None:
    """Killed when the push of cycle 2 has just landed and cycle 6 is saved."""
    config = make_config(push_every=2)
    add_file(config.examples.path, 1)
    store = LocalWeightStore(config.stores.state_dir, config.namespace)

    def die(line: str) -> None:
        if line.startswith("Cycle    6:"):
            raise KeyboardInterrupt
        if line.startswith("Cycle    5:"):
            Shared.gate.set()
            while (state := store.read_state()) is None or state["step"] < 2:
                pass

    with pytest.raises(KeyboardInterrupt):
        learn(config, say=die)
    lines: list[str] = []
    assert learn(replace(config, max_cycles=1), say=lines.append) == 0
    assert any(line.startswith("Continuing model.ckpt from cycle 5") for line in lines)


def test_own_old_weights_published_again_are_a_revert(make_config: Make, add_file: AddFile) -> None:
    config = make_config(max_cycles=1)
    add_file(config.examples.path, 1)
    Shared.gate.set()
    learn(config, say=lambda _line: None)
    store = LocalWeightStore(config.stores.state_dir, config.namespace)
    first = store.pull()
    assert first is not None
    learn(replace(config, max_cycles=2), say=lambda _line: None)
    state = store.read_state()
    assert state is not None
    store.publish(first.state_dict, first.config, {**state, "step": state["step"] + 1})
    lines: list[str] = []
    assert learn(replace(config, max_minutes=1e-9), say=lines.append) == 0
    assert any("fresh optimizer" in line for line in lines)
    saved = load_checkpoint(config.stores.state_dir / "model.ckpt")
    weights = store.pull()
    assert weights is not None
    assert saved is None or saved.progress.step <= 4
    assert all(np.array_equal(w, weights.state_dict[name]) for name, w in first.state_dict.items())
    assert weights.total_games == 2


def test_fingerprint_is_of_step_and_weights() -> None:
    weights = {"a": np.arange(4.0), "b": np.ones((2, 2))}
    same = {"b": np.ones((2, 2)), "a": np.arange(4.0)}
    assert fingerprint(3, weights) == fingerprint(3, same)
    assert fingerprint(4, weights) != fingerprint(3, weights)
    assert fingerprint(3, {**same, "b": np.ones(4)}) != fingerprint(3, weights)
    same["a"][0] = 1e-30
    assert fingerprint(3, same) != fingerprint(3, weights)
