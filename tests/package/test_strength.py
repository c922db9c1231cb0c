"""The evidence tools: pairings in parts, calibration, beliefs, records, pictures and pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from zebfast.arena.match import play_match
from zebfast.arena.players.base import plain_player
from zebfast.arena.players.specs import PlayerSpec
from zebfast.arena.records import RecordError
from zebfast.core.engine import GameBatch
from zebfast.core.worlds import WorldSet
from zebfast.learner.recipe import read_recipe
from zebfast.net import checkpoint
from zebfast.net.v2 import V2Config
from zebfast.rules import Stream

TINY = V2Config(width=16, n_blocks=1, belief_head=True)
MODULES = ("record", "pairs", "states", "calibration", "belief", "trainings", "measure", "plots",
           "tables", "whole", "page")  # fmt: skip


@pytest.fixture(scope="module")
def tools(repo_root: Path) -> Iterator[SimpleNamespace]:
    """The modules of the tool by their short names, and `main` and `readme`."""
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(repo_root / "tools"))
        found = {name: import_module(f"strength.{name}") for name in MODULES}
        yield SimpleNamespace(
            **found,
            main=import_module("strength.cli").main,
            readme=import_module("readme"),
        )
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.pt"
    checkpoint.save(checkpoint.fresh(TINY, seed=3), path)
    return path


@pytest.fixture(scope="module")
def states(tools: SimpleNamespace, weights: Path) -> Any:
    """Every play of the tiny network's games with itself on 8 deals both ways."""
    network = tools.states.Network("tiny", weights)
    return tools.states.played_states(network, None, seed=9, n_deals=8, worlds=32)


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


# --- pairings -------------------------------------------------------------------------------------


def test_decided_is_what_plain_loops_say(tools: SimpleNamespace) -> None:
    points = np.random.default_rng(1).integers(0, 43, size=(400, 2)).astype(np.uint8)
    points[:40] = 21
    found = tools.pairs.decided(points)
    wins = sum(int(p) > 21 for deal in points for p in deal)
    losses = sum(int(p) < 21 for deal in points for p in deal)
    assert found["decided"] == wins + losses < 800
    assert found["decided_share"] == pytest.approx(wins / (wins + losses), abs=1e-5)
    assert found["decided_low"] < found["decided_share"] < found["decided_high"]
    assert np.sign(found["z"]) == np.sign(wins - losses)
    won = np.full((100, 2), 30, np.uint8)
    won[::4] = 10
    assert tools.pairs.decided(won)["z"] == pytest.approx((75 - 25) / np.sqrt(100))
    assert tools.pairs.decided(np.full((5, 2), 21, np.uint8))["decided"] == 0


