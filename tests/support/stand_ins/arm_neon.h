/* Plain C in place of the NEON that csrc/net_int8_dotprod.c uses, for a machine that has none. */
#ifndef STAND_IN_ARM_NEON_H
#define STAND_IN_ARM_NEON_H

#include <stdint.h>
#include <string.h>

typedef int8_t int8x8_t __attribute__((vector_size(8)));
typedef int8_t int8x16_t __attribute__((vector_size(16)));
typedef int16_t int16x4_t __attribute__((vector_size(8)));
typedef int16_t int16x8_t __attribute__((vector_size(16)));
typedef int32_t int32x4_t __attribute__((vector_size(16)));

#define NEON static inline __attribute__((unused))

NEON int32x4_t vmaxq_s32(int32x4_t a, int32x4_t b) {
    for (int i = 0; i < 4; i++) a[i] = a[i] > b[i] ? a[i] : b[i];
    return a;
}
NEON int16x4_t vmovn_s32(int32x4_t x) {
    int16x4_t made = {0};
    for (int i = 0; i < 4; i++) made[i] = (int16_t)x[i];
    return made;
}
NEON int8x8_t vmovn_s16(int16x8_t x) {
    int8x8_t made = {0};
    for (int i = 0; i < 8; i++) made[i] = (int8_t)x[i];
    return made;
}
NEON int16x8_t vcombine_s16(int16x4_t low, int16x4_t high) {
    int16x8_t made;
    memcpy(&made, &low, 8);
    memcpy((char *)&made + 8, &high, 8);
    return made;
}
NEON int8x16_t vcombine_s8(int8x8_t low, int8x8_t high) {
    int8x16_t made;
    memcpy(&made, &low, 8);
    memcpy((char *)&made + 8, &high, 8);
    return made;
}
NEON void vst1q_s8(int8_t *to, int8x16_t x) { memcpy(to, &x, 16); }
NEON int8x16_t vld1q_s8(const int8_t *from) {
    int8x16_t made;
    memcpy(&made, from, 16);
    return made;
}
NEON int32x4_t vdupq_n_s32(int32_t x) { return (int32x4_t){x, x, x, x}; }
NEON int8x16_t vreinterpretq_s8_s32(int32x4_t x) { return (int8x16_t)x; }
NEON int32x4_t vdotq_s32(int32x4_t sums, int8x16_t x, int8x16_t w) {
    for (int o = 0; o < 4; o++)
        for (int k = 0; k < 4; k++) sums[o] += x[4 * o + k] * w[4 * o + k];
    return sums;
}

#endif
