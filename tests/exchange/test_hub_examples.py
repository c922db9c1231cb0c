"""Example files on the Hub, in repositories and buckets, with the real client."""

from __future__ import annotations

from pathlib import Path

from far import FETCH, NAMES, PUT_AND_CLOSE, Far
from hub import Hub, HubClient


def test_files_go_there_and_come_back(far: Far) -> None:
    assert far.do("return [store.list(), store.delete(['w_1_ab.pt']), store.waiting()]") == [
        [],
        0,
        0,
    ]
    assert far.do(PUT_AND_CLOSE, names=NAMES[::-1]) == 0
    assert far.files() == NAMES
    assert far.do("return store.list()") == NAMES
    assert far.do(FETCH, names=[*NAMES[:3], "gone_1_ab.pt"]) == NAMES[:3]
    assert far.do("return store.delete([*names, '../x'])", names=[*NAMES[:2], "no_1_ab.pt"]) == 2
    assert far.files() == NAMES[2:]
    assert far.spooled() == []
    left = [path for path in far.home.rglob("*") if path.is_file() and path.name != ".lock"]
    assert left == []


def test_everything_that_was_spooled_is_one_commit_an_interval(far: Far) -> None:
    code = """
    import time
    put(store, names[0])
    while store.waiting():  # the first goes at once: a learner may be waiting for it
        time.sleep(0.01)
    put(store, *names[1:])
    time.sleep(0.3)
    waited = store.waiting()
    return [waited, store.close(30)]
    """
    far.do("return store.list()")
    assert far.do(code, changes={"upload_interval": 3600}, names=NAMES) == [3, 0]
    assert far.files() == NAMES
    assert far.uploads() == 2


def test_a_lost_reply_to_a_deletion_is_no_error(far: Far) -> None:
    far.do(PUT_AND_CLOSE, names=NAMES)
    far.hub.fault(f"{far.repo}/(commit/|batch)", action="lose_reply")
    assert far.do("return store.delete(names)", names=NAMES[:3]) == 3
    assert far.files() == NAMES[3:]


def test_examples_in_a_model_repository_are_found(
    hub: Hub, lfs_client: HubClient, repo: str, tmp_path: Path
) -> None:
    """The published layout: weights and examples in one repository, here of no namespace."""
    code = """
    weights(repo, None, home).publish(tensors(1), {}, {"step": 1})
    store = examples("dataset", repo, None, home)
    put(store, *names)
    left = store.close(30)
    put(inside := examples("dataset", repo, "large", home), names[0])
    return [left, inside.close(30), store.list()]
    """
    assert lfs_client.do(code, repo=repo, names=NAMES, home=str(tmp_path)) == [0, 0, NAMES]
    assert {*NAMES, f"large/{NAMES[0]}", "model.pt"} <= set(hub.files(f"model:{repo}"))
    assert hub.files(f"dataset:{repo}") == {}


def test_histories_are_squashed_only_when_long(lfs_far: Far) -> None:
    for name in NAMES:
        lfs_far.do(PUT_AND_CLOSE, names=[name])
    code = "return [store.compact(5), store.compact(3), store.list()]"
    assert lfs_far.do(code) == [None, None, NAMES]  # looked within the hour
    line, listed = lfs_far.do("return [store.compact(4), store.list()]")
    assert line.startswith("Squashed the 5 commits")
    assert listed == NAMES


def test_a_thousand_files_are_listed_and_more_than_a_page(lfs_far: Far) -> None:
    code = """
    from huggingface_hub import CommitOperationAdd, HfApi
    HfApi().create_repo(repo, repo_type="dataset")
    adds = [CommitOperationAdd(f"large/w_{n}_ab.safetensors", b"same") for n in range(1100)]
    for part in (adds[:1], adds[1:]):  # the content is uploaded with the first
        HfApi().create_commit(repo, part, repo_type="dataset", commit_message="many")
    listed = store.list()
    return [len(listed), listed[-1], store.delete(listed[:700]), len(store.list())]
    """
    assert lfs_far.do(code) == [1100, "w_1099_ab.safetensors", 700, 400]
