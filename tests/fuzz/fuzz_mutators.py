"""Changes to inputs that keep their form, so that what is behind a checksum is reached, too.

A byte changed anywhere in a zip archive ends at its checksum, and one in a header at its length.
These mutations take an input apart, change a part, and put it together again as a writer would.
"""

from __future__ import annotations

import copy
import io
import json
import random
import re
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 7, 28, 127, 255, 256, 65_535, 1 << 31, (1 << 32) - 1, (1 << 53) + 1, 1 << 63,
    (1 << 64) - 1, -(1 << 63) - 1, 10**30, 10**400, 0.5, -0.0, 1e308, 1e-320, float("nan"),
    float("inf"), -float("inf"), True, False,
)  # fmt: skip
TEXTS = (
    "", "a", "..", "../../etc/passwd", "/etc/passwd", "a/b", ".", "\0", "\x1b[31m", "é", "\ud800",
    "null", "nan", "1e999", "x" * 300, "\n", "~", "%s{}", "²",
)  # fmt: skip
_TOKENS = (
    b"\0", b"\xff", b"PK\x05\x06", b"{", b"[", b'"', b"}", b"]", b",", b"=", b"/", b"..", b"-",
    b"1e999", b"NaN", b"[" * 200, b"9" * 50, b"\xed\xa0\x80", b"0x" + b"f" * 40, b"\n",
)  # fmt: skip


def mutated(data: bytes, form: str, rng: random.Random, largest: int) -> bytes:
    """``data`` changed once or a few times, as its form allows; at most ``largest`` bytes."""
    change = _BY_FORM.get(form)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        formed = None
        if change is not None and rng.random() < 0.75:
            with suppress(RecursionError, ValueError, TypeError, AttributeError):
                formed = change(data, rng)
        data = _bytes(data, rng) if formed is None else formed
    return data[:largest]


def _bytes(data: bytes, rng: random.Random) -> bytes:
    held = bytearray(data)
    at = rng.randrange(len(held) + 1)
    kind = rng.randrange(6)
    if kind == 0 and held:
        held[at % len(held)] = rng.randrange(256)
    elif kind == 1 and held:
        held[at % len(held)] ^= 1 << rng.randrange(8)
    elif kind == 2:
        held[at:at] = rng.choice(_TOKENS)
    elif kind == 3:
        del held[at : at + rng.randrange(1, 16)]
    elif kind == 4:
        end = at + rng.randrange(1, 64)
        held[at:at] = held[at:end]
    else:
        held[at : at + 4] = struct.pack("<I", rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, len(held))))
    return bytes(held)


# --- JSON, and lines of it -----------------------------------------------------------------------


def json_changed(data: bytes, rng: random.Random) -> bytes | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    text = json.dumps(tree_changed(value, rng))
    if rng.random() < 0.05:  # a key that is there twice
        text = re.sub(r'("[^"]*": [^,{}\[\]]+)', r"\1, \1", text, count=1)
    return text.encode()


def lines_changed(data: bytes, rng: random.Random) -> bytes | None:
    return _part_changed(data, rng, b"\n")


def parts_changed(data: bytes, rng: random.Random) -> bytes | None:
    """JSON texts with empty lines between them, or one."""
    return _part_changed(data, rng, b"\n\n\n")


def _part_changed(data: bytes, rng: random.Random, between: bytes) -> bytes | None:
    parts = data.split(between)
    at = rng.randrange(len(parts))
    changed = json_changed(parts[at], rng)
    if changed is None:
        return None
    parts[at] = changed
    return between.join(parts)


def tree_changed(value: Any, rng: random.Random) -> Any:
    """One place of a tree of plain values changed."""
    places = list(_places(value))
    if not places:
        return other_value(value, rng)
    holder, key = rng.choice(places)
    kind = rng.randrange(8)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[rng.choice(TEXTS)] = holder.pop(key)
    elif kind == 2:
        other, other_key = rng.choice(places)
        holder[key] = copy.deepcopy(other[other_key]) if other_key in _keys(other) else None
    elif kind == 3 and isinstance(holder, list):
        holder.extend([holder[key]] * rng.choice((1, 2, 30)))
    else:
        holder[key] = other_value(holder[key], rng)
    return value


def other_value(value: Any, rng: random.Random) -> Any:
    kind = rng.randrange(6)
    if kind == 0 and isinstance(value, int) and not isinstance(value, bool):
        return value + rng.choice((-1, 1, 1000, -1000))
    if kind <= 2:
        return rng.choice(NUMBERS)
    if kind == 3:
        return rng.choice(TEXTS)
    if kind == 4:
        nested: Any = value
        for _ in range(rng.choice((1, 2, 60, 400))):
            nested = [nested] if rng.random() < 0.5 else {"a": nested}
        return nested
    return rng.choice((None, [], {}, [value], {"a": value}, str(value)[:50]))


def _keys(holder: Any) -> Any:
    return holder if isinstance(holder, dict) else range(len(holder))


