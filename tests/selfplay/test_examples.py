"""Example files: round trips of both formats, and every kind of file that must be refused."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

from zebfast.core.observe import games_to_examples, uniform_evaluate
from zebfast.core.options import SearchOptions
from zebfast.core.records import (
    EXAMPLE_HAS_BELIEF,
    EXAMPLE_HAS_POINTS,
    EXAMPLE_HAS_POLICY,
    EXAMPLE_POINTS_SHIFT,
    GAME_DTYPE,
)
from zebfast.exchange import example_name, parse_example_name
from zebfast.rules import Position
from zebfast.selfplay.config import SelfPlay, SelfPlayConfig
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.examples import BadExampleFile, write_native
from zebfast.selfplay.examples_pt import arrays_from_examples, write_pt

N_GAMES = 4
METADATA = {
    "worker_id": "worker-0",
    "model_step": 3,
    "n_games": N_GAMES,
    "timestamp": 1_700_000_000.5,
    "source": "selfplay-mcts",
}


@pytest.fixture(scope="module")
def games() -> np.ndarray:
    config = SelfPlayConfig(
        n_parallel_games=N_GAMES, n_groups=1, search=SearchOptions(n_simulations=16)
    )
    evaluator = SimpleNamespace(evaluate=uniform_evaluate)
    return SelfPlay(evaluator, config=config, seed=5).play(N_GAMES)[0]


@pytest.fixture
def tensors(games: np.ndarray) -> dict[str, Any]:
    """What a .pt file of the games holds; tests damage it."""
    content: dict[str, Any] = arrays_from_examples(games_to_examples(games), belief=True)
    return {**{k: torch.tensor(v) for k, v in content.items()}, "metadata": dict(METADATA)}


@pytest.fixture
def arrays(games: np.ndarray) -> dict[str, np.ndarray]:
    """What a native file of the games holds; tests damage it."""
    return arrays_of(games)


def arrays_of(games: np.ndarray) -> dict[str, np.ndarray]:
    """Every field of the games; contracts are bytes."""
    arrays = {name: games[name].copy() for name in GAME_DTYPE.names}
    return {**arrays, "contract": arrays["contract"].view(("u1", 8))}


def refused(path: Path) -> str:
    """The sentence with which ``path`` is refused."""
    with pytest.raises(BadExampleFile) as caught:
        read_examples(path)
    sentence = str(caught.value)
    assert path.name in sentence
    assert "expected" in sentence
    assert "\n" not in sentence
    return sentence


def test_native_round_trip(tmp_path: Path, games: np.ndarray) -> None:
    path = tmp_path / "w_1_ab.safetensors"
    write_native(path, games, METADATA | {"seed": 5, "worlds": "true"})
    read = read_examples(path)
    np.testing.assert_array_equal(read.records, games_to_examples(games))
    assert read.metadata == METADATA | {"seed": 5, "worlds": "true"}
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_contracts_are_kept_in_native_files(tmp_path: Path, games: np.ndarray) -> None:
    """As eight bytes more a game; files without one say nothing of them."""
    path, plain = tmp_path / "w_1_ab.safetensors", tmp_path / "w_2_ab.safetensors"
    some = games.copy()
    some["contract"]["bid"][1], some["contract"]["bidder"] = 31, games["leader"]
    some["contract"][some["contract"]["bid"] == 0] = 0
    write_native(path, some, METADATA)
    write_native(plain, games, METADATA)
    np.testing.assert_array_equal(read_examples(path).records, games_to_examples(some))
    assert (read_examples(path).records["obs"]["contract"]["bid"] > 0).sum() == 28
    assert b"contract" not in plain.read_bytes()
    more = len(path.read_bytes()) - len(plain.read_bytes())
    assert 8 * len(games) <= more < 8 * len(games) + 100


def test_both_formats_give_the_same_examples(tmp_path: Path, games: np.ndarray) -> None:
    write_native(tmp_path / "w_1_ab.safetensors", games, METADATA)
    write_pt(tmp_path / "w_1_ab.pt", games, METADATA)
    native = read_examples(tmp_path / "w_1_ab.safetensors").records
    pt = read_examples(tmp_path / "w_1_ab.pt").records
    for field in ("obs", "value", "left", "partner"):
        np.testing.assert_array_equal(native[field], pt[field], err_msg=field)
    targets = EXAMPLE_HAS_POLICY | EXAMPLE_HAS_BELIEF
    assert (pt["flags"] == targets).all()  # that layout has no final points
    assert (native["flags"] & 255 == targets | EXAMPLE_HAS_POINTS).all()
    ours, theirs = (r["policy"] / r["policy"].sum(1, keepdims=True) for r in (native, pt))
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_final_points_are_those_of_the_rules(games: np.ndarray) -> None:
    """Of both sides, from the point of view of whoever plays; they decide the value."""
    examples = games_to_examples(games).reshape(N_GAMES, 28)
    for game, rows in zip(games, examples, strict=True):
        position = Position(game["hands"].tolist(), int(game["decl"]), int(game["leader"]))
        seats = []
        for domino in game["plays"].tolist():
            seats.append(position.to_play)
            position.play(domino)
        points = [position.points[seat % 2] for seat in seats]
        assert (rows["flags"] >> EXAMPLE_POINTS_SHIFT).tolist() == points
        assert rows["value"].tolist() == [float(np.sign(p - 21)) for p in points]


def test_native_file_is_small(tmp_path: Path, games: np.ndarray) -> None:
    path = tmp_path / "w_1_ab.safetensors"
    many = np.tile(games, 64)
    write_native(path, many, METADATA | {"n_games": len(many)})
    assert path.stat().st_size / (28 * len(many)) < 20


def test_pt_without_belief(tmp_path: Path, games: np.ndarray) -> None:
    write_pt(tmp_path / "w_1_ab.pt", games, METADATA, belief=False)
    flags = read_examples(tmp_path / "w_1_ab.pt").records["flags"]
    assert not (flags & EXAMPLE_HAS_BELIEF).any()


def test_pt_with_played_slots_left_in_place(tmp_path: Path, tensors: dict[str, Any]) -> None:
    first = tensors["observations"][:28:28].clone()
    torch.save(tensors, tmp_path / "a_1_ab.pt")
    for row in range(len(tensors["masks"])):
        played = ~tensors["masks"][row, 1:8]
        junk = torch.tensor([6, 6, 1, 0, 0, 0, 0, 1], dtype=torch.int32)
        tensors["observations"][row, 1:8][played] = junk
    torch.save(tensors, tmp_path / "b_1_ab.pt")
    assert len(first)
    np.testing.assert_array_equal(
        read_examples(tmp_path / "a_1_ab.pt").records, read_examples(tmp_path / "b_1_ab.pt").records
    )


def test_recorded_published_observations(
    tmp_path: Path, v1_observations: dict[str, np.ndarray]
) -> None:
    """Positions of the published implementation are accepted, with the legal plays it recorded."""
    n = 500
    legal = torch.from_numpy(v1_observations["legal"][:n].astype(bool))
    content = {
        "observations": torch.from_numpy(v1_observations["tokens"][:n].astype(np.int32)),
        "masks": torch.from_numpy(v1_observations["mask"][:n].astype(bool)),
        "hand_indices": torch.arange(1, 8).expand(n, 7).contiguous(),
        "hand_masks": torch.from_numpy(v1_observations["in_hand"][:n].astype(bool)),
        "policy_targets": legal.float() / legal.sum(1, keepdim=True),
        "value_targets": torch.zeros(n),
        "metadata": METADATA | {"n_games": n},
    }
    torch.save(content, tmp_path / "w_1_ab.pt")
    records = read_examples(tmp_path / "w_1_ab.pt").records
    bits = (records["obs"]["legal"][:, None] >> np.arange(7) & 1).astype(bool)
    np.testing.assert_array_equal(bits, legal.numpy())


DAMAGE_PT: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "nan value": (lambda t: t["value_targets"].__setitem__(0, float("nan")), "value_targets"),
    "value above 1": (lambda t: t["value_targets"].__setitem__(0, 1.5), "value_targets"),
    "nan policy": (lambda t: t["policy_targets"].__setitem__((0, 0), float("nan")), "policy"),
    "policy of 2": (lambda t: t["policy_targets"].mul_(2), "policy_targets"),
    "token 99": (lambda t: t["observations"].__setitem__((0, 0, 6), 99), "feature"),
    "token -1": (lambda t: t["observations"].__setitem__((0, 1, 0), -1), "feature"),
    "hand_indices": (lambda t: t["hand_indices"].__setitem__((0, 0), 9), "hand_indices"),
    "hand_masks": (lambda t: t["hand_masks"].__setitem__((0, 0), False), "hand_masks"),
    "belief": (lambda t: t["belief_targets"].fill_(1), "belief_targets"),
    "belief mask": (lambda t: t["belief_mask"].fill_(True), "belief_mask"),
    "half a belief": (lambda t: t.pop("belief_mask"), "belief_mask"),
    "float64": (lambda t: t.update(value_targets=t["value_targets"].double()), "float64"),
    "short": (lambda t: t.update(masks=t["masks"][:5]), "expected"),
    "empty": (lambda t: t.update(masks=t["masks"][:0]), "0 examples"),
    "sparse": (lambda t: t.update(masks=t["masks"].to_sparse()), "more than tensors"),
    "no metadata": (lambda t: t.pop("metadata"), "metadata"),
    "games": (lambda t: t["metadata"].update(n_games=1), "1 games"),
    "source": (lambda t: t["metadata"].update(source="elsewhere"), "source"),
    "worker": (lambda t: t["metadata"].update(worker_id="a\nb"), "worker_id"),
    "step": (lambda t: t["metadata"].update(model_step=True), "model_step"),
    "huge view": (
        lambda t: t.update(masks=torch.zeros(1, dtype=torch.bool).expand(1 << 40, 36)),
        "in a storage of 1",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE_PT)
def test_damaged_pt_is_refused(tmp_path: Path, tensors: dict[str, Any], damage: str) -> None:
    change, word = DAMAGE_PT[damage]
    change(tensors)
    torch.save(tensors, tmp_path / "w_1_ab.pt")
    assert word in refused(tmp_path / "w_1_ab.pt")


def test_pickle_that_runs_code_is_refused(tmp_path: Path, tensors: dict[str, Any]) -> None:
    marker = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(marker),)

    torch.save({**tensors, "metadata": Bomb()}, tmp_path / "a_1_ab.pt")
    (tmp_path / "b_1_ab.pt").write_bytes(pickle.dumps(Bomb()))
    refused(tmp_path / "a_1_ab.pt")
    refused(tmp_path / "b_1_ab.pt")
    assert not marker.exists()


def test_compressed_archive_is_refused(tmp_path: Path, tensors: dict[str, Any]) -> None:
    plain = io.BytesIO()
    torch.save(tensors, plain)
    with (
        zipfile.ZipFile(plain) as source,
        zipfile.ZipFile(tmp_path / "w_1_ab.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in source.namelist():
            packed.writestr(name, source.read(name))
    assert "packed" in refused(tmp_path / "w_1_ab.pt")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_every_cut_is_refused(tmp_path: Path, games: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"w_1_ab{suffix}"
    (write_pt if suffix == ".pt" else write_native)(path, games, METADATA)
    data = path.read_bytes()
    for size in [0, 1, 8, 100, len(data) // 2, len(data) - 1]:
        path.write_bytes(data[:size])
        refused(path)


def save_native(path: Path, arrays: dict[str, np.ndarray], metadata: object = METADATA) -> None:
    header = {"zebfast": json.dumps(metadata)}
    path.write_bytes(safetensors.numpy.save(arrays, metadata=header))


DAMAGE_NATIVE: dict[str, tuple[Callable[[dict[str, np.ndarray]], object], str]] = {
    "dtype": (lambda a: a.update(plays=a["plays"].astype(np.uint16)), "uint16"),
    "shape": (lambda a: a.update(plays=a["plays"][:, :27]), "27"),
    "length": (lambda a: a.update(plays=a["plays"][:3]), "plays"),
    "missing": (lambda a: a.pop("leader"), "arrays"),
    "extra": (lambda a: a.update(more=a["decl"]), "more"),
    "illegal play": (lambda a: a["plays"].__setitem__((1, 3), a["plays"][1, 2]), "game 1"),
    "impossible deal": (lambda a: a["hands"].__setitem__((2, 0, 0), 27), "game 2"),
    "declaration": (lambda a: a["decl"].__setitem__(0, 77), "game 0"),
    "contract": (lambda a: a.update(contract=a["contract"][:, :7]), "7"),
    "no games": (lambda a: a.update({k: v[:0] for k, v in a.items()}), "0 games"),
    "scalar": (lambda a: a.update(decl=np.array(1, np.uint8)), "0 games"),
}


def bid_31(games: np.ndarray) -> np.ndarray:
    """The games, whose leaders have bid 31 over somebody's 30."""
    games = games.copy()
    contract, leader = games["contract"], games["leader"].astype(int)
    contract["bid"], contract["bidder"], contract["shaker"] = 31, leader, leader
    contract["calls"] = 1
    rows = np.arange(len(games))
    contract["calls"][rows, leader] = 31
    contract["calls"][rows, (leader + 2) % 4] = 30
    return games


