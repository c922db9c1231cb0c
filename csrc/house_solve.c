#include "house_solve.h"

#include "state.h"

#define TABLE_BITS 14

/* Between tricks the dominoes still held and the leader say everything: who holds which was dealt. */
typedef struct {
    uint32_t key; /* held | (leader << 28), plus one above: an entry of zeros is empty */
    uint32_t value;
} entry;

typedef struct {
    entry table[1 << TABLE_BITS];
    uint64_t nodes;
    uint32_t n_seats, closed, team;
    bool sevens;
} search;

ZF_INLINE uint32_t legal_of(const search *c, const zf_state *s) {
    if (!c->sevens) return zf_legal_among(s, ZF_N_SEATS - 1);
    const uint8_t *rank = zf_rank[ZF_SEVENS][ZF_CALLED_SUIT];
    uint32_t best = 0, found = 0;
    for (uint32_t left = s->hand[s->to_play]; left; left &= left - 1) {
        uint32_t domino = (uint32_t)__builtin_ctz(left);
        if (rank[domino] > best) best = rank[domino], found = 0;
        if (rank[domino] == best) found |= 1u << domino;
    }
    return found;
}

ZF_INLINE void play(const search *c, zf_state *s, uint32_t domino) {
    if (c->sevens)
        zf_play(s, domino);
    else
        zf_play_among(s, domino, ZF_N_SEATS - 1, c->closed);
}

ZF_INLINE entry *entry_of(search *c, const zf_state *s, uint32_t *key) {
    uint32_t held = s->hand[0] | s->hand[1] | s->hand[2] | s->hand[3];
    *key = (held | (uint32_t)s->to_play << 28) + 1;
    return &c->table[(*key * 0x9E3779B1u) >> (32 - TABLE_BITS)];
}

/* Whether the bidder makes it from here. */
static bool made_from(search *c, const zf_state *s) {
    uint32_t loser = c->sevens ? c->team ^ 1 : c->team; /* whose first trick sets the contract */
    bool between = s->n_plays % c->n_seats == 0;
    entry *known = NULL;
    uint32_t key = 0;
    c->nodes++;
    if (s->points[loser]) return false;
    if (s->n_plays == ZF_N_TRICKS * c->n_seats) return true;
    if (between) {
        known = entry_of(c, s, &key);
        if (known->key == key) return known->value;
    }
    bool wants = (s->to_play & 1u) == c->team, found = !wants;
    for (uint32_t legal = legal_of(c, s); legal && found != wants; legal &= legal - 1) {
        zf_state next = *s;
        play(c, &next, (uint32_t)__builtin_ctz(legal));
        found = made_from(c, &next);
    }
    if (known) *known = (entry){key, found};
    return found;
}

static uint32_t made_after(search *c, const zf_state *s) {
    uint32_t made = 0;
    memset(c->table, 0, sizeof c->table);
    for (uint32_t legal = legal_of(c, s); legal; legal &= legal - 1) {
        zf_state next = *s;
        play(c, &next, (uint32_t)__builtin_ctz(legal));
        if (made_from(c, &next)) made |= legal & -legal;
    }
    return made;
}

uint64_t zf_house_made(const zf_house_hand *h, const uint32_t (*hands)[4], size_t n,
                       uint32_t *made) {
    search c;
    c.nodes = 0;
    c.sevens = h->decl == ZF_SEVENS;
    c.n_seats = c.sevens ? ZF_N_SEATS : ZF_N_SEATS - 1;
    c.closed = c.sevens ? ZF_N_SEATS : h->bidder ^ 2u;
    c.team = h->bidder & 1;
    for (size_t i = 0; i < n; i++) {
        zf_state s;
        uint32_t dealt[4];
        for (int seat = 0; seat < ZF_N_SEATS; seat++) dealt[seat] = hands[i][seat];
        for (int k = 0; k < h->n_plays; k++)
            dealt[h->plays[k] >> 5] |= 1u << (h->plays[k] & 31);
        zf_init(&s, dealt, h->decl, h->n_plays ? h->plays[0] >> 5 : h->to_play);
        for (int k = 0; k < h->n_plays; k++) play(&c, &s, h->plays[k] & 31u);
        made[i] = made_after(&c, &s);
    }
    return c.nodes;
}

