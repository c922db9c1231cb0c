"""RunPod's faults through its real client: one sentence of the right kind, and never a secret."""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from runpod_account import FLEET, LAUNCH, OFFER, SECRET, SPEC, account

from tests.servers.runpod import KEY, Fault, RunPodServer
from zebfast.fleet.model import MOST_DOLLARS
from zebfast.fleet.provider import Provider, ProviderError, Unreachable, moment, price
from zebfast.fleet.runpod import RunPodProvider

runpod = pytest.importorskip("runpod", reason="the runpod client is an extra of its own")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunPodServer]:
    with account(monkeypatch) as running:
        yield running


@pytest.fixture
def provider(server: RunPodServer) -> Provider:
    return RunPodProvider(KEY)


CALLS: dict[str, Callable[[Provider], Any]] = {
    "offers": lambda provider: provider.offers(SPEC),
    "create": lambda provider: provider.create(OFFER, LAUNCH),
    "machines": lambda provider: provider.machines(FLEET),
    "destroy": lambda provider: provider.destroy("pod0001"),
    "credit": lambda provider: provider.credit(),
}
PAGE = "<html><body>502 Bad Gateway</body></html>"
QUOTING = 'Expected value of type "EnvironmentVariableInput!", found QUESTION'
FAULTS = {
    "page": (Fault("status", status=502, text=PAGE), Unreachable),
    "quota": (Fault("status", status=429, text='{"message": "Too Many Requests"}'), Unreachable),
    "quota in words": (Fault("refuse", text="Rate limit exceeded"), Unreachable),
    "empty": (Fault("status", status=503, text=""), Unreachable),
    "no object": (Fault("status", status=200, text="null"), Unreachable),
    "no errors": (Fault("status", status=200, text='{"errors": []}'), Unreachable),
    "strange error": (Fault("status", status=200, text='{"errors": [{}]}'), Unreachable),
    "dropped": (Fault("drop"), Unreachable),
    "lost": (Fault("lose"), Unreachable),
    "key": (Fault("status", status=401, text="{}"), ProviderError),
    "key in words": (Fault("refuse", text="Forbidden"), ProviderError),
    "quoting": (Fault("refuse", text=QUOTING), ProviderError),
    "other": (Fault("refuse", text=f"No such thing as {SECRET}"), ProviderError),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_a_fault_is_one_sentence_of_its_kind_without_a_secret(
    server: RunPodServer, provider: Provider, call: str, fault: str
) -> None:
    how, kind = FAULTS[fault]
    # An order looks the type up first: the fault is to meet the order itself.
    match = "podFindAndDeploy" if call == "create" else "."
    server.faults = [dataclasses.replace(how, match=match)]
    server.add("somebody's")
    with pytest.raises(ProviderError) as raised:
        CALLS[call](provider)
    error = raised.value
    assert type(error) is kind
    assert error.__cause__ is None
    assert error.__context__ is None
    told = "".join(traceback.format_exception(error)) + repr(vars(error))
    said = str(error)
    # The value of this test's own fault is known to the adapter as a secret only in an order.
    if call == "create" or fault != "other":
        assert SECRET not in told
    assert KEY not in told
    assert "two " not in said
    assert "\n" not in said
    assert (said.count("RUNPOD_API_KEY") == 1) == fault.startswith("key")
    assert len(said) < 300


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("offers", "gpuTypes"),
        ("create", "podFindAndDeployOnDemand"),
        ("create", "id"),
        ("machines", "myself"),
        ("machines", "pods"),
        ("machines", "data"),
        ("credit", "data"),
    ],
)
def test_null_instead_of_an_answer_is_no_answer(
    server: RunPodServer, provider: Provider, call: str, name: str
) -> None:
    match = "podFindAndDeploy" if call == "create" else "."
    server.faults = [Fault("null", match, name)]
    with pytest.raises(Unreachable):
        CALLS[call](provider)


