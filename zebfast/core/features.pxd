# The two ends of the v2 network: csrc/v2_features.h.
from libc.stdint cimport uint8_t

from zebfast.core.observe cimport zf_obs


cdef extern from "v2_features.h" nogil:
    enum:
        ZF_FEATURE_BYTES
        ZF_FIRST_LAYER_STEP
        ZF_N_HAND_FEATURES
        ZF_N_FEATURES
        ZF_N_SCORES

    size_t zf_features(uint8_t *out, const zf_obs *obs, size_t n)
    size_t zf_first_layer(float *out, const zf_obs *obs, size_t n, const float *table,
                          const float *bias, size_t n_bits, size_t width)
    size_t zf_first_gradient(float *table, const zf_obs *obs, const float *gradient, size_t n,
                             size_t n_bits, size_t width)
    void zf_answers(float *out, const zf_obs *obs, size_t n, const float *scores)
