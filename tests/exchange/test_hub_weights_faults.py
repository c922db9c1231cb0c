"""Weights on a Hub that fails: retried, recognised when the reply was lost, or one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from far import expected, publish, pull
from hub import Failed, Hub, HubClient

TRANSIENT = {
    "503 on the commit": {"path": "/commit/", "status": 503},
    "500 twice on the commit": {"path": "/commit/", "status": 500, "times": 2},
    "429 without a time": {"path": "/commit/", "status": 429},
    "429 with a time": {"path": "/commit/", "status": 429, "headers": {"Retry-After": "1"}},
    "connection dropped": {"path": "/commit/", "action": "drop"},
    "reply lost": {"path": "/commit/", "action": "lose_reply"},
    "reply cut short": {"path": "/commit/", "action": "cut"},
    "information fails": {"path": "", "method": "GET", "status": 502, "skip": 0},
    "small file cut short": {"path": "/resolve/", "method": "GET", "action": "cut"},
    "small file fails": {"path": "/resolve/", "method": "GET", "status": 500},
}


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_passing_faults_cost_a_retry_and_no_second_version(
    hub: Hub, client: HubClient, repo: str, tmp_path: Path, fault: dict[str, Any]
) -> None:
    publish(client, repo, tmp_path, 1)
    hub.control(reset=True)
    hub.fault(**{**fault, "path": f"{repo}.*{fault['path']}"})
    state = publish(client, repo, tmp_path, 2)
    assert state["step"] == 2
    counters = hub.control()
    assert counters["faults_left"] == 0
    assert counters["writes"][repo] == 1
    titles = counters["repos"][f"model:{repo}"]["titles"]
    assert titles[:2] == ["model step 2, 20 games", "model step 1, 10 games"]
    assert pull(client, repo, tmp_path) == expected(2)


@pytest.mark.parametrize("action", ["cut", "drop", "status"])
@pytest.mark.parametrize("path", ["/_xorb/", "/v1/reconstructions/", "/xet-read-token"])
def test_weights_come_whole_through_a_xet_store_that_fails(
    hub: Hub, xet_client: HubClient, repo: str, tmp_path: Path, action: str, path: str
) -> None:
    publish(xet_client, repo, tmp_path, 1)
    hub.fault(path, action=action, times=2)
    assert pull(xet_client, repo, tmp_path) == expected(1)
    assert hub.control()["faults_given"] > 0


def test_no_two_clients_publish_the_same_bytes(
    xet_client: HubClient, lfs_client: HubClient
) -> None:
    """Else what one sent in an earlier test is there, and another's faults are never met."""
    salts = [each.do("return tensors(1)['salt'].tolist()") for each in (xet_client, lfs_client)]
    assert salts[0] != salts[1]


def test_a_retry_is_said(hub: Hub, lfs_client: HubClient, repo: str, tmp_path: Path) -> None:
    publish(lfs_client, repo, tmp_path, 1)
    hub.fault(f"{repo}/commit/", status=503)
    publish(lfs_client, repo, tmp_path, 2)
    first, second = lfs_client.said
    assert first.startswith(f"  HF transient error (attempt 1/4): {repo}: HTTP 503")
    assert second == "  Retrying in 0.02s..."


@pytest.mark.parametrize("status", [409, 412])
def test_conflicts_are_tried_again_without_a_word(
    hub: Hub, lfs_client: HubClient, repo: str, tmp_path: Path, status: int
) -> None:
    publish(lfs_client, repo, tmp_path, 1)
    hub.fault(f"{repo}/commit/", status=status, times=6)
    assert publish(lfs_client, repo, tmp_path, 2)["step"] == 2
    assert lfs_client.said == []


