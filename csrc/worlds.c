/* Exact worlds: a count over what each hidden hand can still take, and walks along it. */
#include "worlds.h"

#include <float.h>

#include "rng.h"

/* Walks that run side by side: each step waits for the one before, so that one walk alone would
 * leave the core idle. */
#define LANES 8

/* A row of eight cells at once, wherever it begins. */
typedef uint32_t cells __attribute__((vector_size(32), aligned(4), may_alias));

ZF_INLINE uint32_t cell(uint32_t left, uint32_t partner) {
    return ZF_WORLD_ROW * (left + 1) + partner + 1;
}

ZF_INLINE void know(zf_knowledge *k, const zf_state *s, uint32_t viewer) {
    uint32_t suit_dominoes = 0;
    memset(k, 0, sizeof *k);
    k->viewer = (uint8_t)viewer;
    for (int i = 0; i < s->n_plays; i++) {
        uint32_t domino = s->plays[i] & 31u, seat = s->plays[i] >> 5;
        if ((i & 3) == 0) suit_dominoes = zf_follow[s->decl][zf_led_suit[s->decl][domino]];
        k->barred[seat] |= suit_dominoes >> domino & 1 ? 0 : suit_dominoes;
    }
    for (uint32_t seat = 0; seat < ZF_N_SEATS; seat++) {
        k->size[seat] = (uint8_t)__builtin_popcount(s->hand[seat]);
        k->hidden |= s->hand[seat];
    }
    k->own = s->hand[viewer];
    k->hidden &= ~k->own;
}

/* Sorts the hidden dominoes into fixed and open ones and takes the fixed ones off room[].
 * False if a domino has no place. */
ZF_INLINE bool sort_hidden(zf_world_set *w, const zf_knowledge *k, uint32_t room[3]) {
    uint32_t may[3];
    for (uint32_t j = 0; j < 3; j++) {
        uint32_t seat = (k->viewer + 1u + j) & 3u;
        may[j] = k->hidden & ~k->barred[seat];
        room[j] = k->size[seat];
    }
    uint32_t several = (may[0] & may[1]) | (may[0] & may[2]) | (may[1] & may[2]);
    w->own = k->own;
    w->open = several;
    w->viewer = k->viewer;
    w->n_open = 0;
    if ((may[0] | may[1] | may[2]) != k->hidden) return false;
    for (uint32_t j = 0; j < 3; j++) {
        w->fixed[j] = may[j] & ~several;
        uint32_t taken = (uint32_t)__builtin_popcount(w->fixed[j]);
        if (taken > room[j]) return false;
        room[j] -= taken;
    }
    for (uint32_t open = several; open; open &= open - 1) {
        uint32_t domino = open & -open;
        w->domino[w->n_open] = domino;
        w->may[0][w->n_open] = may[0] & domino ? ~0u : 0;
        w->may[1][w->n_open] = may[1] & domino ? ~0u : 0;
        w->n_open++;
    }
    return room[0] + room[1] + room[2] == w->n_open;
}

/* ways[i] from ways[i + 1]. Cells beyond what left and partner take from the root are counted too,
 * and never read. */
ZF_INLINE void count_level(zf_world_set *w, uint32_t i, uint32_t may_right, uint32_t rows) {
    const uint32_t *next = w->ways[i + 1];
    uint32_t *now = w->ways[i], may_left = w->may[0][i], may_partner = w->may[1][i];
    memset(now, 0, ZF_WORLD_ROW * sizeof *now);
    for (uint32_t row = 1; row < rows; row++) {
        uint32_t c = row * ZF_WORLD_ROW + 1;
        const cells *left = (const cells *)(next + c - ZF_WORLD_ROW);
        const cells *partner = (const cells *)(next + c - 1);
        const cells *right = (const cells *)(next + c);
        now[c - 1] = 0;
        *(cells *)(now + c) = (*left & may_left) + (*partner & may_partner) + (*right & may_right);
    }
}

