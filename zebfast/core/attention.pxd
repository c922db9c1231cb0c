# Attention on the CPU: csrc/attention.h.
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint16_t


cdef extern from "attention.h" nogil:
    enum:
        ZF_ATTENTION_TOKENS
        ZF_ATTENTION_STEP
        ZF_ATTENTION_WIDTH

    void zf_attention(float *out, const float *qkv, const int64_t *lengths, size_t n, int n_heads,
                      int width)
    void zf_attention_bf16(uint16_t *out, const uint16_t *qkv, const int64_t *lengths, size_t n,
                           int n_heads, int width)
