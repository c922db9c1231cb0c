"""Training states at a far place: only complete ones are ever found, and the last few are kept."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import logging
import shutil
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub import READ_TOKEN, Failed, Hub, HubClient
from listening import listening
from states import make_state

from zebfast.exchange import ExchangeError, Namespace, StoreOptions, TransientError
from zebfast.exchange.mirror.manifest import MANIFEST, IncompleteState, Manifest
from zebfast.exchange.mirror.mirror import (
    ForeignStates,
    Mirror,
    MirrorThread,
    check_sync_url,
    open_mirror,
)


def opened(url: str, *, endpoint: str | None = None) -> Mirror:
    options = StoreOptions(state_dir=Path(), retry_seconds=0.02, attempts=2)
    return open_mirror(
        url, Namespace.parse("exp"), endpoint=endpoint, options=options, squash_after=0,
    )  # fmt: skip


def steps(mirror: Mirror) -> list[int]:
    return [manifest.step for manifest in mirror.states()]


@pytest.fixture
def said() -> Iterator[list[str]]:
    lines: list[str] = []
    with listening(lines.append):
        yield lines


@pytest.fixture
def mirror(tmp_path: Path, said: list[str]) -> Mirror:
    """One in a directory, whose files a test can spoil."""
    return opened(f"file://{tmp_path}/far")


@pytest.fixture
def far(tmp_path: Path) -> Path:
    return tmp_path / "far" / "exp"


@pytest.fixture
def filled(mirror: Mirror, tmp_path: Path) -> list[Manifest]:
    """Manifests of three states that are there, newest first."""
    found = []
    for step in (1, 2, 3):
        directory, manifest = make_state(tmp_path / "near", step)
        mirror.add(directory, manifest, keep=3)
        found.append(manifest)
    return found[::-1]


def test_the_last_few_are_kept_and_come_back_whole(
    mirror: Mirror, filled: list[Manifest], tmp_path: Path, far: Path
) -> None:
    directory, manifest = make_state(tmp_path / "near", 4)
    mirror.add(directory, manifest, keep=2)
    assert steps(mirror) == [4, 3]
    assert sorted(path.name for path in far.iterdir()) == sorted(
        ["latest.json", manifest.folder, filled[0].folder]
    )
    back = tmp_path / "back"
    back.mkdir()
    mirror.fetch(manifest, back)
    for name in manifest.files:
        assert (back / name).read_bytes() == (directory / name).read_bytes()


def test_a_state_with_lower_step_is_the_newest_when_it_came_last(
    mirror: Mirror, filled: list[Manifest], tmp_path: Path
) -> None:
    """A run that was taken up again from before: its states are not deleted for being younger."""
    directory, manifest = make_state(tmp_path / "other", 2)
    mirror.add(directory, manifest, keep=2)
    assert [found.folder for found in mirror.states()] == [manifest.folder, filled[0].folder]


def test_a_killed_upload_is_not_seen_and_is_cleared_away(
    mirror: Mirror, filled: list[Manifest], tmp_path: Path, far: Path
) -> None:
    _, manifest = make_state(tmp_path / "near", 9)
    (far / manifest.folder).mkdir()
    (far / manifest.folder / "training.ckpt").write_bytes(b"half")
    assert steps(mirror) == [3, 2, 1]
    directory, next_manifest = make_state(tmp_path / "near", 10)
    mirror.add(directory, next_manifest, keep=3)
    assert not (far / manifest.folder).exists()
    assert steps(mirror) == [10, 3, 2]


def test_the_pointer_may_name_what_is_gone(
    mirror: Mirror, filled: list[Manifest], far: Path, said: list[str]
) -> None:
    (far / filled[0].folder / MANIFEST).unlink()
    assert steps(mirror) == [2, 1]
    assert filled[0].folder in said[0]
    assert "the state before it" in said[0]


@pytest.mark.parametrize("content", [None, b"{", b'{"lineage": "l1", "states": ["../up"]}'])
def test_a_lost_or_damaged_pointer_is_made_anew(
    mirror: Mirror, filled: list[Manifest], tmp_path: Path, far: Path, content: bytes | None
) -> None:
    if content is None:
        (far / "latest.json").unlink()
    else:
        (far / "latest.json").write_bytes(content)
    assert steps(mirror) == [3, 2, 1]
    directory, manifest = make_state(tmp_path / "near", 4)
    mirror.add(directory, manifest, keep=3)
    assert steps(mirror) == [4, 3, 2]
    assert not (far / filled[2].folder).exists()


@pytest.mark.parametrize("how", ["cut", "changed", "gone"])
def test_a_damaged_file_is_refused(
    mirror: Mirror, filled: list[Manifest], tmp_path: Path, far: Path, how: str
) -> None:
    path = far / filled[0].folder / "training.ckpt"
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if how == "cut" else data[:-1] + b"x")
    (tmp_path / "back").mkdir()
    with pytest.raises(IncompleteState, match=r"training\.ckpt"):
        mirror.fetch(filled[0], tmp_path / "back")


@pytest.mark.parametrize("what", ["file name", "games"])
def test_a_changed_manifest_is_no_state(
    mirror: Mirror, filled: list[Manifest], far: Path, what: str
) -> None:
    content = json.loads((far / filled[0].folder / MANIFEST).read_bytes())
    if what == "games":
        content["total_games"] += 1
    else:
        content["files"]["../../escaped"] = content["files"].pop("training.ckpt")
    (far / filled[0].folder / MANIFEST).write_text(json.dumps(content, indent=2) + "\n")
    assert steps(mirror) == [2, 1]


@pytest.mark.parametrize("has_pointer", [True, False])
def test_states_of_another_run_are_left_alone(
    mirror: Mirror, filled: list[Manifest], tmp_path: Path, far: Path, has_pointer: bool
) -> None:
    if not has_pointer:
        (far / "latest.json").unlink()
    directory, manifest = make_state(tmp_path / "near", 50, lineage="l2")
    with pytest.raises(ForeignStates, match="another run"):
        mirror.add(directory, manifest, keep=1)
    assert steps(mirror) == [3, 2, 1]


@pytest.mark.parametrize(
    "url",
    ["bucket/folder", "s3://key:secret@bucket/x", "https://x/y?sig=secret", "hf://owner",
     "hf://datasets/owner/name", "hf://buckets/owner", "file://", "file:///", "s3://", "s3:///x",
     "memory://x", "memory://key:secret@x"],
)  # fmt: skip
def test_urls_that_cannot_be_meant(url: str) -> None:
    with pytest.raises(ValueError, match="--sync-to") as error:
        check_sync_url(url)
    assert "secret" not in str(error.value)


def test_missing_packages_and_unknown_places_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, said: list[str], tmp_path: Path
) -> None:
    with pytest.raises(ExchangeError, match="expected a URL that fsspec knows"):
        opened("nowhere://x")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ExchangeError, match=r"pip install 'zebfast\[s3\]'"):
        opened("s3://bucket/x")
    (tmp_path / "file").touch()
    with pytest.raises(ExchangeError, match="is not there"):
        opened(f"file://{tmp_path}/file/below").probe()


# --- the thread ---


class Slow(Mirror):
    """A mirror that fails as often as it is told, and notes what it is given."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.added, self.gate = failures, list[int](), threading.Event()
        self.gate.set()

    label = "slow"

    def add(self, directory: Path, manifest: Manifest, *, keep: int) -> None:
        assert self.gate.wait(60)
        if self.failures:
            self.failures -= 1
            raise TransientError("slow: away")
        self.added.append(manifest.step)


