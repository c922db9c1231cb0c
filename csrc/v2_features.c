#include "v2_features.h"

#include <math.h>
#include <string.h>

#include "vectors.h"

enum { WORDS = ZF_N_FEATURES / 64 };
_Static_assert(WORDS * sizeof(uint64_t) == ZF_FEATURE_BYTES, "bits fill their words");

/* What the replay of an observation's plays comes to. Seats are relative to the observer. */
typedef struct {
    uint32_t by_seat[4];
    uint32_t by_trick[ZF_N_TRICKS];
    uint32_t led;
    uint32_t lacks[4]; /* dominoes of the suits a seat has shown not to hold */
    uint32_t voids[4]; /* those suits */
    uint32_t points[2]; /* taken by the observer's side and by the other */
    uint32_t suit, best, best_rank, count; /* of the trick on the table, if there is one */
} history;

/* Set up to 28 bits of a group at once; `at` is a constant wherever this is called. */
ZF_INLINE void put(uint64_t w[WORDS], uint32_t at, uint64_t bits) {
    uint32_t shift = at & 63;
    w[at >> 6] |= bits << shift;
    if (shift > 64 - ZF_N_DOMINOES) w[(at >> 6) + 1] |= bits >> (64 - shift);
}

ZF_INLINE void set(uint64_t w[WORDS], uint32_t at) { w[at >> 6] |= 1ull << (at & 63); }

/* Whether every field is one that a seat to play could have, so that no table is read outside. */
ZF_INLINE bool sane(const zf_obs *o) {
    uint8_t most = 0, all = 0;
    for (int i = 0; i < ZF_N_PLIES; i++) {
        uint8_t domino = o->plays[i] & 31;
        most = domino > most ? domino : most;
        all |= o->plays[i];
    }
    return most < ZF_N_DOMINOES && all < 128 && o->decl < ZF_N_DECLARATIONS &&
           o->n_plays < ZF_N_PLIES && (o->hand & ~ZF_ALL_DOMINOES) == 0 &&
           __builtin_popcount(o->hand) == ZF_HAND_SIZE && zf_contract_sane(&o->contract);
}

ZF_INLINE void replay(history *h, const zf_obs *o) {
    memset(h, 0, sizeof *h);
    for (uint32_t first = 0; first < o->n_plays; first += 4) {
        uint32_t end = first + 4 <= o->n_plays ? first + 4 : o->n_plays, mask = 0;
        h->suit = zf_led_suit[o->decl][o->plays[first] & 31];
        h->best_rank = h->count = 0;
        h->led |= 1u << (o->plays[first] & 31);
        uint32_t follow = zf_follow[o->decl][h->suit];
        for (uint32_t i = first; i < end; i++) {
            uint32_t domino = o->plays[i] & 31, seat = o->plays[i] >> 5;
            uint32_t rank = zf_rank[o->decl][h->suit][domino];
            bool wins = rank > h->best_rank, off = !(follow >> domino & 1);
            h->best = wins ? seat : h->best;
            h->best_rank = wins ? rank : h->best_rank;
            h->count += zf_count[domino];
            h->by_seat[seat] |= 1u << domino;
            h->lacks[seat] |= off ? follow : 0;
            h->voids[seat] |= (uint32_t)off << h->suit;
            mask |= 1u << domino;
        }
        h->by_trick[first / ZF_N_SEATS] = mask;
        if (end == first + 4) h->points[h->best & 1] += h->count + 1;
    }
}

/* The observer's unplayed and its legal dominoes. */
ZF_INLINE void own(const zf_obs *o, uint32_t *held, uint32_t *legal) {
    *held = *legal = 0;
    uint32_t slot = 0;
    for (uint32_t left = o->hand; left; left &= left - 1, slot++) {
        uint32_t domino = left & -left;
        *held |= o->in_hand >> slot & 1 ? domino : 0;
        *legal |= o->legal >> slot & 1 ? domino : 0;
    }
}