def _places(value: Any) -> Any:
    left = [value]
    while left:
        holder = left.pop()
        if isinstance(holder, dict | list):
            for key in list(_keys(holder)):
                yield holder, key
                left.append(holder[key])


# --- TOML ----------------------------------------------------------------------------------------

_VALUES = (
    b"1", b"-1", b"nan", b"inf", b"1e400", b"9" * 30, b"0x" + b"f" * 40, b'""', b'"../x"', b"[]",
    b"{}", b"true", b"1979-05-27", b"1979-05-27T07:32:00Z", b"[[[[1]]]]", b"{a={b={c=1}}}", b"'x'",
    b"[" * 100, b"-0.0", b"0",
)  # fmt: skip


def toml_changed(data: bytes, rng: random.Random) -> bytes | None:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    kind = rng.randrange(5)
    key, equals, _ = lines[at].partition(b"=")
    if kind <= 2 and equals:
        lines[at] = key + b"= " + rng.choice(_VALUES)
    elif kind == 3:
        lines.insert(rng.randrange(len(lines)), lines[at])
    else:
        del lines[at]
    return b"\n".join(lines)


# --- archives of torch.save ----------------------------------------------------------------------


def pt_changed(data: bytes, rng: random.Random) -> bytes | None:
    """A part of the archive changed, with every checksum right again."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    except Exception:
        return None
    if not parts:
        return None
    kind = rng.randrange(12)
    pickles = [i for i, (name, _) in enumerate(parts) if name.endswith(".pkl")]
    at = rng.choice(pickles) if pickles and kind < 9 else rng.randrange(len(parts))
    name, held = parts[at]
    if kind == 9:
        parts[at] = (rng.choice(parts)[0], held)
    elif kind == 10:
        del parts[at]
    elif kind == 11:
        parts.append((name, held))
    else:
        parts[at] = (name, pickle_changed(held, rng) if at in pickles else _bytes(held, rng))
    method = zipfile.ZIP_DEFLATED if rng.random() < 0.02 else zipfile.ZIP_STORED
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, held in parts:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = method
            with _quiet():
                archive.writestr(entry, held)
    return out.getvalue()


class _quiet:
    """zipfile warns of two parts of one name, which is meant here."""

    def __enter__(self) -> None:
        import warnings

        self._caught = warnings.catch_warnings(action="ignore")
        self._caught.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._caught.__exit__(*error)


_INTEGERS = re.compile(rb"K.|M..|J....", re.S)
_PICKLED = (
    b"}", b"]", b")", b"N", b"K\x00", b"J\xff\xff\xff\x7f", b"J\xff\xff\xff\xff", b"\x88", b"\x89",
    b"\x8a\x09" + b"\xff" * 8 + b"\x00", b"X\x01\x00\x00\x00a", b"G\x7f\xf8" + b"\0" * 6,
    *(bytes([code]) for code in b"RQb(t\x85\x86\x87aesu0."), b"c__main__\nx\n",
    b"ctorch\nBoolStorage\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"q\x00", b"h\x00", b"h\x01",
    b"ccollections\nOrderedDict\n",
)  # fmt: skip


def pickle_changed(data: bytes, rng: random.Random) -> bytes:
    kind = rng.randrange(4)
    if kind <= 1:  # a number: shapes, strides, offsets and counts are all of these
        found = list(_INTEGERS.finditer(data))
        if found:
            one = rng.choice(found)
            value = rng.choice((0, 1, 2, 36, 255, 65_535, 0x7FFFFFFF, -1, 1 << 20))
            return data[: one.start()] + b"J" + struct.pack("<i", value) + data[one.end() :]
    at = rng.randrange(len(data) + 1)
    if kind == 2:
        return data[:at] + rng.choice(_PICKLED) + data[at:]
    return _bytes(data, rng)


# --- safetensors ---------------------------------------------------------------------------------


def safetensors_changed(data: bytes, rng: random.Random) -> bytes | None:
    """The header changed, with its length right again, or the arrays behind it."""
    if len(data) < 8:
        return None
    n_header = int.from_bytes(data[:8], "little")
    header, rest = data[8 : 8 + n_header], data[8 + n_header :]
    if rng.random() < 0.3:
        return data[: 8 + n_header] + _bytes(rest, rng)
    try:
        value = json.loads(header)
    except (ValueError, RecursionError):
        return None
    held = value.get("__metadata__") if isinstance(value, dict) else None
    key = next(iter(held), None) if isinstance(held, dict) else None
    if key is not None and isinstance(held[key], str) and rng.random() < 0.5:
        held[key] = (json_changed(held[key].encode(), rng) or b"").decode(errors="replace")
    else:
        value = tree_changed(value, rng)
    text = json.dumps(value).encode()
    return struct.pack("<Q", len(text)) + text + rest


_BY_FORM: dict[str, Callable[[bytes, random.Random], bytes | None]] = {
    "json": parts_changed,
    "lines": lines_changed,
    "toml": toml_changed,
    "pt": pt_changed,
    "safetensors": safetensors_changed,
}
