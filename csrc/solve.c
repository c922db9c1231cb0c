/* Zero-window alpha-beta. A value is always the points to come for one side, and `need` asks
 * whether they are at least so many; what comes back is fail-soft: a lower bound if it is >= need,
 * an upper bound if it is below. One side's points to come are `total` minus the other's.
 *
 * The table holds bounds at trick starts only: plays of different seats inside a trick do not
 * commute, but tricks reached in another order do. Within one deal a key of 30 bits (dominoes left,
 * leader) is exact, so there are no collisions to guess about. */
#include "solve.h"

#include <stdatomic.h>
#include <stdlib.h>

#define NO_DOMINO 31u

/* What the search asks of one declaration. Masks of dominoes throughout. */
typedef struct {
    uint32_t higher[8][ZF_N_DOMINOES]; /* beat this domino when a suit is led */
    uint32_t beats[ZF_N_DOMINOES];     /* the same for the suit that its own lead asks for */
    uint32_t leads[8];                 /* ask for a suit when led */
    uint32_t only_follow[8];           /* belong to a suit but ask for another one when led */
    uint32_t one_suit;                 /* belong to no suit but the one they ask for */
    uint32_t trumps;                   /* called suit, where it has trump power */
} decl_tables;

struct zf_solver {
    decl_tables decl[ZF_N_DECLARATIONS];
    uint32_t fives, tens;
    uint32_t same_count[ZF_N_DOMINOES]; /* dominoes with the same count */
    uint32_t table_bits;
    /* Other threads look at the one and set the other while a call is under way. */
    _Atomic uint64_t nodes;
    atomic_bool interrupted;
    /* the deal whose bounds carry the present stamp: each seat's dominoes */
    uint32_t owner[4];
    uint32_t owner_decl;
    uint64_t stamp;
    uint64_t table[]; /* entries: see pack() */
};

typedef struct {
    zf_solver *solver;
    const decl_tables *decl;
    const uint32_t *follow;
    const uint8_t *led;
    uint32_t hand[4];
    uint32_t interchangeable; /* as of the last trick start: their lower ends no longer matter */
    uint64_t nodes;
} search;

/* The trick being played: what its lead decides. */
typedef struct {
    const uint32_t *higher;
    uint32_t follow;
    int total; /* points to come from the trick's start, both sides */
} trick;

/* How it stands: the best domino so far, whose it is, and the count on the table. */
typedef struct {
    uint32_t best, winner;
    int64_t table; /* wide, so that best and winner are one word of an argument, this the other */
} standing;

ZF_HOT static int trick_start(search *s, uint32_t leader, int total, int need);

static void fill_tables(decl_tables *t, int decl) {
    for (int suit = 0; suit < 8; suit++)
        for (int d = 0; d < ZF_N_DOMINOES; d++)
            for (int other = 0; other < ZF_N_DOMINOES; other++)
                if (zf_rank[decl][suit][other] > zf_rank[decl][suit][d])
                    t->higher[suit][d] |= 1u << other;
    t->one_suit = ZF_ALL_DOMINOES;
    for (uint32_t d = 0; d < ZF_N_DOMINOES; d++) {
        uint32_t led = zf_led_suit[decl][d];
        t->beats[d] = t->higher[led][d];
        t->leads[led] |= 1u << d;
        for (uint32_t suit = 0; suit < 8; suit++) {
            if (suit == led || !(zf_follow[decl][suit] >> d & 1)) continue;
            t->only_follow[suit] |= 1u << d;
            t->one_suit &= ~(1u << d);
        }
    }
    /* Trumps are what beats the highest domino of some other suit: none where doubles are only a
     * suit, none without a called suit. */
    for (uint32_t d = 0; d < ZF_N_DOMINOES; d++)
        if (zf_led_suit[decl][d] != ZF_CALLED_SUIT)
            t->trumps |= t->beats[d] & zf_follow[decl][ZF_CALLED_SUIT];
}

