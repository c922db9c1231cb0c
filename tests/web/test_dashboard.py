"""The dashboard's server: what it says of runs, whatever happens to their files."""

from __future__ import annotations

import csv
import http.client
import io
import json
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from boards import GAMES_A_CYCLE, Board, MadeRun, dashboard, means, worker_id
from experiments import zebfast
from web_server import Client

from zebfast.experiment.experiment import Experiment, list_experiments
from zebfast.experiment.status.report import status_of
from zebfast.experiment.status.snapshot import Facts, gather
from zebfast.system.files import write_atomic
from zebfast.web.dashboard.routes import _csv
from zebfast.web.dashboard.run import Run

LOSS = "train/play_loss"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MadeRun, Board]]:
    """A run with everything that there can be, which no test changes."""
    root = tmp_path_factory.mktemp("shared")
    run = MadeRun(root, "first")
    run.train(120)
    run.work(5, failed=1)
    run.publish(5, wandb_url="https://wandb.ai/me/zeb/runs/1")
    run.rent(3)
    run.meet("HF transient error: connection reset by peer")
    with dashboard(root) as board:
        yield run, board


@pytest.fixture
def made(tmp_path: Path) -> Iterator[tuple[MadeRun, Board]]:
    run = MadeRun(tmp_path, "first")
    run.train(60)
    run.publish()
    with dashboard(tmp_path) as board:
        yield run, board


def test_it_says_what_status_says(shared: tuple[MadeRun, Board]) -> None:
    run, board = shared
    found = board.look("first")
    look = found["look"]
    options = means().stores(run.experiment)
    status = status_of(gather(run.experiment, options=options, now=time.time()))
    assert {check["name"]: check["state"] for check in look["checks"]} == {
        check.name: check.state for check in status.checks
    }
    fixes = {check["name"]: check["fix"] for check in look["checks"]}
    assert "zebfast experiment learn first" in fixes["learner"]
    assert (look["learner"]["cycle"], look["learner"]["games"]) == (120, 120 * GAMES_A_CYCLE)
    assert look["recipe"]["stage"] == "short"
    assert look["recipe"]["seconds_left"] > 0
    assert look["wandb"] == "https://wandb.ai/me/zeb/runs/1"
    workers = [dict(zip(look["columns"], row, strict=True)) for row in look["workers"]]
    assert {each["worker"] for each in workers} == {worker_id(n) for n in range(5)}
    assert [each["error"] for each in workers if each["phase"] == "failed"] == [
        "CUDA error: out of memory"
    ]
    assert all(each["rate"] > 0 for each in workers)
    assert look["n_incidents"] == 1
    assert "connection reset" in look["incidents"][0][2]
    assert look["trouble"] == ""


def test_money_is_that_of_the_fleet(shared: tuple[MadeRun, Board]) -> None:
    _, board = shared
    [fleet] = board.look("first")["look"]["fleets"]
    assert fleet["spent"] == pytest.approx(1.25, abs=0.01)
    assert fleet["left"] == pytest.approx(5 - fleet["spent"])
    assert fleet["per_hour"] == pytest.approx(3 * 0.05)
    healths = {machine[0][-1]: machine[7] for machine in fleet["machines"]}
    assert healths["1"] == "playing"
    assert healths["0"].startswith("failing")
    assert (fleet["wanted"], fleet["playing"]) == (3, 2)


def test_curves_are_those_of_the_picture(shared: tuple[MadeRun, Board]) -> None:
    run, board = shared
    found = board.look("first")
    titles = [panel["title"] for panel in found["look"]["panels"]]
    assert titles[0] == "games a second"
    assert {"play loss (squared error)", "examples in the replay buffers"} <= set(titles)
    metrics = {name for panel in found["look"]["panels"] for _, name, *_ in panel["series"]}
    assert "eval/vs_heuristic2_win_rate" in metrics
    curves = found["curves"]["first"]
    own = curves["series"][LOSS]
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    told = [row[LOSS] for row in rows if LOSS in row]
    assert own["mean"] == pytest.approx(told, rel=1e-5)
    assert curves["series"]["speed/self-play"]["mean"][-1] == pytest.approx(250, rel=0.1)
    assert [name for name, _ in found["look"]["stages"]] == ["short", "long", "again"]


def test_every_row_comes_as_csv(shared: tuple[MadeRun, Board]) -> None:
    run, board = shared
    board.look("first")
    answer = board.owner.get(
        f"/api/run/first/metrics.csv?metric={LOSS}&metric=eval/vs_random_win_rate"
    )
    assert answer.headers["content-disposition"] == 'attachment; filename="first-metrics.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    whole = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert len(rows) == len(whole) == 122
    assert [row[LOSS] for row in rows] == [str(row.get(LOSS, "")) for row in whole]
    assert rows[50]["stats/total_games"] == str(50 * GAMES_A_CYCLE), "carried on to the look's row"
    assert board.owner.get("/api/run/first/metrics.csv?metric=none").status == 404


