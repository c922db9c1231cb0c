"""Example files in a Storage Bucket of the Hub: no commits, so no commit quota and no conflicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zebfast.exchange.errors import TransientError
from zebfast.exchange.hub.client import HubClient
from zebfast.exchange.hub.examples import RemoteExampleStore, RemoteFile, example_directory
from zebfast.exchange.hub.uploader import Content
from zebfast.exchange.names import Namespace
from zebfast.exchange.place import StoreOptions


class BucketExampleStore(RemoteExampleStore):
    """Examples of ``namespace`` in the bucket ``bucket_id``, made private when first needed.

    Raises:
        ExchangeError: ``bucket_id`` is not of the form owner/name.
    """

    def __init__(self, bucket_id: str, namespace: Namespace, *, options: StoreOptions) -> None:
        local_dir = example_directory("bucket", bucket_id, namespace.stem, options)
        client = HubClient(f"bucket {bucket_id}", options=options)
        folder = _BucketFolder(client, bucket_id, namespace.examples_prefix)
        super().__init__(folder, local_dir, options=options)


class _BucketFolder:
    """The transport. The library retries all bucket calls but the creation by itself."""

    quota = False

    def __init__(self, client: HubClient, bucket_id: str, prefix: str) -> None:
        self._client, self._id = client, bucket_id
        self._prefix = f"{prefix}/" if prefix else ""
        self._exists = False

    @property
    def label(self) -> str:
        return f"bucket {self._id}/{self._prefix}".rstrip("/")

    def entries(self, folder: str = "") -> dict[str, RemoteFile]:
        from huggingface_hub.errors import BucketNotFoundError

        def look() -> list[Any]:
            try:
                return list(self._client.api.list_bucket_tree(self._id, prefix or None))
            except BucketNotFoundError:
                return []

        prefix = f"{self._prefix}{folder}/" if folder else self._prefix
        named = self._named(self._client.once(look))
        return {
            name: RemoteFile(f.size, None, f.xet_hash)
            for name, f in named
            if f.path.rfind("/") < len(prefix)
        }

    def _named(self, items: Sequence[Any]) -> list[tuple[str, Any]]:
        """The files among these, by their names in the folder."""
        return [
            (item.path.removeprefix(self._prefix), item) for item in items if item.type == "file"
        ]

    def find(self, names: Sequence[str]) -> dict[str, RemoteFile]:
        found = self._client.once(lambda: self._files(names))
        return {name: RemoteFile(item.size, None, item.xet_hash) for name, item in found}

    def _files(self, names: Sequence[str]) -> list[tuple[str, Any]]:
        from huggingface_hub.errors import BucketNotFoundError

        paths = [self._prefix + name for name in names]
        try:
            return self._named(list(self._client.api.get_bucket_paths_info(self._id, paths)))
        except BucketNotFoundError:
            return []

    def send(self, files: Mapping[str, Content]) -> None:
        self._client.once(lambda: self._send(files))

    def _send(self, files: Mapping[str, Content]) -> None:
        if not self._exists:
            self._create()
        adds = [
            (data if isinstance(data, bytes) else str(data), self._prefix + name)
            for name, data in files.items()
        ]
        self._client.api.batch_bucket_files(self._id, add=adds)

    def _create(self) -> None:
        """Make the bucket if there is none: hf_xet does not say that this is what is wrong."""
        from huggingface_hub.errors import BucketNotFoundError

        try:
            self._client.api.bucket_info(self._id)
        except BucketNotFoundError:
            self._client.api.create_bucket(self._id, private=True, exist_ok=True)
        self._exists = True

    def download(self, names: Sequence[str], directory: Path) -> tuple[list[str], str | None]:
        if not names:
            return [], None
        try:
            found = self._client.once(lambda: self._files(names))
            wanted = [(item, str(directory / name)) for name, item in found]
            self._client.call(lambda: self._client.api.download_bucket_files(self._id, wanted))
        except TransientError as error:
            return [], str(error)
        return [name for name, _ in found], None

    def remove(self, names: Sequence[str]) -> int:
        found = self._client.once(lambda: self._files(names))
        paths = [self._prefix + name for name, _ in found]
        if paths:
            self._client.once(lambda: self._remove(paths))
        return len(paths)

    def _remove(self, paths: Sequence[str]) -> None:
        from huggingface_hub.errors import BucketBatchError, BucketNotFoundError

        try:
            self._client.api.batch_bucket_files(self._id, delete=list(paths))
        except BucketBatchError as error:
            left = self._client.api.get_bucket_paths_info(self._id, paths)
            if any(True for _ in left):
                raise TransientError(f"{self.label}: {error}") from error
        except BucketNotFoundError:
            return

    def compact(self, limit: int) -> str | None:
        return None
