"""Weights on the Hub, with the real client: one commit a version, checked when read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from far import expected, publish, pull
from hub import Failed, Hub, HubClient


def test_a_version_is_one_commit_and_namespaces_are_apart(
    hub: Hub, client: HubClient, repo: str, tmp_path: Path
) -> None:
    assert pull(client, repo, tmp_path) is None
    publish(client, repo, tmp_path, 0)
    publish(client, repo, tmp_path, 3, "large")
    publish(client, repo, tmp_path, 5)
    assert hub.control()["writes"][repo] == 3
    assert set(hub.files(f"model:{repo}")) == {
        "model.pt", "config.json", "training_state.json",
        "large.pt", "large-config.json", "large-state.json",
    }  # fmt: skip
    assert pull(client, repo, tmp_path) == expected(5)
    assert pull(client, repo, tmp_path, name="large") == expected(3)
    assert pull(client, repo, tmp_path, newer_than=5) is None
    assert pull(client, repo, tmp_path, newer_than=4) == expected(5)


def test_only_the_state_is_read_while_nothing_is_new(
    hub: Hub, lfs_client: HubClient, repo: str, tmp_path: Path
) -> None:
    publish(lfs_client, repo, tmp_path, 5)
    hub.control(reset=True)
    code = """
    store = weights(repo, None, home)
    return [store.pull(newer_than=5) for _ in range(3)]
    """
    assert lfs_client.do(code, repo=repo, home=str(tmp_path)) == [None] * 3
    requests = hub.control()["requests"]
    assert requests["GET resolve"] == 1  # the state file, and once for three looks
    assert "GET _cdn" not in requests


def test_earlier_revisions(hub: Hub, xet_client: HubClient, repo: str, tmp_path: Path) -> None:
    for step in (0, 4, 8):
        publish(xet_client, repo, tmp_path, step)
    publish(xet_client, repo, tmp_path, 2, "other")
    code = "return [[r.id, r.title] for r in weights(repo, name, home).revisions(2)]"
    found = xet_client.do(code, repo=repo, name=None, home=str(tmp_path))
    assert [title for _, title in found] == ["model step 8, 80 games", "model step 4, 40 games"]
    assert pull(xet_client, repo, tmp_path, revision=found[1][0]) == expected(4)
    with pytest.raises(Failed, match="no such revision"):
        pull(xet_client, repo, tmp_path, revision="0" * 40)
    assert xet_client.do(code, repo="me/nowhere", name=None, home=str(tmp_path)) == []


def test_keys_that_a_publish_does_not_name_are_kept(
    hub: Hub, xet_client: HubClient, repo: str, tmp_path: Path
) -> None:
    publish(xet_client, repo, tmp_path, 1)
    code = "return weights(repo, None, home).update_state({'note': 'kept'})"
    xet_client.do(code, repo=repo, home=str(tmp_path))
    assert publish(xet_client, repo, tmp_path, 2)["note"] == "kept"


def test_a_large_account_of_files_is_in_the_same_commit_and_no_worker_reads_it(
    hub: Hub, lfs_client: HubClient, repo: str, tmp_path: Path
) -> None:
    code = """
    store = weights(repo, None, home)
    names = [f"name-{number}" for number in range(5000)]
    parts = [{"ingested": names[:n], "counted": {}, "optimizer_steps": n} for n in (5000, 4999, 1)]
    found = []
    for step, part in enumerate(parts):
        store.publish(tensors(step), {}, {"step": step, **part})
        store.update_state({"note": 1})
        state = weights(repo, None, home).pull(newer_than=step - 1).state
        whole = weights(repo, None, home).whole(state)
        found.append([len(str(state)) < 1000, {key: whole[key] for key in part} == part])
    return found
    """
    found = lfs_client.do(code, repo=repo, home=str(tmp_path))
    assert found == [[True, True]] * 3
    assert hub.control()["writes"][repo] == 6
    assert "model-ledger.json.z" in hub.files(f"model:{repo}")


def test_other_namespaces_commits_block_nobody(
    hub: Hub, xet_client: HubClient, repo: str, tmp_path: Path
) -> None:
    code = """
    from concurrent.futures import ThreadPoolExecutor
    publish = lambda name: [
        weights(repo, name, f"{home}/{name}").publish(tensors(step), {}, {"step": step})
        for step in range(1, 6)
    ]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(publish, ["a", "b", "c"]))
    return [weights(repo, name, home).pull().step for name in "abc"]
    """
    weights_of = xet_client.do(code, repo=repo, home=str(tmp_path))
    assert weights_of == [5, 5, 5]
    titles = hub.control()["repos"][f"model:{repo}"]["titles"]
    assert len(titles) == len(set(titles)) == 16


UPLOAD = """
from huggingface_hub import CommitOperationAdd, HfApi
HfApi().create_repo(repo, exist_ok=True)
HfApi().create_commit(repo, [CommitOperationAdd(n, d.encode()) for n, d in files.items()],
                      commit_message="by hand")
