/* What a contract asks of a side, and how a seat sees it.
 *
 * Twin: zebfast/rules/contract.py. */
#ifndef ZF_CONTRACT_H
#define ZF_CONTRACT_H

#include <stdbool.h>
#include <string.h>

#include "platform.h"
#include "records.h"

enum {
    ZF_CONTRACT_LEAST = 30,     /* points, the lowest bid */
    ZF_CONTRACT_MARK = 42,      /* one mark: all points, as any number of marks */
    ZF_CONTRACT_MOST = 48,      /* seven marks */
    ZF_CONTRACT_PASS = 1,       /* a call */
    ZF_CONTRACT_MOST_MARKS = 15 /* that are told apart */
};

/* Points of a side with which it has won, and those with which it has lost: without a contract more
 * than half, and fewer than half. */
typedef struct {
    uint8_t won, lost;
} zf_aim;

#define ZF_NO_CONTRACT ((zf_aim){ZF_HALF_POINTS + 1, ZF_HALF_POINTS - 1})

/* Of the side with this parity among the seats that the bidder is one of. */
ZF_INLINE zf_aim zf_aim_of(const zf_contract *c, uint32_t side) {
    uint32_t make = c->bid < ZF_CONTRACT_MARK ? c->bid : ZF_CONTRACT_MARK;
    uint32_t won = (c->bidder ^ side) & 1 ? ZF_TOTAL_POINTS + 1 - make : make;
    return c->bid ? (zf_aim){(uint8_t)won, (uint8_t)(won - 1)} : ZF_NO_CONTRACT;
}

/* +1 for a side that has won with so many points at the end, -1 that has lost, else 0. */
ZF_INLINE int zf_reached(zf_aim aim, int points) {
    return (points >= aim.won) - (points <= aim.lost);
}

ZF_INLINE bool zf_contract_bids(uint32_t call) {
    return call >= ZF_CONTRACT_LEAST && call <= ZF_CONTRACT_MOST;
}

/* Whether the numbers are those of a contract, or there is none. */
ZF_INLINE bool zf_contract_sane(const zf_contract *c) {
    if (ZF_LIKELY(c->bid == 0)) return true;
    bool calls = true;
    for (int seat = 0; seat < ZF_N_SEATS; seat++)
        calls &= c->calls[seat] <= ZF_CONTRACT_PASS || zf_contract_bids(c->calls[seat]);
    return zf_contract_bids(c->bid) && c->bidder < ZF_N_SEATS && c->shaker < ZF_N_SEATS && calls;
}

/* The same for a contract whose declarers lead with `leader`: nobody has bid more, and the bidder
 * nothing else. */
ZF_INLINE bool zf_contract_possible(const zf_contract *c, uint32_t leader) {
    static const zf_contract none = {0};
    if (c->bid == 0) return memcmp(c, &none, sizeof none) == 0;
    if (!zf_contract_sane(c) || ((c->bidder ^ leader) & 1)) return false;
    for (uint32_t seat = 0; seat < ZF_N_SEATS; seat++)
        if (c->calls[seat] > c->bid) return false;
    return c->calls[c->bidder] == 0 || c->calls[c->bidder] == c->bid;
}

/* The contract with seats and sides counted from this seat on; one of a game, so that it is all zeros
 * where there is none. */
ZF_INLINE void zf_contract_see(zf_contract *seen, const zf_contract *c, uint32_t seat) {
    uint64_t all;
    memcpy(&all, c, sizeof all);
    memcpy(seen, &all, sizeof all);
    if (ZF_LIKELY(all == 0)) return;
    seen->bidder = (uint8_t)((c->bidder - seat) & 3);
    seen->shaker = (uint8_t)((c->shaker - seat) & 3);
    seen->marks = (uint8_t)(seat & 1 ? c->marks << 4 | c->marks >> 4 : c->marks);
    uint32_t calls, turn = 8 * seat; /* the least byte comes first */
    memcpy(&calls, c->calls, sizeof calls);
    calls = calls >> turn | calls << (-turn & 31);
    memcpy(seen->calls, &calls, sizeof calls);
}

#endif
