"""The commands on fleets against a loopback Vast.ai with its real SDK."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from experiments import edit
from fleets import FLEET, Rented
from runs import publish
from workers import wait_for_line

from tests.servers.vast import KEY, Fault, VastServer
from zebfast.cli.fleet import VERBS
from zebfast.cli.fleet import up as fleet_up
from zebfast.cli.main import cli
from zebfast.cli.run import user_sentence
from zebfast.system.locks import hold_lock

pytest.importorskip("vastai", reason="vastai is not installed")

UP = ("-n", "2", "--max-dph", "0.2", "--yes")


@pytest.fixture
def rented(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rented]:
    """No machine of the loopback really runs, so that none need reach the directories."""
    monkeypatch.setattr(fleet_up, "_refuse_unreachable", lambda *_: None)
    publish(root / "run", step=3, name="first")
    for name in ("ZEB_WEIGHTS_NAME", "ZEB_FLEET", "ZEB_WORKER_MODE", "ZEB_MAX_DPH", "ZEB_GPUS",
                 "RUNPOD_API_KEY"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(root))
    with VastServer(n_offers=6) as server:
        monkeypatch.setenv("VAST_URL", server.url)
        monkeypatch.setenv("VAST_API_KEY", KEY)
        yield Rented(root, server)


def test_a_fleet_from_up_to_down(rented: Rented) -> None:
    done = rented.run("up", *UP)
    assert done.exit_code == 0, done.output
    assert len(rented.server.labels()) == 2
    assert "2 machines: $" in done.stdout
    assert "for a million games" in done.stdout
    assert "No end is set" in done.stdout
    assert "zebfast fleet monitor first --role selfplay" in done.stderr
    rented.play(1)
    assert rented.run("replenish").exit_code == 0
    rented.play(2)
    assert rented.run("replenish").exit_code == 0
    found = rented.status()
    assert (found["playing"], found["wanted"], found["games_per_s"]) == (2, 2, 8.0)
    assert [row["health"] for row in found["rows"]] == ["playing", "playing"]
    assert found["per_day"] == pytest.approx(24 * found["dph"])
    text = rented.run("status").stdout
    assert all(label in text for label in rented.server.labels())
    assert "2 of 2 play" in text
    assert len(rented.server.labels()) == 2
    gone = rented.run("down", "--yes")
    assert gone.exit_code == 0, gone.output
    assert rented.server.labels() == []
    assert "Nothing is left" in gone.stderr
    assert rented.state is not None
    assert not rented.state.wanted
    assert rented.run("replenish").exit_code == 0
    assert rented.server.labels() == [], "nothing is rented again"


@pytest.mark.parametrize("flags", [("--dry-run",), (), ("--dry-run", "--json")])
def test_up_shows_the_price_and_rents_nothing_without_a_yes(
    rented: Rented, flags: tuple[str, ...]
) -> None:
    done = rented.run("up", "-n", "2", "--max-dph", "0.2", *flags)
    assert done.exit_code == (0 if flags else 2), done.output
    assert (rented.server.rents, rented.state) == (0, None)
    if "--json" in flags:
        quote = json.loads(done.stdout)
        assert len(quote["offers"]) == 2
        assert quote["expected_games_per_s"] > 0
    else:
        assert "2 machines: $" in done.stdout
    if not flags:
        assert "give --yes" in done.stderr


def test_a_person_is_asked_at_a_terminal(rented: Rented, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _self: True)
    up = UP[:-1]
    no = rented.run("up", *up, answer="n\n")
    assert "Rent 2 machines?" in no.stderr
    assert (rented.server.rents, rented.state) == (0, None)
    assert rented.run("up", *up, answer="y\n").exit_code == 0
    assert len(rented.server.labels()) == 2
    no = rented.run("down", answer="n\n")
    assert "Destroy 2 machines ($0.100/h)?" in no.stderr
    assert len(rented.server.labels()) == 2
    assert rented.run("down", answer="y\n").exit_code == 0
    assert rented.server.labels() == []


def test_up_again_with_other_numbers_changes_the_fleet(rented: Rented) -> None:
    assert rented.run("up", *UP).exit_code == 0
    more = rented.run("up", "-n", "3", "--max-dph", "0.2", "--yes")
    assert more.exit_code == 0
    assert "1 machine: $" in more.stdout, "only what is missing"
    assert len(rented.server.labels()) == 3
    rented.play(1)
    for batch in (2, 3):
        rented.play(batch)
        assert rented.run("replenish", "-n", "1").exit_code == 0
    assert len(rented.server.labels()) == 1


def test_up_is_refused_before_there_are_weights(rented: Rented) -> None:
    for path in (rented.root / "run").glob("first*"):
        path.unlink()
    done = rented.run("up", *UP)
    assert done.exit_code == 1
    assert "zebfast experiment learn first --stage selfplay" in str(done.exception)
    assert rented.server.requests == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--n-simulation", "3"), "flags of the workers: No such option '--n-simulation'"),
        (("--", "--worker-id", "x"), "--worker-id is decided by the fleet"),
        (("--", "--n-samples", "3"), "--n-samples changes nothing in --mode selfplay"),
        (("--max-dph", "0"), "--max-dph"),
        (("--fleet", "a/b"), "cannot be a fleet's label"),
        (("--fleet", "market"), "cannot be a fleet's label"),
        (("--json",), "--json is for --dry-run"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_asked(
    rented: Rented, flags: tuple[str, ...], words: str
) -> None:
    done = rented.run("up", "--yes", *flags)
    assert done.exit_code == 2
    assert words in done.stderr
    assert rented.server.requests == []


def test_nothing_that_fits_is_an_error_with_the_reasons(rented: Rented) -> None:
    done = rented.run("up", "--yes", "--gpus", "RTX_9999")
    assert done.exit_code == 1
    assert "nothing that fits is for rent now" in str(done.exception)
    assert "vast has 0 that fit" in done.stdout
    assert rented.state is None


def test_a_missing_key_or_token_is_named(rented: Rented, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAST_API_KEY")
    done = rented.run("up", *UP)
    assert done.exit_code == 1
    assert "set VAST_API_KEY" in str(done.exception)
    monkeypatch.undo()
    with_directory = rented.run("up", *UP)
    assert with_directory.exit_code == 1
    assert "cannot reach the directory" in str(with_directory.exception)
    edit(rented.root, f'weights_dir = "{rented.root}/run"', 'repo_id = "me/w"')
    edit(rented.root, f'input_dir = "{rented.root}/run/examples"', 'examples_repo_id = "me/e"')
    monkeypatch.delenv("HF_TOKEN", raising=False)
    without_token = rented.run("up", *UP)
    assert without_token.exit_code == 1
    assert "HF_TOKEN is not set" in str(without_token.exception)


def test_a_missing_client_library_is_told_with_what_installs_it(
    rented: Rented, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vastai", None)
    done = rented.run("up", *UP)
    assert done.exception is not None
    assert "pip install vastai" in (user_sentence(done.exception) or "")


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    done = CliRunner().invoke(cli, ["fleet", verb, "--help"], prog_name="zebfast")
    assert done.exit_code == 0
    assert f"\n    zebfast fleet {verb} first" in done.stdout


def test_the_environment_of_the_documents_works(
    rented: Rented, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "ZEB_WORKER_MODE": "eval-aux", "ZEB_FLEET": "zeb-night", "ZEB_MAX_DPH": "0.19",
        "ZEB_GPUS": "RTX_3060,RTX_4070", "ZEB_EQ_N_SAMPLES": "50",
        "ZEB_EQ_POLICY_TARGETS": "1", "ZEB_EQ_GAMES_PER_BATCH": "64",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    done = rented.run("up", "--yes", "--", "--n-samples", "20")
    assert done.exit_code == 0, done.output
    [label] = rented.server.labels()
    assert label.startswith("zeb-night/")
    spec = json.loads((rented.files.directory / "zeb-night.json").read_text())["spec"]
    assert (spec["role"], spec["max_dph"], spec["gpus"]) == (
        "evalaux", 0.19, ["RTX 3060", "RTX 4070"],
    )  # fmt: skip
    assert spec["worker_args"] == [
        "--n-samples", "50", "--games-per-batch", "64", "--eq-policy-targets",
        "--n-samples", "20",
    ]  # fmt: skip
    assert rented.run("down", "--yes").exit_code == 0
    assert rented.server.labels() == []


def test_no_secret_reaches_a_label_a_command_or_a_file(
    rented: Rented, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_quiteSecret")
    leaky = "https://somebody:hf_quiteSecret@example.org/zebfast.whl"
    refused = rented.run("up", *UP, "--package", leaky)
    assert (refused.exit_code, rented.server.requests) == (2, [])
    assert "--package has a user or key in it" in refused.stderr
    assert "hf_quiteSecret" not in refused.output
    done = rented.run("up", *UP)
    [sent, _] = rented.server.sent("PUT", "/asks/")
    body = {key: value for key, value in sent.body.items() if key != "env"}
    texts = [done.output, json.dumps(body), *rented.server.labels()]
    texts += [path.read_text() for path in rented.files.directory.iterdir()]
    for secret in ("hf_quiteSecret", KEY):
        assert not [text for text in texts if secret in text]


def test_status_replenish_and_logs_say_where_there_is_no_fleet(rented: Rented) -> None:
    done = rented.run("status")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "zebfast fleet up first -n 2" in done.stderr
    for verb in ("replenish", "monitor", "logs"):
        none = rented.run(verb)
        assert none.exit_code == 2
        assert "There is no fleet zeb-first-selfplay or zeb-first-evalaux yet" in none.stderr


def test_replenish_leaves_a_fleet_to_whoever_has_it(rented: Rented) -> None:
    assert rented.run("up", *UP).exit_code == 0
    rented.server.vanish(rented.server.newest())
    with hold_lock(rented.files.lock, busy=RuntimeError):
        done = rented.run("replenish")
    assert done.exit_code == 0
    assert "is looked after by process" in done.stderr
    assert len(rented.server.labels()) == 1
    for command in (("replenish", "-n", "4"), ("monitor",)):
        dry = rented.run(*command, "--dry-run")
        assert dry.exit_code == 0
        assert "Nothing was changed" in dry.stderr
    assert rented.state is not None
    assert rented.state.spec.n == 2


def test_trouble_with_one_fleet_leaves_the_other_looked_after(rented: Rented) -> None:
    assert rented.run("up", *UP).exit_code == 0
    assert rented.run("up", *UP, "--role", "evalaux").exit_code == 0
    rented.server.set_state(rented.server.newest(), "offline")
    rented.files.state.write_text("{")
    done = rented.run("replenish")
    assert done.exit_code == 1
    assert "zeb-first-selfplay: " in done.stderr
    fleets = [label.split("/")[0] for label in rented.server.labels()]
    assert (fleets.count(FLEET), fleets.count("zeb-first-evalaux")) == (2, 2)
    assert "is offline" in done.stderr


def test_logs_of_one_machine_and_of_all(rented: Rented) -> None:
    assert rented.run("up", *UP).exit_code == 0
    first, second = sorted(rented.server.instances)
    rented.server.logs = {first: "one\ntwo\nthree\n", second: "four\n"}
    token = str(rented.server.instances[first]["label"]).rsplit("/", 1)[-1]
    assert rented.run("logs", token, "--lines", "2").stdout == "two\nthree\n"
    text = rented.run("logs").stdout
    assert text.count("==> zeb-first-selfplay/") == 2
    assert "four" in text
    wrong = rented.run("logs", "nobody")
    assert wrong.exit_code == 2
    assert token in wrong.stderr


def test_down_asks_and_names_what_it_would_destroy(rented: Rented) -> None:
    assert rented.run("up", *UP).exit_code == 0
    for flags, code in ((("--dry-run",), 0), ((), 2)):
        done = rented.run("down", *flags)
        assert done.exit_code == code
        assert all(label in done.stdout for label in rented.server.labels())
        assert len(rented.server.labels()) == 2
        assert rented.state is not None
        assert rented.state.wanted


def test_down_finds_machines_that_nobody_remembers(rented: Rented) -> None:
    rented.server.add(f"{FLEET}/0a0b0c0d")
    rented.server.add("zeb-first-evalaux/0a0b0c0e")
    other = rented.server.add("zeb-other-selfplay/0a0b0c0f")
    assert "not remembered" in rented.run("status").stdout
    done = rented.run("down", "--yes")
    assert done.exit_code == 0, done.output
    assert list(rented.server.instances) == [other]


def test_down_with_a_damaged_memory_keeps_the_file_and_ends_the_machines(rented: Rented) -> None:
    assert rented.run("up", *UP).exit_code == 0
    rented.files.state.write_text("{")
    refused = rented.run("replenish")
    assert refused.exit_code == 1
    assert "zebfast fleet down" in str(refused.exception)
    done = rented.run("down", "--yes")
    assert done.exit_code == 0, done.output
    assert rented.server.labels() == []
    [kept] = rented.files.directory.glob("*.damaged-*")
    assert kept.read_text() == "{"


def test_down_says_what_is_left(rented: Rented) -> None:
    assert rented.run("up", *UP).exit_code == 0
    rented.server.faults.append(Fault("answer", match="DELETE", status=403, times=None))
    done = rented.run("down", "--yes", "--wait", "0")
    assert done.exit_code == 1, done.output
    for label in rented.server.labels():
        assert f"{label} (vast " in done.stderr
    assert "run zebfast fleet down first" in done.stderr
    rented.server.faults.clear()
    assert rented.run("down", "--yes").exit_code == 0


def test_a_monitor_heals_until_it_is_stopped_or_nothing_is_wanted(
    rented: Rented, repo_root: Path
) -> None:
    assert rented.run("up", *UP).exit_code == 0
    command = [sys.executable, "-m", "zebfast", "fleet", "monitor", "first", "--fast", "0.2",
               "--experiments-dir", str(rented.root / "experiments")]  # fmt: skip

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=repo_root
        )

    first = start()
    try:
        wait_for_line("0 of 2 play", first)
        rented.server.faults.append(Fault("answer", match="instances", times=8))
        wait_for_line("no answer from vast", first)
        number = rented.server.newest()
        rented.server.set_state(number, "offline")
        wait_for_line("destroy zeb-first-selfplay/", first)
        deadline = time.monotonic() + 60
        while number in rented.server.instances or len(rented.server.labels()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        first.send_signal(signal.SIGINT)
        _, told = first.communicate(timeout=60)
        assert first.returncode == 130, told
        assert "they go on" in told
        assert "zebfast fleet down first --role selfplay" in told
        assert len(rented.server.labels()) == 2
    finally:
        first.kill()
    second = start()
    try:
        wait_for_line("0 of 2 play", second)
        assert rented.run("down", "--yes").exit_code == 0
        _, told = second.communicate(timeout=60)
        assert second.returncode == 0, told
        assert rented.server.labels() == []
    finally:
        second.kill()
