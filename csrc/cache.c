#include "cache.h"

#include <stdlib.h>
#include <string.h>

#include "observe.h"

#define WAYS 4

typedef struct {
    zf_obs obs[WAYS];
    float eval[WAYS][8];
    uint64_t used[WAYS]; /* time of the last look */
} bucket;
_Static_assert(sizeof(bucket) == 336, "84 bytes an entry");

struct zf_cache {
    bucket *buckets;
    uint32_t n_buckets;
    uint64_t now;     /* looks so far */
    uint64_t cleared; /* what was used up to then is forgotten; new entries are younger */
};

zf_cache *zf_cache_new(size_t bytes) {
    zf_cache *c = calloc(1, sizeof *c);
    size_t n = bytes / sizeof(bucket);
    if (!c) return NULL;
    c->n_buckets = n < 1 ? 1 : n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
    c->buckets = calloc(c->n_buckets, sizeof *c->buckets);
    if (c->buckets) return c;
    free(c);
    return NULL;
}

void zf_cache_free(zf_cache *c) {
    if (!c) return;
    free(c->buckets);
    free(c);
}

size_t zf_cache_bytes(const zf_cache *c) { return sizeof *c + c->n_buckets * sizeof *c->buckets; }

void zf_cache_clear(zf_cache *c) { c->cleared = c->now; }

static bucket *bucket_of(const zf_cache *c, const zf_obs *obs) {
    return &c->buckets[zf_scale(zf_obs_hash(obs), c->n_buckets)];
}

/* The way that holds this observation; WAYS = none. */
static int way_of(const zf_cache *c, const bucket *b, const zf_obs *obs) {
    int way = 0;
    while (way < WAYS && (b->used[way] <= c->cleared || memcmp(&b->obs[way], obs, sizeof *obs) != 0))
        way++;
    return way;
}

const float *zf_cache_find(zf_cache *c, const zf_obs *obs) {
    bucket *b = bucket_of(c, obs);
    int way = way_of(c, b, obs);
    c->now++;
    if (way == WAYS) return NULL;
    b->used[way] = c->now;
    return b->eval[way];
}

void zf_cache_store(zf_cache *c, const zf_obs *obs, const float eval[8]) {
    bucket *b = bucket_of(c, obs);
    int way = way_of(c, b, obs);
    if (way == WAYS) {
        way = 0;
        for (int i = 1; i < WAYS; i++)
            if (b->used[i] < b->used[way]) way = i;
    }
    b->obs[way] = *obs;
    memcpy(b->eval[way], eval, sizeof b->eval[way]);
    b->used[way] = ++c->now;
}