def test_contracts_are_kept_and_seen_by_every_seat(tmp_path: Path, games: np.ndarray) -> None:
    path = tmp_path / "w_1_ab.safetensors"
    write_native(path, bid_31(games), METADATA)
    seen = read_examples(path).records["obs"]["contract"].reshape(N_GAMES, 28)
    assert (seen["bid"] == 31).all()
    assert (seen["bidder"] == seen["shaker"]).all()
    calls = np.take_along_axis(seen["calls"], seen["bidder"][..., None], 2)
    assert (calls == 31).all()
    with pytest.raises(ValueError, match="no place for contracts"):
        write_pt(tmp_path / "w_1_ab.pt", bid_31(games), METADATA)


def test_a_file_without_contracts_is_one_of_an_earlier_version(
    tmp_path: Path, games: np.ndarray, arrays: dict[str, np.ndarray]
) -> None:
    """Hands for points are written as ever; zeros that are written are read, too."""
    one, other = tmp_path / "a_1_ab.safetensors", tmp_path / "b_1_ab.safetensors"
    write_native(one, games, METADATA)
    assert b'"contract"' not in one.read_bytes()
    save_native(other, arrays)
    assert b'"contract"' in other.read_bytes()
    np.testing.assert_array_equal(read_examples(one).records, read_examples(other).records)


