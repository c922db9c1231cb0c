"""The real Vast.ai SDK against a loopback service: every mapping, and all that goes wrong."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.servers.vast import KEY, Fault, VastServer, offer_row
from zebfast.fleet.model import Launch, Machine, Spec
from zebfast.fleet.provider import (
    NoCredit,
    OfferGone,
    Provider,
    ProviderError,
    SearchQuota,
    Unreachable,
)
from zebfast.fleet.providers import open_provider
from zebfast.fleet.vast import VastProvider

pytest.importorskip("vastai", reason="vastai is not installed")

FLEET = "zeb-night-selfplay"
SPEC = Spec(fleet=FLEET, experiment="night", role="selfplay", n=2)
TOKEN = "hf_aVerySecretToken123"
LAUNCH = Launch(
    label=f"{FLEET}/0a1b2c3d",
    command="set -e\npip install zebfast\nexec zebfast host run -- --n-parallel-games 128\n",
    env={"HF_TOKEN": TOKEN, "FLAG": "1"},
    image="pytorch/pytorch:some",
    disk_gb=16.0,
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[VastServer]:
    """A service; the SDK finds neither a proxy, nor a key of its own, nor another server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VAST_API_KEY", "the wrong one")
    with VastServer() as service:
        yield service


@pytest.fixture
def vast(server: VastServer) -> VastProvider:
    return VastProvider(KEY, server_url=server.url, timeout=20)


def rent(vast: VastProvider, token: str = "0a1b2c3d") -> int:
    """Rent the cheapest offer; the number of the machine."""
    launch = replace(LAUNCH, label=f"{FLEET}/{token}")
    return int(vast.create(vast.offers(SPEC)[0], launch))


def only(vast: VastProvider) -> Machine:
    (machine,) = vast.machines(FLEET)
    return machine


def refused(call: Callable[[], Any], kind: type[ProviderError]) -> Any:
    """The error that ``call`` raises: of exactly this kind, one sentence, no secret in it."""
    with pytest.raises(kind) as caught:
        call()
    error = caught.value
    assert type(error) is kind
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    for text in (str(error), repr(error), repr(vars(error))):
        assert KEY not in text
        assert TOKEN not in text
        assert "\n" not in text
    return error


def as_answer(error: str, message: str = "no") -> dict[str, Any]:
    return {"success": False, "error": error, "msg": message}


# Searching.


def test_offers_are_mapped_and_asked_for_as_wanted(vast: VastProvider, server: VastServer) -> None:
    server.offers = [
        offer_row(1, dph_total=0.09),
        offer_row(2, dph_total=0.05, machine_id=42, cuda_max_good=12.6),
        offer_row(3, dph_total=0.16),
        offer_row(4, reliability=0.9),
        offer_row(5, inet_up=10.0),
        offer_row(6, gpu_name="RTX 4090"),
        offer_row(7, num_gpus=2),
        offer_row(8, disk_space=8.0),
        offer_row(9, inet_down=50.0),
        offer_row(10, rented=True),
    ]
    found = vast.offers(replace(SPEC, gpus=("RTX_3060", "RTX 3070")))
    assert [offer.id for offer in found] == ["2", "1"]
    best = found[0]
    assert (best.provider, best.gpu, best.price_per_hour, best.host) == (
        "vast",
        "RTX 3060",
        0.05,
        "42",
    )
    assert (best.reliability, best.inet_up, best.inet_down) == (0.99, 200.0, 500.0)
    assert (best.disk_gb, best.cuda, best.hours, best.n_gpus) == (100.0, 12.6, 240.0, 1)
    assert not best.interruptible
    (search,) = server.sent("POST", "/bundles/")
    assert search.body["type"] == "on-demand"
    assert search.body["allocated_storage"] == SPEC.disk_gb


def test_any_type_of_gpu_may_be_searched_for(vast: VastProvider, server: VastServer) -> None:
    server.offers = [offer_row(1), offer_row(2, gpu_name="RTX 4090")]
    assert [offer.gpu for offer in vast.offers(SPEC)] == ["RTX 3060", "RTX 4090"]


