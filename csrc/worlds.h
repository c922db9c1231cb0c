/* Worlds: layouts of the hidden dominoes that agree with everything one seat knows, counted,
 * enumerated and drawn exactly.
 *
 * The viewer knows its own hand, every play, hence every hand's size, and the voids shown: a seat
 * that did not follow a led suit holds none of it. Nothing else (no inference from good play).
 * Twin: tests/support/slow_worlds.py, plain enumeration.
 *
 * Ranks are the lexicographic order of the worlds: the hidden dominoes in ascending order, each
 * with the seat that holds it, counted from the viewer's left (left, partner, right). */
#ifndef ZF_WORLDS_H
#define ZF_WORLDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state.h"

#define ZF_MAX_HIDDEN (3 * ZF_HAND_SIZE)
#define ZF_NO_RANK UINT64_MAX

/* What one seat knows of the others' hands. */
typedef struct {
    uint32_t own;       /* the viewer's hand as it stands */
    uint32_t hidden;    /* dominoes in the three other hands; disjoint from own */
    uint32_t barred[4]; /* dominoes that a seat cannot hold; the viewer's entry means nothing */
    uint8_t size[4];    /* dominoes in each hand, 0..7; the three others' add up to hidden's */
    uint8_t viewer;
    uint8_t pad[3];
} zf_knowledge;

/* Cells of one level of the count: what left and partner still take, 0..7 each, with a row and a
 * column of zeros before them, so that a full hand needs no test. */
#define ZF_WORLD_ROW 9
#define ZF_WORLD_CELLS (ZF_WORLD_ROW * 9)

/* The worlds of one knowledge: 7.4 KB, no pointers; only the levels in use are ever touched. */
typedef struct {
    uint32_t count;
    uint32_t own, open;          /* open: dominoes that more than one seat may hold */
    uint32_t fixed[3];           /* the other hidden dominoes, by seat from the viewer's left */
    uint8_t viewer, n_open, root; /* root: the cell from which the first open domino starts */
    uint8_t pad;
    uint32_t domino[ZF_MAX_HIDDEN];  /* open dominoes, one bit each, ascending */
    uint32_t may[2][ZF_MAX_HIDDEN];  /* all ones where left, partner may hold it, else 0 */
    /* ways[i][cell]: layouts of the open dominoes from the i-th on that leave left and partner
     * with exactly what the cell says. */
    uint32_t ways[ZF_MAX_HIDDEN + 1][ZF_WORLD_CELLS];
} zf_world_set;

/* What viewer knows in the game s. */
void zf_knowledge_of(zf_knowledge *k, const zf_state *s, uint32_t viewer);

/* The worlds that agree with k. Returns their number, at most 21! / 7!^3 = 399,072,960; 0 if k
 * contradicts itself. The other functions take only sets that have worlds. */
uint64_t zf_worlds_of(zf_world_set *w, const zf_knowledge *k);

/* The worlds that viewer thinks possible in the game s. Returns their number (0: the game's own
 * plays contradict each other, which a game played by the rules never does). */
uint64_t zf_worlds_init(zf_world_set *w, const zf_state *s, uint32_t viewer);

/* World number rank, 0..count-1: the hands of all four seats as they stand (the viewer's own
 * included). Every world has exactly one rank. */
void zf_worlds_unrank(const zf_world_set *w, uint64_t rank, uint32_t hands[4]);
void zf_worlds_unrank_many(const zf_world_set *w, const uint64_t *ranks, size_t n,
                           uint32_t (*hands)[4]);

/* The rank of a layout; ZF_NO_RANK if it is none of the worlds. */
uint64_t zf_worlds_rank(const zf_world_set *w, const uint32_t hands[4]);

/* One world, all equally likely; bits is one draw of 64 random bits (bias below count / 2^64). */
void zf_worlds_sample(const zf_world_set *w, uint64_t bits, uint32_t hands[4]);

/* n worlds; the i-th from the draw numbered index + i of the stream key (rng.h). */
void zf_worlds_sample_many(const zf_world_set *w, uint64_t key, uint64_t index, size_t n,
                           uint32_t (*hands)[4]);

/* The game s with the hidden dominoes laid out as in hands (as the calls above give them):
 * plays, points and the trick on the table stay, dealt[] and hand[] follow the world. */
void zf_worlds_apply(zf_state *s, const uint32_t hands[4]);

/* Whether hands deal out what is held in s, each seat as many as it holds there (voids apart). */
bool zf_worlds_fit(const zf_state *s, const uint32_t hands[4]);

/* Worlds that are not equally likely: each in proportion to the product, over the hidden dominoes,
 * of weights[domino][seat that holds it]. The same count in doubles; 22 KB. */
typedef struct {
    zf_world_set set; /* the worlds of positive weight */
    uint32_t may[3];  /* dominoes that left, partner, right may hold, of those */
    uint32_t pad;
    double weight[ZF_MAX_HIDDEN][3]; /* of the open dominoes, scaled */
    double mass[ZF_MAX_HIDDEN + 1][ZF_WORLD_CELLS];
} zf_weighted_set;

/* Scaled masses below this would have lost worlds to underflow. */
#define ZF_LEAST_MASS 1e-250

typedef enum {
    ZF_WEIGHTS_OK = 0,
    ZF_WEIGHTS_BAD,     /* one is negative or not finite */
    ZF_WEIGHTS_NONE,    /* every world has weight 0 (or there is none at all) */
    ZF_WEIGHTS_TOO_FAR, /* the products cannot be told from 0 */
} zf_weights_fault;

/* The viewer's column of weights is not read, nor are the rows of dominoes that are not hidden. */
zf_weights_fault zf_weighted_of(zf_weighted_set *w, const zf_knowledge *k,
                                const double weights[ZF_N_DOMINOES][4]);

/* n worlds; the i-th from the draw numbered index + i of the stream key. That draw is stretched to
 * one number a domino (it keys a stream of its own), so that unlikely worlds keep their share. */
void zf_weighted_sample_many(const zf_weighted_set *w, uint64_t key, uint64_t index, size_t n,
                             uint32_t (*hands)[4]);

/* Probability of a layout, 0 if it is none of the worlds. */
double zf_weighted_probability(const zf_weighted_set *w, const uint32_t hands[4]);

#endif