ZF_INLINE uint64_t count_worlds(zf_world_set *w, const zf_knowledge *k) {
    uint32_t room[3];
    w->count = 0;
    if (!sort_hidden(w, k, room)) return 0;
    uint32_t n = w->n_open, rows = room[0] + 2;
    uint32_t right = k->hidden & ~k->barred[(k->viewer + 3u) & 3u];
    w->root = (uint8_t)cell(room[0], room[1]);
    memset(w->ways[n], 0, rows * ZF_WORLD_ROW * sizeof w->ways[n][0]);
    w->ways[n][cell(0, 0)] = 1;
    for (uint32_t i = n; i-- > 0;) count_level(w, i, right & w->domino[i] ? ~0u : 0, rows);
    return w->count = w->ways[0][w->root];
}

ZF_HOT void zf_knowledge_of(zf_knowledge *k, const zf_state *s, uint32_t viewer) {
    know(k, s, viewer);
}

ZF_HOT uint64_t zf_worlds_of(zf_world_set *w, const zf_knowledge *k) { return count_worlds(w, k); }

ZF_HOT uint64_t zf_worlds_init(zf_world_set *w, const zf_state *s, uint32_t viewer) {
    zf_knowledge k;
    know(&k, s, viewer);
    return count_worlds(w, &k);
}

/* The four hands, from the open dominoes that left and partner hold. */
ZF_INLINE void lay(const zf_world_set *w, uint32_t left, uint32_t partner, uint32_t hands[4]) {
    hands[w->viewer] = w->own;
    hands[(w->viewer + 1) & 3] = w->fixed[0] | left;
    hands[(w->viewer + 2) & 3] = w->fixed[1] | partner;
    hands[(w->viewer + 3) & 3] = w->fixed[2] | (w->open ^ left ^ partner);
}

/* n <= LANES worlds of the given ranks (which are used up). Of the layouts from a cell on, those
 * where left takes the domino come first, then partner's, then right's. */
ZF_INLINE void unrank(const zf_world_set *w, uint32_t *rank, uint32_t n, uint32_t (*hands)[4]) {
    uint32_t at[LANES], left[LANES], partner[LANES];
    for (uint32_t l = 0; l < n; l++) {
        at[l] = w->root;
        left[l] = partner[l] = 0;
    }
    for (uint32_t i = 0; i < w->n_open; i++) {
        const uint32_t *next = w->ways[i + 1];
        uint32_t domino = w->domino[i], may0 = w->may[0][i], may1 = w->may[1][i];
        for (uint32_t l = 0; l < n; l++) {
            uint32_t first = next[at[l] - ZF_WORLD_ROW] & may0;
            uint32_t second = next[at[l] - 1] & may1;
            /* All ones where it is not left's, where it is right's: arithmetic, for a branch here
             * would be foreseen half of the time. */
            uint32_t not_left = 0u - (rank[l] >= first), right = 0u - (rank[l] >= first + second);
            left[l] |= domino & ~not_left;
            partner[l] |= domino & ~right; /* left's too, until the end */
            rank[l] -= (first & not_left) + (second & right);
            at[l] -= ZF_WORLD_ROW - (not_left & (ZF_WORLD_ROW - 1)) - (right & 1);
        }
    }
    for (uint32_t l = 0; l < n; l++) lay(w, left[l], partner[l] ^ left[l], hands[l]);
}

ZF_HOT void zf_worlds_unrank(const zf_world_set *w, uint64_t rank, uint32_t hands[4]) {
    uint32_t r = (uint32_t)rank;
    unrank(w, &r, 1, (uint32_t(*)[4])hands);
}

ZF_HOT void zf_worlds_unrank_many(const zf_world_set *w, const uint64_t *ranks, size_t n,
                                  uint32_t (*hands)[4]) {
    uint32_t rank[LANES];
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (uint32_t l = 0; l < LANES; l++) rank[l] = (uint32_t)ranks[i + l];
        unrank(w, rank, LANES, hands + i);
    }
    for (; i < n; i++) {
        rank[0] = (uint32_t)ranks[i];
        unrank(w, rank, 1, hands + i);
    }
}

