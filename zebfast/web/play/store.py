"""Tables on the disk: a file each, whole or not at all, in a directory that one server has.

Beside them ``address.json`` keeps port and token, so that a server that was killed comes back where
the bookmarks of its people lead.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zebfast.system.files import own_folder, read_plain, remove_leftovers, write_atomic
from zebfast.system.locks import hold_lock
from zebfast.system.parse import parse_json
from zebfast.web.guard import new_token
from zebfast.web.play.table import BadTable, Table, is_id

MAX_TABLES = 200
_MAX_BYTES = 1 << 20
_SUFFIX = ".table.json"
DEFAULT_PORT = 4242


class StateInUse(Exception):
    """Another server has the directory; the message is one sentence."""


@dataclass(frozen=True)
class Address:
    """Where a server was, and is to be again."""

    port: int
    token: str


class Store:
    """The files of a state directory; use `opened`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refused: list[str] = []  # sentences about files that could not be read

    def load(self) -> list[Table]:
        """All tables, oldest first. What cannot be read stays where it is and is told of."""
        found = []
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            if not is_id(path.name.removesuffix(_SUFFIX)):
                continue
            try:
                table = _read(path)
            except (OSError, BadTable) as error:
                self.refused.append(f"{path.name} is left alone: {error}.")
                continue
            found.append(table)
        return sorted(found, key=lambda table: table.made)[-MAX_TABLES:]

    def save(self, table_id: str, content: bytes) -> None:
        """Keep a table. Raises OSError."""
        write_atomic(self._path(table_id), content)

    def remove(self, table_id: str) -> None:
        """Forget a table."""
        self._path(table_id).unlink(missing_ok=True)

    def _path(self, table_id: str) -> Path:
        assert is_id(table_id)
        return self.folder / f"{table_id}{_SUFFIX}"

    def address(self) -> Address:
        """Port and token of the last time; the default port and a new token the first time."""
        try:
            found = parse_json(read_plain(self.folder / "address.json", 4096))
            port, token = found["port"], found["token"]
            if type(port) is int and 0 < port < 1 << 16 and isinstance(token, str) and token:
                return Address(port, token)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return Address(DEFAULT_PORT, new_token())

    def keep_address(self, address: Address) -> None:
        """For the next time."""
        content = json.dumps({"port": address.port, "token": address.token})
        write_atomic(self.folder / "address.json", content.encode())


def table_bytes(table: Table) -> bytes:
    """What `Store.save` keeps."""
    return json.dumps(table.as_json(), separators=(",", ":")).encode()


def _read(path: Path) -> Table:
    content = read_plain(path, _MAX_BYTES, follow=False)
    if len(content) > _MAX_BYTES:
        raise BadTable(f"it is longer than {_MAX_BYTES:,} bytes")
    try:
        found = parse_json(content)
    except ValueError as error:
        raise BadTable(str(error)) from error
    table = Table.from_json(found)
    if path.name != f"{table.id}{_SUFFIX}":
        raise BadTable("it is the table of another file")
    return table


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    """The directory while a server has it. Raises StateInUse and OSError.

    What this process writes meanwhile is for this user's eyes alone: keys and hands are in it.
    """

    def busy(owner: str) -> Exception:
        return StateInUse(
            f"another zebfast play (process {owner}) has {folder}: use that one, end it, or name "
            "another directory with --state"
        )

    before = os.umask(0o077)
    try:
        own_folder(folder)
        with hold_lock(folder / "lock", busy=busy):
            remove_leftovers(folder, lambda name: name.endswith((_SUFFIX, "address.json")))
            yield Store(folder)
    finally:
        os.umask(before)
