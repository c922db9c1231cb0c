/* How AVX-512 VNNI does it, for the two kernels that use it; included where INT8 and INT8_TARGET are
 * defined. */
#define INT8_LANES 16
#define INT8_ROWS 6
#define INT8_GROUPS 4
#define INT8_UP_ZERO 128
#define INT8_DOWN_ZERO 0

typedef uint8_t INT8(input);
typedef zf_floats16 INT8(vec);
typedef zf_ints16 INT8(ivec), INT8(sums);
typedef __m512i INT8(weights), INT8(broad);

#define LOCAL ZF_INLINE INT8_TARGET
LOCAL zf_ints16 INT8(max)(zf_ints16 a, zf_ints16 b) {
    return (zf_ints16)_mm512_max_epi32((__m512i)a, (__m512i)b);
}
LOCAL void INT8(put)(uint8_t *to, const zf_floats16 from[1]) {
    _mm_storeu_si128((__m128i *)to, _mm512_cvtepi32_epi8((__m512i)from[0]));
}
LOCAL zf_ints16 INT8(start)(zf_ints16 from) { return from; }
LOCAL zf_ints16 INT8(total)(zf_ints16 sums) { return sums; }
LOCAL __m512i INT8(four)(const int8_t *from) { return _mm512_loadu_si512(from); }
LOCAL __m512i INT8(broadcast)(const uint8_t *from) {
    int four;
    memcpy(&four, from, sizeof four);
    return _mm512_set1_epi32(four);
}
LOCAL void INT8(add)(zf_ints16 *sums, __m512i x, __m512i w) {
    *sums = (zf_ints16)_mm512_dpbusd_epi32((__m512i)*sums, x, w);
}

#include "net_int8_body.h"
