"""What the compiled modules ask of the arrays they are given, each in one place.

Compiled, because nearly every call of the others comes by here.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy

import numpy as np


cdef inline void _copy(uint8_t *to, const uint8_t *at, Py_ssize_t step, Py_ssize_t n,
                       size_t size) noexcept nogil:
    """n times so many bytes. With a size that the compiler knows, a few instructions each."""
    cdef Py_ssize_t i
    for i in range(n):
        memcpy(to + i * <Py_ssize_t>size, at + i * step, size)


cdef columns(const void *first, Py_ssize_t step, Py_ssize_t n, object dtype, tuple shape=()):
    """A field of n records that lie so many bytes apart, copied: an array [n, *shape].

    ``first`` points at the field of the first record, of which there need be none.
    """
    cdef Py_buffer into
    cdef uint8_t *to
    cdef const uint8_t *at = <const uint8_t *>first
    cdef size_t size
    out = np.empty((n, *shape), dtype)
    if n == 0:
        return out
    PyObject_GetBuffer(out, &into, PyBUF_WRITABLE)
    to, size = <uint8_t *>into.buf, <size_t>(into.len // n)
    if size == 1:
        _copy(to, at, step, n, 1)
    elif size == 2:
        _copy(to, at, step, n, 2)
    elif size == 4:
        _copy(to, at, step, n, 4)
    elif size == 8:
        _copy(to, at, step, n, 8)
    elif size == 16:
        _copy(to, at, step, n, 16)
    else:
        _copy(to, at, step, n, size)
    PyBuffer_Release(&into)
    return out


def broadcast(str name, values, tuple shape):
    """The argument ``name`` in this shape, as NumPy broadcasts.

    Raises ValueError, naming both shapes, where it cannot be.
    """
    array = np.asarray(values)
    if array.shape == shape:
        return array
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(
            f"{name} has shape {list(array.shape)}, not {list(shape)} or one that broadcasts to it"
        ) from None


def integers(str name, values, tuple shape):
    """The same of whole numbers of any integer type, to 64 bits. TypeError for other numbers."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu" and array.size:
        if array.dtype.kind == "O" and all(type(value) is int for value in array.flat):
            raise TypeError(f"{name} must be whole numbers of at most 64 bits")
        raise TypeError(f"{name} must be whole numbers (integers), not {array.dtype}")
    return broadcast(name, array, shape)


def row_numbers(rows, Py_ssize_t n):
    """Which of n rows are meant: int [k], repeats allowed, bool [n], or None for all. int64 [k].

    Rows are not counted from the end.

    Raises:
        TypeError: something else than whole numbers or truth values.
        ValueError: not one dimension, or truth values for another n.
        IndexError: a row lies outside 0..n-1.
    """
    cdef const int64_t[::1] numbers
    cdef Py_ssize_t i
    if rows is None:
        return np.arange(n, dtype=np.int64)
    array = np.asarray(rows)
    if array.ndim != 1:
        raise ValueError(f"rows must be one-dimensional, not {array.ndim}-dimensional")
    if array.dtype == np.bool_:
        if len(array) != n:
            raise ValueError(f"rows marks {len(array)} games, not {n}")
        return np.flatnonzero(array).astype(np.int64)
    array = np.ascontiguousarray(integers("rows", array, array.shape), np.int64)
    numbers = array
    for i in range(numbers.shape[0]):
        if not 0 <= numbers[i] < n:
            raise IndexError(f"a row lies outside 0..{n - 1}")
    return array


def raw_bytes(records, dtype, str what):
    """The bytes of a vector of records of this type, copied if it is not contiguous.

    Raises ValueError, naming ``what`` they are, for any other array.
    """
    if records.dtype != dtype or records.ndim != 1:
        raise ValueError(
            f"{what} must be a one-dimensional array of {dtype.itemsize}-byte records, not "
            f"{records.dtype} {list(records.shape)}"
        )
    return np.ascontiguousarray(records).view(np.uint8)