zf_solver *zf_solver_new(uint32_t table_bits) {
    zf_solver *c = calloc(1, sizeof *c + (sizeof c->table[0] << table_bits));
    if (!c) return NULL;
    c->table_bits = table_bits;
    c->stamp = 1;
    for (int d = 0; d < ZF_N_DOMINOES; d++) {
        c->fives |= (uint32_t)(zf_count[d] == 5) << d;
        c->tens |= (uint32_t)(zf_count[d] == 10) << d;
    }
    for (int d = 0; d < ZF_N_DOMINOES; d++)
        c->same_count[d] = zf_count[d] == 10  ? c->tens
                           : zf_count[d] == 5 ? c->fives
                                              : ~(c->tens | c->fives);
    for (int decl = 0; decl < ZF_N_DECLARATIONS; decl++) fill_tables(&c->decl[decl], decl);
    return c;
}

void zf_solver_free(zf_solver *solver) { free(solver); }

size_t zf_solver_bytes(const zf_solver *c) {
    return sizeof *c + (sizeof c->table[0] << c->table_bits);
}

uint64_t zf_solver_nodes(const zf_solver *c) {
    return atomic_load_explicit(&c->nodes, memory_order_relaxed);
}

void zf_solver_interrupt(zf_solver *c, bool on) {
    atomic_store_explicit(&c->interrupted, on, memory_order_relaxed);
}

bool zf_solver_interrupted(const zf_solver *c) {
    return atomic_load_explicit(&c->interrupted, memory_order_relaxed);
}

/* One thread adds at a time, so that no locked instruction is needed. */
static void add_nodes(zf_solver *c, uint64_t n) {
    atomic_store_explicit(&c->nodes, zf_solver_nodes(c) + n, memory_order_relaxed);
}

ZF_INLINE int count_of(const zf_solver *c, uint32_t dominoes) {
    return 5 * __builtin_popcount(dominoes & c->fives) +
           10 * __builtin_popcount(dominoes & c->tens);
}

/* The least count that a choice among these dominoes puts on the table. */
ZF_INLINE int least_count(const zf_solver *c, uint32_t dominoes) {
    return dominoes & ~(c->tens | c->fives) ? 0 : dominoes & c->fives ? 5 : 10;
}

ZF_INLINE uint32_t legal_from(uint32_t hand, uint32_t follow) {
    return hand & follow ? hand & follow : hand;
}

/* Those of some dominoes that no threat beats. */
ZF_INLINE uint32_t unbeaten(const uint32_t *higher, uint32_t dominoes, uint32_t threats) {
    uint32_t safe = 0;
    for (uint32_t m = dominoes; m; m &= m - 1)
        safe |= higher[__builtin_ctz(m)] & threats ? 0 : m & -m;
    return safe;
}

/* --- the table ------------------------------------------------------------------------------------
 * An entry is the key of a trick's start and the stamp of its deal, together its tag, then bounds of
 * the points to come for the leader's side and the lead that was best. */

enum { STAMP_BITS = 14, STAMP_AT = 30, LOW_AT = STAMP_AT + STAMP_BITS, HIGH_AT = 50, LEAD_AT = 56 };

typedef struct {
    int low, high;
    uint32_t lead;
} bounds;

ZF_INLINE uint64_t tag_of(uint64_t key, uint64_t stamp) { return key | stamp << STAMP_AT; }

ZF_INLINE bool has_tag(uint64_t entry, uint64_t tag) {
    return (entry & ((1ull << LOW_AT) - 1)) == tag;
}

ZF_INLINE uint64_t pack(uint64_t tag, bounds b) {
    return tag | (uint64_t)b.low << LOW_AT | (uint64_t)b.high << HIGH_AT |
           (uint64_t)b.lead << LEAD_AT;
}

ZF_INLINE bounds unpack(uint64_t entry) {
    return (bounds){entry >> LOW_AT & 63, entry >> HIGH_AT & 63, entry >> LEAD_AT & 31};
}

/* --- equivalent plays -----------------------------------------------------------------------------
 * Two dominoes of one hand are the same play if they have the same count, ask for the same suit,
 * no other hand's domino lies between them there, and nobody can lead the suit of their other ends
 * any more. */

/* Dominoes that can follow no suit but the one they ask for when led: their lower ends no longer
 * matter. */
