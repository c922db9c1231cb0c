"""The content store behind the loopback Hub: Xet xorbs and shards, and plain LFS objects.

A file uploaded with hf_xet is a list of segments of *xorbs* (packed chunks). A *shard* announces
such files, with the SHA-256 that a commit later names. Reading one back is left to hf_xet, which
alone can unpack chunks.
"""

from __future__ import annotations

import hashlib
import struct
import tempfile
import threading
from pathlib import Path
from typing import Any

_END = b"\xff" * 32
_RECORD = 48  # bytes of every record of a shard, and of its header
_VERIFICATION, _METADATA = 1 << 31, 1 << 30


def _hex(raw: bytes) -> str:
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", raw))


class Content:
    """Blobs by SHA-256 (LFS) or by git id, and Xet files by their Xet hash."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.blobs: dict[str, bytes] = {}
        self._xorbs: dict[str, bytes] = {}
        self._files: dict[str, list[tuple[str, int, int, int]]] = {}
        self._by_sha256: dict[str, str] = {}
        self.url = ""  # of the server that answers /v1/…, set when it is known

    def add_lfs(self, sha256: str, data: bytes) -> bool:
        """Keep an LFS object; False when the bytes are not what the name says."""
        if hashlib.sha256(data).hexdigest() != sha256:
            return False
        with self.lock:
            self.blobs[sha256] = data
        return True

    def xet_hash(self, sha256: str) -> str | None:
        """The Xet file with this SHA-256, unless it came by LFS."""
        with self.lock:
            return None if sha256 in self.blobs else self._by_sha256.get(sha256)

    def has(self, sha256: str) -> bool:
        return sha256 in self.blobs or sha256 in self._by_sha256

    def read(self, sha256: str) -> bytes | None:
        if sha256 in self.blobs:
            return self.blobs[sha256]
        known = self._by_sha256.get(sha256)
        return self.read_xet(known) if known else None

    def read_xet(self, xet_hash: str) -> bytes:
        """Unpack a Xet file, for clients that cannot."""
        import hf_xet

        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "file")
            with hf_xet.XetSession().new_file_download_group(endpoint=self.url) as group:
                group.start_download_file(hf_xet.XetFileInfo(xet_hash, None), str(path))
            return path.read_bytes()

    def has_xet(self, xet_hash: str) -> bool:
        return xet_hash in self._files

    def xet_size(self, xet_hash: str) -> int:
        return sum(size for _, size, _, _ in self._files[xet_hash])

    def add_xorb(self, name: str, data: bytes) -> None:
        with self.lock:
            self._xorbs[name] = data

    def xorb(self, name: str) -> bytes | None:
        return self._xorbs.get(name)

    def add_shard(self, shard: bytes) -> None:
        """Learn the files that a shard announces.

        After a header come, for every file: its hash, flags and number of segments; the segments
        (xorb hash, flags, bytes, first and last chunk); as many verification records, and one with
        the SHA-256, as the flags say. A hash of ones ends the list.
        """
        at = _RECORD
        while shard[at : at + 32] != _END:
            name = _hex(shard[at : at + 32])
            flags, count = struct.unpack_from("<II", shard, at + 32)
            at += _RECORD
            segments = []
            for start in range(at, at + count * _RECORD, _RECORD):
                _, size, first, last = struct.unpack_from("<IIII", shard, start + 32)
                segments.append((_hex(shard[start : start + 32]), size, first, last))
            at += count * _RECORD * (2 if flags & _VERIFICATION else 1)
            with self.lock:
                self._files[name] = segments
                if flags & _METADATA:
                    self._by_sha256[_hex(shard[at : at + 32])] = name
            at += _RECORD if flags & _METADATA else 0

    def reconstruction(self, name: str, base: str) -> dict[str, Any]:
        """How hf_xet puts the file together: terms, and where their bytes lie in the xorbs."""
        terms: list[dict[str, Any]] = []
        fetch: dict[str, list[dict[str, Any]]] = {}
        for xorb, size, first, last in self._files[name]:
            chunks = {"start": first, "end": last}
            terms.append({"hash": xorb, "unpacked_length": size, "range": chunks})
            offsets = _chunk_offsets(self._xorbs[xorb], last)
            span = {"start": offsets[first], "end": offsets[last] - 1}
            part = {"range": chunks, "url": f"{base}/_xorb/{xorb}", "url_range": span}
            fetch.setdefault(xorb, []).append(part)
        return {"offset_into_first_range": 0, "terms": terms, "fetch_info": fetch}


def _chunk_offsets(xorb: bytes, count: int) -> list[int]:
    """Where the first ``count`` chunks begin, and where the last of them ends."""
    offsets = [0]
    while len(offsets) <= count:
        at = offsets[-1]
        packed = int.from_bytes(xorb[at + 1 : at + 4], "little")  # header: version, 24-bit length
        offsets.append(at + 8 + packed)
    return offsets
