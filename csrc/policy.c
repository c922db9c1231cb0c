#include "policy.h"

/* Trumps of all dominoes; doubles as a plain suit are none. */
ZF_INLINE uint32_t trumps_of(uint32_t decl) {
    return decl < 8 ? zf_follow[decl][ZF_CALLED_SUIT] : 0;
}

/* Legal dominoes that would be best on the table. */
ZF_INLINE uint32_t winners_of(const zf_state *s, uint32_t legal) {
    const uint8_t *rank = zf_rank[s->decl][s->suit];
    uint32_t found = 0;
    for (uint32_t left = legal; left; left &= left - 1) {
        uint32_t domino = (uint32_t)__builtin_ctz(left);
        found |= (uint32_t)(rank[domino] > s->best_rank) << domino;
    }
    return found;
}

/* A call as everywhere else, of one in a contract (records.h). */
ZF_INLINE int32_t call_of(uint32_t bid) {
    return (int32_t)(bid < ZF_CONTRACT_MARK ? bid : ZF_CONTRACT_MARK * (bid - 41));
}

/* What the hand is played for. */
ZF_INLINE void see_contract(zf_view *v, const zf_state *s, uint32_t bid) {
    uint32_t seat = s->to_play;
    const zf_contract *c = &s->contract;
    v->bidder = (int32_t)((s->first_leader - seat) & 3);
    v->bid = call_of(bid);
    v->shaker = -1;
    v->marks[0] = v->marks[1] = 0;
    for (int i = 0; i < ZF_N_SEATS; i++) v->calls[i] = -1;
    if (ZF_LIKELY(c->bid == 0)) return;
    v->bid = call_of(c->bid);
    v->bidder = (int32_t)((c->bidder - seat) & 3);
    v->shaker = (int32_t)((c->shaker - seat) & 3);
    v->marks[seat & 1] = c->marks & 15;
    v->marks[~seat & 1] = c->marks >> 4;
    for (uint32_t i = 0; i < ZF_N_SEATS; i++) {
        uint8_t call = c->calls[(seat + i) & 3];
        v->calls[i] = call == 0 ? -1 : call == ZF_CONTRACT_PASS ? 0 : call_of(call);
    }
}

ZF_INLINE void see(zf_view *v, const zf_state *s, uint32_t legal, uint32_t bid) {
    uint32_t seat = s->to_play, n_table = s->n_plays % ZF_N_SEATS;
    v->phase = 3;
    v->legal = (int32_t)legal;
    v->hand = (int32_t)s->hand[seat];
    v->dealt = (int32_t)s->dealt[seat];
    for (uint32_t i = 0; i < ZF_N_SEATS; i++) {
        uint32_t other = (seat + i) & 3;
        v->played[i] = (int32_t)(s->dealt[other] & ~s->hand[other]);
    }
    v->winners = (int32_t)(n_table ? winners_of(s, legal) : legal);
    v->trumps = (int32_t)trumps_of(s->decl);
    v->decl = s->decl;
    v->n_plays = s->n_plays;
    v->n_table = (int32_t)n_table;
    const uint8_t *table = s->plays + (s->n_plays - n_table);
    for (uint32_t i = 0; i < 3; i++) v->table[i] = i < n_table ? table[i] & 31 : -1;
    v->suit = n_table ? s->suit : -1;
    v->leader = (int32_t)(-n_table & 3);
    v->best = n_table ? (int32_t)((s->best - seat) & 3) : -1;
    v->table_points = n_table ? s->table_points : 0;
    v->points[0] = s->points[seat & 1];
    v->points[1] = s->points[~seat & 1];
    v->target = 0;
    see_contract(v, s, bid);
    for (int i = 0; i < ZF_N_PLIES; i++) {
        int8_t relative = (int8_t)((s->plays[i] - (seat << 5)) & 0x7F);
        v->plays[i] = i < s->n_plays ? relative : -1;
    }
}

void zf_view_of(zf_view *view, const zf_state *s, uint32_t bid) { see(view, s, zf_legal(s), bid); }

ZF_INLINE uint32_t choose(zf_policy_player *player, const zf_state *s, uint32_t bid, uint64_t key,
                          zf_policy_run *run) {
    zf_view view;
    uint32_t legal = zf_legal(s);
    if ((legal & (legal - 1)) == 0) return (uint32_t)__builtin_ctz(legal);
    see(&view, s, legal, bid);
    int32_t answer = player->answer(&view, zf_policy_draw(key, s->n_plays));
    run->calls = run->calls + 1;
    if (ZF_LIKELY(answer >= 0 && answer < ZF_N_DOMINOES && (legal >> answer & 1)))
        return (uint32_t)answer;
    run->answer = answer;
    player->replaced += player->replaces;
    return player->replaces ? (uint32_t)__builtin_ctz(legal) : ZF_N_DOMINOES;
}

int32_t zf_policy_random(const zf_view *view, int64_t random) {
    uint32_t legal = (uint32_t)view->legal, n = (uint32_t)__builtin_popcount(legal);
    return (int32_t)zf_select(legal, zf_scale((uint64_t)random << 1, n), ZF_HAND_SIZE);
}

uint32_t zf_policy_choose(zf_policy_player *player, const zf_state *s, uint32_t bid, uint64_t key,
                          zf_policy_run *run) {
    return choose(player, s, bid, key, run);
}

ZF_HOT bool zf_policy_plays(zf_policy_player *player, const zf_state *s, const int64_t *rows, size_t n,
                     const zf_policy_asking *asking, uint8_t *dominoes, zf_policy_run *run) {
    for (size_t i = 0; i < n; i++) {
        run->at = (int64_t)i;
        uint64_t key = zf_stream_key(asking->seed, asking->stream, asking->games[i]);
        uint32_t domino = choose(player, &s[rows[i]], asking->bids[i], key, run);
        if (ZF_UNLIKELY(domino == ZF_N_DOMINOES)) return false;
        dominoes[i] = (uint8_t)domino;
    }
    return true;
}

ZF_HOT bool zf_policy_games(zf_policy_player players[2], zf_state *s, size_t n,
                     const uint8_t *first_team, const zf_policy_asking *asking,
                     zf_policy_run *run) {
    for (size_t i = 0; i < n; i++) {
        run->at = (int64_t)i;
        uint64_t key = zf_stream_key(asking->seed, asking->stream, asking->games[i]);
        while (!zf_over(&s[i])) {
            zf_policy_player *player = &players[(s[i].to_play ^ first_team[i]) & 1];
            uint32_t domino = choose(player, &s[i], asking->bids[i], key, run);
            if (ZF_UNLIKELY(domino == ZF_N_DOMINOES)) return false;
            zf_play(&s[i], domino);
        }
    }
    return true;
}

void zf_policy_answers(zf_policy policy, const zf_view *views, const int64_t *randoms, size_t n,
                       int32_t *answers, zf_policy_run *run) {
    for (size_t i = 0; i < n; i++) {
        run->at = (int64_t)i;
        answers[i] = policy(&views[i], randoms[i]);
        run->calls = run->calls + 1;
    }
}