ZF_INLINE uint32_t interchangeable_of(const decl_tables *t, uint32_t left) {
    uint32_t interchangeable = t->one_suit;
    for (int suit = 0; suit < ZF_CALLED_SUIT - 1; suit++) /* a 6 is never a lower end */
        interchangeable |= left & t->leads[suit] ? 0 : t->only_follow[suit];
    return interchangeable;
}

/* Those of rest that are the same play as d. In a trick, `beats` are what beats its best domino so
 * far: the same play wins or loses with d. */
ZF_INLINE uint32_t same_play(const search *s, uint32_t d, uint32_t rest, uint32_t seat,
                             uint32_t beats) {
    uint32_t suit = s->led[d], same = 0;
    rest &= s->interchangeable & s->decl->leads[suit] & s->solver->same_count[d];
    rest &= beats >> d & 1 ? beats : ~beats;
    if (ZF_LIKELY(!(s->interchangeable >> d & 1) || !rest)) return 0;
    uint32_t others = s->hand[(seat + 1) & 3] | s->hand[(seat + 2) & 3] | s->hand[(seat + 3) & 3];
    const uint32_t *higher = s->decl->higher[suit];
    for (; rest; rest &= rest - 1)
        same |= (higher[d] ^ higher[__builtin_ctz(rest)]) & others ? 0 : rest & -rest;
    return same;
}

/* --- inside a trick ------------------------------------------------------------------------------- */

/* The leader's only domino, then everybody's: total if the leader's side wins, else 0. */
ZF_INLINE int last_trick(const search *s, uint32_t leader, int total) {
    uint32_t best = (uint32_t)__builtin_ctz(s->hand[leader]);
    const uint32_t *higher = s->decl->higher[s->led[best]];
    uint32_t partner = s->hand[(leader + 2) & 3];
    if (higher[best] & partner) best = (uint32_t)__builtin_ctz(partner);
    return higher[best] & (s->hand[(leader + 1) & 3] | s->hand[(leader + 3) & 3]) ? 0 : total;
}

/* Points to come for the leader's side from a trick's start, hands not empty. */
ZF_INLINE int from_trick(search *s, uint32_t leader, int total, int need) {
    if (need <= 0) return 0;
    if (need > total) return total;
    uint32_t hand = s->hand[leader];
    if ((hand & (hand - 1)) == 0) return last_trick(s, leader, total);
    return trick_start(s, leader, total, need);
}

ZF_HOT static int third_seat(search *s, const trick *t, uint32_t seat, int need, standing now);
ZF_HOT static int fourth_seat(search *s, const trick *t, uint32_t seat, int need, standing now);

/* One play as the n-th to the trick (1..3 were before it): points to come for the mover's side. */
ZF_INLINE int follow_with(search *s, const trick *t, int n, uint32_t d, uint32_t seat, int need,
                          standing now) {
    bool wins = t->higher[now.best] >> d & 1;
    uint32_t next = (seat + 1) & 3;
    int value;
    now.best = wins ? d : now.best;
    now.winner = wins ? seat : now.winner;
    now.table += zf_count[d];
    s->nodes++;
    s->hand[seat] ^= 1u << d;
    if (n == 3) {
        int points = (int)now.table + 1, rest = t->total - points;
        value = ((now.winner ^ seat) & 1) == 0
                    ? points + from_trick(s, now.winner, rest, need - points)
                    : rest - from_trick(s, now.winner, rest, rest - need + 1);
    } else {
        int theirs = t->total - need + 1;
        value = t->total - (n == 1 ? third_seat(s, t, next, theirs, now)
                                   : fourth_seat(s, t, next, theirs, now));
    }
    s->hand[seat] ^= 1u << d;
    return value;
}

/* Dominoes in the order in which they are tried: four groups, the low word's before the high's. */
typedef struct {
    uint64_t first, last;
} try_order;

ZF_INLINE try_order in_order(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    return (try_order){a | (uint64_t)b << 32, c | (uint64_t)d << 32};
}

ZF_INLINE uint32_t next_try(try_order *o) {
    uint64_t word = o->first ? o->first : o->last;
    o->last = o->first ? o->last : o->last & (o->last - 1);
    o->first &= o->first - 1;
    return (uint32_t)__builtin_ctzll(word) & 31u;
}

