"""Machines that are processes here: real ones, killed, frozen, orphaned and destroyed."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from launches import near_experiment
from runs import publish

from zebfast.exchange import LocalExampleStore
from zebfast.fleet.launch import start_command
from zebfast.fleet.local import Birth, LocalProvider, boot_id, end_session, parse_stat, read_stat
from zebfast.fleet.model import Launch, Machine, Offer, Spec
from zebfast.fleet.provider import OfferGone, ProviderError
from zebfast.selfplay.example_files import read_examples

FLEET = "zeb-first-selfplay"
SLEEP = "echo started; exec sleep 600"


def spec(**changes: object) -> Spec:
    return Spec(fleet=FLEET, experiment="first", role="selfplay", n=2, **changes)  # type: ignore[arg-type]


class Site:
    """A provider over a directory, opened anew whenever somebody asks for it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ids: list[str] = []

    def provider(self, **changes: float) -> LocalProvider:
        return LocalProvider(self.directory, grace=changes.get("grace", 30.0))

    def create(self, token: str, command: str = SLEEP, **env: str) -> str:
        provider = self.provider()
        launch = Launch(label=f"{FLEET}/{token}", command=command, env=env, image="", disk_gb=1.0)
        self.ids.append(provider.create(provider.offers(spec())[0], launch))
        return self.ids[-1]

    def machine(self, machine_id: str) -> Machine:
        return next(m for m in self.provider().machines(FLEET) if m.id == machine_id)

    def birth(self, machine_id: str) -> Birth:
        return parse_stat((self.directory / machine_id / "birth").read_text()).birth

    def until(self, machine_id: str, words: str) -> None:
        wait_for(lambda: words in self.provider().logs(machine_id, lines=50))


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "local")
    yield made
    for machine_id in made.ids:
        if (made.directory / machine_id / "birth").exists():
            end_session(made.birth(machine_id), 0.0)


def test_a_machine_from_offer_to_end(site: Site) -> None:
    offers = site.provider().offers(spec(gpus=("RTX 3060",)))
    assert {(offer.gpu, offer.price_per_hour, offer.host) for offer in offers} == {("cpu", 0.0, "")}
    assert site.provider().machines(FLEET) == []
    one = site.create("aaaa0001")
    site.until(one, "started")
    machine = site.machine(one)
    assert (machine.state, machine.label, machine.gpu) == ("running", f"{FLEET}/aaaa0001", "cpu")
    assert (machine.price_per_hour, machine.message) == (0.0, "started")
    assert abs((machine.started or 0) - time.time()) < 60
    assert site.provider().machines("zeb-first-self") == []
    assert len(site.provider().offers(spec())) == len(offers) - 1
    site.provider().destroy(one)
    assert site.provider().machines(FLEET) == []
    assert not site.birth(one).is_alive()
    assert len(site.provider().offers(spec())) == len(offers)
    site.provider().destroy(one)  # twice is fine, and what never was, too
    site.provider().destroy("never")
    assert site.provider().logs(one, lines=5) == "started"  # for whoever asks why
    assert site.provider().credit() is None