/* The hand after its plays, with nothing in it but own; to_play is the viewer. */
static void replayed(zf_state *s, const zf_house_hand *h, uint32_t own) {
    bool sevens = h->decl == ZF_SEVENS;
    uint32_t n_seats = sevens ? ZF_N_SEATS : ZF_N_SEATS - 1;
    uint32_t closed = sevens ? ZF_N_SEATS : h->bidder ^ 2u, dealt[4] = {0};
    zf_init(s, dealt, h->decl, h->n_plays ? h->plays[0] >> 5 : h->to_play);
    for (int k = 0; k < h->n_plays; k++) zf_play_among(s, h->plays[k] & 31u, n_seats, closed);
    s->hand[s->to_play] = own;
}

/* What a seat that plays domino to a suit (when it follows) cannot hold. */
static uint32_t shown(uint32_t decl, bool leads, uint32_t suit, uint32_t domino) {
    uint32_t found = 0;
    if (decl != ZF_SEVENS) {
        uint32_t follow = zf_follow[decl][suit];
        return leads || (follow >> domino & 1) ? 0 : follow;
    }
    const uint8_t *rank = zf_rank[ZF_SEVENS][ZF_CALLED_SUIT];
    for (uint32_t d = 0; d < ZF_N_DOMINOES; d++) found |= (uint32_t)(rank[d] > rank[domino]) << d;
    return found;
}

void zf_house_knowledge(zf_knowledge *k, const zf_house_hand *h, uint32_t own) {
    uint32_t n_seats = h->decl == ZF_SEVENS ? ZF_N_SEATS : ZF_N_SEATS - 1;
    uint32_t suit = 0, known = own;
    zf_state s;
    replayed(&s, h, own);
    memset(k, 0, sizeof *k);
    k->own = own;
    k->viewer = s.to_play;
    for (int seat = 0; seat < ZF_N_SEATS; seat++) k->size[seat] = ZF_HAND_SIZE;
    for (uint32_t i = 0; i < h->n_plays; i++) {
        uint32_t domino = h->plays[i] & 31u, seat = h->plays[i] >> 5;
        bool leads = i % n_seats == 0;
        if (leads) suit = zf_led_suit[h->decl][domino];
        k->barred[seat] |= shown(h->decl, leads, suit, domino);
        k->size[seat]--;
        known |= 1u << domino;
    }
    k->hidden = ((1u << ZF_N_DOMINOES) - 1) & ~known;
}

#define WORLDS_AT_ONCE 64u

uint64_t zf_house_tally(const zf_house_hand *h, uint32_t own, uint64_t key, uint64_t first,
                        size_t n, uint32_t made[ZF_N_DOMINOES]) {
    zf_knowledge k;
    zf_world_set set;
    uint32_t hands[WORLDS_AT_ONCE][4], masks[WORLDS_AT_ONCE];
    uint64_t ranks[WORLDS_AT_ONCE], index = ((uint64_t)h->n_plays << 32) + first;
    zf_house_knowledge(&k, h, own);
    memset(made, 0, ZF_N_DOMINOES * sizeof *made);
    uint64_t count = zf_worlds_of(&set, &k);
    bool all = count <= first + n;
    uint64_t wanted = all ? count : n;
    for (uint64_t done = 0, some; done < wanted; done += some) {
        some = wanted - done < WORLDS_AT_ONCE ? wanted - done : WORLDS_AT_ONCE;
        for (uint64_t i = 0; i < some; i++) ranks[i] = done + i;
        if (all)
            zf_worlds_unrank_many(&set, ranks, some, hands);
        else
            zf_worlds_sample_many(&set, key, index + done, some, hands);
        zf_house_made(h, (const uint32_t (*)[4])hands, some, masks);
        for (uint64_t i = 0; i < some; i++)
            for (uint32_t left = masks[i]; left; left &= left - 1) made[__builtin_ctz(left)]++;
    }
    return count;
}
