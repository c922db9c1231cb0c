/* Positions with open hands: whether they can be, and where they come from. */
#include "solve.h"

/* Whether the seat has put a domino into the trick on the table. */
ZF_INLINE uint32_t has_played(const zf_position *p, uint32_t seat) {
    return ((seat - p->leader) & 3u) < p->n_table;
}

/* Tricks not yet finished, as most seats tell it; the seat that tells otherwise is at fault. A seat
 * holds one domino for each of them, less the one it has on the table. */
static uint32_t tricks_left(const zf_position *p) {
    uint32_t votes[ZF_N_DOMINOES + 2] = {0};
    uint32_t best = p->n_table > 0; /* the trick on the table is unfinished */
    for (uint32_t seat = 0; seat < ZF_N_SEATS; seat++)
        votes[(uint32_t)__builtin_popcount(p->hand[seat]) + has_played(p, seat)]++;
    for (uint32_t n = 1; n <= ZF_HAND_SIZE; n++)
        if (votes[n] >= votes[best]) best = n;
    return best;
}

static zf_position_fault check_owners(const zf_position *p, int *seat, int *domino) {
    uint32_t seen = 0;
    for (int i = 0; i < 4; i++) {
        if (p->hand[i] & ~ZF_ALL_DOMINOES) {
            *seat = i;
            return ZF_POSITION_BAD_DOMINO;
        }
        if (seen & p->hand[i]) {
            *domino = __builtin_ctz(seen & p->hand[i]);
            return ZF_POSITION_TWICE;
        }
        seen |= p->hand[i];
    }
    for (int i = 0; i < p->n_table; i++) {
        if (seen >> p->table[i] & 1u) {
            *domino = p->table[i];
            return ZF_POSITION_TWICE;
        }
        seen |= 1u << p->table[i];
    }
    return ZF_POSITION_OK;
}

static zf_position_fault check_revokes(const zf_position *p, int *seat, int *domino) {
    if (p->n_table == 0) return ZF_POSITION_OK;
    uint32_t follow = zf_follow[p->decl][zf_led_suit[p->decl][p->table[0]]];
    for (int i = 1; i < p->n_table; i++) {
        int who = (p->leader + i) & 3;
        if (!(follow >> p->table[i] & 1u) && (p->hand[who] & follow)) {
            *seat = who;
            *domino = p->table[i];
            return ZF_POSITION_REVOKE;
        }
    }
    return ZF_POSITION_OK;
}

zf_position_fault zf_position_check(const zf_position *p, int *seat, int *domino) {
    *seat = *domino = -1;
    if (p->decl >= ZF_N_DECLARATIONS) return ZF_POSITION_BAD_DECL;
    if (p->leader > 3) return ZF_POSITION_BAD_LEADER;
    if (p->n_table > 3) return ZF_POSITION_BAD_TABLE;
    for (int i = 0; i < p->n_table; i++)
        if (p->table[i] >= ZF_N_DOMINOES) return ZF_POSITION_BAD_TABLE;
    zf_position_fault fault = check_owners(p, seat, domino);
    if (fault != ZF_POSITION_OK) return fault;
    uint32_t tricks = tricks_left(p);
    for (int i = 0; i < 4; i++) {
        uint32_t held = (uint32_t)__builtin_popcount(p->hand[i]);
        if (held + has_played(p, (uint32_t)i) != tricks) {
            *seat = i;
            return ZF_POSITION_BAD_SIZES;
        }
    }
    return check_revokes(p, seat, domino);
}

void zf_position_of(zf_position *p, const zf_state *s) {
    memset(p, 0, sizeof *p);
    memcpy(p->hand, s->hand, sizeof p->hand);
    p->decl = s->decl;
    p->n_table = s->n_plays & 3;
    p->leader = (uint8_t)((s->to_play - p->n_table) & 3);
    for (int i = 0; i < p->n_table; i++)
        p->table[i] = s->plays[s->n_plays - p->n_table + i] & 31;
}

int zf_position_points(const zf_position *p) {
    uint32_t held = p->hand[0] | p->hand[1] | p->hand[2] | p->hand[3];
    /* 1 for each unfinished trick */
    int points = (__builtin_popcount(held) + p->n_table) / ZF_N_SEATS;
    for (int i = 0; i < p->n_table; i++) points += zf_count[p->table[i]];
    for (; held; held &= held - 1) points += zf_count[__builtin_ctz(held)];
    return points;
}