def test_an_interruptible_offer_costs_the_bid(vast: VastProvider, server: VastServer) -> None:
    server.offers = [
        offer_row(1, min_bid=0.0333, dph_total=0.5),
        offer_row(2, min_bid=0.1363, storage_total_cost=0.01),  # its bid 0.15, with its disk 0.16
        offer_row(3, min_bid=0.02),
        offer_row(4, min_bid=None),
    ]
    found = vast.offers(replace(SPEC, interruptible=True))
    assert [(offer.id, offer.price_per_hour) for offer in found] == [("3", 0.022), ("1", 0.0367)]
    assert all(offer.interruptible for offer in found)
    assert server.sent("POST", "/bundles/")[0].body["type"] == "bid"


@pytest.mark.parametrize(
    "fields", [("gpu_name", "machine_id", "reliability2", "inet_up", "duration", "num_gpus")]
)
def test_offers_with_null_fields_say_less(
    vast: VastProvider, server: VastServer, fields: tuple[str, ...]
) -> None:
    server.faults.append(Fault("nulls", match="bundles", fields=fields))
    offer = vast.offers(SPEC)[0]
    assert (offer.gpu, offer.host, offer.reliability, offer.hours) == ("", "", None, None)
    assert offer.n_gpus == 1


@pytest.mark.parametrize("name", ["id", "dph_total"])
def test_what_cannot_be_rented_is_no_offer(
    vast: VastProvider, server: VastServer, name: str
) -> None:
    server.faults.append(Fault("nulls", match="bundles", fields=(name,)))
    assert vast.offers(SPEC) == []


@pytest.mark.parametrize("price", [math.nan, -0.05, -math.inf, math.inf, 0.0])
@pytest.mark.parametrize("interruptible", [False, True])
def test_a_price_that_cannot_be_is_no_offer(
    vast: VastProvider, server: VastServer, price: object, interruptible: bool
) -> None:
    server.offers = [offer_row(1, dph_total=price, min_bid=price), offer_row(2, dph_total=0.05)]
    assert {offer.id for offer in vast.offers(replace(SPEC, interruptible=interruptible))} == {"2"}


def test_the_quota_of_searches_names_its_end(vast: VastProvider, server: VastServer) -> None:
    server.searches_left, server.quota_reset = 0, time.time() + 5000
    error = refused(lambda: vast.offers(SPEC), SearchQuota)
    assert error.until == server.quota_reset
    assert server.searches == 1


@pytest.mark.parametrize("reset", [None, 17.0, 9e9])
def test_a_quota_without_a_sensible_end_lasts_until_midnight(
    vast: VastProvider, server: VastServer, reset: float | None
) -> None:
    server.searches_left, server.quota_reset = 0, reset
    error = refused(lambda: vast.offers(SPEC), SearchQuota)
    assert error.until % 86_400 == 0
    assert 0 < error.until - time.time() <= 86_400


# Renting.


def test_a_rental_is_asked_for_once_with_everything(vast: VastProvider, server: VastServer) -> None:
    number = rent(vast)
    assert list(server.instances) == [number]
    (request,) = server.sent("PUT", "/asks/")
    assert request.path == "/api/v0/asks/1001/"
    body = request.body
    assert (body["label"], body["image"], body["disk"]) == (LAUNCH.label, LAUNCH.image, 16.0)
    assert (body["env"], body["onstart"]) == (dict(LAUNCH.env), LAUNCH.command)
    assert body["runtype"] == "ssh_direc ssh_proxy"
    assert body["cancel_unavail"] is True
    assert body["price"] is None
    machine = only(vast)
    assert (machine.id, machine.label, machine.state) == (str(number), LAUNCH.label, "loading")
    assert (machine.ssh, machine.started, machine.message) == (None, None, "")


