#include "auction.h"

#include "tables.h"

/* Mark bids are 1..7; in a game for points 1, 2, 4. */
ZF_INLINE uint32_t mark_bids(const zf_rule_set *r) {
    uint32_t all = r->for_points ? 0x16u : 0xFEu; /* bit m: m marks */
    return all & ((2u << r->most_marks) - 1);
}

/* Marks of a plunge or splash over the standing bid; 0 where it cannot be made. */
ZF_INLINE uint32_t house_marks(uint32_t least, uint32_t most, uint32_t standing) {
    uint32_t over = zf_marks_of(standing) + 1;
    uint32_t marks = over > least ? over : least;
    return least && marks <= most ? marks : 0;
}

ZF_INLINE uint32_t legal_calls(const zf_rule_set *r, uint32_t standing, uint32_t doubles,
                               bool must_bid) {
    uint32_t least = must_bid ? r->forced_bid : ZF_LEAST_BID;
    uint32_t from = standing + 1 > least ? standing + 1 : least;
    uint32_t held = zf_marks_of(standing), marks = mark_bids(r);
    uint32_t found = must_bid ? 0 : 1;
    if (from < ZF_MARK)
        found |= ((1u << (ZF_MARK - from)) - 1) << (1 + from - ZF_LEAST_BID);
    if (held == 0) {
        marks &= (2u << r->opening_marks) - 1; /* the first may jump */
    } else {
        marks &= ~((2u << held) - 1);
        marks &= -marks; /* the next one, and no jump */
    }
    found |= marks >> 1 << ZF_FIRST_MARK_BIT;
    if (doubles >= 4 && house_marks(r->plunge, ZF_MOST_MARKS, standing))
        found |= 1u << ZF_PLUNGE_BIT;
    if (doubles >= 3 && house_marks(r->splash, ZF_MOST_SPLASH, standing))
        found |= 1u << ZF_SPLASH_BIT;
    return found;
}

uint32_t zf_legal_calls(const zf_rule_set *r, uint32_t standing, uint32_t doubles, bool must_bid) {
    return legal_calls(r, standing, doubles, must_bid);
}

uint32_t zf_call_of_bit(const zf_rule_set *r, uint32_t standing, uint32_t bit) {
    if (bit == 0) return ZF_PASS;
    if (bit < ZF_FIRST_MARK_BIT) return ZF_LEAST_BID + bit - 1;
    if (bit < ZF_PLUNGE_BIT) return ZF_MARK * (bit - ZF_FIRST_MARK_BIT + 1);
    if (bit == ZF_PLUNGE_BIT) return ZF_MARK * house_marks(r->plunge, ZF_MOST_MARKS, standing) + 1;
    return ZF_MARK * house_marks(r->splash, ZF_MOST_SPLASH, standing) + 2;
}

static uint64_t perft(const zf_rule_set *r, uint32_t standing, int n_calls) {
    if (n_calls == ZF_N_SEATS) return 1;
    bool must_bid = r->force && n_calls == ZF_N_SEATS - 1 && standing == ZF_PASS;
    uint64_t total = 0;
    for (uint32_t legal = legal_calls(r, standing, 0, must_bid); legal; legal &= legal - 1) {
        uint32_t call = zf_call_of_bit(r, standing, (uint32_t)__builtin_ctz(legal));
        total += perft(r, call > standing ? call : standing, n_calls + 1);
    }
    return total;
}

uint64_t zf_auction_perft(const zf_rule_set *r) { return perft(r, ZF_PASS, 0); }
