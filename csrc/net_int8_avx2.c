/* int8 blocks with AVX2: inputs are kept as 16 bits, so that no sum of two products is cut off. */
#include "net_int8.h"

#if defined(__x86_64__)
#pragma GCC diagnostic ignored "-Wpsabi"
#include <immintrin.h>
#include <string.h>

#include "platform.h"

#define INT8(name) name##_avx2
#define INT8_TARGET __attribute__((target("avx2")))
#define INT8_LANES 8
#define INT8_ROWS 6
#define INT8_GROUPS 1
#define INT8_UP_ZERO 0
#define INT8_DOWN_ZERO 0

typedef int16_t INT8(input);
typedef zf_floats8 INT8(vec);
typedef zf_ints8 INT8(ivec);
/* Of outputs 0..3 and of 4..7, two halves each: inputs 0 and 1 of four, inputs 2 and 3. */
typedef struct {
    __m256i low, high;
} INT8(sums), INT8(weights);
typedef __m256i INT8(broad);

#define LOCAL ZF_INLINE INT8_TARGET
LOCAL zf_ints8 INT8(max)(zf_ints8 a, zf_ints8 b) {
    return (zf_ints8)_mm256_max_epi32((__m256i)a, (__m256i)b);
}
/* The low 16 bits of each, which packing leaves as they are once the upper ones are their sign. */
LOCAL __m256i low_bits(zf_floats8 x) {
    return _mm256_srai_epi32(_mm256_slli_epi32((__m256i)x, 16), 16);
}
LOCAL void INT8(put)(int16_t *to, const zf_floats8 from[2]) {
    __m256i mixed = _mm256_packs_epi32(low_bits(from[0]), low_bits(from[1]));
    _mm256_storeu_si256((__m256i *)to, _mm256_permute4x64_epi64(mixed, 0xd8));
}
LOCAL INT8(sums) INT8(start)(zf_ints8 from) {
    (void)from; /* 0, since inputs have no offset */
    return (INT8(sums)){_mm256_setzero_si256(), _mm256_setzero_si256()};
}
LOCAL zf_ints8 INT8(total)(INT8(sums) s) {
    return (zf_ints8)_mm256_permute4x64_epi64(_mm256_hadd_epi32(s.low, s.high), 0xd8);
}
LOCAL INT8(weights) INT8(four)(const int8_t *from) {
    const __m128i *at = (const __m128i *)from;
    return (INT8(weights)){_mm256_cvtepi8_epi16(_mm_loadu_si128(at)),
                           _mm256_cvtepi8_epi16(_mm_loadu_si128(at + 1))};
}
LOCAL __m256i INT8(broadcast)(const int16_t *from) {
    int64_t four;
    memcpy(&four, from, sizeof four);
    return _mm256_set1_epi64x(four);
}
LOCAL void INT8(add)(INT8(sums) *s, __m256i x, INT8(weights) w) {
    s->low = _mm256_add_epi32(s->low, _mm256_madd_epi16(x, w.low));
    s->high = _mm256_add_epi32(s->high, _mm256_madd_epi16(x, w.high));
    __asm__("" : "+x"(s->low), "+x"(s->high)); /* in place: gcc would move each about */
}

#include "net_int8_body.h"

static bool INT8(supported)(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2");
}

const zf_net_kernel zf_int8_avx2 = {
    "int8-avx2", "int8", INT8(supported), zf_int8_packed_bytes, zf_int8_pack,
    zf_int8_scratch_bytes, INT8(run),
};
#endif