def test_a_bid_is_sent_with_an_interruptible_rental(vast: VastProvider, server: VastServer) -> None:
    offer = vast.offers(replace(SPEC, interruptible=True))[0]
    number = int(vast.create(offer, replace(LAUNCH, bid=offer.price_per_hour)))
    assert server.sent("PUT", "/asks/")[0].body["price"] == offer.price_per_hour
    machine = only(vast)
    assert machine.interruptible
    assert machine.price_per_hour == pytest.approx(offer.price_per_hour + 0.002)
    server.set_state(number, "running")
    assert only(vast).state == "running"
    server.outbid(number)
    assert only(vast).state == "stopped"


def test_an_interruptible_offer_is_not_rented_without_a_bid(
    vast: VastProvider, server: VastServer
) -> None:
    offer = vast.offers(replace(SPEC, interruptible=True))[0]
    error = refused(lambda: vast.create(offer, LAUNCH), ProviderError)
    assert "bid" in str(error)
    assert server.rents == 0


def test_a_bid_that_is_too_low_leaves_nothing(vast: VastProvider, server: VastServer) -> None:
    offer = vast.offers(replace(SPEC, interruptible=True))[0]
    refused(lambda: vast.create(offer, replace(LAUNCH, bid=0.001)), OfferGone)
    assert server.rents == 1
    assert server.instances == {}


def test_a_refused_machine_that_cannot_be_ended_is_known_by_its_label(
    vast: VastProvider, server: VastServer
) -> None:
    server.faults.append(Fault("answer", match="DELETE", status=500, times=None))
    offer = vast.offers(replace(SPEC, interruptible=True))[0]
    error = refused(lambda: vast.create(offer, replace(LAUNCH, bid=0.001)), Unreachable)
    assert str(server.newest()) in str(error)
    machine = only(vast)
    assert (machine.label, machine.state) == (LAUNCH.label, "stopped")


def test_a_taken_offer_is_gone(vast: VastProvider, server: VastServer) -> None:
    offer = vast.offers(SPEC)[0]
    vast.create(offer, LAUNCH)
    refused(lambda: vast.create(offer, LAUNCH), OfferGone)
    assert len(server.instances) == 1


def test_an_account_without_credit_rents_nothing(vast: VastProvider, server: VastServer) -> None:
    server.credit = 0.0
    refused(lambda: rent(vast), NoCredit)
    assert (server.rents, server.instances) == (1, {})


@pytest.mark.parametrize("action", ["lose", "drop", "hang"])
def test_a_rental_without_a_reply_is_never_sent_twice(
    vast: VastProvider, server: VastServer, action: Any
) -> None:
    offer = vast.offers(SPEC)[0]
    server.faults.append(Fault(action, match="/asks/", times=None))
    hasty = VastProvider(KEY, server_url=server.url, timeout=1) if action == "hang" else vast
    refused(lambda: hasty.create(offer, LAUNCH), Unreachable)
    assert server.rents == 1
    labels = [machine.label for machine in vast.machines(FLEET)]
    assert labels == ([LAUNCH.label] if action == "lose" else [])


RENT_ANSWERS: list[tuple[int, Any, type[ProviderError]]] = [
    (200, as_answer("no_such_ask", "gone"), OfferGone),
    (400, as_answer("no_such_ask", "error 404/3603: no_such_ask 5 is not available"), OfferGone),
    (404, as_answer("", ""), OfferGone),
    (410, as_answer("", ""), OfferGone),
    (404, b"<html>Nothing here</html>", Unreachable),
    (200, as_answer("insufficient_credit", "x"), NoCredit),
    (400, as_answer("error", "Your account lacks credit; see the billing page."), NoCredit),
    (403, as_answer("forbidden", "insufficient balance"), NoCredit),
    (402, None, NoCredit),
    (429, as_answer("too_fast", "API requests too frequent"), Unreachable),
    (500, None, Unreachable),
    (502, b"<html>Bad gateway</html>", Unreachable),
    (503, as_answer("busy"), Unreachable),
    (200, b"<html>Log in to this hotel's network</html>", Unreachable),
    (200, ["a list"], Unreachable),
    (200, {"success": True}, Unreachable),
    (400, as_answer("invalid_args", f"onstart for Bearer {KEY} with {TOKEN}"), ProviderError),
    (200, as_answer("invalid_args", "image is no image"), ProviderError),
]


