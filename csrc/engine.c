#include "engine.h"

#include "rng.h"

ZF_INLINE void deal_inline(zf_state *s, uint64_t seed, uint64_t stream, uint64_t game) {
    uint8_t order[ZF_N_DOMINOES];
    uint32_t hands[4] = {0, 0, 0, 0};
    uint64_t key = zf_stream_key(seed, stream, game);
    for (int i = 0; i < ZF_N_DOMINOES; i++) order[i] = (uint8_t)i;
    for (uint32_t i = ZF_N_DOMINOES - 1; i > 0; i--) {
        uint32_t j = zf_bounded(key, ZF_N_DOMINOES - 1 - i, i + 1);
        uint8_t t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    for (int seat = 0; seat < ZF_N_SEATS; seat++)
        for (int i = 0; i < ZF_HAND_SIZE; i++) hands[seat] |= 1u << order[ZF_HAND_SIZE * seat + i];
    zf_init(s, hands, (uint8_t)zf_bounded(key, ZF_N_DOMINOES - 1, ZF_N_DECLARATIONS),
            (uint8_t)zf_bounded(key, ZF_N_DOMINOES, ZF_N_SEATS));
}

void zf_deal(zf_state *s, uint64_t seed, uint64_t stream, uint64_t game) {
    deal_inline(s, seed, stream, game);
}

ZF_HOT void zf_deal_many(zf_state *s, size_t n, uint64_t seed, uint64_t stream,
                         uint64_t first_game) {
    for (size_t i = 0; i < n; i++) deal_inline(&s[i], seed, stream, first_game + i);
}

ZF_INLINE void random_play(zf_state *s, uint64_t key, uint32_t most) {
    uint32_t legal = zf_legal(s);
    uint32_t r = zf_bounded(key, s->n_plays, (uint32_t)__builtin_popcount(legal));
    zf_play(s, zf_select(legal, r, most));
}

ZF_HOT void zf_random_games(uint8_t *points_team0, size_t n, uint64_t seed, uint64_t first_game) {
    for (size_t i = 0; i < n; i++) {
        zf_state s;
        deal_inline(&s, seed, ZF_STREAM_DEAL, first_game + i);
        uint64_t key = zf_stream_key(seed, ZF_STREAM_PLAY, first_game + i);
#pragma GCC unroll 28
        for (int ply = 0; ply < ZF_N_PLIES; ply++)
            random_play(&s, key, ZF_HAND_SIZE - ply / ZF_N_SEATS);
        points_team0[i] = s.points[0];
    }
}

ZF_HOT void zf_random_plays(zf_state *s, const int64_t *rows, const uint64_t *games, size_t n,
                            uint64_t seed, uint64_t stream) {
    for (size_t i = 0; i < n; i++) {
        zf_state *g = &s[rows[i]];
        if (!zf_over(g)) random_play(g, zf_stream_key(seed, stream, games[i]), ZF_HAND_SIZE);
    }
}

ZF_HOT void zf_random_until(zf_state *s, const int64_t *rows, const uint64_t *games, size_t n,
                            uint64_t seed, uint64_t stream, uint32_t seat) {
    for (size_t i = 0; i < n; i++) {
        zf_state *g = &s[rows[i]];
        uint64_t key = zf_stream_key(seed, stream, games[i]);
        while (!zf_over(g) && g->to_play != seat) random_play(g, key, ZF_HAND_SIZE);
    }
}

static uint64_t perft(const zf_state *s, int depth) {
    uint64_t total = 0;
    if (depth == 0 || zf_over(s)) return 1;
    for (uint32_t legal = zf_legal(s); legal; legal &= legal - 1) {
        zf_state next = *s;
        zf_play(&next, (uint32_t)__builtin_ctz(legal));
        total += perft(&next, depth - 1);
    }
    return total;
}

uint64_t zf_perft(const zf_state *s, int depth) { return perft(s, depth); }

const char *zf_engine_isa(void) { return zf_isa(); }
