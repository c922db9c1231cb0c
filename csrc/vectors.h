/* What instruction_sets.h needs of the compiler, and kernels for one instruction set as well. */
#ifndef ZF_VECTORS_H
#define ZF_VECTORS_H

/* Vectors are returned by inlined functions only, so that no calling convention is involved. */
#pragma GCC diagnostic ignored "-Wpsabi"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "platform.h"

typedef float floats4 __attribute__((vector_size(16)));

/* Defines NAME(&x): x becomes e^x, for x <= 0, to about two units in the last place; 0 below -87, NaN
 * for NaN (S. Moshier, Cephes). VEC and IVEC are vectors of as many float and int32_t; the same bits
 * whatever their length, as long as products and sums are not fused. */
#define ZF_DEFINE_EXPONENTIAL(INLINE, NAME, VEC, IVEC)                                             \
    INLINE void NAME(VEC *x) {                                                                     \
        const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */      \
        VEC whole = (*x * 1.44269504f + magic) - magic;                                            \
        VEC r = *x - whole * 0.693359375f + whole * 2.12194440e-4f;                                \
        VEC p = 1.9875691500e-4f * r + 1.3981999507e-3f;                                           \
        p = p * r + 8.3334519073e-3f;                                                              \
        p = p * r + 4.1665795894e-2f;                                                              \
        p = p * r + 1.6666665459e-1f;                                                              \
        p = p * r + 5.0000001201e-1f;                                                              \
        p = p * r * r + r + 1.0f;                                                                  \
        IVEC power = (__builtin_convertvector(whole, IVEC) + 127) << 23;                           \
        IVEC vanished = *x < -87.0f; /* not so for NaN, which must not go unseen */                \
        *x = (VEC)((IVEC)(p * (VEC)power) & ~vanished);                                            \
    }

#if defined(__x86_64__)
/* Every feature named here is asked for by zf_set_supported. */
#define ZF_ON_AVX2 __attribute__((target("avx2,fma,bmi,bmi2,popcnt")))
#define ZF_ON_AVX512 \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2,popcnt")))

/* By the processor and, for the registers, by its operating system. */
ZF_INLINE bool zf_set_supported(zf_set set) {
    __builtin_cpu_init();
    if (set == ZF_SET_BASELINE) return true;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2") ||
        !__builtin_cpu_supports("popcnt"))
        return false;
    return set == ZF_SET_AVX2 ||
           (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
}

/* The sum of a vector's quarters: its halves first. */
ZF_ON_AVX2 ZF_INLINE floats4 zf_quarters_avx2(__m256 v) {
    return _mm256_castps256_ps128(v) + _mm256_extractf128_ps(v, 1);
}

ZF_ON_AVX512 ZF_INLINE floats4 zf_quarters_avx512(__m512 v) {
    __m256 upper = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1));
    __m256 halves = _mm512_castps512_ps256(v) + upper;
    return _mm256_castps256_ps128(halves) + _mm256_extractf128_ps(halves, 1);
}
#else
ZF_INLINE bool zf_set_supported(zf_set set) { return set == ZF_SET_BASELINE; }
#endif

#endif
