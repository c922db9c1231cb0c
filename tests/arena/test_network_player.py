"""Networks as players: loading from files and directories, and the published strength."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from zebfast.arena.match import play_match
from zebfast.arena.pairs import Bids, Dominoes, PlayRng, Rows
from zebfast.arena.players.base import AimingPlayer, NetworkPlayer, plain_player
from zebfast.arena.players.build import PlayerLoadError, build_player, weights_digest
from zebfast.arena.players.specs import PlayerSpecError, parse_spec
from zebfast.core.engine import GameBatch
from zebfast.exchange.local import LocalWeightStore
from zebfast.exchange.names import Namespace
from zebfast.net import checkpoint
from zebfast.net.v1 import SIZES, NetConfig

pytestmark = pytest.mark.usefixtures("one_torch_thread")

TINY = NetConfig(embed_dim=16, n_heads=2, n_layers=1, ff_dim=32)


def points(spec: str, *, n_games: int = 200) -> tuple[int, float]:
    player = build_player(parse_spec(spec), device="cpu")
    result = play_match(player, plain_player("random"), n_games=n_games, seed=6)
    return result.wins, result.mean_margin


def test_plain_players_need_no_weights() -> None:
    for kind in ("random", "heuristic", "heuristic2"):
        assert build_player(parse_spec(kind)).name == kind


def test_one_network_from_a_file_and_from_directories(tmp_path: Path) -> None:
    fresh = checkpoint.fresh(TINY, seed=3)
    checkpoint.save(fresh, tmp_path / "a.pt")
    for name in (None, "large"):
        store = LocalWeightStore(tmp_path / "run", Namespace.parse(name))
        store.publish(fresh.weights, TINY.to_dict(), {"step": 0, "total_games": 0})
    sources = (f"{tmp_path}/a.pt", f"{tmp_path}/run", f"{tmp_path}/run,weights_name=large")
    found = {points(f"zeb:source={source}") for source in sources}
    assert len(found) == 1


def test_spec_becomes_player(tmp_path: Path) -> None:
    checkpoint.save(checkpoint.fresh(SIZES["small"], seed=3), tmp_path / "a.pt")
    text = f"zeb:source={tmp_path}/a.pt,temperature=0.25"
    player = build_player(parse_spec(text), device="cpu")
    assert isinstance(player, NetworkPlayer)
    assert (player.name, player.temperature) == (text, 0.25)


class Recorder:
    """A player that plays the lowest domino and keeps what it was shown."""

    name = "recorder"

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def choose(self, batch: GameBatch, rows: Rows, rng: PlayRng, bids: Bids) -> Dominoes:
        self.seen.append(batch.observe(rows)["contract"])
        legal = batch.legal(rows)
        return np.log2(legal & (~legal + np.uint32(1))).astype(np.uint8)


def test_an_aiming_player_is_told_the_contract_of_the_deal() -> None:
    plain, aiming = Recorder(), Recorder()
    found = [
        play_match(player, plain_player("random"), n_games=8, seed=6, bid=36)
        for player in (plain, AimingPlayer("aims", aiming))
    ]
    assert found[0].wins == found[1].wins, "the plays are the same"
    assert not any(seen["bid"].any() for seen in plain.seen)
    told = np.concatenate(aiming.seen)
    assert (told["bid"] == 36).all()
    assert set(told["bidder"].tolist()) == {0, 1, 2, 3}
    assert ((told["bidder"] - told["shaker"]) % 4 == 1).all()
    assert not told["calls"].any()


def test_the_objective_of_a_network(tmp_path: Path) -> None:
    checkpoint.save(checkpoint.fresh(SIZES["small"], seed=3), tmp_path / "a.pt")
    text = f"zeb:source={tmp_path}/a.pt,objective=make"
    player = build_player(parse_spec(text), device="cpu")
    assert isinstance(player, AimingPlayer)
    assert player.name == text
    with pytest.raises(PlayerSpecError, match="expected points or make"):
        parse_spec("zeb:objective=marks")


def test_the_digest_is_that_of_the_weights(tmp_path: Path) -> None:
    """The same spec has another digest once its directory holds other weights."""
    store = LocalWeightStore(tmp_path, Namespace.parse(None))
    found = []
    for seed in (3, 4):
        weights = checkpoint.fresh(TINY, seed=seed).weights
        store.publish(weights, TINY.to_dict(), {"step": seed, "total_games": 0})
        found.append(weights_digest(parse_spec(f"zeb:source={tmp_path}")))
        assert found[-1] == hashlib.sha256((tmp_path / "model.pt").read_bytes()).hexdigest()
    assert found[0] != found[1]
    with pytest.raises(PlayerLoadError, match=r"none\.pt does not exist"):
        weights_digest(parse_spec(f"zeb:source={tmp_path}/none.pt"))


@pytest.mark.parametrize(
    ("options", "device", "words"),
    [
        ("none.pt", None, "does not exist"),
        ("bad.pt", None, "bad.pt: it is no file of torch.save"),
        ("good.pt,weights_name=large", None, "is not a directory"),
        (".", None, "model.pt does not exist"),
        (".,weights_name=large", None, "large.pt does not exist"),
        (".,weights_name=../up", None, "weights name '../up' cannot be used"),
        ("broken", None, "config"),
        ("good.pt", "gpu", "Device 'gpu' is unknown; expected cpu, cuda or cuda:N"),
        ("good.pt", "cuda:99", "Device 'cuda:99' cannot be used"),
    ],
)
def test_what_cannot_be_loaded(
    tmp_path: Path, options: str, device: str | None, words: str
) -> None:
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    checkpoint.save(checkpoint.fresh(TINY, seed=3), tmp_path / "good.pt")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    spec = parse_spec(f"zeb:source={tmp_path}/{options}")
    with pytest.raises(PlayerLoadError, match=words) as caught:
        build_player(spec, device=device)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("n_games", "tolerance"),
    [(1000, 0.05), pytest.param(6000, 0.015, marks=pytest.mark.slow)],
)
def test_published_network_beats_random(
    peer_weights_path: Path, n_games: int, tolerance: float
) -> None:
    """Recorded: 71.0 % at temperature 0.1 over 6,000 games, standard error 0.6 %."""
    player = build_player(parse_spec(f"zeb:source={peer_weights_path}"), device="cpu")
    result = play_match(player, plain_player("random"), n_games=n_games, seed=0)
    assert result.win_rate == pytest.approx(0.71, abs=tolerance)
    assert result.mean_margin > 10 * result.margin_se