/* Dominoes of `among` that rank above the best one on the table. */
ZF_INLINE uint32_t better(const zf_obs *o, const history *h, uint32_t among) {
    uint32_t found = 0;
    for (; among; among &= among - 1) {
        uint32_t domino = (uint32_t)__builtin_ctz(among);
        found |= (uint32_t)(zf_rank[o->decl][h->suit][domino] > h->best_rank) << domino;
    }
    return found;
}

/* The dominoes of `held` that no unseen one beats as a lead: of their suit, and at all. */
ZF_INLINE void put_leaders(uint64_t w[WORDS], const zf_obs *o, uint32_t held, uint32_t unseen) {
    uint32_t boss = 0, sure = 0;
    for (uint32_t left = held; left; left &= left - 1) {
        uint32_t domino = (uint32_t)__builtin_ctz(left);
        uint32_t beaten = zf_beats[o->decl][domino] & unseen;
        uint32_t suit = zf_follow[o->decl][zf_led_suit[o->decl][domino]];
        sure |= (uint32_t)(beaten == 0) << domino;
        boss |= (uint32_t)((beaten & suit) == 0) << domino;
    }
    put(w, ZF_F_BOSS, boss);
    put(w, ZF_F_SURE, sure);
}

ZF_INLINE void put_table(uint64_t w[WORDS], const zf_obs *o, const history *h, uint32_t legal,
                         uint32_t unseen) {
    uint32_t place = o->n_plays & 3;
    set(w, ZF_F_PLACE + place);
    if (place == 0) {
        set(w, ZF_F_WINNING);
        return;
    }
    uint32_t above = better(o, h, unseen | legal);
    put(w, ZF_F_BEATS, above & legal);
    set(w, ZF_F_LED_SUIT + h->suit);
    set(w, ZF_F_WINNING + h->best);
    set(w, ZF_F_TABLE_COUNT + h->count / 5);
    put(w, ZF_F_SAFE, (above & unseen) == 0);
    uint32_t table = h->by_trick[o->n_plays / ZF_N_SEATS];
    for (uint32_t seat = 1; seat < ZF_N_SEATS; seat++)
        put(w, ZF_F_TABLE + (seat - 1) * ZF_N_DOMINOES, table & h->by_seat[seat]);
}

enum { BIDS = 16, CALLS = 10, MOST_NEEDED = 40, MOST_MARKS = 6 }; /* that are told apart */

/* Which of the bits of a seat's call says it: pass, 30..35, 36..41, a mark, more. */
ZF_INLINE uint32_t call_kind(uint32_t call) {
    if (call < ZF_CONTRACT_LEAST) return 0;
    if (call >= ZF_CONTRACT_MARK) return call == ZF_CONTRACT_MARK ? 8 : 9;
    return call - ZF_CONTRACT_LEAST < 6 ? 1 + call - ZF_CONTRACT_LEAST : 7;
}

