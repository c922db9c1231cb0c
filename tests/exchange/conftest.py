"""One loopback Hub for all tests here, and processes that talk to it, with and without hf_xet."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from far import Far
from hub import READ_TOKEN, TOKEN, Hub, HubClient, running_hub

_numbers = itertools.count()


@pytest.fixture(scope="session")
def _one_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running_hub(tmp_path_factory.mktemp("hf")) as hub:
        yield hub


@pytest.fixture
def hub(_one_hub: Hub) -> Hub:
    """The Hub in good health, its counters at zero.

    It does not say which files it has, which would make the library leave repeated files out by
    itself: what is sent twice here is sent twice by us.
    """
    _one_hub.control(
        faults=[],
        down=False,
        tokens={TOKEN: "write", READ_TOKEN: "read"},
        commit_quota=None,
        retry_after=None,
        tell_known=False,
        reset=True,
    )
    return _one_hub


@pytest.fixture
def repo() -> str:
    """A repository's name that no other test uses."""
    return f"me/r{next(_numbers)}"


@pytest.fixture(scope="session")
def start_client(_one_hub: Hub) -> Iterator[Callable[..., HubClient]]:
    """Starts processes that talk to the Hub; all are ended after the tests."""
    started: list[HubClient] = []

    def start(*, xet: bool = True, **env: str) -> HubClient:
        started.append(HubClient(_one_hub.env(xet=xet, **env)))
        return started[-1]

    yield start
    for client in started:
        client.kill()


@pytest.fixture(scope="session")
def xet_client(start_client: Callable[..., HubClient]) -> HubClient:
    return start_client(xet=True)


@pytest.fixture(scope="session")
def lfs_client(start_client: Callable[..., HubClient]) -> HubClient:
    return start_client(xet=False)


@pytest.fixture(params=["xet", "lfs"])
def client(
    request: pytest.FixtureRequest, xet_client: HubClient, lfs_client: HubClient
) -> HubClient:
    """A process with, and one without, hf_xet."""
    return xet_client if request.param == "xet" else lfs_client


@pytest.fixture(params=["lfs", "xet", "bucket"])
def far(
    request: pytest.FixtureRequest,
    hub: Hub,
    repo: str,
    tmp_path: Path,
    xet_client: HubClient,
    lfs_client: HubClient,
) -> Far:
    client = lfs_client if request.param == "lfs" else xet_client
    kind = "bucket" if request.param == "bucket" else "dataset"
    return Far(hub, client, kind, repo, tmp_path)


@pytest.fixture
def lfs_far(hub: Hub, repo: str, tmp_path: Path, lfs_client: HubClient) -> Far:
    return Far(hub, lfs_client, "dataset", repo, tmp_path)
