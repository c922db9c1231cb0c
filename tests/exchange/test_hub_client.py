"""What each fault of the library means: wait and try again, or one sentence; no network here."""

from __future__ import annotations

import builtins
import errno
import json
import time
from pathlib import Path
from typing import Any

import pytest
from listening import listening

from zebfast.exchange import ExchangeError, StoreOptions, TransientError
from zebfast.exchange.hub import client as module
from zebfast.exchange.hub.client import Conflict, HubClient, asked_wait, explain

errors = pytest.importorskip("huggingface_hub.errors")


def answered(status: int, kind: Any = None, **headers: str) -> Exception:
    """The exception for an answer with this status."""
    httpx = pytest.importorskip("httpx2")
    request = httpx.Request("GET", "http://127.0.0.1/api")
    response = httpx.Response(status, headers=headers, request=request)
    made: Exception = (kind or errors.HfHubHTTPError)("what the library says", response=response)
    return made


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_passing_answers(status: int) -> None:
    known = explain(answered(status, **{"X-Error-Message": "too busy"}), "me/x")
    assert isinstance(known, TransientError)
    assert not isinstance(known, Conflict)
    assert str(known) == f"me/x: HTTP {status}, too busy"


@pytest.mark.parametrize("status", [409, 412])
def test_conflicts(status: int) -> None:
    assert isinstance(explain(answered(status), "me/x"), Conflict)


LASTING = {
    "unauthorized": (answered(401), "HF_TOKEN"),
    "forbidden": (answered(403), "HF_TOKEN"),
    "gated": (answered(403, errors.GatedRepoError), "is gated"),
    "no repository": (answered(404, errors.RepositoryNotFoundError), "does not exist"),
    "no bucket": (answered(404, errors.BucketNotFoundError), "does not exist"),
    "no revision": (answered(404, errors.RevisionNotFoundError), "no such revision"),
    "bad request": (answered(400, errors.BadRequestError), "refused this request"),
    "no token": (errors.LocalTokenNotFoundError("none"), "there is no token"),
    "bad name": (errors.HFValidationError("bad"), "expected owner/name"),
    "hf_xet without a right": (PermissionError("token expired"), "token expired"),
}


@pytest.mark.parametrize(("error", "words"), LASTING.values(), ids=LASTING)
def test_lasting_faults_are_one_sentence(error: Exception, words: str) -> None:
    known = explain(error, "me/x")
    assert type(known) is ExchangeError
    assert words in str(known)
    assert "me/x" in str(known)
    assert "\n" not in str(known)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("reset by peer"),
        RuntimeError("hf_xet: could not reach the store"),
        OSError("Consistency check failed: file should be of size 9 but has size 4"),
        json.JSONDecodeError("Expecting value", "<html>", 0),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_broken_connections_pass(error: Exception) -> None:
    assert isinstance(explain(error, "me/x"), TransientError)


def test_the_reason_behind_a_file_that_was_not_found() -> None:
    outer = errors.LocalEntryNotFoundError("check your connection")
    outer.__cause__ = answered(401)
    assert "HF_TOKEN" in str(explain(outer, "me/x"))
    outer.__cause__ = None
    assert isinstance(explain(outer, "me/x"), TransientError)


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), KeyError("bug"), NotImplementedError("bug")]
)
def test_the_local_disk_and_bugs_stay_what_they_are(error: Exception) -> None:
    assert explain(error, "me/x") is None


def test_an_answer_of_another_form_is_a_passing_fault() -> None:
    """A path that no file may have is a ValueError of the library, a lost key a KeyError."""
    assert isinstance(explain(ValueError("invalid path a/../b"), "me/x"), TransientError)
    for code in ("{}['path']", "None.path", "len(None)"):
        with pytest.raises((LookupError, AttributeError, TypeError)) as raised:
            eval(code, {"__name__": "huggingface_hub.hf_api"})
        assert "of another form" in str(explain(raised.value, "me/x"))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"RateLimit": '"api";r=0;t=55', "Retry-After": "7"}, 55.0),
        ({"RateLimit": '"api";r=949;t=55'}, None),
    ],
)
def test_how_long_an_answer_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_wait(headers) == seconds


def test_pauses_double_and_give_way_to_what_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    said: list[str] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    client = HubClient("me/x", options=StoreOptions(state_dir=tmp_path))
    asks = iter([None, 30.0, None, None])

    def fail() -> None:
        raise TransientError("busy", retry_after=next(asks))

    with listening(said.append), pytest.raises(TransientError, match="busy"):
        client.call(fail)
    assert slept == [5.0, 30.0, 20.0]
    assert said[:2] == ["  HF transient error (attempt 1/4): busy", "  Retrying in 5s..."]

    def quota() -> None:
        raise TransientError("an hour", retry_after=3600.0)

    with pytest.raises(TransientError, match="an hour"):
        client.call(quota)
    assert len(slept) == 3  # not waited for here at all


def test_a_missing_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("huggingface_hub"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(module, "_prepared", False)
    monkeypatch.setattr(builtins, "__import__", without)
    client = HubClient("me/x", options=StoreOptions(state_dir=tmp_path))
    with pytest.raises(ExchangeError, match=r"pip install 'zebfast\[hub\]'"):
        _ = client.api
