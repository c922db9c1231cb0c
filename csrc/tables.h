/* The rules of zebfast/rules as tables. tables.c is generated; see tools/gen_tables.py. */
#ifndef ZF_TABLES_H
#define ZF_TABLES_H

#include <stdint.h>

#define ZF_N_DOMINOES 28
#define ZF_N_DECLARATIONS 10
#define ZF_N_PLIES 28
#define ZF_CALLED_SUIT 7
#define ZF_ALL_DOMINOES 0x0FFFFFFFu
#define ZF_POINTS 42     /* of both sides together */
#define ZF_WIN_POINTS 22 /* more than half of them */

extern const uint8_t zf_count[ZF_N_DOMINOES];              /* points in a trick */
extern const uint8_t zf_led_suit[ZF_N_DECLARATIONS][32];   /* suit a lead asks for */
extern const uint32_t zf_follow[ZF_N_DECLARATIONS][8];     /* dominoes of a led suit */
extern const uint8_t zf_rank[ZF_N_DECLARATIONS][8][32];    /* strength in a trick, 0 = cannot win */
extern const uint32_t zf_beats[ZF_N_DECLARATIONS][32];     /* dominoes that beat it as a lead */

#endif