ZF_INLINE uint32_t least_of(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Taken by the observer's side (0) and by the other (1), and what the trick on the table is worth. */
typedef struct {
    uint32_t points[2], trick;
} taken;

/* How many points a side still needs, and with how much more the trick is enough. */
ZF_INLINE void put_need(uint64_t w[WORDS], const zf_obs *o, taken t, uint32_t side) {
    uint32_t won = zf_aim_of(&o->contract, side).won;
    uint32_t need = won > t.points[side] ? won - t.points[side] : 0;
    set(w, (side ? ZF_F_THEY_NEED : ZF_F_WE_NEED) + least_of(need, MOST_NEEDED));
    for (uint32_t i = 0; i < 3; i++)
        if (t.trick + 5 * i >= need) set(w, ZF_F_ENOUGH + 3 * side + i);
}

__attribute__((noinline)) static void put_contract(uint64_t w[WORDS], const zf_obs *o, taken t) {
    const zf_contract *c = &o->contract;
    set(w, ZF_F_BID + least_of(c->bid - ZF_CONTRACT_LEAST, BIDS - 1));
    if (c->bid >= ZF_CONTRACT_MARK) set(w, ZF_F_ALL);
    if (!(c->bidder & 1)) set(w, ZF_F_DECLARING);
    set(w, ZF_F_BIDDER + c->bidder);
    set(w, ZF_F_SHAKER + c->shaker);
    for (uint32_t side = 0; side < 2; side++) {
        put_need(w, o, t, side);
        set(w, ZF_F_MARKS + (MOST_MARKS + 1) * side +
                   least_of(c->marks >> 4 * side & 15, MOST_MARKS));
    }
    for (uint32_t seat = 0; seat < ZF_N_SEATS; seat++)
        if (c->calls[seat]) set(w, ZF_F_CALL + CALLS * seat + call_kind(c->calls[seat]));
}

/* All bits but those of the contract, which `taken` is for. */
ZF_INLINE taken hand_words(uint64_t w[WORDS], const zf_obs *o) {
    history h;
    uint32_t held, legal;
    memset(w, 0, WORDS * sizeof *w);
    replay(&h, o);
    own(o, &held, &legal);
    uint32_t played = h.by_seat[0] | h.by_seat[1] | h.by_seat[2] | h.by_seat[3];
    uint32_t unseen = ZF_ALL_DOMINOES & ~(played | o->hand);
    uint32_t called = zf_follow[o->decl][ZF_CALLED_SUIT];
    put(w, ZF_F_HELD, held);
    put(w, ZF_F_LEGAL, legal);
    for (uint32_t seat = 0; seat < ZF_N_SEATS; seat++)
        put(w, ZF_F_PLAYED + seat * ZF_N_DOMINOES, h.by_seat[seat]);
    for (uint32_t trick = 0; trick < ZF_N_TRICKS; trick++)
        put(w, ZF_F_WHEN + trick * ZF_N_DOMINOES, h.by_trick[trick]);
    put(w, ZF_F_LED, h.led);
    for (uint32_t seat = 1; seat < ZF_N_SEATS; seat++) {
        put(w, ZF_F_CANNOT + (seat - 1) * ZF_N_DOMINOES, h.lacks[seat] & unseen);
        put(w, ZF_F_VOID + (seat - 1) * 8, h.voids[seat]);
    }
    put_leaders(w, o, held, unseen);
    put(w, ZF_F_CALLED_HELD, called & held);
    put(w, ZF_F_CALLED_UNSEEN, called & unseen);
    put_table(w, o, &h, legal, unseen);
    set(w, ZF_F_DECL + o->decl);
    set(w, ZF_F_TRICK + o->n_plays / ZF_N_SEATS);
    put(w, ZF_F_WON, h.points[0] > ZF_HALF_POINTS);
    put(w, ZF_F_LOST, h.points[1] > ZF_HALF_POINTS);
    set(w, ZF_F_US + h.points[0]);
    set(w, ZF_F_THEM + h.points[1]);
    set(w, ZF_F_FIRST_LEADER + (o->plays[0] >> 5));
    return (taken){{h.points[0], h.points[1]}, 1 + (o->n_plays & 3 ? h.count : 0)};
}

/* The contract's bits only where they count. */
ZF_INLINE void words(uint64_t w[WORDS], const zf_obs *o, size_t n_bits) {
    taken t = hand_words(w, o);
    if (o->contract.bid && n_bits > ZF_N_HAND_FEATURES) put_contract(w, o, t);
}

ZF_HOT size_t zf_features(uint8_t *out, const zf_obs *obs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!sane(&obs[i])) return i;
        uint64_t w[WORDS];
        words(w, &obs[i], ZF_N_FEATURES);
        memcpy(out + i * ZF_FEATURE_BYTES, w, ZF_FEATURE_BYTES); /* the least byte comes first */
    }
    return n;
}

/* Numbers of the set bits among so many, ascending; returns how many. */
ZF_INLINE uint32_t list_bits(uint16_t active[ZF_N_FEATURES], const uint64_t w[WORDS],
                             size_t n_bits) {
    uint32_t n = 0;
    for (uint32_t k = 0; k < (n_bits + 63) / 64; k++)
        for (uint64_t left = w[k]; left; left &= left - 1)
            active[n++] = (uint16_t)(64 * k + (uint32_t)__builtin_ctzll(left));
    return n;
}

enum {
    LISTED = 64, /* observations at once */
    ROOM = 8192, /* for their bits: usually 53 each */
    EIGHT = 8,   /* lists are filled up to a multiple of this with a bit that there is not */
};