@pytest.fixture
def start(said: list[str]) -> Iterator[Callable[[Mirror], MirrorThread]]:
    started: list[MirrorThread] = []

    def start(mirror: Mirror) -> MirrorThread:
        started.append(MirrorThread(mirror, keep=3, pause_seconds=0, retry_seconds=0.01))
        return started[-1]

    yield start
    for thread in started:
        thread.close(60)


def test_the_newest_wins_while_one_is_sent(
    start: Callable[[Mirror], MirrorThread], tmp_path: Path
) -> None:
    mirror = Slow()
    mirror.gate.clear()
    thread = start(mirror)
    states = [make_state(tmp_path, step) for step in (1, 2, 3)]
    thread.submit(*states[0])
    while thread.busy() != {states[0][1].folder} or thread._sender._sending is None:
        time.sleep(0.001)
    thread.submit(*states[1])
    thread.submit(*states[2])
    assert thread.busy() == {states[0][1].folder, states[2][1].folder}
    assert not thread.finish(0.01)
    mirror.gate.set()
    assert thread.finish(60)
    assert mirror.added == [1, 3]


def test_faults_are_said_once_and_tried_again(
    start: Callable[[Mirror], MirrorThread], tmp_path: Path, said: list[str]
) -> None:
    mirror = Slow(failures=4)
    thread = start(mirror)
    thread.submit(*make_state(tmp_path, 1))
    assert thread.finish(60)
    assert mirror.added == [1]
    assert said == ["  sync error (will retry): slow: away", "  sync to slow works again"]


