/* Compiler facts that the kernels lean on. */
#ifndef ZF_PLATFORM_H
#define ZF_PLATFORM_H

#include <stdint.h> /* and with it whose C library this is */

#if defined(__GNUC__) || defined(__clang__)
#define ZF_INLINE static inline __attribute__((always_inline))
#define ZF_LIKELY(x) __builtin_expect(!!(x), 1)
#define ZF_UNLIKELY(x) __builtin_expect(!!(x), 0)
#else
#error "zebfast needs a GCC-compatible C compiler (gcc or clang)"
#endif

/* ZF_HOT marks the few outermost kernels. They are compiled once for the baseline and once for
 * x86-64-v3 (BMI2, AVX2 and all else of that level); the loader picks by CPU. Everything they call
 * is inlined, because clones do not reach callees. FMA contraction is off for the whole build
 * (-ffp-contract=off), so both clones give the same floats.
 *
 * A clone needs a loader with indirect functions: glibc's has them, musl's calls into nothing, and
 * only glibc's headers (any of them) define __GLIBC__. clang can ask for the level from 19 on. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(ZF_NO_CLONES) && \
    (!defined(__clang__) || __clang_major__ >= 19)
#define ZF_HOT __attribute__((target_clones("arch=x86-64-v3", "default")))
#define ZF_HAS_CLONES 1
#else
#define ZF_HOT
#define ZF_HAS_CLONES 0
#endif

/* This compiler knows AVX-VNNI and AMX, and can ask the processor for them. */
#if defined(__x86_64__) && \
    (defined(__clang__) ? __clang_major__ >= 19 : __GNUC__ >= 11)
#define ZF_HAS_AMX 1
#else
#define ZF_HAS_AMX 0
#endif

/* Sets that code with vectors is compiled for by hand (instruction_sets.h): the baseline, and two
 * more on x86-64. */
typedef enum { ZF_SET_BASELINE, ZF_SET_AVX2, ZF_SET_AVX512 } zf_set;

/* The instruction set the hot kernels run with on this machine. */
ZF_INLINE const char *zf_isa(void) {
#if defined(ZF_NATIVE)
    return "native";
#elif ZF_HAS_CLONES
    /* The very question that the loader asks for a clone: all features of the level, not some. */
    __builtin_cpu_init();
    return __builtin_cpu_supports("x86-64-v3") ? "x86-64-v3" : "baseline";
#else
    return "baseline";
#endif
}

#endif