def test_a_matrix_goes_on_where_it_was_interrupted(
    tools: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts, an interruption, more players, shares: the games are those of a match in one go."""
    monkeypatch.setattr(PlayerSpec, "deals_per_chunk", 4)
    one, other, half = (tmp_path / f"{name}.json" for name in ("one", "other", "half"))
    usual = ("--n-deals", "10", "--seed", "77", "--output")
    played = tools.pairs.play_deals
    calls: list[int] = []

    def stopped(*args: Any, **kwargs: Any) -> Any:
        calls.append(kwargs["first_deal"])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return played(*args, **kwargs)

    monkeypatch.setattr(tools.pairs, "play_deals", stopped)
    assert tools.main(["matrix", "random", "heuristic", *usual, str(one)]) == 130
    assert read(one)["pairs"][0]["games"] == 16
    assert not read(one)["complete"]
    monkeypatch.setattr(tools.pairs, "play_deals", played)
    names = ("random", "heuristic", "heuristic2")
    assert tools.main(["matrix", *names, *usual, str(one), "--resume"]) == 0
    record = read(one)
    assert record["complete"]
    assert len(record["runs"]) == 2
    assert calls == [0, 4, 8]
    for pair in record["pairs"]:
        match = play_match(
            plain_player(pair["player_a"]), plain_player(pair["player_b"]), n_games=20, seed=77
        ).as_dict()
        for name in match.keys() - {"games_per_s"}:
            assert pair[name] == match[name]
    assert {rating["player"] for rating in record["elo"]["ratings"]} == set(names)

    for share, path in (("1of2", half), ("2of2", other)):
        assert tools.main(["matrix", *names, *usual, str(path), "--share", share]) == 0
        assert not read(path)["complete"]
    together = ["matrix", *names, *usual, str(half), "--resume", "--with", str(other)]
    assert tools.main(together) == 0
    assert [p["points"] for p in read(half)["pairs"]] == [p["points"] for p in record["pairs"]]
    assert read(half)["elo"] == record["elo"]


def test_what_does_not_belong_to_a_record_is_refused(
    tools: SimpleNamespace, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.json"
    usual = ("--n-deals", "1", "--output", str(path))
    net = f"net=zeb:source={weights}"
    assert tools.main(["matrix", "random", net, *usual]) == 0
    assert str(tmp_path) not in path.read_text()
    assert str(weights.parent) not in path.read_text()
    for arguments, words in (
        (("random", net), "is there already; add to it with --resume"),
        (("random", net, "--resume", "--seed", "7"), "was measured with other settings"),
        (("random", f"{net},temperature=1", "--resume"), "another player called 'net'"),
        (("random", "--resume"), "two players or more"),
        (("random", "random", "--resume"), "two players are called 'random'"),
        (("random", "heuristik", "--resume"), "did you mean 'heuristic'"),
        (("random", "x=zeb:source=none.pt", "--resume"), "none.pt does not exist"),
        (("random", net, "--resume", "--share", "3of2"), "expected I of N"),
    ):
        assert tools.main(["matrix", *arguments, *usual]) == 1
        assert words in capsys.readouterr().err
    assert tools.main(["belief", "--network", f"a={weights}", *usual, "--resume"]) == 1
    assert "is a record of 'matrix', not of 'belief'" in capsys.readouterr().err
    damaged = read(path)
    damaged["pairs"][0]["points"] = "AAAA"
    path.write_text(json.dumps(damaged))
    assert tools.main(["matrix", "random", net, *usual, "--resume"]) == 1
    assert "a pairing of the record is damaged" in capsys.readouterr().err


def test_help_tells_what_to_do(tools: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], *([kind, "--help"] for kind in ("matrix", "time", "belief"))):
        with pytest.raises(SystemExit) as stop:
            tools.main(words)
        assert stop.value.code == 0
    assert "--network" in capsys.readouterr().out


# --- decisions ------------------------------------------------------------------------------------


def test_states_are_what_seats_saw_and_what_came_of_it(states: Any) -> None:
    """Replayed one by one: hidden dominoes, where they may be, who has them, and the result."""
    deals = GameBatch.deal(8, seed=9, stream=Stream.EVAL_DEAL)
    assert len(states) == 8 * 2 * 28
    for row in range(0, len(states), 5):
        obs, deal = states.obs[row], int(states.deals[row])
        n, hands = int(obs["n_plays"]), deals.hands[deal]
        masks = [sum(1 << int(d) for d in hand) for hand in hands]
        seat = masks.index(int(obs["hand"]))
        plays = [(int(p) & 31, (int(p) >> 5) + seat & 3) for p in obs["plays"][:n]]
        game = GameBatch(hands[None], deals.decl[deal, None], deals.leader[deal, None])
        for domino, _ in plays:
            game.play(np.array([domino]))
        assert int(game.to_play[0]) == seat
        know = WorldSet(game, 0)
        gone = {domino for domino, _ in plays}
        left = [7 - sum(s == other for _, s in plays) for other in range(4)]
        for domino in range(28):
            hidden = domino in know.hidden
            assert hidden == (domino not in gone and domino not in hands[seat])
            for side in range(3):
                other = (seat + 1 + side) & 3
                possible = hidden and left[other] > 0 and domino not in know.barred[other]
                assert states.open[row, domino, side] == possible
                assert (states.dealt[row, domino] == side) == (domino in hands[other])
        if know.count <= 32:
            worlds = know.enumerate()
            for domino in know.hidden:
                for side in range(3):
                    share = np.mean(worlds[:, (seat + 1 + side) & 3] >> domino & 1)
                    assert abs(states.layouts[row, 0, domino, side] - share) < 0.4
        assert (states.layouts[row] * ~states.open[row]).sum() == 0


def test_results_of_states_belong_to_their_side(tools: SimpleNamespace, weights: Path) -> None:
    """Against another player, only the network's seats are there, both ways of every deal."""
    network = tools.states.Network("tiny", weights)
    found = tools.states.played_states(network, plain_player("heuristic"), seed=9, n_deals=6)
    assert len(found) == 6 * 2 * 14
    assert found.layouts.shape == (len(found), 0, 28, 3)
    result = play_match(network.player, plain_player("heuristic"), n_games=12, seed=9)
    once = found.obs["n_plays"] < 4  # one play of each of the two seats
    assert int((found.final[once] > 21).sum()) == 2 * result.wins
    assert int((found.final[once] >= found.needed[once]).sum()) == 2 * result.contract_wins


# --- calibration ----------------------------------------------------------------------------------


def test_forecasts_are_sums_of_the_distribution(
    tools: SimpleNamespace, states: Any, weights: Path
) -> None:
    answers = tools.states.Network("tiny", weights).answers(states.obs)
    found = tools.calibration.forecasts(answers, states)
    assert answers.points.shape == (len(states), 43)
    for row in range(0, len(states), 7):
        chances, needed = answers.points[row], int(states.needed[row])
        assert found["contract"].chance[row] == pytest.approx(chances[needed:].sum())
        assert found["contract"].happened[row] == (states.final[row] >= needed)
        won = chances[22:].sum() + chances[21] / 2
        assert found["won"].chance[row] == pytest.approx(won, abs=1e-6)
    both = found["contract"].happened
    assert both.mean() == 0.5  # of every game each side made two plays a trick


def test_calibration_tells_honest_chances_from_others(tools: SimpleNamespace) -> None:
    rng = np.random.default_rng(5)
    n = 20_000
    chance = rng.random(n)
    happened = (rng.random(n) < chance).astype(np.float64)
    obs = np.zeros(n, [("n_plays", "u1")])
    obs["n_plays"] = np.arange(n) % 28
    nothing = np.zeros((n, 0))
    sample = tools.states.States(obs, np.arange(n) // 28, *[nothing] * 5)
    module = tools.calibration
    honest = module.calibration(module.Forecast(chance, happened), sample)
    assert honest["ece"] < honest["ece_by_chance"] < 0.03
    assert honest["brier"] == pytest.approx(1 / 6, abs=0.01)
    assert honest["brier_of_rate"] == pytest.approx(1 / 4, abs=0.01)
    assert sum(one["decisions"] for one in honest["bins"]) == n
    assert sum(one["decisions"] for one in honest["tricks"]) == n
    assert [one["trick"] for one in honest["tricks"]] == list(range(1, 8))
    for one in honest["bins"]:
        assert one["from"] <= one["said"] <= one["to"]
        assert abs(one["said"] - one["happened"]) < 5 * one["se"]
    sure = module.calibration(module.Forecast((chance > 0.5).astype(float), happened), sample)
    assert sure["ece"] == pytest.approx(0.25, abs=0.01)
    assert sure["ece"] > 5 * sure["ece_by_chance"]
    assert [one["decisions"] for one in sure["bins"]] == [
        (chance <= 0.5).sum(),
        (chance > 0.5).sum(),
    ]


def test_gaps_of_bins_count_by_deals(tools: SimpleNamespace) -> None:
    """Copies of a decision within its deal add nothing to what is known."""
    module = tools.calibration
    chance, happened = np.array([0.2, 0.2, 0.2, 0.2]), np.array([0.0, 1.0, 0.0, 0.0])
    once = module._bins(module.Forecast(chance, happened), np.arange(4))
    often = module._bins(
        module.Forecast(chance.repeat(9), happened.repeat(9)), np.arange(4).repeat(9)
    )
    assert once[0]["se"] == often[0]["se"] > 0
    assert once[0]["happened"] == often[0]["happened"] == 0.25


# --- beliefs --------------------------------------------------------------------------------------


def test_beliefs_are_judged_on_hidden_dominoes_only(
    tools: SimpleNamespace, states: Any, weights: Path
) -> None:
    answers = tools.states.Network("tiny", weights).answers(states.obs)
    sources = ("none", "head", "play")
    found = tools.belief.beliefs(answers, states, sources=sources, worlds=32)
    seen = [int(obs["in_hand"]).bit_count() + int(obs["n_plays"]) for obs in states.obs]
    n_hidden = sum(28 - n for n in seen)
    assert {one["hidden"]["dominoes"] for one in found.values()} == {n_hidden}
    third = found["a third"]["hidden"]
    assert third["accuracy"] == pytest.approx(1 / 3, abs=1e-5)
    assert third["brier"] == pytest.approx(2 / 9, abs=1e-5)
    assert third["log_loss"] == pytest.approx(np.log(3), abs=1e-5)
    possible = found["possible"]
    assert third["accuracy"] < possible["unknown"]["accuracy"] < possible["hidden"]["accuracy"]
    n_open = states.open.sum(axis=2)
    expected = (1 / n_open[n_open > 0]).mean()
    assert possible["hidden"]["accuracy"] == pytest.approx(expected, abs=1e-5)
    assert possible["hidden"]["log_loss"] == pytest.approx(
        np.log(n_open[n_open > 0]).mean(), abs=1e-4
    )
    assert found["layouts, none"]["hidden"]["accuracy"] > possible["hidden"]["accuracy"]
    truth = np.eye(3)[np.maximum(states.dealt, 0)]
    sure = tools.belief.beliefs(
        tools.states.Answers(answers.value, None, truth), states, sources=(), worlds=32
    )
    assert sure["head"]["hidden"]["accuracy"] == 1
    assert sure["head"]["hidden"]["brier"] == pytest.approx(0)


def test_layouts_are_drawn_by_the_belief(tools: SimpleNamespace, weights: Path) -> None:
    """A head that says "left" to every second domino."""
    network = tools.states.Network("tiny", weights)
    left = np.tile([0.9, 0.05, 0.05], (28, 1))
    network.answers = lambda obs: tools.states.Answers(
        np.zeros(len(obs)), None, np.broadcast_to(left, (len(obs), 28, 3))
    )
    left[1::2] = 1 / 3  # odds on the even dominoes only: the left seat has those
    found = tools.states.played_states(network, None, seed=9, n_deals=2, worlds=32)
    alike, by_head = found.layouts[:, 0], found.layouts[:, 1]
    early = found.obs["n_plays"] < 8
    assert by_head[early, ::2, 0].sum() > 1.5 * alike[early, ::2, 0].sum()
    assert by_head[early, 1::2, 0].sum() < 0.7 * alike[early, 1::2, 0].sum()


# --- trainings ------------------------------------------------------------------------------------


def test_a_curve_is_read_from_metrics(tools: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    rows: list[dict[str, Any]] = [
        {"step": 1, "time": 100.0, "train/seconds": 4.0},
        {"step": 1, "time": 160.0, "stats/total_games": 500, "eval/vs_eq:n=2_win_rate": 0.6,
         "eval/vs_eq:n=2_low": 0.5, "eval/vs_eq:n=2_high": 0.7, "eval/vs_eq:n=2_match_games": 40},
        {"step": 2, "time": 400.0, "stats/total_games": 900, "eval/vs_eq:n=2_win_rate": 0.7,
         "eval/vs_heuristic_win_rate": 0.55, "eval/vs_best_win_rate": 0.5, "stats/minutes": 4.5,
         "stats/stage": 1, "arena/is_best": 0, "arena/collapse": 1},
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = tools.trainings.read_curve(path)
    points = found["points"]
    assert [(p["minutes"], p["games"]) for p in points] == [(1.0, 500), (4.5, 900)]
    assert points[0]["against"] == {
        "eq:n=2": {"win_rate": 0.6, "low": 0.5, "high": 0.7, "match_games": 40}
    }
    assert set(points[1]["against"]) == {"eq:n=2", "heuristic"}
    assert [p["is_best"] for p in points] == [True, False]
    assert found["collapses"] == 1
    (row,) = tools.tables.curves({"trainings": {"a run": found}})[2:]
    assert row == "| a run | 4.5 | 900 | 1 | 1.0 | eq:n=2 | 60.0 (50.0 to 70.0) | 40 |"
    path.write_text(json.dumps(rows[0]) + "\n")
    with pytest.raises(RecordError, match="holds no look at strength"):
        tools.trainings.read_curve(path)


def test_rows_of_an_ablation_are_checked(tools: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "rows.toml"
    row = ('group = "g"', 'changed = "c"', 'player = "random"', "minutes = 1.5", "seed = 1")
    path.write_text("[[row]]\n" + "\n".join(row))
    (found,) = tools.trainings.read_rows(path)
    assert (found["name"], found["minutes"]) == ("g – c – seed 1", 1.5)
    assert found["labels"] is found["note"] is None
    for text, words in (
        ("x = 1", "has no rows"),
        ("[[row]]\n" + "\n".join(row[1:]), "row 1 has no usable 'group'"),
        ("[[row]]\n" + "\n".join((*row, 'labels = "many"')), "row 1 has no usable 'labels'"),
        ("[[row]]\n" + "\n".join((*row, "more = 1")), "the unknown 'more'"),
        ("[[row]]\n" + "\n".join((*row[1:], 'group = "a=b"')), "has ':', '=', ',' or"),
    ):
        path.write_text(text)
        with pytest.raises(RecordError, match=words):
            tools.trainings.read_rows(path)


# --- records and pages ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tools: SimpleNamespace, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of every kind, of a few games, with the seeds of what is reported."""
    folder = tmp_path_factory.mktemp("records")
    net = f"net=zeb:source={weights},temperature=0"

    def measured(kind: str, *arguments: str) -> None:
        path = folder / f"2030-01-02-{kind}.json"
        assert tools.main([kind, *arguments, "--output", str(path)]) == 0

    rows = folder / "rows.toml"
    row = f'group = "g"\nchanged = "c"\nplayer = "zeb:source={weights}"\nlabels = 5\nminutes = 2\n'
    rows.write_text(f"[[row]]\n{row}seed = 1\n[[row]]\n{row}seed = 2\n")
    metrics = folder / "metrics.jsonl"
    look = {"step": 1, "time": 1, "eval/vs_random_win_rate": 0.6}
    look |= {"eval/vs_random_low": 0.5, "eval/vs_random_high": 0.7}
    metrics.write_text(json.dumps(look) + "\n")
    measured("matrix", "random", "heuristic", net, "--n-deals", "8")
    measured("time", net, "--opponent", "random", "--n-deals", "4", "--alone", "4")
    measured("ablation", "--rows", str(rows), "--opponent", "random", "--n-deals", "4")
    rows.write_text(f'[[row]]\n{row}recipe = "recipes/one.toml"\n')
    measured("training", "--rows", str(rows), "--opponent", "random", "--n-deals", "4")
    measured("calibration", "--network", f"net={weights}", "--opponent", "random", "--n-deals", "4")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tools.measure, "WORLDS", 4)
        measured("belief", "--network", f"net={weights}", "--n-deals", "2")
    measured("curve", f"a run={metrics}")
    measured("marks", "value+random", "rule+random", "jump+random", "thirty+heuristic",
             "--only-with", "jump+random", "value+random", "--n-deals", "2")  # fmt: skip
    measured("bids", "--n-deals", "40", "--n-alone", "20")
    return folder


def test_the_page_shows_what_was_measured(tools: SimpleNamespace, folder: Path) -> None:
    text = tools.page.page(folder)
    for title, _ in tools.page.SECTIONS.values():
        assert f"## {title}\n" in text
    assert "python tools/strength.py matrix random heuristic net=zeb:source=tiny.pt" in text
    assert str(folder) not in text
    elo = read(folder / "2030-01-02-matrix.json")["elo"]["ratings"]
    best = max(elo, key=lambda rating: rating["elo"])
    assert f"| 1 {best['player']} | {best['elo']:+.0f} (" in text
    assert "| play `random` | `value` over `rule` | " in text or "`rule` over `value`" in text
    whole = read(folder / "2030-01-02-marks.json")
    assert len(whole["pairs"]) == 4  # of six: one player meets the first alone
    assert [one["player"] for one in whole["elo"]["ratings"]] == [
        "value+random", "rule+random", "thirty+heuristic"
    ]  # fmt: skip
    bids = read(folder / "2030-01-02-bids.json")["results"]
    assert 30 < bids["all"]["contracts"] <= 40
    assert bids["without_auction"]["42"]["contracts"] == 20
    assert "| g: c | `zeb:source=tiny.pt` | 5 | 2.0 | 1 2 |" in text
    assert "| g: c | [one](recipes/one.toml) | 5 | 2.0 |" in text
    assert "net against itself: layouts, play" in text
    assert "net against itself: contract" in text
    section = tools.readme.strength(folder, ("matrix", "time", "curve"), "../")
    assert "16 games a pairing" in section
    assert "a run" in section
    assert "[The evidence](../bench/records/strength/README.md)" in section


def test_only_records_that_say_where_they_are_from_are_shown(
    tools: SimpleNamespace, folder: Path, tmp_path: Path
) -> None:
    content = read(folder / "2030-01-02-belief.json")
    path = tmp_path / "2030-01-03-belief.json"
    for change, words in (
        ({"commit": None}, "does not say its commit"),
        ({"machine": {}}, "does not say its machine"),
        ({"runs": [{"commit": "a", "command": ""}]}, "a run without its command"),
        ({"settings": {"seed": 5}}, "seed 5; what is shown has seed 420105"),
        ({"version": 9}, "version 9"),
        ({"format": "other"}, "is no record of tools/strength.py"),
    ):
        path.write_text(json.dumps({**content, **change}))
        with pytest.raises(RecordError, match=words):
            tools.record.check(path)
    path.write_text(json.dumps({**content, "complete": False}))
    assert tools.record.complete_records(tmp_path) == {}
    assert max(tools.record.SEEDS.values()) < tools.record.TUNING


def test_the_records_that_are_shown_can_be_added_to(tools: SimpleNamespace, tmp_path: Path) -> None:
    for kind, path in tools.record.complete_records().items():
        old, copy = read(path), tmp_path / path.name
        copy.write_bytes(path.read_bytes())
        record = tools.record.open_record(
            copy, kind, settings=old["settings"], command=["strength.py", kind], resume=True
        )
        assert len(record.content["runs"]) == len(old["runs"]) + 1
        assert not record.content["complete"]
        record.save()
        assert {**read(copy), "complete": True, "runs": old["runs"]} == old
        if kind == "marks":
            for pair in old["pairs"]:
                margins = tools.whole.margins_of(pair, old["n_deals"])
                assert margins.mean() == pytest.approx(pair["marks_a_game"])
                assert (margins > 0).sum() == pair["won"]
        elif "pairs" in old:
            pairings = tools.pairs.Pairings(
                [], n_deals=1, seed=old["settings"]["seed"], entries=old["pairs"]
            )
            again = {(one["player_a"], one["player_b"]): one for one in pairings.entries()}
            for pair in old["pairs"]:
                found = again[pair["player_a"], pair["player_b"]]
                for timed in ("ms_a_decision", "games_per_s"):  # of seconds, which are rounded
                    del pair[timed], found[timed]
                assert pair == found


def test_pictures_know_their_records(tools: SimpleNamespace, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the drawing library is an extra")
    kinds = [path.stem[11:] for path in tools.page.old_pictures(folder)]
    assert kinds == ["belief", "calibration", "curve", "matrix", "time"]
    for path in tools.page.old_pictures(folder):
        tools.plots.draw(path)
    assert tools.page.old_pictures(folder) == []
    changed = tmp_path / "2030-01-02-curve.json"
    picture = folder / "2030-01-02-curve.png"
    changed.with_suffix(".png").write_bytes(picture.read_bytes())
    changed.write_text((folder / changed.name).read_text() + "\n")
    assert tools.page.old_pictures(tmp_path) == [changed]
    assert tools.plots.mark_of(b"nothing") is None
    from matplotlib.image import imread  # the text chunk leaves a picture that can be read

    assert imread(picture).ndim == 3


def test_without_a_record_the_part_says_so(tools: SimpleNamespace, tmp_path: Path) -> None:
    assert "No record yet" in tools.readme.strength(tmp_path, ("matrix",))


def test_trainings_that_are_shown_can_be_repeated(tools: SimpleNamespace) -> None:
    path = tools.record.complete_records()["training"]
    for row in read(path)["rows"]:
        assert read_recipe(path.parent / row["recipe"]).name == Path(row["recipe"]).stem
