/* The rules of zebfast/rules as numbers and tables.
 * Written by tools/gen_tables.py. Do not edit. */
#ifndef ZF_TABLES_H
#define ZF_TABLES_H

#include <stdint.h>

#define ZF_N_DOMINOES 28
#define ZF_ALL_DOMINOES 0x0FFFFFFFu
#define ZF_N_DECLARATIONS 10
#define ZF_N_ALL_DECLARATIONS 15 /* with those of house contracts */
#define ZF_NELLO 10 /* the first of those; so are all but */
#define ZF_SEVENS 14 /* this one, the last */
#define ZF_N_SEATS 4
#define ZF_HAND_SIZE 7 /* dominoes dealt to a seat */
#define ZF_N_TRICKS 7
#define ZF_N_PLIES 28 /* plays of a whole deal */
#define ZF_TOTAL_POINTS 42 /* of both teams together */
#define ZF_HALF_POINTS 21 /* of each team in a tie; more wins */
#define ZF_CALLED_SUIT 7

extern const uint8_t zf_count[ZF_N_DOMINOES]; /* points in a trick */
/* Suit that a lead asks for; dominoes of a suit; strength in a trick, 0 = loses. */
extern const uint8_t zf_led_suit[ZF_N_ALL_DECLARATIONS][32];
extern const uint32_t zf_follow[ZF_N_ALL_DECLARATIONS][8];
extern const uint8_t zf_rank[ZF_N_ALL_DECLARATIONS][8][32];
/* The dominoes that beat a lead. */
extern const uint32_t zf_beats[ZF_N_DECLARATIONS][32];

#endif
