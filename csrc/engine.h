/* Deals, whole random games, perft, and the checks at the edge of the rules. */
#ifndef ZF_ENGINE_H
#define ZF_ENGINE_H

#include <stddef.h>

#include "state.h"

/* A random deal with declaration 0..9 and leader; draws 0..28 of (seed, stream, game). */
void zf_deal(zf_state *s, uint64_t seed, uint64_t stream, uint64_t game);
void zf_deal_many(zf_state *s, size_t n, uint64_t seed, uint64_t stream, uint64_t first_game);

/* n whole random games; points_team0[i] of game first_game + i. Deal stream 0, play stream 1. */
void zf_random_games(uint8_t *points_team0, size_t n, uint64_t seed, uint64_t first_game);

/* One uniformly random legal play in each listed game that is not over, with the draw numbered
 * by its ply: play i of game g is always the same number. */
void zf_random_plays(zf_state *s, const int64_t *rows, const uint64_t *games, size_t n,
                     uint64_t seed, uint64_t stream);

/* The same draws, play after play until the seat is to play or the game is over. */
void zf_random_until(zf_state *s, const int64_t *rows, const uint64_t *games, size_t n,
                     uint64_t seed, uint64_t stream, uint32_t seat);

/* Legal play sequences of the given depth. */
uint64_t zf_perft(const zf_state *s, int depth);

const char *zf_engine_isa(void);

#endif