@pytest.mark.parametrize("name", ["id", "lowestPrice", "uninterruptablePrice", "secure"])
def test_a_price_list_with_holes_is_read(
    server: RunPodServer, provider: Provider, name: str
) -> None:
    server.faults = [Fault("null", "gpuTypes", name)]
    assert len(provider.offers(SPEC)) == {"secure": 2, "lowestPrice": 3}.get(name, 0)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, -0.1, 0, "nan", 10**400])
def test_what_cannot_be_a_price_is_none(
    monkeypatch: pytest.MonkeyPatch, provider: Provider, wrong: object
) -> None:
    row = {"id": "NVIDIA GeForce RTX 3060", "community": {"uninterruptablePrice": wrong}}
    pod = {"id": "1", "name": f"{SPEC.fleet}/a", "costPerHr": wrong}
    monkeypatch.setattr(provider, "_query", lambda *_: {"gpuTypes": [row]})
    monkeypatch.setattr(provider, "_ask", lambda *_: [pod])
    assert provider.offers(SPEC) == []
    assert not provider.machines(SPEC.fleet)[0].price_per_hour


def test_a_price_beyond_all_prices_is_above_every_cap_and_can_be_counted() -> None:
    assert price(1e300) == price("1e300") == MOST_DOLLARS
    assert moment(-1) is moment(1e300) is moment("soon") is None


def test_a_service_that_hangs_is_not_waited_for_for_ever(
    server: RunPodServer, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = runpod.api.graphql.requests.post
    limits = []

    def hasty(*args: Any, timeout: float, **kwargs: Any) -> Any:
        limits.append(timeout)
        return post(*args, timeout=0.2, **kwargs)

    monkeypatch.setattr(runpod.api.graphql.requests, "post", hasty)
    server.faults = [Fault("hang")]
    with pytest.raises(Unreachable, match="ReadTimeout"):
        provider.machines(FLEET)
    assert limits == [30]


def test_a_service_that_is_not_there_is_unreachable(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunPodServer() as gone:
        monkeypatch.setenv("RUNPOD_API_BASE_URL", gone.url)
    with pytest.raises(Unreachable):
        provider.credit()


# The key and the client


def test_a_wrong_key_is_named_not_shown(server: RunPodServer) -> None:
    with pytest.raises(ProviderError, match="RUNPOD_API_KEY") as raised:
        RunPodProvider("rpa_wrong").machines(FLEET)
    assert "rpa_wrong" not in str(raised.value)
    assert server.requests == []


@pytest.mark.parametrize("key", ["two words", "line\n", "schlüssel", ""])
def test_what_cannot_be_a_key_is_refused_at_once(key: str) -> None:
    with pytest.raises(ProviderError, match="RUNPOD_API_KEY") as raised:
        RunPodProvider(key)
    assert not key or key not in str(raised.value)


def test_the_key_of_the_client_itself_is_left_as_it_was(
    server: RunPodServer, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runpod, "api_key", "of somebody else")
    provider.destroy(provider.create(OFFER, LAUNCH))
    server.faults = [Fault("drop")]
    with pytest.raises(Unreachable):
        provider.machines(FLEET)
    assert runpod.api_key == "of somebody else"


USE = f"""
import logging
from zebfast.fleet.provider import ProviderError
from zebfast.fleet.runpod import RunPodProvider
try:
    credit = RunPodProvider({KEY!r}).credit()
except ProviderError as error:
    raise SystemExit(str(error))
logging.getLogger("zebfast").info("not to be seen")
assert credit == 25.0
assert logging.getLogger().handlers == []
assert logging.getLogger().level == logging.WARNING
"""


def _use(server: RunPodServer, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", USE],
        env={**os.environ, **server.environment, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_client_neither_prints_nor_sets_up_logging(
    server: RunPodServer, tmp_path: Path
) -> None:
    done = _use(server, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_broken_file_of_the_client_is_a_sentence(server: RunPodServer, tmp_path: Path) -> None:
    (tmp_path / ".runpod").mkdir()
    (tmp_path / ".runpod" / "config.toml").write_text("[default]\nregion = 'x'\n")
    done = _use(server, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    [said] = done.stderr.splitlines()
    assert "~/.runpod/config.toml" in said
