/* What a house plays, and the calls of an auction.
 *
 * A call is 0 for a pass, 30..41 for points, 42 m for m marks, 42 m + 1 for a plunge and 42 m + 2 for
 * a splash at m marks. In masks each has a bit: pass, 30..41, the marks 1..7, plunge, splash; the
 * marks of the last two follow from the standing bid.
 * Twins: zebfast/rules/rule_set.py, zebfast/rules/auction.py. */
#ifndef ZF_AUCTION_H
#define ZF_AUCTION_H

#include <stdbool.h>
#include <stdint.h>

#include "platform.h"

#define ZF_PASS 0
#define ZF_LEAST_BID 30
#define ZF_MARK 42       /* points that one mark is bid with */
#define ZF_MOST_MARKS 7  /* of one bid */
#define ZF_MOST_SPLASH 3 /* marks of a splash */
#define ZF_FIRST_MARK_BIT 13
#define ZF_PLUNGE_BIT 20
#define ZF_SPLASH_BIT 21
#define ZF_DOUBLES 0x8104225u /* mask of the seven doubles */

typedef struct {
    uint16_t target;      /* marks, or points, that win the game; at least 1 */
    uint8_t for_points;   /* hands score points, not marks */
    uint8_t drop30;       /* no auction: the shaker's left has 30 and declares its longest pip */
    uint8_t force;        /* a shaker after three passes must bid */
    uint8_t most_reshakes; /* hands thrown in one after the other, after which it must, too */
    uint8_t forced_bid;   /* least bid of a shaker that must, 30..42 */
    uint8_t opening_marks; /* most marks of the first mark bid */
    uint8_t most_marks;   /* of any bid, 1..7 */
    uint8_t straight;     /* of ids 8 and 9: bit 0 doubles as a suit, bit 1 no trump */
    uint8_t nello;        /* which ways of nello there are: bit i is declaration ZF_NELLO + i */
    uint8_t nello_marks;  /* least bid for it; 0: of points */
    uint8_t plunge;       /* least marks of each, 0 where it is not played */
    uint8_t splash;
    uint8_t sevens;
    uint8_t partner_leads; /* after a plunge or splash */
    uint8_t early_end;    /* a hand for marks ends when it is decided */
    uint8_t nello_forced; /* each is for a shaker that had to bid, and nobody else */
    uint8_t sevens_forced;
    uint8_t forced_sweep; /* marks for all tricks after a bid of points that it had to make; 1..7 */
} zf_rule_set;

ZF_INLINE uint32_t zf_marks_of(uint32_t call) { return call / ZF_MARK; }
ZF_INLINE uint8_t zf_contract_bid(uint32_t call) { /* as contracts have it (records.h) */
    return (uint8_t)(call < ZF_MARK ? call : ZF_MARK - 1 + zf_marks_of(call));
}
ZF_INLINE bool zf_is_house_call(uint32_t call) { return call >= ZF_MARK && call % ZF_MARK != 0; }

/* Bits of the legal calls over the standing bid, for a hand with so many doubles. */
uint32_t zf_legal_calls(const zf_rule_set *r, uint32_t standing, uint32_t doubles, bool must_bid);

/* The call of a bit that is legal over the standing bid. */
uint32_t zf_call_of_bit(const zf_rule_set *r, uint32_t standing, uint32_t bit);

/* Complete auctions among hands that can neither plunge nor splash. */
uint64_t zf_auction_perft(const zf_rule_set *r);

#endif
