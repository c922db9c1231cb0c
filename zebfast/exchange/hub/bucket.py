"""Example files in a Storage Bucket of the Hub: no commits, so no commit quota and no conflicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zebfast.exchange.errors import TransientError
from zebfast.exchange.hub.client import HubClient
from zebfast.exchange.hub.examples import RemoteFile
from zebfast.exchange.hub.uploader import Content
from zebfast.exchange.names import bounded
from zebfast.exchange.place import StoreOptions


class Folder:
    """The transport: the files below ``prefix`` in a bucket, which is made private when needed.

    The library retries all bucket calls but the creation by itself.
    """

    quota = False

    def __init__(self, bucket_id: str, prefix: str, *, options: StoreOptions) -> None:
        self._client, self._id = HubClient(f"bucket {bucket_id}", options=options), bucket_id
        self._prefix = f"{prefix}/" if prefix else ""
        self.label = f"bucket {bucket_id}/{prefix}".rstrip("/")
        self._exists = False

    def entries(self, folder: str = "") -> dict[str, RemoteFile]:
        prefix = f"{self._prefix}{folder}/" if folder else self._prefix
        named = self._files(lambda: self._client.api.list_bucket_tree(self._id, prefix or None))
        return {
            name: RemoteFile(f.size, None, f.xet_hash)
            for name, f in named
            if f.path.rfind("/") < len(prefix)
        }

    def _files(self, ask: Callable[[], Iterable[Any]]) -> list[tuple[str, Any]]:
        """The files of a listing by their names in the folder; none while there is no bucket."""
        from huggingface_hub.errors import BucketNotFoundError

        def look() -> list[Any]:
            try:
                return list(bounded(ask()))
            except BucketNotFoundError:
                return []

        found = self._client.once(look)
        files = [f for f in found if f.type == "file" and isinstance(f.path, str)]
        return [(f.path.removeprefix(self._prefix), f) for f in files if type(f.size) is int]

    def _named(self, names: Sequence[str]) -> list[tuple[str, Any]]:
        paths = [self._prefix + name for name in names]
        return self._files(lambda: self._client.api.get_bucket_paths_info(self._id, paths))

    def find(self, names: Sequence[str]) -> dict[str, RemoteFile]:
        return {name: RemoteFile(f.size, None, f.xet_hash) for name, f in self._named(names)}

    def send(self, files: Mapping[str, Content]) -> None:
        from huggingface_hub.errors import BucketNotFoundError

        adds = [
            (data if isinstance(data, bytes) else str(data), self._prefix + name)
            for name, data in files.items()
        ]

        def send() -> None:
            api = self._client.api
            if not self._exists:  # hf_xet does not say that this is what is wrong
                try:
                    api.bucket_info(self._id)
                except BucketNotFoundError:
                    api.create_bucket(self._id, private=True, exist_ok=True)
                self._exists = True
            api.batch_bucket_files(self._id, add=adds)

        self._client.once(send)

    def download(self, names: Sequence[str], directory: Path) -> tuple[list[str], str | None]:
        if not names:
            return [], None
        try:
            found = self._named(names)
            wanted = [(item, str(directory / name)) for name, item in found]
            self._client.call(lambda: self._client.api.download_bucket_files(self._id, wanted))
        except TransientError as error:
            return [], str(error)
        return [name for name, _ in found], None

    def remove(self, names: Sequence[str]) -> int:
        from huggingface_hub.errors import BucketBatchError, BucketNotFoundError

        paths = [item.path for _, item in self._named(names)]

        def remove() -> None:
            api = self._client.api
            try:
                api.batch_bucket_files(self._id, delete=paths)
            except BucketBatchError as error:
                if any(True for _ in api.get_bucket_paths_info(self._id, paths)):
                    raise TransientError(f"{self.label}: {error}") from error
            except BucketNotFoundError:
                return

        if paths:
            self._client.once(remove)
        return len(paths)

    def compact(self, limit: int) -> str | None:
        return None