/* Those that are still to be tried. */
ZF_INLINE uint32_t all_tries(const try_order *o) {
    return (uint32_t)(o->first | o->first >> 32 | o->last | o->last >> 32);
}

ZF_INLINE void drop(try_order *o, uint32_t dominoes) {
    uint64_t both = dominoes | (uint64_t)dominoes << 32;
    o->first &= ~both;
    o->last &= ~both;
}

/* The seat's plays as the n-th to the trick. Tried first: winning for good with count, giving count
 * to a partner who wins for good; then winning for good, then small dominoes, then the rest. */
ZF_INLINE int follow(search *s, const trick *t, const int n, uint32_t seat, int need,
                     standing now) {
    uint32_t legal = legal_from(s->hand[seat], t->follow), beats = t->higher[now.best];
    if ((legal & (legal - 1)) == 0)
        return follow_with(s, t, n, (uint32_t)__builtin_ctz(legal), seat, need, now);
    const zf_solver *c = s->solver;
    uint32_t count = c->tens | c->fives, win = legal & beats, lose = legal & ~beats, safe = win;
    bool partner = ((now.winner ^ seat) & 1) == 0; /* wins the trick unless we take it */
    if (n == 2) {
        uint32_t last = legal_from(s->hand[(seat + 1) & 3], t->follow);
        partner = partner && !(last & beats);
        safe = partner ? win : unbeaten(t->higher, win, last);
    } else if (n == 1) {
        uint32_t third = legal_from(s->hand[(seat + 1) & 3], t->follow);
        uint32_t last = legal_from(s->hand[(seat + 2) & 3], t->follow);
        partner = unbeaten(t->higher, last & beats, third) != 0;
        safe = unbeaten(t->higher, win, third);
    }
    if (n >= 2 && !partner && !safe) { /* the other side can make sure of this trick */
        int most = t->total - 1 - (int)now.table - least_count(c, legal);
        if (most < need) return most;
    }
    try_order order =
        !partner ? in_order(safe & count, safe & ~count, lose & ~count, (lose & count) | (win & ~safe))
        : n == 1 ? in_order((safe | lose) & count, safe & ~count, lose & ~count, win & ~safe)
                 : in_order(legal & count, lose & ~count, win & ~count, 0);
    int most = -1;
    do {
        uint32_t d = next_try(&order);
        int value = follow_with(s, t, n, d, seat, need, now);
        if (value >= need) return value;
        most = value > most ? value : most;
        if (n < 3) /* behind the last seat the test costs more than the search it saves */
            drop(&order, same_play(s, d, all_tries(&order), seat, beats));
    } while (order.first | order.last);
    return most;
}

ZF_HOT static int fourth_seat(search *s, const trick *t, uint32_t seat, int need, standing now) {
    return follow(s, t, 3, seat, need, now);
}

ZF_HOT static int third_seat(search *s, const trick *t, uint32_t seat, int need, standing now) {
    return follow(s, t, 2, seat, need, now);
}

ZF_HOT static int second_seat(search *s, const trick *t, uint32_t seat, int need, standing now) {
    return follow(s, t, 1, seat, need, now);
}

/* --- at a trick's start --------------------------------------------------------------------------- */

/* Points the leader's side cannot lose: dominoes that nobody can beat are led one after the other,
 * then one that only the partner could take. */
ZF_INLINE int sure_points(const search *s, uint32_t hand, uint32_t opponents, uint32_t partner,
                          int total) {
    const zf_solver *c = s->solver;
    uint32_t sure = 0, ours = 0;
    for (uint32_t m = hand; m; m &= m - 1) {
        uint32_t beats = s->decl->beats[__builtin_ctz(m)];
        sure |= beats & (opponents | partner) ? 0 : m & -m;
        ours |= beats & opponents ? 0 : m & -m;
    }
    if (sure == hand) return total;
    ours &= ~sure;
    int once = ours & c->tens ? 11 : ours & c->fives ? 6 : ours != 0;
    return __builtin_popcount(sure) + count_of(c, sure) + once;
}

