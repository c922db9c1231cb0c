# The v2 network: csrc/net.h.
from libc.stdint cimport uint32_t

from zebfast.core.observe cimport zf_obs


cdef extern from "net.h" nogil:
    enum:
        ZF_NET_STEP
        ZF_NET_MAX_WIDTH
        ZF_NET_MAX_BLOCKS
        ZF_NET_ROWS
        ZF_N_BELIEF

    ctypedef struct zf_net_shape:
        uint32_t width
        uint32_t n_blocks
        bint belief
        bint contract

    ctypedef struct zf_linear:
        const float *weight
        const float *bias
        uint32_t n_in
        uint32_t n_out

    ctypedef struct zf_net_weights:
        zf_net_shape shape
        const float *table
        const float *first_bias
        const zf_linear *up
        const zf_linear *down
        zf_linear heads
        zf_linear belief

    ctypedef struct zf_net_scales:
        const float *low
        const float *high
        const float *hidden

    ctypedef struct zf_net_kernel:
        const char *name
        const char *precision
        bint (*supported)()

    const zf_net_kernel *const zf_net_kernels[]
    const zf_net_kernel *zf_net_kernel_named(const char *name)
    const zf_net_kernel *zf_net_kernel_for(const char *precision)

    ctypedef struct zf_net:
        pass

    zf_net *zf_net_new(const zf_net_weights *weights, const zf_net_kernel *kernel,
                       const zf_net_scales *scales)
    void zf_net_free(zf_net *net)
    size_t zf_net_bytes(const zf_net *net)
    size_t zf_net_evaluate(zf_net *net, const zf_obs *obs, size_t n, float *evals)
    size_t zf_net_scores(zf_net *net, const zf_obs *obs, size_t n, float *scores, float *belief)
    void zf_net_blocks(zf_net *net, float *x, size_t n)


cdef extern from "net_scales.h" nogil:
    enum:
        ZF_NET_CALIBRATION

    void zf_net_calibration_positions(zf_obs *out)
    bint zf_net_calibrate(const zf_net_weights *weights, const zf_obs *obs, size_t n, float *low,
                          float *high, float *hidden)
    bint zf_net_scales_sound(const zf_net_scales *scales, const zf_net_shape *shape)


cdef class Network:
    cdef readonly object ranges
    cdef zf_net *net
    cdef zf_net_shape shape
    cdef const zf_net_kernel *chosen
    cdef _make(self, tensors, ranges)
    cdef zf_net_scales _scales(self, const zf_net_weights *weights, given) except *
