"""What ``torch.save`` wrote, read without unpickling, and without torch.

Such files hold tensors, which become NumPy arrays, and plain values, and nothing else.

Such a file is a zip archive of a pickle, which describes, and of storages, which hold the numbers.
The few instructions that describe tensors, dictionaries, lists and plain values are carried out
here; any other refuses the file. What a tensor claims is compared with the storage that the file
has for it before a byte of that is read, so nothing can grow larger than the file it came in, and
no tensor is of a kind (sparse, nested, without data, seen through a view) that others stumble over.

NumPy is imported where numbers are read. What writes such files is `archive_writer`.
"""

from __future__ import annotations

import errno
import io
import math
import pickletools
import re
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_PICKLE_BYTES = 1 << 20
_MAX_MEMBERS = 10_000
_MAX_DIRECTORY_BYTES = 4 << 20
_MAX_DEPTH = 50
_MAX_DIMENSIONS = 8
_WHOLE = 1 << 63
_CHUNK = 1 << 20
_MAX_SHARED = 4  # tensors of one storage: the best network may be the last and the mean, too
_PICKLE = re.compile(r"[^/]+/data\.pkl")

#: The classes of storages in pickles -> torch's name of their type, bytes of an element.
STORAGES = {
    "torch DoubleStorage": ("float64", 8),
    "torch FloatStorage": ("float32", 4),
    "torch HalfStorage": ("float16", 2),
    "torch BFloat16Storage": ("bfloat16", 2),
    "torch LongStorage": ("int64", 8),
    "torch IntStorage": ("int32", 4),
    "torch ShortStorage": ("int16", 2),
    "torch CharStorage": ("int8", 1),
    "torch ByteStorage": ("uint8", 1),
    "torch BoolStorage": ("bool", 1),
}
_DICT, _TENSOR, _PARAMETER, _SIZE = (
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch Size",
)


class BadArchive(ValueError):
    """What is wrong with a file, as the end of a sentence about it."""


@dataclass(frozen=True)
class _Name:
    """A class or function that a pickle names; none is ever imported."""

    name: str


@dataclass(frozen=True)
class _Storage:
    member: zipfile.ZipInfo
    dtype: str
    item_bytes: int
    n_items: int