def test_a_table_comes_in_pieces_whichever_rows_it_leaves_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    rows = ({"step": n, LOSS: 0.5} if n % 2 else {"step": n} for n in range(1, 4001))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pieces = list(_csv(path, (LOSS,)))
    assert max(piece.count(b"\n") for piece in pieces) <= 501
    assert len(b"".join(pieces).splitlines()) == 2001


def test_nothing_is_said_to_who_has_no_token_and_nothing_can_be_changed(
    shared: tuple[MadeRun, Board],
) -> None:
    _, board = shared
    paths = ("/", "/run/first", "/api/run/first", "/api/run/first/events",
             "/api/experiments/events", "/api/run/first/metrics.csv")  # fmt: skip
    for path in paths:
        assert Client(board.port).get(path).status == 403
        assert board.owner.post(path, {}).status == 405
    assert (
        board.owner.get("/run/first")
        .headers["content-security-policy"]
        .startswith("default-src 'none'")
    )
    assert "There is no experiment" in board.owner.get("/api/run/none").json["error"]
    assert board.owner.get("/api/run/..%2f..%2fetc").status == 404
    many = "&".join(f"with=x{n}" for n in range(9))
    assert board.owner.get(f"/api/run/first?{many}").status == 400


@contextmanager
def _events(board: Board, path: str) -> Iterator[Iterator[Any]]:
    """The events of a stream, as a browser gets them."""
    line = http.client.HTTPConnection("127.0.0.1", board.port, timeout=20)
    line.request("GET", path, headers={"Cookie": board.owner.cookie})
    answer = line.getresponse()
    assert answer.status == 200
    lines = iter(answer.readline, b"")
    yield (json.loads(each[6:]) for each in lines if each.startswith(b"data: "))
    line.close()


def test_a_watcher_is_told_what_is_new(made: tuple[MadeRun, Board]) -> None:
    run, board = made
    board.look("first")
    with _events(board, "/api/run/first/events") as events:
        first = next(events)["curves"]["first"]
        assert (first["from"], first["n"]) == (0, 61)
        run.train(5)
        while (told := next(events)["curves"]["first"])["n"] < 66:
            pass
        assert told["from"] >= 60
        assert told["key"] == first["key"]


def test_a_half_written_row_a_damaged_one_and_a_new_file(made: tuple[MadeRun, Board]) -> None:
    run, board = made
    with open(run.metrics, "a", encoding="utf-8") as handle:
        handle.write('{"step": "?"}\n{"step": 61, "time": 1')
    found = board.look("first")["look"]
    assert found["metrics"]["bad"] == 1
    assert found["metrics"]["rows"] == 61
    with open(run.metrics, "a", encoding="utf-8") as handle:
        handle.write('.5, "train/policy_loss": 7.5}\n')
    found = board.look("first")["look"]
    assert (found["metrics"]["rows"], found["learner"]["policy_loss"]) == (62, 7.5)
    key = board.look("first")["curves"]["first"]["key"]
    write_atomic(run.metrics, (json.dumps(run.row(3)) + "\n").encode())  # as a revert would
    found = board.look("first")
    assert found["look"]["metrics"] == {"rows": 1, "bad": 0, "read": 1.0, "sampled": False}
    assert found["look"]["learner"]["cycle"] == 3
    assert found["curves"]["first"]["key"] != key


def test_a_run_that_vanishes_stays_on_the_page_and_another_of_its_name_is_another(
    made: tuple[MadeRun, Board],
) -> None:
    run, board = made
    assert board.look("first")["look"]["learner"]["cycle"] == 60
    shutil.rmtree(run.experiment.directory)
    shutil.rmtree(run.run)
    found = board.look("first")
    assert "first" in found["look"]["trouble"]
    assert found["look"]["learner"]["cycle"] == 60
    assert found["curves"]["first"]["n"] == 61
    other = MadeRun(run.root, "first", began=run.began + 100)
    other.train(7)
    found = board.look("first")
    assert found["look"]["trouble"] == ""
    assert (found["look"]["learner"]["cycle"], found["curves"]["first"]["n"]) == (7, 7)


def test_what_others_publish_is_no_way_in(made: tuple[MadeRun, Board]) -> None:
    run, board = made
    run.publish(wandb_url="javascript:alert(1)", problems=[{"unix": 1.0, "line": "x\ny" * 900},
                "none", {"unix": "x"}])  # fmt: skip
    found = board.look("first")["look"]
    assert found["trouble"] == ""
    [incident] = found["incidents"]
    assert len(incident[2]) == 500
    assert found["trouble"] == ""
    path = run.run / run.experiment.namespace.state_file
    path.write_text('{"step": 1, "total_games": 1e400, "updated_unix": NaN}')
    found = board.look("first")["look"]
    assert found["trouble"] == ""
    path.write_bytes(b"\xff" * 100)
    assert "weights place" in [check["name"] for check in board.look("first")["look"]["checks"]]