@pytest.mark.parametrize(("status", "body", "kind"), RENT_ANSWERS)
def test_what_answers_to_a_rental_mean(
    vast: VastProvider, server: VastServer, status: int, body: Any, kind: type[ProviderError]
) -> None:
    offer = vast.offers(SPEC)[0]
    server.faults.append(Fault("answer", match="/asks/", status=status, body=body, times=None))
    refused(lambda: vast.create(offer, LAUNCH), kind)
    assert server.rents == 1


def test_credit_is_what_the_account_has(vast: VastProvider, server: VastServer) -> None:
    assert vast.credit() == 12.5
    server.credit = None
    assert vast.credit() is None


# Looking.


def test_all_pages_are_listed_and_other_fleets_left_out(
    vast: VastProvider, server: VastServer
) -> None:
    ours = [server.add(f"{FLEET}/{i:08x}") for i in range(60)]
    for label in (None, "", "somebody's", "zeb-night-evalaux/1", f"{FLEET}2/1", FLEET):
        server.add(label)
    server.page = 7
    assert [int(machine.id) for machine in vast.machines(FLEET)] == ours
    assert len(server.sent("GET", "/instances/")) == 10


def test_every_field_may_be_null(vast: VastProvider, server: VastServer) -> None:
    number = server.add(f"{FLEET}/1")
    server.set_state(number, "running")
    fields = tuple(set(server.instances[number]) - {"id", "label"})
    server.faults.append(Fault("nulls", match="/instances/", fields=fields))
    assert only(vast) == Machine(
        provider="vast", id=str(number), label=f"{FLEET}/1", state="loading"
    )


def test_a_running_machine_says_where_it_is(vast: VastProvider, server: VastServer) -> None:
    number = rent(vast)
    server.set_state(number, "running", "success, running pytorch/pytorch")
    machine = only(vast)
    assert machine.state == "running"
    assert machine.ssh == "ssh -p 22022 root@ssh5.vast.ai"
    assert (machine.gpu, machine.host, machine.price_per_hour) == ("RTX 3060", "11001", 0.05001)
    assert machine.started == pytest.approx(time.time(), abs=600)
    assert machine.message == "success, running pytorch/pytorch"


