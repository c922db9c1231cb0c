/* Counter-based random numbers; the twin of zebfast/rules/rng.py (SplitMix64 over a counter). */
#ifndef ZF_RNG_H
#define ZF_RNG_H

#include <stdint.h>

#include "platform.h"

#define ZF_GOLDEN 0x9E3779B97F4A7C15ull
#define ZF_GAME 0xD1342543DE82EF95ull /* another odd constant: seed and game are not symmetric */

enum zf_stream {
    ZF_STREAM_DEAL = 0,
    ZF_STREAM_PLAY = 1,
    ZF_STREAM_NOISE = 2,
    ZF_STREAM_EVAL_DEAL = 3,
    ZF_STREAM_EVAL_PLAY = 4,
    ZF_STREAM_WORLDS = 5,      /* hidden hands drawn by a self-play search */
    ZF_STREAM_EVAL_WORLDS = 6, /* hidden hands drawn by a player of a match */
    ZF_STREAM_LABEL_DEAL = 7,  /* games of match players that become training examples */
    ZF_STREAM_GUMBEL = 8,      /* noise of the gumbel root */
    ZF_STREAM_CAP = 9, /* which decisions of self-play are searched in full, and who plays them */
    ZF_STREAM_LOOK = 10,       /* a seed for every look at how strong a learner's network is */
    ZF_STREAM_WHOLE_DEAL = 11, /* of a whole game: its first shaker, and a seed for every hand */
    ZF_STREAM_WHOLE_PLAY = 12, /* random calls, declarations and plays of whole games */
    ZF_STREAM_AUCTION = 13,    /* auctions and contracts of hands that are trained on */
    ZF_N_STREAMS = 14,
};

ZF_INLINE uint64_t zf_mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

ZF_INLINE uint64_t zf_stream_key(uint64_t seed, uint64_t stream, uint64_t game) {
    uint64_t own = zf_mix(seed + ZF_GOLDEN * (stream + 1));
    return zf_mix(own + ZF_GAME * game);
}

ZF_INLINE uint64_t zf_bits(uint64_t key, uint64_t index) {
    return zf_mix(key + ZF_GOLDEN * (index + 1));
}

/* 0..n-1 by multiply-high: no rejection, bias below n / 2^64. */
ZF_INLINE uint32_t zf_scale(uint64_t bits, uint32_t n) {
    return (uint32_t)(((unsigned __int128)bits * n) >> 64);
}

ZF_INLINE uint32_t zf_bounded(uint64_t key, uint64_t index, uint32_t n) {
    return zf_scale(zf_bits(key, index), n);
}

/* Uniform in [0, 1) with 53 bits. */
ZF_INLINE double zf_unit(uint64_t key, uint64_t index) {
    return (double)(zf_bits(key, index) >> 11) * 0x1p-53;
}

#endif
