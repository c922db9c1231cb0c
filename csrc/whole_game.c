#include "whole_game.h"

#include "engine.h"
#include "rng.h"

#define NO_DECL 255

ZF_INLINE bool is_nello(uint32_t decl) { return decl >= ZF_NELLO && decl < ZF_SEVENS; }

/* The seat that does not play: the bidder's partner in nello. */
ZF_INLINE uint32_t closed_seat(const zf_whole_game *g) {
    return is_nello(g->hand.decl) ? g->bidder ^ 2u : ZF_NOBODY;
}

ZF_INLINE uint32_t trick_size(const zf_whole_game *g) {
    return is_nello(g->hand.decl) ? ZF_N_SEATS - 1 : ZF_N_SEATS;
}

ZF_INLINE uint32_t declarer(const zf_whole_game *g) {
    return zf_is_house_call(g->bid) ? g->bidder ^ 2u : g->bidder;
}

void zf_whole_init(zf_whole_game *g, uint8_t shaker) {
    memset(g, 0, sizeof *g);
    g->shaker = shaker;
    g->bidder = ZF_NOBODY;
    g->winner = ZF_NO_TEAM;
    g->last.bidder = ZF_NOBODY;
    g->last.decl = NO_DECL;
    g->last.made = ZF_NO_HAND;
}

ZF_INLINE void begin_hand(zf_whole_game *g, const zf_rule_set *r) {
    memset(g->calls, 0, sizeof g->calls);
    g->n_calls = 0;
    g->bid = ZF_PASS;
    g->bidder = ZF_NOBODY;
    g->phase = ZF_PHASE_CALL;
    if (r->drop30) {
        g->bid = g->calls[0] = ZF_LEAST_BID;
        g->n_calls = 1;
        g->bidder = (g->shaker + 1) & 3;
        g->phase = ZF_PHASE_DECLARE;
    }
}

void zf_whole_deal(zf_whole_game *g, const zf_rule_set *r, const uint32_t hands[4]) {
    zf_init(&g->hand, hands, 0, 0);
    begin_hand(g, r);
}

void zf_whole_deal_seeded(zf_whole_game *g, const zf_rule_set *r, uint64_t seed, uint64_t game) {
    uint64_t key = zf_stream_key(seed, ZF_STREAM_WHOLE_DEAL, game);
    zf_deal(&g->hand, zf_bits(key, g->n_hands + 1u), ZF_STREAM_DEAL, 0);
    g->hand.decl = g->hand.first_leader = g->hand.to_play = 0;
    begin_hand(g, r);
}

uint8_t zf_whole_first_shaker(uint64_t seed, uint64_t game) {
    return (uint8_t)zf_bounded(zf_stream_key(seed, ZF_STREAM_WHOLE_DEAL, game), 0, ZF_N_SEATS);
}

ZF_INLINE uint32_t seat_of(const zf_whole_game *g) {
    switch (g->phase) {
    case ZF_PHASE_CALL: return (g->shaker + 1u + g->n_calls) & 3;
    case ZF_PHASE_DECLARE: return declarer(g);
    case ZF_PHASE_PLAY: return g->hand.to_play;
    default: return ZF_NOBODY;
    }
}

uint32_t zf_whole_seat(const zf_whole_game *g) { return seat_of(g); }

/* Whether a shaker after three passes may not pass. */
ZF_INLINE bool forces(const zf_whole_game *g, const zf_rule_set *r) {
    return r->force || g->thrown_in >= r->most_reshakes;
}

ZF_INLINE bool must_bid(const zf_whole_game *g, const zf_rule_set *r) {
    return forces(g, r) && g->n_calls == ZF_N_SEATS - 1 && g->bid == ZF_PASS;
}

/* Whether the standing bid is one that the shaker had to make. */
ZF_INLINE bool had_to_bid(const zf_whole_game *g, const zf_rule_set *r) {
    bool passed = (g->calls[0] | g->calls[1] | g->calls[2]) == ZF_PASS;
    return forces(g, r) && g->n_calls == ZF_N_SEATS && passed;
}

bool zf_whole_must_bid(const zf_whole_game *g, const zf_rule_set *r) { return must_bid(g, r); }

/* The pip that most of a hand has, the higher of equals. */
static uint32_t longest_pip(uint32_t hand) {
    uint32_t best = 0, most = 0;
    for (uint32_t pip = 0; pip < 7; pip++) {
        uint32_t n = (uint32_t)__builtin_popcount(hand & zf_follow[pip][ZF_CALLED_SUIT]);
        if (n >= most) most = n, best = pip;
    }
    return best;
}

ZF_INLINE uint32_t legal_declarations(const zf_whole_game *g, const zf_rule_set *r) {
    uint32_t marks = zf_marks_of(g->bid);
    if (r->drop30) return 1u << longest_pip(g->hand.dealt[g->bidder]);
    uint32_t found = 0xFFu | (uint32_t)r->straight << 8;
    if (zf_is_house_call(g->bid)) return found;
    bool forced = had_to_bid(g, r);
    if (marks >= r->nello_marks && (forced || !r->nello_forced))
        found |= (uint32_t)r->nello << ZF_NELLO;
    if (r->sevens && marks >= r->sevens && (forced || !r->sevens_forced))
        found |= 1u << ZF_SEVENS;
    return found;
}

