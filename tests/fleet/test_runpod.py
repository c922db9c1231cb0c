"""RunPod through its real client: what it offers, what is rented there, and how it is listed."""

from __future__ import annotations

import dataclasses
import os
import shlex
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from runpod_account import FLEET, LAUNCH, OFFER, SPEC, TYPE, account

from tests.servers.runpod import KEY, NO_MONEY, NO_ROOM, RENTED, Fault, RunPodServer
from zebfast.fleet.model import Machine
from zebfast.fleet.provider import NoCredit, OfferGone, Provider, ProviderError, Unreachable
from zebfast.fleet.runpod import RunPodProvider, gpu_name

pytest.importorskip("runpod", reason="the runpod client is an extra of its own")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunPodServer]:
    with account(monkeypatch) as running:
        yield running


@pytest.fixture
def provider(server: RunPodServer) -> Provider:
    return RunPodProvider(KEY)


# What can be rented


def test_offers_are_prices_under_the_cap_cheapest_first(provider: Provider) -> None:
    offers = provider.offers(SPEC)
    assert [(o.id, o.gpu, o.price_per_hour) for o in offers] == [
        (f"{TYPE}/community", "RTX 3060", 0.1),
        (f"{TYPE}/secure", "RTX 3060", 0.2),
        ("NVIDIA A100 80GB PCIe/community", "A100 PCIe", 0.25),
    ]
    assert {(o.provider, o.n_gpus, o.host, o.interruptible) for o in offers} == {
        ("runpod", 1, "", False)
    }


@pytest.mark.parametrize("wanted", ["RTX 4090", "rtx_4090", "NVIDIA GeForce RTX 4090"])
def test_offers_have_the_wanted_types_under_the_wanted_name(
    provider: Provider, wanted: str
) -> None:
    spec = dataclasses.replace(SPEC, gpus=(wanted, "RTX A4000"), max_price_per_hour=0.5)
    assert [(o.gpu, o.price_per_hour) for o in provider.offers(spec)] == [(wanted, 0.34)]


def test_offers_pass_the_filters_that_renting_asks_for(provider: Provider) -> None:
    spec = dataclasses.replace(SPEC, min_inet_up=30.0, min_inet_down=200.0, min_cuda=12.8)
    [offer, *_] = provider.offers(spec)
    assert (offer.inet_up, offer.inet_down, offer.cuda) == (30.0, 200.0, 12.8)


def test_all_prices_are_one_request(server: RunPodServer, provider: Provider) -> None:
    provider.offers(SPEC)
    assert server.requests == ["gpuTypes"]


def test_interruptible_machines_are_refused_before_anything_is_asked(
    server: RunPodServer, provider: Provider
) -> None:
    with pytest.raises(ProviderError, match="on demand only"):
        provider.offers(dataclasses.replace(SPEC, interruptible=True))
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("NVIDIA GeForce RTX 3060", "RTX 3060"),
        ("NVIDIA RTX A4000", "RTX A4000"),
        ("AMD Instinct MI300X OAM", "Instinct MI300X OAM"),
        ("RTX 4090", "RTX 4090"),
    ],
)
def test_gpus_are_named_as_people_write_them(name: str, short: str) -> None:
    assert gpu_name(name) == short


# Renting


def test_a_pod_is_rented_as_ordered(server: RunPodServer, provider: Provider) -> None:
    offer = dataclasses.replace(OFFER, inet_up=20.0, inet_down=99.5, cuda=12.8)
    pod = server.pods[provider.create(offer, LAUNCH)]
    assert (pod.name, pod.cost, pod.env) == (LAUNCH.label, 0.1, dict(LAUNCH.env))
    asked = {name: pod.asked.get(name) for name in ("gpuTypeId", "cloudType", "imageName")}
    assert asked == {"gpuTypeId": TYPE, "cloudType": "COMMUNITY", "imageName": LAUNCH.image}
    assert (pod.asked["containerDiskInGb"], pod.asked["volumeInGb"]) == (16, 0)
    assert (pod.asked["minDownload"], pod.asked["minUpload"]) == (100, 20)
    assert pod.asked["allowedCudaVersions"] == ["12.8", "12.9", "13.0"]
    assert pod.asked["supportPublicIp"] is False