# Of the bytes of a contract: bid, bidder, shaker, marks, calls.
IMPOSSIBLE: dict[str, tuple[Callable[[np.ndarray, int], object], str]] = {
    "low bid": (lambda c, b: c.__setitem__(0, 29), "bid that cannot be"),
    "high bid": (lambda c, b: c.__setitem__(0, 49), "bid that cannot be"),
    "bidder": (lambda c, b: c.__setitem__(1, 4), "no seat"),
    "shaker": (lambda c, b: c.__setitem__(2, 9), "no seat"),
    "no bid": (lambda c, b: c.__setitem__(0, 0), "auction and no bid"),
    "another leads": (lambda c, b: c.__setitem__(1, (b + 1) % 4), "not led by the bidder"),
    "partner leads": (lambda c, b: c.__setitem__(1, (b + 2) % 4), "not led by the bidder"),
    "call": (lambda c, b: c.__setitem__(4 + (b + 1) % 4, 7), "no pass and no bid"),
    "own call": (lambda c, b: c.__setitem__(4 + b, 30), "something else"),
    "equal bid": (lambda c, b: c.__setitem__(4 + (b + 3) % 4, 30), "not over those before it"),
    "over it": (lambda c, b: c.__setitem__(4 + (b + 3) % 4, 35), "not over those before it"),
}