ZF_HOT void zf_worlds_sample(const zf_world_set *w, uint64_t bits, uint32_t hands[4]) {
    uint32_t rank = zf_scale(bits, w->count);
    unrank(w, &rank, 1, (uint32_t(*)[4])hands);
}

ZF_HOT void zf_worlds_sample_many(const zf_world_set *w, uint64_t key, uint64_t index, size_t n,
                                  uint32_t (*hands)[4]) {
    uint32_t rank[LANES];
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (uint32_t l = 0; l < LANES; l++) rank[l] = zf_bounded(key, index + i + l, w->count);
        unrank(w, rank, LANES, hands + i);
    }
    for (; i < n; i++) {
        rank[0] = zf_bounded(key, index + i, w->count);
        unrank(w, rank, 1, hands + i);
    }
}

uint64_t zf_worlds_rank(const zf_world_set *w, const uint32_t hands[4]) {
    uint32_t held[3], at = w->root, rank = 0;
    for (uint32_t j = 0; j < 3; j++) held[j] = hands[(w->viewer + 1 + j) & 3] ^ w->fixed[j];
    if (hands[w->viewer] != w->own || (held[0] | held[1] | held[2]) != w->open ||
        (held[0] & held[1]) || (held[0] & held[2]) || (held[1] & held[2]) ||
        cell((uint32_t)__builtin_popcount(held[0]), (uint32_t)__builtin_popcount(held[1])) != at)
        return ZF_NO_RANK;
    for (uint32_t i = 0; i < w->n_open; i++) {
        const uint32_t *next = w->ways[i + 1];
        uint32_t first = next[at - ZF_WORLD_ROW] & w->may[0][i];
        uint32_t second = next[at - 1] & w->may[1][i];
        bool left = held[0] & w->domino[i], partner = held[1] & w->domino[i];
        uint32_t third = w->ways[i][at] - first - second;
        if (!(left ? first : partner ? second : third)) return ZF_NO_RANK;
        rank += left ? 0 : partner ? first : first + second;
        at -= left ? ZF_WORLD_ROW : partner;
    }
    return rank;
}

void zf_worlds_apply(zf_state *s, const uint32_t hands[4]) {
    for (int seat = 0; seat < ZF_N_SEATS; seat++) {
        uint32_t played = s->dealt[seat] & ~s->hand[seat];
        s->hand[seat] = hands[seat];
        s->dealt[seat] = hands[seat] | played;
    }
}

bool zf_worlds_fit(const zf_state *s, const uint32_t hands[4]) {
    uint32_t together = 0, held = 0;
    for (int seat = 0; seat < ZF_N_SEATS; seat++) {
        bool size = __builtin_popcount(hands[seat]) == __builtin_popcount(s->hand[seat]);
        if (!size || (together & hands[seat])) return false;
        together |= hands[seat];
        held |= s->hand[seat];
    }
    return together == held;
}

/* The weights that count: those of the open dominoes, in rows and then columns of largest entry 1.
 * A domino is held once and a hand's size is known, so that neither changes any probability; it
 * keeps the masses far from underflow. */
ZF_INLINE void scale_weights(zf_weighted_set *w, const double weights[ZF_N_DOMINOES][4]) {
    const zf_world_set *set = &w->set;
    double most[3] = {0, 0, 0};
    for (uint32_t i = 0; i < set->n_open; i++) {
        const double *given = weights[__builtin_ctz(set->domino[i])];
        double row = 0;
        for (uint32_t j = 0; j < 3; j++) {
            w->weight[i][j] = set->domino[i] & w->may[j] ? given[(set->viewer + 1 + j) & 3] : 0;
            row = w->weight[i][j] > row ? w->weight[i][j] : row;
        }
        for (uint32_t j = 0; j < 3; j++) {
            w->weight[i][j] /= row;
            most[j] = w->weight[i][j] > most[j] ? w->weight[i][j] : most[j];
        }
    }
    for (uint32_t i = 0; i < set->n_open; i++)
        for (uint32_t j = 0; j < 3; j++) w->weight[i][j] /= most[j] > 0 ? most[j] : 1;
}

