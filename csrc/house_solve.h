/* Nello and sevens with all hands open: after which plays the contract is made, both sides playing
 * their best. What is worth points in them does not matter, so that each question is a yes or no.
 * Twin: tests/support/slow_house.py. */
#ifndef ZF_HOUSE_SOLVE_H
#define ZF_HOUSE_SOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "tables.h"
#include "worlds.h"

/* What lies open of such a hand. */
typedef struct {
    uint8_t decl; /* ZF_NELLO..ZF_SEVENS */
    uint8_t bidder;
    uint8_t n_plays;
    uint8_t plays[ZF_N_PLIES]; /* domino | seat << 5 */
    uint8_t to_play;
} zf_house_hand;

/* For each of n layouts of the dominoes that the seats still hold: a mask of the legal dominoes of
 * the seat to play after which the bidder makes the contract. The hand is not over and not decided,
 * its plays are legal. Returns the nodes that were looked at. */
uint64_t zf_house_made(const zf_house_hand *h, const uint32_t (*hands)[4], size_t n,
                       uint32_t *made);

/* What the seat to play knows of such a hand, of which it holds own: a seat has shown not to hold
 * what it would have had to play, by following or, in sevens, by being nearer to seven pips. */
void zf_house_knowledge(zf_knowledge *k, const zf_house_hand *h, uint32_t own);

/* In how many worlds of that seat each domino makes the contract. Looks at worlds number first ..
 * first + n - 1 of the stream key, or at every world where there are no more than first + n of
 * them. Returns how many there are; 0: none, and nothing is counted. */
uint64_t zf_house_tally(const zf_house_hand *h, uint32_t own, uint64_t key, uint64_t first,
                        size_t n, uint32_t made[ZF_N_DOMINOES]);

#endif