@pytest.mark.parametrize("damage", IMPOSSIBLE)
def test_impossible_contracts_are_refused(tmp_path: Path, games: np.ndarray, damage: str) -> None:
    change, words = IMPOSSIBLE[damage]
    games = bid_31(games)
    arrays = arrays_of(games)
    change(arrays["contract"][2], int(games["leader"][2]))
    save_native(tmp_path / "w_1_ab.safetensors", arrays)
    sentence = refused(tmp_path / "w_1_ab.safetensors")
    assert "game 2 " in sentence
    assert words in sentence


@pytest.mark.parametrize("damage", DAMAGE_NATIVE)
def test_damaged_native_is_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], damage: str
) -> None:
    change, word = DAMAGE_NATIVE[damage]
    change(arrays)
    save_native(tmp_path / "w_1_ab.safetensors", arrays)
    assert word in refused(tmp_path / "w_1_ab.safetensors")


@pytest.mark.parametrize("metadata", [None, [], 7, {}, METADATA | {"n_games": 3}, {"n_games": -4}])
def test_bad_native_metadata_is_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], metadata: object
) -> None:
    save_native(tmp_path / "w_1_ab.safetensors", arrays, metadata)
    refused(tmp_path / "w_1_ab.safetensors")


def test_header_that_declares_more_than_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w_1_ab.safetensors"
    header = b'{"decl":{"dtype":"U8","shape":[1099511627776],"data_offsets":[0,1099511627776]}}'
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 64)
    refused(path)
    path.write_bytes(struct.pack("<Q", 1 << 60) + header)
    refused(path)
    path.write_bytes(struct.pack("<Q", 90000) + b"[" * 90000)
    refused(path)


def test_names() -> None:
    name = example_name("worker-vast_0.b", 1_700_000_000.9, suffix=".pt")
    parsed = parse_example_name(name)
    assert parsed is not None
    assert (parsed.worker_id, parsed.unix_seconds) == ("worker-vast_0.b", 1_700_000_000)
    for other in ("model.pt", "w_12_zz.pt", ".w_12_ab.pt", "w_12_ab.pt.tmp", "../w_1_ab.pt", ""):
        assert parse_example_name(other) is None
    with pytest.raises(ValueError, match="worker id"):
        example_name("../up", 1)