static const float BRIEF_MOST = 4095.0f; /* EIGHT of them fit 16 bits */

typedef struct {
    uint32_t start[LISTED], count[LISTED]; /* of each observation's in bits */
    uint16_t bits[ROOM];
} bit_lists;

/* The bits of the first so many observations: up to LISTED, as there is room, before one that no
 * seat could have. At least one if the first is sound. */
ZF_HOT static size_t fill_lists(bit_lists *lists, const zf_obs *obs, size_t n, size_t n_bits) {
    uint32_t used = 0;
    size_t i = 0;
    for (; i < n && i < LISTED && used + n_bits + EIGHT <= ROOM && sane(&obs[i]); i++) {
        uint64_t w[WORDS];
        words(w, &obs[i], n_bits);
        lists->start[i] = used;
        lists->count[i] = list_bits(&lists->bits[used], w, n_bits);
        used += lists->count[i];
        for (int k = 0; k < EIGHT; k++) lists->bits[used + (uint32_t)k] = (uint16_t)n_bits;
        used = (used + EIGHT - 1) / EIGHT * EIGHT;
    }
    return i;
}

/* Of the last sixteen points, those that are not among the first 32. */
static const int32_t from_fifth[16] = {0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
static const int32_t first_sixteen[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

#define INSTRUCTION_SETS_BODY "v2_ends_body.h"
#include "instruction_sets.h"

static const zf_v2_ends ends[] = {
    {4, first_layer_baseline, first_gradient_baseline, brief_layer_baseline, answers_baseline},
#if defined(__x86_64__)
    {8, first_layer_avx2, first_gradient_avx2, brief_layer_avx2, answers_avx2},
    {16, first_layer_avx512, first_gradient_avx512, brief_layer_avx512, answers_avx512},
#endif
};

const zf_v2_ends *zf_v2_ends_of(zf_set set) { return &ends[set]; }

/* Half of a vector's numbers are the low halves of its words, the others the high ones. */
static size_t brief_place(size_t column, size_t lanes) {
    size_t in = column % ZF_FIRST_PANEL, vector = in / (2 * lanes), at = in % (2 * lanes);
    return vector * 2 * lanes + at % lanes * 2 + at / lanes;
}

void zf_brief_pack(int16_t *to, float *unit, const float *table, size_t n_bits, size_t width,
                   const zf_v2_ends *set) {
    size_t n_panels = (width + ZF_FIRST_PANEL - 1) / ZF_FIRST_PANEL, panel = zf_brief_panel(n_bits);
    memset(to, 0, n_panels * panel * sizeof *to);
    for (size_t c = 0; c < width; c++) {
        int16_t *column = &to[c / ZF_FIRST_PANEL * panel + brief_place(c, set->lanes)];
        float most = 0.0f;
        for (size_t bit = 0; bit < n_bits; bit++)
            most = fmaxf(most, fabsf(table[bit * width + c]));
        unit[c] = most / BRIEF_MOST;
        for (size_t bit = 0; most > 0.0f && bit < n_bits; bit++) {
            float scaled = table[bit * width + c] / most * BRIEF_MOST;
            column[bit * ZF_FIRST_PANEL] =
                (int16_t)lrintf(fminf(fmaxf(scaled, -BRIEF_MOST), BRIEF_MOST));
        }
    }
}

static const zf_v2_ends *best(void) {
    zf_set set = ZF_SET_AVX512;
    while (!zf_set_supported(set)) set--;
    return &ends[set];
}

size_t zf_first_layer(float *out, const zf_obs *obs, size_t n, const float *table,
                      const float *bias, size_t n_bits, size_t width) {
    return best()->first_layer(out, obs, n,
                               &(zf_first){table, bias, n_bits, width, width, ZF_FIRST_PANEL});
}

size_t zf_first_gradient(float *table, const zf_obs *obs, const float *gradient, size_t n,
                         size_t n_bits, size_t width) {
    return best()->first_gradient(table, obs, gradient, n, n_bits, width);
}

void zf_answers(float *out, const zf_obs *obs, size_t n, const float *scores) {
    best()->answers(out, obs, n, scores, ZF_N_SCORES);
}