def test_a_stale_answer_never_overwrites_or_mixes(
    hub: Hub, lfs_client: HubClient, repo: str, tmp_path: Path
) -> None:
    for step in (1, 2):
        publish(lfs_client, repo, tmp_path, step)
    hub.fault(f"models/{repo}$", action="stale")
    assert pull(lfs_client, repo, tmp_path) == expected(1)  # older, but of one piece
    hub.fault(f"models/{repo}$", action="stale")
    note = "return weights(repo, None, home).update_state({'note': 1})"
    state = lfs_client.do(note, repo=repo, home=str(tmp_path))
    assert (state["step"], state["note"]) == (2, 1)  # 412: read again, then written
    assert hub.control()["faults_left"] == 0


def test_a_hub_that_is_gone_is_a_passing_fault(
    hub: Hub, lfs_client: HubClient, repo: str, tmp_path: Path
) -> None:
    hub.control(down=True)
    with pytest.raises(Failed) as caught:
        pull(lfs_client, repo, tmp_path)
    assert caught.value.kind == "TransientError"
    assert sum("HF transient error" in line for line in lfs_client.said) == 3


def test_an_hour_of_waiting_is_left_to_the_caller(
    hub: Hub, lfs_client: HubClient, repo: str, tmp_path: Path
) -> None:
    publish(lfs_client, repo, tmp_path, 1)
    for path in (f"{repo}/commit/", f"{repo}/preupload/"):  # the library retries the second one
        hub.fault(path, status=429, headers={"Retry-After": "3600"})
        with pytest.raises(Failed, match="429") as caught:
            publish(lfs_client, repo, tmp_path, 2)
        assert caught.value.kind == "TransientError"


def test_a_hub_that_never_answers_times_out(hub: Hub, start_client: Any, tmp_path: Path) -> None:
    client = start_client(xet=False)
    hub.fault("api/models/me/slow", action="delay", seconds=60, times=9)
    code = "return weights('me/slow', None, home, timeout=0.5, attempts=1).pull()"
    with pytest.raises(Failed) as caught:
        client.do(code, home=str(tmp_path))
    assert caught.value.kind == "TransientError"
    client.kill()


def test_refusals_are_one_sentence_that_names_the_token(
    hub: Hub, lfs_client: HubClient, repo: str, tmp_path: Path
) -> None:
    publish(lfs_client, repo, tmp_path, 1)
    hub.control(tokens={})
    with pytest.raises(Failed, match=rf"refuses access to {repo}.*HF_TOKEN") as caught:
        pull(lfs_client, repo, tmp_path)
    assert caught.value.kind == "ExchangeError"
    hub.control(tokens={"hf_aMarkerThatNothingMayShow": "read"})
    assert pull(lfs_client, repo, tmp_path) == expected(1)
    with pytest.raises(Failed, match="write token"):
        publish(lfs_client, repo, tmp_path, 2)
    hub.control(tokens={"hf_aMarkerThatNothingMayShow": "write"})
    with pytest.raises(Failed, match=r"refuses access to you/theirs"):
        publish(lfs_client, "you/theirs", tmp_path, 2)
    with pytest.raises(Failed, match="cannot be a place"):
        pull(lfs_client, "no-owner/and/more", tmp_path)
    assert lfs_client.said == []  # nothing of this is tried again


def test_a_history_squashed_while_it_is_read_is_read_again(
    hub: Hub, lfs_client: HubClient, repo: str, tmp_path: Path
) -> None:
    publish(lfs_client, repo, tmp_path, 1)
    gone = {"status": 404, "headers": {"X-Error-Code": "RevisionNotFound"}}
    for path in ("paths-info", "resolve"):
        hub.fault(f"{repo}/{path}/", **gone)
        assert pull(lfs_client, repo, tmp_path) == expected(1)
        assert "history was just squashed" in lfs_client.said[0]


def test_offline_mode_is_one_sentence(start_client: Any, tmp_path: Path) -> None:
    client = start_client(xet=False, HF_HUB_OFFLINE="1")
    for code in (
        "return weights('me/any', None, home).pull()",
        "return examples('dataset', 'me/any', None, home).list()",
    ):
        with pytest.raises(Failed, match="HF_HUB_OFFLINE forbids reaching me/any") as caught:
            client.do(code, home=str(tmp_path))
        assert caught.value.kind == "ExchangeError"
    client.kill()
