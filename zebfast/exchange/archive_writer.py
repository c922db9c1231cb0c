"""Files that ``torch.load(weights_only=True)`` and `archive` read, written without torch.

A zip archive of a pickle, which describes, and of storages, which hold the numbers: the layout of
``torch.save`` since 1.6. The same content gives the same bytes.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.exchange.archive import STORAGES

_FOLDER = "archive"
_ALIGNMENT = 64  # of a storage in the file, so that it can be mapped into memory
_TEXT = struct.Struct("<cI").pack  # what text begins with
_FEW = 16
_CLASSES = {dtype: name for name, (dtype, _) in STORAGES.items()}


def archive_bytes(content: Any) -> bytes:
    """The file of ``content``: dictionaries, lists and tuples of arrays and plain values.

    ValueError for anything else in it.
    """
    writer = _Writer()
    writer.value(content)
    members: dict[str, bytes | memoryview] = {
        "data.pkl": b"\x80\x02" + b"".join(writer.pickle) + b".",
        "byteorder": b"little",
    }
    members |= {f"data/{key}": data for key, data in enumerate(writer.storages)}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name, data in {**members, "version": b"3\n"}.items():
            entry = zipfile.ZipInfo(f"{_FOLDER}/{name}")  # of 1980, whenever it is written
            entry.extra = _padding(buffer.tell(), entry.filename)
            file.writestr(entry, data)
    return buffer.getvalue()


def _padding(offset: int, name: str) -> bytes:
    """An extra field after which the data of the entry at ``offset`` begins aligned."""
    n = -(offset + 30 + len(name) + 4) % _ALIGNMENT
    return struct.pack("<2sH", b"FB", n) + b"Z" * n


class _Writer:
    """Instructions of a pickle, in pieces, and the bytes of the storages that they name."""

    def __init__(self) -> None:
        self.pickle: list[bytes] = []
        self.storages: list[memoryview] = []

    def value(self, value: Any) -> None:
        """Instructions that leave the value on the stack."""
        if value is None or isinstance(value, bool):
            self.pickle.append({None: b"N", True: b"\x88", False: b"\x89"}[value])
        elif isinstance(value, str):
            data = value.encode()
            self.pickle.append(_TEXT(b"X", len(data)) + data)
        elif isinstance(value, int):
            data = value.to_bytes(8, "little", signed=True)
            self.pickle.append(
                b"J" + data[:4] if -(1 << 31) <= value < 1 << 31 else b"\x8a\x08" + data
            )
        elif isinstance(value, float):
            self.pickle.append(struct.pack(">cd", b"G", value))
        elif isinstance(value, np.ndarray):
            self._array(value)
        elif isinstance(value, Mapping):
            self.pickle.append(b"}(")
            for key, each in value.items():
                self.value(key)
                self.value(each)
            self.pickle.append(b"u")
        elif isinstance(value, list | tuple):
            self.pickle.append(b"(" if isinstance(value, tuple) else b"](")
            self._each(value)
            self.pickle.append(b"t" if isinstance(value, tuple) else b"e")
        else:
            raise ValueError(f"a {type(value).__name__} is neither an array nor a plain value")

    def _each(self, values: Sequence[Any]) -> None:
        # Tens of thousands of names, at every save of a learner.
        if len(values) > _FEW and set(map(type, values)) == {str}:
            texts = map(str.encode, values)
            self.pickle.append(b"".join([_TEXT(b"X", len(data)) + data for data in texts]))
            return
        for value in values:
            self.value(value)

    def _array(self, array: NDArray[Any]) -> None:
        """A contiguous tensor on the CPU, with a storage of its own."""
        if array.dtype.name not in _CLASSES:
            raise ValueError(f"torch has no storage of {array.dtype}")
        whole = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1)
        key, shape = str(len(self.storages)), array.shape
        self.storages.append(whole.view(np.uint8).data)
        steps = [int(np.prod(shape[i + 1 :], dtype=np.int64)) for i in range(len(shape))]
        self.pickle.append(_named("torch._utils _rebuild_tensor_v2") + b"((")
        self.value("storage")
        self.pickle.append(_named(_CLASSES[array.dtype.name]))
        self._each((key, "cpu", array.size))
        self.pickle.append(b"tQ")
        self._each((0, shape, tuple(steps), False))
        self.pickle.append(_named("collections OrderedDict") + b")RtR")


def _named(name: str) -> bytes:
    """The instruction for a class or function by its name."""
    return b"c" + name.replace(" ", "\n").encode() + b"\n"
