/* int8 blocks with AVX-VNNI, the 256 bits wide half of VNNI on processors without AVX-512. */
#include "net_int8.h"

#if ZF_HAS_AMX
#pragma GCC diagnostic ignored "-Wpsabi"
#include <immintrin.h>
#include <string.h>

#include "platform.h"

#define INT8(name) name##_avx_vnni
#define INT8_TARGET __attribute__((target("avx2,avxvnni")))
#define INT8_LANES 8
#define INT8_ROWS 6
#define INT8_GROUPS 2
#define INT8_UP_ZERO 128
#define INT8_DOWN_ZERO 0

typedef uint8_t INT8(input);
typedef zf_floats8 INT8(vec);
typedef zf_ints8 INT8(ivec), INT8(sums);
typedef __m256i INT8(weights), INT8(broad);

#define LOCAL ZF_INLINE INT8_TARGET
LOCAL zf_ints8 INT8(max)(zf_ints8 a, zf_ints8 b) {
    return (zf_ints8)_mm256_max_epi32((__m256i)a, (__m256i)b);
}
LOCAL void INT8(put)(uint8_t *to, const zf_floats8 from[2]) {
    const __m256i byte = _mm256_set1_epi32(255);
    __m256i a = _mm256_and_si256((__m256i)from[0], byte);
    __m256i b = _mm256_and_si256((__m256i)from[1], byte);
    __m256i mixed = _mm256_permute4x64_epi64(_mm256_packus_epi32(a, b), 0xd8);
    _mm_storeu_si128((__m128i *)to, _mm_packus_epi16(_mm256_castsi256_si128(mixed),
                                                     _mm256_extracti128_si256(mixed, 1)));
}
LOCAL zf_ints8 INT8(start)(zf_ints8 from) { return from; }
LOCAL zf_ints8 INT8(total)(zf_ints8 sums) { return sums; }
LOCAL __m256i INT8(four)(const int8_t *from) { return _mm256_loadu_si256((const __m256i *)from); }
LOCAL __m256i INT8(broadcast)(const uint8_t *from) {
    int four;
    memcpy(&four, from, sizeof four);
    return _mm256_set1_epi32(four);
}
LOCAL void INT8(add)(zf_ints8 *sums, __m256i x, __m256i w) {
    *sums = (zf_ints8)_mm256_dpbusd_avx_epi32((__m256i)*sums, x, w);
}

#include "net_int8_body.h"

static bool INT8(supported)(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("avxvnni");
}

const zf_net_kernel zf_int8_avx_vnni = {
    "int8-avx-vnni", "int8", INT8(supported), zf_int8_packed_bytes, zf_int8_pack,
    zf_int8_scratch_bytes, INT8(run),
};
#else
typedef int zf_int8_avx_vnni_unknown; /* a file must hold something */
#endif
