"""Files of torch.save: what they may hold, and that nothing grows beyond the file it came in."""

from __future__ import annotations

import io
import os
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zebfast.exchange import ExchangeError, archive_writer
from zebfast.exchange.archive import Archive, BadArchive, read_archive
from zebfast.exchange.archive_writer import archive_bytes
from zebfast.exchange.state import pack_weights, unpack_weights
from zebfast.net import checkpoint as checkpoints
from zebfast.net.checkpoint import BadCheckpoint


def saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def read(value: Any) -> Any:
    return read_archive(io.BytesIO(saved(value)))


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        wanted = a.float() if a.dtype == torch.bfloat16 else a  # NumPy has no bfloat16
        return str(wanted.dtype) == f"torch.{b.dtype}" and np.array_equal(wanted.detach(), b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return type(a) is type(b) and bool(a == b)


def test_what_is_saved_comes_back() -> None:
    net = torch.nn.Linear(5, 3)
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(2, 5)).sum().backward()
    optimizer.step()
    flat = torch.arange(12.0)
    value = {
        "weights": net.state_dict(),
        "parameter": net.weight,
        "optimizer": optimizer.state_dict(),
        "turned": torch.randn(3, 4).bfloat16().T,
        "of one storage": [flat[:6].reshape(2, 3), flat[6:]],
        "empty": torch.zeros(0, 3),
        "number": torch.tensor(3.5),
        "bits": torch.tensor([True, False]),
        "shape": torch.Size([1, 2]),
        "plain": {"a": [1, -2.5, "x", None, True, (1, 2, 3, 4)], 7: 2**62},
    }
    found = read(value)
    assert equal({**value, "parameter": net.weight.detach(), "shape": (1, 2)}, found)
    assert all(array.flags.owndata or array.base is not None for array in found["of one storage"])
    assert found["of one storage"][0].flags.writeable


def test_what_is_written_is_read_by_torch_too() -> None:
    kinds = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]
    value = {
        **{kind: np.arange(6).reshape(2, 3).astype(kind) for kind in kinds},
        "turned": np.arange(6.0).reshape(2, 3).T,
        "number": np.array(2.5),
        "empty": np.zeros((0, 3), np.float32),
        "plain": {"a": [1, -2.5, "ä", None, True, (1, 2), 2**40, -(2**31)], 7: {}},
    }
    data = archive_bytes(value)
    assert data == archive_bytes(value)
    found = torch.load(io.BytesIO(data), weights_only=True)
    assert equal(found, read_archive(io.BytesIO(data)))
    assert all(
        np.array_equal(found[name], array) for name, array in value.items() if name != "plain"
    )
    assert found["plain"] == value["plain"]
    with pytest.raises(ValueError, match="a set is neither an array nor a plain value"):
        archive_bytes({"a": {1}})