/* Points that the holder of the highest trumps left takes with them, whenever they are played; an
 * upper bound for the other side. *mine: the holder is on the side of hand. */
ZF_INLINE int trump_points(const search *s, uint32_t hand, uint32_t partner, uint32_t left1,
                           uint32_t left3, bool *mine) {
    uint32_t all = hand | partner | left1 | left3, trumps = all & s->decl->trumps, run = 0;
    const uint32_t *higher = s->decl->higher[ZF_CALLED_SUIT];
    *mine = false;
    if (!trumps) return 0;
    uint32_t top = unbeaten(higher, trumps, trumps);
    uint32_t holder = top & hand ? hand : top & partner ? partner : top & left1 ? left1 : left3;
    run = unbeaten(higher, trumps & holder, trumps & ~holder);
    *mine = (top & (hand | partner)) != 0;
    return __builtin_popcount(run) + count_of(s->solver, run);
}

/* Leads that win the trick, either themselves or through the partner, first those that bring count;
 * then trumps, other small dominoes, and count that will be lost. */
ZF_INLINE try_order lead_order(const search *s, uint32_t leader) {
    const zf_solver *c = s->solver;
    uint32_t hand = s->hand[leader], left = s->hand[(leader + 1) & 3];
    uint32_t partner = s->hand[(leader + 2) & 3], right = s->hand[(leader + 3) & 3];
    uint32_t count = c->tens | c->fives, wins = 0, forces = 0;
    for (uint32_t m = hand; m; m &= m - 1) {
        uint32_t d = (uint32_t)__builtin_ctz(m), follow = s->follow[s->led[d]];
        uint32_t reply1 = legal_from(left, follow), reply3 = legal_from(right, follow);
        uint32_t beats = s->decl->beats[d];
        bool won = !(beats & (reply1 | reply3)) ||
                   unbeaten(s->decl->higher[s->led[d]], legal_from(partner, follow) & beats,
                            reply1 | reply3);
        wins |= won ? m & -m : 0;
        forces |= !(reply1 & ~count) || !(reply3 & ~count) ? m & -m : 0;
    }
    uint32_t rich = wins & (count | forces), lost = hand & ~wins;
    try_order order = in_order(rich, wins & ~rich, lost & ~count & s->decl->trumps,
                               lost & ~count & ~s->decl->trumps);
    return order; /* lost & count is what lead_all has left over */
}

ZF_INLINE int lead(search *s, uint32_t leader, uint32_t d, int total, int need) {
    uint32_t suit = s->led[d];
    trick t = {s->decl->higher[suit], s->follow[suit], total};
    s->nodes++;
    s->hand[leader] ^= 1u << d;
    standing now = {d, leader, zf_count[d]};
    int value = total - second_seat(s, &t, (leader + 1) & 3, total - need + 1, now);
    s->hand[leader] ^= 1u << d;
    return value;
}

/* All leads until one is enough; *first is tried first and becomes the best one. */
ZF_INLINE int lead_all(search *s, uint32_t leader, int total, int need, uint32_t *first) {
    uint32_t left = s->hand[leader], best = NO_DOMINO;
    int most = -1;
    bool ordered = *first == NO_DOMINO;
    try_order order = ordered ? lead_order(s, leader) : (try_order){1ull << *first, 0};
    for (;;) {
        if (!(order.first | order.last)) order.first = left;
        uint32_t d = next_try(&order);
        left &= ~(1u << d);
        int value = lead(s, leader, d, total, need);
        if (value > most) most = value, best = d;
        if (value >= need || !left) break;
        left &= ~same_play(s, d, left, leader, 0);
        if (!left) break;
        if (!ordered) order = lead_order(s, leader);
        ordered = true;
        drop(&order, ~left);
    }
    *first = best;
    return most;
}

