"""The v2 network on the CPU: packed observations in, priors and a value out; no torch."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free

import numpy as np

from zebfast.core.arrays import raw_bytes
from zebfast.core.records import OBS_DTYPE

from zebfast.core.features cimport ZF_N_FEATURES, ZF_N_HAND_FEATURES, ZF_N_SCORES

_N_DOMINOES = 28
_N_POINTS = 43


def kernels():
    """What can run the residual blocks in this build, the fastest first within a precision.

    Returns:
        list of (name, precision, supported), strings and whether this machine can run it.
    """
    cdef int i = 0
    found = []
    while zf_net_kernels[i] != NULL:
        found.append((
            zf_net_kernels[i].name.decode(), zf_net_kernels[i].precision.decode(),
            bool(zf_net_kernels[i].supported()),
        ))
        i += 1
    return found


cdef const zf_net_kernel *_kernel(str precision, name) except NULL:
    """The one asked for, or the fastest. ValueError (a sentence) if there is none here."""
    cdef const zf_net_kernel *found
    if name is None:
        found = zf_net_kernel_for(precision.encode())
        if found == NULL:
            known = ", ".join(sorted({p for _, p, can in kernels() if can}))
            raise ValueError(
                f"the network cannot be run in {precision!r} on this machine, only in: {known}"
            )
        return found
    found = zf_net_kernel_named(str(name).encode())
    if found == NULL or found.precision.decode() != precision:
        known = ", ".join(n for n, p, _ in kernels() if p == precision) or "none"
        raise ValueError(f"there is no kernel {name!r} for {precision}; there are: {known}")
    if not found.supported():
        raise ValueError(f"this machine's processor cannot run the kernel {name!r}")
    return found


def _shapes(int width, int n_blocks, bint belief_head, bint contract):
    """Shape of every tensor by its name in a file."""
    square, row = (width, width), (width,)
    shapes = {
        "first.weight": (width, ZF_N_FEATURES if contract else ZF_N_HAND_FEATURES),
        "first.bias": row,
        "norm.weight": row, "norm.bias": row,
        "policy_proj.weight": (_N_DOMINOES, width), "policy_proj.bias": (_N_DOMINOES,),
        "value_head.weight": (_N_POINTS, width), "value_head.bias": (_N_POINTS,),
    }
    for b in range(n_blocks):
        shapes |= {f"blocks.{b}.norm.weight": row, f"blocks.{b}.norm.bias": row}
        for part in ("up", "down"):
            shapes |= {f"blocks.{b}.{part}.weight": square, f"blocks.{b}.{part}.bias": row}
    if belief_head:
        shapes |= {
            "belief_proj.weight": (ZF_N_BELIEF, width), "belief_proj.bias": (ZF_N_BELIEF,),
        }
    return shapes


def _checked(tensors, shapes):
    """The tensors as C-contiguous arrays. ValueError names the first thing wrong with them."""
    missing, foreign = shapes.keys() - tensors.keys(), tensors.keys() - shapes.keys()
    if missing or foreign:
        what = f"lack {min(missing)!r}" if missing else f"have {min(foreign, key=repr)!r:.80}"
        raise ValueError(f"the weights are not those of such a network: they {what}")
    for name, shape in shapes.items():
        tensor = tensors[name]
        if not isinstance(tensor, np.ndarray) or tensor.dtype != np.float32:
            kind = getattr(tensor, "dtype", type(tensor).__name__)
            raise ValueError(f"{name!r} must be an array of float32, not {kind}")
        if tensor.shape != shape:
            raise ValueError(f"{name!r} has shape {list(tensor.shape)} instead of {list(shape)}")
    for name in shapes:
        if not np.isfinite(tensors[name]).all():
            raise ValueError(f"{name!r} holds NaN or infinite numbers")
    return {name: np.ascontiguousarray(tensors[name]) for name in shapes}


def _fold(tensors, norm, *names):
    """(weight, bias) of the maps end to end, with the scale and shift of the norm they read."""
    scale, shift = (tensors[f"{norm}.{part}"].astype(np.float64) for part in ("weight", "bias"))
    weights = [tensors[f"{name}.weight"].astype(np.float64) for name in names]
    biases = [
        tensors[f"{name}.bias"] + (weight * shift).sum(1)
        for name, weight in zip(names, weights, strict=True)
    ]
    folded = np.concatenate([weight * scale for weight in weights])
    return folded.astype(np.float32), np.concatenate(biases).astype(np.float32)


cdef zf_linear _linear(tuple arrays):
    """A view of (weight, bias): the arrays must outlive it."""
    cdef const float[:, ::1] w = arrays[0]
    cdef const float[::1] b = arrays[1]
    cdef zf_linear made
    made.weight, made.bias = &w[0, 0], &b[0]
    made.n_in, made.n_out = <uint32_t>w.shape[1], <uint32_t>w.shape[0]
    return made


cdef class Network:
    """Network(width, n_blocks, belief_head, tensors, *, precision='fp32', kernel=None, ranges=None)

    A v2 network's weights, folded and packed for one kernel; they never change. Any number of
    threads may use one at once, each on arrays of its own.

    Args:
        width, n_blocks, belief_head: as in the file's model_config.
        tensors: mapping from the names of the file to float32 arrays; copied. Those of
            ``first.weight`` say whether the network sees contracts: [width, 1024], or [width, 856].
        precision: ``fp32``, or another one that ``kernels`` names.
        kernel: one of them by its name; None for the fastest of the precision.
        ranges: of ``int8``, another network's attribute of this name; None to measure them.

    Attributes:
        ranges: None but for ``int8``: float32 [3, n_blocks, width], what the inputs of every
            block's maps were like on 128 positions of random games by a fixed seed: the lowest and
            highest of ``up`` after its norm, without scale and shift, and the highest of ``down``.
            How finely the inputs are rounded against each other follows from it.

    Raises:
        ValueError: one sentence: no network can have this shape, tensors are missing, foreign,
            misshaped or not finite, the kernel does not exist or cannot run here, or these ranges
            cannot be.
        MemoryError: no room for another copy of the weights.
    """

    def __cinit__(self, int width, int n_blocks, bint belief_head, tensors, *,
                  str precision="fp32", kernel=None, ranges=None):
        if not 0 < width <= ZF_NET_MAX_WIDTH or width % ZF_NET_STEP:
            raise ValueError(
                f"width {width} is not a multiple of {ZF_NET_STEP} from {ZF_NET_STEP} to "
                f"{ZF_NET_MAX_WIDTH}"
            )
        if not 0 < n_blocks <= ZF_NET_MAX_BLOCKS:
            raise ValueError(f"n_blocks must be from 1 to {ZF_NET_MAX_BLOCKS}, not {n_blocks}")
        self.chosen = _kernel(precision, kernel)
        self.shape.width, self.shape.n_blocks = <uint32_t>width, <uint32_t>n_blocks
        self.shape.belief = belief_head
        if ranges is not None and precision != "int8":
            raise ValueError(f"ranges are for int8, not for {precision}")
        first = tensors.get("first.weight")
        self.shape.contract = np.shape(first)[1:] == (ZF_N_FEATURES,)
        shapes = _shapes(width, n_blocks, belief_head, self.shape.contract)
        self._make(_checked(tensors, shapes), ranges)

    cdef zf_net_scales _scales(self, const zf_net_weights *weights, given) except *:
        """Views of ``ranges``, which become what is given or is measured."""
        cdef zf_net_scales scales
        cdef zf_obs obs[ZF_NET_CALIBRATION]
        cdef bint done
        shape = (3, self.shape.n_blocks, self.shape.width)
        if given is None:
            self.ranges = np.empty(shape, np.float32)
        else:
            if np.shape(given) != shape:
                raise ValueError(
                    f"ranges have shape {list(np.shape(given))} instead of {list(shape)}"
                )
            self.ranges = np.array(given, np.float32, order="C")
        cdef float[:, :, ::1] r = self.ranges
        scales.low, scales.high, scales.hidden = &r[0, 0, 0], &r[1, 0, 0], &r[2, 0, 0]
        if given is None:
            with nogil:
                zf_net_calibration_positions(obs)
                done = zf_net_calibrate(weights, obs, ZF_NET_CALIBRATION, &r[0, 0, 0],
                                        &r[1, 0, 0], &r[2, 0, 0])
            if not done:
                raise MemoryError("no memory to measure a network's ranges for int8")
        if not zf_net_scales_sound(&scales, &self.shape):
            raise ValueError(
                "int8 needs ranges that are finite and not reversed: these weights, or the ranges "
                "given, are not fit for it"
            )
        self.ranges.setflags(write=False)
        return scales

    cdef _make(self, tensors, ranges):
        cdef zf_net_weights w
        cdef zf_net_scales scales
        cdef bint whole_numbers = self.precision == "int8"
        cdef uint32_t b, n_blocks = self.shape.n_blocks
        cdef zf_linear *maps = <zf_linear *>calloc(2 * n_blocks, sizeof(zf_linear))
        cdef const float[:, ::1] table = np.ascontiguousarray(tensors["first.weight"].T)
        cdef const float[::1] first_bias = tensors["first.bias"]
        if maps == NULL:
            raise MemoryError("no memory for a network")
        try:
            ups = [_fold(tensors, f"blocks.{b}.norm", f"blocks.{b}.up") for b in range(n_blocks)]
            for b in range(n_blocks):
                maps[b] = _linear(ups[b])
                down = f"blocks.{b}.down"
                maps[n_blocks + b] = _linear((tensors[f"{down}.weight"], tensors[f"{down}.bias"]))
            heads = _fold(tensors, "norm", "policy_proj", "value_head")
            w.shape, w.table, w.first_bias = self.shape, &table[0, 0], &first_bias[0]
            w.up, w.down, w.heads = maps, maps + n_blocks, _linear(heads)
            if self.shape.belief:
                belief = _fold(tensors, "norm", "belief_proj")
                w.belief = _linear(belief)
            if whole_numbers:
                scales = self._scales(&w, ranges)
            with nogil:
                self.net = zf_net_new(&w, self.chosen, &scales if whole_numbers else NULL)
        finally:
            free(maps)
        if self.net == NULL:
            raise MemoryError(f"no memory for a network of width {self.shape.width}")

    def __dealloc__(self):
        zf_net_free(self.net)

    @property
    def width(self):
        """Numbers that a position is between the blocks."""
        return self.shape.width

    @property
    def n_blocks(self):
        """How many residual blocks there are."""
        return self.shape.n_blocks

    @property
    def contract(self):
        """Whether it sees what a hand is played for: its first layer has rows for that."""
        return bool(self.shape.contract)

    @property
    def belief_head(self):
        """Whether it says where the unseen dominoes are."""
        return bool(self.shape.belief)

    @property
    def precision(self):
        """What the blocks are computed in: ``fp32``, for one."""
        return self.chosen.precision.decode()

    @property
    def kernel(self):
        """Name of what runs the blocks."""
        return self.chosen.name.decode()

    @property
    def nbytes(self):
        """Bytes of the packed weights and of what one thread needs besides."""
        return zf_net_bytes(self.net)

    def evaluate(self, obs, float[:, ::1] evals not None):
        """Priors and values. Releases the GIL; a row does not depend on the others.

        Args:
            obs: OBS_DTYPE [B], any B.
            evals: float32 [B, 8], C-contiguous, written: seven priors over the legal slots (0
                elsewhere, sum 1), and the value in [-1, 1] for the observer's side; NaN where the
                network's scores are not finite.

        Raises:
            ValueError: shapes that do not fit, or an observation that is not one of a seat to play.
        """
        cdef const uint8_t[::1] raw = raw_bytes(obs, OBS_DTYPE, "packed observations")
        cdef size_t done, n = len(obs)
        if <size_t>evals.shape[0] != n or evals.shape[1] != 8:
            raise ValueError(f"evals has shape [{evals.shape[0]}, {evals.shape[1]}], not [{n}, 8]")
        if n:
            with nogil:
                done = zf_net_evaluate(self.net, <const zf_obs *>&raw[0], n, &evals[0, 0])
            if done < n:
                raise ValueError(f"observation {done} is not one of a seat to play: {obs[done]}")

    def scores(self, obs):
        """What the last layers say, before any softmax. Releases the GIL.

        Args:
            obs: OBS_DTYPE [B], any B.

        Returns:
            float32 [B, 71]: logits of the 28 dominoes, then of 0..42 final points of the observer's
            side; and float32 [B, 84]: logits of the three other seats (left, partner, right) for
            each domino in turn, None if the network has no belief head.

        Raises:
            ValueError: an observation that is not one of a seat to play.
        """
        cdef const uint8_t[::1] raw = raw_bytes(obs, OBS_DTYPE, "packed observations")
        cdef size_t done, n = len(obs)
        scores = np.empty((n, ZF_N_SCORES), np.float32)
        belief = np.empty((n, ZF_N_BELIEF), np.float32) if self.shape.belief else None
        cdef float[:, ::1] s = scores
        cdef float[:, ::1] b = belief
        cdef float *to = NULL
        if n:
            if belief is not None:
                to = &b[0, 0]
            with nogil:
                done = zf_net_scores(self.net, <const zf_obs *>&raw[0], n, &s[0, 0], to)
            if done < n:
                raise ValueError(f"observation {done} is not one of a seat to play: {obs[done]}")
        return scores, belief

    def blocks(self, float[:, ::1] x not None):
        """The residual blocks alone, in place: what the kernel does. Releases the GIL.

        Args:
            x: float32 [B, width], C-contiguous: the first layer's sums, or anything.

        Raises:
            ValueError: x has another width.
        """
        cdef size_t n = <size_t>x.shape[0]
        if <uint32_t>x.shape[1] != self.shape.width:
            raise ValueError(f"x has {x.shape[1]} columns, not {self.shape.width}")
        if n:
            with nogil:
                zf_net_blocks(self.net, &x[0, 0], n)
