/* Lanes: games that go on side by side, each until a number of plays is made in it.
 *
 * Who plays is outside: forced plays are made here, and where a seat has a choice its observation
 * is handed out. Twin: tests/support/slow_lanes.py, one game at a time by the plain rules. */
#ifndef ZF_LANES_H
#define ZF_LANES_H

#include <stddef.h>

#include "records.h"
#include "state.h"

/* Make the forced plays of the lanes live[0..n), each until its until[lane] plays are made, and
 * write the observation of every lane that then has a choice. live keeps those lanes, in the order
 * they were in; returns how many. */
size_t zf_lanes_advance(zf_state *s, const uint8_t *until, int64_t *live, size_t n, zf_obs *obs);

/* The legal slot of the largest prior in each lane of live is played, the lowest slot among equals:
 * evals is [n][8], seven priors and a value. */
void zf_lanes_favourites(zf_state *s, const int64_t *live, size_t n, const float *evals);

/* The game after its first n_plays plays, with what was dealt as it stands. */
void zf_rewind(zf_state *s, uint8_t n_plays);

#endif
