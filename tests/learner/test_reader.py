"""The thread that reads example files: one file, whatever it is, costs that file and a line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from listening import listening
from random_games import random_games

from zebfast.exchange import LocalExampleStore, Namespace
from zebfast.learner.data import reader as reader_module
from zebfast.learner.data.reader import ExampleReader, FileRead, ScanDone
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.examples import write_native
from zebfast.selfplay.examples_pt import write_pt

GOOD = "w_2_ab.safetensors"


def metadata(n_games: int = 1) -> dict[str, object]:
    return {"worker_id": "w", "model_step": 1, "n_games": n_games, "timestamp": 2.0,
            "source": "selfplay-mcts"}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> LocalExampleStore:
    """A directory with one good file."""
    write_native(tmp_path / GOOD, random_games(1), metadata())
    return LocalExampleStore(tmp_path, Namespace.parse(None))


def scanned(store: LocalExampleStore) -> tuple[list[str], list[str]]:
    """Files read in one scan, and the lines that were told."""
    said: list[str] = []
    with listening(said.append), _reader(store) as reader:
        read: list[str] = []
        while True:
            for found in reader.take(10.0):
                if isinstance(found, ScanDone):
                    assert reader.error is None
                    return read, said
                assert isinstance(found, FileRead)
                read.append(found.name)
            assert reader.error is None


@contextmanager
def _reader(store: LocalExampleStore) -> Iterator[ExampleReader]:
    reader = ExampleReader(
        store, known=(), expected={}, poll_seconds=60.0, prune_seconds=0.0, squash_after=0
    )
    try:
        yield reader
    finally:
        reader.close(10.0)


@pytest.mark.parametrize(
    "error", [RuntimeError("neg"), RecursionError(), MemoryError(), KeyError()]
)
def test_whatever_reading_raises_refuses_that_file(
    store: LocalExampleStore, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def read(path: Path) -> object:
        if path.name.startswith("a_"):
            raise error
        return read_examples(path)

    monkeypatch.setattr(reader_module, "read_examples", read)
    (store.directory / "a_1_ab.pt").write_bytes(b"?")
    read_names, said = scanned(store)
    assert read_names == [GOOD]
    assert [line for line in said if "a_1_ab.pt is refused" in line]
    assert (store.directory / "bad" / "a_1_ab.pt").exists()


@pytest.mark.filterwarnings("ignore")
def test_tensors_of_odd_kinds_refuse_their_file(store: LocalExampleStore) -> None:
    """Seen through a view, in lists of their own, without data, one number for many games."""
    write_pt(store.directory / "g_1_ab.pt", random_games(1), metadata())
    content = torch.load(store.directory / "g_1_ab.pt", weights_only=True)
    (store.directory / "g_1_ab.pt").unlink()
    values = content["value_targets"]
    for number, odd in enumerate(
        (
            {"value_targets": torch._neg_view(values.clone())},
            {"masks": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])},
            {"observations": torch.zeros(28, 36, 8, device="meta")},
            {
                name: tensor[:1].expand(1 << 19, *tensor.shape[1:])
                for name, tensor in content.items()
                if name != "metadata"
            }
            | {"metadata": metadata(1 << 19)},
        )
    ):
        torch.save({**content, **odd}, store.directory / f"o_{number}_ab.pt")
    read_names, said = scanned(store)
    assert read_names == [GOOD]
    assert sum("is refused" in line for line in said) == 4
    assert len(list((store.directory / "bad").glob("o_*.pt"))) == 4


def test_links_under_the_names_of_examples_are_left_out(
    store: LocalExampleStore, tmp_path: Path
) -> None:
    target = tmp_path / "elsewhere"
    target.write_bytes((store.directory / GOOD).read_bytes())
    os.symlink("a_1_ab.pt", store.directory / "a_1_ab.pt")  # to itself
    os.symlink(target, store.directory / "b_1_ab.safetensors")
    os.mkfifo(store.directory / "c_1_ab.pt")
    read_names, said = scanned(store)
    assert read_names == [GOOD]
    assert [line for line in said if "a_1_ab.pt (1 of 3) is no plain file" in line]
    assert target.exists()


def test_a_link_in_place_of_bad_moves_nothing(store: LocalExampleStore, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.symlink(elsewhere, store.directory / "bad")
    (store.directory / "a_1_ab.pt").write_bytes(b"?")
    read_names, said = scanned(store)
    assert read_names == [GOOD]
    assert [line for line in said if "could not be moved to bad/: a symbolic link" in line]
    assert not list(elsewhere.iterdir())
