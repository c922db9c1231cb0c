"""Commits of a Hub repository: listing them, and squashing a history that grew too long."""

from __future__ import annotations

import time
from typing import Any

from zebfast.exchange.hub_client import HubClient

_LOOK_SECONDS = 3600.0  # counting thousands of commits takes dozens of calls


class History:
    """The commits of one repository; ``repo`` are the library's repo_id and repo_type."""

    def __init__(self, client: HubClient, repo: dict[str, str]) -> None:
        self._client, self._repo = client, repo
        self._looked: float | None = None

    def commits(self) -> list[Any]:
        """The library's commit records, newest first. Raises ExchangeError and its kinds."""
        found = self._client.once(lambda: self._client.api.list_repo_commits(**self._repo))
        return list(found)

    def compact(self, limit: int) -> str | None:
        """Squash into one commit if there are more than ``limit`` (0: never); looks once an hour.

        Returns the line that announces it. Earlier revisions cannot be read any more.
        """
        now = time.monotonic()
        if limit <= 0 or (self._looked is not None and now - self._looked < _LOOK_SECONDS):
            return None
        count = len(self.commits())
        if count <= limit:
            self._looked = now
            return None
        message = f"Squash {count} commits"
        api = self._client.api
        self._client.call(lambda: api.super_squash_history(commit_message=message, **self._repo))
        self._looked = now
        return (
            f"Squashed the {count:,} commits of {self._client.place} into one "
            f"(more than {limit:,}): earlier revisions are gone"
        )
