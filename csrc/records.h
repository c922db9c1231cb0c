/* Byte layouts that cross into NumPy; the same fields as zebfast/core/records.py. */
#ifndef ZF_RECORDS_H
#define ZF_RECORDS_H

#include <stdint.h>

#include "tables.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are read as numbers");

/* What a hand is played for; all zero: for points. Bids and calls are 30..41 for points and 41 + m
 * for m marks, a plunge or a splash among them. In an observation seats and sides are the
 * observer's own first, else by their numbers (contract.h). */
typedef struct {
    uint8_t bid;      /* 0: none, and then nothing else counts */
    uint8_t bidder;   /* seat */
    uint8_t shaker;   /* seat */
    uint8_t marks;    /* of the two sides, low and high four bits; 15 where there are more */
    uint8_t calls[4]; /* by seat: 0 none made or not known, 1 a pass, else a bid */
} zf_contract;
_Static_assert(sizeof(zf_contract) == 8, "CONTRACT_DTYPE");

/* What the seat to play knows: one leaf, one observation. */
typedef struct {
    uint32_t hand;   /* the observer's seven original dominoes */
    uint8_t decl;
    uint8_t n_plays; /* 0..27 */
    uint8_t legal;   /* bit s: slot s is legal now (slot = rank of the domino in hand) */
    uint8_t in_hand; /* bit s: slot s is not yet played */
    uint8_t plays[ZF_N_PLIES]; /* domino | relative seat << 5; zero from n_plays on */
    zf_contract contract;
} zf_obs;
_Static_assert(sizeof(zf_obs) == 44, "OBS_DTYPE");

/* One finished game. */
typedef struct {
    uint8_t hands[ZF_N_SEATS][ZF_HAND_SIZE]; /* ascending per seat */
    uint8_t decl;
    uint8_t leader;
    uint8_t plays[ZF_N_PLIES]; /* domino ids in order of play */
    union { /* by ply and slot of the seat that played; all 0 = nothing is known of the ply */
        uint16_t policy[ZF_N_PLIES][ZF_HAND_SIZE]; /* weights */
        uint16_t labels[ZF_N_PLIES][ZF_HAND_SIZE]; /* of a teacher (labelling.c) */
    };
    zf_contract contract;
} zf_game;
_Static_assert(sizeof(zf_game) == 458, "GAME_DTYPE");

enum {
    ZF_HAS_POLICY = 1,
    ZF_HAS_BELIEF = 2,
    ZF_HAS_POINTS = 8,   /* bits 8..13 are the final points, 0..42, of the observer's side */
    ZF_POINTS_SHIFT = 8, /* bit 2 is the learner's own mark; bit 4: policy holds play values */
};

/* One training example. */
typedef struct {
    zf_obs obs;
    uint16_t policy[ZF_HAND_SIZE];
    uint16_t flags;
    float value;      /* -1..1 for the observer's side */
    uint32_t left;    /* dominoes dealt to the seat on the observer's left */
    uint32_t partner; /* dominoes dealt to the partner */
} zf_example;
_Static_assert(sizeof(zf_example) == 72, "EXAMPLE_DTYPE");

#endif