ZF_HOT static int trick_start(search *s, uint32_t leader, int total, int need) {
    zf_solver *c = s->solver;
    uint32_t hand = s->hand[leader], partner = s->hand[(leader + 2) & 3];
    uint32_t left = s->hand[(leader + 1) & 3], right = s->hand[(leader + 3) & 3];
    uint32_t all = hand | partner | left | right;
    uint64_t key = all | (uint64_t)leader << ZF_N_DOMINOES, tag = tag_of(key, c->stamp);
    uint64_t *slot = &c->table[key * 0x9E3779B97F4A7C15ull >> (64 - c->table_bits)], entry = *slot;
    bounds known = {0, total, NO_DOMINO};
    if (has_tag(entry, tag)) {
        known = unpack(entry);
        if (known.low >= need) return known.low;
        if (known.high < need) return known.high;
    }
    int sure = sure_points(s, hand, left | right, partner, total);
    if (sure >= need) return sure;
    bool two_left = __builtin_popcount(hand) == 2; /* there, searching costs less than the bounds */
    if (!two_left) {
        bool mine;
        int points = trump_points(s, hand, partner, left, right, &mine);
        if (mine && points >= need) return points;
        if (!mine && total - points < need) return total - points;
    }
    uint32_t interchangeable = s->interchangeable;
    s->interchangeable = two_left ? 0 : interchangeable_of(s->decl, all);
    int value = lead_all(s, leader, total, need, &known.lead);
    s->interchangeable = interchangeable;
    if (value >= need)
        known.low = value;
    else
        known.high = value;
    *slot = pack(tag, known);
    return value;
}

/* --- whole positions ------------------------------------------------------------------------------ */

/* Start on a position. Bounds of the last one stay valid if this one is of the same deal. */
static void begin(search *s, zf_solver *c, const zf_position *p) {
    uint32_t owner[4];
    bool same = c->owner_decl == p->decl;
    for (int i = 0; i < 4; i++) owner[i] = s->hand[i] = p->hand[i];
    for (uint32_t i = 0; i < p->n_table; i++) owner[(p->leader + i) & 3u] |= 1u << p->table[i];
    for (int i = 0; i < 4; i++) same &= (owner[i] & ~c->owner[i]) == 0;
    if (!same) {
        memcpy(c->owner, owner, sizeof owner);
        c->owner_decl = p->decl;
        if (++c->stamp >> STAMP_BITS) {
            memset(c->table, 0, sizeof c->table[0] << c->table_bits);
            c->stamp = 1;
        }
    }
    s->solver = c;
    s->decl = &c->decl[p->decl];
    s->follow = zf_follow[p->decl];
    s->led = zf_led_suit[p->decl];
    s->nodes = 0;
}

/* How the trick of a position stands whose table is not empty. */
static standing table_standing(const search *s, const zf_position *p) {
    standing now = {p->table[0], p->leader, zf_count[p->table[0]]};
    const uint32_t *higher = s->decl->higher[s->led[p->table[0]]];
    for (uint32_t i = 1; i < p->n_table; i++) {
        now.table += zf_count[p->table[i]];
        if (!(higher[now.best] >> p->table[i] & 1)) continue;
        now.best = p->table[i];
        now.winner = (p->leader + i) & 3u;
    }
    return now;
}

/* Whether the mover's side has need points to come: fail-soft, as everywhere; s->hand is p's. */
static int zero_window(search *s, const zf_position *p, int total, int need) {
    uint32_t mover = zf_position_to_play(p);
    if (total == 0 || need <= 0) return 0;
    if (need > total) return total;
    if (p->n_table == 0) return from_trick(s, p->leader, total, need);
    standing now = table_standing(s, p);
    uint32_t suit = s->led[p->table[0]];
    trick t = {s->decl->higher[suit], s->follow[suit], total};
    s->interchangeable = 0;
    return p->n_table == 1   ? second_seat(s, &t, mover, need, now)
           : p->n_table == 2 ? third_seat(s, &t, mover, need, now)
                             : fourth_seat(s, &t, mover, need, now);
}

/* The exact value for the mover's side: zero windows close in from both ends, first at guess, then
 * at a growing distance from the bound just found, at most half-way. */
static int exact_value(search *s, const zf_position *p, int total, int guess, int step) {
    int low = 0, high = total, need = guess;
    while (low < high) {
        int half = (low + high + 1) / 2;
        need = need <= low ? low + 1 : need > high ? high : need;
        int value = zero_window(s, p, total, need);
        if (value >= need) {
            low = value;
            half = (low + high + 1) / 2;
            need = low + step < half ? low + step : half;
        } else {
            high = value;
            half = (low + high + 1) / 2;
            need = high - step + 1 > half ? high - step + 1 : half;
        }
        step *= 2;
    }
    return low;
}

