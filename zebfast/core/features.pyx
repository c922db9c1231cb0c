"""The two ends of the v2 network on the CPU: its features and first layer, its answers."""

from libc.stdint cimport uint8_t

import numpy as np

from zebfast.core.arrays import raw_bytes
from zebfast.core.records import OBS_DTYPE


cdef const uint8_t[::1] _raw(obs):
    return raw_bytes(obs, OBS_DTYPE, "packed observations")


cdef _refuse(obs, Py_ssize_t row):
    raise ValueError(f"observation {row} is not one of a seat to play: {obs[row]}")


def feature_bits(obs):
    """The 1024 bits of each observation, packed; the last 168 are about a contract.

    Args:
        obs: OBS_DTYPE [B].

    Returns:
        uint8 [B, 128]; bit f of an observation is bit f % 8 of byte f // 8 of its row.

    Raises:
        ValueError: an observation is not one of a seat to play.
    """
    cdef const uint8_t[::1] raw = _raw(obs)
    cdef Py_ssize_t done = 0, n = len(obs)
    out = np.empty((n, ZF_FEATURE_BYTES), np.uint8)
    cdef uint8_t[:, ::1] o = out
    if n:
        with nogil:
            done = <Py_ssize_t>zf_features(&o[0, 0], <const zf_obs *>&raw[0], <size_t>n)
        if done < n:
            _refuse(obs, done)
    return out


def first_layer(obs, const float[:, ::1] table not None, const float[::1] bias not None,
                float[:, ::1] out not None):
    """The first layer: ``bias`` plus the rows of ``table`` whose bits are set.

    Added in the order of the bits, in float32. Releases the GIL.

    Args:
        obs: OBS_DTYPE [B].
        table: float32 [1024, W] or, without a contract's bits, [856, W], C-contiguous; W is a
            multiple of 16.
        bias: float32 [W].
        out: float32 [B, W], C-contiguous, written.

    Raises:
        ValueError: shapes that do not fit, or an observation that is not one of a seat to play.
    """
    cdef const uint8_t[::1] raw = _raw(obs)
    cdef Py_ssize_t done = 0, n = len(obs), width = table.shape[1]
    cdef size_t n_bits = <size_t>table.shape[0]
    if (n_bits not in (ZF_N_HAND_FEATURES, ZF_N_FEATURES) or width == 0
            or width % ZF_FIRST_LAYER_STEP):
        raise ValueError(
            f"the table must be [{ZF_N_HAND_FEATURES}, W] or [{ZF_N_FEATURES}, W] with W a multiple "
            f"of {ZF_FIRST_LAYER_STEP}, not [{table.shape[0]}, {width}]"
        )
    if bias.shape[0] != width or out.shape[0] != n or out.shape[1] != width:
        raise ValueError(
            f"bias [{bias.shape[0]}] and out [{out.shape[0]}, {out.shape[1]}] do not fit "
            f"{n} observations and width {width}"
        )
    if n:
        with nogil:
            done = <Py_ssize_t>zf_first_layer(&out[0, 0], <const zf_obs *>&raw[0], <size_t>n,
                                              &table[0, 0], &bias[0], n_bits,
                                              <size_t>width)
        if done < n:
            _refuse(obs, done)


def first_gradient(obs, const float[:, ::1] gradient not None, float[:, ::1] out not None):
    """Adds the gradient of the first layer's table, by that of what `first_layer` gave, to ``out``.

    Each row of ``gradient`` is added to the rows whose bits its observation has, one observation
    after another, in float32. Releases the GIL.

    Args:
        obs: OBS_DTYPE [B].
        gradient: float32 [B, W], C-contiguous; W is a multiple of 16.
        out: float32 [1024, W] or, without a contract's bits, [856, W], C-contiguous.

    Raises:
        ValueError: shapes that do not fit; or an observation that is not one of a seat to play,
            and then what the ones before it add may have been added.
    """
    cdef const uint8_t[::1] raw = _raw(obs)
    cdef Py_ssize_t done = 0, n = len(obs), width = out.shape[1]
    cdef size_t n_bits = <size_t>out.shape[0]
    if (n_bits not in (ZF_N_HAND_FEATURES, ZF_N_FEATURES) or width == 0
            or width % ZF_FIRST_LAYER_STEP):
        raise ValueError(
            f"out must be [{ZF_N_HAND_FEATURES}, W] or [{ZF_N_FEATURES}, W] with W a multiple of "
            f"{ZF_FIRST_LAYER_STEP}, not [{out.shape[0]}, {width}]"
        )
    if gradient.shape[0] != n or gradient.shape[1] != width:
        raise ValueError(
            f"the gradient [{gradient.shape[0]}, {gradient.shape[1]}] does not fit {n} "
            f"observations and width {width}"
        )
    if n:
        with nogil:
            done = <Py_ssize_t>zf_first_gradient(&out[0, 0], <const zf_obs *>&raw[0],
                                                 &gradient[0, 0], <size_t>n, n_bits,
                                                 <size_t>width)
        if done < n:
            _refuse(obs, done)


def answers(obs, const float[:, ::1] scores not None, float[:, ::1] out not None):
    """From the last layer's scores to priors and a value. Releases the GIL.

    Args:
        obs: OBS_DTYPE [B].
        scores: float32 [B, 71], C-contiguous: logits of the 28 dominoes, then of 0..42 points.
        out: float32 [B, 8], C-contiguous, written: seven priors over the legal slots and the
            chance that the observer's side reaches its aim less that of missing it: the contract's
            or, without one, more than 21 points and fewer. NaN where scores are not finite.

    Raises:
        ValueError: shapes that do not fit.
    """
    cdef const uint8_t[::1] raw = _raw(obs)
    cdef Py_ssize_t n = len(obs)
    if scores.shape[0] != n or scores.shape[1] != ZF_N_SCORES:
        raise ValueError(
            f"scores have shape [{scores.shape[0]}, {scores.shape[1]}], not [{n}, {ZF_N_SCORES}]"
        )
    if out.shape[0] != n or out.shape[1] != 8:
        raise ValueError(f"out has shape [{out.shape[0]}, {out.shape[1]}], not [{n}, 8]")
    if n:
        with nogil:
            zf_answers(&out[0, 0], <const zf_obs *>&raw[0], <size_t>n, &scores[0, 0])