def test_storages_can_be_mapped(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(archive_bytes({"a": np.ones(3, np.float32), "bb": np.arange(5)}))
    found = torch.load(path, weights_only=True, mmap=True)
    assert (found["a"].tolist(), found["bb"].tolist()) == ([1, 1, 1], [0, 1, 2, 3, 4])
    assert all(tensor.data_ptr() % 64 == 0 for tensor in found.values())


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.getpid, ()


def _views(n: int) -> list[torch.Tensor]:
    whole = torch.ones(9)
    return [whole[:8] for _ in range(n)]


def _over(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value, value]
    return value


REFUSED: dict[str, tuple[Any, str]] = {
    "expanded": (lambda: {"a": torch.zeros(1).expand(1000)}, "in a storage of 1"),
    "negative": (lambda: {"a": torch._neg_view(torch.ones(2))}, "negative"),
    "conjugate": (lambda: {"a": torch.ones(2, dtype=torch.complex64).conj()}, "Complex"),
    "meta": (lambda: {"a": torch.zeros(2, device="meta")}, "no_storage"),
    "sparse": (lambda: {"a": torch.eye(3).to_sparse()}, "more than tensors"),
    "nested": (lambda: torch.nested.nested_tensor([torch.ones(2)], layout=torch.jagged), "more"),
    "the same bytes often": (lambda: _views(8), "bytes of storage"),
    "code": (lambda: {"a": _Code()}, "asks to run code"),
    "a set": (lambda: {"a": {1}}, "more than tensors"),
    "bytes": (lambda: {"a": b"x"}, "more than tensors"),
    "a type": (lambda: {"a": torch.float32}, "something other"),
    "a huge number": (lambda: {"a": 2**70}, "64 bits"),
    "lists of the same list": (lambda: _over([], 40), "without end"),
    "lists in lists": (lambda: [_nested(60)], "without end"),
    "a key": (lambda: {(1, 2): 3}, "key"),
}


def _nested(depth: int) -> Any:
    return [_nested(depth - 1)] if depth else 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", REFUSED)
def test_other_kinds_are_refused(kind: str) -> None:
    make, words = REFUSED[kind]
    data = saved(make())
    with pytest.raises(BadArchive, match=words):
        read_archive(io.BytesIO(data))
    with pytest.raises(ExchangeError, match=r"weights file model\.pt cannot be read"):
        unpack_weights(data, "model.pt")


def repacked(data: bytes, change: Any, *, method: int = zipfile.ZIP_STORED) -> bytes:
    """The archive with the pairs of names and contents that ``change`` makes of its own."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, held in change(parts):
            archive.writestr(name, held)
    return out.getvalue()


def test_archives_of_another_kind_are_refused() -> None:
    data = saved({"a": torch.zeros(1 << 16)})
    same = repacked(data, lambda parts: parts)
    assert np.array_equal(read_archive(io.BytesIO(same))["a"], np.zeros(1 << 16))
    for changed, words in (
        (repacked(data, lambda parts: parts, method=zipfile.ZIP_DEFLATED), "packed"),
        (repacked(data, lambda parts: [(n, h[:9]) for n, h in parts]), "damaged"),
        (repacked(data, lambda parts: [p for p in parts if "data.pkl" not in p[0]]), "damaged"),
        (
            repacked(data, lambda p: [(n, h[:8] if "/data/" in n else h) for n, h in p]),
            "storage of",
        ),
        (
            repacked(data, lambda p: [(n, b"big" if "order" in n else h) for n, h in p]),
            "byte order",
        ),
        (data[:-1], "cut short"),
        (data + b"\0", "cut short"),
        (b"", "no file of torch.save"),
    ):
        with pytest.raises(BadArchive, match=words):
            read_archive(io.BytesIO(changed))
    spoiled = bytearray(data)
    spoiled[data.index(b"\0" * 4096) + 100] ^= 1
    with pytest.raises(BadArchive, match="damaged"):
        read_archive(io.BytesIO(bytes(spoiled)))


def test_nothing_is_read_for_what_is_refused(tmp_path: Path) -> None:
    """A file of a gigabyte of holes, and claims of more than there is."""
    path = tmp_path / "a.pt"
    end = saved({"a": torch.zeros(4)})[-22:]
    with open(path, "wb") as handle:
        handle.truncate(1 << 30)
        handle.seek(0, os.SEEK_END)
        handle.write(end[:12] + (0x3FFFFFFF).to_bytes(4, "little") + end[16:])
    huge = repacked(saved({"a": torch.zeros(4)}), _with_huge_shape)
    tracemalloc.start()
    try:
        with open(path, "rb") as handle, pytest.raises(BadArchive):
            Archive(handle)
        with pytest.raises(BadArchive):
            read_archive(io.BytesIO(huge))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def _with_huge_shape(parts: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    of_four, of_many = b"K\x04\x85", b"J\xff\xff\xff\x7f\x85"
    return [(name, held.replace(of_four, of_many)) for name, held in parts]


def test_a_checkpoint_damaged_anywhere_is_one_sentence(tmp_path: Path) -> None:
    """Whatever a reader of zip archives or pickles raises."""
    data, _ = pack_weights({"a": np.ones(3, np.float32)})
    path = tmp_path / "c.pt"
    for at in range(0, len(data), 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        with pytest.raises(BadCheckpoint, match="cannot use checkpoint"):
            checkpoints.load(path)


def test_many_texts_are_written_as_each_of_them_is(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"worker-{n:04d}_{n}é" * (n % 3) for n in range(1000)]
    held = {"names": names, "mixed": [*names, 1], "few": names[:2], "tuple": tuple(names)}
    at_once = archive_bytes(held)
    monkeypatch.setattr(archive_writer, "_FEW", 1 << 30)
    assert archive_bytes(held) == at_once
    assert read_archive(io.BytesIO(at_once)) == held