@dataclass(frozen=True)
class StoredTensor:
    """A dense tensor as the file declares it: nothing of its storage has been read yet."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def dtype(self) -> str:
        """As torch calls it, without ``torch.``."""
        return self.storage.dtype

    @property
    def n_bytes(self) -> int:
        return math.prod(self.shape) * self.storage.item_bytes

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


class Archive:
    """An open file of ``torch.save``; ``content`` is what it holds, with StoredTensors in it.

    Args:
        source: the file, from its beginning. It must stay open while tensors are read.
        max_pickle_bytes: most bytes of the description.

    Raises:
        BadArchive: it is anything else than described above.
        OSError: the file could not be read.
    """

    def __init__(self, source: BinaryIO, *, max_pickle_bytes: int = MAX_PICKLE_BYTES) -> None:
        size = source.seek(0, io.SEEK_END)
        _check_directory(source, size)
        try:
            self._zip = zipfile.ZipFile(source)
            members = {entry.filename: entry for entry in self._zip.infolist()}
            self._check_members(members, size)
            (pickle,) = (name for name in members if _PICKLE.fullmatch(name))
            folder = pickle.partition("/")[0]
            if members[pickle].file_size > max_pickle_bytes:
                raise BadArchive(f"describes itself in over {max_pickle_bytes:,} bytes")
            order = members.get(f"{folder}/byteorder")
            if order is not None and (order.file_size != 6 or self._zip.read(order) != b"little"):
                raise BadArchive("was written by a machine of another byte order")
            data = self._zip.read(members[pickle])
            reader = _Reader(members, folder)
            self.content = reader.read(data)
            _check_extent(self.content, 4 * len(data) + 1000)
        except Exception as error:  # hostile bytes can raise anything; refused either way
            raise _as_bad(error) from error
        backed = sum(entry.file_size for entry in reader.used.values())
        if reader.claimed > _MAX_SHARED * backed:
            raise BadArchive(
                f"has tensors of {reader.claimed:,} bytes in {backed:,} bytes of storage"
            )

    def _check_members(self, members: dict[str, zipfile.ZipInfo], size: int) -> None:
        """Refuse anything that could unpack to more than the file itself holds."""
        entries = self._zip.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise BadArchive("is a packed archive, not the plain one that torch.save writes")
        if len(members) < len(entries) or sum(entry.file_size for entry in entries) > size:
            raise BadArchive("is an archive that lists the same bytes twice")

    def load(self, stored: StoredTensor) -> NDArray[Any]:
        """The tensor as an array, in memory of its own. Raises BadArchive, OSError.

        bfloat16, which NumPy lacks, comes as float32 of the same values.
        """
        storage = stored.storage
        data = bytearray(storage.member.file_size)
        filled = 0
        try:
            with self._zip.open(storage.member) as member:
                while chunk := member.read(_CHUNK):  # the last one compares the checksum
                    data[filled : filled + len(chunk)] = chunk
                    filled += len(chunk)
        except Exception as error:  # as above
            raise _as_bad(error) from error
        if filled != storage.member.file_size:
            raise BadArchive("is cut short")
        return _values(stored, data)

    def loaded(self) -> Any:
        """``content`` with every tensor read. Raises BadArchive, OSError."""
        return self._loaded(self.content)

    def _loaded(self, value: Any) -> Any:
        if isinstance(value, StoredTensor):
            return self.load(value)
        if isinstance(value, dict):
            return {key: self._loaded(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(map(self._loaded, value))
        return value


def read_archive(source: BinaryIO, *, max_pickle_bytes: int = MAX_PICKLE_BYTES) -> Any:
    """All of a file of ``torch.save``: tensors as arrays, dictionaries, lists, plain values.

    Raises:
        BadArchive, OSError: as ``Archive``.
    """
    return Archive(source, max_pickle_bytes=max_pickle_bytes).loaded()


def _values(stored: StoredTensor, data: bytearray) -> NDArray[Any]:
    """The array that is stored in the bytes of a storage."""
    import numpy as np

    flat: NDArray[Any]
    if stored.dtype == "bool":  # any byte but 0 and 1 is none, and what it does is undefined
        flat = np.frombuffer(data, np.uint8) != 0
    elif stored.dtype == "bfloat16":
        flat = widened(np.frombuffer(data, "<u2"))
    else:
        flat = np.frombuffer(data, np.dtype(stored.dtype).newbyteorder("<"))
    if not math.prod(stored.shape):
        return np.empty(stored.shape, flat.dtype)
    strides = [step * flat.itemsize for step in stored.stride]
    # The reader has compared offset, shape and stride with the storage.
    view = np.lib.stride_tricks.as_strided(flat[stored.offset :], stored.shape, strides)
    return np.require(view, requirements="C")


def widened(bfloat16: NDArray[np.uint16]) -> NDArray[np.float32]:
    """float32 of the same values as these bits of bfloat16."""
    import numpy as np

    return (bfloat16.astype(np.uint32) << 16).view(np.float32)


def _as_bad(error: Exception) -> Exception:
    """What an error while reading means: one of the disk stays what it is.

    EINVAL is a seek to where a whole file would have data, so the file's own fault.
    """
    is_the_disks = isinstance(error, OSError) and error.errno != errno.EINVAL
    if is_the_disks or isinstance(error, BadArchive):
        return error
    return BadArchive("is damaged, or no file of torch.save")


def _check_directory(source: BinaryIO, size: int) -> None:
    """BadArchive unless the file ends in a zip's directory of a size that will be read."""
    source.seek(max(0, size - 98))
    end = source.read(98)
    if len(end) < 22 or end[-22:-18] != b"PK\x05\x06":
        source.seek(0)
        if source.read(2) == b"PK":
            raise BadArchive("is cut short, or damaged")
        raise BadArchive(
            "is no file of torch.save, or asks to run code on loading, which is refused"
        )
    members, n_bytes = struct.unpack("<HI", end[-12:-6])
    if len(end) == 98 and end[56:60] == b"PK\x06\x07":
        members, n_bytes = struct.unpack("<QQ", end[32:48])
    if members > _MAX_MEMBERS or n_bytes > min(size, _MAX_DIRECTORY_BYTES):
        raise BadArchive(f"lists more than {_MAX_MEMBERS:,} parts")


def _check_extent(content: Any, most: int) -> None:
    """BadArchive where values that are referred to from many places add up to more than ``most``.

    A list of twice the same list, and so on, is small in a file and has no end for a reader.
    """
    left, found = [(content, 0)], 0
    while left:
        value, depth = left.pop()
        found += 1 + len(value) if isinstance(value, str | dict | list | tuple) else 1
        if found > most or depth > _MAX_DEPTH:
            raise BadArchive("holds values within values without end")
        if isinstance(value, dict):
            left += [(each, depth + 1) for pair in value.items() for each in pair]
        elif isinstance(value, list | tuple):
            left += [(each, depth + 1) for each in value]
        elif value is not None and not isinstance(value, bool | int | float | str | StoredTensor):
            raise BadArchive("holds something other than tensors and plain values")


