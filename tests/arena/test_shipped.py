"""The network that comes with the package: what its file says of itself, and that it can play."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from zebfast.arena.match import play_match
from zebfast.arena.players.base import plain_player
from zebfast.arena.players.build import build_player, load_network, weights_digest
from zebfast.arena.players.specs import parse_spec
from zebfast.net import checkpoint, shipped
from zebfast.net.v2 import V2Config

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def test_the_file_is_small_and_says_where_it_came_from(repo_root: Path) -> None:
    assert shipped.PATH.stat().st_size <= shipped.MAX_BYTES == 4_000_000
    facts = checkpoint.load(shipped.PATH).provenance
    assert facts["program"] == "zebfast"
    assert re.fullmatch(r"[a-z0-9-]+", facts["recipe"])
    assert type(facts["seed"]) is int
    assert re.fullmatch(r"[0-9a-f]{40}", facts["commit"])
    assert facts["records"]
    assert [name for name in facts["records"] if not (repo_root / name).is_file()] == []
    with safe_open(shipped.PATH, framework="pt") as file:
        kinds = {str(file.get_tensor(name).dtype) for name in file.keys()}  # noqa: SIM118
    assert kinds == {{"fp32": "torch.float32", "fp16": "torch.float16"}[facts["dtype"]]}


def test_the_file_says_what_it_won() -> None:
    """More than luck gives, in enough games; the next test plays some of them again."""
    strength = checkpoint.load(shipped.PATH).provenance["strength"]
    assert strength.keys() == {"random", "heuristic", "heuristic2"}
    for name, won in strength.items():
        assert won["games"] >= 4000, name
        assert won["wins"] + won["ties"] + won["losses"] == won["games"]
        assert won["win_rate"] == pytest.approx(won["wins"] / won["games"])
        assert won["win_rate_low"] > 0.70, name


@pytest.mark.parametrize(("opponent", "least"), [("random", 0.72), ("heuristic2", 0.66)])
def test_it_plays_well(opponent: str, least: float) -> None:
    """What a network of the first minutes of training does not win."""
    player = build_player(parse_spec("zeb"), device="cpu")
    assert player.name == "zeb"
    result = play_match(player, plain_player(opponent), n_games=600, seed=12)
    assert result.win_rate >= least


def test_the_network_for_whole_games_sees_contracts(repo_root: Path) -> None:
    assert shipped.WHOLE_PATH.stat().st_size <= shipped.MAX_BYTES
    player, loaded = parse_spec("zeb:source=whole-game"), checkpoint.load(shipped.WHOLE_PATH)
    assert isinstance(loaded.config, V2Config)
    assert loaded.config.contract
    assert loaded.provenance["recipe"] == "game"
    assert all((repo_root / name).is_file() for name in loaded.provenance["records"])
    assert weights_digest(player) != weights_digest(parse_spec("zeb"))
    result = play_match(build_player(player), plain_player("heuristic2"), n_games=600, seed=12)
    assert result.win_rate >= 0.66


def test_every_spec_without_a_source_means_this_file(tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(shipped.PATH.read_bytes())
    here, there = parse_spec("zeb"), parse_spec(f"zeb:source={copy}")
    assert weights_digest(here) == weights_digest(parse_spec("search")) == weights_digest(there)
    one, other = load_network(here), load_network(there)
    assert one.config == other.config
    assert all(np.array_equal(one.weights[name], weight) for name, weight in other.weights.items())


def test_a_file_called_like_nothing_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the program stands, a directory there is not taken for the source left out."""
    monkeypatch.chdir(tmp_path)
    checkpoint.save(checkpoint.fresh(load_network(parse_spec("zeb")).config, seed=1), Path("a.pt"))
    assert weights_digest(parse_spec("zeb")) != weights_digest(parse_spec("zeb:source=a.pt"))
    assert load_network(parse_spec("zeb")).provenance["recipe"]