/* The dominoes of a hand that are nearest to seven pips. */
static uint32_t nearest_to_seven(uint32_t hand) {
    const uint8_t *rank = zf_rank[ZF_SEVENS][ZF_CALLED_SUIT];
    uint32_t best = 0, found = 0;
    for (uint32_t left = hand; left; left &= left - 1) {
        uint32_t domino = (uint32_t)__builtin_ctz(left);
        if (rank[domino] > best) best = rank[domino], found = 0;
        if (rank[domino] == best) found |= 1u << domino;
    }
    return found;
}

ZF_INLINE uint32_t legal_dominoes(const zf_whole_game *g) {
    if (ZF_LIKELY(g->hand.decl < ZF_N_DECLARATIONS)) return zf_legal(&g->hand);
    if (g->hand.decl == ZF_SEVENS) return nearest_to_seven(g->hand.hand[g->hand.to_play]);
    return zf_legal_among(&g->hand, ZF_N_SEATS - 1);
}

ZF_INLINE uint32_t legal_of(const zf_whole_game *g, const zf_rule_set *r) {
    switch (g->phase) {
    case ZF_PHASE_CALL: {
        uint32_t hand = g->hand.dealt[seat_of(g)];
        uint32_t doubles = (uint32_t)__builtin_popcount(hand & ZF_DOUBLES);
        return zf_legal_calls(r, g->bid, doubles, must_bid(g, r));
    }
    case ZF_PHASE_DECLARE: return legal_declarations(g, r);
    case ZF_PHASE_PLAY: return legal_dominoes(g);
    default: return 0;
    }
}

uint32_t zf_whole_legal(const zf_whole_game *g, const zf_rule_set *r) { return legal_of(g, r); }

/* The bidder's side counts first where both have what wins. */
ZF_INLINE void end_hand(zf_whole_game *g, const zf_rule_set *r, uint32_t team) {
    for (int side = 0; side < 2; side++) g->marks[side] += g->last.award[side];
    g->n_hands++;
    if (g->marks[team] >= r->target || g->marks[team ^ 1] >= r->target) {
        g->winner = (uint8_t)(g->marks[team] >= r->target ? team : team ^ 1);
        g->phase = ZF_PHASE_OVER;
    } else {
        g->shaker = (g->shaker + 1) & 3;
        g->phase = ZF_PHASE_DEAL;
    }
}

ZF_INLINE void call(zf_whole_game *g, const zf_rule_set *r, uint32_t bit) {
    uint32_t seat = seat_of(g), made = zf_call_of_bit(r, g->bid, bit);
    g->calls[g->n_calls++] = (uint16_t)made;
    if (made != ZF_PASS) g->bid = (uint16_t)made, g->bidder = (uint8_t)seat;
    if (g->n_calls < ZF_N_SEATS) return;
    if (g->bid != ZF_PASS) {
        g->phase = ZF_PHASE_DECLARE;
        return;
    }
    g->last = (zf_hand_result){.bidder = ZF_NOBODY, .decl = NO_DECL, .made = ZF_THROWN_IN};
    g->thrown_in++;
    end_hand(g, r, 0);
}

ZF_INLINE uint32_t decided(const zf_whole_game *g) {
    uint32_t team = g->bidder & 1;
    uint32_t own = g->hand.points[team], others = g->hand.points[team ^ 1];
    if (is_nello(g->hand.decl)) {
        bool finished = g->hand.n_plays == ZF_N_TRICKS * (ZF_N_SEATS - 1);
        return own ? ZF_SET : finished ? ZF_MADE : ZF_UNDECIDED;
    }
    uint32_t need = g->bid < ZF_TOTAL_POINTS ? g->bid : ZF_TOTAL_POINTS;
    return own >= need ? ZF_MADE : others > ZF_TOTAL_POINTS - need ? ZF_SET : ZF_UNDECIDED;
}

uint32_t zf_whole_decided(const zf_whole_game *g) {
    return g->phase == ZF_PHASE_PLAY ? decided(g) : ZF_UNDECIDED;
}

/* Whether all seven tricks pay more than the contract of the hand in play. */
ZF_INLINE bool sweeps(const zf_whole_game *g, const zf_rule_set *r) {
    return r->forced_sweep > 1 && had_to_bid(g, r) && g->bid < ZF_MARK && !is_nello(g->hand.decl);
}

ZF_INLINE bool sweep_open(const zf_whole_game *g, const zf_rule_set *r) {
    uint32_t team = g->bidder & 1;
    return sweeps(g, r) && g->hand.points[team ^ 1] == 0 &&
           g->hand.points[team] < ZF_TOTAL_POINTS;
}

bool zf_whole_sweep_open(const zf_whole_game *g, const zf_rule_set *r) {
    return g->phase == ZF_PHASE_PLAY && sweep_open(g, r);
}