def test_the_cloud_of_the_offer_is_rented(server: RunPodServer, provider: Provider) -> None:
    secure = dataclasses.replace(OFFER, id=f"{TYPE}/secure")
    assert server.pods[provider.create(secure, LAUNCH)].cost == 0.2


def test_a_newer_cuda_than_is_known_is_still_asked_for(
    server: RunPodServer, provider: Provider
) -> None:
    pod = server.pods[provider.create(dataclasses.replace(OFFER, cuda=14.2), LAUNCH)]
    assert pod.asked["allowedCudaVersions"] == ["14.2"]


def test_the_start_command_runs_as_the_first_process(
    server: RunPodServer, provider: Provider
) -> None:
    script = "set -e\necho $$ \"it's\" '\"' $ODD\nexec sh -c 'echo $$'\n"
    launch = dataclasses.replace(LAUNCH, command=script, env={"ODD": "odd"})
    command = server.pods[provider.create(OFFER, launch)].asked["dockerArgs"]
    started = subprocess.Popen(
        shlex.split(command), env={**os.environ, "ODD": "odd"}, stdout=subprocess.PIPE, text=True
    )
    said, _ = started.communicate(timeout=60)
    assert said.splitlines() == [f"{started.pid} it's \" odd", str(started.pid)]


def test_a_lost_reply_to_an_order_is_not_ordered_again(
    server: RunPodServer, provider: Provider
) -> None:
    server.faults = [Fault("lose", "podFindAndDeploy", times=1)]
    with pytest.raises(Unreachable):
        provider.create(OFFER, LAUNCH)
    [machine] = provider.machines(FLEET)
    assert machine.label == LAUNCH.label
    assert server.requests.count("podFindAndDeployOnDemand") == 1


def test_nothing_free_takes_the_offer_away(server: RunPodServer, provider: Provider) -> None:
    server.gpus[TYPE].left = 1
    provider.create(OFFER, LAUNCH)
    with pytest.raises(OfferGone, match="no free machine"):
        provider.create(OFFER, LAUNCH)
    assert len(server.pods) == 1


def test_a_type_that_is_no_more_takes_the_offer_away(
    server: RunPodServer, provider: Provider
) -> None:
    del server.gpus[TYPE]
    with pytest.raises(OfferGone, match="no such GPU type"):
        provider.create(OFFER, LAUNCH)


def test_a_low_balance_is_no_credit(server: RunPodServer, provider: Provider) -> None:
    server.balance = 0.01
    with pytest.raises(NoCredit, match="balance"):
        provider.create(OFFER, LAUNCH)
    assert provider.credit() == 0.01


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (NO_ROOM, OfferGone),
        ("There are no longer any instances available with enough disk space.", OfferGone),
        ("This machine does not have the resources to deploy your pod.", OfferGone),
        (NO_MONEY, NoCredit),
        ("Something went wrong. Please try again later or contact support.", Unreachable),
        ("Too many requests", Unreachable),
        ("", Unreachable),
    ],
)
def test_refusals_in_words_are_told_apart(
    server: RunPodServer, provider: Provider, said: str, kind: type[ProviderError]
) -> None:
    server.faults = [Fault("refuse", "podFindAndDeploy", said)]
    with pytest.raises(kind) as raised:
        provider.create(OFFER, LAUNCH)
    assert type(raised.value) is kind
    assert server.pods == {}


# What is rented


def _only(provider: Provider) -> Machine:
    [machine] = provider.machines(FLEET)
    return machine


def test_a_pod_is_listed_with_all_that_is_known(server: RunPodServer, provider: Provider) -> None:
    pod_id = provider.create(OFFER, LAUNCH)
    assert _only(provider).state == "loading"
    machine = _only(provider)
    assert machine == Machine(
        provider="runpod",
        id=pod_id,
        label=LAUNCH.label,
        state="running",
        gpu="RTX 3060",
        host=f"host-{pod_id}",
        message=RENTED,
        price_per_hour=0.1,
        started=datetime(2026, 11, 21, 18, 40, 28, tzinfo=UTC).timestamp(),
    )