def test_it_is_told_its_variables_where_nobody_reads_them(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAST_API_KEY", "of the account")
    nasty = "a b'\"$(x)\n=\\"
    show = (
        f"{sys.executable} -c 'import os, sys; print(ascii([os.environ.get(n) for n in "
        '("SECRET", "VAST_API_KEY", "ZEB_ALLOW_CPU")]), os.getcwd(), sys.stdin.read() == "")\'; '
        "command -v zebfast; " + SLEEP
    )
    one = site.create("aaaa0002", show, SECRET=nasty)
    site.until(one, "started")
    first, *_ = site.provider().logs(one, lines=9).splitlines()
    home = site.directory / one
    assert first == f"{[nasty, None, '1']!a} {home} True"
    held = "".join(path.read_text() for path in home.iterdir() if path.name != "log.txt")
    assert "a b" not in held
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert b"a b'" not in line.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue


def test_killed_and_finished_ones_are_exited(site: Site) -> None:
    killed, done = site.create("aaaa0003"), site.create("aaaa0004", "echo bad; exit 3")
    site.until(killed, "started")
    os.kill(site.birth(killed).pid, signal.SIGKILL)
    for each in (killed, done):
        wait_for(lambda each=each: site.machine(each).state == "exited")
    assert site.machine(done).message == "bad"
    for each in (killed, done):
        site.provider().destroy(each)
    assert site.provider().machines(FLEET) == []


def test_destroy_is_heard_once_waited_for_and_then_enforced(site: Site) -> None:
    polite = 'trap "echo saved; exit" TERM; echo ready; while :; do sleep 0.1; done'
    deaf = (
        'trap "echo no" TERM; echo ready; (while :; do sleep 0.1; done) & while :; do sleep 1; done'
    )
    one, two = site.create("aaaa0005", polite), site.create("aaaa0006", deaf)
    for each in (one, two):
        site.until(each, "ready")
    site.provider().destroy(one)
    assert site.provider().logs(one, lines=9).count("saved") == 1
    site.provider(grace=0.3).destroy(two)
    assert site.provider().machines(FLEET) == []


def test_a_halted_one_can_save_its_work(site: Site) -> None:
    one = site.create(
        "aaaa0007", 'trap "echo saved; exit" TERM; echo ready; while :; do sleep 0.1; done'
    )
    site.until(one, "ready")
    os.killpg(site.birth(one).pid, signal.SIGSTOP)
    assert site.machine(one).state == "running"  # only its heartbeats can tell
    site.provider().destroy(one)
    assert site.provider().logs(one, lines=1) == "saved"


def test_processes_that_outlive_the_first_are_ended_too(site: Site) -> None:
    one = site.create("aaaa0008", "set -m; sleep 600 & echo started; wait")
    site.until(one, "started")
    leader = site.birth(one)
    os.kill(leader.pid, signal.SIGKILL)
    wait_for(lambda: site.machine(one).state == "exited")
    site.provider(grace=0.1).destroy(one)
    assert end_session(leader, 0.0)


def test_an_id_that_somebody_else_has_now_is_nobody_of_ours(site: Site) -> None:
    one = site.create("aaaa0009")
    site.until(one, "started")
    born = site.birth(one)
    here = read_stat(os.getpid())
    assert here is not None
    stranger = (
        (site.directory / one / "birth").read_text().replace(str(born.pid), str(os.getpid()), 1)
    )
    (site.directory / one / "birth").write_text(stranger)
    assert site.machine(one).state == "exited"
    site.provider(grace=0.0).destroy(one)  # and this process lives on
    assert born.is_alive()
    end_session(born, 0.0)


def test_after_a_restart_of_this_machine_nothing_runs(site: Site) -> None:
    one = site.create("aaaa0010")
    site.until(one, "started")
    born, path = site.birth(one), site.directory / one / "machine.json"
    path.write_text(path.read_text().replace(boot_id(), "another"))
    assert site.machine(one).state == "exited"
    site.provider().destroy(one)
    assert born.is_alive()
    end_session(born, 0.0)


def test_what_was_asked_for_and_never_born_is_loading_and_then_lost(site: Site) -> None:
    home = site.directory / "aaaa0011"
    home.mkdir(parents=True)
    facts = {"label": f"{FLEET}/aaaa0011", "slot": "0", "asked": time.time(), "boot": boot_id()}
    (home / "machine.json").write_text(json.dumps(facts))
    assert site.machine("aaaa0011").state == "loading"
    (home / "machine.json").write_text(json.dumps(facts | {"asked": time.time() - 100}))
    assert site.machine("aaaa0011").state == "exited"


def test_what_cannot_be_rented(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.create("aaaa0012")
    launch = Launch(label=f"{FLEET}/aaaa0013", command=SLEEP, env={}, image="", disk_gb=1.0)
    with pytest.raises(OfferGone, match="slot 0"):
        site.provider().create(
            Offer(provider="local", id="0", gpu="cpu", price_per_hour=0.0), launch
        )
    free = site.provider().offers(spec())[0]
    with pytest.raises(ProviderError, match="label"):
        site.provider().create(free, Launch(**{**vars(launch), "label": "x/.."}))
    with pytest.raises(ProviderError, match="there already"):
        site.provider().create(free, Launch(**{**vars(launch), "label": "x/aaaa0012"}))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ProviderError, match="cannot be started here"):
        site.provider().create(free, launch)
    assert [machine.id for machine in site.provider().machines(FLEET)] == ["aaaa0012"]


def test_a_damaged_record_is_named(site: Site) -> None:
    (site.directory / "x").mkdir(parents=True)
    (site.directory / "x" / "machine.json").write_text("[]")
    with pytest.raises(ProviderError, match=r"machine\.json cannot be read"):
        site.provider().machines(FLEET)


def test_a_real_worker_from_the_start_command_to_its_last_sign(site: Site, tmp_path: Path) -> None:
    experiment = near_experiment(tmp_path)
    publish(tmp_path / "run", step=0, name="first")
    quick = ("--n-parallel-games", "8", "--n-simulations", "2", "--games-per-batch", "8",
             "--threads", "1", "--device", "cpu")  # fmt: skip
    wanted = spec(package="installed", worker_args=quick)
    one = site.create("aaaa0014", start_command(wanted, experiment, "selfplay-aaaa0014"))
    site.until(one, "batch 2:")
    assert "ok   GPU: none" in site.provider().logs(one, lines=50)
    site.provider().destroy(one)
    store = LocalExampleStore(tmp_path / "run" / "examples", experiment.namespace)
    last = store.heartbeats()["selfplay-aaaa0014"]
    assert (last.phase, last.restarts) == ("stopped", 0)
    with store.fetch(store.list()) as paths:
        assert sum(read_examples(path).n_games for path in paths.values()) == last.total_games >= 16
