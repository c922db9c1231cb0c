/* int8 blocks with the dot products of NEON, which most 64-bit Arm processors since 2018 have. */
#include "net_int8.h"

#if defined(__aarch64__) || defined(ZF_DOTPROD) /* with an arm_neon.h of one's own */
#include <arm_neon.h>
#include <string.h>
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#include "platform.h"

#define INT8(name) name##_dotprod
#if !defined(__aarch64__)
#define INT8_TARGET
#elif defined(__clang__)
#define INT8_TARGET __attribute__((target("dotprod")))
#else
/* The whole level: before 14, gcc inlines the intrinsic into nothing less. */
#define INT8_TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#endif
#define INT8_LANES 4
#define INT8_ROWS 4
#define INT8_GROUPS 4
#define INT8_UP_ZERO 0
#define INT8_DOWN_ZERO (-128)

typedef int8_t INT8(input);
typedef zf_floats4 INT8(vec);
typedef zf_ints4 INT8(ivec), INT8(sums);
typedef int8x16_t INT8(weights), INT8(broad);

#define LOCAL ZF_INLINE INT8_TARGET
LOCAL zf_ints4 INT8(max)(zf_ints4 a, zf_ints4 b) {
    return (zf_ints4)vmaxq_s32((int32x4_t)a, (int32x4_t)b);
}
LOCAL void INT8(put)(int8_t *to, const zf_floats4 from[4]) {
    int16x4_t x[4];
    for (int i = 0; i < 4; i++) x[i] = vmovn_s32((int32x4_t)from[i]);
    vst1q_s8(to, vcombine_s8(vmovn_s16(vcombine_s16(x[0], x[1])),
                             vmovn_s16(vcombine_s16(x[2], x[3]))));
}
LOCAL zf_ints4 INT8(start)(zf_ints4 from) { return from; }
LOCAL zf_ints4 INT8(total)(zf_ints4 sums) { return sums; }
LOCAL int8x16_t INT8(four)(const int8_t *from) { return vld1q_s8(from); }
LOCAL int8x16_t INT8(broadcast)(const int8_t *from) {
    int32_t four;
    memcpy(&four, from, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}
LOCAL void INT8(add)(zf_ints4 *sums, int8x16_t x, int8x16_t w) {
    *sums = (zf_ints4)vdotq_s32((int32x4_t)*sums, x, w);
}

#include "net_int8_body.h"

static bool INT8(supported)(void) {
#if defined(__APPLE__) || defined(__ARM_FEATURE_DOTPROD)
    return true;
#elif defined(__aarch64__) && defined(__linux__)
    return getauxval(AT_HWCAP) >> 20 & 1; /* HWCAP_ASIMDDP */
#else
    return false;
#endif
}

const zf_net_kernel zf_int8_dotprod = {
    "int8-neon-dotprod", "int8", INT8(supported), zf_int8_packed_bytes, zf_int8_pack,
    zf_int8_scratch_bytes, INT8(run),
};
#else
typedef int zf_int8_dotprod_unknown; /* a file must hold something */
#endif
