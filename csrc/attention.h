/* Attention over a few tokens at a time: what is left of a transformer between its matrix maps. */
#ifndef ZF_ATTENTION_H
#define ZF_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

enum { ZF_ATTENTION_TOKENS = 40, ZF_ATTENTION_STEP = 8, ZF_ATTENTION_WIDTH = 64 };

/* Softmax attention within every observation, all heads.
 *
 * qkv: [T, 3, n_heads, width] and out: [T, n_heads, width], where T = the sum of lengths; of n
 * observations end to end, lengths[i] tokens each, 1 to ZF_ATTENTION_TOKENS. width is a multiple
 * of ZF_ATTENTION_STEP up to ZF_ATTENTION_WIDTH. Scores are divided by sqrt(width). The bf16 twin
 * reads and writes bfloat16 and computes in float between. */
void zf_attention(float *out, const float *qkv, const int64_t *lengths, size_t n, int n_heads,
                  int width);
void zf_attention_bf16(uint16_t *out, const uint16_t *qkv, const int64_t *lengths, size_t n,
                       int n_heads, int width);

#endif
