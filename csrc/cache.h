/* Evaluations by information state, for the trees of one forest: what a seat knows is asked of the
 * network once, whichever world or tree it turns up in.
 *
 * Memory is fixed. An observation belongs to one bucket of four; all its 44 bytes are compared, so
 * that a hit is never a wrong one. The entry that was looked at longest ago makes room. */
#ifndef ZF_CACHE_H
#define ZF_CACHE_H

#include <stddef.h>

#include "records.h"

typedef struct zf_cache zf_cache;

/* At most so many bytes, but at least one bucket. NULL when memory is short. */
zf_cache *zf_cache_new(size_t bytes);
void zf_cache_free(zf_cache *c);
size_t zf_cache_bytes(const zf_cache *c);

/* Forget everything: the network has changed. */
void zf_cache_clear(zf_cache *c);

/* The eight floats that were stored for this observation, until the next store; NULL = none. */
const float *zf_cache_find(zf_cache *c, const zf_obs *obs);

void zf_cache_store(zf_cache *c, const zf_obs *obs, const float eval[8]);

#endif