"""


HOSTILE = {
    "state is a list": ({"training_state.json": "[]"}, "expected one JSON object"),
    "state is negative": ({"training_state.json": '{"step": -1}'}, "step = -1"),
    "weights are junk": (
        {"model.pt": "junk", "training_state.json": '{"step": 9}'},
        "cannot be read",
    ),
    "weights of another state": ({"model.pt": "junk"}, "is not the file that"),
    "config is a number": ({"config.json": "7"}, "expected one JSON object"),
}


@pytest.mark.parametrize(("files", "message"), HOSTILE.values(), ids=HOSTILE)
def test_what_was_put_there_by_hand_is_checked(
    hub: Hub, lfs_client: HubClient, repo: str, tmp_path: Path, files: Any, message: str
) -> None:
    publish(lfs_client, repo, tmp_path, 1)
    lfs_client.do(UPLOAD, repo=repo, files=files)
    with pytest.raises(Failed, match=message) as caught:
        pull(lfs_client, repo, tmp_path)
    is_another = message == "is not the file that"
    assert caught.value.kind == ("Unannounced" if is_another else "Unusable")


def test_published_layout_without_a_state_is_step_0(
    hub: Hub, lfs_client: HubClient, repo: str, tmp_path: Path
) -> None:
    code = """
    import io, torch
    from huggingface_hub import CommitOperationAdd, HfApi
    buffer = io.BytesIO()
    torch.save({name: torch.from_numpy(value) for name, value in tensors(9).items()}, buffer)
    HfApi().create_repo(repo)
    HfApi().create_commit(repo, [CommitOperationAdd("model.pt", buffer.getvalue()),
                                 CommitOperationAdd("config.json", b"{}")], commit_message="x")
    """
    lfs_client.do(code, repo=repo)
    assert pull(lfs_client, repo, tmp_path) == [0, 0, [9.0] * 3, {}]


def test_long_histories_are_squashed_once(
    hub: Hub, lfs_client: HubClient, repo: str, tmp_path: Path
) -> None:
    for step in (1, 2, 3):
        publish(lfs_client, repo, tmp_path, step)
    code = """
    store = weights(repo, None, home)
    before = store.pull().step
    return [before, store.compact(0), store.compact(4), store.compact(3), store.pull().step]
    """
    before, never, fits, _, after = lfs_client.do(code, repo=repo, home=str(tmp_path))
    assert (before, never, fits, after) == (3, None, None, 3)
    code = "return [weights(repo, None, home).compact(3), weights(repo, None, home).pull().step]"
    line, step = lfs_client.do(code, repo=repo, home=str(tmp_path))
    assert line.startswith(f"Squashed the 4 commits of {repo} into one")
    assert step == 3
    assert len(hub.control()["repos"][f"model:{repo}"]["titles"]) == 1
