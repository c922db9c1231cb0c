"""One learner a namespace, also over machines: refusals, take-overs, renewals, crashes."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hub import Failed, Hub, HubClient

HOLD = """
keep["store"] = weights(repo, None, home)
keep["held"] = keep["store"].hold(owner, take_over=take_over)
keep["held"].__enter__()
"""
PUBLISH = 'return store.publish(tensors(step), {}, {"step": step})["learner"]["owner"]'
LEAVE = "held.__exit__(None, None, None)"
READ = "return weights(repo, None, home).read_state()"
BUSY = "already has a learner on alpha.*so beta cannot"


@pytest.fixture
def first(start_client: Callable[..., HubClient]) -> HubClient:
    return start_client(xet=False)


@pytest.fixture
def second(lfs_client: HubClient) -> HubClient:
    return lfs_client


def hold(
    client: HubClient, repo: str, home: Path, owner: str = "alpha", *, take_over: bool = False
) -> None:
    client.do(HOLD, repo=repo, home=str(home), owner=owner, take_over=take_over)


def published(client: HubClient, repo: str, home: Path) -> None:
    """A namespace that exists, with nobody in it."""
    code = 'weights(repo, None, home).publish(tensors(1), {}, {"step": 1})'
    client.do(code, repo=repo, home=str(home))


def test_second_learner_is_refused_until_the_first_has_left(
    hub: Hub, first: HubClient, second: HubClient, repo: str, tmp_path: Path
) -> None:
    published(first, repo, tmp_path)
    hold(first, repo, tmp_path / "a")
    with pytest.raises(Failed, match=BUSY) as caught:
        hold(second, repo, tmp_path / "b", "beta")
    assert caught.value.kind == "NamespaceBusy"
    assert "--take-over" in caught.value.text
    with pytest.raises(Failed, match=rf"already has a learner \(process {first.process.pid}\)"):
        hold(second, repo, tmp_path / "a")
    assert first.do(PUBLISH, step=2) == "alpha"
    first.do(LEAVE)
    assert "learner" not in second.do(READ, repo=repo, home=str(tmp_path))
    hold(second, repo, tmp_path / "b", "beta")
    second.do(LEAVE)


def test_a_killed_learner_continues_at_once_and_keeps_others_out(
    hub: Hub, first: HubClient, second: HubClient, repo: str, tmp_path: Path
) -> None:
    published(first, repo, tmp_path)
    hold(first, repo, tmp_path / "a")
    first.kill()
    with pytest.raises(Failed, match=BUSY):
        hold(second, repo, tmp_path / "b", "beta")
    hold(second, repo, tmp_path / "a")
    assert second.do(PUBLISH, step=2) == "alpha"
    second.do(LEAVE)


def test_a_hold_that_nobody_renewed_runs_out(
    hub: Hub, second: HubClient, repo: str, tmp_path: Path
) -> None:
    published(second, repo, tmp_path)
    code = """
    import time
    lease = {"owner": "alpha", "id": "0", "renewed": time.time() - age}
    weights(repo, None, home).update_state({"learner": lease})
    """
    second.do(code, repo=repo, home=str(tmp_path), age=1700)
    with pytest.raises(Failed, match=BUSY):
        hold(second, repo, tmp_path / "b", "beta")
    second.do(code, repo=repo, home=str(tmp_path), age=1900)
    hold(second, repo, tmp_path / "b", "beta")
    assert second.do(PUBLISH, step=2) == "beta"
    second.do(LEAVE)


FORGE = """
import time
lease = {"owner": "alpha", "id": "0", "process": "1", "renewed": time.time() + float(ahead)}
weights(repo, None, home).update_state({"learner": lease})
"""


def test_a_hold_from_a_clock_that_is_ahead_runs_out_by_this_sides_count(
    hub: Hub, second: HubClient, repo: str, tmp_path: Path
) -> None:
    published(second, repo, tmp_path)
    second.do(FORGE, repo=repo, home=str(tmp_path), ahead=86_400)
    with pytest.raises(Failed, match=BUSY) as caught:
        hold(second, repo, tmp_path / "b", "beta")
    assert "its clock is 24.0 h ahead" in caught.value.text
    wait = int(re.search(r"wait (\d+) s", caught.value.text)[1])  # type: ignore[index]
    assert 1700 < wait <= 1800
    seen = tmp_path / "b" / ".model.learner.seen.json"
    record = json.loads(seen.read_bytes())
    record["since"]["steady"] -= 1800
    record["since"]["unix"] -= 1800
    seen.write_text(json.dumps(record))
    hold(second, repo, tmp_path / "b", "beta")
    second.do(LEAVE)
    assert not seen.exists()


def test_a_living_learner_whose_clock_is_behind_keeps_its_hold(
    hub: Hub, second: HubClient, repo: str, tmp_path: Path
) -> None:
    published(second, repo, tmp_path)
    second.do(FORGE, repo=repo, home=str(tmp_path), ahead=-7200)
    with pytest.raises(Failed, match=BUSY) as caught:
        hold(second, repo, tmp_path / "b", "beta")
    assert "its clock is 2.0 h behind" in caught.value.text


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e300"])
def test_a_hold_without_a_time_is_none(
    hub: Hub, second: HubClient, repo: str, tmp_path: Path, number: str
) -> None:
    published(second, repo, tmp_path)
    second.do(FORGE, repo=repo, home=str(tmp_path), ahead=number)
    hold(second, repo, tmp_path / "b", "beta")
    second.do(LEAVE)


def test_a_copied_state_directory_makes_no_second_learner(
    hub: Hub, first: HubClient, second: HubClient, repo: str, tmp_path: Path
) -> None:
    published(first, repo, tmp_path)
    hold(first, repo, tmp_path / "a")
    assert first.do(PUBLISH, step=2) == "alpha"
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    hold(second, repo, tmp_path / "copy")
    with pytest.raises(Failed, match="same state directory, or a copy of it") as caught:
        first.do(PUBLISH, step=9)
    assert caught.value.kind == "NamespaceBusy"
    first.do(LEAVE)
    assert second.do(PUBLISH, step=3) == "alpha"
    second.do(LEAVE)
    state = second.do(READ, repo=repo, home=str(tmp_path))
    assert state["step"] == 3
    assert "learner" not in state


def test_copies_that_start_a_namespace_together(
    hub: Hub, first: HubClient, second: HubClient, repo: str, tmp_path: Path
) -> None:
    hold(first, repo, tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    hold(second, repo, tmp_path / "copy")
    assert first.do(PUBLISH, step=0) == "alpha"
    with pytest.raises(Failed, match="same state directory, or a copy of it"):
        second.do(PUBLISH, step=0)
    for client in (second, first):
        client.do(LEAVE)


def test_who_was_dispossessed_publishes_nothing_more(
    hub: Hub, first: HubClient, second: HubClient, repo: str, tmp_path: Path
) -> None:
    published(first, repo, tmp_path)
    hold(first, repo, tmp_path / "a")
    hold(second, repo, tmp_path / "b", "beta", take_over=True)
    with pytest.raises(Failed, match=r"taken over from this learner \(alpha\) by beta") as caught:
        first.do(PUBLISH, step=9)
    assert caught.value.kind == "NamespaceBusy"
    first.do(LEAVE)  # must not end the other's hold
    assert second.do(PUBLISH, step=3) == "beta"
    hold(first, repo, tmp_path / "a", take_over=True)
    with pytest.raises(Failed, match="by alpha"):
        second.do(PUBLISH, step=4)
    first.do(LEAVE)
    with pytest.raises(Failed, match="given up since"):
        second.do(PUBLISH, step=4)
    second.do(LEAVE)
    assert second.do(READ, repo=repo, home=str(tmp_path))["step"] == 3


def test_two_that_start_a_namespace_together(
    hub: Hub, first: HubClient, second: HubClient, repo: str, tmp_path: Path
) -> None:
    hold(first, repo, tmp_path / "a")
    hold(second, repo, tmp_path / "b", "beta")  # there is nothing yet that could say no
    assert first.do(PUBLISH, step=0) == "alpha"
    with pytest.raises(Failed, match=BUSY):
        second.do(PUBLISH, step=0)
    for client in (first, second):
        client.do(LEAVE)
    titles = hub.control()["repos"][f"model:{repo}"]["titles"]
    assert titles == ["model: no learner", "model step 0, 0 games", "initial commit"]


def test_a_lost_reply_to_the_hold_is_no_second_learner(
    hub: Hub, second: HubClient, repo: str, tmp_path: Path
) -> None:
    published(second, repo, tmp_path)
    hub.fault(f"{repo}/commit/", action="lose_reply")
    hold(second, repo, tmp_path / "a")
    hub.fault(f"{repo}/commit/", action="lose_reply")
    assert second.do(PUBLISH, step=2) == "alpha"
    hub.fault(f"{repo}/commit/", action="lose_reply")
    second.do(LEAVE)
    assert "learner" not in second.do(READ, repo=repo, home=str(tmp_path))
    assert len(hub.control()["repos"][f"model:{repo}"]["titles"]) == 5


def test_a_hub_that_is_gone_does_not_keep_the_lock(
    hub: Hub, second: HubClient, repo: str, tmp_path: Path
) -> None:
    published(second, repo, tmp_path)
    hub.control(down=True)
    with pytest.raises(Failed) as caught:
        hold(second, repo, tmp_path / "a")
    assert caught.value.kind == "TransientError"
    hub.control(down=False)
    hold(second, repo, tmp_path / "a")
    hub.control(down=True)
    second.do(LEAVE)
    assert any("still names this learner" in line for line in second.said)


def test_a_hold_is_renewed_while_nothing_is_published(
    hub: Hub, second: HubClient, repo: str, tmp_path: Path
) -> None:
    published(second, repo, tmp_path)
    code = """
    import time
    from zebfast.exchange.hub.weights import HubWeightStore
    store = HubWeightStore(repo, Namespace(None), options=options(home),
                           lease_seconds=0.6)
    def renewed():
        return weights(repo, None, home + "x").read_state()["learner"]["renewed"]
    with store.hold("alpha"):
        before, end = renewed(), time.monotonic() + 60
        while renewed() == before and time.monotonic() < end:
            time.sleep(0.02)
        return renewed() > before
    """
    assert second.do(code, repo=repo, home=str(tmp_path)) is True


def until_said(client: HubClient, word: str) -> None:
    """Wait until the client's threads have said something with this word."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        client.do("return None")
        if any(word in line for line in client.said):
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing with {word!r} was said")


def test_renewals_outlive_faults_and_notice_a_take_over(
    hub: Hub, first: HubClient, second: HubClient, repo: str, tmp_path: Path
) -> None:
    published(first, repo, tmp_path)
    code = """
    from zebfast.exchange.hub.weights import HubWeightStore
    keep["store"] = HubWeightStore(repo, Namespace(None), options=options(home, attempts=1),
                                   lease_seconds=0.6)
    keep["held"] = keep["store"].hold("alpha")
    keep["held"].__enter__()
    """
    first.do(code, repo=repo, home=str(tmp_path / "a"))
    hub.control(down=True)
    until_said(first, "could not be renewed (will retry)")
    hub.control(down=False)
    hold(second, repo, tmp_path / "b", "beta", take_over=True)
    until_said(first, "taken over from this learner (alpha) by beta")
    for client in (first, second):
        client.do(LEAVE)
