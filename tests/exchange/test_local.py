"""The directory back end: names, atomic publishing, torn pairs, bad files, a single learner."""

from __future__ import annotations

import errno
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zebfast.exchange import (
    ExampleStore,
    ExchangeError,
    LocalExampleStore,
    LocalWeightStore,
    Namespace,
    NamespaceBusy,
    WeightStore,
    hold_namespace,
    local,
)
from zebfast.exchange.names import MAX_LISTED, bounded
from zebfast.exchange.state import pack_weights

CONFIG = {"embed_dim": 16}


def weights(value: float) -> dict[str, np.ndarray]:
    return {"w": np.full(3, value, np.float32)}


def store_in(path: Path, name: str | None = None) -> LocalWeightStore:
    return LocalWeightStore(path, Namespace.parse(name))


def test_names_of_namespaces() -> None:
    root, large = Namespace.parse(None), Namespace.parse("large")
    assert (root.weights_file, root.config_file, root.state_file, root.examples_prefix) == (
        "model.pt",
        "config.json",
        "training_state.json",
        "",
    )
    assert (large.weights_file, large.config_file, large.state_file, large.examples_prefix) == (
        "large.pt",
        "large-config.json",
        "large-state.json",
        "large",
    )
    assert Namespace.parse("model") == root
    for bad in ("../x", "a/b", ".hidden", "x.pt", "a b", "x" * 200):
        with pytest.raises(ValueError, match="weights name"):
            Namespace.parse(bad)


def test_of_endless_listings_a_part_is_looked_at() -> None:
    assert sum(1 for _ in bounded(itertools.count())) == MAX_LISTED


def test_back_end_fits_the_protocols(tmp_path: Path) -> None:
    weight_store: WeightStore = store_in(tmp_path)
    example_store: ExampleStore = LocalExampleStore(tmp_path, Namespace())
    assert weight_store.pull() is None
    assert weight_store.read_state() is None
    assert example_store.list() == []


def test_publish_and_pull(tmp_path: Path) -> None:
    store = store_in(tmp_path, "large")
    store.publish(weights(1), CONFIG, {"step": 0, "total_games": 0, "wandb_run_id": None})
    store.update_state({"note": "kept"})
    store.publish(weights(2), CONFIG, {"step": 5, "total_games": 70})
    pulled = store.pull()
    assert pulled is not None
    assert np.array_equal(pulled.state_dict["w"], weights(2)["w"])
    assert (pulled.step, pulled.total_games, pulled.config) == (5, 70, CONFIG)
    assert pulled.state["note"] == "kept"
    assert "pending" not in pulled.state
    assert store.pull(newer_than=5) is None
    assert store.pull(newer_than=4) is not None
    assert store_in(tmp_path).pull() is None
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "large-config.json",
        "large-state.json",
        "large.pt",
    ]


@pytest.mark.parametrize("n_replaced", range(4))
def test_publish_cut_short_leaves_a_readable_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_replaced: int
) -> None:
    """Killed (here: disk full) after any number of renames: old or new weights, never neither."""
    store = store_in(tmp_path)
    store.publish(weights(1), CONFIG, {"step": 1, "total_games": 1})
    with (
        replacing(monkeypatch, n_replaced),
        nullcontext() if n_replaced >= 3 else pytest.raises(OSError, match="No space"),
    ):
        store.publish(weights(2), CONFIG, {"step": 2, "total_games": 2})
    pulled = store.pull()
    assert pulled is not None
    assert pulled.state_dict["w"][0] >= pulled.step
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".tmp")]


@contextmanager
def replacing(monkeypatch: pytest.MonkeyPatch, n: int) -> Iterator[None]:
    """Only so many files are replaced: then the disk is full."""
    real, calls = os.replace, []

    def replace(source: Any, target: Any) -> None:
        if len(calls) >= n:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        calls.append(target)
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        yield