def test_all_experiments_and_several_beside_each_other(made: tuple[MadeRun, Board]) -> None:
    run, board = made
    second = MadeRun(run.root, "second")
    second.train(30)
    (run.root / "experiments" / "bad").mkdir()
    (run.root / "experiments" / "bad" / "experiment.toml").write_text("no TOML")
    found = board.look("first", "second")
    assert {name: part["n"] for name, part in found["curves"].items()} == {
        "first": 61, "second": 30,
    }  # fmt: skip
    with _events(board, "/api/experiments/events") as events:
        lines: dict[str, Any] = {}
        while len(lines) < 3 or not all(each["looks"] for each in lines.values()):
            lines = {each["name"]: each for each in next(events)["experiments"]}
    assert (lines["first"]["cycle"], lines["second"]["cycle"]) == (60, 30)
    assert "bad" in lines["bad"]["trouble"]
    assert "learner" in lines["first"]["wrong"]


def test_a_fault_of_ours_is_told_and_the_other_experiments_go_on(
    made: tuple[MadeRun, Board], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, board = made
    board.look("first")
    monkeypatch.setattr("zebfast.web.dashboard.watching.RETRY_SECONDS", 0.02)
    watched = board.watching.find("first")
    monkeypatch.setattr(watched.run, "_look", lambda: 1 / 0)
    ends = time.monotonic() + 20
    while "failed" not in (found := board.owner.get("/api/run/first").json["look"])["trouble"]:
        assert time.monotonic() < ends
        time.sleep(0.01)
    assert found["learner"]["cycle"] == 60
    assert "ZeroDivisionError" in caplog.text
    monkeypatch.undo()
    assert board.look("first")["look"]["trouble"] == ""


def test_nobody_looks_when_nobody_watches(
    made: tuple[MadeRun, Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, board = made
    monkeypatch.setattr("zebfast.web.dashboard.watching.LINGER_SECONDS", 0.05)
    board.look("first")
    watched = board.watching.find("first")
    ends = time.monotonic() + 20
    while watched.is_watched:
        assert time.monotonic() < ends
        time.sleep(0.01)
    looks = watched.run.looks
    time.sleep(0.1)
    assert watched.run.looks == looks


def test_the_hub_is_asked_no_sooner_while_a_long_file_is_read(
    made: tuple[MadeRun, Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = made
    asked: list[Path] = []

    def counted(experiment: Experiment, **more: Any) -> Facts:
        asked.append(experiment.directory)  # others may be looked at meanwhile, too
        return gather(experiment, **more)

    monkeypatch.setattr("zebfast.web.dashboard.run.gather", counted)
    monkeypatch.setattr("zebfast.web.dashboard.run.HERE_SECONDS", 0.0)
    monkeypatch.setattr("zebfast.web.dashboard.run.READ_SECONDS", 0.0)
    monkeypatch.setattr("zebfast.system.follow.BLOCK", 4000)
    monkeypatch.setattr("zebfast.experiment.experiment.Experiment.is_local", False)
    watched = Run("first", run.experiment.directory, means(None))
    watched.look()
    assert watched.pause < 1
    while watched.pause < 1:
        watched.look()
    assert (watched.trouble, watched.pause) == ("", 60.0)
    assert asked.count(watched.directory) == 1


def test_a_list_of_many_reads_the_directory_once(
    made: tuple[MadeRun, Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, board = made
    for name in ("a", "b", "c"):
        MadeRun(run.root, name)
    listed: list[Path] = []

    def counted(directory: Path) -> list[str]:
        listed.append(directory)
        return list_experiments(directory)

    monkeypatch.setattr("zebfast.web.dashboard.watching.list_experiments", counted)
    monkeypatch.setattr("zebfast.web.dashboard.watching.LIST_SECONDS", 1000.0)
    with _events(board, "/api/experiments/events") as events:
        while len(next(events)["experiments"]) < 4:
            pass
    assert listed.count(board.watching.directory) == 1


def test_the_command_refuses_what_is_not_there(tmp_path: Path) -> None:
    done = zebfast("experiment", "dashboard", "none", "--experiments-dir", tmp_path)
    assert done.exit_code == 2
    assert "There is no experiment 'none'" in done.stderr
    done = zebfast("experiment", "dashboard", "--host", "", "--experiments-dir", tmp_path)
    assert done.exit_code == 2, "it would listen to every machine"
    assert "it is empty" in done.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = zebfast(
            "experiment", "dashboard", "--port", str(port), "--experiments-dir", tmp_path
        )
    assert "is taken by another program" in str(done.exception)