def test_a_state_that_is_gone_before_it_was_sent_is_said(
    start: Callable[[Mirror], MirrorThread], tmp_path: Path, said: list[str]
) -> None:
    mirror = Slow()
    thread = start(mirror)
    directory, manifest = make_state(tmp_path, 7)
    shutil.rmtree(directory)
    thread.submit(directory, manifest)
    assert thread.finish(60)
    assert not mirror.added
    [line] = said
    assert "snapshot of cycle 7 is not at slow" in line
    assert f"{directory} was deleted" in line


@pytest.mark.parametrize("step", [2, 3, 4])
def test_what_an_earlier_run_left_does_not_pass_what_is_further(
    mirror: Mirror, filled: list[Manifest], start: Callable[[Mirror], MirrorThread],
    tmp_path: Path, step: int,
) -> None:  # fmt: skip
    thread = start(mirror)
    thread.submit(*make_state(tmp_path / "near", step), is_left=True)
    assert thread.finish(60)
    assert steps(mirror)[0] == max(step, 3)
    assert filled[0].step in steps(mirror)


def test_a_bug_that_ends_the_thread_is_heard(
    start: Callable[[Mirror], MirrorThread],
    tmp_path: Path,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thread = start(Slow())
    monkeypatch.setattr(thread._sender, "_sent", lambda state: 1 / 0)
    thread.submit(*make_state(tmp_path, 1))
    assert not thread.finish(60)
    assert said == ["  no state is sent to slow until the next start: division by zero"]


# --- S3 ---


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Address of an S3 service with the bucket ``states``."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    importlib.import_module("s3fs").S3FileSystem(endpoint_url=url).mkdir("states")
    yield url
    server.stop()
    patch.undo()


def check_keys_after(s3: str, n_requests: int) -> None:
    """Have the service refuse unknown keys from so many requests on."""
    request = urllib.request.Request(
        f"{s3}/moto-api/reset-auth", str(n_requests).encode(), {"Content-Type": "text/plain"}
    )
    urllib.request.urlopen(request).close()


def test_s3_keeps_states_and_only_complete_ones_are_seen(
    s3: str, tmp_path: Path, said: list[str]
) -> None:
    mirror = opened("s3://states/runs", endpoint=s3)
    mirror.probe()
    assert steps(mirror) == []
    for step in (1, 2, 3, 4):
        directory, manifest = make_state(tmp_path, step)
        mirror.add(directory, manifest, keep=2)
    assert steps(mirror) == [4, 3]
    fs = importlib.import_module("s3fs").S3FileSystem(endpoint_url=s3)
    names = {name.removeprefix("states/runs/exp/") for name in fs.find("states/runs")}
    assert {name.split("/")[0].split("-")[-2] for name in names if "/" in name} == {
        "00000003", "00000004",
    }  # fmt: skip
    assert "latest.json" in names
    assert not any("probe" in name for name in names)
    (tmp_path / "back").mkdir()
    mirror.fetch(manifest, tmp_path / "back")
    assert (tmp_path / "back" / "training.ckpt").read_bytes() == (
        directory / "training.ckpt"
    ).read_bytes()


@pytest.mark.parametrize(
    ("fault", "n_lines"), [(ConnectionResetError("closing"), 0), (KeyError("a bug"), 1)]
)
def test_s3_that_goes_away_leaves_no_traceback_of_its_client(
    s3: str, said: list[str], caplog: pytest.LogCaptureFixture, fault: Exception, n_lines: int
) -> None:
    """Its writing task fails too, and nobody waits for that one; other faults are not hushed up."""
    opened("s3://states/runs", endpoint=s3).probe()
    loop = importlib.import_module("fsspec.asyn").get_loop()

    async def fail() -> None:
        raise fault

    async def leave_it() -> None:
        await asyncio.wait([asyncio.ensure_future(fail())])

    asyncio.run_coroutine_threadsafe(leave_it(), loop).result(10)
    gc.collect()
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(10)
    assert [r.name for r in caplog.records].count("asyncio") == n_lines, caplog.text


def test_s3_mistakes_are_found_at_once_and_name_no_secret(
    s3: str, tmp_path: Path, said: list[str]
) -> None:
    with pytest.raises(ExchangeError, match="make the bucket"):
        opened("s3://no-such-bucket/x", endpoint=s3).probe()
    with pytest.raises(TransientError, match="connect"):
        opened("s3://states/x", endpoint="http://127.0.0.1:9").probe()
    check_keys_after(s3, 0)
    try:
        with pytest.raises(ExchangeError, match="set credentials") as error:
            opened("s3://states/x", endpoint=s3).probe()
        assert not isinstance(error.value, TransientError)
        assert "secret" not in str(error.value).lower().replace("aws_secret_access_key", "")
    finally:
        check_keys_after(s3, 1_000_000)


# --- the Hub ---

OPEN = """
from states import make_state

def opened_mirror(url):
    from zebfast.exchange.mirror.mirror import open_mirror
    return open_mirror(url, Namespace.parse("exp"), endpoint=None, options=options("."),
                       squash_after=0)
"""
ROUND = (
    OPEN
    + """
mirror = opened_mirror(url)
mirror.probe()
assert list(mirror.states()) == []
for step in (1, 2, 3):
    mirror.add(*make_state(home, step), keep=2)
found = list(mirror.states())
back = Path(home) / "back"
back.mkdir()
mirror.fetch(found[0], back)
ours = Path(home) / "state-3"
assert all((back / n).read_bytes() == (ours / n).read_bytes() for n in found[0].files)
return [manifest.step for manifest in found]
"""
)


def test_a_model_repository_gets_one_commit_a_state(
    hub: Hub, lfs_client: HubClient, repo: str, tmp_path: Path
) -> None:
    assert lfs_client.do(ROUND, url=f"hf://{repo}/states", home=str(tmp_path)) == [3, 2]
    files = hub.files(f"model:{repo}")
    assert "states/exp/latest.json" in files
    assert {path.split("/")[2].split("-")[1] for path in files if path.count("/") > 2} == {
        "00000002", "00000003",
    }  # fmt: skip
    assert hub.control()["writes"][repo] == 3


def test_a_bucket_keeps_states(hub: Hub, xet_client: HubClient, repo: str, tmp_path: Path) -> None:
    assert xet_client.do(ROUND, url=f"hf://buckets/{repo}", home=str(tmp_path)) == [3, 2]
    folders = {path.split("/")[1] for path in hub.files(repo) if path.count("/") > 1}
    assert {name.split("-")[1] for name in folders} == {"00000002", "00000003"}


def test_a_token_that_may_only_read_is_found_at_once(
    hub: Hub, start_client: Callable[..., HubClient], xet_client: HubClient, repo: str
) -> None:
    code = OPEN + "opened_mirror(url).probe()"
    reader = start_client(HF_TOKEN=READ_TOKEN)
    for place in ("hf://", "hf://buckets/"):
        xet_client.do(code, url=place + repo)
        with pytest.raises(Failed, match="HF_TOKEN"):
            reader.do(code, url=place + repo)


def test_a_reply_that_was_lost_costs_no_second_upload(
    hub: Hub, lfs_client: HubClient, repo: str, tmp_path: Path
) -> None:
    hub.fault(f"/api/models/{repo}/commit", action="lose_reply", times=1)
    code = (
        OPEN
        + """
mirror = opened_mirror(url)
mirror.probe()
thing = make_state(home, 1)
for attempt in range(2):
    try:
        mirror.add(*thing, keep=2)
    except TransientError:
        assert attempt == 0
return [manifest.step for manifest in mirror.states()]
"""
    )
    assert lfs_client.do(code, url=f"hf://{repo}", home=str(tmp_path)) == [1]
    assert max(hub.control()["added"].values()) == 1
