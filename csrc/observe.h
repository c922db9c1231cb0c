/* Packed observations and training examples from states and finished games. */
#ifndef ZF_OBSERVE_H
#define ZF_OBSERVE_H

#include <stddef.h>

#include "records.h"
#include "rng.h"
#include "state.h"

/* The information state of the seat to play; the game must not be over. Only what that seat may
 * know goes in: its own dominoes, what everybody played, and the contract. */
ZF_INLINE void zf_observe(zf_obs *o, const zf_state *s) {
    uint32_t seat = s->to_play, own = s->dealt[seat];
    o->hand = own;
    o->decl = s->decl;
    o->n_plays = s->n_plays;
    o->legal = (uint8_t)zf_compress(zf_legal(s), own);
    o->in_hand = (uint8_t)zf_compress(s->hand[seat], own);
    /* Seats turn relative by one subtraction: the domino sits in the low five bits, untouched. */
    for (int i = 0; i < ZF_N_PLIES; i++) {
        uint8_t relative = (uint8_t)((s->plays[i] - (seat << 5)) & 0x7F);
        o->plays[i] = i < s->n_plays ? relative : 0;
    }
    zf_contract_see(&o->contract, &s->contract, seat);
}

ZF_INLINE uint64_t zf_obs_hash(const zf_obs *o) {
    uint64_t words[6] = {0}, hash = 0;
    memcpy(words, o, sizeof *o);
    for (int i = 0; i < 5; i++) hash = zf_mix(hash + words[i] + ZF_GOLDEN);
    return words[5] ? zf_mix(hash + words[5] + ZF_GOLDEN) : hash; /* calls: mostly there are none */
}

/* The record of a game that begins as s stands: the deal, and nothing played. */
void zf_game_begin(zf_game *g, const zf_state *s);

void zf_observe_rows(zf_obs *out, const zf_state *s, const int64_t *rows, size_t n);

/* Uniform priors over legal slots and value 0 for each observation: the constant evaluator.
 * out is [n][8]: seven priors and the value. */
void zf_uniform_evaluate(float *out, const zf_obs *obs, size_t n);

typedef enum {
    ZF_GAME_OK = 0,
    ZF_GAME_BAD_DEAL,   /* hands, declaration or leader */
    ZF_GAME_BAD_PLAY,   /* an illegal play */
    ZF_GAME_BAD_POLICY, /* weight on a domino that could not be played */
    ZF_GAME_BAD_CONTRACT,
} zf_game_fault;

/* The state that a recorded game began with, if its deal and its contract can be. */
zf_game_fault zf_game_start(zf_state *s, const zf_game *game);

/* 28 examples of one game, ply 0 first. Checks the whole game; *ply is where a fault is. */
zf_game_fault zf_game_examples(zf_example out[ZF_N_PLIES], const zf_game *game, int *ply);

#endif