/* Award what a decided hand is worth. */
static void settle(zf_whole_game *g, const zf_rule_set *r, bool made) {
    uint32_t team = g->bidder & 1, marks = zf_marks_of(g->bid);
    g->last = (zf_hand_result){
        .bid = g->bid, .bidder = g->bidder, .decl = g->hand.decl, .made = made ? ZF_MADE : ZF_SET,
        .points = {g->hand.points[0], g->hand.points[1]}};
    uint16_t *award = g->last.award;
    if (!r->for_points) {
        bool swept = sweeps(g, r) && g->hand.points[team] == ZF_TOTAL_POINTS;
        award[made ? team : team ^ 1] = (uint16_t)(swept ? r->forced_sweep : marks ? marks : 1);
    } else if (made) {
        award[0] = g->hand.points[0];
        award[1] = g->hand.points[1];
        if (g->bid > ZF_MARK) award[team] = g->bid;
    } else {
        award[team ^ 1] = (uint16_t)(g->hand.points[team ^ 1] + g->bid);
    }
    g->thrown_in = 0;
    end_hand(g, r, team);
}

ZF_INLINE void play(zf_whole_game *g, const zf_rule_set *r, uint32_t domino) {
    uint32_t size = trick_size(g);
    if (ZF_LIKELY(size == ZF_N_SEATS))
        zf_play(&g->hand, domino);
    else
        zf_play_among(&g->hand, domino, ZF_N_SEATS - 1, closed_seat(g));
    if (g->hand.n_plays % size != 0) return;
    uint32_t outcome = decided(g);
    bool all = g->hand.n_plays == ZF_N_TRICKS * size;
    bool early = r->early_end && !r->for_points && outcome != ZF_UNDECIDED;
    if (all || (early && !sweep_open(g, r))) settle(g, r, outcome == ZF_MADE);
}

ZF_INLINE uint8_t marks_shown(const zf_whole_game *g, const zf_rule_set *r, int team) {
    if (r->for_points) return 0;
    return (uint8_t)(g->marks[team] < ZF_CONTRACT_MOST_MARKS ? g->marks[team] : ZF_CONTRACT_MOST_MARKS);
}

/* What the declared hand is played for. */
ZF_INLINE zf_contract contract_of(const zf_whole_game *g, const zf_rule_set *r) {
    zf_contract c = {zf_contract_bid(g->bid), g->bidder, g->shaker,
                     (uint8_t)(marks_shown(g, r, 0) | marks_shown(g, r, 1) << 4), {0}};
    for (uint32_t i = 0; i < g->n_calls; i++)
        c.calls[(g->shaker + 1 + i) & 3] =
            g->calls[i] == ZF_PASS ? ZF_CONTRACT_PASS : zf_contract_bid(g->calls[i]);
    return c;
}

ZF_INLINE void act(zf_whole_game *g, const zf_rule_set *r, uint32_t action) {
    g->n_actions++;
    if (ZF_LIKELY(g->phase == ZF_PHASE_PLAY)) {
        play(g, r, action);
    } else if (g->phase == ZF_PHASE_CALL) {
        call(g, r, action);
    } else {
        g->hand.decl = (uint8_t)action;
        g->hand.contract = contract_of(g, r);
        g->hand.first_leader = g->hand.to_play =
            (uint8_t)(r->partner_leads ? declarer(g) : g->bidder);
        g->phase = ZF_PHASE_PLAY;
    }
}

void zf_whole_act(zf_whole_game *g, const zf_rule_set *r, uint32_t action) { act(g, r, action); }

void zf_whole_end_hand(zf_whole_game *g, const zf_rule_set *r) {
    settle(g, r, decided(g) == ZF_MADE);
}

ZF_INLINE uint32_t random_choice(const zf_whole_game *g, const zf_rule_set *r, uint64_t key) {
    uint32_t legal = legal_of(g, r), n = (uint32_t)__builtin_popcount(legal);
    return zf_select(legal, zf_bounded(key, g->n_actions, n), n);
}

uint32_t zf_whole_random_choice(const zf_whole_game *g, const zf_rule_set *r, uint64_t seed,
                                uint64_t game) {
    return random_choice(g, r, zf_stream_key(seed, ZF_STREAM_WHOLE_PLAY, game));
}

ZF_HOT void zf_whole_random_games(zf_whole_game *out, const zf_rule_set *r, size_t n,
                                  uint64_t seed, uint64_t first_game) {
    for (size_t i = 0; i < n; i++) {
        uint64_t key = zf_stream_key(seed, ZF_STREAM_WHOLE_PLAY, first_game + i);
        zf_whole_init(&out[i], zf_whole_first_shaker(seed, first_game + i));
        while (out[i].phase != ZF_PHASE_OVER) {
            zf_whole_deal_seeded(&out[i], r, seed, first_game + i);
            while (out[i].phase != ZF_PHASE_DEAL && out[i].phase != ZF_PHASE_OVER)
                act(&out[i], r, random_choice(&out[i], r, key));
        }
    }
}