class _Reader:
    """Carries out the instructions of one pickle. Whatever goes wrong is some exception.

    ``used`` are the storages that tensors are in, ``claimed`` the bytes of all the tensors.
    """

    def __init__(self, members: dict[str, zipfile.ZipInfo], folder: str) -> None:
        self._members, self._folder = members, folder
        self.used: dict[str, zipfile.ZipInfo] = {}
        self.claimed = 0
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # the stacks below each mark
        self._memo: dict[int, Any] = {}

    def read(self, pickle: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(pickle):
            name = opcode.name
            if name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name])
            elif name in _VALUES:
                if isinstance(argument, int) and not -_WHOLE <= argument < _WHOLE:
                    raise BadArchive("holds a whole number of more than 64 bits")
                self._stack.append(argument)
            elif name in ("BINPUT", "LONG_BINPUT"):
                self._memo[_of(int, argument)] = self._stack[-1]
            elif name in ("BINGET", "LONG_BINGET"):
                self._stack.append(self._memo[_of(int, argument)])
            elif name == "STOP":
                break
            elif name != "PROTO":
                step = _STEPS.get(name)
                if step is None:
                    raise BadArchive(_more_than_values(name))
                step(self, argument)
        (content,) = self._stack
        return content

    def _mark(self, _: Any) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        found, self._stack = self._stack, self._below.pop()
        return found

    def _tuple(self, _: Any) -> None:
        found = tuple(self._since_mark())
        self._stack.append(found)

    def _last(self, n: int) -> None:
        found = tuple(self._stack[-n:])
        if len(found) != n:
            raise BadArchive("is damaged")
        self._stack[-n:] = [found]

    def _append(self, values: list[Any]) -> None:
        _of(list, self._stack[-1]).extend(values)

    def _set(self, values: list[Any]) -> None:
        table = _of(dict, self._stack[-1])
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) not in (str, int):
                raise BadArchive("has a key that is neither text nor a whole number")
            if key in table:
                raise BadArchive(f"has the key {str(key)[:60]!r} twice")
            table[key] = value

    def _name(self, argument: str) -> None:
        self._stack.append(_Name(argument))

    def _build(self, _: Any) -> None:
        """What a state_dict has as an attribute (``_metadata``) is of no use here."""
        self._stack.pop()
        _of(dict, self._stack[-1])

    def _storage(self, _: Any) -> None:
        word, kind, key, place, n_items = self._stack.pop()
        name = kind.name if isinstance(kind, _Name) else ""
        if word != "storage" or name not in STORAGES or not _is_count(n_items):
            raise BadArchive(f"has a storage of an unknown kind ({name[:60]})")
        if not isinstance(key, str) or not isinstance(place, str):
            raise BadArchive("is damaged")
        dtype, item_bytes = STORAGES[name]
        member = self._members[f"{self._folder}/data/{key}"]
        if member.file_size != n_items * item_bytes:
            raise BadArchive(
                f"claims {n_items * item_bytes:,} bytes for a storage of {member.file_size:,}"
            )
        self._stack.append(_Storage(member, dtype, item_bytes, n_items))

    def _call(self, _: Any) -> None:
        arguments, called = _of(tuple, self._stack.pop()), self._stack.pop()
        name = called.name if isinstance(called, _Name) else ""
        if name == _DICT and not arguments:
            self._stack.append({})
        elif name == _TENSOR:
            self._stack.append(self._tensor(*arguments))
        elif name == _PARAMETER:
            self._stack.append(_of(StoredTensor, arguments[0]))
        elif name == _SIZE and len(arguments) == 1:
            self._stack.append(_of(tuple, arguments[0]))
        else:
            raise BadArchive(_more_than_values(name))

    def _tensor(
        self, storage: Any, offset: Any, shape: Any, stride: Any, _grad: Any, _hooks: Any,
        seen_as: Any = None,
    ) -> StoredTensor:  # fmt: skip
        storage = _of(_Storage, storage)
        if seen_as:
            raise BadArchive("has a tensor that is seen through a view (negative or conjugate)")
        if not isinstance(shape, tuple) or not isinstance(stride, tuple):
            raise BadArchive("is damaged")
        sane = all(map(_is_count, (offset, *shape, *stride)))
        if not sane or len(shape) != len(stride) or len(shape) > _MAX_DIMENSIONS:
            raise BadArchive(f"has a tensor of the shape {str(shape)[:60]}")
        last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
        n_items = math.prod(shape)
        if n_items and (last >= storage.n_items or n_items > storage.n_items):
            raise BadArchive(
                f"has a tensor of the shape {str(shape)[:60]} in a storage of {storage.n_items:,}"
            )
        found = StoredTensor(storage, offset, shape, stride)
        self.used[storage.member.filename] = storage.member
        self.claimed += found.n_bytes
        return found


def _of(kind: type[Any], value: Any) -> Any:
    if not isinstance(value, kind):
        raise BadArchive("is damaged")
    return value


def _more_than_values(name: str) -> str:
    return (
        f"holds more than tensors and plain values ({name[:60]}), or asks to run code on loading, "
        "which is refused"
    )


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_VALUES = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"}
_STEPS: dict[str, Callable[[_Reader, Any], None]] = {
    "MARK": _Reader._mark,
    "EMPTY_DICT": lambda r, _: r._stack.append({}),
    "EMPTY_LIST": lambda r, _: r._stack.append([]),
    "TUPLE": _Reader._tuple,
    "TUPLE1": lambda r, _: r._last(1),
    "TUPLE2": lambda r, _: r._last(2),
    "TUPLE3": lambda r, _: r._last(3),
    "APPEND": lambda r, _: r._append([r._stack.pop()]),
    "APPENDS": lambda r, _: r._append(r._since_mark()),
    "SETITEM": lambda r, _: r._set([r._stack.pop(-2), r._stack.pop()]),
    "SETITEMS": lambda r, _: r._set(r._since_mark()),
    "GLOBAL": _Reader._name,
    "REDUCE": _Reader._call,
    "BUILD": _Reader._build,
    "BINPERSID": _Reader._storage,
}
