/* Reads the file that INSTRUCTION_SETS_BODY names once for each instruction set, which then has:
 *   SET(name)         the name that something has in this instruction set
 *   SET_TARGET        attribute that compiles a function for it
 *   SET_INLINE        the same for a function that is inlined where it is called
 *   LANES             floats of a vector: 16, 8 or 4
 *   MANY_REGISTERS    whether there are 32 of them, not 16
 *   MADD(a, b, c)     a * b + c; rounded once, but for the baseline of x86-64
 *   vec, ivec         a vector of floats, of as many int32_t; load, store, each, quarters below
 * What is computed lane by lane in an order that does not depend on LANES is the same bits in every
 * set, MADD apart. */
#ifndef ZF_INSTRUCTION_SETS_H
#define ZF_INSTRUCTION_SETS_H

#include "vectors.h"

#define SET(name) name##_baseline
#define SET_TARGET
#define LANES 4
#define QUARTERS(v) (v)
#if defined(__aarch64__)
#define MANY_REGISTERS 1
#define MADD(a, b, c) ((floats4)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#else
#define MANY_REGISTERS 0
#define MADD(a, b, c) ((a) * (b) + (c))
#endif
#include "instruction_set.h"

#if defined(__x86_64__)
#define SET(name) name##_avx2
#define SET_TARGET ZF_ON_AVX2
#define LANES 8
#define MANY_REGISTERS 0
#define QUARTERS(v) zf_quarters_avx2(v)
#define MADD(a, b, c) _mm256_fmadd_ps(a, b, c)
#include "instruction_set.h"

#define SET(name) name##_avx512
#define SET_TARGET ZF_ON_AVX512
#define LANES 16
#define MANY_REGISTERS 1
#define QUARTERS(v) zf_quarters_avx512(v)
#define MADD(a, b, c) _mm512_fmadd_ps(a, b, c)
#include "instruction_set.h"
#endif
#endif