#define HALVING 64 /* a first step this wide makes exact_value() halve the range every time */

int zf_solve(zf_solver *c, const zf_position *p) {
    search s;
    int total = zf_position_points(p);
    begin(&s, c, p);
    int value = exact_value(&s, p, total, (total + 1) / 2, HALVING);
    add_nodes(c, s.nodes);
    return zf_position_to_play(p) & 1 ? total - value : value;
}

bool zf_solve_at_least(zf_solver *c, const zf_position *p, int points) {
    search s;
    int total = zf_position_points(p);
    bool second_team = zf_position_to_play(p) & 1;
    int need = second_team ? total - points + 1 : points;
    begin(&s, c, p);
    bool reached = total == 0 ? points <= 0 : need <= 0 || zero_window(&s, p, total, need) >= need;
    add_nodes(c, s.nodes);
    return total == 0 ? reached : reached != second_team;
}

/* The position after a legal play; returns the points that team 0 takes with it. */
static int play(const search *s, zf_position *p, uint32_t d) {
    uint32_t mover = zf_position_to_play(p);
    p->hand[mover] &= ~(1u << d);
    if (p->n_table < 3) {
        p->table[p->n_table++] = (uint8_t)d;
        return 0;
    }
    standing now = table_standing(s, p);
    if (s->decl->higher[s->led[p->table[0]]][now.best] >> d & 1) now.winner = mover;
    p->leader = (uint8_t)now.winner;
    p->n_table = 0;
    memset(p->table, 0, sizeof p->table);
    return now.winner & 1 ? 0 : 1 + (int)now.table + zf_count[d];
}

/* What beats the best domino on the table; nothing when there is none. */
static uint32_t table_beats(const search *s, const zf_position *p) {
    if (p->n_table == 0) return 0;
    return s->decl->higher[s->led[p->table[0]]][table_standing(s, p).best];
}

void zf_solve_plays(zf_solver *c, const zf_position *p, int8_t points[ZF_N_DOMINOES]) {
    search s;
    uint32_t seat = zf_position_to_play(p), hand = p->hand[seat];
    begin(&s, c, p);
    uint32_t left = p->n_table ? legal_from(hand, s.follow[s.led[p->table[0]]]) : hand;
    uint32_t all = p->hand[0] | p->hand[1] | p->hand[2] | p->hand[3];
    uint32_t interchangeable = interchangeable_of(s.decl, all);
    int known = -1; /* team 0's points after the play before: the next one's are likely near */
    memset(points, -1, ZF_N_DOMINOES);
    while (left) {
        uint32_t d = (uint32_t)__builtin_ctz(left);
        memcpy(s.hand, p->hand, sizeof s.hand);
        s.interchangeable = interchangeable;
        uint32_t same = same_play(&s, d, left & (left - 1), seat, table_beats(&s, p)) | 1u << d;
        zf_position after = *p;
        int taken = play(&s, &after, d), total = zf_position_points(&after);
        bool second_team = zf_position_to_play(&after) & 1;
        int guess = second_team ? total - (known - taken) : known - taken;
        memcpy(s.hand, after.hand, sizeof s.hand);
        int value = known < 0 ? exact_value(&s, &after, total, (total + 1) / 2, HALVING)
                              : exact_value(&s, &after, total, guess, 1);
        known = taken + (second_team ? total - value : value);
        for (left &= ~same; same; same &= same - 1) points[__builtin_ctz(same)] = (int8_t)known;
    }
    add_nodes(c, s.nodes);
}

int zf_solve_outcome(zf_solver *c, const zf_state *state) {
    zf_position p;
    zf_aim aim = zf_aim_of(&state->contract, 0);
    int need = aim.won - state->points[0], least = aim.lost + 1 - state->points[0];
    zf_position_of(&p, state);
    if (zf_solve_at_least(c, &p, need)) return 1;
    return least < need && zf_solve_at_least(c, &p, least) ? 0 : -1;
}
