"""Training states on anything that fsspec reaches: S3 and what speaks like it, directories, ...

The libraries below fsspec raise what they like; here it becomes one sentence, and either something
that passes or something that the user must change.
"""

from __future__ import annotations

import asyncio
import importlib
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from zebfast.exchange.errors import ExchangeError, TransientError, brief
from zebfast.exchange.mirror.manifest import MANIFEST, POINTER

_S3 = ("s3://", "s3a://")
_CONNECT_SECONDS, _READ_SECONDS = 20, 60
_PACKAGES = {"s3": "zebfast[s3]", "s3a": "zebfast[s3]", "gs": "gcsfs", "gcs": "gcsfs"}
# By name, for the packages that define them need not be installed.
_WITHOUT_KEY = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}


class FsspecPlace:
    """The FarPlace at ``url``. ExchangeError when fsspec cannot be had for such URLs."""

    def __init__(self, url: str, *, endpoint: str | None) -> None:
        self.label = url
        options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
        if url.startswith(_S3):
            limits = {"connect_timeout": _CONNECT_SECONDS, "read_timeout": _READ_SECONDS}
            # Whoever calls tries again, and knows for how long.
            options["config_kwargs"] = {"retries": {"total_max_attempts": 1}, **limits}
            if endpoint:
                options["endpoint_url"] = endpoint
        elif url.startswith("file:"):
            options["auto_mkdir"] = True
        self._is_remote = not url.startswith(("file:", "memory:"))
        try:
            core: Any = importlib.import_module("fsspec.core")
            self._fs, root = core.url_to_fs(url, **options)
        except ImportError as error:
            scheme = url.split(":")[0]
            package = _PACKAGES.get(scheme, f"the fsspec package for {scheme}")
            raise ExchangeError(
                f"--sync-to {url} needs a package that is not installed ({error}): pip install "
                f"'{package}'"
            ) from error
        except ValueError as error:
            raise ExchangeError(
                f"--sync-to {url} cannot be reached ({error}): expected a URL that fsspec knows, "
                "such as s3://bucket/folder, file:///directory or hf://owner/name"
            ) from error
        if self._is_remote and hasattr(self._fs, "retries"):
            self._fs.retries = 1
        loop = getattr(self._fs, "loop", None)
        if loop is not None:
            loop.call_soon_threadsafe(loop.set_exception_handler, _unawaited_fault)
        self._root = str(root).rstrip("/")

    def probe(self) -> None:
        path = f"{self._root}/.probe-{secrets.token_hex(4)}"
        self._call(lambda: self._fs.pipe_file(path, b"zebfast"))
        self._call(lambda: self._fs.rm_file(path))

    def folders(self) -> list[str]:
        found = self._if_there(partial(self._fs.ls, self._root, detail=False)) or []
        return [str(name).rstrip("/").rsplit("/", 1)[-1] for name in found]

    def read(self, name: str) -> bytes | None:
        data = self._if_there(partial(self._fs.cat_file, f"{self._root}/{name}"))
        return None if data is None else bytes(data)

    def fetch(self, folder: str, names: Sequence[str], directory: Path) -> None:
        for name in names:
            to = str(directory / name)
            self._if_there(partial(self._fs.get_file, f"{self._root}/{folder}/{name}", to))

    def replace(
        self, folder: str, paths: Sequence[Path], pointer: bytes, drop: Sequence[str]
    ) -> None:
        for path in paths:
            to = f"{self._root}/{folder}/{path.name}"
            self._call(partial(self._fs.put_file, str(path), to))
        latest, temporary = f"{self._root}/{POINTER}", f"{self._root}/.{POINTER}.tmp"
        if self._is_remote:
            self._call(lambda: self._fs.pipe_file(latest, pointer))
        else:  # object stores replace whole files; a directory does so only by renaming
            self._call(lambda: self._fs.pipe_file(temporary, pointer))
            self._call(lambda: self._fs.mv(temporary, latest))
        for name in drop:  # its manifest first: a half-deleted state must not look complete
            self._if_there(partial(self._fs.rm_file, f"{self._root}/{name}/{MANIFEST}"))
            self._if_there(partial(self._fs.rm, f"{self._root}/{name}", recursive=True))

    def _call(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except Exception as error:  # of fsspec, botocore, aiohttp, and whatever else is below
            raise explain(error, self.label) from error

    def _if_there(self, action: Callable[[], Any]) -> Any:
        """As _call; None where there is no such file or folder."""

        def look() -> Any:
            with suppress(FileNotFoundError):
                return action()
            return None

        return self._call(look)


def _unawaited_fault(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """asyncio's handler of faults that nobody waited for.

    A service that goes away while a request is written leaves one on aiohttp's writing task, beside
    that which the request itself raises: the first would be a traceback in the log every time.
    """
    if not isinstance(context.get("exception"), OSError):
        loop.default_exception_handler(context)


def explain(error: Exception, place: str) -> ExchangeError:
    """What a fault of fsspec or of a library below it means."""
    reason = brief(error)
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, ExchangeError):
        return error
    if isinstance(error, PermissionError) or kinds & _WITHOUT_KEY:
        return ExchangeError(
            f"{place} refuses access ({reason}): set credentials that may list, read, write and "
            "delete there (for s3:// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
        )
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return ExchangeError(
            f"{place} is not there ({reason}): make the bucket or directory, or correct --sync-to "
            "and --sync-endpoint"
        )
    if kinds & {"ParamValidationError", "NoRegionError", "InvalidEndpoint", "ValueError"}:
        return ExchangeError(f"{place} cannot be used ({reason}): correct --sync-to")
    return TransientError(f"{place}: {reason}")