STATES = [
    (None, "loading"), ("created", "loading"), ("loading", "loading"), ("rebooting", "loading"),
    ("running", "running"), ("stopped", "stopped"), ("exited", "exited"), ("offline", "offline"),
    ("unknown", "unknown"), ("frozen", "unknown"), ("never heard of", "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "state"), STATES)
def test_states_are_told_apart(
    vast: VastProvider, server: VastServer, said: str | None, state: str
) -> None:
    server.set_state(server.add(f"{FLEET}/1"), said)
    assert only(vast).state == state


@pytest.mark.parametrize("said", [None, "loading", "running", "exited"])
@pytest.mark.parametrize("where", ["intended_status", "cur_state"])
def test_a_machine_that_is_to_stop_has_stopped(
    vast: VastProvider, server: VastServer, said: str | None, where: str
) -> None:
    number = server.add(f"{FLEET}/1")
    server.set_state(number, said)
    server.instances[number][where] = "stopped"
    assert only(vast).state == "stopped"


def test_a_failed_start_does_not_quote_the_token(vast: VastProvider, server: VastServer) -> None:
    number = rent(vast)
    server.set_state(number, "loading", f"docker run -e HF_TOKEN={TOKEN}\n failed")
    assert only(vast).message == "docker run -e HF_TOKEN=*** failed"


def test_a_machine_that_vanished_is_not_listed(vast: VastProvider, server: VastServer) -> None:
    server.looks_until_running = 2
    number = rent(vast)
    assert [only(vast).state, only(vast).state] == ["loading", "running"]
    server.vanish(number)
    assert vast.machines(FLEET) == []


NO_LISTS: list[tuple[int, Any, type[ProviderError]]] = [
    (200, {"success": True, "next_token": None}, Unreachable),
    (200, {"success": True, "instances": None}, Unreachable),
    (200, as_answer("internal", "try later"), ProviderError),
    (200, {"success": True, "instances": [], "next_token": "again"}, Unreachable),
    (401, as_answer("auth_error", f"key {KEY} is unknown"), ProviderError),
    (429, as_answer("x", "API requests too frequent"), Unreachable),
    (500, None, Unreachable),
]


@pytest.mark.parametrize(("status", "body", "kind"), NO_LISTS)
def test_no_list_is_never_taken_for_an_empty_one(
    vast: VastProvider, server: VastServer, status: int, body: Any, kind: type[ProviderError]
) -> None:
    rent(vast)
    server.faults.append(Fault("answer", match="GET", status=status, body=body, times=None))
    refused(lambda: vast.machines(FLEET), kind)


def test_passing_faults_of_a_look_are_got_over(vast: VastProvider, server: VastServer) -> None:
    rent(vast)
    server.faults += [Fault("drop", match="GET"), Fault("answer", match="GET", status=502)]
    assert only(vast).label == LAUNCH.label
    assert len(server.sent("GET", "/instances/")) == 3


# Ending, logs.


def test_destroying_twice_is_fine(vast: VastProvider, server: VastServer) -> None:
    number = rent(vast)
    vast.destroy(str(number))
    assert server.instances == {}
    vast.destroy(str(number))
    server.faults.append(
        Fault("answer", match="DELETE", status=200, body=as_answer("no_such_instance"))
    )
    vast.destroy(str(number))


def test_a_lost_reply_to_destroying_is_asked_again(vast: VastProvider, server: VastServer) -> None:
    number = rent(vast)
    server.faults.append(Fault("lose", match="DELETE"))
    vast.destroy(str(number))
    assert server.instances == {}
    assert len(server.sent("DELETE", str(number))) == 2


def test_what_was_not_destroyed_is_said(vast: VastProvider, server: VastServer) -> None:
    number = rent(vast)
    body = as_answer("internal", "not now")
    server.faults += [
        Fault("answer", match="DELETE", status=200, body=body),
        Fault("answer", match="DELETE", status=500),
    ]
    refused(lambda: vast.destroy(str(number)), ProviderError)
    refused(lambda: vast.destroy(str(number)), Unreachable)
    assert list(server.instances) == [number]


def test_a_page_of_somebody_else_is_no_word_about_a_machine(
    vast: VastProvider, server: VastServer
) -> None:
    number = rent(vast)
    server.faults.append(Fault("answer", match="DELETE", status=404, body=b"<html>Nothing</html>"))
    refused(lambda: vast.destroy(str(number)), Unreachable)


def test_a_machine_of_another_provider_is_refused(vast: VastProvider, server: VastServer) -> None:
    refused(lambda: vast.destroy("../../users"), ProviderError)
    assert server.requests == []


@pytest.fixture
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK looks 30 times for a log; here it does not pause in between."""
    from vastai.api import instances

    monkeypatch.setattr(instances._poll_result_url, "__defaults__", (30, 0.001))


@pytest.mark.usefixtures("quick_polls")
def test_the_last_lines_of_a_log_are_fetched(vast: VastProvider, server: VastServer) -> None:
    number = rent(vast)
    assert vast.logs(str(number), lines=20) == ""
    server.logs[number], server.log_polls = "one\ntwo\nthree\n", 3
    assert vast.logs(str(number), lines=2) == "two\nthree\n"


@pytest.mark.usefixtures("quick_polls")
def test_a_log_that_never_comes_is_no_answer(vast: VastProvider, server: VastServer) -> None:
    number = rent(vast)
    server.log_polls = 1000
    error = refused(lambda: vast.logs(str(number), lines=2), Unreachable)
    assert server.url not in str(error)


def test_a_machine_without_a_log_has_an_empty_one(vast: VastProvider, server: VastServer) -> None:
    number = rent(vast)
    server.faults.append(Fault("answer", match="request_logs", status=200, body={"success": True}))
    assert vast.logs(str(number), lines=2) == ""


# The key, the address, the network.


def test_a_refused_key_is_named_by_its_variable(server: VastServer) -> None:
    other = "another-key-that-is-wrong"
    vast = VastProvider(other, server_url=server.url)
    calls: list[Callable[[], Any]] = [
        lambda: vast.offers(SPEC), lambda: vast.machines(FLEET), vast.credit,
        lambda: vast.destroy("9001"), lambda: vast.logs("9001", lines=3),
    ]  # fmt: skip
    for call in calls:
        error = refused(call, ProviderError)
        assert "VAST_API_KEY" in str(error)
        assert other not in str(error)


@pytest.mark.parametrize("key", ["two words-secret", "new\nline-secret", "ключ-secret", " "])
def test_a_key_that_no_header_can_hold_is_refused_unsaid(key: str) -> None:
    error = refused(lambda: VastProvider(key), ProviderError)
    assert "VAST_API_KEY" in str(error)
    assert "secret" not in str(error)


def test_blanks_around_a_key_are_no_part_of_it(server: VastServer) -> None:
    assert VastProvider(f" {KEY}\n", server_url=f"{server.url}/").credit() == 12.5


@pytest.mark.parametrize("url", ["console.vast.ai", "ftp://console.vast.ai", "http://"])
def test_an_address_that_is_none_is_named_by_its_variable(url: str) -> None:
    vast = VastProvider(KEY, server_url=url)
    assert "VAST_URL" in str(refused(vast.credit, ProviderError))


def test_a_server_that_never_answers_is_given_up(server: VastServer) -> None:
    vast = VastProvider(KEY, server_url=server.url, timeout=0.2)
    server.faults.append(Fault("hang", times=None))
    begun = time.monotonic()
    refused(vast.credit, Unreachable)
    assert time.monotonic() - begun < 60  # the SDK's own limit is two minutes, three times


def test_nobody_at_the_address_is_unreachable(server: VastServer) -> None:
    with VastServer() as other:
        url = other.url
    refused(VastProvider(KEY, server_url=url).credit, Unreachable)


def test_a_wait_that_is_asked_for_is_passed_on(vast: VastProvider, server: VastServer) -> None:
    server.faults.append(
        Fault("answer", status=429, body=as_answer("x"), headers={"Retry-After": "90"})
    )
    assert refused(vast.credit, Unreachable).retry_after == 90


def test_the_sdk_prints_nothing(
    vast: VastProvider, server: VastServer, capfd: pytest.CaptureFixture[str]
) -> None:
    number = rent(vast)
    vast.machines(FLEET)
    vast.destroy(str(number))
    server.credit = 0
    refused(lambda: rent(vast), NoCredit)
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    assert KEY not in repr(vast)


def test_the_provider_is_opened_by_its_name(server: VastServer, tmp_path: Path) -> None:
    vast: Provider = open_provider(
        "vast", keys={"vast": KEY}, urls={"vast": server.url}, directory=tmp_path
    )
    assert (vast.name, vast.credit()) == ("vast", 12.5)


def test_the_request_that_lists_is_the_paged_one(vast: VastProvider, server: VastServer) -> None:
    server.add(f"{FLEET}/1")
    vast.machines(FLEET)
    (request,) = server.requests
    assert request.path == "/api/v1/instances/"
    assert json.loads(request.query["order_by"]) == [{"col": "id", "dir": "asc"}]
