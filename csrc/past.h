/* What seats saw at the choices that they have made so far, for those who ask how likely that was.
 *
 * In worlds of one decision a seat often held the same: it is asked about once. Twin: the replay of
 * single games in tests/arena/test_rollouts.py. */
#ifndef ZF_PAST_H
#define ZF_PAST_H

#include <stddef.h>

#include "records.h"
#include "state.h"

/* The choices (of two dominoes or more) that the seats not to play have had in each of n games.
 * Every distinct observation is written once, in the order in which they are met; returns how
 * many. asked[i][ply] is 8 * (the number of game i's observation) + the slot played, or -1 where
 * there was none. obs must have room for every play made by then; table, of a power of two places,
 * for more than as many. */
size_t zf_past_choices(const zf_state *s, size_t n, zf_obs *obs, int32_t (*asked)[ZF_N_PLIES],
                       uint32_t *table, size_t n_places);

#endif