def test_only_pods_of_the_fleet_are_listed(server: RunPodServer, provider: Provider) -> None:
    for name in (f"{FLEET}/a", f"{FLEET}-2/b", "zeb-evening-evalaux/c", "mine", None):
        server.add(name)
    assert [m.label for m in provider.machines(FLEET)] == [f"{FLEET}/a"]


@pytest.mark.parametrize(
    ("status", "up", "state"),
    [
        ("CREATED", False, "loading"),
        ("RUNNING", False, "loading"),
        ("RUNNING", True, "running"),
        ("RESTARTING", True, "loading"),
        ("PAUSED", False, "stopped"),
        ("EXITED", False, "exited"),
        ("DEAD", False, "offline"),
        ("WHATEVER", True, "unknown"),
        (None, True, "loading"),
    ],
)
def test_states_are_mapped(
    server: RunPodServer, provider: Provider, status: str | None, up: bool, state: str
) -> None:
    server.add(f"{FLEET}/a", status=status, up=up)
    assert _only(provider).state == state


def test_a_terminated_pod_is_gone(server: RunPodServer, provider: Provider) -> None:
    server.add(f"{FLEET}/a", status="TERMINATED")
    assert provider.machines(FLEET) == []


def test_a_pod_that_never_comes_up_stays_loading(server: RunPodServer, provider: Provider) -> None:
    server.boots = False
    provider.create(OFFER, LAUNCH)
    assert [_only(provider).state for _ in range(4)] == ["loading"] * 4


def test_a_pod_that_vanishes_is_not_listed(server: RunPodServer, provider: Provider) -> None:
    del server.pods[provider.create(OFFER, LAUNCH)]
    assert provider.machines(FLEET) == []


@pytest.mark.parametrize(
    "name", ["machine", "machineId", "costPerHr", "lastStatusChange", "gpuDisplayName", "runtime"]
)
def test_a_field_that_is_null_is_unknown_and_no_more(
    server: RunPodServer, provider: Provider, name: str
) -> None:
    server.add(f"{FLEET}/a", gpu="RTX 3060", up=True)
    whole = _only(provider)
    server.faults = [Fault("null", "myself", name)]
    machine = _only(provider)
    assert (machine.id, machine.label) == (whole.id, whole.label)
    assert machine != whole


@pytest.mark.parametrize(
    "change", ["Exited by Runpod: Sat Nov 21 2026 18:40:28 GMT+0000", "Rented by User: soon", ""]
)
def test_a_start_that_is_not_said_is_not_known(
    server: RunPodServer, provider: Provider, change: str
) -> None:
    server.add(f"{FLEET}/a", change=change)
    assert (_only(provider).started, _only(provider).message) == (None, change)


# Ending, logs, credit


def test_a_pod_is_terminated_and_again_without_harm(
    server: RunPodServer, provider: Provider
) -> None:
    kept = server.add("somebody's")
    pod_id = provider.create(OFFER, LAUNCH)
    provider.destroy(pod_id)
    assert list(server.pods) == [kept.id]
    provider.destroy(pod_id)


def test_a_lost_reply_to_an_ending_says_so(server: RunPodServer, provider: Provider) -> None:
    pod_id = provider.create(OFFER, LAUNCH)
    server.faults = [Fault("lose", "podTerminate", times=1)]
    with pytest.raises(Unreachable, match=pod_id):
        provider.destroy(pod_id)
    provider.destroy(pod_id)
    assert provider.machines(FLEET) == []


def test_logs_are_empty_without_a_question(server: RunPodServer, provider: Provider) -> None:
    assert provider.logs("pod0001", lines=20) == ""
    assert server.requests == []


@pytest.mark.parametrize("balance", [0.0, 12.5, None])
def test_credit_is_the_balance(
    server: RunPodServer, provider: Provider, balance: float | None
) -> None:
    server.balance = balance
    assert provider.credit() == balance