zf_weights_fault zf_weighted_of(zf_weighted_set *w, const zf_knowledge *k,
                                const double weights[ZF_N_DOMINOES][4]) {
    zf_knowledge positive = *k;
    for (uint32_t rest = k->hidden; rest; rest &= rest - 1)
        for (uint32_t j = 1; j < 4; j++) {
            uint32_t d = (uint32_t)__builtin_ctz(rest), seat = (k->viewer + j) & 3u;
            if (!(weights[d][seat] >= 0 && weights[d][seat] <= DBL_MAX)) return ZF_WEIGHTS_BAD;
            positive.barred[seat] |= (uint32_t)(weights[d][seat] == 0) << d;
        }
    if (zf_worlds_of(&w->set, &positive) == 0) return ZF_WEIGHTS_NONE;
    for (uint32_t j = 0; j < 3; j++)
        w->may[j] = positive.hidden & ~positive.barred[(k->viewer + 1u + j) & 3u];
    scale_weights(w, weights);
    uint32_t n = w->set.n_open, rows = w->set.root / ZF_WORLD_ROW + 1u;
    memset(w->mass[n], 0, sizeof w->mass[n]);
    w->mass[n][cell(0, 0)] = 1;
    for (uint32_t i = n; i-- > 0;) {
        const double *next = w->mass[i + 1], *weight = w->weight[i];
        double *now = w->mass[i];
        memset(now, 0, sizeof w->mass[i]);
        for (uint32_t row = 1; row < rows; row++)
            for (uint32_t c = row * ZF_WORLD_ROW + 1; c < (row + 1) * ZF_WORLD_ROW; c++)
                now[c] = weight[0] * next[c - ZF_WORLD_ROW] + weight[1] * next[c - 1] +
                         weight[2] * next[c];
    }
    return w->mass[0][w->set.root] < ZF_LEAST_MASS ? ZF_WEIGHTS_TOO_FAR : ZF_WEIGHTS_OK;
}

ZF_INLINE void draw_weighted(const zf_weighted_set *w, uint64_t bits, uint32_t hands[4]) {
    uint32_t at = w->set.root, left = 0, partner = 0;
    for (uint32_t i = 0; i < w->set.n_open; i++) {
        const double *next = w->mass[i + 1], *weight = w->weight[i];
        double first = weight[0] * next[at - ZF_WORLD_ROW];
        double both = first + weight[1] * next[at - 1];
        /* Below the whole even after rounding, so that nothing of mass 0 is ever taken. */
        double u = zf_unit(bits, i) * (both + weight[2] * next[at]);
        uint32_t not_left = 0u - (u >= first), right = 0u - (u >= both);
        left |= w->set.domino[i] & ~not_left;
        partner |= w->set.domino[i] & ~right; /* left's too, until the end */
        at -= ZF_WORLD_ROW - (not_left & (ZF_WORLD_ROW - 1)) - (right & 1);
    }
    lay(&w->set, left, partner ^ left, hands);
}

ZF_HOT void zf_weighted_sample_many(const zf_weighted_set *w, uint64_t key, uint64_t index,
                                    size_t n, uint32_t (*hands)[4]) {
    for (size_t i = 0; i < n; i++) draw_weighted(w, zf_bits(key, index + i), hands[i]);
}

double zf_weighted_probability(const zf_weighted_set *w, const uint32_t hands[4]) {
    double product = 1;
    if (zf_worlds_rank(&w->set, hands) == ZF_NO_RANK) return 0;
    for (uint32_t i = 0; i < w->set.n_open; i++) {
        uint32_t j = 0;
        while (!(hands[(w->set.viewer + 1 + j) & 3] & w->set.domino[i])) j++;
        product *= w->weight[i][j];
    }
    return product / w->mass[0][w->set.root];
}
