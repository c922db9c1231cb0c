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