def test_a_second_publish_cut_short_still_announces_the_weights_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is killed behind its weights, the next one before them: what is there stays readable."""
    store = store_in(tmp_path)
    store.publish(weights(1), CONFIG, {"step": 1, "total_games": 1})
    for value, n_replaced in ((2, 2), (3, 1)):
        with replacing(monkeypatch, n_replaced), pytest.raises(OSError, match="No space"):
            store.publish(weights(value), CONFIG, {"step": value, "total_games": 1})
    pulled = store.pull()
    assert pulled is not None
    assert np.array_equal(pulled.state_dict["w"], weights(2)["w"])


def test_weights_that_the_state_does_not_announce_are_refused(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.publish(weights(1), CONFIG, {"step": 1, "total_games": 1})
    (tmp_path / "model.pt").write_bytes(pack_weights(weights(9))[0])
    with pytest.raises(ExchangeError, match="not the file that"):
        store.pull()


def test_weights_without_a_state_are_step_0(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(pack_weights(weights(9))[0])
    with pytest.raises(ExchangeError, match="no config"):
        store_in(tmp_path).pull()
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    pulled = store_in(tmp_path).pull()
    assert pulled is not None
    assert pulled.step == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"step": -1}', '{"step": true}', '{"step": "x"}'])
def test_bad_state_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "training_state.json").write_text(text)
    with pytest.raises(ExchangeError, match=r"training_state\.json"):
        store_in(tmp_path).read_state()


@pytest.mark.parametrize("data", [b"", b"junk", b"PK\x03\x04"])
def test_bad_weights_are_one_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.pt").write_bytes(data)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ExchangeError, match=r"model\.pt cannot be read"):
        store_in(tmp_path).pull()


def test_examples_are_listed_oldest_first(tmp_path: Path) -> None:
    store = LocalExampleStore(tmp_path, Namespace.parse("large"))
    for name in ("b_20_aa.pt", "a_100_aa.pt", "c_3_aa.safetensors"):
        store.put(name, lambda path: path.write_bytes(b"x"))
    (tmp_path / "large" / ".d_1_aa.pt.1234.tmp").touch()
    (tmp_path / "large" / "readme.txt").touch()
    (tmp_path / "large" / "e_1_aa.pt").mkdir()
    assert store.list() == ["c_3_aa.safetensors", "b_20_aa.pt", "a_100_aa.pt"]
    assert LocalExampleStore(tmp_path, Namespace()).list() == []
    with store.fetch(["b_20_aa.pt", "z_9_aa.pt"]) as paths:
        assert {name: path.read_bytes() for name, path in paths.items()} == {"b_20_aa.pt": b"x"}
    assert store.delete(["b_20_aa.pt", "b_20_aa.pt", "../readme"]) == 1
    with store.fetch(["b_20_aa.pt"]) as paths:
        assert not paths
    with pytest.raises(ValueError, match="not the name"):
        store.put("../x_1_aa.pt", lambda path: path.touch())


def test_bad_file_is_set_aside_with_its_reason(tmp_path: Path) -> None:
    store = LocalExampleStore(tmp_path, Namespace())
    store.put("b_20_aa.pt", lambda path: path.write_bytes(b"x"))
    store.quarantine("b_20_aa.pt", "first line\nsecond line")
    assert store.list() == []
    assert (tmp_path / "bad" / "b_20_aa.pt").read_bytes() == b"x"
    assert (tmp_path / "bad" / "b_20_aa.pt.reason.txt").read_text() == "first line second line\n"


HOLD = """
import sys, time
from pathlib import Path
from zebfast.exchange import Namespace, hold_namespace
with hold_namespace(Path(sys.argv[1]), Namespace()):
    print("held", flush=True)
    time.sleep(60)
"""


def test_second_learner_is_refused_until_the_first_is_gone(tmp_path: Path, repo_root: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, cwd=repo_root
    )
    try:
        assert first.stdout is not None
        first.stdout.readline()
        with (
            pytest.raises(NamespaceBusy, match=rf"process {first.pid}\b"),
            hold_namespace(tmp_path, Namespace()),
        ):
            pass
        with hold_namespace(tmp_path, Namespace.parse("other")):
            pass
    finally:
        first.kill()
        first.communicate()
    leftover = tmp_path / ".model.pt.0123abcd.tmp"
    leftover.touch()
    with hold_namespace(tmp_path, Namespace()):
        assert not leftover.exists()


def test_where_locks_do_not_hold_the_second_learner_ends_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "hold_namespace", lambda *_: nullcontext())
    one, two = store_in(tmp_path), store_in(tmp_path)
    one.publish(weights(1), CONFIG, {"step": 1})
    with one.hold("alpha"):
        one.publish(weights(2), CONFIG, {"step": 2})
        with two.hold("beta"):
            with pytest.raises(NamespaceBusy, match=r"taken over from .*\(alpha\) by beta"):
                one.publish(weights(9), CONFIG, {"step": 9})
            with pytest.raises(NamespaceBusy, match="by beta"):
                one.update_state({"note": "late"})
            two.publish(weights(3), CONFIG, {"step": 3})
    state = two.read_state()
    assert state is not None
    assert (state["step"], "note" in state, "learner" in state) == (3, False, False)


def test_where_locks_do_not_hold_two_cannot_begin_a_namespace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "hold_namespace", lambda *_: nullcontext())
    one, two = store_in(tmp_path), store_in(tmp_path)
    with one.hold("alpha"), two.hold("beta"):
        one.publish(weights(1), CONFIG, {"step": 0, "lineage": "a"})
        with pytest.raises(NamespaceBusy, match="already has a learner on alpha"):
            two.publish(weights(2), CONFIG, {"step": 0, "lineage": "b"})
    assert one.read_state()["lineage"] == "a"  # type: ignore[index]
