"""Texts that go out hold no secret, wherever they came from."""

from __future__ import annotations

import logging

import pytest

from zebfast.cli.messages import messages_to
from zebfast.cli.run import hidden
from zebfast.exchange.errors import brief
from zebfast.exchange.heartbeat import Heartbeat
from zebfast.exchange.hub.client import explain
from zebfast.exchange.mirror.fsspec_backend import explain as explain_mirror
from zebfast.system.events import Event, Incident, emit, subscribed
from zebfast.system.redaction import has_secret, redacted

SECRET = "aVerySecretMarker"
LEAKS = (
    f"GET https://somebody:{SECRET}@example.org/x failed",
    f"https://{SECRET}@example.org/x",
    f"https://example.org/x?a=1&token={SECRET}",
    f"https://s3.example.org/b?X-Amz-Credential={SECRET}&X-Amz-Signature={SECRET}#x",
    f"headers: {{'Authorization': 'Bearer {SECRET}'}}",
    f"authorization: Basic {SECRET}=",
    f"proxy socks5h://u:{SECRET}@proxy:1080 refused",
    f"token hf_{SECRET}{SECRET}",
)
PLAIN = (
    "basic operations are fine; hf_hub_download and hf_transfer, too",
    "https://example.org/x?tokenizer=v2&n=1",
    "pip install git+ssh://git@github.com/owner/zebfast",
    "hf://buckets/owner/name, s3://bucket/folder, file:///directory",
)


@pytest.mark.parametrize("text", LEAKS)
def test_what_looks_like_a_secret_is_hidden_wherever_it_is_told(text: str) -> None:
    told: list[str] = []
    events: list[Event] = []
    with messages_to(told.append), subscribed(events.append):
        logging.getLogger("zebfast.somewhere").warning(text)
        emit(Incident(what="exchange", text=text))
    beat = Heartbeat(worker_id="w", unix=1.0, phase="failed", error=text).to_bytes().decode()
    errors = (OSError(text), RuntimeError(text), ValueError(text))
    faults = [str(found) for each in errors if (found := explain(each, "me/x"))]
    faults += [str(explain_mirror(each, "s3://b/f")) for each in errors]
    everything = "\n".join(
        (*told, repr(events), beat, brief(OSError(text)), *faults, redacted(text))
    )
    assert len(faults) >= 5
    assert SECRET not in everything
    assert "***" in redacted(text)


@pytest.mark.parametrize("text", PLAIN)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert redacted(text) == text
    assert not has_secret(text)


def test_secrets_of_the_environment_are_hidden_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    monkeypatch.setenv("VAST_API_KEY", "1")
    assert hidden(f"the key {SECRET} of 1 account") == "the key *** of 1 account"
