/* The queue of games that are played side by side: which may begin, and where finished ones go. */
#ifndef ZF_GAME_QUEUE_H
#define ZF_GAME_QUEUE_H

#include <stdbool.h>

#include "engine.h"
#include "observe.h"
#include "records.h"
#include "rng.h"

/* Game n of the queue (0, 1, 2, ...) is the game first_game + n * stride to all randomness. Its deal
 * is that of stream 0 or, where deals are given, the one that its record begins with: hands,
 * declaration, leader and contract, which must be sound. */
typedef struct {
    bool given;
    uint64_t first_game, stride;
    uint64_t next, limit, capacity;
    zf_game *records;
    uint8_t *done;
} zf_game_queue;

/* Allow games up to, not including, this number to be started. A finished game's record goes to
 * records[n % capacity]; done[n % capacity] becomes 1. The caller keeps capacity >= limit - (oldest
 * number whose record it has not taken). */
static inline void zf_game_queue_limit(zf_game_queue *q, uint64_t limit, zf_game *records,
                                       uint8_t *done, uint64_t capacity) {
    q->limit = limit;
    q->records = records;
    q->done = done;
    q->capacity = capacity;
}

/* May another game be started? */
static inline bool zf_game_queue_has_next(const zf_game_queue *q) { return q->next < q->limit; }

/* The next game: its number, and what the randomness sees. */
static inline uint64_t zf_game_queue_start(zf_game_queue *q, uint64_t *game) {
    *game = q->first_game + q->next * q->stride;
    return q->next++;
}

static inline zf_game *zf_game_queue_record(const zf_game_queue *q, uint64_t number) {
    return &q->records[number % q->capacity];
}

/* Its deal, with which its record begins. */
static inline void zf_game_queue_deal(const zf_game_queue *q, uint64_t number, uint64_t seed,
                                      uint64_t game, zf_state *s) {
    zf_game *record = zf_game_queue_record(q, number);
    if (q->given)
        zf_game_start(s, record);
    else
        zf_deal(s, seed, ZF_STREAM_DEAL, game);
    zf_game_begin(record, s);
}

static inline void zf_game_queue_finish(const zf_game_queue *q, uint64_t number) {
    q->done[number % q->capacity] = 1;
}

#endif
