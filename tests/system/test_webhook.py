"""A message to a web address: tried again where that may help, and never with its address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.webhook import WebhookServer
from zebfast.system.webhook import WebhookError, check_address, post


@pytest.fixture
def service() -> Iterator[WebhookServer]:
    with WebhookServer() as running:
        yield running


def test_a_message_arrives_as_it_is(service: WebhookServer) -> None:
    post(service.url, {"text": "läuft", "n": 3}, sleep=pytest.fail)
    assert service.messages == [{"text": "läuft", "n": 3}]


@pytest.mark.parametrize("passing", [0, 429, 500, 503])
def test_passing_faults_are_tried_again(service: WebhookServer, passing: int) -> None:
    service.answers.extend([passing, passing])
    pauses: list[float] = []
    post(service.url, {"text": "x"}, sleep=pauses.append)
    assert len(service.messages) == 1
    assert pauses == [1.0, 2.0]


@pytest.mark.parametrize(("answers", "asked"), [([404, 404], 1), ([302, 302], 1), ([500] * 9, 3)])
def test_what_is_refused_is_said_without_the_address(
    service: WebhookServer, answers: list[int], asked: int
) -> None:
    service.answers.extend(answers)
    with pytest.raises(WebhookError) as failed:
        post(service.url, {"text": "x"}, sleep=lambda _: None)
    assert len(service.answers) == len(answers) - asked
    assert str(failed.value) == f"127.0.0.1 did not take the notification (HTTP {answers[0]})"


def test_nobody_listens() -> None:
    with pytest.raises(WebhookError, match="ConnectionRefusedError"):
        post("http://127.0.0.1:9/SECRET", {"text": "x"}, sleep=lambda _: None)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "example.org", "https://", "http://a b/"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected https://HOST"):
        check_address(url)
    assert check_address("https://ntfy.sh/topic?tpl=1&m={{.text}}")
